"""The softmax run in PyTorch on the CPU, eager, as most of its users run it."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from benchmarks.common import Validations, index_batches
from utils import Data


def train(
    data: Data,
    num_epochs: int,
    *,
    learning_rate: float = 0.01,
    batch_size: int = 128,
    patience: int = 10,
    seed: int = 0,
) -> tuple[NDArray, dict[str, float]]:
    """Make the run of `task3.make_trainer` with λ = 0; see `benchmarks.rival_numpy.train`."""
    X_train, Y_train, X_val, Y_val = (torch.from_numpy(part) for part in data)
    labels_train, labels_val = Y_train.argmax(1), Y_val.argmax(1)
    steps_per_validation = len(X_train) // batch_size // 5
    # The column of ones in X is the bias.
    model = torch.nn.Linear(X_train.shape[1], Y_train.shape[1], bias=False)
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    train_losses, validations = [], Validations(patience)

    @torch.inference_mode()
    def validate() -> tuple[float, float, float]:
        logits = model(X_val)
        return (
            cross_entropy(logits, labels_val).item(),
            (logits.argmax(1) == labels_val).float().mean().item(),
            (model(X_train).argmax(1) == labels_train).float().mean().item(),
        )

    start = time.perf_counter()
    for step, indices in enumerate(index_batches(len(X_train), batch_size, num_epochs, seed)):
        batch = torch.from_numpy(indices)
        logits = model(X_train.index_select(0, batch))
        loss = cross_entropy(logits, labels_train.index_select(0, batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        train_losses.append(loss.detach())
        if step % steps_per_validation == 0:
            validations.add(step, *validate())
            if validations.improved:
                best_w = model.weight.detach().clone()
            if validations.should_stop:
                break
    torch.stack(train_losses).tolist()
    seconds = time.perf_counter() - start
    return np.ascontiguousarray(best_w.numpy().T), {
        "seconds": seconds,
        "compile_seconds": 0.0,
        # threadpoolctl sees no library that is linked into another one.
        "kernel": f"oneMKL, {torch.backends.cpu.get_cpu_capability()}",
        "stop_step": step,
        **validations.summary(),
    }

"""The softmax run in PyTorch on the CPU, eager, as most of its users run it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from benchmarks.work import Run, Settings, train
from utils import Data


class TorchModel:
    """See `benchmarks.work.Rival`."""

    def __init__(self, data: Data, settings: Settings) -> None:
        self.X_train, Y_train, self.X_val, Y_val = map(torch.from_numpy, data)
        self.labels_train = Y_train.argmax(1)
        self.labels_val = Y_val.argmax(1)
        # The column of ones in X is the bias.
        self.model = torch.nn.Linear(self.X_train.shape[1], Y_train.shape[1], bias=False)
        torch.nn.init.zeros_(self.model.weight)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=settings.learning_rate)
        # threadpoolctl does not see a BLAS that is linked into PyTorch.
        self.kernel = f"oneMKL, {torch.backends.cpu.get_cpu_capability()}"

    def make_steps(self, batches: NDArray[np.int64]) -> list[float]:
        losses = []
        for batch in torch.from_numpy(batches):
            logits = self.model(self.X_train.index_select(0, batch))
            loss = cross_entropy(logits, self.labels_train.index_select(0, batch))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).tolist()

    @torch.inference_mode()
    def validate(self) -> tuple[float, float, float]:
        logits_val = self.model(self.X_val)
        logits_train = self.model(self.X_train)
        return (
            cross_entropy(logits_val, self.labels_val).item(),
            (logits_val.argmax(1) == self.labels_val).float().mean().item(),
            (logits_train.argmax(1) == self.labels_train).float().mean().item(),
        )

    def copy_weights(self) -> NDArray:
        return self.model.weight.detach().numpy().T.copy()


def run(data: Data, settings: Settings) -> tuple[NDArray, Run]:
    """Make the run; see `benchmarks.work.train`."""
    return train(TorchModel(data, settings), len(data[0]), settings)

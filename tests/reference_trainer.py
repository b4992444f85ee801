"""A trainer as simple as it can be: it validates at once, and trains one model at a time."""

from __future__ import annotations

import numpy as np


def train(trainer, num_epochs):
    """Train as `trainer` was told to, without touching it or its model's weights.

    Returns train_history, val_history, stop_step, stop_epoch, best_step and the best weights.
    """
    model = type(trainer.model)(
        *([trainer.model.l2_reg_lambda] if trainer.model.w.shape[1] > 1 else [])
    )
    model.w = trainer.model.w.copy()
    rng = np.random.default_rng()
    rng.bit_generator.state = trainer.rng.bit_generator.state
    X, Y, X_val, Y_val = trainer.X_train, trainer.Y_train, trainer.X_val, trainer.Y_val
    batches_per_epoch = len(X) // trainer.batch_size

    def accuracy(X, Y):
        outputs = model.forward(X)
        if outputs.shape[1] == 1:
            return np.mean((outputs[:, 0] >= 0.5) == (Y[:, 0] == 1))
        return np.mean(np.argmax(outputs, axis=1) == np.argmax(Y, axis=1))

    train_history = {"loss": {}, "accuracy": {}}
    val_history = {"loss": {}, "accuracy": {}}
    best_loss, best_step, best_w, validations_since = np.inf, None, model.w, 0
    step = 0
    for epoch in range(num_epochs):
        order = rng.permutation(len(X)) if trainer.shuffle_dataset else np.arange(len(X))
        for batch in range(batches_per_epoch):
            rows = order[batch * trainer.batch_size : (batch + 1) * trainer.batch_size]
            outputs = model.forward(X[rows])
            train_history["loss"][step] = trainer.loss(Y[rows], outputs)
            model.backward(X[rows], outputs, Y[rows])
            model.w = model.w - trainer.learning_rate * model.grad
            if step % (batches_per_epoch // 5) == 0:
                loss = trainer.loss(Y_val, model.forward(X_val))
                val_history["loss"][step] = loss
                val_history["accuracy"][step] = accuracy(X_val, Y_val)
                train_history["accuracy"][step] = accuracy(X, Y)
                if loss < best_loss:
                    best_loss, best_step, best_w, validations_since = loss, step, model.w, 0
                else:
                    validations_since += 1
                if validations_since == trainer.patience:
                    return train_history, val_history, step, epoch, best_step, best_w
            step += 1
    return train_history, val_history, step - 1, num_epochs - 1, best_step, best_w

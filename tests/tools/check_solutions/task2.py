import numpy as np

import utils
from task2a import BinaryModel, cross_entropy_loss, pre_process_images
from trainer import BaseTrainer

np.random.seed(0)  # noqa: NPY002


def calculate_accuracy(X, targets, model):
    return np.mean((model.forward(X) >= 0.5) == targets)


class LogisticTrainer(BaseTrainer):
    def train_step(self, X_batch, Y_batch):
        outputs = self.model.forward(X_batch)
        self.model.backward(X_batch, outputs, Y_batch)
        self.model.w -= self.learning_rate * self.model.grad
        return cross_entropy_loss(Y_batch, outputs)

    def validation_step(self):
        # As in the starter code: these are names of the script below.
        outputs = self.model.forward(self.X_val)
        loss = cross_entropy_loss(Y_val, outputs)
        accuracy_train = calculate_accuracy(X_train, Y_train, self.model)
        accuracy_val = calculate_accuracy(X_val, Y_val, self.model)
        return loss, accuracy_train, accuracy_val


if __name__ == "__main__":
    import matplotlib.pyplot as plt

    X_train, Y_train, X_val, Y_val = utils.load_binary_dataset(2, 3)
    X_train, X_val = pre_process_images(X_train), pre_process_images(X_val)
    trainer = LogisticTrainer(BinaryModel(), 0.05, 128, False, X_train, Y_train, X_val, Y_val)
    train_history, val_history = trainer.train(1)
    utils.plot_loss(val_history["loss"], "validation loss")
    plt.savefig("task2b.png")
    plt.show()

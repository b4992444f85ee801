import numpy as np

from task3a import cross_entropy_loss
from trainer import BaseTrainer


def calculate_accuracy(X, targets, model):
    return np.mean(model.forward(X).argmax(axis=1) == targets.argmax(axis=1))


class SoftmaxTrainer(BaseTrainer):
    def train_step(self, X_batch, Y_batch):
        outputs = self.model.forward(X_batch)
        self.model.backward(X_batch, outputs, Y_batch)
        self.model.w = self.model.w - self.learning_rate * self.model.grad
        return cross_entropy_loss(Y_batch, outputs)

    def validation_step(self):
        loss = cross_entropy_loss(self.Y_val, self.model.forward(self.X_val))
        accuracy_train = calculate_accuracy(self.X_train, self.Y_train, self.model)
        accuracy_val = calculate_accuracy(self.X_val, self.Y_val, self.model)
        return loss, accuracy_train, accuracy_val

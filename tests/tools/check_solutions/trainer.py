import utils


class BaseTrainer:
    def __init__(
        self, model, learning_rate, batch_size, shuffle_dataset, X_train, Y_train, X_val, Y_val
    ):
        self.model = model
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.shuffle_dataset = shuffle_dataset
        self.X_train, self.Y_train = X_train, Y_train
        self.X_val, self.Y_val = X_val, Y_val

    def validation_step(self):
        pass

    def train_step(self):
        pass

    def train(self, num_epochs):
        steps_per_validation = len(self.X_train) // self.batch_size // 5
        train_history = {"loss": {}, "accuracy": {}}
        val_history = {"loss": {}, "accuracy": {}}
        step, best_loss, since_best, best_w = 0, float("inf"), 0, None
        for epoch in range(num_epochs):
            batches = utils.batch_loader(
                self.X_train, self.Y_train, self.batch_size, self.shuffle_dataset
            )
            for X_batch, Y_batch in batches:
                train_history["loss"][step] = self.train_step(X_batch, Y_batch)
                if step % steps_per_validation == 0:
                    loss, accuracy_train, accuracy_val = self.validation_step()
                    val_history["loss"][step] = loss
                    val_history["accuracy"][step] = accuracy_val
                    train_history["accuracy"][step] = accuracy_train
                    since_best += 1
                    if loss < best_loss:
                        best_loss, since_best, best_w = loss, 0, self.model.w.copy()
                    if since_best == 10:
                        print("early stopping in epoch", epoch)
                        self.model.w = best_w
                        return train_history, val_history
                step += 1
        return train_history, val_history

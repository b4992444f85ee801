"""What the task scripts do with trainers: train them side by side, save weights, draw figures."""

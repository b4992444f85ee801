"""The mathematics that every linear model shares: products, evaluation, gradient check."""

"""What the models, the trainer and the tools share: linear algebra, checks, files, numbers."""

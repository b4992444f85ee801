"""Classifies pictures of handwritten digits with kept weights: ``python -m predict``."""

"""Classifies pictures of handwritten digits with kept weights: ``python -m tools.predict``."""

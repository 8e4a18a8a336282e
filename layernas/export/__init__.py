"""Trained networks as files: weights, inference graphs, and who runs them."""

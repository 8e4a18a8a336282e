"""Loss and metrics of image classification, masked."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def cross_entropy(
    logits: jax.Array, labels: jax.Array, smoothing: float = 0.0
) -> jax.Array:
  """Cross entropy of every image.

  Args:
    logits: float32, shape (batch, classes).
    labels: int32, shape (batch,).
    smoothing: share of the target's mass spread evenly over all classes.

  Returns:
    Shape (batch,).
  """
  targets = jax.nn.one_hot(labels, logits.shape[-1])
  return optax.softmax_cross_entropy(
      logits, optax.smooth_labels(targets, smoothing)
  )


def metric_sums(
    logits: jax.Array, labels: jax.Array, mask: jax.Array, losses: jax.Array
) -> dict[str, jax.Array]:
  """Sums over the images that the mask marks as real.

  Args:
    logits: shape (batch, classes).
    labels: shape (batch,).
    mask: 1 for an image, 0 for padding, shape (batch,).
    losses: shape (batch,).

  Returns:
    Scalars 'loss', 'accuracy', 'top5' (sums) and 'count'.
  """
  top = jax.lax.top_k(logits, min(5, logits.shape[-1]))[1]
  hits = top == labels[:, None]
  return {
      'loss': jnp.sum(losses * mask),
      'accuracy': jnp.sum(hits[:, 0] * mask),
      'top5': jnp.sum(hits.any(axis=1) * mask),
      'count': jnp.sum(mask),
  }


def non_finite(tree: Any) -> jax.Array:
  """1.0 where some number of a tree is NaN or infinite, else 0.0."""
  finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
  return 1.0 - jnp.stack(finite).all().astype(jnp.float32)


def means(sums: dict[str, jax.Array]) -> dict[str, float]:
  """Means per image from `metric_sums`; empty where there was no image."""
  sums = {name: float(value) for name, value in sums.items()}
  count = sums.pop('count')
  return {name: value / count for name, value in sums.items()} if count else {}

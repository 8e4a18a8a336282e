"""Losses and metrics, masked: of image classification, and their sums."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from layernas.networks.network import Task


def cross_entropy(
    logits: jax.Array, labels: jax.Array, smoothing: float = 0.0
) -> jax.Array:
  """Cross entropy of every image.

  Args:
    logits: floating-point, shape (batch, classes).
    labels: int32, shape (batch,).
    smoothing: share of the target's mass spread evenly over all classes.

  Returns:
    float32, shape (batch,).
  """
  targets = jax.nn.one_hot(labels, logits.shape[-1])
  return optax.softmax_cross_entropy(
      # Those of a user's module may be bfloat16, too coarse for a reward.
      logits.astype(jnp.float32), optax.smooth_labels(targets, smoothing)
  )


def hits(logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
  """Which images are classified correctly.

  Args:
    logits: shape (batch, classes).
    labels: shape (batch,).

  Returns:
    'accuracy' and 'top5', bools of shape (batch,).
  """
  top = jax.lax.top_k(logits, min(5, logits.shape[-1]))[1]
  found = top == labels[:, None]
  return {'accuracy': found[:, 0], 'top5': found.any(axis=1)}


def metric_sums(
    losses: jax.Array, metrics: Mapping[str, jax.Array], mask: jax.Array
) -> dict[str, jax.Array]:
  """Sums over the examples that the mask marks as real.

  Args:
    losses: shape (batch,).
    metrics: by name, shape (batch,) each.
    mask: 1 for an example, 0 for padding, shape (batch,).

  Returns:
    Scalars: 'loss' and the metrics (sums), and 'count'.
  """
  return {
      'loss': jnp.sum(losses * mask),
      **{name: jnp.sum(values * mask) for name, values in metrics.items()},
      'count': jnp.sum(mask),
  }


def classification(smoothing: float = 0.0) -> Task:
  """To classify images: cross entropy, accuracy and top-5 accuracy.

  Args:
    smoothing: of the labels, see `cross_entropy`.

  Returns:
    The task; its example depends on the images and is None.
  """
  return Task(
      lambda logits, batch: cross_entropy(logits, batch['label'], smoothing),
      lambda logits, batch: hits(logits, batch['label']),
      lambda batch: batch['image'],
      None,
  )


def non_finite(tree: Any) -> jax.Array:
  """1.0 where some number of a tree is NaN or infinite, else 0.0."""
  finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
  return 1.0 - jnp.stack(finite).all().astype(jnp.float32)


def means(sums: dict[str, jax.Array]) -> dict[str, float]:
  """Means per image from `metric_sums`; empty where there was no image."""
  sums = {name: float(value) for name, value in sums.items()}
  count = sums.pop('count')
  return {name: value / count for name, value in sums.items()} if count else {}

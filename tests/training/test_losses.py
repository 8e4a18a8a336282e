"""Tests of layernas.training.losses."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from layernas.training import losses

# Softmax of each row: (1/2, 1/4, 1/4) and (1/8, 1/8, 3/4).
_LOGITS = jnp.log(jnp.array([[2.0, 1.0, 1.0], [1.0, 1.0, 6.0]]))
_LABELS = jnp.array([0, 1])


def test_smoothing_spreads_its_share_over_all_classes() -> None:
  # 0.3 over three classes: the label keeps 0.7 + 0.1, the others get 0.1.
  first = 0.8 * math.log(2) + 0.2 * math.log(4)
  second = 0.9 * math.log(8) + 0.1 * math.log(4 / 3)
  np.testing.assert_allclose(
      losses.cross_entropy(_LOGITS, _LABELS, 0.3), [first, second], rtol=1e-6
  )


def test_losses_of_bfloat16_logits_are_float32() -> None:
  logits = jnp.array([[3.0, -2.0, 0.25]], jnp.bfloat16)
  labels = jnp.array([0])
  loss = losses.cross_entropy(logits, labels)
  assert loss.dtype == jnp.float32
  np.testing.assert_array_equal(
      loss, losses.cross_entropy(logits.astype(jnp.float32), labels)
  )


def test_sums_leave_padding_out() -> None:
  # Ranks of the labels: first, sixth, fifth; the last row is padding.
  logits = jnp.array([
      [9.0, 1, 2, 3, 4, 5, 6], [9.0, 2, 1, 5, 6, 7, 8],
      [9.0, 4, 1, 2, 6, 7, 8], [9.0, 1, 2, 3, 4, 5, 6],
  ])
  labels = jnp.array([0, 1, 1, 0])
  mask = jnp.array([1.0, 1, 1, 0])
  sums = losses.metric_sums(
      jnp.array([1.0, 2.0, 4.0, 100.0]), losses.hits(logits, labels), mask
  )
  assert {name: float(value) for name, value in sums.items()} == {
      'loss': 7.0, 'accuracy': 1.0, 'top5': 2.0, 'count': 3.0,
  }


def test_top5_of_few_classes_is_every_image() -> None:
  sums = losses.metric_sums(
      jnp.zeros(2), losses.hits(_LOGITS, _LABELS), jnp.ones(2)
  )
  assert float(sums['top5']) == 2.0
  assert float(sums['accuracy']) == 1.0


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_non_finite_looks_at_every_number(bad: float) -> None:
  tree = {'a': np.ones((2, 3)), 'b': {'c': np.zeros(4)}}
  assert losses.non_finite(tree) == 0.0
  tree['b']['c'][3] = bad
  assert losses.non_finite(tree) == 1.0


def test_means_are_per_image() -> None:
  sums = {
      'loss': jnp.float32(6), 'accuracy': jnp.float32(1),
      'top5': jnp.float32(3), 'count': jnp.float32(4),
  }
  assert losses.means(sums) == {'loss': 1.5, 'accuracy': 0.25, 'top5': 0.75}


def test_means_of_no_image_are_empty() -> None:
  sums = dict.fromkeys(('loss', 'accuracy', 'top5', 'count'), jnp.float32(0))
  assert losses.means(sums) == {}

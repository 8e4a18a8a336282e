"""The held-out part of the training images."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from layernas.data.dataset import held_out_count
from layernas.data.dataset import held_out_mask


@pytest.mark.parametrize(
    ('examples', 'share', 'count'),
    [(1000, 0.2, 200), (10, 0.25, 2), (3, 0.01, 1), (3, 0.99, 2), (2, 0.5, 1)],
)
def test_count_rounds_and_leaves_both_parts_something(examples, share, count):
  assert held_out_count(examples, share) == count


def test_the_last_of_every_class_are_held_out():
  labels = np.array([0, 1, 0, 1, 1, 0, 1, 0, 2, 2])
  held_out = held_out_mask(labels, 0.5)
  np.testing.assert_array_equal(
      held_out, np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 1], bool)
  )


@hypothesis.given(
    st.lists(st.integers(2, 30), min_size=1, max_size=6),
    st.floats(0.01, 0.99),
    st.randoms(use_true_random=False),
)
def test_every_class_is_on_both_sides_by_its_share(counts, share, random):
  labels = np.repeat(np.arange(len(counts)), counts)
  random.shuffle(labels)
  held_out = held_out_mask(labels, share)
  for label, count in enumerate(counts):
    found = held_out[labels == label].sum()
    assert 1 <= found <= count - 1
    assert abs(found - share * count) <= 1

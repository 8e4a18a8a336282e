"""Which images make up a batch."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from layernas.data import dataset
from layernas.data.dataset import WHOLE
from layernas.data.dataset import HostShare
from layernas.data.dataset import epoch_of
from layernas.data.dataset import evaluation_rows
from layernas.data.dataset import training_rows


def test_epoch_of_counts_whole_batches():
  assert [epoch_of(step, 4, 11) for step in range(5)] == [
      (0, 0), (0, 1), (1, 0), (1, 1), (2, 0)
  ]


@hypothesis.given(
    st.integers(1, 40), st.integers(1, 10), st.integers(0, 5),
    st.lists(st.integers(0, 30), max_size=6),
)
def test_batches_are_the_same_in_any_order(examples, size, seed, steps):
  size = min(size, examples)
  straight = [
      training_rows(examples, size, seed, step).tolist() for step in range(31)
  ]
  dataset._order.cache_clear()
  for step in steps:
    found = training_rows(examples, size, seed, step).tolist()
    assert found == straight[step]


@pytest.mark.parametrize(('examples', 'size'), [(11, 4), (12, 4), (5, 5)])
def test_an_epoch_repeats_no_row_and_leaves_less_than_a_batch(examples, size):
  steps = examples // size
  epochs = []
  for epoch in range(3):
    seen = np.concatenate([
        training_rows(examples, size, 1, epoch * steps + step)
        for step in range(steps)
    ])
    assert len(set(seen)) == len(seen) == steps * size
    assert set(seen) <= set(range(examples))
    epochs.append(tuple(seen))
  assert len(set(epochs)) == 3


def test_rows_are_mixed_over_the_whole_split():
  """No buffer: an image moves as far as any other."""
  rows = training_rows(100_000, 1_000, 0, 0)
  quarters = np.bincount(rows // 25_000, minlength=4)
  assert quarters.min() > 200


@hypothesis.given(st.integers(0, 50), st.integers(1, 4), st.integers(1, 5))
def test_hosts_share_evaluation_rows_once_each(examples, hosts, local):
  size = hosts * local
  seen = []
  for number in range(-(-examples // size)):
    shares = [
        evaluation_rows(examples, size, number, HostShare(host, hosts))
        for host in range(hosts)
    ]
    assert all(len(rows) <= local for rows in shares)
    whole = evaluation_rows(examples, size, number, WHOLE)
    assert np.concatenate(shares).tolist() == whole.tolist()
    seen += whole.tolist()
  assert seen == list(range(examples))

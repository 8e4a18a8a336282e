"""What data sets are made of: rows of batches, held-out images, pixels."""

import itertools

import hypothesis
import ml_dtypes
import numpy as np
import pytest
from hypothesis import strategies as st

from layernas.data import dataset
from layernas.data.dataset import AUGMENTATION
from layernas.data.dataset import ORDER
from layernas.data.dataset import WHOLE
from layernas.data.dataset import HostShare
from layernas.data.dataset import epoch_of
from layernas.data.dataset import evaluation_rows
from layernas.data.dataset import held_out_count
from layernas.data.dataset import held_out_mask
from layernas.data.dataset import random_stream
from layernas.data.dataset import to_transfer
from layernas.data.dataset import training_rows

_FEW = hypothesis.settings(max_examples=25)


def test_a_stream_depends_on_its_key_alone():
  first = random_stream(ORDER, 3, 4).random(5)
  random_stream(ORDER, 3, 5).random(7)
  np.testing.assert_array_equal(random_stream(ORDER, 3, 4).random(5), first)


def test_streams_of_different_keys_differ():
  keys = list(itertools.product((ORDER, AUGMENTATION), range(8), range(8)))
  values = {random_stream(*key).integers(2**63) for key in keys}
  assert len(values) == len(keys)


def test_epoch_of_counts_whole_batches():
  assert [epoch_of(step, 4, 11) for step in range(5)] == [
      (0, 0), (0, 1), (1, 0), (1, 1), (2, 0)
  ]


@_FEW
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


@_FEW
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


@pytest.mark.parametrize(
    ('examples', 'share', 'count'),
    [(1000, 0.2, 200), (10, 0.25, 2), (3, 0.01, 1), (3, 0.99, 2), (2, 0.5, 1),
     (1, 0.5, 0)],
)
def test_count_rounds_and_leaves_both_parts_something(examples, share, count):
  assert held_out_count(examples, share) == count


def test_a_single_image_of_a_class_is_trained_on():
  held_out = held_out_mask(np.array([0, 1, 0]), 0.5)
  np.testing.assert_array_equal(held_out, [False, False, True])


def test_the_last_of_every_class_are_held_out():
  labels = np.array([0, 1, 0, 1, 1, 0, 1, 0, 2, 2])
  held_out = held_out_mask(labels, 0.5)
  np.testing.assert_array_equal(
      held_out, np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 1], bool)
  )


@_FEW
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


PIXELS = np.arange(256, dtype=np.uint8)


def test_float32_is_minus_one_to_one():
  found = to_transfer(np.array([0, 51, 255], np.uint8), 'float32')
  np.testing.assert_allclose(found, [-1.0, -0.6, 1.0], rtol=1e-6)


def test_bfloat16_rounds_float32():
  found = to_transfer(PIXELS, 'bfloat16')
  np.testing.assert_array_equal(
      found, to_transfer(PIXELS, 'float32').astype(ml_dtypes.bfloat16)
  )


def test_uint8_keeps_whole_levels_and_rounds_others():
  np.testing.assert_array_equal(to_transfer(PIXELS, 'uint8'), PIXELS)
  between = np.array([0.0, 0.4, 0.6, 254.4, 254.6, 255.0], np.float32)
  np.testing.assert_array_equal(
      to_transfer(between, 'uint8'), [0, 0, 1, 254, 255, 255]
  )

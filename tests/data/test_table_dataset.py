"""Dicts of arrays as a data set."""

import itertools

import numpy as np
import pytest

from layernas.data.dataset import HostShare
from layernas.data.table_dataset import TableDataset
from tests.search import problems


def made(**changes):
  arrays = {
      'x': np.arange(40, dtype=np.float32).reshape(20, 2),
      'y': np.arange(20, dtype=np.float32),
  }
  test = {name: array[:7] + 100 for name, array in arrays.items()}
  return TableDataset('mine', arrays | changes, test, 0.25)


def test_splits_part_the_examples():
  data = made()
  assert [data.num_examples(split) for split in (
      'train', 'validation', 'all_train', 'test'
  )] == [15, 5, 20, 7]
  seen = {
      split: [
          y for batch in data.evaluation_batches(split, 4)
          for y, real in zip(batch['y'], batch['mask'], strict=True) if real
      ]
      for split in ('train', 'validation')
  }
  assert sorted(seen['train'] + seen['validation']) == list(range(20))


def test_rows_stay_together_and_come_again():
  def first(count, start=0, seed=3):
    return list(itertools.islice(
        made().train_batches('train', 4, seed, start), count
    ))

  batches = first(8)
  for batch in batches:
    np.testing.assert_array_equal(batch['x'][:, 0], 2 * batch['y'])
    assert batch['mask'].tolist() == [1.0] * 4
  for here, there in zip(batches[5:], first(3, 5), strict=True):
    np.testing.assert_array_equal(here['y'], there['y'])
  # An epoch has no example twice.
  assert len({float(y) for batch in batches[:3] for y in batch['y']}) == 12
  assert any(
      (here['y'] != there['y']).any()
      for here, there in zip(batches, first(8, seed=4), strict=True)
  )


def test_hosts_share_a_batch():
  whole = next(made().train_batches('train', 4, 0))
  parts = [
      next(made().train_batches('train', 4, 0, share=HostShare(index, 2)))
      for index in range(2)
  ]
  np.testing.assert_array_equal(
      whole['x'], np.concatenate([part['x'] for part in parts])
  )
  last = list(made().evaluation_batches('test', 4, HostShare(1, 2)))[-1]
  assert last['mask'].tolist() == [1.0, 0.0]


def test_every_number_counts():
  def content(**changes):
    return made(**changes).content()

  assert content() == content()
  x = np.arange(40, dtype=np.float32).reshape(20, 2)
  assert content(x=x) == content()
  x[3, 1] += 1
  assert content(x=x) != content()


@pytest.mark.parametrize(('changes', 'parts'), [
    ({'y': np.zeros(19, np.float32)}, ["'y': 19", 'one row']),
    ({'y': np.zeros(20)}, ['float64', 'equal names, shapes and types']),
    ({'z': np.zeros(20)}, ["'z'", 'equal names']),
])
def test_arrays_that_do_not_fit_are_named(changes, parts):
  with problems.refuses('data set mine', *parts):
    made(**changes)


@pytest.mark.parametrize('name', ['mask', 'augmentation'])
def test_names_that_batches_use_are_refused(name):
  arrays = {name: np.zeros(4, np.float32)}
  with problems.refuses(f"array '{name}'", 'allowed are other names'):
    TableDataset('mine', arrays, arrays, 0.25)

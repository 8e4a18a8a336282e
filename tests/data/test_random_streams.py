"""Random numbers by key."""

import itertools

import numpy as np

from layernas.data.dataset import AUGMENTATION
from layernas.data.dataset import ORDER
from layernas.data.dataset import random_seed
from layernas.data.dataset import random_stream


def test_a_stream_depends_on_its_key_alone():
  first = random_stream(ORDER, 3, 4).random(5)
  random_stream(ORDER, 3, 5).random(7)
  np.testing.assert_array_equal(random_stream(ORDER, 3, 4).random(5), first)


def test_streams_of_different_keys_differ():
  keys = list(itertools.product((ORDER, AUGMENTATION), range(8), range(8)))
  values = {random_stream(*key).integers(2**63) for key in keys}
  assert len(values) == len(keys)


def test_seeds_fit_32_bits_and_differ():
  seeds = [random_seed(ORDER, 0, epoch) for epoch in range(1000)]
  assert len(set(seeds)) == len(seeds)
  assert all(0 <= seed < 2**31 for seed in seeds)
  assert seeds[5] == random_seed(ORDER, 0, 5)

"""Tests of layernas.networks.counting.

Against Flax, on random networks: tests/models/test_network.py.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.networks import counting
from layernas.networks.counting import Counts
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from tests.network_specs import NETWORKS


def test_counts_add_up():
  assert Counts(1, 2, 3) + Counts(10, 20, 30) == Counts(11, 22, 33)
  assert sum([Counts(1, 2, 3)] * 3, Counts()) == Counts(3, 6, 9)


@pytest.mark.parametrize(
    ('size', 'stride', 'output'),
    [(224, 2, 112), (7, 2, 4), (8, 2, 4), (7, 1, 7), (1, 2, 1), (10, 3, 4)],
)
def test_output_size(size, stride, output):
  assert counting.output_size(size, stride) == output


@given(st.integers(1, 300), st.integers(1, 4))
def test_output_size_is_the_number_of_window_starts(size, stride):
  assert counting.output_size(size, stride) == len(range(0, size, stride))


def test_stem():
  # MobileNetV2's: 3x3x3 taps to 32 filters on 112x112 outputs.
  assert counting.stem_counts(Stem(32), 224) == Counts(
      madds=112 * 112 * 27 * 32, params=27 * 32 + 64, buffers=64
  )


def test_block_without_expansion():
  # Depthwise 3x3 on 32 filters, projection to 16.
  assert counting.block_counts(InvertedResidual(16, 0), 32, 112) == Counts(
      madds=112 * 112 * (9 * 32 + 32 * 16),
      params=(9 * 32 + 64) + (32 * 16 + 32),
      buffers=64 + 32,
  )


def test_block_with_stride_expands_at_the_input_size():
  block = InvertedResidual(24, 96, kernel=5, stride=2)
  assert counting.block_counts(block, 16, 15) == Counts(
      madds=15 * 15 * 16 * 96 + 8 * 8 * (25 * 96 + 96 * 24),
      params=(16 * 96 + 192) + (25 * 96 + 192) + (96 * 24 + 48),
      buffers=192 + 192 + 48,
  )


def test_residual_costs_nothing():
  block = InvertedResidual(16, 64)
  assert block.has_residual(16)
  assert counting.block_counts(block, 16, 8) == Counts(
      madds=64 * (16 * 64 + 9 * 64 + 64 * 16),
      params=(16 * 64 + 128) + (9 * 64 + 128) + (64 * 16 + 32),
      buffers=128 + 128 + 32,
  )


@pytest.mark.parametrize(
    ('squeeze', 'units'),
    [(Squeeze(), 24), (Squeeze(of='input', divisor=1), 6)],
)
def test_squeeze_has_two_dense_layers_with_bias(squeeze, units):
  plain = counting.block_counts(InvertedResidual(40, 72), 24, 28)
  squeezed = counting.block_counts(InvertedResidual(40, 72, squeeze=squeeze), 24, 28)
  assert squeezed == plain + Counts(
      madds=2 * 72 * units, params=2 * 72 * units + units + 72, buffers=0
  )


def test_head_of_v3():
  head = Head(960, 1280, 'hard_swish')
  assert counting.head_counts(head, 160, 7, 1000) == Counts(
      madds=49 * 160 * 960 + 960 * 1280 + 1280 * 1000,
      params=(160 * 960 + 1920) + (960 * 1280 + 1280) + (1280 * 1000 + 1000),
      buffers=1920,
  )


def test_head_of_nothing_but_a_classifier():
  assert counting.head_counts(Head(0), 64, 4, 10) == Counts(640, 650, 0)


@given(NETWORKS, st.integers(1, 40), st.integers(2, 12))
def test_network_is_the_sum_of_its_modules(spec, image_size, num_classes):
  total = counting.stem_counts(spec.stem, image_size)
  size = len(range(0, image_size, spec.stem.stride))
  filters = spec.stem.filters
  for block in spec.blocks:
    total += counting.block_counts(block, filters, size)
    size, filters = len(range(0, size, block.stride)), block.filters
  total += counting.head_counts(spec.head, filters, size, num_classes)
  assert counting.count(spec, image_size, num_classes) == total


def test_image_size_changes_madds_alone():
  spec = NetworkSpec(Stem(8), (InvertedResidual(8, 16, squeeze=Squeeze()),), Head(16))
  small, large = counting.count(spec, 8, 10), counting.count(spec, 16, 10)
  assert (small.params, small.buffers) == (large.params, large.buffers)
  assert small.madds < large.madds

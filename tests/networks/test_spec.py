"""Tests of layernas.networks.spec."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.networks.spec import round_filters


# By hand from the rule of the MobileNet reference code.
@pytest.mark.parametrize(
    ('filters', 'divisor', 'rounded'),
    [
        (32, 8, 32),
        (33.6, 8, 32),  # 24 * 1.4: loses 5 %
        (22.4, 8, 24),  # 16 * 1.4
        (44.8, 8, 48),  # 32 * 1.4: loses over 10 % at 40
        (1792, 8, 1792),
        (11, 8, 16),  # 8 would lose 27 %
        (12, 8, 16),  # halves go up
        (1, 8, 8),
        (0.4, 1, 1),
        (6.0, 1, 6),
        (10, 4, 12),
    ],
)
def test_rounding(filters, divisor, rounded):
  assert round_filters(filters, divisor) == rounded


@given(st.floats(0.5, 3000), st.sampled_from([1, 2, 4, 8, 16]))
def test_rounded_filters_are_near_multiples(filters, divisor):
  rounded = round_filters(filters, divisor)
  assert rounded % divisor == 0
  assert rounded >= 0.9 * filters
  assert rounded <= max(divisor, filters + divisor)


def test_no_expansion_keeps_the_input_filters():
  assert InvertedResidual(16, 0).depthwise_filters(24) == 24
  assert InvertedResidual(16, 96).depthwise_filters(24) == 96


@pytest.mark.parametrize(
    ('stride', 'input_filters', 'expected'),
    [(1, 16, True), (2, 16, False), (1, 24, False), (2, 24, False)],
)
def test_residual_needs_stride_one_and_equal_filters(
    stride, input_filters, expected
):
  block = InvertedResidual(16, 64, stride=stride)
  assert block.has_residual(input_filters) is expected


def test_squeeze_filters_of_v3_and_of_mnasnet():
  assert Squeeze().filters(24, 72) == 24  # 18 rounded to 16 would lose 11 %
  assert Squeeze().filters(40, 120) == 32
  assert Squeeze(of='input', divisor=1).filters(24, 72) == 6


def test_total_stride_and_input_filters():
  spec = NetworkSpec(
      Stem(12, stride=2), (InvertedResidual(16, 0, stride=2), InvertedResidual(24, 64)), Head()
  )
  assert spec.total_stride == 4
  assert [spec.input_filters(index) for index in range(3)] == [12, 16, 24]


def test_specs_are_values():
  spec = NetworkSpec(Stem(), (InvertedResidual(8, 16, squeeze=Squeeze()),), Head())
  same = NetworkSpec(Stem(), (InvertedResidual(8, 16, squeeze=Squeeze()),), Head())
  assert {spec: 1}[same] == 1
  with pytest.raises(dataclasses.FrozenInstanceError):
    spec.stem = Stem(16)

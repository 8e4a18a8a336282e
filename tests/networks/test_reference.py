"""Published networks, their variants, and the width multiplier."""

import dataclasses

import pytest

from layernas.networks import reference
from layernas.networks.counting import Counts
from layernas.networks.reference import PUBLISHED_NETWORKS
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.reference import mobilenet_v2
from layernas.networks.reference import mobilenet_v3_large
from layernas.networks.reference import mobilenet_v3_small
from layernas.networks.reference import scale_filters
from layernas.networks.reference import width_multiplier
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem

# MAdds, parameters and batch norm statistics at 224 pixels and 1000 classes,
# computed from the networks of timm 1.0.31.
_COUNTS = {
    'mobilenet_v2': Counts(300_774_272, 3_504_872, 34_112),
    'mobilenet_v2_1.4': Counts(582_195_824, 6_108_776, 47_936),
    'mobilenet_v3_large': Counts(216_589_760, 5_483_032, 24_400),
    'mobilenet_v3_small': Counts(56_510_400, 2_542_856, 12_112),
    'mnasnet_a1': Counts(311_579_072, 3_887_038, 33_488),
    # The above with or without squeezes: 2 e s MAdds and 2 e s + e + s
    # parameters for each of e filters and s squeeze filters.
    'mobilenet_v2_se': Counts(303_032_704, 5_772_232, 34_112),
    'mobilenet_v2_1.4_se': Counts(586_672_496, 10_598_024, 47_936),
    'mobilenet_v3_large_no_se': Counts(215_082_560, 3_970_752, 24_400),
    'mobilenet_v3_small_no_se': Counts(56_051_648, 2_081_216, 12_112),
    'mnasnet_a1_no_se': Counts(311_325_344, 3_629_072, 33_488),
}


def test_every_named_network_has_counts():
  assert set(_COUNTS) == set(REFERENCE_NETWORKS)
  assert set(PUBLISHED_NETWORKS) <= set(REFERENCE_NETWORKS)


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
def test_counts(name):
  assert REFERENCE_NETWORKS[name].counts(224, 1000) == _COUNTS[name]


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
def test_shape(name):
  network = REFERENCE_NETWORKS[name]
  assert network.total_stride == 32
  residuals = [
      block.has_residual(network.input_filters(index))
      for index, block in enumerate(network.blocks)
  ]
  # Blocks and shortcuts, counted in the papers' tables.
  assert (len(residuals), sum(residuals)) == {
      'mobilenet_v2': (17, 10),
      'mobilenet_v2_1.4': (17, 10),
      'mobilenet_v3_large': (15, 10),
      'mobilenet_v3_small': (11, 6),
      'mnasnet_a1': (16, 9),
  }[name.removesuffix('_no_se').removesuffix('_se')]


def test_v2_expands_the_rounded_filters():
  network = mobilenet_v2(1.4)
  assert network.stem.filters == 48
  assert [block.filters for block in network.blocks[:4]] == [24, 32, 32, 48]
  assert [block.expanded for block in network.blocks[:4]] == [0, 144, 192, 192]


@pytest.mark.parametrize(
    ('width', 'filters'), [(0.35, 1280), (1.0, 1280), (1.4, 1792)]
)
def test_v2_head_grows_and_does_not_shrink(width, filters):
  assert mobilenet_v2(width).head.filters == filters


_NETWORK = NetworkSpec(
    Stem(16, 5, 1),
    (InvertedResidual(16, 0), InvertedResidual(24, 72, 5, 2, 'hard_swish')),
    Head(100, 50),
)


@pytest.mark.parametrize(('multiplier', 'divisor', 'filters', 'head'), [
    # 12 rounds up to 16, and 36 to 40; a head does not shrink.
    (0.5, 8, (8, 8, 16, 40), Head(100, 50)),
    (0.5, 4, (8, 8, 12, 36), Head(100, 50)),
    (1.5, 8, (24, 24, 40, 112), Head(152, 72)),
])
def test_scaled_width(multiplier, divisor, filters, head) -> None:
  stem, first, second, expanded = filters
  assert scale_filters(_NETWORK, multiplier, divisor) == NetworkSpec(
      Stem(stem, 5, 1),
      (
          InvertedResidual(first, 0),
          InvertedResidual(second, expanded, 5, 2, 'hard_swish'),
      ),
      head,
  )
  # What is missing stays missing.
  assert scale_filters(
      dataclasses.replace(_NETWORK, head=Head(0, 0)), multiplier
  ).head == Head(0, 0)


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
def test_multiplier_of_one_changes_nothing(name):
  network = REFERENCE_NETWORKS[name]
  assert scale_filters(network, 1.0) == network
  assert width_multiplier(network, 1.0) == network


# Million MAdds and parameters at 224 pixels: the table of TF-slim's MobileNetV2
# and of the MobileNetV3 paper (tables 3 and 4; small 0.75 as in TF-slim).
_PUBLISHED_WIDTHS = [
    (mobilenet_v2, 0.35, 59, 1.66),
    (mobilenet_v2, 0.5, 97, 1.95),
    (mobilenet_v2, 0.75, 209, 2.61),
    (mobilenet_v2, 1.3, 509, 5.34),
    (mobilenet_v2, 1.4, 582, 6.06),
    (mobilenet_v3_large, 0.75, 155, 4.0),
    (mobilenet_v3_small, 0.75, 44, 2.0),
]


@pytest.mark.parametrize(
    ('network', 'width', 'madds', 'params'), _PUBLISHED_WIDTHS
)
def test_published_widths(network, width, madds, params) -> None:
  found = width_multiplier(network(), width).counts(224, 1000)
  assert found.madds / 1e6 == pytest.approx(madds, abs=0.8)
  assert found.params / 1e6 == pytest.approx(params, rel=0.03)


@pytest.mark.parametrize(('width', 'madds', 'params'), [
    # 97, 209 and 582 in the table above; kept to the last one.
    (0.5, 97_131_840, 1_968_680), (0.75, 209_069_792, 2_636_424),
    (1.4, 582_195_824, 6_108_776),
])
def test_the_integers_of_published_widths(width, madds, params) -> None:
  found = width_multiplier(mobilenet_v2(), width).counts(224, 1000)
  assert (found.madds, found.params) == (madds, params)


@pytest.mark.parametrize('width', [0.1, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4, 2.0])
def test_v2_is_built_by_the_same_rule(width) -> None:
  assert width_multiplier(mobilenet_v2(), width) == mobilenet_v2(width)


def test_the_proportional_rule_is_another() -> None:
  found = scale_filters(mobilenet_v2(), 0.75).counts(224, 1000)
  assert found.madds == 192_812_768


def test_mnasnet_squeezes_a_quarter_of_its_input():
  block = reference.mnasnet_a1().blocks[3]
  assert block.squeeze.filters(24, block.expanded) == 6


def test_squeeze_in_every_block_or_none() -> None:
  squeeze = Squeeze(gate='sigmoid')
  network = reference.with_squeeze(mobilenet_v2(), squeeze)
  assert {block.squeeze for block in network.blocks} == {squeeze}
  assert reference.with_squeeze(network, None) == mobilenet_v2()


def test_activation_everywhere_but_in_the_squeeze() -> None:
  network = reference.with_activation(mobilenet_v3_large(), 'swish')
  assert network.stem.activation == network.head.activation == 'swish'
  assert {block.activation for block in network.blocks} == {'swish'}
  published = mobilenet_v3_large()
  assert [block.squeeze for block in network.blocks] == [
      block.squeeze for block in published.blocks
  ]
  assert network.counts(224, 1000) == published.counts(224, 1000)


def test_plain_and_squeezed() -> None:
  network = reference.plain(mobilenet_v3_large())
  assert network.stem.activation == network.head.activation == 'relu'
  assert {(b.activation, b.squeeze) for b in network.blocks} == {('relu', None)}
  network = reference.squeezed(mobilenet_v2())
  assert {(b.activation, b.squeeze) for b in network.blocks} == {
      ('hard_swish', Squeeze())
  }

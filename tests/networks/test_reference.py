"""Published networks, their variants, and the width multiplier."""

import pytest

from layernas.networks import reference
from layernas.networks.counting import Counts
from layernas.networks.reference import PUBLISHED_NETWORKS
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.reference import mobilenet_v2
from layernas.networks.reference import mobilenet_v3_large
from layernas.networks.reference import scale_width
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.networks.spec import count

# MAdds, parameters and batch norm statistics at 224 pixels and 1000 classes,
# computed from the networks of timm 1.0.31.
_COUNTS = {
    'mobilenet_v2': Counts(300_774_272, 3_504_872, 34_112),
    'mobilenet_v2_1.4': Counts(582_195_824, 6_108_776, 47_936),
    'mobilenet_v3_large': Counts(216_589_760, 5_483_032, 24_400),
    'mobilenet_v3_small': Counts(56_510_400, 2_542_856, 12_112),
    'mnasnet_a1': Counts(311_579_072, 3_887_038, 33_488),
    # The above with or without squeezes; see the squeezes below.
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
  assert count(REFERENCE_NETWORKS[name], 224, 1000) == _COUNTS[name]


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


def test_scaled_down():
  assert scale_width(_NETWORK, 0.5) == NetworkSpec(
      Stem(8, 5, 1),
      # 12 rounds up to 16, and 36 to 40.
      (InvertedResidual(8, 0), InvertedResidual(16, 40, 5, 2, 'hard_swish')),
      Head(100, 50),
  )


def test_scaled_up():
  assert scale_width(_NETWORK, 1.5) == NetworkSpec(
      Stem(24, 5, 1),
      (InvertedResidual(24, 0), InvertedResidual(40, 112, 5, 2, 'hard_swish')),
      Head(152, 72),
  )


def test_scaled_to_another_divisor():
  scaled = scale_width(_NETWORK, 0.5, divisor=4)
  assert [block.filters for block in scaled.blocks] == [8, 12]
  assert scaled.blocks[1].expanded == 36


def test_missing_head_convolution_stays_missing():
  network = NetworkSpec(Stem(), (InvertedResidual(16, 0),), Head(0, 0))
  assert scale_width(network, 2.0).head == Head(0, 0)


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
def test_multiplier_of_one_changes_nothing(name):
  network = REFERENCE_NETWORKS[name]
  assert scale_width(network, 1.0) == network


def test_scaling_grows_the_cost_with_the_multiplier():
  madds = [
      count(scale_width(mobilenet_v2(), width), 224, 1000).madds
      for width in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
  ]
  assert madds == sorted(set(madds))


def test_mnasnet_squeezes_a_quarter_of_its_input():
  block = reference.mnasnet_a1().blocks[3]
  assert block.squeeze.filters(24, block.expanded) == 6


# (expanded filters, squeeze filters) of the squeezes of each pair: the filters
# of the papers' tables and, by hand, a quarter of them rounded to multiples of
# 8, not below 90 %; in MnasNet a quarter of the block's input.
_SQUEEZES = {
    ('mobilenet_v3_large', 'mobilenet_v3_large_no_se'): (
        (72, 24), (120, 32), (120, 32), (480, 120), (672, 168), (672, 168),
        (960, 240), (960, 240),
    ),
    ('mobilenet_v3_small', 'mobilenet_v3_small_no_se'): (
        (16, 8), (96, 24), (240, 64), (240, 64), (120, 32), (144, 40),
        (288, 72), (576, 144), (576, 144),
    ),
    ('mnasnet_a1', 'mnasnet_a1_no_se'): (
        (72, 6), (120, 10), (120, 10), (480, 20), (672, 28), (672, 28),
        (960, 40), (960, 40),
    ),
    ('mobilenet_v2_se', 'mobilenet_v2'): (
        (32, 8), (96, 24), (144, 40), (144, 40), (192, 48), (192, 48),
        (192, 48), *[(384, 96)] * 4, (576, 144), (576, 144), (576, 144),
        (960, 240), (960, 240), (960, 240),
    ),
    ('mobilenet_v2_1.4_se', 'mobilenet_v2_1.4'): (
        (48, 16), (144, 40), (192, 48), (192, 48), *[(288, 72)] * 3,
        *[(528, 136)] * 4, *[(816, 208)] * 3, *[(1344, 336)] * 3,
    ),
}


@pytest.mark.parametrize('pair', _SQUEEZES)
def test_variants_differ_by_their_squeezes(pair: tuple[str, str]) -> None:
  squeezed, plain = (
      count(REFERENCE_NETWORKS[name], 224, 1000) for name in pair
  )
  # Two dense layers with bias each.
  expected = sum(
      (Counts(2 * e * s, 2 * e * s + e + s) for e, s in _SQUEEZES[pair]),
      plain,
  )
  assert squeezed == expected


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
  assert count(network, 224, 1000) == count(published, 224, 1000)


def test_plain_and_squeezed() -> None:
  network = reference.plain(mobilenet_v3_large())
  assert network.stem.activation == network.head.activation == 'relu'
  assert {(b.activation, b.squeeze) for b in network.blocks} == {('relu', None)}
  network = reference.squeezed(mobilenet_v2())
  assert {(b.activation, b.squeeze) for b in network.blocks} == {
      ('hard_swish', Squeeze())
  }

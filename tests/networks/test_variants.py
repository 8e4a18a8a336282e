"""Tests of layernas.networks.reference."""

import pytest

from layernas.networks import reference as variants
from layernas.networks.counting import Counts
from layernas.networks.counting import count
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.reference import mobilenet_v2
from layernas.networks.reference import mobilenet_v3_large
from layernas.networks.spec import Squeeze

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
  network = variants.with_squeeze(mobilenet_v2(), squeeze)
  assert {block.squeeze for block in network.blocks} == {squeeze}
  assert variants.with_squeeze(network, None) == mobilenet_v2()


def test_activation_everywhere_but_in_the_squeeze() -> None:
  network = variants.with_activation(mobilenet_v3_large(), 'swish')
  assert network.stem.activation == network.head.activation == 'swish'
  assert {block.activation for block in network.blocks} == {'swish'}
  reference = mobilenet_v3_large()
  assert [block.squeeze for block in network.blocks] == [
      block.squeeze for block in reference.blocks
  ]
  assert count(network, 224, 1000) == count(reference, 224, 1000)


def test_plain_and_squeezed() -> None:
  network = variants.plain(mobilenet_v3_large())
  assert network.stem.activation == network.head.activation == 'relu'
  assert {(b.activation, b.squeeze) for b in network.blocks} == {('relu', None)}
  network = variants.squeezed(mobilenet_v2())
  assert {(b.activation, b.squeeze) for b in network.blocks} == {
      ('hard_swish', Squeeze())
  }

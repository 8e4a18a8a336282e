"""Published networks as data, their variants, and two rules of width.

All are networks of inverted residuals. A variant has squeeze-and-excite in
every block or in none, and other activations.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.networks.spec import round_filters

# (expansion, filters, repeats, stride of the first), arXiv 1801.04381 table 2.
_MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

# (kernel, expanded, filters, squeeze, activation, stride), arXiv 1905.02244
# tables 1 and 2; an expansion from 16 to 16 filters is left out.
_MOBILENET_V3_LARGE = (
    (3, 0, 16, False, 'relu', 1),
    (3, 64, 24, False, 'relu', 2),
    (3, 72, 24, False, 'relu', 1),
    (5, 72, 40, True, 'relu', 2),
    (5, 120, 40, True, 'relu', 1),
    (5, 120, 40, True, 'relu', 1),
    (3, 240, 80, False, 'hard_swish', 2),
    (3, 200, 80, False, 'hard_swish', 1),
    (3, 184, 80, False, 'hard_swish', 1),
    (3, 184, 80, False, 'hard_swish', 1),
    (3, 480, 112, True, 'hard_swish', 1),
    (3, 672, 112, True, 'hard_swish', 1),
    (5, 672, 160, True, 'hard_swish', 2),
    (5, 960, 160, True, 'hard_swish', 1),
    (5, 960, 160, True, 'hard_swish', 1),
)
_MOBILENET_V3_SMALL = (
    (3, 0, 16, True, 'relu', 2),
    (3, 72, 24, False, 'relu', 2),
    (3, 88, 24, False, 'relu', 1),
    (5, 96, 40, True, 'hard_swish', 2),
    (5, 240, 40, True, 'hard_swish', 1),
    (5, 240, 40, True, 'hard_swish', 1),
    (5, 120, 48, True, 'hard_swish', 1),
    (5, 144, 48, True, 'hard_swish', 1),
    (5, 288, 96, True, 'hard_swish', 2),
    (5, 576, 96, True, 'hard_swish', 1),
    (5, 576, 96, True, 'hard_swish', 1),
)

# (kernel, expansion, filters, squeeze, repeats, stride of the first),
# arXiv 1807.11626 figure 7.
_MNASNET_A1 = (
    (3, 1, 16, False, 1, 1),
    (3, 6, 24, False, 2, 2),
    (5, 3, 40, True, 3, 2),
    (3, 6, 80, False, 4, 2),
    (3, 6, 112, True, 2, 1),
    (5, 6, 160, True, 3, 2),
    (3, 6, 320, False, 1, 1),
)


def mobilenet_v2(width: float = 1.0) -> NetworkSpec:
  """MobileNetV2 (Sandler et al., 2018).

  Args:
    width: multiplier of all filters; the last convolution's 1280 grow with a
      width above one and do not shrink with one below.

  Returns:
    The network.
  """
  stem = Stem(round_filters(32 * width))
  blocks: list[InvertedResidual] = []
  for expansion, base, repeats, stride in _MOBILENET_V2:
    before = blocks[-1].filters if blocks else stem.filters
    first = InvertedResidual(round_filters(base * width), 0, stride=stride)
    blocks.extend(_stage(first, before, expansion, repeats))
  return NetworkSpec(
      stem, tuple(blocks), Head(round_filters(1280 * max(1.0, width)))
  )


def mobilenet_v3_large() -> NetworkSpec:
  """MobileNetV3-Large (Howard et al., 2019)."""
  return _mobilenet_v3(_MOBILENET_V3_LARGE, Head(960, 1280, 'hard_swish'))


def mobilenet_v3_small() -> NetworkSpec:
  """MobileNetV3-Small (Howard et al., 2019)."""
  return _mobilenet_v3(_MOBILENET_V3_SMALL, Head(576, 1024, 'hard_swish'))


def mnasnet_a1() -> NetworkSpec:
  """MnasNet-A1 (Tan et al., 2019).

  Its squeeze filters are a quarter of the block's input, not rounded.
  """
  stem = Stem(32, activation='relu')
  squeeze = Squeeze(of='input', divisor=1, gate='sigmoid')
  blocks: list[InvertedResidual] = []
  for kernel, expansion, filters, squeezed, repeats, stride in _MNASNET_A1:
    before = blocks[-1].filters if blocks else stem.filters
    first = InvertedResidual(
        filters, 0, kernel, stride, 'relu', squeeze if squeezed else None
    )
    blocks.extend(_stage(first, before, expansion, repeats))
  return NetworkSpec(stem, tuple(blocks), Head(1280, activation='relu'))


def scale_filters(
    network: NetworkSpec, multiplier: float, divisor: int = 8
) -> NetworkSpec:
  """A network with all its filters multiplied: proportional scaling.

  Expanded filters are multiplied like all others, so that the network grows
  evenly in small steps. The networks that are published at other widths follow
  `width_multiplier`.

  Args:
    network: to scale.
    multiplier: of stem, base and expanded filters; of the head's only where it
      is above one, else the head stays (MobileNetV2's rule).
    divisor: multiplied filters are rounded to multiples of it.

  Returns:
    The scaled network.
  """

  def scale(filters: int) -> int:
    return round_filters(filters * multiplier, divisor) if filters else 0

  return NetworkSpec(
      network.stem.scaled(scale),
      tuple(block.scaled(scale) for block in network.blocks),
      network.head.scaled(scale) if multiplier > 1 else network.head,
  )


def width_multiplier(
    network: NetworkSpec, multiplier: float, divisor: int = 8
) -> NetworkSpec:
  """A network at another width, as MobileNetV2 and V3 are published.

  Base filters are multiplied and rounded; a block expands the rounded filters
  of its input by its old ratio. What comes right before the classifier grows
  with a multiplier above one and does not shrink with one below.

  Args:
    network: to scale.
    multiplier: its width.
    divisor: filters are rounded to multiples of it.

  Returns:
    The scaled network.
  """

  def scale(filters: int) -> int:
    return round_filters(filters * multiplier, divisor) if filters else 0

  stem, blocks = network.stem.scaled(scale), []
  before, after = network.stem.filters, stem.filters
  for block in network.blocks:
    scaled = block.scaled(scale)
    if isinstance(block, InvertedResidual) and block.expanded:
      expanded = round_filters(after * block.expanded / before, divisor)
      scaled = dataclasses.replace(scaled, expanded=expanded)
    blocks.append(scaled)
    before, after = block.filters, scaled.filters
  head = network.head.scaled(scale)
  if multiplier < 1:
    last = 'hidden' if network.head.hidden else 'filters'
    kept = {last: getattr(network.head, last)}
    head = dataclasses.replace(head, **kept)
  return NetworkSpec(stem, tuple(blocks), head)


WIDTH_RULES = {'proportional': scale_filters, 'published': width_multiplier}
"""Allowed values of `reference.rule`."""


def with_squeeze(
    network: NetworkSpec, squeeze: Squeeze | None
) -> NetworkSpec:
  """A network with the same squeeze-and-excite in every block.

  Args:
    network: to change.
    squeeze: for all blocks; None takes it out of those that have one.

  Returns:
    The changed network.
  """
  return _with_blocks(network, squeeze=squeeze)


def with_activation(network: NetworkSpec, activation: str) -> NetworkSpec:
  """A network with one activation in stem, blocks and head.

  Args:
    network: to change; gates and activations inside its squeezes stay.
    activation: one of `spec.ACTIVATIONS`.

  Returns:
    The changed network.
  """
  return dataclasses.replace(
      _with_blocks(network, activation=activation),
      stem=dataclasses.replace(network.stem, activation=activation),
      head=dataclasses.replace(network.head, activation=activation),
  )


def squeezed(network: NetworkSpec) -> NetworkSpec:
  """A network with MobileNetV3's squeeze in every block, and hard-swish."""
  return with_activation(with_squeeze(network, Squeeze()), 'hard_swish')


def plain(network: NetworkSpec) -> NetworkSpec:
  """A network without squeeze-and-excite, with ReLU everywhere."""
  return with_activation(with_squeeze(network, None), 'relu')


def _stage(
    first: InvertedResidual, before: int, expansion: int, repeats: int
) -> Iterator[InvertedResidual]:
  """A block and its repetitions at stride 1, expanding their inputs."""
  for index in range(repeats):
    yield dataclasses.replace(
        first,
        expanded=before * expansion if expansion > 1 else 0,
        stride=1 if index else first.stride,
    )
    before = first.filters


def _mobilenet_v3(
    rows: tuple[tuple[int, int, int, bool, str, int], ...], head: Head
) -> NetworkSpec:
  blocks = tuple(
      InvertedResidual(
          filters, expanded, kernel, stride, activation,
          Squeeze() if squeezed else None,
      )
      for kernel, expanded, filters, squeezed, activation, stride in rows
  )
  return NetworkSpec(Stem(16, activation='hard_swish'), blocks, head)


def _with_blocks(network: NetworkSpec, **fields: Any) -> NetworkSpec:
  blocks = tuple(
      dataclasses.replace(block, **fields) for block in network.blocks
  )
  return dataclasses.replace(network, blocks=blocks)


PUBLISHED_NETWORKS = {
    'mobilenet_v2': mobilenet_v2(),
    'mobilenet_v2_1.4': mobilenet_v2(1.4),
    'mobilenet_v3_large': mobilenet_v3_large(),
    'mobilenet_v3_small': mobilenet_v3_small(),
    'mnasnet_a1': mnasnet_a1(),
}
"""As their papers have them."""

REFERENCE_NETWORKS = PUBLISHED_NETWORKS | {
    'mobilenet_v2_se': squeezed(mobilenet_v2()),
    'mobilenet_v2_1.4_se': squeezed(mobilenet_v2(1.4)),
    'mobilenet_v3_large_no_se': plain(mobilenet_v3_large()),
    'mobilenet_v3_small_no_se': plain(mobilenet_v3_small()),
    'mnasnet_a1_no_se': plain(mnasnet_a1()),
}
"""Named networks that experiments/train.py accepts."""

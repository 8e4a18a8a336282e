"""Search spaces that come with the package; their option lists are our own.

Most lie around the published MobileNets. As in the LayerNAS paper, the first
layers decide the base filters that the blocks of a stage share, one layer per
stage, so that shortcuts keep matching widths; then one layer per block decides
kernel and expanded filters. Stem, head, depth, strides, squeeze-and-excite and
activations are those of the reference network, which is the default
architecture of its space.

The paper's lists are not known. These are integers around the reference,
multiples of 8 as the networks themselves round:

- MobileNetV3-Small is cut to the published size, about 5e20 networks and 1,200
  options: narrow lists in the early blocks, whose filters are costly, and from
  a third to the double in the last stage, where they cost few MAdds.
- The others take a half to one and a half of every expansion, in eighths.
"""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Sequence

from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.space import DEPTH
from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.networks.spec import round_filters


def filters_layer(
    name: str, blocks: Sequence[int], filters: Sequence[int], default: int
) -> NetworkLayer:
  """A layer that decides the base filters which some blocks share.

  Args:
    name: of the layer.
    blocks: numbers of the blocks of a stage.
    filters: options.
    default: the filters that stand while the layer is undecided.

  Returns:
    The layer.
  """
  return NetworkLayer(
      name,
      tuple(f'block{block}' for block in blocks),
      tuple({'filters': count} for count in filters),
      list(filters).index(default),
  )


def block_layer(
    block: int, pairs: Sequence[tuple[int, int]], default: tuple[int, int]
) -> NetworkLayer:
  """A layer that decides kernel and expanded filters of one block.

  Args:
    block: its number.
    pairs: options, (kernel, expanded filters).
    default: the pair that stands while the layer is undecided.

  Returns:
    The layer.
  """
  return NetworkLayer(
      f'block{block}',
      (f'block{block}',),
      tuple({'kernel': kernel, 'expanded': count} for kernel, count in pairs),
      list(pairs).index(default),
  )


KERNELS = (3, 5, 7)
"""Of every searched block."""

# Expanded filters as shares of the reference's.
_SHARES = (0.5, 0.625, 0.75, 0.875, 1.0, 1.125, 1.25, 1.375, 1.5)


def _around(expanded: int) -> tuple[int, ...]:
  """Expanded filters around those of a reference block."""
  return tuple(sorted({round_filters(expanded * share) for share in _SHARES}))


def _eights(low: int, high: int) -> tuple[int, ...]:
  """Multiples of 8 from `low` to `high`, both included."""
  return tuple(range(low, high + 1, 8))


@dataclasses.dataclass(frozen=True)
class Stage:
  """Options of one stage.

  Attributes:
    filters: base filters, shared by the blocks of the stage.
    expanded: for each block the expanded filters; (0,) where the reference has
      no expansion convolution and none is searched.
  """

  filters: tuple[int, ...]
  expanded: tuple[tuple[int, ...], ...]


def _stage(filters: Sequence[int], *expanded: int) -> Stage:
  """A stage with the options around the reference's expanded filters."""
  return Stage(
      tuple(filters),
      tuple(_around(count) if count else (0,) for count in expanded),
  )


_V3_SMALL = (
    Stage((8, 16, 24), ((0,),)),
    Stage((16, 24, 32), (_eights(48, 96), _eights(64, 112))),
    Stage(
        (32, 40, 48), (_eights(72, 120), _eights(160, 320), _eights(160, 320))
    ),
    Stage((40, 48, 56), (_eights(96, 144), _eights(120, 168))),
    Stage(
        (80, 88, 96, 104, 112),
        (_eights(96, 576), _eights(192, 1152), _eights(192, 1152)),
    ),
)
_V3_LARGE = (
    _stage((8, 16, 24), 0),
    _stage((16, 24, 32), 64, 72),
    _stage((32, 40, 48), 72, 120, 120),
    _stage((64, 72, 80, 88, 96), 240, 200, 184, 184),
    _stage((96, 104, 112, 120, 128), 480, 672),
    _stage((128, 144, 160, 176, 192), 672, 960, 960),
)
_V2 = (
    _stage((8, 16, 24), 0),
    _stage((16, 24, 32), 96, 144),
    _stage((24, 32, 40), 144, 192, 192),
    _stage((48, 56, 64, 72, 80), 192, 384, 384, 384),
    _stage((80, 88, 96, 104, 112), 384, 576, 576),
    _stage((128, 144, 160, 176, 192), 576, 960, 960),
    _stage((256, 288, 320, 352, 384), 960),
)
_V2_1_4 = (
    _stage((16, 24, 32), 0),
    _stage((24, 32, 40), 144, 192),
    _stage((40, 48, 56), 192, 288, 288),
    _stage((72, 80, 88, 96, 104), 288, 528, 528, 528),
    _stage((120, 128, 136, 144, 152), 528, 816, 816),
    _stage((192, 208, 224, 240, 256), 816, 1344, 1344),
    _stage((384, 416, 448, 480, 512), 1344),
)
_MNASNET_A1 = (
    _stage((8, 16, 24), 0),
    _stage((16, 24, 32), 96, 144),
    _stage((32, 40, 48), 72, 120, 120),
    _stage((64, 72, 80, 88, 96), 240, 480, 480, 480),
    _stage((96, 104, 112, 120, 128), 480, 672),
    _stage((128, 144, 160, 176, 192), 672, 960, 960),
    _stage((256, 288, 320, 352, 384), 960),
)

STAGES = {
    'mobilenet_v3_small': _V3_SMALL,
    'mobilenet_v3_small_no_se': _V3_SMALL,
    'mobilenet_v3_large': _V3_LARGE,
    'mobilenet_v3_large_no_se': _V3_LARGE,
    'mobilenet_v2': _V2,
    'mobilenet_v2_se': _V2,
    'mobilenet_v2_1.4': _V2_1_4,
    'mobilenet_v2_1.4_se': _V2_1_4,
    'mnasnet_a1': _MNASNET_A1,
    'mnasnet_a1_no_se': _MNASNET_A1,
}
"""Options by the name of the reference network, one entry per stage."""


def stagewise_space(
    base: NetworkSpec, stages: Sequence[Stage],
    kernels: Sequence[int] = KERNELS,
) -> NetworkSpace:
  """The space over shared base filters, kernels and expanded filters.

  Args:
    base: reference network; every list of options holds its value.
    stages: their blocks together are those of `base`, in forward order.
    kernels: options of every block.

  Returns:
    The space; its default is `base`.

  Raises:
    ValueError: stages and base do not fit.
  """
  blocks = [options for stage in stages for options in stage.expanded]
  first, shared = 0, []
  for number, stage in enumerate(stages):
    members = range(first, first + len(stage.expanded))
    shared.append(filters_layer(
        f'stage{number}', members, stage.filters, base.blocks[first].filters
    ))
    first += len(members)
  own = (
      block_layer(
          index,
          [(kernel, count) for kernel in kernels for count in options],
          (block.kernel, block.expanded),
      )
      for index, (block, options) in enumerate(
          zip(base.blocks, blocks, strict=True)
      )
  )
  return NetworkSpace(base, (*shared, *own))


def mobilenet_space(name: str) -> NetworkSpace:
  """The space around a reference network.

  Args:
    name: a key of `STAGES`.

  Returns:
    The space.
  """
  return stagewise_space(REFERENCE_NETWORKS[name], STAGES[name])


def cifar10_small() -> NetworkSpace:
  """Seven layers over a small MobileNetV2 for 32-pixel images.

  First the base filters that the blocks of a stage share, then kernel and
  expanded filters of four blocks. The default has kernel 3 throughout and
  expanded filters three to four times the base filters.
  """
  base = NetworkSpec(
      Stem(16, stride=2),
      (
          InvertedResidual(16, 48),
          InvertedResidual(24, 96, stride=2),
          InvertedResidual(24, 96),
          InvertedResidual(48, 144, stride=2),
          InvertedResidual(48, 192),
      ),
      Head(192),
  )
  return NetworkSpace(
      base,
      (
          filters_layer('stage1', (0,), (8, 16, 24), 16),
          filters_layer('stage2', (1, 2), (16, 24, 32), 24),
          filters_layer('stage3', (3, 4), (32, 48, 64), 48),
          block_layer(0, ((3, 24), (3, 48), (5, 24)), (3, 48)),
          block_layer(1, ((3, 48), (3, 96), (5, 48)), (3, 96)),
          block_layer(3, ((3, 72), (3, 144), (5, 144)), (3, 144)),
          block_layer(4, ((3, 96), (3, 192), (5, 192)), (3, 192)),
      ),
  )


@dataclasses.dataclass(frozen=True)
class SharedStage:
  """Options of a stage whose blocks share every decision, as in MnasNet.

  Attributes:
    filters: base filters.
    kernels: of the depthwise convolutions.
    expanded: expanded filters.
    depths: how many blocks.
    default: of filters, expanded filters and depth; the default's kernel is 3,
      and it has no squeeze-and-excite.
    stride: of the first block.
  """

  filters: tuple[int, ...]
  kernels: tuple[int, ...]
  expanded: tuple[int, ...]
  depths: tuple[int, ...]
  default: tuple[int, int, int]
  stride: int


_CIFAR10_STAGES = (
    SharedStage(
        (8, 16, 24), (3, 5, 7), (16, 24, 32, 48), (1, 2), (16, 48, 1), stride=1
    ),
    SharedStage(
        (16, 24, 32), (3, 5, 7), (48, 72, 96), (1, 2, 3), (24, 72, 2), stride=2
    ),
    SharedStage(
        (24, 32, 48, 64), (3, 5), (64, 96, 144, 192), (1, 2, 3), (32, 96, 2),
        stride=2,
    ),
)


def cifar10_stages() -> NetworkSpace:
  """Fifteen layers over a small MobileNetV2 for 32-pixel images.

  For each of three stages, as in MnasNet's space: base filters, kernel,
  expanded filters, squeeze-and-excite (without or with) and the number of
  blocks. The default is a plain MobileNetV2: 16, 24 and 32 base filters, of
  which the blocks expand three times as many, kernel 3.
  """
  blocks: list[InvertedResidual] = []
  layers: list[NetworkLayer] = []
  for number, stage in enumerate(_CIFAR10_STAGES, start=1):
    filters, expanded, depth = stage.default
    names = tuple(
        f'block{len(blocks) + index}' for index in range(max(stage.depths))
    )
    first = InvertedResidual(filters, expanded, stride=stage.stride)
    rest = dataclasses.replace(first, stride=1)
    blocks += [first, *[rest] * (len(names) - 1)]
    for field, options, default in (
        ('filters', stage.filters, filters),
        ('kernel', stage.kernels, 3),
        ('expanded', stage.expanded, expanded),
        ('squeeze', (None, Squeeze()), None),
        (DEPTH, stage.depths, depth),
    ):
      layers.append(NetworkLayer(
          f'{field}{number}', names,
          tuple({field: option} for option in options),
          options.index(default),
      ))
  base = NetworkSpec(Stem(16), tuple(blocks), Head(192))
  return NetworkSpace(base, layers)


def cifar10_large() -> NetworkSpace:
  """`cifar10_stages` with the filters of stem and head: seventeen layers.

  The stem comes first, the head last; the default is the same network.
  """
  stages = cifar10_stages()
  stem, head = (
      NetworkLayer(
          name, (name,), tuple({'filters': filters} for filters in options), 1
      )
      for name, options in (('stem', (8, 16, 24)), ('head', (96, 192, 384)))
  )
  return NetworkSpace(stages.base, (stem, *stages.layers, head))


SPACES: dict[str, Callable[[], NetworkSpace]] = {
    'cifar10_small': cifar10_small,
    'cifar10_stages': cifar10_stages,
    'cifar10_large': cifar10_large,
    **{name: functools.partial(mobilenet_space, name) for name in STAGES},
}
"""Spaces by the name that a config gives them."""

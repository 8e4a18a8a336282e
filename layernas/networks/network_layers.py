"""Layers of a network space: shared base filters, kernel and expansion."""

from collections.abc import Sequence

from layernas.networks.space import NetworkLayer


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

"""What a module of a network does, as text: the key of latency tables.

A signature holds the module's kind, the size and the filters of its input, and
every field that changes its work. Fields without effect are left out, and the
squeeze filters stand as the number that their rule gives: two modules have one
signature exactly where they run the same operations.
"""

import dataclasses
from collections.abc import Mapping

from layernas.networks.counting import output_size
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem

IMAGE_FILTERS = 3
"""Filters of what the stem receives: the colours."""


@dataclasses.dataclass(frozen=True)
class PlacedModule:
  """A module where a network runs it.

  Attributes:
    signature: of what it does there.
    module: its spec.
    input_filters: of what it receives.
    size: side of what it receives, in pixels.
  """

  signature: str
  module: Stem | Block | Head
  input_filters: int
  size: int


def place(
    module: Stem | Block | Head, input_filters: int, size: int,
    num_classes: int,
) -> PlacedModule:
  """A module with its signature.

  Args:
    module: to place.
    input_filters: of what it receives.
    size: side of what it receives.
    num_classes: width of the classifier, which the head holds.

  Returns:
    The placed module.
  """
  if isinstance(module, Stem):
    kind, fields = 'stem', _stem_fields(module)
  elif isinstance(module, Block):
    kind, fields = 'block', _block_fields(module, input_filters)
  else:
    kind, fields = 'head', _head_fields(module, num_classes)
  fields = {'size': size, 'input': input_filters, **fields}
  text = ' '.join([kind, *(f'{name}={fields[name]}' for name in fields)])
  return PlacedModule(text, module, input_filters, size)


def network_modules(
    network: NetworkSpec, image_size: int, num_classes: int
) -> list[PlacedModule]:
  """All modules of a network in forward order.

  Args:
    network: the network.
    image_size: side of its RGB images.
    num_classes: width of the classifier.

  Returns:
    Stem, blocks, head; a signature may occur more than once.
  """
  placed = [place(network.stem, IMAGE_FILTERS, image_size, num_classes)]
  size = output_size(image_size, network.stem.stride)
  for index, block in enumerate(network.blocks):
    filters = network.input_filters(index)
    placed.append(place(block, filters, size, num_classes))
    size = output_size(size, block.stride)
  filters = network.input_filters(len(network.blocks))
  return [*placed, place(network.head, filters, size, num_classes)]


def _stem_fields(stem: Stem) -> Mapping[str, object]:
  return {
      'filters': stem.filters,
      'kernel': stem.kernel,
      'stride': stem.stride,
      'activation': stem.activation,
  }


def _block_fields(block: Block, input_filters: int) -> Mapping[str, object]:
  fields: dict[str, object] = {
      'filters': block.filters,
      'expanded': block.expanded,
      'kernel': block.kernel,
      'stride': block.stride,
      'activation': block.activation,
  }
  if block.squeeze:
    depthwise = block.depthwise_filters(input_filters)
    fields |= {
        'squeeze': block.squeeze.filters(input_filters, depthwise),
        'gate': block.squeeze.gate,
        'squeeze_activation': block.squeeze.activation,
    }
  return fields


def _head_fields(head: Head, num_classes: int) -> Mapping[str, object]:
  fields: dict[str, object] = {'filters': head.filters, 'hidden': head.hidden}
  if head.filters or head.hidden:
    fields['activation'] = head.activation
  return fields | {'classes': num_classes}

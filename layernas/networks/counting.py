"""Exact counts of a network: MAdds, parameters, buffers.

MAdds are the multiply-adds of convolutions and dense layers alone, padded taps
counted; biases, batch norm and activations are not.
"""

import dataclasses

from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem


@dataclasses.dataclass(frozen=True)
class Counts:
  """What a network, or a part of it, takes for one image.

  Attributes:
    madds: multiply-adds.
    params: trainable numbers.
    buffers: batch norm's running means and variances.
  """

  madds: int = 0
  params: int = 0
  buffers: int = 0

  def __add__(self, other: 'Counts') -> 'Counts':
    return Counts(
        self.madds + other.madds,
        self.params + other.params,
        self.buffers + other.buffers,
    )


def output_size(size: int, stride: int) -> int:
  """Side of the output of a SAME-padded convolution."""
  return -(-size // stride)


def stem_counts(stem: Stem, image_size: int) -> Counts:
  """Counts of the stem on RGB images of a side."""
  size = output_size(image_size, stem.stride)
  return _normalised(size, stem.kernel**2 * 3, stem.filters)


def block_counts(block: Block, input_filters: int, image_size: int) -> Counts:
  """Counts of a block.

  Args:
    block: the block.
    input_filters: of what it receives.
    image_size: side of what it receives.

  Returns:
    Its counts.
  """
  filters = block.depthwise_filters(input_filters)
  size = output_size(image_size, block.stride)
  counts = _normalised(size, block.kernel**2, filters)
  if block.expanded:
    counts += _normalised(image_size, input_filters, filters)
  if block.squeeze:
    counts += _squeeze_counts(block.squeeze, input_filters, filters)
  return counts + _normalised(size, filters, block.filters)


def head_counts(
    head: Head, input_filters: int, image_size: int, num_classes: int
) -> Counts:
  """Counts of the head, classifier included.

  Args:
    head: the head.
    input_filters: of what it receives.
    image_size: side of what it receives.
    num_classes: width of the classifier.

  Returns:
    Its counts.
  """
  counts, width = Counts(), input_filters
  if head.filters:
    counts += _normalised(image_size, width, head.filters)
    width = head.filters
  if head.hidden:
    counts += _dense(width, head.hidden)
    width = head.hidden
  return counts + _dense(width, num_classes)


def count(spec: NetworkSpec, image_size: int, num_classes: int) -> Counts:
  """Counts of a whole network.

  Args:
    spec: the network.
    image_size: side of its RGB images.
    num_classes: width of the classifier.

  Returns:
    Its counts.
  """
  counts = stem_counts(spec.stem, image_size)
  size = output_size(image_size, spec.stem.stride)
  for index, block in enumerate(spec.blocks):
    counts += block_counts(block, spec.input_filters(index), size)
    size = output_size(size, block.stride)
  filters = spec.input_filters(len(spec.blocks))
  return counts + head_counts(spec.head, filters, size, num_classes)


def _normalised(size: int, taps: int, filters: int) -> Counts:
  """A convolution without bias and its batch norm.

  Args:
    size: side of the output.
    taps: weights per output filter.
    filters: of the output.
  """
  weights = taps * filters
  return Counts(size**2 * weights, weights + 2 * filters, 2 * filters)


def _dense(width: int, units: int) -> Counts:
  return Counts(width * units, width * units + units)


def _squeeze_counts(
    squeeze: Squeeze, input_filters: int, filters: int
) -> Counts:
  units = squeeze.filters(input_filters, filters)
  return _dense(filters, units) + _dense(units, filters)

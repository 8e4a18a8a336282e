"""Exact counts of layers, which blocks add up.

MAdds are the multiply-adds of convolutions and dense layers, including padded
taps. Biases, batch norm and activations are not counted.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Counts:
  """Counts of a network, or of a part of it, for one image.

  Attributes:
    madds: number of multiply-adds.
    params: number of trainable parameters.
    buffers: number of batch norm's running means and variances.
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


def normed_conv(size: int, taps: int, filters: int) -> Counts:
  """Counts of a convolution without bias and the batch norm after it.

  Args:
    size: side of the output in pixels.
    taps: weights per output filter: kernel side squared, times the input's
      filters unless the convolution is depthwise.
    filters: filters of the output.

  Returns:
    Their counts.
  """
  weights = taps * filters
  return Counts(size**2 * weights, weights + 2 * filters, 2 * filters)


def dense(width: int, units: int) -> Counts:
  """Counts of a dense layer with bias.

  Args:
    width: number of inputs.
    units: number of outputs.

  Returns:
    Its counts.
  """
  return Counts(width * units, width * units + units)

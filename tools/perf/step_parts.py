"""Which part of a network an operation belongs to, and what a step must do."""

import itertools
import re
from collections.abc import Mapping

from layernas.networks.counting import output_size
from layernas.networks.spec import count
from tools.perf.step_cases import Case

_PARTS = {
    'expand': 'pointwise', 'project': 'pointwise', 'head': 'pointwise',
    'expand_norm': 'norm', 'depthwise_norm': 'norm', 'project_norm': 'norm',
    'stem_norm': 'norm', 'head_norm': 'norm', 'depthwise': 'depthwise',
    'squeeze': 'squeeze', 'stem': 'stem', 'hidden': 'dense',
    'classifier': 'dense',
}
"""Submodules of a network; what belongs to none is optimiser, loss and sums."""

# What a submodule's name follows in the path of an operation.
_PARENT = re.compile(r'block\d+|(.*\()?Network\)*')

_PASSES = 14
"""Times that our step reads or writes every number that a batch norm receives.

Forward the convolution writes it, the means read it, the norm reads it and
writes its output, which the next convolution reads. Backward that convolution
reads its input and writes its gradient; features and gradient are read for
the norm's sums and again for its own gradient, which is written and then read
by two products."""


_FUSED_PASSES = 10
"""The same around a depthwise convolution of a block that expands.

Before it: the 1x1 convolution writes, means and kernel read; the backward
kernel reads the features and writes a gradient, both are read for the norm's,
which is written and read by two products. Behind it: the kernel writes, the
norm reads and writes, the 1x1 convolution reads; backward it reads its input
and writes a gradient; with the features, that is read for the sums and by the
kernel."""


def parts_of(program: str) -> dict[str, str]:
  """The part that each operation of a compiled program belongs to.

  Args:
    program: text of the compiled step.

  Returns:
    By the operation's name: a part, ' backward' behind it where it is, or
    'other'.
  """
  parts = {}
  entry = program[program.index('\nENTRY'):]
  for line in entry.splitlines():
    named = re.match(r'\s*(?:ROOT )?%?([\w.\-]+) = ', line)
    if not named:
      continue
    path = re.search(r'op_name="([^"]*)"', line)
    path = path.group(1) if path else ''
    modules = [
        _PARTS[name]
        for parent, name in itertools.pairwise(path.split('/'))
        if name in _PARTS and _PARENT.fullmatch(parent)
    ]
    if modules:
      backward = ' backward' if 'transpose(' in path else ''
      parts[named.group(1)] = modules[-1] + backward
    else:
      parts[named.group(1)] = 'other'
  return parts


def floors(case: Case, roofline: Mapping[str, float]) -> dict[str, float]:
  """Milliseconds of a step at the roofline.

  Args:
    case: whose step.
    roofline: 'gigaflops' and 'gigabytes_per_second' of the machine.

  Returns:
    Of its arithmetic alone, and of its features alone.
  """
  counts = count(case.network, case.image_size, case.classes)
  flops = 3 * 2 * counts.madds * case.batch
  moved = 4 * moved_numbers(case) * case.batch
  return {
      'arithmetic_floor_milliseconds': round(
          flops / roofline['gigaflops'] / 1e6, 2
      ),
      'memory_floor_milliseconds': round(
          moved / roofline['gigabytes_per_second'] / 1e6, 2
      ),
  }


def moved_numbers(case: Case) -> int:
  """Numbers of one image that a step reads or writes for its batch norms."""
  network = case.network
  size = output_size(case.image_size, network.stem.stride)
  moved = _PASSES * size**2 * network.stem.filters
  for index, block in enumerate(network.blocks):
    filters = block.depthwise_filters(network.input_filters(index))
    passes = _FUSED_PASSES if block.expanded else _PASSES
    moved += passes * size**2 * block.expanded
    size = output_size(size, block.stride)
    moved += size**2 * (passes * filters + _PASSES * block.filters)
  return moved + _PASSES * size**2 * network.head.filters

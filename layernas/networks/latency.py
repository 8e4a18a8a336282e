"""Latency of networks as the sum of their modules' latencies, from a table.

The table is a CSV file with a row per module signature (`networks.space`): one
that experiments/latency.py measured, or one that the user brings.
"""

import os
from collections.abc import Mapping

from layernas import paths
from layernas.errors import UserError
from layernas.networks.space import NetworkSpace
from layernas.networks.space import PlacedModule
from layernas.networks.space import place
from layernas.search.cost import FactoredCost
from layernas.storage.csv_file import CsvFile

METRIC = 'latency'
"""The cost metric whose prices come from a table."""

COMMAND = './launch.sh latency --config=CONFIG --workdir=DIR'
"""Measures a table."""

KEY = 'signature'
VALUE = 'milliseconds'


def read_latency_table(path: str | os.PathLike[str]) -> dict[str, float]:
  """Reads a latency table.

  Args:
    path: of a CSV file, plain or .gz, with a header and the columns
      `signature` and `milliseconds`; further columns are ignored.

  Returns:
    Signature to milliseconds.

  Raises:
    UserError: the file or a cell is wrong; the message names file, line and
      column.
  """
  file = CsvFile(paths.expanded('cost.latency_table', path))
  return dict(zip(file.keys(KEY), file.numbers(VALUE, least=0), strict=True))


def space_modules(
    space: NetworkSpace, image_size: int, num_classes: int
) -> list[PlacedModule]:
  """The distinct modules that the networks of a space are made of.

  They are enumerated module by module over the layers that touch it, as the
  factors of a cost are; not network by network.

  Args:
    space: of the networks.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.

  Returns:
    One for each signature, in forward order.
  """
  placed = (
      place(module, filters, size, num_classes)
      for module, filters, size in space.modules(image_size)
  )
  return list({one.signature: one for one in placed}.values())


def latency_cost(
    space: NetworkSpace, table: Mapping[str, float], image_size: int,
    num_classes: int, source: str = 'latency table',
) -> FactoredCost:
  """Cost model: milliseconds of a network as the sum over its modules.

  Args:
    space: of the networks.
    table: signature to milliseconds.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.
    source: of the table, for messages.

  Returns:
    One factor per module.

  Raises:
    UserError: the table lacks modules of the space, or the images are too
      small for the strides.
  """
  modules = space_modules(space, image_size, num_classes)
  missing = [m.signature for m in modules if m.signature not in table]
  if missing:
    raise UserError(
        f'cost.latency_table: {source} lacks {len(missing)} of the'
        f' {len(modules)} modules of the space on images of {image_size} pixels'
        f' with {num_classes} classes; the first is {missing[0]!r}; allowed is'
        f' a table with all of them, such as {COMMAND} measures with the same'
        ' config'
    )
  return space.priced(
      METRIC, 'ms', image_size,
      lambda module, filters, size: table[
          place(module, filters, size, num_classes).signature
      ],
  )

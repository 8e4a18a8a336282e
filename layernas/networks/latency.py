"""Latency of networks from a table that was measured, or that the user brings.

The table is a CSV file with a row for each module signature
(`networks.space`), whose times are added up; or one for each of some whole
networks, which a fit explains (`networks.fitted_latency`).
"""

import dataclasses
import os
from collections.abc import Mapping

from layernas import installation
from layernas import paths
from layernas.errors import UserError
from layernas.networks.fitted_latency import fit_latency
from layernas.networks.interface import Space
from layernas.networks.space import NetworkSpace
from layernas.networks.space import SizedModule
from layernas.networks.space import sized_module
from layernas.search.cost import FactoredCost
from layernas.search.space import parse_architecture_id
from layernas.storage.csv_file import CsvFile

METRIC = 'latency'
"""The cost metric whose prices come from a table."""

COMMAND = f'{installation.COMMAND} latency --config=CONFIG --workdir=DIR'
"""Measures a table."""

SIGNATURE = 'signature'
"""Column of a table of modules."""

ARCHITECTURE = 'architecture'
"""Column of a table of whole networks."""

VALUE = 'milliseconds'
"""Column of the times."""


@dataclasses.dataclass(frozen=True)
class LatencyTable:
  """What was measured.

  Attributes:
    key: what the rows are of, `SIGNATURE` or `ARCHITECTURE`.
    rows: milliseconds by signature or by the id of an architecture.
    source: of the table, for messages.
  """

  key: str
  rows: Mapping[str, float]
  source: str = 'latency table'


def read_latency_table(path: str | os.PathLike[str]) -> LatencyTable:
  """Reads a latency table.

  Args:
    path: of a CSV file, plain or .gz, with a header and the columns `signature`
      or `architecture`, and `milliseconds`; further columns are ignored.

  Returns:
    The table.

  Raises:
    UserError: the file or a cell is wrong; the message names file, line and
      column.
  """
  file = CsvFile(paths.expanded('cost.latency_table', path))
  key = ARCHITECTURE if (
      ARCHITECTURE in file.header and SIGNATURE not in file.header
  ) else SIGNATURE
  rows = dict(zip(file.keys(key), file.numbers(VALUE, least=0), strict=True))
  return LatencyTable(key, rows, os.fspath(path))


def latency_cost(
    space: Space, table: LatencyTable, image_size: int, num_classes: int
) -> FactoredCost:
  """Milliseconds of a space's networks.

  Args:
    space: of the networks.
    table: of its modules, or of some of its networks.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.

  Returns:
    The sum over the modules, or what is fitted to the networks.

  Raises:
    UserError: the table lacks modules or options of the space, or does not fit
      it.
  """
  if table.key == ARCHITECTURE:
    return _fitted_cost(space, table, image_size, num_classes)
  if isinstance(space, NetworkSpace):
    return module_cost(space, table, image_size, num_classes)
  raise UserError(
      f'cost.latency_table: {table.source} is of modules: a space of Flax'
      ' modules needs a table of whole networks; allowed is one such as'
      f' {COMMAND} measures with the same config'
  )


def _fitted_cost(
    space: Space, table: LatencyTable, image_size: int, num_classes: int
) -> FactoredCost:
  """What is fitted to whole networks."""
  architectures = {}
  for text, milliseconds in table.rows.items():
    try:
      architecture = parse_architecture_id(text)
      space.search_space.check(architecture)
      if not milliseconds:
        raise UserError('0 milliseconds: allowed are times above it')
    except UserError as error:
      raise UserError(
          f'cost.latency_table: {table.source}, network {text!r}: {error}'
      ) from error
    architectures[architecture] = milliseconds
  work = space.cost('madds', image_size, num_classes)
  try:
    fit = fit_latency(space.search_space, work, architectures)
  except UserError as error:
    raise UserError(
        f'cost.latency_table: {table.source}: {error}; {COMMAND} measures one'
        ' with the same config'
    ) from error
  return fit.cost(METRIC, space.search_space)


def space_modules(
    space: NetworkSpace, image_size: int, num_classes: int
) -> list[SizedModule]:
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
      sized_module(module, filters, size, num_classes)
      for module, filters, size in space.modules(image_size)
  )
  return list({one.signature: one for one in placed}.values())


def module_cost(
    space: NetworkSpace, table: LatencyTable, image_size: int, num_classes: int
) -> FactoredCost:
  """Milliseconds of a network as the sum over its modules.

  Args:
    space: of the networks.
    table: of modules.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.

  Returns:
    One factor per module.

  Raises:
    UserError: the table lacks modules of the space, or the images are too
      small for the strides.
  """
  modules = space_modules(space, image_size, num_classes)
  missing = [m.signature for m in modules if m.signature not in table.rows]
  if missing:
    raise UserError(
        f'cost.latency_table: {table.source} lacks {len(missing)} of the'
        f' {len(modules)} modules of the space on images of {image_size} pixels'
        f' with {num_classes} classes; the first is {missing[0]!r}; allowed is'
        f' a table with all of them, such as {COMMAND} measures with the same'
        ' config'
    )
  return space.priced(
      METRIC, 'ms', image_size,
      lambda module, filters, size: table.rows[
          sized_module(module, filters, size, num_classes).signature
      ],
  )

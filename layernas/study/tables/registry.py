"""Tables of benchmarks by name: those of the package, and `module:function`.

A table is made by a callable that takes its settings as keyword arguments and
returns a `Table`.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from layernas import lookup
from layernas.study.tables.packaged import descriptions
from layernas.study.tables.packaged import load_packaged
from layernas.study.tables.table import BenchmarkTable
from layernas.study.tables.table import Table


def make_table(name: str, settings: Mapping[str, Any]) -> Table:
  """Makes a table by name.

  Args:
    name: a key of `TABLES`, or 'module:function'.
    settings: keyword arguments of the callable.

  Returns:
    The table.

  Raises:
    UserError: there is no such table or setting, or its file is damaged.
  """
  function = lookup.find('table.name', name, TABLES)
  table = lookup.call(function, 'table.settings', settings)
  if not isinstance(table, Table):
    raise lookup.unfit(
        'table.name', name, table, 'a layernas.study.tables.table.Table'
    )
  return table


def _loader(name: str) -> Callable[[], BenchmarkTable]:
  """A function without settings that loads a packaged table."""
  def load() -> BenchmarkTable:
    return load_packaged(name)
  load.__qualname__ = name
  return load


TABLES: lookup.Registry = {
    **{name: _loader(name) for name in descriptions()},
    'accel_nasbench': 'layernas.study.tables.accel_nasbench:load',
    'nasbench101': 'layernas.study.tables.nasbench101:load',
}
"""Registered tables."""

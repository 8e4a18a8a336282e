"""Tests of layernas.study.tables.table."""

import numpy as np
import pytest

from layernas.study.tables.table import BenchmarkTable
from layernas.study.tables.table import unit_of
from tests.search import problems


def table():
  space = problems.make_space(2, 3)
  return BenchmarkTable('small', space, {
      'madds_c10': np.arange(6).reshape(2, 3) * 10,
      'accuracy': np.arange(6.0).reshape(2, 3),
  })


def test_cost_is_the_column():
  cost = table().cost('madds_c10')
  assert cost.name == 'madds_c10'
  assert cost.unit == 'MAdds'
  assert cost.cost((1, 2)) == 50
  assert cost.interval((1, 0), (0,)) == (30, 50)


def test_unknown_column_is_named_with_those_there_are():
  with problems.refuses("table 'small'", "column 'flops'", 'accuracy'):
    table().column('flops')


def test_another_column_leaves_the_first_table_as_it_was():
  first = table()
  second = first.with_column('new', np.ones((2, 3)))
  assert second.column('new').sum() == 6
  assert 'new' not in first.columns
  assert second.column('accuracy') is first.column('accuracy')


@pytest.mark.parametrize(('column', 'unit'), [
    ('madds', 'MAdds'), ('params_c10', 'parameters'), ('ms_raspi4', 'ms'),
    ('energy', ''),
])
def test_units(column, unit):
  assert unit_of(column) == unit

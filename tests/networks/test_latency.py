"""Latency tables, and the cost model that adds them up."""

import functools
import itertools
import operator
import pathlib
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.networks.latency import ARCHITECTURE
from layernas.networks.latency import COMMAND
from layernas.networks.latency import SIGNATURE
from layernas.networks.latency import LatencyTable
from layernas.networks.latency import latency_cost
from layernas.networks.latency import read_latency_table
from layernas.networks.latency import space_modules
from layernas.networks.mobilenet_spaces import cifar10_small
from layernas.networks.space import network_modules
from tests import tiny

_SPACE = cifar10_small()
_MODULES = space_modules(_SPACE, 32, 10)
_EVERY = np.array(list(itertools.product(range(3), repeat=7)))
_ARCHITECTURES = st.tuples(*[st.integers(0, 2)] * 7)


def _table(seed: int, missing: int = 0) -> LatencyTable:
  """Random times: unlike counts, they need not grow with filters."""
  rng = random.Random(seed)
  rows = {module.signature: rng.random() for module in _MODULES}
  for module in _MODULES[5:5 + missing]:
    del rows[module.signature]
  return LatencyTable(SIGNATURE, rows, 'mine.csv')


def test_reads_a_table(tmp_path: pathlib.Path) -> None:
  path = tmp_path / 'a.csv'
  path.write_text('note,milliseconds,signature\nx,1.5,block a=1\n,2e-3,head\n')
  table = read_latency_table(path)
  assert table.rows == {'block a=1': 1.5, 'head': 0.002}
  assert (table.key, table.source) == (SIGNATURE, str(path))
  path.write_text('milliseconds,architecture\n2,0-1\n')
  assert read_latency_table(path).key == ARCHITECTURE


# All else that may be wrong with a file: tests/storage.
@pytest.mark.parametrize(('text', 'line', 'column', 'part'), [
    ('signature,ms\na,1\n', 1, 'milliseconds', '0 times'),
    ('milliseconds\n1\n', 1, 'signature', '0 times'),
    ('signature,milliseconds\na,1\nb,-1\n', 3, 'milliseconds', "'-1'"),
    ('signature,milliseconds\na,1\na,1\n', 3, 'signature', 'line 2'),
])
def test_wrong_cells_are_named(
    text: str, line: int, column: str, part: str, tmp_path: pathlib.Path
) -> None:
  (tmp_path / 'a.csv').write_text(text)
  with pytest.raises(UserError, match=part) as error:
    read_latency_table(tmp_path / 'a.csv')
  assert f'a.csv, line {line}, column {column!r}' in str(error.value)


def test_modules_of_a_space_are_those_of_all_its_networks() -> None:
  every = {
      module for architecture in itertools.product(range(3), repeat=7)
      for module in network_modules(_SPACE.network(architecture), 32, 10)
  }
  assert set(_MODULES) == every
  assert len(_MODULES) == len(every) == 79


@settings(max_examples=20)
@given(architecture=_ARCHITECTURES, seed=st.integers(0, 99))
def test_cost_is_the_sum_over_the_modules(
    architecture: tuple[int, ...], seed: int
) -> None:
  table = _table(seed)
  modules = network_modules(_SPACE.network(architecture), 32, 10)
  times = [table.rows[module.signature] for module in modules]
  cost = latency_cost(_SPACE, table, 32, 10)
  assert cost.cost(architecture) == functools.reduce(operator.add, times)
  assert (cost.name, cost.unit) == ('latency', 'ms')


@settings(max_examples=20)
@given(
    architecture=_ARCHITECTURES, decided=st.sets(st.integers(0, 6)),
    seed=st.integers(0, 99),
)
def test_every_completion_lies_in_the_reachable_interval(
    architecture: tuple[int, ...], decided: set[int], seed: int
) -> None:
  cost = latency_cost(_SPACE, _table(seed), 32, 10)
  low, high = cost.interval(architecture, decided)
  fixed = sorted(decided)
  same = (_EVERY[:, fixed] == np.array(architecture)[fixed]).all(axis=1)
  costs = cost.costs(_EVERY[same])
  assert len(costs) == 3 ** (7 - len(decided))
  assert low <= costs.min()
  assert costs.max() <= high


def test_missing_modules_are_counted_and_the_first_named() -> None:
  with pytest.raises(UserError) as error:
    latency_cost(_SPACE, _table(0, missing=3), 32, 10)
  message = str(error.value)
  assert 'mine.csv lacks 3 of the 79 modules' in message
  assert repr(_MODULES[5].signature) in message
  assert COMMAND in message


def test_a_table_of_other_images_or_classes_does_not_do() -> None:
  # A single block of a stage is also one of the stage before.
  with pytest.raises(UserError, match=r'78 of the 79 .* images of 16 pixels'):
    latency_cost(_SPACE, _table(0), 16, 10)
  # Only the heads have the classifier.
  with pytest.raises(UserError, match=r'lacks 3 of the 79 .* with 100 classes'):
    latency_cost(_SPACE, _table(0), 32, 100)


def test_images_too_small_for_the_strides() -> None:
  with pytest.raises(UserError, match='allowed is at least 16'):
    space_modules(tiny.deep_space(), 8, 10)

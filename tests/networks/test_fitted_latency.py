"""Latencies fitted to whole networks."""

import itertools

import numpy as np
import pytest

from layernas.networks import fitted_latency
from layernas.networks.fitted_latency import fit_latency
from layernas.networks.latency import ARCHITECTURE
from layernas.networks.latency import LatencyTable
from layernas.networks.latency import latency_cost
from layernas.search.cost import CountedCost
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from tests.networks import flax_spaces
from tests.search import problems

_SPACE = SearchSpace([Layer(f'layer{i}', tuple(range(3))) for i in range(4)])
_EVERY = list(itertools.product(range(3), repeat=4))

# Widths of neighbouring layers multiply.
_WORK = FactoredCost('madds', _SPACE, [
    Factor((i, i + 1), np.outer((2, 3, 4), (1, 2, 3))) for i in range(3)
])


def _milliseconds(one: tuple[int, ...]) -> float:
  """Of a constant, the work, and an option that is slow whatever its work."""
  return 1.0 + 0.1 * _WORK.cost(one) + 0.7 * (one[2] == 1)


def _table(count: int, noise: float = 0.0) -> dict[tuple[int, ...], float]:
  rng = np.random.default_rng(0)
  drawn = rng.permutation(len(_EVERY))[:count].tolist()
  return {
      _EVERY[i]: _milliseconds(_EVERY[i]) * (1 + noise * rng.standard_normal())
      for i in drawn
  }


def test_it_predicts_networks_that_were_not_timed():
  table = _table(30)
  fit = fit_latency(_SPACE, _WORK, table)
  cost = fit.cost('latency', _SPACE)
  for one in _EVERY:
    assert cost.cost(one) == pytest.approx(_milliseconds(one), rel=0.01)
  assert cost.unit == 'ms'


def test_left_out_predictions_are_those_of_a_fit_to_the_others(monkeypatch):
  # The others might choose another strength.
  monkeypatch.setattr(fitted_latency, '_STRENGTHS', (0.1,))
  table = _table(25, noise=0.1)
  fit = fit_latency(_SPACE, _WORK, table)
  errors = []
  for place, (one, milliseconds) in enumerate(table.items()):
    others = {other: time for other, time in table.items() if other != one}
    again = fit_latency(_SPACE, _WORK, others).cost('latency', _SPACE)
    assert fit.left_out[place] == pytest.approx(again.cost(one), rel=0.01)
    errors.append(abs(fit.left_out[place] / milliseconds - 1))
  # Of what it is fitted to, the errors are smaller.
  cost = fit.cost('latency', _SPACE)
  inside = [abs(cost.cost(one) / time - 1) for one, time in table.items()]
  assert np.mean(inside) < np.mean(errors) < 0.2


def test_every_network_lies_in_the_reachable_interval():
  cost = fit_latency(_SPACE, _WORK, _table(20, 0.1)).cost('latency', _SPACE)
  for decided in ((), (0,), (1, 2)):
    for one in _EVERY:
      low, high = cost.interval(one, decided)
      assert low - 1e-9 <= cost.cost(one) <= high + 1e-9


def test_work_that_does_not_factor_is_left_out():
  work = CountedCost('madds', _SPACE, lambda one: 1 + sum(one))
  table = {one: 1.0 + one[0] + 0.5 * one[3] for one in _EVERY[::3]}
  table[0, 1, 2, 1] = 1.5
  table[0, 2, 1, 2] = 2.0
  cost = fit_latency(_SPACE, work, table).cost('latency', _SPACE)
  assert cost.cost((2, 2, 2, 2)) == pytest.approx(4.0, rel=0.1)


def test_an_option_that_was_never_timed_is_named():
  table = {one: 1.0 for one in _EVERY if one[1] != 2}
  with problems.refuses("option 2 of layer 'layer1'"):
    fit_latency(_SPACE, _WORK, table)
  with problems.refuses('three'):
    fit_latency(_SPACE, _WORK, {_EVERY[0]: 1.0})


@pytest.mark.parametrize(('rows', 'parts'), [
    ({'0-x': 1.0}, ["network '0-x'", 'dashes']),
    ({'0-9': 1.0}, ["network '0-9'", 'option 9']),
    ({'0-0': 0.0}, ["network '0-0'", 'above']),
    ({'0-0': 1.0, '1-1': 1.0, '0-1': 1.0}, ["option 2 of layer 'width'"]),
])
def test_wrong_tables_are_one_line(rows, parts):
  table = LatencyTable(ARCHITECTURE, rows, 'mine.csv')
  with problems.refuses('cost.latency_table: mine.csv', *parts):
    latency_cost(flax_spaces.space(), table, 16, 10)


def test_a_table_of_modules_does_not_do_for_flax_modules():
  with problems.refuses('cost.latency_table', 'of modules', 'whole networks'):
    latency_cost(
        flax_spaces.space(), LatencyTable('signature', {'a': 1.0}), 16, 10
    )

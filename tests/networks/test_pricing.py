"""Cost tables: the same as one module at a time, faster, and not in silence."""

import dataclasses

import numpy as np
import pytest

from layernas.errors import UserError
from layernas.networks import pricing
from layernas.networks.counting import Counts
from layernas.networks.pricing import Progress
from layernas.networks.pricing import counted
from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import ModuleInput
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem

FILTERS = list(range(1, 41))


@dataclasses.dataclass(frozen=True)
class Odd(InvertedResidual):
  """Its counts take no arrays."""

  def counts(self, inputs: ModuleInput) -> Counts:
    return Counts(7 if inputs.input_filters == 8 else 3)


MODULES = [
    Stem(8), Head(0), Head(16), Head(8, hidden=4), Odd(8, 8),
    InvertedResidual(16, 0), InvertedResidual(16, 24, stride=2),
    InvertedResidual(16, 0, squeeze=Squeeze()),
    InvertedResidual(16, 24, squeeze=Squeeze(of='input', divisor=1)),
    InvertedResidual(16, 24, squeeze=Squeeze(of='expanded')),
]


@pytest.mark.parametrize('metric', ['madds', 'params'])
@pytest.mark.parametrize('module', MODULES)
def test_prices_of_many_filters_are_those_of_each(module, metric) -> None:
  prices = counted(metric, 10, Progress('', 0))(module, FILTERS, 33)
  alone = [
      getattr(module.counts(ModuleInput(filters, 33, 10)), metric)
      for filters in FILTERS
  ]
  assert prices == alone
  assert {type(price) for price in prices} == {int}


def test_costs_too_large_for_an_array_are_exact() -> None:
  prices = counted('madds', 10, Progress('', 0))
  filters = [2**40 + one for one in FILTERS]
  assert prices(Head(2**40), filters, 33) == [
      Head(2**40).counts(ModuleInput(one, 33, 10)).madds for one in filters
  ]


def _wide(first, second, block=InvertedResidual):
  base = NetworkSpec(
      Stem(8), (block(8, 0), block(8, 16, stride=2)), Head(0)
  )
  return NetworkSpace(base, [
      NetworkLayer(name, (target,), [{'filters': f + 1} for f in range(count)])
      for name, target, count in (
          ('stage1', 'block0', first), ('stage2', 'block1', second)
      )
  ])


def test_every_module_is_priced_once() -> None:
  """A table of 3,000 entries over two layers, of 30 modules and 100 inputs."""
  asked = []

  def price(module, filters, size):
    asked.append((module, filters, size))
    return filters

  space = _wide(100, 30)
  cost = space.priced('own', '', 32, price)
  assert len(asked) == len(set(asked))
  assert set(asked) == set(space.modules(32))
  [table] = [f.table for f in cost.factors if f.scope == (0, 1)]
  assert np.array_equal(table, np.tile(np.arange(1, 101)[:, None], (1, 30)))


def test_formulas_are_evaluated_once_a_module(monkeypatch) -> None:
  calls = []
  counts = InvertedResidual.counts
  monkeypatch.setattr(
      InvertedResidual, 'counts',
      lambda self, inputs: calls.append(1) or counts(self, inputs),
  )
  _wide(200, 100).cost('madds', 32, 10)
  assert len(calls) < 1000  # Of 20,000 combinations.


def test_progress_is_told_after_a_while(capsys) -> None:
  now = [0.0]
  progress = Progress("cost 'own'", 2000, lambda: now[0])
  lines = []
  for _ in range(50):
    now[0] += 0.25
    progress.add(10)
    captured = capsys.readouterr()
    assert captured.out == ''
    lines += captured.err.splitlines()
  assert lines == [
      "cost 'own': 60 of at most 2,000 modules are priced",
      "cost 'own': 460 of at most 2,000 modules are priced",
  ]


def test_a_table_that_is_fast_says_nothing(capsys) -> None:
  _wide(20, 20).cost('madds', 32, 10)
  assert capsys.readouterr() == ('', '')


def test_a_slow_price_says_so(capsys, monkeypatch) -> None:
  """One of the user's own, too."""
  monkeypatch.setattr(pricing, '_FIRST', 0.0)
  _wide(3, 3).priced('own', '', 32, lambda module, filters, size: 1)
  assert "cost 'own': 1 of at most " in capsys.readouterr().err


def test_a_table_that_is_too_large_is_refused(monkeypatch) -> None:
  monkeypatch.setattr(pricing, 'LARGEST', 99)
  _wide(9, 11).cost('madds', 32, 10)
  with pytest.raises(UserError, match=r"\['stage1', 'stage2'\].* 100 comb"):
    _wide(10, 10).cost('madds', 32, 10)

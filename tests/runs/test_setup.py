"""From config fields to search objects, with clear errors."""

import math
import pathlib
from collections.abc import Mapping

import pytest
from ml_collections import ConfigDict

from layernas.errors import UserError
from layernas.networks.latency import space_modules
from layernas.networks.registry import make_space
from layernas.networks.space import NetworkSpace
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.search import Evaluation
from layernas.search import Factor
from layernas.search import FactoredCost
from layernas.search.interleaved import Interleaved
from tests import tiny


def _config(**changes: object):
  config = tiny.get_config()
  with config.unlocked():
    for name, value in changes.items():
      section, _, field = name.rpartition('.')
      target = config
      for part in filter(None, section.split('.')):
        target = target[part]
      target[field] = (
          ConfigDict(value) if isinstance(value, dict) else value
      )
  return config


def _problem(**changes: object):
  return make_problem(_config(**changes), tiny.space(), 16, 10)


def test_zero_means_no_limit() -> None:
  problem = _problem()
  assert problem.target.low == -math.inf
  assert problem.target.high == math.inf


def test_search_takes_its_fields() -> None:
  config = _config(**{
      'search.schedule': 'interleaved', 'search.visit.entries': 3,
      'search.keep': 2, 'budget.trials': 5, 'seed': 4,
  })
  search = make_search(config, _problem())
  assert isinstance(search.strategy, Interleaved)
  assert search.strategy.entries == 3
  assert search.strategy.keep == 2
  assert (search.budget.trials, search.seed) == (5, 4)


def test_target_out_of_reach_prints_the_reachable_range() -> None:
  low, high = _problem().cost.interval((0, 0, 0), ())
  with pytest.raises(UserError, match=f'{low:,} to {high:,}'):
    _problem(**{'target.high': 10.0})


@pytest.mark.parametrize(('field', 'value'), [
    ('search.schedule', 'random'), ('search.buckets', -1),
    ('search.order', 'sideways'), ('search.finalists', 2.0),
    ('early_stop.fraction', 1.5), ('budget.trials', -1), ('seed', -1),
])
def test_wrong_fields_are_named(field: str, value: object) -> None:
  with pytest.raises(UserError) as error:
    make_search(_config(**{field: value}), _problem())
  assert field.rsplit('.', 1)[-1] in str(error.value)
  assert str(value) in str(error.value)
  assert 'allowed' in str(error.value)


@pytest.mark.parametrize(('name', 'found'), [
    ('nowhere', r"'cifar10_small', .*module:function"),
    ('no_module_here:space', "No module named 'no_module_here'"),
    ('tests.tiny:nothing', "no attribute 'nothing'"),
    ('tests.tiny:ROOT', 'a function'),
    ('tests.tiny:get_config', 'gave a ConfigDict: allowed is a NetworkSpace'),
    ('tests.tiny:lines_of', "missing a required argument: 'text'"),
])
def test_unknown_space(name: str, found: str) -> None:
  with pytest.raises(UserError, match=rf'space: .*{found}') as error:
    make_space(name)
  assert 'allowed' in str(error.value)


def test_own_space_by_path() -> None:
  assert make_space('tests.tiny:space').search_space.size == 8


def weight_bytes(
    space: NetworkSpace, image_size: int, num_classes: int, bits: int = 32
) -> FactoredCost:
  """Bytes of a network's weights."""
  params = space.cost('params', image_size, num_classes)
  factors = [
      Factor(factor.scope, factor.table * bits / 8) for factor in params.factors
  ]
  return FactoredCost('weights', space.search_space, factors, 'B')


def test_own_metric_limits_a_search() -> None:
  """In the target lie the networks with few enough weights."""
  metric = {'cost.metric': f'{__name__}:weight_bytes'}
  params = _problem(**{'cost.metric': 'params'}).cost
  low, high = params.interval((0, 0, 0), ())
  problem = _problem(**metric, **{
      'cost.settings': {'bits': 4}, 'target.high': (low + high) / 4
  })
  search = make_search(_config(), problem)
  while candidates := search.ask():
    [candidate] = candidates
    counted = params.cost(candidate.architecture)
    assert candidate.cost == counted / 2
    search.tell(candidate.id, Evaluation(float(counted)))
  assert low < 2 * search.best.candidate.cost <= (low + high) / 2
  assert _problem(**metric).cost.cost((0, 0, 0)) == 4 * params.cost((0, 0, 0))


@pytest.mark.parametrize(('changes', 'found'), [
    ({'cost.metric': 'watts'}, r"watts.*'madds', 'params', 'latency'"),
    ({'cost.metric': f'{__name__}:weights'}, 'metric: .*weights'),
    ({'cost.metric': 'tests.tiny:command'}, 'gave a list: .*search.Cost'),
    ({'cost.settings': {'bits': 4}}, r"cost\.settings: .*'bits'.* 'madds'"),
    ({'cost.metric': f'{__name__}:weight_bytes', 'cost.settings': {'bit': 4}},
     r"cost\.settings: .*'bit'.*'bits'"),
])
def test_wrong_metrics_are_named(
    changes: Mapping[str, object], found: str
) -> None:
  with pytest.raises(UserError, match=found) as error:
    _problem(**changes)
  assert 'allowed' in str(error.value)


def test_latency_takes_its_table(tmp_path: pathlib.Path) -> None:
  modules = space_modules(tiny.space(), 16, 10)
  path = tmp_path / 'a.csv'
  path.write_text('signature,milliseconds\n' + ''.join(
      f'{module.signature},0.5\n' for module in modules
  ))
  changes = {'cost.metric': 'latency', 'cost.latency_table': str(path)}
  # Stem, two blocks and head.
  problem = _problem(**changes)
  assert problem.cost.cost((0, 1, 0)) == 2.0
  assert problem.cost.unit == 'ms'
  with pytest.raises(UserError, match=rf'{path} lacks .* images of 32 pixels'):
    make_problem(_config(**changes), tiny.space(), 32, 10)


def test_latency_without_a_table() -> None:
  message = r"latency_table: '':.*launch\.sh latency"
  with pytest.raises(UserError, match=message):
    _problem(**{'cost.metric': 'latency'})

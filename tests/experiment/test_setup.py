"""From config fields to search objects, with clear errors."""

import math
import pathlib

import pytest

from layernas.errors import UserError
from layernas.networks.latency import space_modules
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import make_space
from layernas.search.interleaved import Interleaved
from tests import tiny


def _config(**changes: object):
  config = tiny.get_config()
  with config.unlocked():
    config.update_from_flattened_dict(changes)
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
  assert search.strategy.visit.entries == 3
  assert search.strategy.settings.tables.keep == 2
  assert (search.budget.trials, search.seed) == (5, 4)


def test_target_out_of_reach_prints_the_reachable_range() -> None:
  low, high = _problem().cost.interval((0, 0, 0), ())
  with pytest.raises(UserError, match=f'{low:,} to {high:,}'):
    _problem(**{'target.high': 10.0})


@pytest.mark.parametrize(('field', 'value'), [
    ('search.schedule', 'random'), ('search.buckets', 0), ('search.keep', 0),
    ('search.spacing', 'cubic'), ('search.start', 'middle'),
    ('search.order', 'sideways'), ('search.visit.entries', 0),
    ('search.visit.select', 'worst'), ('budget.trials', -1), ('seed', -1),
])
def test_wrong_fields_are_named(field: str, value: object) -> None:
  with pytest.raises(UserError) as error:
    make_search(_config(**{field: value}), _problem())
  assert field.rsplit('.', 1)[-1] in str(error.value)
  assert str(value) in str(error.value)
  assert 'allowed' in str(error.value)


@pytest.mark.parametrize('name', [
    'nowhere', 'no_module_here:space', 'tests.tiny:nothing',
    'tests.tiny:get_config',
])
def test_unknown_space(name: str) -> None:
  with pytest.raises(UserError, match=r'space: .*allowed'):
    make_space(name)


def test_own_space_by_path() -> None:
  assert make_space('tests.tiny:space').search_space.size == 8


def test_unknown_metric_lists_all() -> None:
  with pytest.raises(UserError, match=r"watts.*'madds', 'params', 'latency'"):
    _problem(**{'cost.metric': 'watts'})


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
  with pytest.raises(UserError, match=r"latency_table: '':.*latency\.py"):
    _problem(**{'cost.metric': 'latency'})

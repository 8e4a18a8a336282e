"""result.json and tables.json of a search that needs no training."""

import pytest

from layernas.networks.spec import count
from layernas.networks.spec import spec_from_dict
from layernas.reports.result import layer_tables
from layernas.reports.result import search_result
from tests import tiny


def test_winner_is_a_spec_with_its_exact_cost() -> None:
  search = tiny.searched()
  result = search_result(search, tiny.space(), tiny.get_config(), 16, 10)
  winner = result['winner']
  network = spec_from_dict(winner['network'])
  assert winner['architecture'] == '1-1-1'
  assert network == tiny.space().network((1, 1, 1))
  assert winner['counts']['MAdds'] == winner['cost']
  assert winner['cost'] == count(network, 16, 10).madds
  assert winner['reward'] == pytest.approx(3.0)
  assert result['stop_reason'] == 'every layer decided'
  assert result['trials'] == {'ok': len(search.trials)}
  assert result['seconds'] == 2.0 * len(search.trials)
  assert {'jax', 'flax', 'python'} <= result['versions'].keys()


def test_no_winner_where_all_fail() -> None:
  search = tiny.searched(reward=None)
  result = search_result(search, tiny.space(), tiny.get_config(), 16, 10)
  assert result['winner'] is None
  assert result['trials'] == {'failed': len(search.trials)}
  assert 'succeeded' in result['stop_reason']


def test_tables_hold_what_the_search_kept() -> None:
  search = tiny.searched()
  [only] = layer_tables(search)
  assert only['order'] == ['width', 'kernel', 'expanded']
  last = only['tables'][-1]
  kept = {
      entry['architecture']
      for entries in last['buckets'].values() for entry in entries
  }
  assert '1-1-1' in kept
  assert len(last['edges']) == 1

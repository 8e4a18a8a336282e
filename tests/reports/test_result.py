"""result.json and tables.json of a search that needs no training."""

import shlex

import pytest

from layernas.errors import NothingFoundError
from layernas.networks.spec import spec_from_dict
from layernas.reports.result import layer_tables
from layernas.reports.result import next_command
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
  assert winner['cost'] == network.counts(16, 10).madds
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


@pytest.mark.parametrize('workdir', ['runs/a', "my [run]'s $HOME", 'ü'])
def test_the_next_command_is_one_for_shells(workdir: str) -> None:
  result = search_result(
      tiny.searched(), tiny.space(), tiny.get_config(), 16, 10
  )
  assert shlex.split(next_command(result, workdir)) == [
      './launch.sh', 'train', f'--architecture={workdir}/result.json',
  ]


@pytest.mark.parametrize(('trials', 'target', 'line'), [
    ({'ok': 2, 'failed': 1}, {'low': 79e4, 'high': 794_000},
     'with a cost in the target, from 790,000 to 794,000: trials that'
     ' succeeded, 2, were all outside of it (budget spent)'),
    ({'ok': 2}, {'low': 0.0, 'high': 5}, 'in the target, to 5: trials'),
    ({'failed': 3, 'nan': 1}, {'low': 0.0, 'high': 5},
     'no trial succeeded (3 failed, 1 nan; budget spent)'),
    ({}, {'low': 0.0, 'high': 5}, 'no trial was made (budget spent)'),
])
def test_no_answer_is_told_in_one_line(trials, target, line) -> None:
  result = {'winner': None, 'trials': trials, 'stop_reason': 'budget spent',
            'config': {'target': target}}
  with pytest.raises(NothingFoundError) as error:
    next_command(result, 'runs/a')
  assert str(error.value).startswith('no network was found')
  assert line in str(error.value)


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

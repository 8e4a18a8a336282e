"""Two runs are compared but for times, versions and config."""

import json

import pytest

from tools.perf import compare_searches
from tools.perf.search_outcome import without_times

_TRIALS = [{'id': 0, 'reward': 0.5}, {'id': 1, 'reward': None}]


@pytest.fixture(name='workdir')
def _workdir(tmp_path):
  """Makes workdirs of a search that took so many seconds."""

  def make(name, seconds, trials=_TRIALS, **result):
    workdir = tmp_path / name
    workdir.mkdir()
    (workdir / 'trials.jsonl').write_text(''.join(
        json.dumps(trial | {'seconds': seconds}) + '\n' for trial in trials
    ))
    (workdir / 'result.json').write_text(json.dumps({
        'seconds': seconds, 'versions': seconds, 'config': seconds,
    } | result))
    (workdir / 'tables.json').write_text('[]')
    (workdir / 'trace.json').write_text('{}')
    return workdir

  return make


def test_times_versions_and_config_do_not_count(workdir):
  found = compare_searches.compare(workdir('one', 1), workdir('other', 2))
  assert found == dict.fromkeys(
      ('trials.jsonl', 'tables.json', 'trace.json', 'result.json'), ''
  )


@pytest.mark.parametrize(('changed', 'said'), [
    ({'trials': [_TRIALS[0] | {'reward': 0.25}, _TRIALS[1]]},
     ('trials.jsonl', '[0].reward: 0.5 and 0.25')),
    ({'trials': _TRIALS[:1]}, ('trials.jsonl', ': 2 and 1 entries')),
    ({'winner': {'a': [1]}},
     ('result.json', '.winner.a[0]: 0 and 1')),
    ({'winner': {'b': 1}}, ('result.json', ".winner: fields ['a'] and ['b']")),
])
def test_the_first_difference_is_shown(workdir, changed, said):
  one = workdir('one', 1, winner={'a': [0]})
  found = compare_searches.compare(
      one, workdir('other', 1, **{'winner': {'a': [0]}, **changed})
  )
  assert {name: text for name, text in found.items() if text} == dict([said])


def test_runs_of_a_study_in_any_order_and_its_summary(tmp_path):
  runs = [json.dumps({'seed': seed, 'seconds': seed}) for seed in range(3)]
  for name, lines in (('one', runs), ('other', runs[::-1])):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'runs.jsonl').write_text('\n'.join(lines) + '\n')
    (tmp_path / name / 'summary.json').write_text(json.dumps({
        'machine': name, 'methods': name, 'sections': [1],
    }))
  one, other = tmp_path / 'one', tmp_path / 'other'
  assert compare_searches.compare(one, other) == {
      'runs.jsonl': '', 'summary.json': '',
  }
  (other / 'summary.json').unlink()
  assert compare_searches.compare(one, other)['summary.json'] == (
      f'not in {other}'
  )


def test_exit_codes(workdir, capsys):
  one, other = workdir('one', 1), workdir('other', 2, winner=1)
  program = 'compare_searches.py'
  assert compare_searches.main([program, str(one), str(one)]) == 0
  assert compare_searches.main([program, str(one), str(other)]) == 1
  assert 'trials.jsonl: equal\n' in capsys.readouterr().out
  empty = one.parent / 'none'
  assert compare_searches.main([program, str(one), str(empty)]) == 2
  assert f'error: {empty}: no files of a search' in capsys.readouterr().err


def test_versions_count_on_the_same_machine(workdir):
  outcomes = [
      without_times(workdir(name, seconds))
      for name, seconds in (('one', 1), ('other', 2))
  ]
  assert outcomes[0]['trials'] == outcomes[1]['trials'] == _TRIALS
  assert outcomes[0]['result'] == {'versions': 1, 'config': 1}
  assert outcomes[0] != outcomes[1]

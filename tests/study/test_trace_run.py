"""One run of a study with its decision trace, and the program that makes it."""

import json
import pathlib

import pytest
from ml_collections import ConfigDict

from configs.study import default
from layernas.errors import UserError
from layernas.study.run import Key
from layernas.study.run import play
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from layernas.study.trace_run import trace_run
from layernas.study.trace_run import traced
from tests import tiny


def _config() -> ConfigDict:
  config = default.get_config()
  for name, high in (('narrow', 4e7), ('wide', 0.0)):
    config.benchmarks[name] = default.benchmark(
        table__name='nas_bench_macro', rewards=('acc1', 'acc2', 'acc3'),
        report='held_out', cost='madds', target__high=high,
        budget__trials=40, failing=0.1,
    )
  method = default.method
  config.methods.sweep = method('layernas', buckets=3)
  config.methods.recentred = method(
      'layernas', schedule='recentred', buckets=2
  )
  config.methods.interleaved = method('layernas', schedule='interleaved')
  config.methods.evolution = method('evolution')
  return default.finish(config, '')


@pytest.mark.parametrize('method', ['sweep', 'recentred', 'interleaved'])
@pytest.mark.parametrize('accounting', ['every_query', 'each_network_once'])
def test_the_run_is_that_of_the_study(method: str, accounting: str) -> None:
  config = _config()
  key = Key('narrow', accounting, method, 3)
  trace = traced(config, key)
  record = play(
      key, make_benchmark('narrow', config.benchmarks.narrow),
      make_strategy(config.methods[method]),
  )
  run = trace['run']
  assert run['title'] == f'{method} on narrow, seed 3'
  for name in ('benchmark', 'accounting', 'method', 'seed', 'trials',
               'reported', 'stop_reason'):
    assert run[name] == record[name], name
  winner = trace['incumbents'][-1] if trace['incumbents'] else None
  assert (winner and winner['architecture']) == (
      record['answer'] and record['answer']['architecture']
  )
  assert [(one['trial'] + 1, one['reward']) for one in trace['incumbents']] == [
      (trials, reward) for trials, _, reward, _ in record['curve']
  ]


def test_three_files(tmp_path: pathlib.Path) -> None:
  trace = trace_run(_config(), tmp_path, 'narrow', 'sweep', seed=1)
  assert json.loads((tmp_path / 'trace.json').read_text()) == trace
  assert 'sweep on narrow, seed 1' in (tmp_path / 'trace.html').read_text()
  assert (tmp_path / 'trace.png').stat().st_size > 1000
  trace_run(_config(), tmp_path, 'narrow', 'sweep', seed=2)
  again = json.loads((tmp_path / 'trace.json').read_text())
  assert again['run']['seed'] == 2


@pytest.mark.parametrize(('arguments', 'parts'), [
    ({'benchmark': 'narrow', 'method': 'evolution'},
     ["method 'evolution'", 'RegularizedEvolution', 'no layer tables']),
    ({'benchmark': 'broad', 'method': 'sweep'},
     ["flag --benchmark: 'broad'", "['narrow', 'wide']"]),
    ({'method': 'sweep'}, ["flag --benchmark: ''"]),
    ({'benchmark': 'wide'}, ["flag --method: ''", "'interleaved'"]),
    ({'benchmark': 'wide', 'method': 'sweep', 'accounting': 'never'},
     ["flag --accounting: 'never'", "'every_query'"]),
    ({'benchmark': 'wide', 'method': 'sweep', 'seed': -1},
     ['flag --seed: -1', '>= 0']),
])
def test_wrong_arguments_touch_nothing(
    arguments: dict, parts: list[str], tmp_path: pathlib.Path
) -> None:
  with pytest.raises(UserError) as error:
    trace_run(_config(), tmp_path / 'trace', **arguments)
  for part in (*parts, 'allowed'):
    assert part in str(error.value)
  assert not (tmp_path / 'trace').exists()


def test_the_workdir_of_something_else(tmp_path: pathlib.Path) -> None:
  (tmp_path / 'config.json').write_text('{"seed": 0}')
  with pytest.raises(UserError, match='another config'):
    trace_run(_config(), tmp_path, 'wide', 'sweep')
  assert [path.name for path in tmp_path.iterdir()] == ['config.json']


def test_the_program(tmp_path: pathlib.Path) -> None:
  done = tiny.run_program(
      'trace', '--config=configs/study/trace_example.py', '--seed=4',
      '--accounting=every_query', f'--workdir={tmp_path}/trace',
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines()[-1] == (
      f'written: {tmp_path}/trace/trace.json, trace.html, trace.png'
  )
  run = json.loads((tmp_path / 'trace' / 'trace.json').read_text())['run']
  assert (run['seed'], run['accounting']) == (4, 'every_query')

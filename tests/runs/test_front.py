"""Searches under several limits, and under limits on further metrics."""

import json
import pathlib

import pytest

from layernas.errors import NothingFoundError
from layernas.errors import UserError
from layernas.reports.hooks import Hook
from layernas.reports.result import next_command
from layernas.runs import config_flag
from layernas.runs import evaluator
from layernas.runs.final import read_architecture
from layernas.runs.report import write_report
from layernas.runs.run_search import run_search
from layernas.runs.setup import WIDTH_SCALED
from layernas.runs.setup import make_problem
from layernas.runs.setup import with_width_scaled
from layernas.training.train import TrainResult
from tests import tiny
from tests.page_reader import PageReader

_HIGHS = (40_000.0, 50_000.0, 70_000.0)


@pytest.fixture(autouse=True)
def _without_training(monkeypatch: pytest.MonkeyPatch) -> None:
  """A network's accuracy is its MAdds, and a little noise."""
  def train(job, *args, **named):
    del args, named
    madds = job.network.counts(16, 10).madds
    return TrainResult({'accuracy': madds / 1e5 + job.seed % 9 / 1e6}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', train)


def _config(**changes: object):
  return tiny.changed(
      compile_ahead=0, **{'target.high': _HIGHS, **changes}
  )


def _params(architecture: str) -> int:
  chosen = tuple(map(int, architecture.split('-')))
  return tiny.space().network(chosen).counts(16, 10).params


@pytest.mark.parametrize('schedule', [
    *(pytest.param(name, marks=pytest.mark.long)
      for name in ('sweep', 'interleaved', 'recentred')),
    'model_guided',
])
def test_the_front_is_in_every_report(
    schedule: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
  result = run_search(_config(**{
      'search.schedule': schedule, 'budget.trials': 16,
  }), tmp_path)
  costs = [
      tiny.space().network((a, b, c)).counts(16, 10).madds
      for a in range(2) for b in range(2) for c in range(2)
  ]
  assert [one['limit'] for one in result['front']] == list(_HIGHS)
  assert [one['cost'] for one in result['front']] == [
      max(cost for cost in costs if cost <= high) for high in _HIGHS
  ]
  winner = {k: v for k, v in result['front'][-1].items() if k != 'limit'}
  assert winner == result['winner']
  assert json.loads((tmp_path / 'result.json').read_text()) == json.loads(
      json.dumps(result)
  )
  assert (tmp_path / 'pareto.png').exists()
  printed = capsys.readouterr().out
  assert 'target no limit to 40,000, 50,000, 70,000' in printed
  table = printed[printed.index('best network under each limit'):]
  for one in result['front']:
    assert f'{one["cost"]:,}' in table
    assert one['architecture'] in table
  page = write_report([tmp_path]).read_text()
  assert 'at most 40,000, 50,000, 70,000 MAdds' in page
  for one in result['front']:
    assert f'at most {one["limit"]:,.0f}: {one["architecture"]}, ' in page


class _Killed(Hook):
  """Ends a search after its third trial."""

  def after_trial(self, trial):
    if trial.candidate.id == 2:
      raise KeyboardInterrupt


@pytest.mark.long
def test_it_goes_on_from_its_config_json(tmp_path: pathlib.Path) -> None:
  changes = {
      'search.schedule': 'model_guided', 'budget.trials': 12,
      'limits.params': 3000.0,
  }
  config = _config()
  with config.unlocked():
    config.update_from_flattened_dict(changes)
    config.limits.params = 3000.0
  whole = run_search(config, tmp_path / 'whole')
  with pytest.raises(KeyboardInterrupt):
    run_search(config, tmp_path / 'half', [_Killed()])
  recorded = config_flag.load(str(tmp_path / 'half' / 'config.json'))
  half = run_search(recorded, tmp_path / 'half')
  assert half['front'] == whole['front']
  other = _config(**changes | {'target.high': _HIGHS[1:]})
  with pytest.raises(UserError, match=r'target\.high was .*40000'):
    run_search(other, tmp_path / 'half')


@pytest.mark.long
def test_a_limit_is_kept_and_reported(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
  free = run_search(_config(**{'target.high': 0.0}), tmp_path / 'free')
  most = _params(free['winner']['architecture'])
  # From there some of the trained networks are over the limit.
  config = _config(**{
      'target.high': 0.0, 'search.start': free['winner']['architecture'],
  })
  with config.unlocked():
    config.limits.params = float(most - 1)
  result = run_search(config, tmp_path / 'limited')
  winner = result['winner']
  found = _params(winner['architecture'])
  assert found < most
  assert winner['further_costs'] == {'params': found}
  assert result['limits'] == {'params': most - 1}
  assert result['front'] == []
  trials = (tmp_path / 'limited' / 'trials.jsonl').read_text().splitlines()
  trained = [json.loads(line) for line in trials]
  assert winner['reward'] == max(
      one['reward'] for one in trained if _params(one['architecture']) < most
  )
  printed = capsys.readouterr().out
  assert f'limit {most - 1:,}' in printed
  assert f'{found:,} of {most - 1:,}' in printed
  page = (tmp_path / 'limited' / 'trace.html').read_text()
  assert f'params at most {most - 1:,}' in page
  assert f'params at least {most:,}' in page
  titles = PageReader(write_report([tmp_path / 'limited']).read_text()).titles
  over = []
  for one in trained:
    named = [
        title for title in titles
        if title.startswith(f'limited: trial {one["id"]},')
    ]
    params = _params(one['architecture'])
    if params >= most:
      # The circle alone: it was never the best so far.
      [title] = named
      assert title.endswith(
          f'; over a limit: params {params:,}, at most {most - 1:,}'
      )
      over.append(one)
    else:
      assert all('over a limit' not in title for title in named)
  assert over


@pytest.mark.parametrize('kept', [
    None, pytest.param(0, marks=pytest.mark.long),
    pytest.param(50, marks=pytest.mark.long),
])
def test_further_costs_of_every_trial_are_recorded(
    tmp_path: pathlib.Path, kept: int | None
) -> None:
  """Also where an older version or a kill left none, or some."""
  config = _config()
  with config.unlocked():
    config.limits.params = 1e6
  run_search(config, tmp_path)
  trials = (tmp_path / 'trials.jsonl').read_text().splitlines()
  wanted = [
      {'id': one['id'], 'params': _params(one['architecture'])}
      for one in map(json.loads, trials)
  ]
  file = tmp_path / 'further_costs.jsonl'
  if kept is not None:
    file.write_bytes(file.read_bytes()[:kept])
    run_search(config, tmp_path)
  lines = file.read_text().splitlines()
  assert list(map(json.loads, lines)) == wanted


def test_without_further_limits_there_are_no_further_costs(
    tmp_path: pathlib.Path
) -> None:
  run_search(_config(), tmp_path)
  assert not (tmp_path / 'further_costs.jsonl').exists()


def test_nothing_in_all_limits_is_said(tmp_path: pathlib.Path) -> None:
  """Costs from 35,000 on are reached by more parameters than allowed."""
  config = _config(**{
      'target.low': 35_500.0, 'target.high': (36_500.0, 40_000.0),
      'search.schedule': 'sweep',
  })
  with config.unlocked():
    config.limits = {'params': _params('0-0-0')}
  result = run_search(config, tmp_path)
  assert result['winner'] is None
  assert [one['trial'] for one in result['front']] == [None, None]
  with pytest.raises(NothingFoundError) as error:
    next_command(result, tmp_path)
  for part in ('from 35,500', 'to 40,000', 'params to'):
    assert part in str(error.value)


@pytest.mark.parametrize(('limits', 'parts'), [
    ({'parms': 5.0}, ['limits.parms', "'parms'", "'madds', 'params'"]),
    ({'params': 5.0}, ['limits.params: 5', 'allowed are limits of at least']),
    ({'params': 'few'}, ["limits.params: 'few'", 'allowed is a number']),
    ({'params': (4, 5)}, ['limits.params: (4, 5)', 'allowed is a number']),
    ({'params': ''}, ["limits.params: ''", 'allowed is a number']),
    ({'latency': 5.0}, ['cost.latency_table']),
])
def test_wrong_limits_are_named(
    limits: dict[str, object], parts: list[str]
) -> None:
  config = _config()
  with config.unlocked():
    config.limits = limits
  with pytest.raises(UserError) as error:
    make_problem(config, tiny.space(), 16, 10)
  for part in (*parts, 'allowed'):
    assert part in str(error.value)


def test_a_limit_that_is_no_number_is_named_before_all_else() -> None:
  config = _config()
  with config.unlocked():
    config.limits = {'params': (4, 5)}
  with pytest.raises(UserError, match=r'limits.params: \(4, 5\): allowed'):
    with_width_scaled(tiny.space(), config, _Data())


def test_zero_is_no_limit() -> None:
  config = _config()
  with config.unlocked():
    config.limits = {'params': 0}
  assert make_problem(config, tiny.space(), 16, 10).limits == ()


def test_a_limit_on_a_metric_of_ones_own(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  (tmp_path / 'own_metric.py').write_text(
      'def weights(space, image_size, num_classes):\n'
      "  return space.cost('params', image_size, num_classes)\n"
  )
  monkeypatch.syspath_prepend(tmp_path)
  config = _config()
  config_flag.override(config, [('limits.own_metric:weights', '3e3')])
  [limit] = make_problem(config, tiny.space(), 16, 10).limits
  assert limit.high == 3000
  assert limit.cost.cost((1, 0, 1)) == _params('1-0-1')


def test_references_keep_the_largest_limit_and_the_others() -> None:
  config = _config(**{'reference.trainings': 2})

  def named(**limits: float) -> dict[str, object]:
    with config.unlocked():
      config.limits = limits
    space = with_width_scaled(tiny.space(), config, _Data())
    return space.named

  wide = named()[WIDTH_SCALED].counts(16, 10)
  assert _HIGHS[1] < wide.madds <= _HIGHS[2]
  narrow = named(params=wide.params - 1)[WIDTH_SCALED].counts(16, 10)
  assert narrow.params < wide.params
  problem = make_problem(config, tiny.space(), 16, 10)
  assert [one.name for one in problem.references] == ['default']
  assert not named(latency=5.0)


class _Data:
  """As much of a data set as costs depend on."""

  image_size = 16
  num_classes = 10


def test_the_final_training_takes_the_answer_under_a_limit(
    tmp_path: pathlib.Path
) -> None:
  result = run_search(_config(), tmp_path)
  file = str(tmp_path / 'result.json')
  networks = [
      read_architecture(file, limit).network.to_dict() for limit in _HIGHS
  ]
  assert networks == [one['network'] for one in result['front']]
  assert read_architecture(file).network.to_dict() == networks[-1]
  for limit, name in ((45_000.0, file), (40_000.0, 'mobilenet_v2')):
    with pytest.raises(UserError, match=r'flag --(limit|architecture)'):
      read_architecture(name, limit)


@pytest.mark.long
def test_a_space_of_flax_modules(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
  """Larger perceptrons are better; their counts come from traces."""
  monkeypatch.setattr(
      evaluator, 'train_and_evaluate', lambda job, *args, **named: TrainResult(
          {'loss': 1 / job.network.counts(0, 1).params}, 10, 1.0
      ),
  )
  config = tiny.changed(**{
      'space': 'examples.own_task:space', 'reward': 'loss',
      'data.source': 'examples.own_task:load', 'cost.metric': 'params',
      'training.batch_size': 32, 'training.evaluation_batch_size': 64,
      'search.schedule': 'model_guided', 'budget.trials': 30,
      'target.high': (100, 200, 500), 'compile_ahead': 0,
  })
  config_flag.override(config, [('limits.madds', '160')])
  result = run_search(config, tmp_path)
  # Of the next network, the multiply-adds are 176 and the parameters 193.
  assert [one['cost'] for one in result['front']] == [97, 169, 169]
  assert result['winner']['further_costs'] == {'madds': 152}
  assert 'cost params: ' in capsys.readouterr().out

"""Searches that compare their answer with the default network."""

import json
import pathlib

import pytest

from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.networks.reference import scale_filters
from layernas.networks.spec import NetworkSpec
from layernas.reports.hooks import Hook
from layernas.runs import evaluator
from layernas.runs.final import read_architecture
from layernas.runs.run_search import run_search
from layernas.runs.setup import WIDTH_SCALED
from layernas.runs.setup import make_problem
from layernas.runs.setup import with_width_scaled
from layernas.training.train import Job
from layernas.training.train import TrainResult
from tests import tiny

# Between the costs of the default network and of the largest one.
_LIMIT = 60_000.0
_CONFIG = {
    'compile_ahead': 0, 'reference.trainings': 2, 'budget.trials': 24,
    'target.high': _LIMIT,
}


def _config(**changes: object):
  return tiny.changed(**{**_CONFIG, **changes})


def _space(**changes: object):
  config = _config(**changes)
  return with_width_scaled(tiny.space(), config, load_dataset(config.data))


def _madds(network: NetworkSpec) -> int:
  return network.counts(16, 10).madds


def test_the_scaled_network_is_the_widest_within_the_limit() -> None:
  scaled = _space().network(WIDTH_SCALED)
  default = tiny.space().network(tiny.space().search_space.default)
  assert _madds(default) < _madds(scaled) <= _LIMIT
  widths = [scale_filters(default, step / 1000, 1) for step in range(900, 1500)]
  assert scaled in widths
  assert _madds(widths[widths.index(scaled) + widths.count(scaled)]) > _LIMIT


@pytest.mark.parametrize('changes', [
    {'reference.trainings': 0}, {'target.high': 0.0}, {'target.high': 1.0},
    {'cost.metric': 'tests.runs.test_setup:weight_bytes'},
    {'target.low': 59_999.9},
])
def test_where_there_is_nothing_to_scale_to(changes: dict[str, object]) -> None:
  assert not _space(**changes).named


@pytest.mark.parametrize(('high', 'names'), [
    (_LIMIT, ['default', 'width-scaled default']),
    # The default network itself costs 47,440.
    (45_000.0, ['width-scaled default']),
])
def test_references_lie_in_the_target(high: float, names: list[str]) -> None:
  space = _space(**{'target.high': high})
  problem = make_problem(_config(**{'target.high': high}), space, 16, 10)
  assert [one.name for one in problem.references] == names
  for one in problem.references:
    assert one.cost == _madds(space.network(one.network)) <= high


@pytest.fixture(name='rewards')
def _rewards(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
  """What trainings give: of the scaled network `scaled`, else the MAdds."""
  given = {'scaled': 0.0}
  scaled = _space().network(WIDTH_SCALED)

  def train(job: Job, *args: object, **named: object) -> TrainResult:
    reward = given['scaled'] if job.network == scaled else (
        _madds(job.network) / 1e5
    )
    return TrainResult({'accuracy': reward + job.seed % 89 / 1e6}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', train)
  return given


def _architectures(workdir: pathlib.Path) -> list[str]:
  lines = (workdir / 'trials.jsonl').read_text().splitlines()
  return [json.loads(line)['architecture'] for line in lines]


def test_a_search_ends_with_the_comparison(
    rewards: dict[str, float], tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture,
) -> None:
  del rewards
  result = run_search(_config(), tmp_path)
  trained = _architectures(tmp_path)
  assert trained[:2] == ['1-0-0', 'width-scaled']
  assert trained.count('width-scaled') == 2
  winner = result['winner']
  assert trained[-2:] == [winner['architecture']] * 2
  default, scaled = result['comparison']
  assert (default['reference'], scaled['reference']) == (
      'default', 'width-scaled default'
  )
  assert 0 < default['difference'] < scaled['difference']
  assert default['probability'] > 0.99
  printed = ' '.join(capsys.readouterr().out.split())
  assert '6 to compare the answer with the default and the width-scaled' in (
      printed
  )
  assert 'better than the default: +0.' in printed


@pytest.mark.long
def test_a_better_reference_is_the_answer(
    rewards: dict[str, float], tmp_path: pathlib.Path
) -> None:
  rewards['scaled'] = 0.9
  result = run_search(_config(), tmp_path)
  assert result['winner']['architecture'] == 'width-scaled'
  assert result['comparison'][1]['difference'] < 0
  found = read_architecture(str(tmp_path / 'result.json'))
  assert found.network == _space().network(WIDTH_SCALED)


class _Killed(Hook):
  """Ends a search behind some trials."""

  def __init__(self, trials: int):
    self._left = trials

  def after_trial(self, trial):
    del trial
    self._left -= 1
    if not self._left:
      raise KeyboardInterrupt


@pytest.mark.parametrize('trials', [
    4, *(pytest.param(trials, marks=pytest.mark.long) for trials in (1, 8)),
])
def test_a_killed_search_goes_on(
    rewards: dict[str, float], tmp_path: pathlib.Path, trials: int
) -> None:
  del rewards
  whole = run_search(_config(), tmp_path / 'whole')
  with pytest.raises(KeyboardInterrupt):
    run_search(_config(), tmp_path / 'run', [_Killed(trials)])
  assert len(_architectures(tmp_path / 'run')) == trials
  assert run_search(_config(), tmp_path / 'run')['winner'] == whole['winner']
  assert _architectures(tmp_path / 'run') == _architectures(tmp_path / 'whole')


@pytest.mark.long
@pytest.mark.parametrize(('changes', 'named'), [
    ({'reference.trainings': 1}, r'reference\.trainings was 2 and is 1'),
    # Another scaled network.
    ({'reference.divisor': 8}, 'content of space'),
])
def test_another_comparison_continues_no_search(
    rewards: dict[str, float], tmp_path: pathlib.Path,
    changes: dict[str, object], named: str,
) -> None:
  del rewards
  run_search(_config(), tmp_path)
  with pytest.raises(UserError, match=named):
    run_search(_config(**changes), tmp_path)


@pytest.mark.long
def test_a_search_goes_on_with_a_larger_budget(
    rewards: dict[str, float], tmp_path: pathlib.Path
) -> None:
  """It compares once more where it has something left to search."""
  del rewards
  few = {'search.schedule': 'model_guided', 'search.guided.trainings': 9}
  run_search(_config(**few), tmp_path)
  before = _architectures(tmp_path)
  run_search(_config(**few, **{'budget.trials': 34}), tmp_path)
  after = _architectures(tmp_path)
  assert after[:len(before)] == before
  assert len(after) > len(before)
  budgets = json.loads((tmp_path / 'budgets.json').read_text())
  assert [(one['from'], one['trials']) for one in budgets] == [
      (0, 24), (len(before), 34)
  ]

"""The study of inherited weights: its lines, and its figures."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from layernas.errors import UserError
from layernas.search.space import architecture_id
from layernas.training.devices import replicate
from layernas.training.hooks import StepHook
from layernas.training.programs import Programs
from layernas.training.steps import TrainState
from layernas.training.steps import initial_state
from layernas.training.train import Job
from tools.perf import inheritance_study
from tools.perf import reward_study
from tools.perf.inheritance_study import Lines
from tools.perf.inheritance_study import read
from tools.perf.inheritance_study import report_text
from tools.perf.inheritance_study import run
from tools.perf.inheritance_study import short_recipe
from tools.perf.inheritance_study import stored_recipes
from tools.perf.inheritance_study import summary
from tools.perf.inheritance_study import walk
from tools.perf.reward_study import REWARDS


def test_a_line_changes_layer_after_layer() -> None:
  assert walk((1, 0, 3, 0), (1, 2, 0, 1)) == [
      (1, 2, 3, 0), (1, 2, 0, 0), (1, 2, 0, 1)
  ]


def _programs(*unused: object) -> Programs:
  """Of a network with one number, which begins with zero."""

  def first(seed: int) -> TrainState:
    del seed
    params = {'stem': {'value': np.zeros(1)}}
    return initial_state({'params': params, 'batch_stats': {}}, (), ema=False)

  return Programs(first, float, print, print)


class _Fake:
  """Trainings that add one to the number, which is their reward."""

  def __init__(self) -> None:
    self.jobs: list[Job] = []

  def __call__(
      self, job: Job, programs: Programs, hooks: Sequence[StepHook]
  ) -> tuple[dict[str, float], float]:
    self.jobs.append(job)
    state = programs.initial_state(job.seed)
    state.variables['params']['stem']['value'] += 1
    for step in (job.steps - 1, job.steps):
      hooks[0].stepped(
          step, state.replace(variables=replicate(state.variables))
      )
    value = float(state.variables['params']['stem']['value'][0])
    return dict.fromkeys(REWARDS, value), 2.0


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> _Fake:
  trainings = _Fake()
  monkeypatch.setattr(inheritance_study, 'compile_programs', _programs)
  monkeypatch.setattr(reward_study, 'timed_training', trainings)
  return trainings


@pytest.mark.long
def test_lines_go_on_where_they_ended(
    tmp_path: pathlib.Path, fake: _Fake
) -> None:
  lines, path = Lines(), tmp_path / 'trainings.jsonl'
  networks = reward_study.Trainer().networks(2)
  found = run(path, lines, networks, 2)
  text = path.read_text()
  assert [json.loads(line) for line in text.splitlines()] == found
  assert [(line['network'], line['seed']) for line in found] == [
      (network, seed) for network in networks for seed in range(2)
  ]
  for line in found:
    number = line['trainings']
    # Each training adds to what the line had learned; the other to nothing.
    assert line['inherited'] == {
        'rewards': dict.fromkeys(REWARDS, float(number)), 'seconds': 2.0
    }
    assert line['scratch']['rewards'] == dict.fromkeys(REWARDS, 1.0)
    assert line['line_seconds'] == 2.0 * number
  # The default network once, and each network again from scratch.
  assert len(fake.jobs) == 1 + sum(line['trainings'] for line in found)
  assert len({job.seed for job in fake.jobs}) == len(fake.jobs) - 4
  # Its last line was being written when it was killed.
  path.write_text(text[:-20])
  before = len(fake.jobs)
  assert run(path, Lines(), networks, 2) == found
  assert path.read_text() == text
  assert len(fake.jobs) == before + 1 + found[-1]['trainings']
  # Further networks change nothing in those that are there.
  assert run(path, lines, networks[:1], 1) == found


def test_other_epochs_are_not_mixed(tmp_path: pathlib.Path) -> None:
  path = tmp_path / 'trainings.jsonl'
  path.write_text(json.dumps({'epochs': 0.5}) + '\n')
  assert len(read(path, 0.5)) == 1
  with pytest.raises(UserError, match=r'\[0\.5\] epochs.*, 2\.0; take'):
    read(path, 2.0)


def test_stored_recipes_differ_in_epochs_alone() -> None:
  plain = {'training.' + name: value for name, value in (
      ('epochs', 2.0), ('warmup_epochs', 0.2), ('learning_rate', 0.4)
  )}
  assert stored_recipes(short_recipe(plain)) == [
      'plain', '2 epochs', '3 epochs'
  ]
  assert stored_recipes(short_recipe(
      plain | {'training.learning_rate': 0.8}
  )) == ['rate x 2']
  assert stored_recipes(short_recipe(
      plain | {'training.learning_rate': 0.7}
  )) == []


def _line(network: int, seed: int, inherited: float, scratch: float) -> Any:
  return {
      'network': f'n{network}', 'seed': seed, 'epochs': 1.0, 'trainings': 9,
      'line_seconds': 30.0,
      'inherited': {'rewards': _rewards(inherited), 'seconds': 3.0},
      'scratch': {'rewards': _rewards(scratch), 'seconds': 2.0},
  }


def _rewards(value: float) -> dict[str, float]:
  return {'accuracy': value, 'loss': -value, 'top5': -value}


def _stored(recipe: str, network: int, seed: int, value: float) -> Any:
  return {
      'recipe': recipe, 'network': f'n{network}', 'seed': seed,
      'rewards': {'': _rewards(value), 'EMA 0.9': _rewards(0.0)},
      'seconds': 4.0,
  }


def test_figures_of_made_up_trainings() -> None:
  rng = np.random.default_rng(0)
  # Inherited rewards tell the truth but for a little, others hardly.
  lines = [
      _line(n, s, n + 0.1 * rng.normal() + 5, n + 9 * rng.normal())
      for n in range(8) for s in range(2)
  ]
  stored = [_stored('final', n, 0, n / 10) for n in range(20)]
  stored += [
      _stored('plain', n, s, -n + s / 10) for n in range(20) for s in range(3)
  ]
  stored += [_stored('rate x 2', n, 0, n) for n in range(20)]
  figures = summary(lines, stored, ['plain'])
  assert (figures['lines'], figures['line_seconds']) == (16, 30.0)
  rows = {(row['recipe'], row['reward']): row for row in figures['rows']}
  assert {recipe for recipe, _ in rows} == {
      'inherited', 'scratch', 'plain (stored)'
  }
  inherited, scratch, plain = (
      rows[recipe, 'loss'] for recipe in
      ('inherited', 'scratch', 'plain (stored)')
  )
  assert inherited['spearman_loss'] == pytest.approx(1)
  assert inherited['seconds'] == 3.0
  assert scratch['spearman_loss'] < 0.8
  assert plain['spearman_loss'] == pytest.approx(-1)
  # Of these networks alone.
  assert plain['networks'] == plain['final_networks'] == 8
  by_reward = {row['reward']: row for row in figures['differences']}
  loss = by_reward['loss']
  assert loss['spearman_loss'] == pytest.approx(
      inherited['spearman_loss'] - scratch['spearman_loss']
  )
  assert loss['spearman'] == loss['spearman_loss']
  assert 0 < loss['error_loss'] < 0.5
  assert loss['gain'] == pytest.approx(np.mean([
      line['scratch']['rewards']['loss'] - line['inherited']['rewards']['loss']
      for line in lines
  ]))
  assert by_reward['top5']['spearman'] == pytest.approx(-loss['spearman'])
  text = report_text(figures)
  assert text.startswith('16 lines of 9.0 trainings and 30 s on average.')
  assert '| 1.00 ± 0.00 | 1.00 | 3.0 | 0.333 |' in text
  assert len(text.splitlines()) == 4 + 9 + 3 + 3


def test_pairs_are_compared_on_the_same_networks() -> None:
  rng = np.random.default_rng(0)
  lines = []
  for n in range(8):
    for s in range(2):
      value = n + 5 * rng.normal()
      lines.append(_line(n, s, value + 1, value))
  stored = [_stored('final', n, 0, n) for n in range(8)]
  # Rewards of the same order differ in nothing, whoever is drawn.
  for row in summary(lines, stored, [])['differences']:
    for name in ('spearman', 'spearman_loss', 'error', 'error_loss'):
      assert row[name] == 0
  # Half of the lines of a network do not count, nor do two networks.
  lines.append(_line(9, 0, 0, 0))
  assert len(summary(lines, stored, [])['differences']) == 3
  assert summary(lines[:4], stored, [])['differences'] == []


@pytest.mark.long
def test_networks_of_the_space_inherit() -> None:
  lines = Lines({'training.epochs': 0.4, 'training.warmup_epochs': 0.1})
  end = list(lines.start.architecture)
  # One block more in the first stage, and a larger kernel in the second.
  end[4], end[6] = 1, 1
  found = lines.trained(architecture_id(tuple(end)), 0, 0)
  assert found['trainings'] == 3
  assert found['inherited']['rewards']['loss'] < (
      found['scratch']['rewards']['loss'] - 0.05
  )
  for part in ('inherited', 'scratch'):
    assert 0 < found[part]['seconds'] < found['line_seconds']

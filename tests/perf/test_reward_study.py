"""The study of rewards: its figures, and trainings that go on."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest

from configs import cifar10_small
from layernas.data.registry import load_dataset
from layernas.search.space import parse_architecture_id
from layernas.training.devices import replicate
from layernas.training.train import Job
from layernas.training.train import TrainResult
from tools.perf import reward_study
from tools.perf.reward_study import RECIPES
from tools.perf.reward_study import REWARDS
from tools.perf.reward_study import Averages
from tools.perf.reward_study import OneOrder
from tools.perf.reward_study import Recipe
from tools.perf.reward_study import Trainer
from tools.perf.reward_study import correlations
from tools.perf.reward_study import figures
from tools.perf.reward_study import run
from tools.perf.reward_study import table_text


def _line(
    recipe: str, network: int, seed: int, value: float, seconds: float = 2.0
) -> dict[str, object]:
  """Accuracy and loss both tell the value; top5 its opposite."""
  rewards = {'accuracy': value, 'loss': -value, 'top5': -value}
  return {
      'recipe': recipe, 'network': f'n{network}', 'seed': seed,
      'rewards': {'': rewards}, 'seconds': seconds,
  }


def test_figures_of_made_up_trainings() -> None:
  # True values 0, 1, ..., 5; the short trainings of a seed add -0.3 or 0.3.
  lines = [_line('final', n, s, n + s / 10) for n in range(6) for s in (0, 1)]
  lines += [
      _line('plain', n, s, n + (s - 0.5) * 0.6, s + 1.0)
      for s in (0, 1) for n in range(6)
  ]
  # One that has not all its trainings is left out.
  lines.append(_line('plain', 9, 0, 100.0))
  rows = {row['reward']: row for row in figures(lines)}
  assert list(rows) == ['accuracy', 'loss', 'top5']
  for name, sign in (('accuracy', 1), ('loss', 1), ('top5', -1)):
    row = rows[name]
    assert (row['networks'], row['seeds']) == (6, 2)
    for figure in ('spearman', 'spearman_loss', 'spearman_mean'):
      assert row[figure] == pytest.approx(sign)
    assert row['within'] == pytest.approx(0.6 / 2**0.5)
    # The variance of 0..5 is 3.5; half of that within is in the means.
    assert row['between'] == pytest.approx((3.5 - 0.18 / 2) ** 0.5)
    assert row['reliability'] == pytest.approx(3.41 / (3.41 + 0.18))
    assert row['seconds'] == 2.0
  text = table_text(list(rows.values()))
  assert len(text.splitlines()) == 5
  cells = 'accuracy | 1.8466 | 0.4243 | 0.95 | 1.00 ± 0.00 |'
  assert f'| plain | last | {cells}' in text


def test_reliability_needs_no_final_training() -> None:
  lines = [_line('plain', n, s, float(n)) for n in range(4) for s in (0, 1)]
  row, *_ = figures(lines)
  assert (row['networks'], row['final_networks']) == (4, 0)
  assert row['reliability'] == 1.0
  assert '| - | - | - | - | 2.0 | - |' in table_text([row])


def test_noise_costs_correlation() -> None:
  rng = np.random.default_rng(0)
  lines = [_line('final', n, 0, float(n)) for n in range(40)]
  for recipe, noise in (('good', 5.0), ('bad', 50.0)):
    lines += [
        _line(recipe, n, s, n + noise * rng.normal())
        for n in range(40) for s in range(3)
    ]
  good, bad = (
      row for row in figures(lines) if row['reward'] == 'accuracy'
  )
  assert good['spearman'] > 0.8 > 0.5 > bad['spearman']
  assert bad['spearman_mean'] > bad['spearman']
  assert good['reliability'] > 0.7 > 0.3 > bad['reliability']
  assert bad['error'] > good['error']


def test_correlations_are_resampled() -> None:
  goal = np.arange(4.0)
  found = correlations(np.stack([goal, goal], axis=1), goal)
  assert found == pytest.approx(np.ones(len(found)))
  assert 900 < len(found) < 1001
  # The mean over the seeds: one in order and one against it.
  found = correlations(np.stack([goal, -goal], axis=1), goal)
  assert found == pytest.approx(np.zeros(len(found)))


def test_averages_of_weights() -> None:
  @dataclasses.dataclass
  class State:
    variables: dict[str, Any]

  steps, averages = 8, Averages(8)
  for step in range(1, steps + 1):
    params = np.full(2, step, np.float32)
    averages.stepped(step, State(replicate({'params': params})))
  found = averages.found()
  # Of the last quarter: steps 7 and 8.
  assert found['last quarter']['params'].tolist() == [7.5, 7.5]
  moving = 1.0
  for step in range(2, steps + 1):
    decay = min(0.9, step / (9 + step))
    moving = decay * moving + (1 - decay) * step
  assert found['EMA 0.9']['params'] == pytest.approx([moving, moving])


@pytest.mark.long
def test_one_order_has_the_same_batches_for_every_seed() -> None:
  dataset = load_dataset(cifar10_small.get_config().data)
  first, second = (
      next(OneOrder(dataset).train_batches('train', 8, seed, 3))
      for seed in (1, 2)
  )
  own = next(dataset.train_batches('train', 8, 1, 3))
  assert (first['image'] == second['image']).all()
  assert (first['image'] != own['image']).any()
  assert OneOrder(dataset).num_examples('train') == 8000


def test_networks_are_those_of_the_target() -> None:
  trainer = Trainer()
  networks = trainer.networks(20)
  assert networks[:5] == trainer.networks(5)
  cost = trainer.space.cost('madds', 32, 10)
  for network in networks:
    assert cost.cost(parse_architecture_id(network)) <= reward_study.LIMIT
  assert len(set(networks)) == 20


def _fake_training(job: Job, *unused: object, **more: object) -> TrainResult:
  """Metrics that tell what was asked for."""
  value = job.seed + (0.5 if job.split == 'validation' else 0.25)
  assert (job.split, job.evaluation_split) in {
      ('train', 'validation'), ('validation', 'train'), ('all_train', 'test')
  }
  return TrainResult(dict.fromkeys(REWARDS, value), job.steps, 0.0)


@pytest.mark.long
def test_trainings_go_on_where_they_ended(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  trained = []
  monkeypatch.setattr(reward_study, 'compile_programs', lambda *args: None)
  monkeypatch.setattr(
      reward_study, 'train_and_evaluate',
      lambda *args, **more: (
          trained.append(args[0]), _fake_training(*args, **more)
      )[1],
  )
  trainer, path = Trainer(), tmp_path / 'trainings.jsonl'

  def seeds(recipe: str, index: int) -> list[int]:
    return [0] if recipe == 'final' else [2 * index, 2 * index + 1]

  recipes = ['2 epochs', 'final', 'halves']
  monkeypatch.setitem(RECIPES, '2 epochs', Recipe({'training.epochs': 2.0}))
  lines = run(path, trainer, 2, seeds, recipes)
  text = path.read_text()
  assert [json.loads(line) for line in text.splitlines()] == lines
  networks = trainer.networks(2)
  assert [
      (line['recipe'], line['network'], line['seed']) for line in lines
  ] == [
      *(('2 epochs', networks[seed // 2], seed) for seed in range(4)),
      *(('final', network, 0) for network in networks),
      *(('halves', networks[seed // 2], seed) for seed in range(4)),
  ]
  # The mean of a network on each half.
  assert lines[-1]['rewards'][''] == dict.fromkeys(REWARDS, 3.375)
  assert [job.steps for job in trained] == [250] * 4 + [1872] * 2 + [62] * 8
  # Its last line was being written when it was killed.
  path.write_text(text[:-20])
  del trained[:]
  assert without_seconds(run(path, trainer, 2, seeds, recipes)) == (
      without_seconds(lines)
  )
  assert len(trained) == 2


def without_seconds(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
  return [
      {name: line[name] for name in line if name != 'seconds'}
      for line in lines
  ]


@pytest.mark.long
def test_averages_are_evaluated() -> None:
  trainer = Trainer({'training.epochs': 0.1, 'training.warmup_epochs': 0.0})
  [network] = trainer.networks(1)
  [found] = trainer.trainings(RECIPES['plain'], network, [0])
  assert set(found['rewards']) == {'', 'EMA 0.9', 'EMA 0.97', 'last quarter'}
  losses = {row['loss'] for row in found['rewards'].values()}
  assert len(losses) > 1
  # Hardly trained: about the logarithm of ten classes.
  assert all(2 < loss < 3 for loss in losses)

"""The simulated ImageNet searches: cases, figures, tables and picture."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests.search import problems
from tools.perf import workers
from tools.perf.workers import CASES
from tools.perf.workers import Times

_SMALL = CASES['imagenet_v3_small_60m: sweep, H = 5']


class Drawn:
  """Gives these times until a worker is lost."""

  def __init__(self, *times):
    self._times = iter(times)

  def exponential(self, mean):
    assert mean == 10
    return next(self._times)


@pytest.mark.parametrize(('drawn', 'time'), [
    ([3.0], 3.0),
    # At 1.5 all but the first is lost, at 1.25 after that another one.
    ([1.5, 1.25, 9.0], 1.5 + 0.5 + 1.25 + 0.5 + 1.0),
    # All is lost before the first checkpoint.
    ([0.5, 9.0], 0.5 + 0.5 + 3.0),
])
def test_losses(drawn, time):
  times = Times(between_losses=10, checkpoint=1, restart=0.5)
  assert workers.with_losses(3.0, times, Drawn(*drawn)) == time


def test_time_grows_with_the_madds():
  cost = workers.search_of(_SMALL).problem.cost
  task = workers.task_of(_SMALL, Times(jitter=0))
  assert task(cost.space.default).time == 1
  other = tuple(count - 1 for count in cost.space.option_counts)
  ratio = cost.cost(other) / cost.cost(cost.space.default)
  assert task(other).time == pytest.approx(ratio)
  assert task(other) == workers.task_of(_SMALL, Times(jitter=0))(other)


def test_jitter_and_losses_change_the_time_alone():
  space = workers.search_of(_SMALL).problem.space
  lost = dataclasses.replace(_SMALL, losses=True)
  tasks = [
      workers.task_of(case, times)(space.default) for case, times in [
          (_SMALL, Times(jitter=0)), (_SMALL, Times(jitter=0.1)),
          (lost, Times(jitter=0.1, between_losses=0.3)),
      ]
  ]
  assert len({one.time for one in tasks}) == 3
  assert len({one.reward for one in tasks}) == 1


def test_rewards_are_terms_of_layers_and_of_neighbours():
  space = problems.make_space(*[200] * 5)
  rewards = workers.synthetic_rewards(space, seed=1)
  assert [one.scope for one in rewards.factors] == [
      (0,), (1,), (2,), (3,), (4,), (0, 1), (1, 2), (2, 3), (3, 4)
  ]
  again, other = (
      workers.synthetic_rewards(space, seed).cost for seed in (1, 2)
  )
  one = (1, 2, 0, 100, 5)
  assert rewards.cost(one) == again(one) != other(one)
  # Neighbours' terms have a quarter of the variance of the layers' terms.
  variances = [np.var(one.table) for one in rewards.factors]
  assert sum(variances[:5]) == pytest.approx(5, rel=0.1)
  assert sum(variances[5:]) == pytest.approx(5 / 4, rel=0.1)


@pytest.mark.parametrize('name', [
    name if name.startswith('imagenet_v3_small') else
    pytest.param(name, marks=pytest.mark.long) for name in CASES
])
def test_cases_are_what_they_are_called(name):
  case = CASES[name]
  strategy = workers.search_of(case).strategy
  assert case.schedule in case.label or case.label.startswith('sweep')
  assert type(strategy).__name__.lower() == case.schedule.replace('_', '')
  if 'H = ' in case.label:
    buckets = int(case.label.partition('H = ')[2].partition(',')[0])
    assert strategy.buckets == buckets


@pytest.mark.parametrize(('name', 'overlaps'), [
    pytest.param('imagenet_v3_large_220m: sweep, H = 5',
                 ['none', 'certain', 'leading'], marks=pytest.mark.long),
    ('imagenet_v3_large_220m: interleaved, 8 x 8', ['none']),
])
def test_figures(name, overlaps):
  case = workers.case_runs(CASES[name], Times(), [1, 64])
  assert list(case['runs']) == overlaps
  for runs in case['runs'].values():
    assert list(runs) == ['1', '64']
    assert runs['1']['speed_up'] == 1
    run = runs['64']
    assert run['speed_up'] == pytest.approx(
        runs['1']['makespan'] / run['makespan'], abs=1e-3
    )
    assert run['efficiency'] == pytest.approx(run['speed_up'] / 64, abs=1e-3)
    idle = run['spare'] + run['barriers'] + run['tail']
    parts = run['training'] + run['starting'] + run['wasted'] + idle
    assert parts == pytest.approx(1, abs=1e-3)
    assert sum(run['idle_by_layer'].values()) == pytest.approx(idle, abs=3e-3)
  assert 1 < case['runs']['none']['64']['speed_up'] < (
      case['runs']['none']['64']['bound']
  ) < 64


@pytest.fixture(name='results')
def _results():
  def run(speed_up):
    return {
        'speed_up': speed_up, 'efficiency': 0.5, 'bound': 60.04,
        'barriers': 0.1234, 'spare': 0.02, 'tail': 0.001, 'wasted': 0.0567,
        'idle_by_layer': {'1': 0.1, '2': 0.04},
    }

  def case(schedule, *overlaps):
    return {
        'config': 'imagenet_v3_large_220m', 'schedule': schedule,
        'candidates': 1234, 'generations': 21,
        'runs': {
            overlap: {
                str(count): run(count - lost) for count in workers.SHOWN
            } for lost, overlap in enumerate(overlaps)
        },
    }

  return {'cases': {
      'a': case('sweep, H = 5', 'none', 'certain', 'leading'),
      'b': case('interleaved, 8 x 8', 'none'),
  }}


def test_tables(results):
  first, second = (table.splitlines() for table in workers.tables(results))
  assert first[2:] == [
      f'| v3_large_220m, {schedule} | 1,234 | 21 | 4.0 | 16.0 | 64.0 | 256.0 |'
      ' 12.3 % | 2.0 % | 0.1 % | 60.0 |'
      for schedule in ('sweep, H = 5', 'interleaved, 8 x 8')
  ]
  assert second[2:] == [
      '| v3_large_220m, sweep, H = 5 | 16.0 | 15.0 | 14.0 | 5.7 % |'
      ' 64.0 | 63.0 | 62.0 | 5.7 % | 256.0 | 255.0 | 254.0 | 5.7 % |'
  ]
  assert {row.count('|') for row in first} == {12}
  assert {row.count('|') for row in second} == {14}


def test_picture_shows_every_overlap(results, tmp_path):
  sizes = []
  for overlap in ('leading', 'certain'):
    workers.save_plot(results, tmp_path / 'workers.png')
    with Image.open(tmp_path / 'workers.png') as picture:
      sizes.append((picture.size, picture.tobytes()))
    for run in results['cases']['a']['runs'][overlap].values():
      run['efficiency'] = 0.9
  assert sizes[0][0] == (1100, 900)
  assert sizes[0][1] != sizes[1][1]

"""The search half as a library: wrong calls, names, settings, threads."""

import dataclasses
import itertools
import json
import math
import threading

import numpy as np
import pytest

import layernas.search
from layernas.errors import UserError
from layernas.search import Budget
from layernas.search import EarlyStop
from layernas.search import Evaluation
from layernas.search import Finalists
from layernas.search import Interleaved
from layernas.search import Layer
from layernas.search import ModelGuided
from layernas.search import Recentred
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import Status
from layernas.search import Strategy
from layernas.search import Sweep
from layernas.search import TargetInterval
from layernas.search import make_schedule
from layernas.search.schedules import SCHEDULES
from tests.search import problems

TABLES = [[1, 2, 3], [10, 20, 30], [100, 200, 300]]


def _search(**settings):
  return Search(problems.make_problem(TABLES), 'sweep', **settings)


def _finish(search):
  while candidates := search.ask(4):
    for candidate in candidates:
      search.tell(candidate.id, _worth(candidate))
  return search


def _worth(candidate):
  return Evaluation(float(sum(candidate.architecture)), 1.0)


@pytest.mark.parametrize(('trial_id', 'result', 'part'), [
    (0, 0.5, r'result 0.5 of trial 0: allowed is an Evaluation'),
    (0, None, 'result None of trial 0: allowed is an Evaluation'),
    (0, {'reward': 0.5}, 'allowed is an Evaluation'),
    (7, Evaluation(0.5), r'trial 7 .*not been asked; allowed are \[0, 1\]'),
    (-1, Evaluation(0.5), 'trial -1 .*not been asked'),
    ('0', Evaluation(0.5), "trial id '0': allowed are integers"),
    (0.0, Evaluation(0.5), 'trial id 0.0: allowed are integers'),
    (True, Evaluation(0.5), 'trial id True: allowed are integers'),
    ([0], Evaluation(0.5), 'candidate.id'),
])
def test_a_wrong_tell_changes_nothing(trial_id, result, part):
  search, right = _search(), _search()
  candidates = search.ask(2)
  assert right.ask(2) == candidates
  with pytest.raises(UserError, match=part):
    search.tell(trial_id, result)
  assert search.waiting == candidates
  assert search.trials == []
  for each in (search, right):
    for candidate in candidates:
      each.tell(candidate.id, _worth(candidate))
  assert _finish(search).trials == _finish(right).trials
  assert search.finished


def test_a_trial_is_told_once():
  search = _search()
  first, second = search.ask(2)
  for candidate in (second, first):
    search.tell(candidate.id, _worth(candidate))
    with pytest.raises(UserError, match='it has been told'):
      search.tell(candidate.id, _worth(candidate))
  assert len(search.trials) == 2
  assert _finish(search).trials == _finish(_search()).trials


def test_after_the_end_the_reason_is_told():
  search = _search(budget=Budget(seconds=1))
  first, second = search.ask(2)
  search.tell(first.id, _worth(first))
  with pytest.raises(UserError, match='over: budget of 1 seconds spent'):
    search.tell(second.id, _worth(second))


@pytest.mark.parametrize('count', [-1, 2.5, '3', None, True])
def test_a_wrong_count_is_refused(count):
  search = _search()
  with pytest.raises(UserError, match='ask: count'):
    search.ask(count)
  assert len(search.ask(np.int64(2))) == 2


@pytest.mark.parametrize(('fields', 'part'), [
    ({'reward': '0.5'}, "reward '0.5': allowed is a number"),
    ({'reward': True}, 'reward True'),
    ({'reward': [0.5]}, r'reward \[0.5\]'),
    ({'reward': 0.5, 'seconds': None}, 'seconds None'),
    ({'reward': 0.5, 'seconds': math.nan}, 'seconds nan'),
    ({'reward': 0.5, 'seconds': -1.0}, 'seconds -1.0'),
    ({'reward': 0.5, 'status': 'fine'}, "status 'fine': allowed are .*'ok'"),
    ({'reward': 0.5, 'metrics': 3}, 'metrics 3'),
    ({'reward': 0.5, 'early_reward': 'no'}, "early_reward 'no'"),
])
def test_a_wrong_evaluation_is_refused_where_it_is_made(fields, part):
  with pytest.raises(UserError, match=part):
    Evaluation(**fields)


@pytest.mark.parametrize('reward', [math.nan, math.inf, np.float32('nan')])
def test_a_reward_that_is_not_finite_is_a_trial_without_reward(reward):
  search = _search()
  [first] = search.ask()
  search.tell(first.id, Evaluation(reward))
  assert search.trials[0].evaluation.status is Status.NAN
  assert _finish(search).best


def test_numbers_of_numpy_are_numbers():
  one = Evaluation(np.float32(0.5), np.int64(2), 'ok', early_reward=np.array(1))
  assert (type(one.reward), type(one.seconds)) == (float, int)
  assert (one.status, type(one.early_reward)) == (Status.OK, int)
  space = SearchSpace((Layer('width', np.arange(8, 33, 8), np.int64(1)),))
  assert type(space.describe(space.default)['width']) is int
  assert type(space.default[0]) is int
  assert type(TargetInterval(high=np.int64(5)).high) is int
  assert type(Budget(trials=np.int64(5)).trials) is int
  assert Sweep(buckets=np.int64(5)).buckets == 5
  metrics = Evaluation(0.5, metrics={'loss': np.float32(0.25)}).metrics
  assert json.dumps(metrics) == '{"loss": 0.25}'


@pytest.mark.parametrize(('make', 'part'), [
    (lambda: Budget(trials='10'), "budget.trials: '10'"),
    (lambda: Budget(seconds=True), 'budget.seconds: True'),
    (lambda: TargetInterval('a', 3), r'target interval \[a, 3\]'),
    (lambda: TargetInterval(None, 3), r'target interval \[None, 3\]'),
    (lambda: Sweep(buckets=1.5), 'search.buckets: 1.5'),
    (lambda: Sweep(keep='2'), "search.keep: '2'"),
    (lambda: Sweep(start=None), 'search.start: None'),
    (lambda: Interleaved(axis_samples=2.5), 'search.visit.axis_samples: 2.5'),
    (lambda: ModelGuided(design=2.5), 'search.guided.design: 2.5'),
    (lambda: ModelGuided(random=-1), 'search.guided.random: -1'),
    (lambda: EarlyStop('a'), "early_stop.margin: 'a'"),
    (lambda: Finalists(Sweep(), '0.2'), 'search.finalists: 0.2'),
    (lambda: problems.make_problem([[1, [2]]]), r'cost factor \(0,\): setting'),
])
def test_settings_of_another_type_are_named(make, part):
  with pytest.raises(UserError, match=f'{part}.*: allowed'):
    make()


@pytest.mark.parametrize(('arguments', 'part'), [
    ((0, 'sweep'), r'problem 0: allowed is a Problem'),
    ((None, 'swep'), "'swep': allowed are .*'sweep'"),
    ((None, Sweep), 'strategy .*Sweep.*: allowed is a Strategy, such as'),
    ((None, 'sweep', 100), r'budget 100: .*Budget\(trials=100\)'),
    ((None, 'sweep', Budget(), -1), 'seed -1: allowed are integers >= 0'),
    ((None, 'sweep', Budget(), 0.5), 'seed 0.5: allowed are integers >= 0'),
    ((None, 'sweep', Budget(), 0, True, 0.1), 'early_stop 0.1: .*EarlyStop'),
])
def test_wrong_arguments_are_named(arguments, part):
  problem, *rest = arguments
  if problem is None:
    problem = problems.make_problem(TABLES)
  with pytest.raises(UserError, match=part):
    Search(problem, *rest)


@pytest.mark.parametrize('name', SCHEDULES)
def test_a_name_is_the_schedule_with_its_default_settings(name):
  classes = {
      'sweep': Sweep, 'interleaved': Interleaved, 'recentred': Recentred,
      'model_guided': ModelGuided,
  }
  problem, budget = problems.make_problem(TABLES), Budget(trials=20)
  one, other = classes[name](), make_schedule(name)
  assert type(one) is type(other)
  for field in dataclasses.fields(one):
    assert getattr(one, field.name) == getattr(other, field.name)
  named = _finish(Search(problem, name, budget))
  assert named.trials == _finish(Search(problem, one, budget)).trials


def test_all_settings_can_be_set_from_the_public_package():
  """Every setting of a config's section `search`, and of early stop."""
  problem = problems.make_problem(TABLES)
  for schedule in (
      Sweep(buckets=4, keep=2, spacing='log', start='smallest', order='random'),
      Recentred(buckets=4, keep=2),
      Interleaved(buckets=4, entries=2, options=2, select='best'),
      ModelGuided(buckets=4, keep=2, design=3, batch=2, trainings=1),
      Finalists(Sweep(buckets=4), share=0.3),
  ):
    assert isinstance(schedule, Strategy)
    search = Search(
        problem, schedule, Budget(trials=12),
        early_stop=EarlyStop(margin=9.0) if schedule.passes == [] else None,
    )
    assert _finish(search).best
  assert all(hasattr(layernas.search, name) for name in layernas.search.__all__)


def test_a_layer_without_default_starts_at_its_first_option():
  space = SearchSpace((Layer('a', (8, 16)), Layer('b', (3, 5, 7), default=2)))
  assert space.default == (0, 2)
  assert 'first option if none is given' in ' '.join(Layer.__doc__.split())
  with pytest.raises(UserError, match="layer 'a': default '16': allowed"):
    Layer('a', (8, 16), default='16')


@pytest.mark.parametrize('name', SCHEDULES)
def test_threads_ask_and_tell_at_the_same_time(name):
  """As often as they like; each candidate goes to one thread."""
  problem = problems.make_problem([list(range(1, 7))] * 6)
  search = Search(problem, name, Budget(trials=40))
  asked, answers, errors = [], [], []

  def work():
    try:
      while not search.finished and not errors:
        for candidate in search.ask(2):
          asked.append(candidate.id)
          assert search.upcoming(3) is not None
          search.tell(candidate.id, _worth(candidate))
          answers.append(search.best)
    except Exception as error:
      errors.append(error)

  threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join(60)
  assert errors == []
  assert sorted(asked) == list(range(len(search.trials)))
  alone = _finish(Search(problem, name, Budget(trials=40)))
  assert search.trials == alone.trials
  assert search.best == alone.best


class SlowToPropose(Strategy):
  """Another thread always comes while it is at work."""

  def __init__(self, busy):
    self._busy = busy

  def generations(self, context):
    for option in itertools.cycle(range(3)):
      self._busy.set()
      threading.Event().wait(0.05)
      one = (option, 0, 0)
      yield [layernas.search.Proposal(one, context.problem.cost.cost(one))]

  def observe(self, proposal, trial):
    pass


def test_a_thread_waits_for_a_schedule_at_work():
  """A generator that is at work cannot be asked by another thread."""
  busy = threading.Event()
  search = Search(
      problems.make_problem(TABLES), SlowToPropose(busy), Budget(trials=1)
  )
  found = []
  thread = threading.Thread(target=lambda: found.extend(search.ask()))
  thread.start()
  assert busy.wait(9)
  found += search.ask()
  thread.join(9)
  assert [candidate.id for candidate in found] == [0]


class Faulty(Strategy):
  """Raises where it is told to."""

  def __init__(self, where):
    self._where = where

  def generations(self, context):
    cost = context.problem.cost.cost
    yield [layernas.search.Proposal((0, 0, 0), cost((0, 0, 0)))]
    raise KeyError('generations')

  def observe(self, proposal, trial):
    del proposal, trial
    if self._where == 'observe':
      raise KeyError('observe')


@pytest.mark.parametrize('where', ['generations', 'observe'])
def test_an_own_schedule_that_raises_ends_the_search(where):
  """In one line that names file and line; not in a search without an end."""
  search = Search(problems.make_problem(TABLES), Faulty(where))
  with pytest.raises(
      UserError, match=rf"Faulty: KeyError: '{where}' \(.*test_library.py, line"
  ):
    _finish(search)
  assert search.ask() == []
  assert search.stop_reason.startswith('the schedule failed: ')
  assert search.finished

"""Ask and tell: order of results, repeats, budgets, replay."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status
from layernas.search import Trial
from layernas.search import make_schedule
from layernas.search.strategy import Strategy
from layernas.search.trial import Proposal
from layernas.search.trial import trial_from_dict
from tests.search import problems


class Listed(Strategy):
  """Proposes given generations and remembers what it observed."""

  infeasible = 0

  def __init__(self, *listed):
    self.listed = listed
    self.observed = []
    self.incumbents = []

  def generations(self, context):
    for architectures in self.listed:
      yield [
          Proposal(one, context.problem.cost.cost(one)) for one in architectures
      ]
      best = context.incumbent()
      self.incumbents.append(best.candidate.architecture if best else None)
    return 'list at its end'

  def observe(self, proposal, trial):
    self.observed.append((proposal.architecture, trial.candidate.id))

  def bound(self, problem):
    del problem
    return sum(map(len, self.listed))


def listed_search(*listed, high=math.inf, **budget):
  problem = problems.make_problem([[0, 1, 2, 3]], high=high)
  return Search(problem, Listed(*listed), Budget(**budget))


def rewarding(*rewards):
  """An evaluator of the one-layer problem above; None fails."""
  def evaluate(candidate):
    reward = rewards[candidate.architecture[0]]
    status = Status.FAILED if reward is None else Status.OK
    return Evaluation(reward, 1.0, status)
  return evaluate


def ids(candidates):
  return [candidate.id for candidate in candidates]


# Order of results, duplicates.


@given(
    problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS,
    st.none() | st.integers(1, 30), st.none() | st.floats(0.1, 9.0),
    st.none() | st.integers(1, 3),
)
def test_batches_and_order_of_results_do_not_matter(
    problem, make_schedule, seed, trials, seconds, failures
):
  budget = Budget(
      trials or math.inf, seconds or math.inf, failures or math.inf
  )
  results = problems.RandomResults(seed, failing=0.3 if failures else 0.1)
  one_by_one, disordered = (
      Search(problem, make_schedule(), budget, seed) for _ in range(2)
  )
  problems.run(one_by_one, results)
  problems.run_in_disorder(disordered, results, random.Random(seed))
  assert disordered.finished
  assert problems.state(disordered) == problems.state(one_by_one)


@given(problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS)
def test_what_a_finished_search_holds(problem, make_schedule, seed):
  """Each network once, the first of the best, and no failure in a table."""
  search = Search(problem, make_schedule(), seed=seed)
  problems.run(search, problems.RandomResults(seed, failing=0.2))
  trials = search.trials
  seen = [trial.candidate.architecture for trial in trials]
  assert len(seen) == len(set(seen)) <= problem.space.size
  assert ids(trial.candidate for trial in trials) == list(range(len(seen)))
  inside = [
      trial for trial in trials
      if trial.ok and trial.candidate.cost in problem.target
  ]
  best = max(inside, key=lambda trial: trial.evaluation.reward, default=None)
  assert search.best is best
  for layer_pass in search.strategy.passes:
    for table in layer_pass.tables[1:]:
      for entry in table.entries():
        trial = trials[entry.trial]
        assert trial.ok
        assert trial.candidate.architecture == entry.architecture
        assert trial.evaluation.reward == entry.reward


def test_a_duplicate_in_flight_is_answered_when_the_first_is_told():
  search = listed_search([(0,), (1,), (0,)], [(1,), (2,)])
  first, second = search.ask(9)
  assert search.ask(9) == []
  search.tell(second.id, Evaluation(2.0))
  assert search.strategy.observed == []
  search.tell(first.id, Evaluation(1.0))
  assert search.strategy.observed == [((0,), 0), ((1,), 1), ((0,), 0)]
  [third] = search.ask(9)
  assert third.architecture == (2,)
  assert search.reused == 2


def test_the_incumbent_of_a_generation_knows_all_results_before():
  search = listed_search([(2,), (0,)], [(3,), (1,)], high=2)
  problems.run(search, rewarding(1.0, 3.0, 2.0, 9.0))
  assert search.strategy.incumbents == [(2,), (1,)]


@pytest.mark.parametrize('batch', [1, 9])
def test_reused_results_do_not_wait_for_the_next_ask(batch):
  """There is none where a budget ends, and batches must not matter."""
  search = listed_search([(0,), (1,), (0,)], [(2,)], seconds=2)
  while asked := search.ask(batch):
    for candidate in asked:
      search.tell(candidate.id, Evaluation(1.0, seconds=1.0))
  assert search.strategy.observed == [((0,), 0), ((1,), 1), ((0,), 0)]
  assert search.reused == 1


def test_upcoming_is_what_the_next_asks_hand_out():
  search = listed_search([(0,), (1,), (0,), (2,), (2,)], [(3,)])
  assert search.upcoming(9) == []
  [first] = search.ask()
  assert search.waiting == [first]
  assert search.upcoming(9) == [(1,), (2,)]
  assert search.upcoming(1) == [(1,)]
  search.tell(first.id, Evaluation(1.0))
  assert search.waiting == []
  assert [one.architecture for one in search.ask(2)] == [(1,), (2,)]
  # The next generation depends on these two.
  assert search.upcoming(9) == []


def test_upcoming_ends_with_the_budget_in_trials():
  search = listed_search([(0,), (1,), (2,)], trials=2)
  search.ask()
  assert search.upcoming(9) == [(1,)]
  search.ask()
  assert search.ask() == search.upcoming(9) == []


@pytest.mark.parametrize('trial_id', [-1, 1, 7])
def test_only_what_was_asked_is_told(trial_id):
  search = listed_search([(0,), (1,)])
  search.ask()
  with pytest.raises(ValueError, match=f'trial {trial_id} does not wait'):
    search.tell(trial_id, Evaluation(1.0))


# Failures.


def test_a_failure_is_never_the_best_and_the_search_goes_on():
  search = listed_search([(0,), (1,)], [(2,)], [(3,)])
  problems.run(search, rewarding(math.inf, 1.0, math.nan, None))
  assert [str(trial.evaluation.status) for trial in search.trials] == [
      'nan', 'ok', 'nan', 'failed',
  ]
  assert search.best is search.trials[1]
  assert search.stop_reason == 'list at its end'


# Budgets.


@pytest.mark.parametrize('batch', [1, 2, 9])
def test_no_more_trials_than_the_budget_allows(batch):
  search = listed_search([(0,), (1,)], [(2,), (3,)], trials=3)
  while asked := search.ask(batch):
    for candidate in asked:
      search.tell(candidate.id, Evaluation(1.0))
  assert len(search.trials) == 3
  assert search.stop_reason == 'budget of 3 trials spent'


def test_failures_in_a_row_end_a_search():
  """A success between them begins the count anew."""
  search = listed_search(*[[(i,)] for i in range(4)], failures=2)
  problems.run(search, rewarding(None, 1.0, None, math.nan))
  assert len(search.trials) == 4
  assert search.stop_reason == '2 trials in a row failed'
  search = listed_search(*[[(i,)] for i in range(4)], failures=2)
  problems.run(search, rewarding(1.0, None, math.nan, 1.0))
  assert len(search.trials) == 3


def test_what_is_under_way_when_a_budget_ends_is_withdrawn():
  search = listed_search([(0,), (1,), (0,), (2,), (3,)], seconds=2.0)
  assert ids(search.ask(4)) == [0, 1, 2, 3]
  search.tell(2, Evaluation(2.0, 1.0))
  search.tell(0, Evaluation(1.0, 1.0))
  assert ids(search.waiting) == [1, 3]
  search.tell(1, Evaluation(1.5, 1.0))
  assert search.finished
  assert (len(search.trials), search.reused) == (2, 1)
  assert search.best is search.trials[1]
  assert search.stop_reason == 'budget of 2 seconds spent'
  assert search.strategy.observed == [((0,), 0), ((1,), 1), ((0,), 0)]
  with pytest.raises(ValueError, match='trial 3 does not wait'):
    search.tell(3, Evaluation(1.0, 1.0))


def test_the_first_failure_in_a_row_is_named():
  search = listed_search([(0,), (1,), (2,), (3,)], failures=2)
  for candidate, message in zip(
      search.ask(4), ('', 'no memory', 'its loss'), strict=False
  ):
    status = Status.FAILED if message else Status.OK
    search.tell(candidate.id, Evaluation(1.0, 1.0, status, message))
  assert search.stop_reason == '2 trials in a row failed, the first: no memory'


@pytest.mark.parametrize(
    ('trials', 'bound'), [(math.inf, 5), (5, 5), (4, 4), (9, 5)]
)
def test_the_bound_is_that_of_schedule_and_budget(trials, bound):
  assert listed_search([(0,)] * 5, trials=trials).bound == bound


def test_a_bound_that_nothing_sets():
  problem = problems.make_problem([[1, 2]])
  for limit, bound in [(math.inf, None), (7, 7)]:
    search = Search(problem, make_schedule('recentred'), Budget(limit))
    assert search.bound == bound


# Replay.


@given(
    problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS, st.data()
)
def test_a_replayed_search_goes_on_as_if_never_stopped(
    problem, make_schedule, seed, data
):
  """Whatever its budget was, with and without repeats."""
  results = problems.RandomResults(seed, failing=0.1)
  budget, reuse = Budget(trials=40), data.draw(st.booleans())
  whole, resumed = (
      Search(problem, make_schedule(), budget, seed, reuse) for _ in range(2)
  )
  problems.run(whole, results)
  length = data.draw(st.integers(0, len(whole.trials)))
  history = [trial_from_dict(t.to_dict()) for t in whole.trials[:length]]
  resumed.replay(history)
  assert resumed.trials == whole.trials[:length]
  problems.run(resumed, results)
  assert problems.state(resumed) == problems.state(whole)


@given(
    problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS,
    st.floats(0.1, 9.0),
)
def test_replaying_a_stopped_search_gives_its_state(
    problem, make_schedule, seed, seconds
):
  """In whatever batches it was asked."""
  budget = Budget(seconds=seconds)
  stopped, replayed = (
      Search(problem, make_schedule(), budget, seed) for _ in range(2)
  )
  results = problems.RandomResults(seed, failing=0.2)
  problems.run_in_disorder(stopped, results, random.Random(seed))
  replayed.replay(stopped.trials)
  assert replayed.ask() == []
  assert problems.state(replayed) == problems.state(stopped)


def small_search(seed=0, prices=(1, 2, 3), **settings):
  problem = problems.make_problem([prices, prices])
  return problems.sweep_of(problem, seed=seed, **settings)


@pytest.mark.parametrize(
    ('other', 'part'),
    [
        (lambda: small_search(seed=1), 'seed'),
        (lambda: small_search(prices=(1, 2, 4)), 'cost 4'),
        (lambda: small_search(order='backward'), 'layer 2'),
        (lambda: small_search(start='largest'), '0-2'),
        (lambda: small_search(buckets=1), 'nothing'),
        (lambda: small_search(prices=(1, 2, 3, 4)), '3-0'),
    ],
)
def test_the_history_of_another_search_is_refused(other, part):
  foreign = problems.run(other(), problems.RandomResults())
  search = small_search()
  if part == 'nothing':
    search, foreign = other(), problems.run(search, problems.RandomResults())
  with problems.refuses('history: trial', part, 'same settings'):
    search.replay(foreign.trials)


def test_a_history_with_other_rewards_leads_to_other_candidates():
  """Rewards are not checked, but what follows from them is."""
  search = small_search(buckets=1)
  trials = problems.run(search, lambda one: Evaluation(float(-one.id))).trials
  altered = [
      Trial(one.candidate, Evaluation(float(one.candidate.id)))
      for one in trials
  ]
  with problems.refuses('history: trial 3'):
    small_search(buckets=1).replay(altered)


# Seeds.


def test_the_seed_of_a_search_decides_its_random_choices():
  problem = problems.make_problem([list(range(5))] * 4)
  firsts = [
      problems.sweep_of(
          problem, seed, buckets=1, start='random', order='random'
      ).ask()
      for seed in (0, 1, 2, 3, 0)
  ]
  assert firsts[0] == firsts[-1]
  assert len({first[0].architecture for first in firsts}) == 4


def search_of(*listed, reuse, **budget):
  problem = problems.make_problem([[0, 1, 2, 3]])
  return Search(problem, Listed(*listed), Budget(**budget), reuse=reuse)


def test_every_proposal_is_a_trial_where_nothing_is_reused():
  search = search_of([(1,), (2,)], [(1,), (1,)], reuse=False)
  problems.run(search, rewarding(0, 1, 2, 3))
  assert [t.candidate.architecture for t in search.trials] == [
      (1,), (2,), (1,), (1,)
  ]
  assert [t.candidate.id for t in search.trials] == [0, 1, 2, 3]
  assert len({t.candidate.seed for t in search.trials}) == 4
  assert search.reused == 0
  assert search.strategy.observed == [
      ((1,), 0), ((2,), 1), ((1,), 2), ((1,), 3)
  ]


@pytest.mark.parametrize(('limit', 'trials', 'reused', 'reason'), [
    (1, 2, 2, '1 proposals in a row were known'),
    (2, 2, 3, '2 proposals in a row were known'),
    (3, 3, 4, 'list at its end'),
])
def test_known_proposals_in_a_row_end_a_search(limit, trials, reused, reason):
  listed = [(0,), (0,), (1,), (1,), (1,), (1,), (2,)]
  search = search_of(listed, reuse=True, reused=limit)
  problems.run(search, rewarding(0, 1, 2, 3))
  assert len(search.trials) == trials
  assert search.reused == reused
  assert search.finished
  assert search.stop_reason == reason


class Repeating(Listed):
  """Asks for its last generation as repeats; notes the remaining budget."""

  def generations(self, context):
    self.left = []
    for architectures in self.listed:
      self.left.append(context.remaining())
      repeat = architectures is self.listed[-1]
      yield [
          Proposal(one, context.problem.cost.cost(one), repeat=repeat)
          for one in architectures
      ]
    return 'list at its end'


def test_a_repeat_is_a_trial_though_trials_are_reused():
  problem = problems.make_problem([[0, 1, 2, 3]])
  strategy = Repeating([(1,), (2,)], [(1,)], [(1,), (3,), (1,)])
  search = Search(problem, strategy, Budget(trials=9, seconds=7.5))
  problems.run(search, rewarding(0, 1, 2, 3))
  asked = [t.candidate.architecture for t in search.trials]
  assert asked == [(1,), (2,), (1,), (3,), (1,)]
  assert len({t.candidate.seed for t in search.trials}) == 5
  assert search.reused == 1
  assert [left.trials for left in strategy.left] == [9, 7, 7]
  assert [left.seconds for left in strategy.left] == [7.5, 5.5, 5.5]
  again = Search(
      problem, Repeating(*strategy.listed), Budget(trials=9, seconds=7.5)
  )
  again.replay(search.trials)
  assert again.trials == search.trials


class Distrustful(Listed):
  """Answers with the trial that it observed last."""

  def observe(self, proposal, trial):
    super().observe(proposal, trial)
    self.last = trial

  def answer(self, incumbent):
    return incumbent and self.last


def test_a_strategy_may_answer_by_a_rule_of_its_own():
  problem = problems.make_problem([[0, 1, 2, 3]])
  search = Search(problem, Distrustful([(3,), (1,)]))
  assert search.best is None
  problems.run(search, rewarding(0, 1, 2, 3))
  assert search.incumbent.candidate.architecture == (3,)
  assert search.best.candidate.architecture == (1,)

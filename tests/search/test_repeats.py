"""Tests of layernas.search.engine: architectures that are proposed again."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Search
from layernas.search.trial import Proposal
from tests.search import problems
from tests.search.test_engine import Listed
from tests.search.test_engine import rewarding


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


def test_repeats_are_charged_to_the_budget():
  search = search_of([(1,)] * 9, reuse=False, trials=3)
  problems.run(search, rewarding(0, 1, 2, 3))
  assert len(search.trials) == 3
  assert search.stop_reason == 'budget of 3 trials spent'


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


def test_new_proposals_begin_the_count_anew():
  listed = [(0,), (0,), (1,), (1,), (2,), (2,), (3,)]
  search = search_of(listed, reuse=True, reused=2)
  problems.run(search, rewarding(0, 1, 2, 3))
  assert len(search.trials) == 4
  assert search.stop_reason == 'list at its end'


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


@given(problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS,
       st.integers(0, 20))
def test_replay_goes_on_with_repeats(problem, make, seed, cut):
  """A search without reuse is resumed to the same end."""
  results = problems.RandomResults(seed, 0.2)
  try:
    whole = Search(problem, make(), Budget(trials=40), seed, reuse=False)
    problems.run(whole, results)
  except problems.UserError:
    return
  resumed = Search(problem, make(), Budget(trials=40), seed, reuse=False)
  resumed.replay(whole.trials[:cut])
  problems.run(resumed, results)
  assert problems.state(resumed) == problems.state(whole)


def test_unlimited_by_default_for_long_rows_of_known_proposals():
  search = search_of([(0,)] * 1000, reuse=True)
  problems.run(search, rewarding(0, 1, 2, 3))
  assert search.reused == 999
  assert search.budget.reused < math.inf

"""The answer beside the networks that it has to beat."""

import dataclasses
import itertools
import random
import statistics

import pytest
from scipy import stats

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Problem
from layernas.search import Search
from layernas.search.comparison import Compared
from layernas.search.comparison import probability_above_zero
from layernas.search.problem import Reference
from layernas.search.schedules import make_schedule
from tests.search import problems
from tests.search.test_engine import Listed

DEFAULT = Reference('default', (0, 0, 0, 0), 4)
SCALED = Reference('width-scaled default', 'width-scaled', 7)


def search_of(trials, seed=0, references=(DEFAULT, SCALED), trainings=3):
  plain = problems.make_problem([[1, 2, 3]] * 4, high=8)
  problem = Problem(plain.cost, plain.target, references)
  strategy = Compared(make_schedule('model_guided'), trainings)
  return Search(problem, strategy, Budget(trials=trials), seed)


def rewards(scaled=0.0, noise=0.1):
  """Of a network of the space the sum of its options."""
  def evaluate(candidate):
    error = random.Random(candidate.seed).gauss(0, noise)
    known = candidate.architecture
    return Evaluation(
        (scaled if known == 'width-scaled' else sum(known)) + error, 1.0
    )
  return evaluate


def trained(search):
  return [trial.candidate.architecture for trial in search.trials]


def test_references_come_first_and_all_are_repeated_at_the_end():
  search = problems.run(search_of(40), rewards())
  networks = trained(search)
  assert networks[:2] == [DEFAULT.network, SCALED.network]
  answer = search.best.candidate.architecture
  assert sorted(networks[-7:], key=str) == sorted(
      [DEFAULT.network, SCALED.network] * 2 + [answer] * 3, key=str
  )
  assert len(networks) == 40
  assert networks.count(SCALED.network) == 3
  assert search.trials[1].candidate.cost == 7


def test_standings_are_means_of_trainings_that_did_not_choose():
  search = problems.run(search_of(40), rewards(scaled=1.0))
  answer = search.best.candidate.architecture
  assert sum(answer) == 4
  fresh = [
      trial.evaluation.reward for trial in search.trials[-7:]
      if trial.candidate.architecture == answer
  ]
  default, scaled = search.strategy.standings()
  assert [default.reference, scaled.reference] == [
      'default', 'width-scaled default'
  ]
  own = [
      trial.evaluation.reward for trial in search.trials
      if trial.candidate.architecture == 'width-scaled'
  ]
  assert scaled.reward == pytest.approx(statistics.fmean(own))
  assert scaled.difference == pytest.approx(
      statistics.fmean(fresh) - statistics.fmean(own)
  )
  assert 0.02 < scaled.error < 0.2
  assert default.probability >= scaled.probability > 0.99


def test_a_better_reference_answers():
  search = problems.run(search_of(40), rewards(scaled=9.0))
  assert search.best.candidate.architecture == 'width-scaled'
  # The incumbent is of the space: schedules go on from it.
  assert search.incumbent.candidate.architecture != 'width-scaled'
  _, scaled = search.strategy.standings()
  assert scaled.difference < 0
  assert scaled.probability < 0.01


def test_where_the_default_answers_it_is_compared_with_the_others_alone():
  def evaluate(candidate):
    if candidate.architecture == 'width-scaled':
      return Evaluation(-3.0)
    return Evaluation(-float(sum(candidate.architecture)))

  search = problems.run(search_of(40), evaluate)
  assert search.best.candidate.architecture == DEFAULT.network
  standing, = search.strategy.standings()
  assert standing.reference == 'width-scaled default'
  assert (standing.difference, standing.error) == (3.0, 0.0)
  assert standing.probability == 1.0


@pytest.mark.parametrize(('trials', 'each'), [
    (60, 3), (30, 2), (12, 1), (11, 0), (float('inf'), 3),
])
def test_a_quarter_of_the_budget_at_most(trials, each):
  strategy = Compared(make_schedule('sweep'))
  problem = search_of(9).problem
  assert strategy.each(problem, trials) == each


def test_nothing_is_compared_where_the_budget_is_too_small():
  search = problems.run(search_of(11), rewards())
  assert 'width-scaled' not in trained(search)
  assert search.strategy.standings() == []
  assert search.best.candidate.architecture != 'width-scaled'


def test_without_references_it_is_the_inner_strategy():
  search = problems.run(search_of(30, references=()), rewards())
  alone = problems.run(Search(
      search.problem, make_schedule('model_guided'), Budget(trials=30)
  ), rewards())
  assert trained(search) == trained(alone)


def test_a_schedule_that_ends_by_itself_is_compared():
  problem = search_of(9).problem
  strategy = Compared(make_schedule('sweep', buckets=2))
  search = problems.run(Search(problem, strategy), rewards())
  assert search.stop_reason == 'every layer decided'
  assert len(search.strategy.standings()) == 2
  assert len(search.trials) <= search.bound


def test_failed_references_are_left_out():
  def evaluate(candidate):
    if candidate.architecture == 'width-scaled':
      return Evaluation(None, status='failed')
    return rewards()(candidate)

  search = problems.run(search_of(40), evaluate)
  assert [one.reference for one in search.strategy.standings()] == ['default']
  assert trained(search).count('width-scaled') == 1


def listed_search(seconds, trainings, references):
  """One that has a budget of seconds, and proposes one network at a time."""
  problem = dataclasses.replace(search_of(9).problem, references=references)
  listed = itertools.product(range(3), repeat=4)
  strategy = Compared(Listed(*([one] for one in listed)), trainings)
  return Search(problem, strategy, Budget(seconds=seconds))


def test_within_seconds_it_compares_once():
  """Repeats that are quicker than expected leave no time for another one."""
  def evaluate(candidate):
    quick = candidate.architecture in trained(search)
    return dataclasses.replace(
        rewards()(candidate), seconds=0.9 if quick else 1.0
    )

  search = listed_search(30, 3, (DEFAULT, SCALED))
  problems.run(search, evaluate)
  assert search.stop_reason == 'the answer was compared'
  assert trained(search).count('width-scaled') == 3
  assert len(search.strategy.standings()) == 2


def test_an_answer_that_needs_no_repeat_is_compared_at_once():
  """The default network answers, and is trained once."""
  search = listed_search(3, 1, (DEFAULT,))
  problems.run(search, lambda candidate: Evaluation(
      -float(sum(candidate.architecture)), 1.0
  ))
  assert search.best.candidate.architecture == DEFAULT.network
  assert search.stop_reason == 'the answer was compared'
  assert len(search.trials) == 2


def test_where_nothing_has_a_reward_nothing_is_compared():
  search = search_of(40)
  problems.run(search, lambda one: Evaluation(None, status='failed'))
  assert search.stop_reason == 'no network in the target interval has a reward'
  assert search.best is None


@pytest.mark.parametrize('at', [1, 5, 20, 37])
def test_a_resumed_search_asks_the_same(at):
  whole = problems.run(search_of(40), rewards())
  resumed = search_of(40)
  resumed.replay(whole.trials[:at])
  assert problems.run(resumed, rewards()).trials == whole.trials
  assert resumed.strategy.standings() == whole.strategy.standings()


def test_a_larger_budget_goes_on_and_compares_once_more():
  """What was left decided on the design: the former budget counts for it."""
  first = problems.run(search_of(40), rewards())
  larger = search_of(80)
  larger.replay(first.trials, [(0, Budget(trials=40))])
  problems.run(larger, rewards())
  assert larger.trials[:40] == first.trials
  assert len(larger.trials) == 80
  assert trained(larger)[-7:].count('width-scaled') == 2
  assert larger.strategy.standings() != first.strategy.standings()
  # It resumes itself, under both budgets.
  again = search_of(80)
  again.replay(larger.trials[:60], [
      (0, Budget(trials=40)), (40, Budget(trials=80))
  ])
  assert problems.run(again, rewards()).trials == larger.trials


@pytest.mark.parametrize('degrees', [1, 2, 5, 30, 400])
@pytest.mark.parametrize('ratio', [-7.0, -1.3, 0.0, 0.4, 2.5, 40.0])
def test_probabilities_are_students(degrees, ratio):
  found = probability_above_zero(0.5 * ratio, 0.5, degrees)
  assert found == pytest.approx(stats.t.cdf(ratio, degrees), abs=1e-6)


def test_fewer_than_one_training_is_refused():
  with problems.refuses('reference.trainings: 0', '>= 1'):
    Compared(make_schedule('sweep'), 0)

"""Repeats of finalists, and their shrunken means."""

import math
import random
import statistics

import pytest

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import make_schedule
from layernas.search.finalists import Finalists
from layernas.search.finalists import ShrunkenMeans
from layernas.search.finalists import finalists_of
from layernas.search.model_guided import ModelGuided
from layernas.search.schedules import with_finalists
from tests.search import problems
from tests.search.test_engine import Listed

OPTIONS = 40


class Noisy:
  """Option i is worth i; its first evaluation errs as given."""

  def __init__(self, first):
    self._first = dict(first)

  def __call__(self, candidate):
    [option] = candidate.architecture
    return Evaluation(option + self._first.pop(option, 0.0), 1.0)


def each_option(inner=None, reuse=True, high=math.inf, share=0.2, **budget):
  """A search that looks at all options, or at the inner strategy's."""
  problem = problems.make_problem([list(range(OPTIONS))], high=high)
  inner = inner or Listed(*([(option,)] for option in range(OPTIONS)))
  return Search(
      problem, Finalists(inner, share), Budget(**budget), reuse=reuse
  )


def asked(search):
  return [trial.candidate.architecture[0] for trial in search.trials]


@pytest.mark.parametrize('reuse', [True, False])
def test_the_last_share_of_the_trials_repeats_the_best(reuse):
  search = each_option(reuse=reuse, trials=25)
  problems.run(search, Noisy({19: 0.1, 3: 30.0}))
  assert asked(search)[:20] == list(range(20))
  repeats = asked(search)[20:]
  assert repeats[0] == 3
  assert set(repeats) == {3, 19}
  assert len(search.trials) == 25
  assert len({trial.candidate.seed for trial in search.trials}) == 25


def test_the_last_share_of_the_seconds_repeats_the_best():
  search = each_option(seconds=25)
  problems.run(search, Noisy({19: 0.1, 3: 30.0}))
  assert asked(search)[:20] == list(range(20))
  assert set(asked(search)[20:]) == {3, 19}


def test_repeats_find_out_that_a_reward_was_luck():
  lucky = Noisy({2: 60.0})
  plain = Search(
      problems.make_problem([list(range(OPTIONS))]),
      Listed(*([(option,)] for option in range(OPTIONS))),
  )
  problems.run(plain, Noisy({2: 60.0}))
  assert plain.best.candidate.architecture == (2,)
  search = problems.run(each_option(trials=50), lucky)
  assert search.incumbent.candidate.architecture == (2,)
  assert search.best.candidate.architecture == (39,)


def test_rewards_without_noise_are_repeated_once():
  search = problems.run(each_option(trials=25), Noisy({}))
  assert asked(search) == [*range(20), 19, *range(20, 24)]
  assert search.best.candidate.architecture == (23,)


def test_a_repeat_that_fails_does_not_end_the_repeats():
  noisy = Noisy({19: 0.5, 18: 3.0})

  def evaluate(candidate):
    evaluation = noisy(candidate)
    return Evaluation(None, status='failed') if candidate.id == 20 else (
        evaluation
    )

  search = problems.run(each_option(trials=25), evaluate)
  assert set(asked(search)[20:]) == {18, 19}
  assert search.best.candidate.architecture == (19,)


def test_a_strategy_that_ends_early_gets_its_share_of_repeats():
  """A fifth of all trials are repeats, though no budget says when to stop."""
  search = problems.run(each_option(), Noisy({39: 0.5}))
  assert asked(search)[:OPTIONS] == list(range(OPTIONS))
  assert len(search.trials) == OPTIONS + OPTIONS // 4
  assert search.stop_reason == 'list at its end'
  bound = search.strategy.bound(search.problem)
  assert bound == OPTIONS + OPTIONS // 4


def test_the_inner_strategy_hears_of_no_repeat():
  search = problems.run(each_option(trials=25), Noisy({19: 0.5}))
  assert search.strategy.inner.observed == [((i,), i) for i in range(20)]


def test_a_resumed_search_asks_the_same():
  noise = {i: math.sin(i) * 9 for i in range(OPTIONS)}
  whole = problems.run(each_option(trials=35), Noisy(noise))
  for cut in (5, 28, 30, 35):
    resumed = each_option(trials=35)
    resumed.replay(whole.trials[:cut])
    told = {t.candidate.architecture[0] for t in whole.trials[:cut]}
    left = {i: e for i, e in noise.items() if i not in told}
    problems.run(resumed, Noisy(left))
    assert resumed.trials == whole.trials
    assert resumed.best == whole.best


@pytest.mark.parametrize('failing', [0.0, 0.3, 1.0])
def test_any_schedule_can_be_wrapped(failing):
  problem = problems.make_problem([[1, 2, 3]] * 3, high=7)
  for name in ('sweep', 'interleaved', 'recentred'):
    strategy = Finalists(make_schedule(name))
    search = Search(problem, strategy, Budget(trials=15))
    problems.run(search, problems.RandomResults(failing=failing))
    assert search.finished
    assert (search.best is None) == (search.incumbent is None)
    assert strategy.proposer is strategy.inner
    assert strategy.infeasible == strategy.inner.infeasible


@pytest.mark.parametrize(('repeats', 'count'), [
    (0, 0), (1, 1), (2, 2), (5, 2), (6, 3), (8, 4), (60, 15), (120, 24),
])
def test_every_finalist_is_repeated_in_every_round(repeats, count):
  assert finalists_of(repeats) == count


@pytest.mark.parametrize('share', [-0.1, 1.0, 1.5, math.nan])
def test_share_is_checked(share):
  with problems.refuses('search.finalists', str(share)):
    with_finalists(make_schedule('sweep'), share)


def test_a_model_decides_on_repeats_itself():
  with problems.refuses('search.finalists', '0.2', 'search.guided.trainings'):
    with_finalists(ModelGuided(), 0.2)


def test_few_repeats_are_shrunken_more():
  """By hand: errors have variance 2, worths 5 - 2 = 3 around a mean of 4."""
  population = [-9.0, -9.0, 4 - math.sqrt(5), 4 + math.sqrt(5)]
  means = ShrunkenMeans()([[7.0, 9.0], [9.0]], population)
  assert means == pytest.approx([4 + 3 / 4 * 4, 4 + 3 / 5 * 5])


def test_without_errors_means_stay_as_they_are():
  means = ShrunkenMeans()([[3.0, 3.0], [5.0, 5.0]], [1.0, 3.0, 5.0, 2.0])
  assert means == pytest.approx([3.0, 5.0])


def test_where_all_is_error_all_are_nearly_equal():
  means = ShrunkenMeans()([[0.0, 10.0], [4.0, 8.0]], [5.0, 5.0, 5.0, 5.0])
  assert means == pytest.approx([5.0, 5.0], abs=0.2)


def test_means_that_are_kept_are_those_computed_anew():
  """Bit by bit, as rewards come one by one, and new networks beside them."""
  rng = random.Random(0)
  kept = ShrunkenMeans()
  rewards, population = [[0.5, 0.7], [0.1], [0.3]], [0.5, 0.1, 0.3, 0.2]
  for _ in range(60):
    target = rng.choice([*rewards, population])
    target.append(rng.gauss(0, 1))
    assert kept(rewards, population) == ShrunkenMeans()(rewards, population)


def test_the_answer_is_computed_once_for_an_evaluation(monkeypatch):
  """Showing it at every trial costs what the new reward costs."""
  calls = []
  fmean = statistics.fmean
  monkeypatch.setattr(
      statistics, 'fmean', lambda data: calls.append(1) or fmean(data)
  )
  search = each_option(trials=50)
  noise = Noisy({i: math.sin(i) * 9 for i in range(OPTIONS)})
  while candidates := search.ask():
    for candidate in candidates:
      search.tell(candidate.id, noise(candidate))
    before = len(calls)
    assert search.best is search.best
    once = len(calls) - before
    finalists = [len(one.finalists) for one in search.strategy._groups]
    assert once <= sum(finalists) + 1
    assert search.best
    assert len(calls) == before + once
  assert calls

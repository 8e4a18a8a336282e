"""What a search may ask for next."""

import math

from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search.foresight import Foresight
from layernas.search.foresight import foreseen
from layernas.search.model_guided import ModelGuided
from tests.search import problems


@given(
    problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS,
    st.none() | st.integers(1, 30), st.integers(0, 4),
)
def test_looking_ahead_changes_nothing(problem, make, seed, trials, count):
  budget = Budget(trials=trials or math.inf)
  results = problems.RandomResults(seed, failing=0.2)

  def afresh():
    return Search(problem, make(), budget, seed)

  search = afresh()

  def evaluate(candidate):
    assert len(foreseen(search, afresh, count)) <= count
    return results(candidate)

  problems.run(search, evaluate)
  assert problems.state(search) == problems.state(
      problems.run(afresh(), results)
  )


@given(
    problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS,
    st.integers(1, 4),
)
def test_what_comes_after_a_worse_result_is_foreseen(
    problem, make, seed, count
):
  def afresh():
    return Search(problem, make(), seed=seed)

  search, expected, reward = afresh(), None, 0.0
  while asked := search.ask():
    assert expected in (None, asked[0].architecture)
    [expected] = foreseen(search, afresh, count)[:1] or ['the end']
    reward -= 1
    search.tell(asked[0].id, Evaluation(reward))
  assert expected == 'the end'


def test_models_are_not_fitted_to_what_may_be():
  problem = problems.make_problem([[1, 2, 3], [1, 2]])
  search = Search(problem, ModelGuided())
  while search.upcoming(1) or not search.waiting:
    search.ask()

  def fail():
    raise AssertionError('made a search')

  assert foreseen(search, fail, 3) == []


@given(
    problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS,
    st.integers(0, 4),
)
def test_one_at_a_time_every_guess_is_new(problem, make, seed, count):
  def afresh():
    return Search(problem, make(), seed=seed)

  search, results = afresh(), problems.RandomResults(seed)
  foresight = Foresight(search, afresh, count)

  def evaluate(candidate):
    assert foresight.now() == foreseen(search, afresh, count)
    return results(candidate)

  problems.run(search, evaluate)


def test_a_layer_of_many_is_replayed_a_few_times():
  problem = problems.make_problem([[1] * 64, [1, 1]])
  made = []

  def afresh():
    made.append(problems.sweep_of(problem, buckets=1, keep=8))
    return made[-1]

  search = problems.sweep_of(problem, buckets=1, keep=8)
  foresight = Foresight(search, afresh, 1)
  for candidate in search.ask(64):
    foresight.now()
    search.tell(candidate.id, Evaluation(candidate.id / 64))
  assert len(made) == 7  # At 64, 32, ... 2, 1 that wait.
  search.ask()
  assert foresight.now() == search.upcoming(1) != []
  assert len(made) == 7  # What is certain costs nothing.

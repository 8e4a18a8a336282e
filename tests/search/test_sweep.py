"""The schedules sweep and recentred."""

from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Evaluation
from layernas.search import Status
from layernas.search.layer_pass import ORDERS
from layernas.search.layer_pass import STARTS
from tests.search import problems

# What the second layer is worth depends on the first: (1, 1) is the best, but
# from (0, 0) the way leads over (1, 0), which is the worst.
REWARDS = {(0, 0): 2.0, (0, 1): 3.0, (1, 0): 1.0, (1, 1): 4.0}


def additive_reward(tables):
  """An evaluator whose reward is a sum over the layers."""
  def evaluate(candidate):
    pairs = zip(tables, candidate.architecture, strict=True)
    return Evaluation(float(sum(table[option] for table, option in pairs)))
  return evaluate


def bucket_of(cost, costs, buckets):
  """Linear buckets in exact integers."""
  low, high = min(costs), max(costs)
  if low == high:
    return 0
  return min(buckets - 1, (cost - low) * buckets // (high - low))


def sweep_by_hand(problem, evaluate, order, start, buckets, keep):
  """Section by section what a sweep is; returns rewards and last entries."""
  space, rewards = problem.space, {}
  entries = [start]
  for length, layer in enumerate(order, 1):
    children = []
    for entry in entries:
      for option in range(space.option_counts[layer]):
        child = entry[:layer] + (option,) + entry[layer + 1:]
        costs = [
            problem.cost.cost(completion) for completion in
            problems.completions(space, child, order[:length])
        ]
        if problem.target.meets(min(costs), max(costs)):
          children.append(child)
    for child in children:
      if child not in rewards:
        rewards[child] = evaluate(child)
    costs = [problem.cost.cost(child) for child in children]
    groups = {}
    for child, cost in zip(children, costs, strict=True):
      if rewards[child] is not None:
        groups.setdefault(bucket_of(cost, costs, buckets), []).append(child)
    entries = [
        child for _, group in sorted(groups.items())
        for child in sorted(group, key=lambda a: -rewards[a])[:keep]
    ]
  return rewards, entries


@given(st.data())
def test_a_sweep_is_what_the_method_says(data):
  problem = data.draw(problems.problems(problems.known_costs))
  buckets, keep = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3))
  order = data.draw(st.sampled_from(['forward', 'backward']))
  results = problems.RandomResults(data.draw(problems.SEEDS), failing=0.1)
  search = problems.sweep_of(
      problem, buckets=buckets, keep=keep, order=order
  )
  problems.run(search, results)
  told = {
      trial.candidate.architecture: trial.evaluation.reward
      for trial in search.trials
  }
  layers = list(range(len(problem.space)))
  rewards, entries = sweep_by_hand(
      problem, told.get, layers if order == 'forward' else layers[::-1],
      problem.space.default, buckets, keep,
  )
  assert list(rewards) == list(told)
  if search.stop_reason == 'every layer decided':
    [layer_pass] = search.strategy.passes
    assert [e.architecture for e in layer_pass.tables[-1].entries()] == entries


@given(st.data())
def test_with_a_bucket_per_cost_an_additive_problem_is_solved(data):
  """Of equal costs only the best prefix can be part of the best network.

  Holds for every order and start. Costs are integers, so that buckets are
  narrower than one where there are more of them than the range of costs.
  """
  problem = data.draw(problems.problems(problems.additive_costs))
  rewards = [
      data.draw(problems.tables((count,), st.integers(0, 30)))
      for count in problem.space.option_counts
  ]
  evaluate = additive_reward(rewards)
  low, high = problem.cost.interval(problem.space.default, ())
  settings = data.draw(st.sampled_from([
      {'buckets': high - low + 1, 'spacing': 'linear'},
      {'buckets': problem.space.size, 'spacing': 'equal_count'},
  ]))
  search = problems.sweep_of(
      problem,
      seed=data.draw(problems.SEEDS),
      name=data.draw(st.sampled_from(['sweep', 'recentred', 'interleaved'])),
      order=data.draw(st.sampled_from(ORDERS)),
      start=data.draw(st.sampled_from(list(STARTS))),
      **settings,
  )
  problems.run(search, evaluate)
  found = search.best.evaluation.reward
  inside = {
      architecture: sum(map(list.__getitem__, map(list, rewards), architecture))
      for architecture in problems.architectures(problem.space)
      if problem.cost.cost(architecture) in problem.target
  }
  assert found == max(inside.values())
  assert inside[search.best.candidate.architecture] == found


def test_too_few_buckets_lose_the_best_network():
  """The converse: two dear prefixes meet, and the wrong one is dropped."""
  tables = [[1, 2, 9], [1, 9]]
  rewards = [[0, 3, 4], [0, 3]]
  problem = problems.make_problem(tables, high=11)
  answers = {}
  for buckets in (1, 20):
    search = problems.sweep_of(problem, buckets=buckets)
    problems.run(search, additive_reward(rewards))
    answers[buckets] = search.best.candidate.architecture
  assert answers == {1: (2, 0), 20: (1, 1)}


def test_a_layer_without_a_success_ends_the_sweep():
  problem = problems.make_problem([[1, 2], [1, 2]])
  search = problems.run(
      problems.sweep_of(problem),
      lambda candidate: Evaluation(None, status=Status.FAILED),
  )
  assert len(search.trials) == 2
  assert search.best is None
  assert search.stop_reason == (
      'no trial of the layer before number 2 succeeded'
  )


def test_a_target_between_two_costs_ends_the_sweep():
  """The reachable interval 0 to 11 meets it, but no network lies in it."""
  problem = problems.make_problem([[0, 1], [0, 10]], low=4, high=6)
  search = problems.run(problems.sweep_of(problem), problems.RandomResults())
  assert search.best is None
  assert search.stop_reason == 'no child in layer number 2 can reach the target'


def recentred(problem, **settings):
  return problems.sweep_of(problem, name='recentred', **settings)


def passes_of(search):
  return [(one.start, one.order) for one in search.strategy.passes]


def interacting(candidate):
  return Evaluation(REWARDS[candidate.architecture])


def test_the_second_pass_starts_from_the_incumbent():
  """With one bucket the first pass finds (0, 1), the second (1, 1)."""
  problem = problems.make_problem([[1, 2], [1, 2]])
  search = problems.run(recentred(problem, buckets=1), interacting)
  assert [start for start, _ in passes_of(search)] == [
      (0, 0), (0, 1), (1, 1), (1, 1),
  ]
  assert search.best.candidate.architecture == (1, 1)
  assert search.stop_reason == 'two passes in a row found nothing better'
  one_sweep = problems.sweep_of(problem, buckets=1)
  problems.run(one_sweep, interacting)
  assert one_sweep.best.candidate.architecture == (0, 1)


def test_a_late_improvement_begins_the_count_of_passes_anew():
  """Forwards (2, 0) falls to (1, 0), backwards nothing does: (2, 1) is found.

  So the first pass leaves (0, 0), the second does not, and two more follow.
  """
  problem = problems.make_problem([[0, 9, 10], [0, 5]])
  rewards = {
      (0, 0): 3.0, (0, 1): 2.0, (1, 0): 1.0, (1, 1): 0.0, (2, 0): 0.0,
      (2, 1): 5.0,
  }
  search = recentred(problem, buckets=2, order='alternating')
  problems.run(search, lambda one: Evaluation(rewards[one.architecture]))
  assert passes_of(search) == [
      ((0, 0), (0, 1)), ((0, 0), (1, 0)), ((2, 1), (0, 1)), ((2, 1), (1, 0)),
  ]


def test_cost_axes_are_cut_anew():
  """From (1, 0) on all children of the second layer cost 10 more."""
  problem = problems.make_problem([[1, 11], [1, 2]])
  search = recentred(problem, buckets=2, order='backward')
  problems.run(search, lambda one: Evaluation(float(one.architecture[0])))
  first, second = search.strategy.passes[:2]
  assert first.tables[1].axis.edges == (2.5,)
  assert second.start == (1, 0)
  assert second.tables[1].axis.edges == (12.5,)


@given(problems.problems(), problems.PASS_SETTINGS, problems.SEEDS)
def test_passes_start_from_ever_better_networks(problem, settings, seed):
  search = problems.Search(
      problem, problems.make_schedule('recentred', **settings), seed=seed
  )
  problems.run(search, problems.RandomResults(seed, failing=0.1))
  rewards = {
      trial.candidate.architecture: trial.evaluation.reward
      for trial in search.trials
  }
  first, *later = [one.start for one in search.strategy.passes]
  if search.best is None:
    assert not later
    assert search.stop_reason == (
        'no network in the target interval was evaluated'
    )
    return
  assert search.stop_reason == 'two passes in a row found nothing better'
  answer = search.best.candidate.architecture
  assert [first, *later][-2:] == [answer, answer]
  improved = [rewards[one] for one in dict.fromkeys(later)]
  assert improved == sorted(set(improved))
  assert len(later) - len(improved) <= 1
  assert all(problem.cost.cost(one) in problem.target for one in later)

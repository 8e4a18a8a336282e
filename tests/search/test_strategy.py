"""What every schedule promises (layernas.search.strategy)."""

from hypothesis import given

from tests.search import problems


@given(problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS)
def test_proposals_are_children_of_entries_that_can_reach_the_target(
    problem, make_schedule, seed
):
  strategy = make_schedule()
  results = problems.RandomResults(seed, failing=0.1)
  for proposals in problems.drive(problem, strategy, results, seed):
    if isinstance(proposals, str):
      break
    architectures = [proposal.architecture for proposal in proposals]
    assert 0 < len(architectures) == len(set(architectures))
    layer_pass = strategy.passes[-1]
    for proposal in proposals:
      problem.space.check(proposal.architecture)
      assert proposal.cost == problem.cost.cost(proposal.architecture)
      decided = layer_pass.order[:proposal.length]
      assert proposal.layer == decided[-1] + 1
      reachable = problem.cost.interval(proposal.architecture, decided)
      assert problem.target.meets(*reachable)
      assert any(
          differences(proposal.architecture, entry.architecture)
          <= {decided[-1]}
          for entry in layer_pass.tables[proposal.length - 1].entries()
      )


def differences(one, other):
  """Layers in which two architectures differ."""
  return {
      layer for layer, pair in enumerate(zip(one, other, strict=True))
      if pair[0] != pair[1]
  }


@given(problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS)
def test_every_schedule_ends_and_says_why(problem, make_schedule, seed):
  results = problems.RandomResults(seed, failing=0.2)
  *_, reason = problems.drive(problem, make_schedule(), results, seed)
  assert isinstance(reason, str)
  assert reason


@given(problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS)
def test_a_schedule_is_a_function_of_seed_and_results(
    problem, make_schedule, seed
):
  results = problems.RandomResults(seed, failing=0.1)
  first, second = (
      list(problems.drive(problem, make_schedule(), results, seed))
      for _ in range(2)
  )
  assert first == second


@given(problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS)
def test_no_schedule_asks_for_more_than_its_bound(problem, make_schedule, seed):
  strategy = make_schedule()
  bound = strategy.bound(problem)
  results = problems.RandomResults(seed)
  *all_proposals, _ = problems.drive(problem, strategy, results, seed)
  if bound is not None:
    assert sum(map(len, all_proposals)) <= bound


@given(problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS)
def test_entries_are_of_their_bucket_and_within_keep(
    problem, make_schedule, seed
):
  strategy = make_schedule()
  results = problems.RandomResults(seed, failing=0.1)
  list(problems.drive(problem, strategy, results, seed))
  for layer_pass in strategy.passes:
    keep = layer_pass.settings.keep
    for table in layer_pass.tables:
      assert table.axis.size <= layer_pass.settings.buckets
      for bucket, entries in table.by_bucket():
        assert len(entries) <= keep
        assert {table.axis.bucket(entry.cost) for entry in entries} == {bucket}

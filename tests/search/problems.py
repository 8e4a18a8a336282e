"""Random search problems, small enough to enumerate, and how to run them."""

import itertools
import random
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from layernas.search.budget import Budget
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import additive_cost
from layernas.search.engine import Search
from layernas.search.interleaved import VisitSettings
from layernas.search.layer_pass import LayerPass
from layernas.search.layer_pass import TableSettings
from layernas.search.problem import Problem
from layernas.search.problem import TargetInterval
from layernas.search.schedules import make_schedule
from layernas.search.space import Architecture
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.search.start import ORDERS
from layernas.search.strategy import Strategy
from layernas.search.sweep import PassSettings
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Status

Reward = Callable[[Architecture], float]


def make_space(
    counts: Iterable[int], defaults: Iterable[int] | None = None
) -> SearchSpace:
  """A space with so many options per layer."""
  counts = tuple(counts)
  defaults = tuple(defaults or [0] * len(counts))
  return SearchSpace(tuple(
      Layer(f'layer{index}', tuple(range(count)), default)
      for index, (count, default) in enumerate(
          zip(counts, defaults, strict=True)
      )
  ))


def additive_problem(
    tables: list[list[int]], low: float = -np.inf, high: float = np.inf,
    defaults: Iterable[int] | None = None,
) -> Problem:
  """A problem whose cost is a sum of one table per layer."""
  space = make_space(map(len, tables), defaults)
  return Problem(
      additive_cost('madds', space, tables), TargetInterval(low, high)
  )


def architectures(space: SearchSpace) -> Iterator[Architecture]:
  """All architectures of a space."""
  return itertools.product(*map(range, space.option_counts))


def completions(
    space: SearchSpace, architecture: Architecture, decided: Iterable[int]
) -> Iterator[Architecture]:
  """All architectures that agree with one in the decided layers."""
  decided = set(decided)
  return itertools.product(*(
      [option] if layer in decided else range(space.option_counts[layer])
      for layer, option in enumerate(architecture)
  ))


def reachable(
    cost: FactoredCost, architecture: Architecture, decided: Iterable[int]
) -> tuple[float, float]:
  """Reachable interval by enumeration."""
  costs = [
      cost.cost(each)
      for each in completions(cost.space, architecture, decided)
  ]
  return min(costs), max(costs)


def any_reward(seed: int) -> Reward:
  """A reward without structure, with many ties."""
  return lambda architecture: float(
      random.Random(f'{seed} {architecture}').randrange(12)
  )


def additive_reward(tables: list[list[int]]) -> Reward:
  """A reward that is a sum of integers, hence without rounding."""
  return lambda architecture: float(
      sum(table[i] for table, i in zip(tables, architecture, strict=True))
  )


def evaluate(
    candidate: Candidate, reward: Reward, failing: int = 0
) -> Evaluation:
  """Evaluates; one candidate of `failing` fails or gives NaN, 0 means none."""
  draw = random.Random(architecture_id(candidate.architecture))
  if failing and not draw.randrange(failing):
    if draw.random() < 0.5:
      return Evaluation(None, 1.0, Status.FAILED, 'it failed')
    return Evaluation(float('nan'), 1.0)
  return Evaluation(reward(candidate.architecture), 1.0)


def run(search: Search, reward: Reward, failing: int = 0) -> Search:
  """Runs a search to its end, one candidate after the other."""
  while asked := search.ask():
    search.tell(asked[0].id, evaluate(asked[0], reward, failing))
  assert search.finished
  return search


def run_shuffled(
    search: Search, reward: Reward, failing: int, rng: random.Random
) -> Search:
  """Runs a search with batches of any size, told in any order."""
  waiting: list[Candidate] = []
  while not search.finished:
    asked = search.ask(rng.randint(1, 6))
    assert asked or waiting or search.finished
    waiting += asked
    rng.shuffle(waiting)
    for _ in range(rng.randint(0 if asked else 1, max(1, len(waiting)))):
      if waiting:
        candidate = waiting.pop()
        search.tell(candidate.id, evaluate(candidate, reward, failing))
  assert not waiting
  return search


def state(search: Search) -> dict[str, object]:
  """All that must not depend on how a search was run."""
  return {
      'trials': [trial.to_dict() for trial in search.trials],
      'best': search.best and search.best.to_dict(),
      'tables': tables(search.strategy.passes),
      'reused': search.reused,
      'infeasible': search.strategy.infeasible,
      'stop_reason': search.stop_reason,
  }


def tables(passes: list[LayerPass]) -> list[object]:
  """Start, order, edges and entries of all passes."""
  return [
      (each.start, each.order, [
          (table.axis, list(table.by_bucket())) for table in each.tables
      ])
      for each in passes
  ]


@st.composite
def spaces(draw: st.DrawFn, most_layers: int = 4) -> SearchSpace:
  """Up to four layers of up to four options, with any defaults."""
  counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=most_layers))
  return make_space(
      counts, [draw(st.integers(0, count - 1)) for count in counts]
  )


@st.composite
def factored_costs(draw: st.DrawFn, most_layers: int = 4) -> FactoredCost:
  """Sums of integer or float factors over any layers, some over none."""
  space = draw(spaces(most_layers))
  rng = np.random.default_rng(draw(st.integers(0, 10**6)))
  kind = draw(st.sampled_from(['integers', 'floats', 'mixed']))
  scopes = draw(st.lists(
      st.sets(st.integers(0, len(space) - 1), max_size=3).map(
          lambda layers: tuple(sorted(layers))
      ),
      min_size=1, max_size=5,
  ))
  factors = []
  for index, scope in enumerate(scopes):
    shape = tuple(space.option_counts[layer] for layer in scope)
    table = rng.integers(-9, 30, shape)
    if kind == 'floats' or (kind == 'mixed' and index % 2):
      table = table * rng.random(shape) * 10.0 ** rng.integers(-8, 9)
    factors.append(Factor(scope, np.asarray(table)))
  return FactoredCost('madds', space, factors)


@st.composite
def problems(draw: st.DrawFn, most_layers: int = 4) -> Problem:
  """A factored cost and a target that some network reaches."""
  cost = draw(factored_costs(most_layers))
  costs = sorted(map(cost.cost, architectures(cost.space)))
  first = draw(st.integers(0, len(costs) - 1))
  last = draw(st.integers(first, len(costs) - 1))
  target = draw(st.sampled_from([
      TargetInterval(costs[first], costs[last]),
      TargetInterval(high=costs[last]),
      TargetInterval(low=costs[first]),
      TargetInterval(),
  ]))
  return Problem(cost, target)


def schedules(
    names: tuple[str, ...] = ('sweep', 'interleaved', 'recentred'),
) -> st.SearchStrategy[Callable[[], Strategy]]:
  """Makers of equal schedules with any settings."""
  tables = st.builds(
      TableSettings, buckets=st.integers(1, 6), keep=st.integers(1, 3),
      spacing=st.sampled_from(['linear', 'equal_count']),
  )
  settings = st.builds(
      PassSettings, tables,
      start=st.sampled_from(['default', 'smallest', 'largest', 'random']),
      order=st.sampled_from(ORDERS),
  )
  visit = st.builds(
      VisitSettings, entries=st.integers(1, 3), options=st.integers(1, 3),
      select=st.sampled_from(['uniform', 'best']),
      axis_samples=st.integers(1, 60),
  )
  return st.builds(
      lambda name, settings, visit: (
          lambda: make_schedule(name, settings, visit)
      ),
      st.sampled_from(names), settings, visit,
  )


def make_search(
    problem: Problem, name: str = 'sweep', budget: Budget = Budget(),
    seed: int = 0, visit: VisitSettings = VisitSettings(), start: str =
    'default', order: str = 'forward', **settings: object,
) -> Search:
  """A search by the name of its schedule; `settings` are of the tables."""
  passes = PassSettings(TableSettings(**settings), start, order)
  return Search(problem, make_schedule(name, passes, visit), budget, seed)

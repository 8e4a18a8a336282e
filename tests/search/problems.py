"""Random spaces, costs, targets and results for the tests of the search."""

import contextlib
import dataclasses
import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search import Candidate
from layernas.search import CountedCost
from layernas.search import Evaluation
from layernas.search import Factor
from layernas.search import FactoredCost
from layernas.search import JointlyBoundedCost
from layernas.search import Layer
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import Status
from layernas.search import TargetInterval
from layernas.search import Trial
from layernas.search import additive_cost
from layernas.search import make_schedule
from layernas.search.interleaved import SELECTIONS
from layernas.search.layer_pass import ORDERS
from layernas.search.layer_pass import STARTS
from layernas.search.strategy import Context
from layernas.search.table import SPACINGS

INTEGERS = st.integers(-20, 20)
# Sums beyond 2**53 that floats do not hold.
LARGE_INTEGERS = st.integers(2**53 - 9, 2**53 - 1)
# Floats whose sum depends on the order of summation.
FLOATS = st.sampled_from([0.1, 0.7, 1 / 3, 1e-17, -1e15, 1e15, 5e-324]) | (
    st.floats(-1e3, 1e3)
)
PRICES = st.integers(1, 20)
SEEDS = st.integers(0, 999)


def make_space(*option_counts, default=0):
  """A space with these many options per layer."""
  return SearchSpace(
      Layer(f'layer{index}', tuple(range(count)), min(default, count - 1))
      for index, count in enumerate(option_counts)
  )


def make_problem(tables, low=-math.inf, high=math.inf, default=0):
  """An additive problem."""
  space = make_space(*map(len, tables), default=default)
  return Problem(
      additive_cost('madds', space, tables), TargetInterval(low, high)
  )


def architectures(space):
  """All of them."""
  return list(itertools.product(*map(range, space.option_counts)))


def completions(space, architecture, decided):
  """All architectures that agree with a prefix."""
  return list(
      itertools.product(
          *(
              (architecture[layer],) if layer in decided else range(count)
              for layer, count in enumerate(space.option_counts)
          )
      )
  )


@st.composite
def spaces(draw, max_layers=4, max_options=3):
  """Small spaces with random defaults."""
  counts = draw(
      st.lists(st.integers(1, max_options), min_size=1, max_size=max_layers)
  )
  return SearchSpace(
      Layer(f'layer{index}', range(count), draw(st.integers(0, count - 1)))
      for index, count in enumerate(counts)
  )


@st.composite
def tables(draw, shape, numbers=INTEGERS | FLOATS):
  """Arrays of a shape."""
  size = math.prod(shape)
  values = draw(st.lists(numbers, min_size=size, max_size=size))
  return np.reshape(np.array(values), shape)


@st.composite
def factored_costs(draw, space, sort=lambda table: table):
  """Sums of integer and float factors over random layers."""
  kinds = st.sampled_from([INTEGERS, LARGE_INTEGERS, FLOATS])
  factors = []
  for _ in range(draw(st.integers(1, 4))):
    layers = st.sets(st.integers(0, len(space) - 1), max_size=3)
    scope = tuple(sorted(draw(layers)))
    shape = [space.option_counts[layer] for layer in scope]
    factors.append(Factor(scope, sort(draw(tables(shape, draw(kinds))))))
  return FactoredCost('cost', space, factors)


@st.composite
def additive_costs(draw, space, numbers=PRICES):
  """One summand per layer."""
  return additive_cost(
      'cost',
      space,
      [draw(tables((count,), numbers)) for count in space.option_counts],
      draw(numbers),
  )


@st.composite
def jointly_bounded_costs(draw, space, numbers=INTEGERS):
  """Sums of integer tables, as counting finds them."""
  factors = []
  for _ in range(draw(st.integers(1, 5))):
    layers = st.sets(st.integers(0, len(space) - 1), max_size=3)
    scope = tuple(sorted(draw(layers)))
    shape = [space.option_counts[layer] for layer in scope]
    factors.append(Factor(scope, draw(tables(shape, numbers))))
  return JointlyBoundedCost('cost', space, factors)


@st.composite
def counted_costs(draw, space, numbers=INTEGERS):
  """Functions of whole networks."""
  known = draw(jointly_bounded_costs(space, numbers))
  return CountedCost('cost', space, known.cost)


@st.composite
def known_costs(draw, space):
  """Of built-in spaces and of Flax modules; what prefixes reach is known."""
  costs = draw(st.sampled_from([additive_costs, jointly_bounded_costs]))
  return draw(costs(space, PRICES))


@st.composite
def all_costs(draw, space):
  """Also of Flax modules whose layers interact too much for factors."""
  one = st.sampled_from([additive_costs, jointly_bounded_costs, counted_costs])
  return draw(draw(one)(space, PRICES))


@st.composite
def targets(draw, cost):
  """Target intervals with at least one architecture inside."""
  values = st.sampled_from([cost.cost(a) for a in architectures(cost.space)])
  low, high = sorted((draw(values), draw(values)))
  low = draw(st.sampled_from([low, -math.inf]))
  return TargetInterval(low, draw(st.sampled_from([high, math.inf])))


@st.composite
def problems(draw, costs=all_costs, **sizes):
  """A space, a cost and a target."""
  cost = draw(costs(draw(spaces(**sizes))))
  return Problem(cost, draw(targets(cost)))


PASS_SETTINGS = st.fixed_dictionaries({
    'buckets': st.integers(1, 6),
    'keep': st.integers(1, 3),
    'spacing': st.sampled_from(list(SPACINGS)),
    'start': st.sampled_from(list(STARTS)),
    'order': st.sampled_from(ORDERS),
})
VISIT_SETTINGS = st.fixed_dictionaries({
    'entries': st.integers(1, 3),
    'options': st.integers(1, 3),
    'select': st.sampled_from(SELECTIONS),
    'axis_samples': st.integers(1, 40),
})


def _maker(name, passes, visits):
  """A function, since a schedule serves one search only."""
  settings = passes | (visits if name == 'interleaved' else {})
  return lambda: make_schedule(name, **settings)


SCHEDULE_MAKERS = st.builds(
    _maker, st.sampled_from(['sweep', 'interleaved', 'recentred']),
    PASS_SETTINGS, VISIT_SETTINGS,
)


@dataclasses.dataclass(frozen=True)
class RandomResults:
  """Evaluates architectures: few distinct rewards, some failures.

  Attributes:
    seed: of the results; the candidates' own seeds do not matter.
    failing: share of the architectures that have no reward.
  """

  seed: int = 0
  failing: float = 0.0

  def __call__(self, candidate):
    rng = random.Random(f'{self.seed} {candidate.architecture}')
    seconds = rng.random()
    if rng.random() < self.failing:
      status = rng.choice([Status.FAILED, Status.NAN])
      return Evaluation(None, seconds, status, 'as drawn')
    return Evaluation(float(rng.randrange(6)), seconds)


def run(search, evaluate, trials=math.inf):
  """Asks and tells one by one until the search, or this many trials, end."""
  while len(search.trials) < trials and (candidates := search.ask()):
    [candidate] = candidates
    search.tell(candidate.id, evaluate(candidate))
  return search


def run_in_disorder(search, evaluate, rng):
  """Asks for random numbers of candidates and tells them in random order."""
  waiting = []
  while True:
    waiting += search.ask(rng.randint(0 if waiting else 1, 4))
    if not waiting:
      return search
    rng.shuffle(waiting)
    for _ in range(rng.randint(0, len(waiting))):
      candidate = waiting.pop()
      if candidate in search.waiting:
        search.tell(candidate.id, evaluate(candidate))


def drive(problem, strategy, evaluate, seed=0):
  """Runs a schedule without the engine; yields its generations and reason."""
  trials = []

  def incumbent(number=-1):
    del number
    inside = [
        trial for trial in trials
        if trial.ok and trial.candidate.cost in problem.target
    ]
    return max(inside, key=lambda t: t.evaluation.reward, default=None)

  iterator = strategy.generations(
      Context(problem, random.Random(seed), incumbent)
  )
  while True:
    try:
      proposals = next(iterator)
    except StopIteration as stop:
      yield stop.value
      return
    yield proposals
    for proposal in proposals:
      candidate = Candidate(
          len(trials), proposal.layer, proposal.architecture, proposal.cost, 0
      )
      trials.append(Trial(candidate, evaluate(candidate)))
      strategy.observe(proposal, trials[-1])


def state(search):
  """All that a search has come to."""
  return {
      'trials': list(search.trials),
      'best': search.best,
      'seconds': search.seconds,
      'reused': search.reused,
      'infeasible': search.strategy.infeasible,
      'stop_reason': search.stop_reason,
      'passes': [
          (
              one.start,
              one.order,
              [(table.axis, list(table.by_bucket())) for table in one.tables],
          )
          for one in search.strategy.proposer.passes
      ],
  }


def sweep_of(problem, seed=0, name='sweep', **settings):
  """A search with a schedule by name."""
  return Search(problem, make_schedule(name, **settings), seed=seed)


@contextlib.contextmanager
def refuses(*parts):
  """Expects a UserError of one line that names all this and what is allowed."""
  with pytest.raises(UserError) as caught:
    yield
  message = str(caught.value)
  assert '\n' not in message
  for part in (*parts, 'allowed'):
    assert part in message

"""The searches whose workers are simulated: what they search, for how long.

Spaces, targets, buckets and schedules are those of configs/imagenet_*.py, the
settings below excepted. What training takes and gives is made up: a time that
grows with MAdds, and a reward that is a sum of terms.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from collections.abc import Mapping

import numpy as np

from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import make_space
from layernas.search import Architecture
from layernas.search import Factor
from layernas.search import FactoredCost
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from tools.perf.virtual_workers import Task

_INTERACTIONS = 0.5
"""Standard deviation of all terms of neighbouring layers together, relative to
that of the terms of single layers, as in tools/perf/model_guided_ask.py."""

_IMAGENET = (
    'v3_small_60m', 'v3_large_220m', 'v3_large_220m_no_se', 'v2_300m',
    'v2_300m_se', 'v2_600m',
)


@dataclasses.dataclass(frozen=True)
class Case:
  """A search.

  Attributes:
    config: module in `configs`.
    label: of the schedule, for people.
    settings: fields of the config that are set, by their path.
    losses: whether workers are lost, see `Times.between_losses`.
  """

  config: str
  label: str
  settings: Mapping[str, object]
  losses: bool = False

  @property
  def schedule(self) -> str:
    """Name of the schedule."""
    return self.settings.get('search.schedule', 'sweep')


def _cases() -> dict[str, Case]:
  cases = []
  for name in _IMAGENET:
    for buckets in (100, 5):
      cases.append(Case(
          f'imagenet_{name}', f'sweep, H = {buckets}',
          {'search.buckets': buckets},
      ))
  cases.append(Case(
      'imagenet_v3_large_220m', 'sweep, H = 5, workers lost',
      {'search.buckets': 5}, losses=True,
  ))
  for name in ('v3_small_60m', 'v3_large_220m'):
    cases += _others(f'imagenet_{name}')
  return {f'{case.config}: {case.label}': case for case in cases}


def _others(config: str) -> list[Case]:
  """The other schedules, with small and with large batches."""
  interleaved = {'search.schedule': 'interleaved', 'budget.trials': 1000}
  guided = {
      'search.schedule': 'model_guided', 'budget.trials': 500,
      'search.buckets': 10, 'search.keep': 2,
  }
  return [
      Case(config, 'recentred, H = 5',
           {'search.schedule': 'recentred', 'search.buckets': 5}),
      *(Case(config, f'interleaved, {side} x {side}', interleaved | {
          'search.visit.entries': side, 'search.visit.options': side,
      }) for side in (1, 8)),
      *(Case(config, f'model_guided, batches of {batch}', guided | {
          'search.guided.batch': batch,
      }) for batch in (5, 64)),
  ]


CASES = _cases()
"""By the name that the results give them."""


@dataclasses.dataclass(frozen=True)
class Times:
  """Times in units of the default network's training.

  Attributes:
    start: compilation before a training; a minute beside 35, the estimate of
      docs/reproduce.md.
    hidden: whether it goes on while the worker trains the candidate before.
    jitter: standard deviation of the logarithm of a training's time, beside
      what its MAdds make it.
    between_losses: mean time until a worker is lost, exponentially distributed;
      another one goes on from the last checkpoint.
    checkpoint: time between two checkpoints: 300 of about 1,500 steps in
      configs/imagenet_default.py.
    restart: until a lost training goes on.
    seed: of the losses and the jitter.
  """

  start: float = 0.03
  hidden: bool = True
  jitter: float = 0.1
  between_losses: float = 10.0
  checkpoint: float = 0.2
  restart: float = 0.1
  seed: int = 0


def search_of(case: Case) -> Search:
  """The case's search, not yet begun."""
  config = importlib.import_module(f'configs.{case.config}').get_config()
  with config.unlocked():
    config.update_from_flattened_dict(dict(case.settings))
  return make_search(config, _problem(case.config))


@functools.cache
def _problem(name: str) -> Problem:
  config = importlib.import_module(f'configs.{name}').get_config()
  return make_problem(
      config, make_space(config.space), config.data.image_size,
      config.data.num_classes,
  )


def task_of(case: Case, times: Times) -> Callable[[Architecture], Task]:
  """What the candidates of a case take and give.

  Args:
    case: that is searched.
    times: of trainings.

  Returns:
    A function of the architecture alone.
  """
  cost = _problem(case.config).cost
  unit = cost.cost(cost.space.default)
  rewards = synthetic_rewards(cost.space, times.seed)

  @functools.cache
  def task(architecture: Architecture) -> Task:
    rng = np.random.default_rng([times.seed, *architecture])
    time = cost.cost(architecture) / unit
    time *= np.exp(times.jitter * rng.standard_normal())
    if case.losses:
      time = with_losses(time, times, rng)
    return Task(float(time), rewards.cost(architecture))

  return task


def synthetic_rewards(space: SearchSpace, seed: int) -> FactoredCost:
  """Normal terms of the layers' options and of neighbours' pairs of options.

  As in `layernas.study.tables.synthetic`, for layers with any numbers of
  options.

  Args:
    space: of the architectures.
    seed: of the terms.

  Returns:
    A sum; its `cost` is the reward.
  """
  rng = np.random.default_rng(seed)
  counts = space.option_counts
  terms = [
      Factor((layer,), rng.standard_normal(count))
      for layer, count in enumerate(counts)
  ]
  scale = _INTERACTIONS * np.sqrt(len(counts) / max(len(counts) - 1, 1))
  terms += [
      Factor((layer - 1, layer),
             scale * rng.standard_normal(counts[layer - 1:layer + 1]))
      for layer in range(1, len(counts))
  ]
  return FactoredCost('reward', space, terms)


def with_losses(
    time: float, times: Times, rng: np.random.Generator
) -> float:
  """Time of a training whose workers may be lost.

  Args:
    time: that it takes undisturbed.
    times: when workers are lost, and where it goes on then.
    rng: random source.

  Returns:
    Time until its end, what was lost and the restarts included.
  """
  saved = elapsed = 0.0
  while True:
    until = rng.exponential(times.between_losses)
    if until >= time - saved:
      return elapsed + time - saved
    saved += until // times.checkpoint * times.checkpoint
    elapsed += until + times.restart

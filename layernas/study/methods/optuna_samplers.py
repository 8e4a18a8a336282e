"""Optuna's samplers as strategies; the algorithms are Optuna's own."""

import importlib.util
import math
import statistics
from typing import Any

from layernas.errors import UserError
from layernas.errors import not_installed
from layernas.plain import check_integers
from layernas.search.problem import Problem
from layernas.search.problem import TargetInterval
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.study.methods.baseline import Baseline
from layernas.study.methods.baseline import uniform

SAMPLERS = ('tpe', 'nsga2', 'gp')
"""Tree-structured Parzen estimator; NSGA-II on the one objective reward;
Gaussian process with expected improvement, which needs PyTorch."""

# Suggestions in a row outside the target before a random feasible network is
# evaluated in their place, so that a sampler cannot get stuck.
_REJECTIONS = 20


class OptunaSampler(Baseline):
  """Maximises the reward over one categorical parameter per layer.

  A suggestion outside the target interval is not evaluated and is charged
  nothing; Optuna learns by how much it misses, as the violation of a
  constraint. The sampler gp models constraints and rewards of all suggestions,
  also of rejected ones: it is told by how much the limits are kept, too, and of
  a rejected network the mean reward so far, which says nothing of it.
  """

  def __init__(self, sampler: str = 'tpe', suggestions: int = 1000):
    """Makes a strategy that has not begun.

    Args:
      sampler: one of `SAMPLERS`, with Optuna's default settings.
      suggestions: it ends after so many, rejected and known ones included: the
        time that Optuna takes for one grows with their number.

    Raises:
      UserError: unknown sampler, or Optuna or PyTorch is not installed.
    """
    super().__init__()
    check_integers('optuna', suggestions=suggestions)
    if sampler not in SAMPLERS:
      raise UserError(
          f'optuna.sampler: {sampler!r}: allowed are {list(SAMPLERS)}'
      )
    self.sampler = sampler
    self.suggestions = suggestions
    self._optuna = _import_optuna()
    if sampler == 'gp':
      _require_torch()

  def generations(self, context: Context) -> Generations:
    """Yields one suggestion after another."""
    problem, optuna = context.problem, self._optuna
    samplers = {
        'tpe': optuna.samplers.TPESampler,
        'nsga2': optuna.samplers.NSGAIISampler,
        'gp': optuna.samplers.GPSampler,
    }
    study = optuna.create_study(
        direction='maximize',
        sampler=samplers[self.sampler](seed=context.rng.getrandbits(32)),
    )
    names = [str(index) for index in range(len(problem.space))]
    distributions = {
        name: optuna.distributions.CategoricalDistribution(tuple(range(count)))
        for name, count in zip(names, problem.space.option_counts, strict=True)
    }
    while len(study.get_trials(deepcopy=False)) < self.suggestions:
      suggested, architecture = self._suggest(study, distributions, problem)
      if suggested is None:
        architecture = self.draw(
            problem, context.rng, lambda: uniform(problem, context.rng)
        )
        suggested = _enqueued(study, distributions, architecture)
        self._constrain(suggested, problem, architecture)
      trial = yield from self.evaluate(problem, architecture)
      if trial.ok:
        study.tell(suggested, trial.evaluation.reward)
      else:
        study.tell(suggested, state=optuna.trial.TrialState.FAIL)
    return f'{self.suggestions:,} suggestions made'

  def _suggest(
      self, study: Any, distributions: dict[str, Any], problem: Problem
  ) -> tuple[Any, Architecture]:
    """First feasible suggestion, or (None, ()) after too many rejections."""
    for _ in range(_REJECTIONS):
      suggested = study.ask(distributions)
      architecture = _architecture(suggested, distributions)
      self._constrain(suggested, problem, architecture)
      if self.feasible(problem, architecture):
        return suggested, architecture
      self._tell_rejected(study, suggested)
    return None, ()

  def _constrain(
      self, suggested: Any, problem: Problem, architecture: Architecture
  ) -> None:
    """Tells Optuna how a network stands to the target."""
    cost, target = problem.cost.cost(architecture), problem.target
    # Without a limit everything is exactly as in Optuna's own loop.
    if target == TargetInterval() and not problem.limits:
      return
    further = problem.further_costs(architecture)
    excesses = {
        f'limit {limit.cost.name}': further[limit.cost.name] - limit.high
        for limit in problem.limits
    }
    if self.sampler != 'gp':
      violation = max(0, cost - target.high, target.low - cost)
      suggested.set_constraint('cost', float(violation))
      for name, excess in excesses.items():
        suggested.set_constraint(name, float(max(0, excess)))
      return
    for name, limit, excess in (
        ('high', target.high, cost - target.high),
        ('low', target.low, target.low - cost),
    ):
      if not math.isinf(limit):
        suggested.set_constraint(name, float(excess))
    for name, excess in excesses.items():
      suggested.set_constraint(name, float(excess))

  def _tell_rejected(self, study: Any, suggested: Any) -> None:
    """Ends a suggestion that is not evaluated."""
    if self.sampler != 'gp':
      # Of what violates a constraint, the samplers look at the violation alone.
      study.tell(suggested, 0.0)
      return
    rewards = [
        trial.value for trial in study.get_trials(deepcopy=False)
        if trial.value is not None and max(trial.constraints.values()) <= 0
    ]
    if rewards:
      study.tell(suggested, statistics.fmean(rewards))
    else:
      study.tell(suggested, state=self._optuna.trial.TrialState.FAIL)


def _enqueued(
    study: Any, distributions: dict[str, Any], architecture: Architecture
) -> Any:
  """An Optuna trial of a given architecture."""
  study.enqueue_trial(dict(zip(distributions, architecture, strict=True)))
  return study.ask(distributions)


def _architecture(
    suggested: Any, distributions: dict[str, Any]
) -> Architecture:
  return tuple(suggested.params[name] for name in distributions)


def _import_optuna() -> Any:
  try:
    import optuna  # noqa: PLC0415
  except ImportError as error:
    raise not_installed('method optuna', 'Optuna', 'optuna') from error
  optuna.logging.set_verbosity(optuna.logging.WARNING)
  return optuna


def _require_torch() -> None:
  if importlib.util.find_spec('torch') is None:
    raise not_installed("optuna.sampler: 'gp'", 'PyTorch', 'torch')

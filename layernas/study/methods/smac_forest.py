"""SMAC3 (Lindauer et al., arXiv 2109.09831): Bayesian optimisation by forests.

The algorithm is SMAC's own: a random forest, logarithmic expected improvement,
maximised by local search among 10,000 random networks, a Sobol design of at
most a quarter of the budget.
"""

import logging
import math
import tempfile
from typing import Any

import numpy as np

from layernas.errors import not_installed
from layernas.plain import check_integers
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.trial import Trial
from layernas.study.methods.baseline import Baseline
from layernas.study.methods.baseline import uniform

# Suggestions in a row outside the target before a random feasible network is
# evaluated in their place, so that SMAC cannot get stuck.
_REJECTIONS = 100


class SmacForest(Baseline):
  """Maximises the reward over one categorical parameter per layer.

  SMAC has no constraints. A network outside the target would be a bad one to
  its forest if it were told as a cost, and so would its neighbours, the good
  networks just below the limit. Costs are known before training, so SMAC is
  told nothing and the improvement expected of such a network is none: SMAC
  itself looks in the target only. What its design and its random networks
  (every fifth) suggest beside it is rejected and charged nothing.

  Each network is evaluated once, and `finalists` repeats as for any other
  method: SMAC's own repeats are for its own incumbent, and do not change which
  reward is the best.
  """

  def __init__(self, suggestions: int = 1000):
    """Makes a strategy that has not begun.

    Args:
      suggestions: it ends after so many, rejected ones included: the time that
        SMAC takes for one grows with their number.

    Raises:
      UserError: SMAC is not installed.
    """
    super().__init__()
    check_integers('smac', suggestions=suggestions)
    self.suggestions = suggestions
    self._smac = _import_smac()

  def generations(self, context: Context) -> Generations:
    """Yields one suggestion after another."""
    with tempfile.TemporaryDirectory() as directory:
      optimizer = _Optimizer(self._smac, context, directory)
      row = 0
      for _ in range(self.suggestions):
        architecture = optimizer.ask()
        if architecture is None:
          return 'SMAC finds no network that it has not suggested'
        if not self.feasible(context.problem, architecture):
          optimizer.reject()
          row += 1
          if row < _REJECTIONS:
            continue
          architecture = self.draw(
              context.problem, context.rng,
              lambda: uniform(context.problem, context.rng),
          )
        row = 0
        trial = yield from self.evaluate(context.problem, architecture)
        optimizer.tell(architecture, trial)
    return f'{self.suggestions:,} suggestions made'


class _Optimizer:
  """SMAC's ask and tell in architectures and trials."""

  def __init__(self, smac: Any, context: Context, directory: str):
    import ConfigSpace  # noqa: PLC0415
    from smac.runhistory import encoder  # noqa: PLC0415

    self._smac = smac
    counts = context.problem.space.option_counts
    self._names = [f'{layer:04}' for layer in range(len(counts))]
    self._space = ConfigSpace.ConfigurationSpace()
    self._space.add([
        ConfigSpace.CategoricalHyperparameter(name, tuple(range(count)))
        for name, count in zip(self._names, counts, strict=True)
    ])
    trials = context.remaining().trials
    scenario = smac.Scenario(
        self._space, deterministic=True, output_directory=directory,
        seed=context.rng.getrandbits(31),
        # Of the scenario's own default where only seconds are limited.
        **({} if math.isinf(trials) else {'n_trials': int(trials)}),
    )
    facade = smac.HyperparameterOptimizationFacade
    maximizer = facade.get_acquisition_maximizer(scenario)
    _order_starts(maximizer._local_search)
    self._facade = facade(
        scenario, logging_level=False, overwrite=True,
        acquisition_maximizer=maximizer,
        acquisition_function=_improvement_in_target(context.problem),
        # Rejected networks are none of the forest's data.
        runhistory_encoder=encoder.RunHistoryLogScaledEncoder(
            scenario, considered_states=[smac.runhistory.StatusType.SUCCESS]
        ),
    )
    self._asked: Any = None

  def ask(self) -> Architecture | None:
    """SMAC's next network; None where there is none."""
    from smac.main import exceptions  # noqa: PLC0415

    try:
      self._asked = self._facade.ask()
    except (StopIteration, exceptions.ConfigurationSpaceExhaustedException):
      return None
    return tuple(int(self._asked.config[name]) for name in self._names)

  def reject(self) -> None:
    """The network just asked for is not evaluated."""
    self._record(self._asked, math.inf, 'CRASHED')

  def tell(self, architecture: Architecture, trial: Trial) -> None:
    """Tells the reward of a network, whether SMAC asked for it or not."""
    import ConfigSpace  # noqa: PLC0415

    values = dict(zip(self._names, architecture, strict=True))
    info = self._smac.runhistory.TrialInfo(
        ConfigSpace.Configuration(self._space, values), seed=self._asked.seed
    )
    if trial.ok:
      self._record(info, -trial.evaluation.reward, 'SUCCESS')
    else:
      self._record(info, math.inf, 'CRASHED')

  def _record(self, info: Any, cost: float, status: str) -> None:
    history = self._smac.runhistory
    self._facade.tell(
        info,
        history.TrialValue(cost=cost, status=history.StatusType[status]),
        save=False,
    )


def _order_starts(local_search: Any) -> None:
  """Has SMAC's local search begin at its starts in an order of their own.

  SMAC takes them from a set, whose order changes with Python's hash seed from
  one process to the next: equal seeds would not give equal runs.
  """
  starts = local_search._get_init_points_from_previous_configs

  def ordered(*args: Any) -> list[Any]:
    return sorted(starts(*args), key=lambda each: each.get_array().tolist())

  local_search._get_init_points_from_previous_configs = ordered


def _improvement_in_target(problem: Problem) -> Any:
  """SMAC's own acquisition function, but of no use outside the target."""
  from smac.acquisition.function import EI  # noqa: PLC0415

  class ImprovementInTarget(EI):
    """Logarithmic expected improvement."""

    def _compute(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
      """Values [networks, 1] of encoded networks [networks, layers]."""
      improvement = super()._compute(X)
      architectures = X.astype(int)
      costs = problem.cost.costs(architectures)
      # What can be hoped for in the target is never below zero.
      improvement[~problem.admitted(architectures, costs)] = -1.0
      return improvement

  return ImprovementInTarget(log=True)


def _import_smac() -> Any:
  try:
    import smac  # noqa: PLC0415
    import smac.runhistory  # noqa: PLC0415
  except ImportError as error:
    raise not_installed('method smac', 'SMAC3', 'smac') from error
  logging.getLogger('smac').setLevel(logging.ERROR)
  return smac

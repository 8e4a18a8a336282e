"""Conformal quantile regression (Salinas et al., ICML 2023), of Syne Tune.

The algorithm is Syne Tune's own: boosted trees for the quantiles of the reward,
made conformal from 32 trials on; of 2,000 random networks, here of the target,
the one with the best draw from its quantiles is suggested.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from layernas.errors import not_installed
from layernas.plain import check_integers
from layernas.search.layer_pass import random_start
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.study.methods.baseline import Baseline
from layernas.study.methods.baseline import uniform

# Suggestions, or draws of all candidates, in a row outside the target before
# random networks that are built in it take their place.
_REJECTIONS = 100


class QuantileRegression(Baseline):
  """Maximises the reward over one categorical parameter per layer.

  Costs are known before training, so the candidates of the model are networks
  of the target: where better ones cost more, those outside it would win every
  draw, and rejecting them would leave random search. The first, random
  suggestions are rejected outside the target and charged nothing.
  """

  def __init__(self, suggestions: int = 1000):
    """Makes a strategy that has not begun.

    Args:
      suggestions: it ends after so many, rejected ones not counted: the time
        that Syne Tune takes for one grows with the trials.

    Raises:
      UserError: Syne Tune is not installed.
    """
    super().__init__()
    check_integers('cqr', suggestions=suggestions)
    self.suggestions = suggestions
    self._packages = _import_syne_tune()

  def generations(self, context: Context) -> Generations:
    """Yields one suggestion after another."""
    problem, rng = context.problem, context.rng
    names = [f'{layer:04}' for layer in range(len(problem.space))]
    global_draws = _GlobalDraws(rng.getrandbits(32))
    conformal, choice, surrogate = self._packages
    searcher = conformal.ConformalQuantileRegression(
        {
            name: choice(list(range(count)))
            for name, count in zip(
                names, problem.space.option_counts, strict=True
            )
        },
        random_seed=rng.getrandbits(32),
        surrogate_cls=_candidates_in_target(surrogate, names, context),
    )
    for number in range(self.suggestions):
      for _ in range(_REJECTIONS):
        with global_draws.used():
          config = searcher.suggest()
        architecture = tuple(int(config[name]) for name in names)
        if self.feasible(problem, architecture):
          break
      else:
        architecture = self.draw(problem, rng, lambda: uniform(problem, rng))
      trial = yield from self.evaluate(problem, architecture)
      if trial.ok:
        searcher.on_trial_complete(
            number, dict(zip(names, architecture, strict=True)),
            -trial.evaluation.reward,
        )
    return f'{self.suggestions:,} suggestions made'


class _GlobalDraws:
  """NumPy's global random state of one run: Syne Tune draws from it, too."""

  def __init__(self, seed: int):
    # What Syne Tune calls has no other interface.
    self._state = np.random.RandomState(seed).get_state()

  @contextlib.contextmanager
  def used(self) -> Iterator[None]:
    """Puts this run's state in the place of the others', and takes it back."""
    others = np.random.get_state()  # noqa: NPY002
    np.random.set_state(self._state)  # noqa: NPY002
    try:
      yield
    finally:
      self._state = np.random.get_state()  # noqa: NPY002
      np.random.set_state(others)  # noqa: NPY002


def _candidates_in_target(
    surrogate: Any, names: list[str], context: Context
) -> Any:
  """Syne Tune's own model, but of candidates in the target."""
  problem = context.problem

  class InTarget(surrogate.QuantileRegressionSurrogateModel):
    """Quantiles of the reward."""

    def _update_candidates(self, n_candidates: int = 2000) -> None:
      """Draws networks of the target uniformly."""
      rows: list[Architecture] = []
      for _ in range(_REJECTIONS):
        drawn = self.random_state.randint(
            0, problem.space.option_counts, (n_candidates, len(names))
        )
        costs = problem.cost.costs(drawn)
        inside = drawn[problem.admitted(drawn, costs)]
        rows += map(tuple, inside.tolist())
        if len(rows) >= n_candidates:
          break
      if not rows:
        rows = [random_start(problem, context.rng)]
      self.config_candidates = [
          dict(zip(names, row, strict=True)) for row in rows[:n_candidates]
      ]
      self.df_candidates = self._configs_to_df(self.config_candidates)

  return InTarget


def _import_syne_tune() -> tuple[Any, Any, Any]:
  """Syne Tune's searcher, maker of categorical parameters, and surrogate."""
  try:
    from syne_tune.config_space import choice  # noqa: PLC0415
    from syne_tune.optimizer.schedulers.searchers.conformal import (  # noqa: PLC0415
        conformal_quantile_regression_searcher as conformal,
    )
    from syne_tune.optimizer.schedulers.searchers.conformal.surrogate import (  # noqa: PLC0415
        quantile_regression_surrogate as surrogate,
    )
  except ImportError as error:
    # Syne Tune 0.16 does not require huggingface_hub, but imports it here.
    raise not_installed(
        'method cqr', error.name, 'syne-tune', 'huggingface_hub'
    ) from error
  return conformal, choice, surrogate

"""Baselines by name."""

from collections.abc import Callable
from typing import Any

from layernas.baselines.evolution import RegularizedEvolution
from layernas.baselines.local_search import LocalSearch
from layernas.baselines.model_random import ModelRandom
from layernas.baselines.optuna_samplers import OptunaSampler
from layernas.baselines.random_search import RandomSearch
from layernas.baselines.reinforce import Reinforce
from layernas.errors import UserError
from layernas.search.strategy import Strategy

BASELINES: dict[str, Callable[..., Strategy]] = {
    'random': RandomSearch,
    'evolution': RegularizedEvolution,
    'local_search': LocalSearch,
    'reinforce': Reinforce,
    'optuna': OptunaSampler,
    'model_random': ModelRandom,
}
"""Named baselines; the arguments of a class are its settings."""


def make_baseline(name: str, **settings: Any) -> Strategy:
  """Makes a baseline that has not begun.

  Args:
    name: a key of `BASELINES`.
    **settings: arguments of its class.

  Returns:
    The strategy.

  Raises:
    UserError: there is no such baseline or setting.
  """
  if name not in BASELINES:
    raise UserError(f'baseline {name!r}: allowed are {list(BASELINES)}')
  return BASELINES[name](**settings)

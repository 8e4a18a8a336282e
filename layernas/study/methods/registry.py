"""Baselines by name."""

from collections.abc import Callable
from typing import Any

from layernas.errors import UserError
from layernas.search.strategy import Strategy
from layernas.study.methods.evolution import RegularizedEvolution
from layernas.study.methods.local_search import LocalSearch
from layernas.study.methods.model_random import ModelRandom
from layernas.study.methods.optuna_samplers import OptunaSampler
from layernas.study.methods.random_search import RandomSearch
from layernas.study.methods.reinforce import Reinforce

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

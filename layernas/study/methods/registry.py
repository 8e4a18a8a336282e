"""Methods that a study compares, by name.

A method is made by a callable that takes its settings as keyword arguments and
returns a `Strategy`, as a schedule does; 'module:function' names one of your
own.
"""

from typing import Any

from ml_collections import ConfigDict

from layernas import lookup
from layernas.search.schedules import configured_schedule
from layernas.search.schedules import named_strategy
from layernas.search.strategy import Strategy


def layernas(**search: Any) -> Strategy:
  """The schedule of a config section `search`; see configs/default.py."""
  return configured_schedule(ConfigDict(search))


METHODS: lookup.Registry = {
    'layernas': layernas,
    'default': 'layernas.study.methods.default_network:DefaultNetwork',
    'random': 'layernas.study.methods.random_search:RandomSearch',
    'evolution': 'layernas.study.methods.evolution:RegularizedEvolution',
    'local_search': 'layernas.study.methods.local_search:LocalSearch',
    'reinforce': 'layernas.study.methods.reinforce:Reinforce',
    'optuna': 'layernas.study.methods.optuna_samplers:OptunaSampler',
    'smac': 'layernas.study.methods.smac_forest:SmacForest',
    'cqr': 'layernas.study.methods.quantile_regression:QuantileRegression',
    'model_random': 'layernas.study.methods.model_random:ModelRandom',
}
"""Registered methods; the arguments of a class are its settings."""


def make_method(kind: str, **settings: Any) -> Strategy:
  """Makes a method.

  Args:
    kind: a key of `METHODS`, or 'module:function'.
    **settings: settings of the method; those of 'layernas' are the fields of
      the section `search` in configs/default.py.

  Returns:
    A strategy that has not begun.

  Raises:
    UserError: there is no such method or setting.
  """
  return named_strategy('kind', kind, METHODS, 'settings', settings)

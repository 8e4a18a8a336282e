"""Layers as Optuna's categorical parameters, the target as its constraint."""

from collections.abc import Mapping
from typing import Any

from layernas.errors import not_installed
from layernas.search import Architecture
from layernas.search import Layer
from layernas.search import SearchSpace
from layernas.search import TargetInterval

try:
  import optuna
except ImportError as error:
  raise not_installed(
      'layernas.integrations for Optuna', 'Optuna', 'optuna'
  ) from error

CONSTRAINTS = 'constraints'
"""System attribute of a trial that has them as a list. Optuna reads it as it
does those of `Trial.set_constraint`, and optuna-dashboard reads it alone."""

Choice = None | bool | int | float | str
"""What Optuna stores of an option."""


def choices(layer: Layer) -> tuple[Choice, ...]:
  """The options of a layer, as Optuna takes them.

  Args:
    layer: of a space.

  Returns:
    The options in their order, in words where Optuna does not store them; all
    with their numbers where two of them are equal otherwise.
  """
  found = [
      option if isinstance(option, Choice) else _words(option)
      for option in layer.options
  ]
  # True and 1 are one choice to Optuna.
  if len(set(found)) < len(found):
    return tuple(f'{number}: {one}' for number, one in enumerate(found))
  return tuple(found)


def _words(option: Any) -> str:
  """An option as text, such as 'kernel=3, stride=2'."""
  if isinstance(option, Mapping):
    return ', '.join(f'{name}={value}' for name, value in option.items())
  return str(option)


def distributions(
    space: SearchSpace
) -> dict[str, optuna.distributions.CategoricalDistribution]:
  """A categorical parameter for each layer, by the layer's name."""
  return {
      layer.name: optuna.distributions.CategoricalDistribution(choices(layer))
      for layer in space.layers
  }


def params(space: SearchSpace, architecture: Architecture) -> dict[str, Choice]:
  """Values of the parameters of an architecture."""
  return {
      layer.name: choices(layer)[option]
      for layer, option in zip(space.layers, architecture, strict=True)
  }


def architecture_of(
    space: SearchSpace, values: Mapping[str, Any]
) -> Architecture:
  """Inverse of `params`.

  Args:
    space: of the architecture.
    values: of all parameters, by the layers' names.

  Returns:
    The architecture.

  Raises:
    KeyError: a layer is missing.
    ValueError: a value is not one of its layer's choices.
  """
  return tuple(
      choices(layer).index(values[layer.name]) for layer in space.layers
  )


def suggest(trial: optuna.trial.BaseTrial, space: SearchSpace) -> Architecture:
  """Asks a trial for an option of every layer.

  Args:
    trial: of a study, with any sampler.
    space: whose layers become categorical parameters.

  Returns:
    The architecture that the trial is to evaluate.
  """
  return architecture_of(space, {
      layer.name: trial.suggest_categorical(layer.name, choices(layer))
      for layer in space.layers
  })


def constraints(cost: float, target: TargetInterval) -> list[float]:
  """How a cost stands to the target, as constraints of Optuna.

  Args:
    cost: of a network.
    target: that it should lie in.

  Returns:
    By how much the cost misses the target, below zero within it; nothing where
    there is no limit.
  """
  if target == TargetInterval():
    return []
  return [float(max(cost - target.high, target.low - cost))]

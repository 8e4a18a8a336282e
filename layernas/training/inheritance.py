"""Initial values of a network, taken from another one that is trained.

Networks of a space differ in few modules, and those in kernel and filters. A
child begins with what its parent has learned wherever the two overlap; a large
kernel holds the small one in its centre, as in once-for-all networks (Cai et
al., 2020). Filters that the parent lacks begin with the child's own random
values, so that a wider child does not compute what its parent did.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.training.programs import Programs
from layernas.training.steps import TrainState
from layernas.training.steps import Variables
from layernas.training.steps import first_average

_CONVOLUTION = 4
"""Axes of a convolution's kernel in Flax: two sides, filters in and out."""


def inherited(
    fresh: Variables, parent: Variables,
    counterparts: Mapping[str, str | None],
) -> Variables:
  """A child's first variables.

  Args:
    fresh: the child's own initial values.
    parent: trained values of another network.
    counterparts: the parent's names of modules by the child's, None where the
      parent lacks them; other modules have one name in both. See
      `NetworkSpace.counterparts`.

  Returns:
    As `fresh`, with the parent's values where both have a module. Along an axis
    of another length the first filters are the parent's and those beyond stay
    fresh. Of a convolution's kernel the sides overlap in their centres; around
    a smaller one are zeros.
  """
  return {
      collection: {
          name: _module(leaves, parent.get(collection, {}).get(
              counterparts.get(name, name)
          ))
          for name, leaves in modules.items()
      }
      for collection, modules in fresh.items()
  }


def inheriting(
    programs: Programs, parent: Variables,
    counterparts: Mapping[str, str | None],
) -> Programs:
  """A child's programs, whose first state inherits from its parent.

  Args:
    programs: of the child.
    parent: see `inherited`.
    counterparts: likewise.

  Returns:
    The same steps. The optimiser begins as for fresh values.
  """

  def first(seed: int) -> TrainState:
    state = programs.initial_state(seed)
    variables = inherited(state.variables, parent, counterparts)
    ema = first_average(variables) if state.ema else {}
    return state.replace(variables=variables, ema=ema)

  return dataclasses.replace(programs, initial_state=first)


def _module(fresh: Any, parent: Any) -> Any:
  """Of a module or one of its parts; `parent` is None where it lacks it."""
  if isinstance(fresh, Mapping):
    of = parent if isinstance(parent, Mapping) else {}
    return {name: _module(part, of.get(name)) for name, part in fresh.items()}
  if parent is None or np.ndim(parent) != np.ndim(fresh):
    return np.array(fresh)
  return _array(np.asarray(fresh), np.asarray(parent))


def _array(fresh: np.ndarray, parent: np.ndarray) -> np.ndarray:
  """A copy of `fresh` that holds what overlaps of `parent`."""
  sides = 2 if fresh.ndim == _CONVOLUTION else 0
  filters = tuple(
      slice(min(lengths))
      for lengths in zip(fresh.shape[sides:], parent.shape[sides:], strict=True)
  )
  into, out_of = (
      tuple(
          _centre(length, min(length, another))
          for length, another in zip(
              one.shape[:sides], other.shape[:sides], strict=True
          )
      )
      for one, other in ((fresh, parent), (parent, fresh))
  )
  values = np.array(fresh)
  values[(slice(None),) * sides + filters] = 0
  values[into + filters] = parent[out_of + filters]
  return values


def _centre(length: int, part: int) -> slice:
  """The middle `part` of an axis."""
  begin = (length - part) // 2
  return slice(begin, begin + part)

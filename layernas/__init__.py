"""LayerNAS: layerwise neural architecture search under a cost limit."""

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
  from layernas.export.model import Model as Model
  from layernas.export.model import load_model as load_model
  from layernas.search import Budget as Budget
  from layernas.search import Evaluation as Evaluation
  from layernas.search import Layer as Layer
  from layernas.search import Problem as Problem
  from layernas.search import Search as Search
  from layernas.search import SearchSpace as SearchSpace
  from layernas.search import TargetInterval as TargetInterval
  from layernas.search import additive_cost as additive_cost
  from layernas.search import make_schedule as make_schedule

__version__ = '0.1.0'

# Imported when they are first asked for: the search half needs no JAX, and most
# programs need neither half as a whole.
_PUBLIC = {
    'layernas.export.model': ('Model', 'load_model'),
    'layernas.search': (
        'Budget', 'Evaluation', 'Layer', 'Problem', 'Search', 'SearchSpace',
        'TargetInterval', 'additive_cost', 'make_schedule',
    ),
}

__all__ = [name for names in _PUBLIC.values() for name in names]

# epath reaches gs:// through TensorFlow where that is installed and through
# gcsfs elsewhere: one way on all machines is enough.
if importlib.util.find_spec('gcsfs'):
  os.environ.setdefault('EPATH_USE_TF', 'false')

# TensorFlow, which only reads images here, logs notes on every data set: they
# would break up the progress bar. JAX sets 1 unless the user has set something.
_unset = '1' if 'jax' in sys.modules else None
if os.environ.get('TF_CPP_MIN_LOG_LEVEL') == _unset:
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'


def __getattr__(name: str) -> Any:
  """Imports a public name when it is first asked for."""
  for module, names in _PUBLIC.items():
    if name in names:
      return getattr(importlib.import_module(module), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  """Public names with those that are not imported yet."""
  return sorted({*globals(), *__all__})

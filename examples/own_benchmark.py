"""An own benchmark: a function of the architecture, no table of all of them.

Any importable function that takes the settings as keyword arguments and returns
a `layernas.study.tables.table.Table` will do; an `Oracle` is one, made of plain
functions and cost models. It need not know its optimum: a report then shows
figures without regrets. configs/study/own_function.py runs a study on it:

  ./launch.sh benchmark --config=configs/study/own_function.py
"""

import itertools
import math

from layernas.errors import UserError
from layernas.search import Architecture
from layernas.search import Layer
from layernas.search import SearchSpace
from layernas.search import additive_cost
from layernas.study.tables.table import Oracle

_WIDTHS = (16, 24, 32, 48, 64)


def tapering_widths(layers: int = 12) -> Oracle:
  """Widths of a chain of layers, 2e8 of them with twelve layers.

  A wider layer is better, the later the more, and a width that differs much
  from the one before it costs accuracy. The formula is made up.

  Args:
    layers: number of layers.

  Returns:
    The table, with the columns accuracy and madds.
  """
  if layers < 2:
    raise UserError(
        f'table.settings.layers: {layers}: allowed are integers >= 2'
    )
  space = SearchSpace(
      Layer(f'layer{i}', _WIDTHS, default=2) for i in range(layers)
  )

  def accuracy(architecture: Architecture) -> float:
    widths = [_WIDTHS[option] for option in architecture]
    size = sum((1 + i / layers) * math.log(w) for i, w in enumerate(widths))
    steps = sum(
        abs(math.log(after / before))
        for before, after in itertools.pairwise(widths)
    )
    return 40 + (8 * size - 3 * steps) / layers

  madds = additive_cost(
      'madds', space, [[9 * width**2 for width in _WIDTHS]] * layers,
      unit='MAdds',
  )
  return Oracle('tapering_widths', space, {'accuracy': accuracy}, [madds])

"""Tests of layernas.search.cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search.cost import additive_cost
from layernas.search.cost import child_costs
from tests.search import problems


@given(st.data(), problems.spaces())
def test_children_are_priced_exactly_as_single_architectures(data, space):
  cost = data.draw(problems.factored_costs(space))
  order = data.draw(st.permutations(range(len(space))))
  length = data.draw(st.integers(1, len(space)))
  decided, layer = order[:length - 1], order[length - 1]
  prefix = st.tuples(*(st.integers(0, n - 1) for n in space.option_counts))
  prefixes = data.draw(st.lists(prefix, min_size=1, max_size=4))

  priced = child_costs(cost, np.array(prefixes), decided, layer)

  for row, parent in enumerate(prefixes):
    for option in range(space.option_counts[layer]):
      child = parent[:layer] + (option,) + parent[layer + 1:]
      # Python's numbers: NumPy's lose digits where they compare.
      assert priced.cost.item(row, option) == cost.cost(child)
      assert (
          priced.low.item(row, option), priced.high.item(row, option)
      ) == cost.interval(child, [*decided, layer])


@pytest.mark.parametrize(
    ('tables', 'kind'),
    [([[1, 2], [3]], 'i'), ([[1.5, 2], [3]], 'f'), ([[0, 2], [3.5]], 'f')],
)
def test_integer_costs_stay_integers(tables, kind):
  cost = additive_cost('madds', problems.make_space(2, 1), tables)
  priced = child_costs(cost, np.array([[0, 0]]), (), 0)
  for array in (priced.cost, priced.low, priced.high):
    assert array.dtype.kind == kind
    assert array.shape == (1, 2)


def test_a_constant_alone_prices_all_children():
  cost = additive_cost('madds', problems.make_space(3), [[0, 0, 0]], constant=4)
  priced = child_costs(cost, np.array([[0], [1]]), (), 0)
  assert priced.cost.tolist() == [[4, 4, 4]] * 2

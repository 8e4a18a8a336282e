"""No prefix that has a feasible completion is pruned, on every real space."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.networks.mobilenet_spaces import SPACES
from layernas.search import TargetInterval
from layernas.search.cost import child_costs
from layernas.study.tables.packaged import load_packaged

TABLES = {
    'nats_tss': ('madds_c10', 'params_c10', 'ms_raspi4', 'ms_1080ti_1'),
    'nats_sss': ('madds_c10', 'params_in16'),
    'nas_bench_macro': ('madds', 'params'),
    'channel_bench_macro': ('madds', 'params'),
}
# The others have 1e20 networks and more; see tests/networks.
ENUMERABLE = [
    name for name, space in SPACES.items()
    if space().search_space.size < 10_000
]
CASES = [(name, column) for name, columns in TABLES.items() for column in
         columns]


@pytest.mark.parametrize(('name', 'column'), CASES)
@given(data=st.data())
@settings(max_examples=30)
def test_enumerated_tables(name, column, data):
  """Additive or not: the interval is exactly that of the completions."""
  table = load_packaged(name)
  values, cost = table.column(column), table.cost(column)
  layers = values.ndim
  order = data.draw(st.permutations(range(layers)))
  length = data.draw(st.integers(1, layers))
  prefix = [data.draw(st.integers(0, n - 1)) for n in values.shape]
  priced = child_costs(
      cost, np.array([prefix]), order[:length - 1], order[length - 1]
  )
  bounds = sorted(data.draw(st.tuples(*[st.sampled_from(
      np.quantile(values, np.linspace(0, 1, 21)).tolist())] * 2)))
  kept = TargetInterval(*bounds).meets(priced.low[0], priced.high[0])
  for option in range(values.shape[order[length - 1]]):
    prefix[order[length - 1]] = option
    index = [slice(None)] * layers
    for layer in order[:length]:
      index[layer] = prefix[layer]
    completions = values[tuple(index)]
    feasible = (completions >= bounds[0]) & (completions <= bounds[1])
    assert kept[option] or not feasible.any()
    assert priced.low[0, option] == completions.min()
    assert priced.high[0, option] == completions.max()


@pytest.mark.parametrize('name', ENUMERABLE)
@pytest.mark.parametrize('metric', ['madds', 'params'])
def test_network_spaces(name, metric):
  """All networks of the space against the bounds of all their prefixes."""
  space = SPACES[name]()
  cost = space.cost(metric, 32, 10)
  counts = cost.space.option_counts
  all_of_them = np.array(list(np.ndindex(*counts)))
  values = cost.costs(all_of_them).reshape(counts)
  for length in range(1, len(counts) + 1):
    axes = tuple(range(length, len(counts)))
    low, high = values.min(axis=axes), values.max(axis=axes)
    for prefix in np.ndindex(*counts[:length]):
      architecture = prefix + (0,) * len(axes)
      reached = cost.interval(architecture, range(length))
      assert reached[0] <= low[prefix]
      assert reached[1] >= high[prefix]

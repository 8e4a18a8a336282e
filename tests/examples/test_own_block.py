"""A block type from outside the package goes the whole way of a search."""

import json
import pathlib

import numpy as np
import pytest

from examples import own_block
from layernas.latency.stopwatch import random_variables
from layernas.models.network import create_module
from layernas.networks.latency import SIGNATURE
from layernas.networks.latency import LatencyTable
from layernas.networks.latency import latency_cost
from layernas.networks.latency import space_modules
from layernas.networks.reference import scale_filters
from layernas.runs.final import read_architecture
from layernas.runs.run_search import run_search
from tests import tiny
from tests.models.flax_counts import flax_counts


@pytest.mark.long
def test_own_block_is_searched_and_read_back(tmp_path: pathlib.Path) -> None:
  config = tiny.get_config()
  with config.unlocked():
    config.space = 'examples.own_block:space'
    config.training.epochs = 0.1
    config.budget.trials = 1
  run_search(config, tmp_path)
  result = json.loads((tmp_path / 'result.json').read_text())
  winner = result['winner']
  assert {block['type'] for block in winner['network']['blocks']} == {
      'examples.own_block:BasicBlock'
  }
  # As the final training reads it.
  network = read_architecture(str(tmp_path / 'result.json')).network
  assert isinstance(network.blocks[0], own_block.BasicBlock)
  counts = flax_counts(network, 16, 10)
  assert winner['counts'] == {
      'MAdds': counts.madds, 'parameters': counts.params
  }


def test_own_block_has_latencies_and_widths() -> None:
  space = own_block.space()
  modules = space_modules(space, 16, 10)
  table = LatencyTable(
      SIGNATURE, {module.signature: 1.5 for module in modules}
  )
  cost = latency_cost(space, table, 16, 10)
  assert cost.cost((0, 1)) == 4 * 1.5
  model = create_module(own_block.BasicBlock(8), num_classes=10)
  variables = random_variables(model, np.zeros((1, 4, 4, 8), np.float32))
  assert set(variables['params']['block0']) == {
      'conv0', 'conv0_norm', 'conv1', 'conv1_norm'
  }
  wide = scale_filters(space.base, 2.0)
  assert [block.filters for block in wide.blocks] == [16, 32]

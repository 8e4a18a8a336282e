"""The spaces that come with the package."""

import random

import pytest

from layernas.networks.counting import count
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.mobilenet_spaces import cifar10_small
from layernas.networks.reference import REFERENCE_NETWORKS


def test_every_named_network_has_a_space() -> None:
  assert set(SPACES) == {'cifar10_small', *REFERENCE_NETWORKS}


@pytest.mark.parametrize('name', SPACES)
def test_default_is_the_base(name: str) -> None:
  space = SPACES[name]()
  assert space.network(space.search_space.default) == space.base
  assert space.base == REFERENCE_NETWORKS.get(name, space.base)


@pytest.mark.parametrize('metric', ['madds', 'params'])
@pytest.mark.parametrize('name', SPACES)
def test_cost_is_the_count_of_the_network(name: str, metric: str) -> None:
  space = SPACES[name]()
  cost = space.cost(metric, 224, 1000)
  rng = random.Random(0)
  for _ in range(50):
    architecture = tuple(map(rng.randrange, space.search_space.option_counts))
    counts = count(space.network(architecture), 224, 1000)
    assert cost.cost(architecture) == getattr(counts, metric)


def test_cifar10_small() -> None:
  space = cifar10_small()
  # Shared filters first, then the blocks.
  names = [layer.name for layer in space.layers]
  assert names == ['stage1', 'stage2', 'stage3', 'block0', 'block1', 'block3',
                   'block4']
  cost = space.cost('madds', 32, 10)
  assert cost.cost(space.search_space.default) == 2_385_024
  assert cost.interval(space.search_space.default, ()) == (1_073_664, 3_171_456)

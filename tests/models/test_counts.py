"""Counts and signatures of specs, held against Flax's own modules."""

import dataclasses
import functools
import random
import re

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from examples import own_block
from layernas.models.network import create_module
from layernas.networks.counting import Counts
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.space import NetworkSpace
from layernas.networks.space import network_modules
from layernas.networks.space import sized_module
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import Module
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from tests.models.flax_counts import flax_counts
from tests.models.flax_counts import traced_counts
from tests.network_specs import BLOCKS
from tests.network_specs import NETWORKS


@pytest.mark.long
@settings(max_examples=25)
@given(NETWORKS, st.integers(1, 33), st.integers(2, 12))
def test_counts_are_those_of_flax(
    spec: NetworkSpec, image_size: int, num_classes: int
) -> None:
  assert spec.counts(image_size, num_classes) == flax_counts(
      spec, image_size, num_classes
  )


# Wider ones, and those without squeeze-and-excite, have the same blocks.
@pytest.mark.parametrize('name', [
    pytest.param(name, marks=pytest.mark.long)
    if '1.4' in name or name.endswith('no_se') else name
    for name in REFERENCE_NETWORKS
])
def test_counts_of_named_networks(name: str) -> None:
  network = REFERENCE_NETWORKS[name]
  assert network.counts(224, 1000) == flax_counts(network, 224, 1000)


@pytest.mark.parametrize('name', [
    name if name in ('cifar10_small', 'mnasnet_a1', 'mobilenet_v3_small')
    else pytest.param(name, marks=pytest.mark.long) for name in SPACES
])
def test_counts_of_a_random_network_of(name: str) -> None:
  space = SPACES[name]()
  rng = random.Random(1)
  network = space.network(
      [rng.randrange(count) for count in space.search_space.option_counts]
  )
  assert network.counts(96, 12) == flax_counts(network, 96, 12)


@pytest.mark.parametrize(('name', 'samples'), [
    ('cifar10_small', 40),
    *(pytest.param(name, 100, marks=pytest.mark.long) for name in SPACES),
])
def test_counts_of_random_networks_of(name: str, samples: int) -> None:
  """Module by module, a few as a whole.

  Each module is a Flax trace of its own, made once for all networks that have
  it where it receives the same.
  """
  counts_of = functools.cache(_module_counts)
  networks = _random_networks(SPACES[name](), samples)
  for network in networks:
    counts = [
        counts_of(placed.module, placed.size, placed.input_filters)
        for placed in network_modules(network, 224, 1000)
    ]
    assert network.counts(224, 1000) == sum(counts, Counts())
  for network in networks[:2]:
    assert network.counts(224, 1000) == flax_counts(network, 224, 1000)


def _random_networks(space: NetworkSpace, samples: int) -> list[NetworkSpec]:
  """Networks of the space, from a few random options of every layer.

  Every network is equally likely to be drawn, but modules come again.
  """
  rng = random.Random(0)
  few = [
      rng.sample(range(options), min(options, 2 if options < 10 else 8))
      for options in space.search_space.option_counts
  ]
  chosen = {tuple(map(rng.choice, few)) for _ in range(samples)}
  assert len(chosen) > samples / 2
  return [space.network(architecture) for architecture in chosen]


def _module_counts(module: Module, size: int, filters: int) -> Counts:
  model = create_module(module, num_classes=1000)
  return traced_counts(model, size, filters)


def test_counts_of_an_own_block() -> None:
  space = own_block.space()
  for architecture in [(0, 0), (1, 1)]:
    network = space.network(architecture)
    assert network.counts(33, 7) == flax_counts(network, 33, 7)
    for placed in network_modules(network, 33, 1000):
      alone = _module_counts(placed.module, placed.size, placed.input_filters)
      [counts] = [
          module.counts(where)
          for module, where in network.module_inputs(33, 1000)
          if module is placed.module
      ]
      assert alone == counts


def _signature(module, filters: int = 8, size: int = 5, classes: int = 3):
  return sized_module(module, filters, size, classes).signature


def _program(module, filters: int = 8, size: int = 5, classes: int = 3) -> str:
  """The operations that a module runs, with their shapes."""
  model = create_module(module, num_classes=classes)
  x = jnp.zeros((1, size, size, filters))
  variables = jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, train=False), x
  )
  program = jax.make_jaxpr(lambda v, x: model.apply(v, x, train=False))(
      variables, x
  )
  return re.sub(r'0x[0-9a-f]+', '', str(program))


def test_rules_that_give_the_same_work_are_one_signature() -> None:
  # A quarter of 32 expanded filters is all of 8 input filters.
  of_expanded, of_input = (
      InvertedResidual(8, 32, squeeze=squeeze) for squeeze in (
          Squeeze(ratio=0.25, of='expanded'),
          Squeeze(ratio=1.0, of='input', divisor=1),
      )
  )
  assert _signature(of_expanded) == _signature(of_input)
  assert _program(of_expanded) == _program(of_input)
  # Nothing in this head is activated.
  assert _signature(Head(0, 0, 'relu')) == _signature(Head(0, 0, 'swish'))
  assert _program(Head(0, 0, 'relu')) == _program(Head(0, 0, 'swish'))


def test_an_expansion_to_the_input_filters_is_work() -> None:
  same, none = InvertedResidual(8, 8), InvertedResidual(8, 0)
  assert _signature(same) != _signature(none)
  assert _program(same) != _program(none)


_FIELDS = [field.name for field in dataclasses.fields(InvertedResidual)]


@settings(max_examples=20)
@given(block=BLOCKS, other=BLOCKS, field=st.sampled_from(_FIELDS))
def test_blocks_share_a_signature_exactly_for_the_same_program(
    block: InvertedResidual, other: InvertedResidual, field: str
) -> None:
  changed = dataclasses.replace(block, **{field: getattr(other, field)})
  same = _signature(block) == _signature(changed)
  assert same == (_program(block) == _program(changed))

"""Signatures: their text, and that they are equal exactly for equal work."""

import dataclasses
import re

import jax
import jax.numpy as jnp
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.models.network import create_module
from layernas.networks.mobilenet_spaces import cifar10_small
from layernas.networks.space import network_modules
from layernas.networks.space import place
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from tests.network_specs import BLOCKS
from tests.network_specs import NETWORKS


def _signature(module, filters: int = 8, size: int = 5, classes: int = 3):
  return place(module, filters, size, classes).signature


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


def test_texts() -> None:
  assert _signature(Stem(16, 5, 1, 'relu'), 3, 32) == (
      'stem size=32 input=3 filters=16 kernel=5 stride=1 activation=relu'
  )
  assert _signature(InvertedResidual(24, 96, 5, 2), 16, 8) == (
      'block size=8 input=16 filters=24 expanded=96 kernel=5 stride=2'
      ' activation=relu6'
  )
  assert _signature(InvertedResidual(24, 96, squeeze=Squeeze()), 16, 8) == (
      'block size=8 input=16 filters=24 expanded=96 kernel=3 stride=1'
      ' activation=relu6 squeeze=24 gate=hard_sigmoid squeeze_activation=relu'
  )
  assert _signature(Head(64, 32, 'swish'), 24, 2, 10) == (
      'head size=2 input=24 filters=64 hidden=32 activation=swish classes=10'
  )


def test_rules_that_give_the_same_work_are_one_signature() -> None:
  # A quarter of 32 expanded filters is all of 8 input filters.
  of_expanded = InvertedResidual(8, 32, squeeze=Squeeze(ratio=0.25, of='expanded'))
  of_input = InvertedResidual(8, 32, squeeze=Squeeze(ratio=1.0, of='input', divisor=1))
  assert _signature(of_expanded) == _signature(of_input)
  assert _program(of_expanded) == _program(of_input)
  # Nothing in this head is activated.
  assert _signature(Head(0, 0, 'relu')) == _signature(Head(0, 0, 'swish'))
  assert _program(Head(0, 0, 'relu')) == _program(Head(0, 0, 'swish'))


def test_an_expansion_to_the_input_filters_is_work() -> None:
  assert _signature(InvertedResidual(8, 8)) != _signature(InvertedResidual(8, 0))
  assert _program(InvertedResidual(8, 8)) != _program(InvertedResidual(8, 0))


@settings(max_examples=30)
@given(
    block=BLOCKS, other=BLOCKS,
    field=st.sampled_from([f.name for f in dataclasses.fields(InvertedResidual)]),
)
def test_blocks_share_a_signature_exactly_for_the_same_program(
    block: InvertedResidual, other: InvertedResidual, field: str
) -> None:
  changed = dataclasses.replace(block, **{field: getattr(other, field)})
  same = _signature(block) == _signature(changed)
  assert same == (_program(block) == _program(changed))


def test_every_field_of_stem_and_head_counts() -> None:
  stem, head = Stem(8), Head(16, 8)
  stems = [stem, Stem(4), Stem(8, kernel=5), Stem(8, stride=1),
           Stem(8, activation='swish')]
  heads = [head, Head(8, 8), Head(16, 4), Head(16, 8, 'swish')]
  for modules in (stems, heads):
    assert len({_signature(module) for module in modules}) == len(modules)
  assert len({
      _signature(head), _signature(head, filters=4), _signature(head, size=4),
      _signature(head, classes=4),
  }) == 4


@given(network=NETWORKS)
def test_texts_stand_in_a_csv_file_as_they_are(network) -> None:
  modules = network_modules(network, 30, 10)
  assert len(modules) == len(network.blocks) + 2
  for module in modules:
    assert not re.search(r'[,"\n]', module.signature)
    assert module.signature == module.signature.strip()


def test_modules_of_a_network_in_forward_order() -> None:
  network = cifar10_small().base
  modules = network_modules(network, 32, 10)
  assert [m.module for m in modules] == [
      network.stem, *network.blocks, network.head
  ]
  assert [m.size for m in modules] == [32, 16, 16, 8, 8, 4, 4]
  assert [m.input_filters for m in modules] == [3, 16, 16, 24, 24, 48, 48]

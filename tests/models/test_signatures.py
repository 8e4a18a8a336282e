"""Signatures: their text, and that they are equal exactly for equal work."""

import dataclasses
import re

import jax
import jax.numpy as jnp
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.models.network import create_module
from layernas.networks.space import place
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import Squeeze
from tests.network_specs import BLOCKS


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

"""Activations and gates by hand-computed values."""

import jax.numpy as jnp
import pytest

from layernas.models import batch_norm
from layernas.networks import spec as spec_lib


@pytest.mark.parametrize(('x', 'gate', 'activation'), [
    (-4.0, 0.0, 0.0), (-3.0, 0.0, 0.0), (0.0, 0.5, 0.0),
    (1.5, 0.75, 1.125), (3.0, 1.0, 3.0), (9.0, 1.0, 9.0),
])
def test_hard_sigmoid_and_hard_swish(
    x: float, gate: float, activation: float
) -> None:
  assert batch_norm.hard_sigmoid(jnp.float32(x)) == pytest.approx(gate)
  assert batch_norm.hard_swish(jnp.float32(x)) == pytest.approx(activation)


def test_every_name_of_a_spec_has_its_function() -> None:
  assert set(batch_norm.ACTIVATIONS) == {'', *spec_lib.ACTIVATIONS}
  assert set(batch_norm.GATES) == set(spec_lib.GATES)

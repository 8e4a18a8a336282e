"""What is handed to the stopwatch for each module and network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from layernas.latency.stopwatch import ForwardTimer
from layernas.latency.stopwatch import Stopwatch
from layernas.networks.space import network_modules
from tests import tiny


class _Recorder:
  """A stopwatch that runs one pass and hands back its input and output."""

  def passes(self, forward, variables, x) -> tuple[jax.Array, jax.Array]:
    return x, jax.jit(forward)(variables, x)


def _config(dtype: str) -> ConfigDict:
  config = tiny.get_config()
  with config.unlocked():
    config.update_from_flattened_dict(
        {'model.dtype': dtype, 'latency.batch_size': 2}
    )
  return config


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_each_module_receives_what_the_one_before_gives(dtype: str) -> None:
  timer = ForwardTimer(_config(dtype), 16, 7, _Recorder())
  network = tiny.space().base
  before = jnp.zeros((2, 16, 16, 3), jnp.float32)
  for placed in network_modules(network, 16, 7):
    x, out = timer(placed)
    assert (x.shape, x.dtype) == (before.shape, before.dtype)
    assert np.isfinite(np.asarray(out, np.float32)).all()
    assert np.ptp(np.asarray(out, np.float32)) > 0.1
    before = out
  images, logits = timer(network)
  assert (images.shape, images.dtype) == ((2, 16, 16, 3), jnp.float32)
  assert (logits.shape, logits.dtype) == (before.shape, before.dtype)


def test_times_on_the_present_device() -> None:
  timer = ForwardTimer(_config('float32'), 16, 7, Stopwatch(0, 2))
  timing = timer(tiny.space().base)
  assert 0 < timing.lower_quartile <= timing.milliseconds
  assert timing.milliseconds <= timing.upper_quartile

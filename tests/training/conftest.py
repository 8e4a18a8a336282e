"""Networks that several tests train are compiled once."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from layernas.training.devices import enable_compilation_cache


@pytest.fixture(scope='session', autouse=True)
def _compiled_once(tmp_path_factory):
  before = jax.config.jax_compilation_cache_dir
  enable_compilation_cache(tmp_path_factory.mktemp('compiled'))
  compilation_cache.reset_cache()
  yield
  jax.config.update('jax_compilation_cache_dir', before)
  compilation_cache.reset_cache()

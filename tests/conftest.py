"""Settings of the whole suite; they come before JAX is imported."""

import os
import pathlib
import shutil
import tempfile

import hypothesis

_ROOT = str(pathlib.Path(__file__).parent.parent)

# The same results on every machine, and no accelerator taken from a program
# that a test starts.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Networks that several tests train are compiled once.
_COMPILED = tempfile.mkdtemp(prefix='layernas-tests-')
os.environ['JAX_COMPILATION_CACHE_DIR'] = _COMPILED
# Programs that a test starts find the package as the test itself does.
os.environ['PYTHONPATH'] = os.pathsep.join(
    filter(None, (_ROOT, os.environ.get('PYTHONPATH')))
)

# No test is timed, and a failure comes again in the next run.
hypothesis.settings.register_profile('suite', deadline=None, derandomize=True)
hypothesis.settings.load_profile('suite')


def pytest_sessionfinish() -> None:
  """Removes the compiled programs."""
  shutil.rmtree(_COMPILED, ignore_errors=True)

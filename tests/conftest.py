"""Settings of the whole suite; they come before JAX is imported."""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import hypothesis
import pytest

from layernas import activity
from tests import fake_gcs
from tests import impatience

_ROOT = str(pathlib.Path(__file__).parent.parent)

# The same results on every machine, and no accelerator taken from a program
# that a test starts.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Networks that several tests train are compiled once, whoever runs the tests.
_COMPILED = 'JAX_COMPILATION_CACHE_DIR'
_IS_WORKER = 'PYTEST_XDIST_WORKER' in os.environ
if not _IS_WORKER:
  os.environ[_COMPILED] = tempfile.mkdtemp(prefix='layernas-tests-')
# Programs that a test starts find the package as the test itself does.
os.environ['PYTHONPATH'] = os.pathsep.join(
    filter(None, (_ROOT, os.environ.get('PYTHONPATH')))
)


def pytest_configure(config: pytest.Config) -> None:
  """Fewer random examples where the long tests are left out."""
  # The kernels, which take 25 s of a core, stay for the next run; the user's
  # own cache is left alone.
  if not _IS_WORKER and config.pluginmanager.has_plugin('cacheprovider'):
    os.environ['LAYERNAS_KERNEL_CACHE'] = str(config.cache.mkdir('kernels'))
  few = 'not long' in config.option.markexpr
  # No test is timed, and a failure comes again in the next run.
  hypothesis.settings.register_profile(
      'suite', deadline=None, derandomize=True, max_examples=20 if few else 100
  )
  hypothesis.settings.load_profile('suite')


@pytest.fixture(scope='session', name='imagenet')
def _imagenet(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Holds a small imagenet2012."""
  from tests import imagenet

  directory = tmp_path_factory.mktemp('imagenet')
  imagenet.prepare(directory)
  return directory


@pytest.fixture(scope='session', name='gcs')
def _gcs() -> Iterator[fake_gcs.FakeGcs]:
  """A stand-in for Google Cloud Storage, for programs that are started too."""
  server = fake_gcs.FakeGcs()
  with pytest.MonkeyPatch.context() as patch:
    for name, value in server.environment().items():
      patch.setenv(name, value)
    yield server


@pytest.fixture(name='bucket')
def _bucket(gcs: fake_gcs.FakeGcs) -> fake_gcs.Bucket:
  """An empty bucket there."""
  return gcs.bucket()


@pytest.fixture(name='said')
def _said() -> Iterator[list[str]]:
  """What is said to take long meanwhile, whether it does or not."""
  lines: list[str] = []
  with impatience.without_waiting(), activity.shown(lines.append):
    yield lines


def pytest_sessionfinish() -> None:
  """Removes what was compiled."""
  if not _IS_WORKER:
    shutil.rmtree(os.environ[_COMPILED], ignore_errors=True)

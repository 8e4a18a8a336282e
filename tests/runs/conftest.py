"""What the tests of runs share."""

import pathlib

import pytest

from layernas.runs.run_search import run_search
from tests import tiny


@pytest.fixture(scope='session', name='finished')
def _finished(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Workdir of a finished search; what is run in it again changes nothing."""
  workdir = tmp_path_factory.mktemp('finished')
  run_search(tiny.get_config(), workdir)
  return workdir

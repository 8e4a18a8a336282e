"""What the tests of runs share."""

import pathlib

import pytest

from layernas.runs.final import read_architecture
from layernas.runs.final import run_final
from layernas.runs.run_search import run_search
from tests import tiny


@pytest.fixture(scope='session', name='finished')
def _finished(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Workdir of a finished search; what is run in it again changes nothing."""
  workdir = tmp_path_factory.mktemp('finished')
  run_search(tiny.get_config(), workdir)
  return workdir


@pytest.fixture(scope='session', name='trained')
def _trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[
    pathlib.Path, list[dict[str, object]]
]:
  """Workdir and rows of a final training; what runs there changes nothing."""
  directory = tmp_path_factory.mktemp('trained')
  architecture = read_architecture(str(tiny.result_file(directory)))
  config = tiny.changed(**{'reference.seeds': 1})
  workdir = directory / 'final'
  return workdir, run_final(config, architecture, workdir)

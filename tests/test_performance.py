"""docs/performance.md shows the stored measurements, as the programs print."""

import json

import pytest

from tests import tiny
from tools.perf import step_report
from tools.perf.candidates_report import read_systems
from tools.perf.candidates_report import report_text
from tools.perf.workloads import WORKLOADS

_RESULTS = tiny.ROOT / 'docs' / 'results'
_PAGE = (tiny.ROOT / 'docs' / 'performance.md').read_text()
_MEASURED = sorted(
    path.name for path in (_RESULTS / 'candidates').iterdir()
)


def test_candidates_of_known_workloads_are_stored() -> None:
  assert 'cifar10_small' in _MEASURED
  assert set(_MEASURED) <= set(WORKLOADS)


@pytest.mark.parametrize('workload', _MEASURED)
def test_candidates_are_those_that_are_stored(workload: str) -> None:
  folder = _RESULTS / 'candidates' / workload
  assert report_text(read_systems(folder)) + '\n' in _PAGE
  assert (folder / 'candidates.png').exists()


@pytest.mark.parametrize(('name', 'table'), [
    ('train_step', step_report.train_step_table),
    ('step_profile', step_report.profile_table),
])
def test_steps_are_those_that_are_stored(name: str, table) -> None:
  stored = json.loads((_RESULTS / 'train_step' / f'{name}.json').read_text())
  assert table(stored) + '\n' in _PAGE

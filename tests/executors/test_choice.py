"""The executor that trains more is taken."""

import pytest

from layernas.errors import UserError
from layernas.executors import choice
from layernas.executors.executor import ExecutorSettings
from layernas.executors.processes import LocalBackend
from tests.executors import evaluators

AUTO = ExecutorSettings('auto', workers=2)


@pytest.fixture(autouse=True)
def _cpu(monkeypatch):
  monkeypatch.setattr(
      'layernas.executors.processes.local_devices', lambda: ('cpu', 1)
  )


def places(tmp_path, inline, processes, **values):
  """Rooms whose workers measure these rates."""
  def make(settings):
    of = {'inline': inline, 'processes': processes}[settings.name]
    return LocalBackend(
        settings, tmp_path, evaluators.NAME, {'rate': of} | values
    )
  return make


@pytest.mark.parametrize(('inline', 'name'), [
    (4.9, 'processes'), (5.0, 'inline'), (7.0, 'inline'),
])
def test_workers_are_taken_where_they_come_to_more(tmp_path, inline, name):
  chosen = choice.choose(AUTO, places(tmp_path, inline, 2.5))
  assert chosen == choice.Choice(name, 2, inline, 5.0)
  assert name in str(chosen)


def test_a_worker_that_cannot_start_is_an_error(tmp_path):
  with pytest.raises(UserError, match=r"'auto': .*no such device.*allowed"):
    choice.choose(AUTO, places(tmp_path, 1.0, 1.0, broken=True))

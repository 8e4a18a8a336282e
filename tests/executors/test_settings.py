"""Wrong fields of the section executor are refused by name."""

import pytest

from configs import default
from layernas.errors import UserError
from layernas.executors.executor import ExecutorSettings
from layernas.executors.executor import executor_settings


def test_the_config_has_these_defaults():
  section = default.get_config().executor
  assert executor_settings(section) == ExecutorSettings()


@pytest.mark.parametrize(('field', 'value'), [
    ('name', 'threads'), ('workers', -1), ('workers', 1.5), ('devices', 0),
    ('threads', -2), ('retries', -1), ('timeout', -1.0),
    ('timeout', float('nan')), ('memory', float('inf')),
])
def test_a_wrong_value_is_named(field, value):
  with pytest.raises(UserError, match=rf'executor\.{field}: .*allowed'):
    ExecutorSettings(**({'name': 'processes'} | {field: value}))


def test_inline_cannot_time_out():
  with pytest.raises(UserError, match=r'executor\.timeout: 5\.0: .*inline'):
    ExecutorSettings(timeout=5.0)

"""A schedule of one's own in a search whose candidates are trained."""

import json
import pathlib

import pytest
from ml_collections import ConfigDict

from layernas.errors import UserError
from layernas.runs.run_search import run_search
from tests import tiny


def _config(**settings: int) -> ConfigDict:
  config = tiny.get_config()
  with config.unlocked():
    config.search.schedule = 'examples.own_schedule:CoordinateDescent'
    config.search.settings = ConfigDict(settings)
    config.budget.trials = 3
  return config


@pytest.mark.long
def test_own_schedule_with_a_setting(tmp_path: pathlib.Path) -> None:
  """From a random network both options of the first layer, then others."""
  result = run_search(_config(rounds=1), tmp_path)
  assert result['stop_reason'] == 'budget of 3 trials spent'
  assert result['trials'] == {'ok': 3}
  assert result['config']['search']['settings'] == {'rounds': 1}
  lines = (tmp_path / 'trials.jsonl').read_text().splitlines()
  trials = [json.loads(line) for line in lines]
  assert [trial['layer'] for trial in trials] == [1, 1, 2]
  assert result['winner']['reward'] == max(one['reward'] for one in trials)
  assert json.loads((tmp_path / 'tables.json').read_text()) == []


def test_wrong_settings_leave_no_workdir(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r"search\.settings: .*'turns'.*'rounds'"):
    run_search(_config(turns=1), tmp_path / 'new')
  assert not (tmp_path / 'new').exists()

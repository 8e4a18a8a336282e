"""The example of an own optimiser, in a real search."""

import json
import pathlib

import pytest

from layernas.errors import UserError
from layernas.runs.run_search import run_search
from tests import tiny


def _config(trials=1, **settings):
  config = tiny.get_config()
  config.budget.trials = trials
  config.training.optimizer = 'examples.own_optimizer:lion'
  config.training.learning_rate = 0.02
  with config.unlocked():
    config.training.optimizer_settings.update(settings)
  return config


def test_a_search_trains_with_an_optimizer_of_ones_own(
    tmp_path: pathlib.Path,
) -> None:
  run_search(_config(trials=2, b2=0.98), tmp_path / 'lion')
  run_search(_config(b2=0.5), tmp_path / 'other')
  losses = []
  for name in ('lion', 'other'):
    lines = (tmp_path / name / 'trials.jsonl').read_text().splitlines()
    trials = list(map(json.loads, lines))
    assert {trial['status'] for trial in trials} == {'ok'}
    assert all(
        trial['metrics'].keys() == {
            'loss', 'accuracy', 'top5', 'train_loss', 'train_accuracy'
        } for trial in trials
    )
    # Those of ten classes, untrained, are 2.3.
    assert trials[0]['metrics']['train_loss'] < 2.25
    losses.append(trials[0]['metrics']['loss'])
  assert losses[0] != losses[1]


def test_a_setting_that_it_does_not_have_is_named(
    tmp_path: pathlib.Path,
) -> None:
  with pytest.raises(UserError) as error:
    run_search(_config(b3=0.5), tmp_path / 'run')
  assert str(error.value) == (
      "training.optimizer_settings: {'b3': 0.5}: got an unexpected keyword"
      " argument 'b3'; allowed are the keyword arguments of"
      " examples.own_optimizer:lion, ['b1', 'b2']"
  )
  assert not (tmp_path / 'run').exists()

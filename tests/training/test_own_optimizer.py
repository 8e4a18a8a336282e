"""A real search with the example of an own optimiser, and with the profiler."""

import json
import pathlib

import pytest

from layernas.errors import UserError
from layernas.runs.run_search import run_search
from layernas.training import hooks
from tests import tiny


def _config(trials=1, **settings):
  config = tiny.get_config()
  config.budget.trials = trials
  config.training.optimizer = 'examples.own_optimizer:lion'
  config.training.learning_rate = 0.02
  with config.unlocked():
    config.training.optimizer_settings.update(settings)
  return config


def _trials(workdir: pathlib.Path) -> list[dict]:
  lines = (workdir / 'trials.jsonl').read_text().splitlines()
  return list(map(json.loads, lines))


@pytest.fixture(scope='module', name='finished')
def _finished(tmp_path_factory) -> pathlib.Path:
  """The workdir of a search of two trials, the first one traced."""
  config = _config(2, b2=0.98)
  config.profile.steps = 3
  workdir = tmp_path_factory.mktemp('search')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(hooks, '_profiled', False)
    run_search(config, workdir)
  return workdir


@pytest.mark.long
def test_a_search_trains_with_an_optimizer_of_ones_own(finished) -> None:
  trials = _trials(finished)
  assert [trial['status'] for trial in trials] == ['ok', 'ok']
  # What hooks are told beside the metrics is not recorded.
  assert all(
      trial['metrics'].keys() == {
          'loss', 'accuracy', 'top5', 'train_loss', 'train_accuracy'
      } for trial in trials
  )
  # That of ten classes, untrained, is 2.3.
  assert trials[0]['metrics']['train_loss'] < 2.25


@pytest.mark.long
@pytest.mark.parametrize(('b2', 'same'), [(0.5, False), (0.98, True)])
def test_its_settings_count_and_a_profile_does_not(
    finished, tmp_path, b2, same
) -> None:
  run_search(_config(b2=b2), tmp_path)
  profiled, plain = (
      _trials(workdir)[0]['metrics']['loss'] for workdir in (finished, tmp_path)
  )
  assert (profiled == plain) == same


@pytest.mark.long
def test_the_trace_of_the_first_candidate_stays(finished) -> None:
  (trace,) = finished.glob('profile/*/plugins/profile/*/*.xplane.pb')
  assert trace.relative_to(finished).parts[1] == '000000'


def test_a_setting_that_it_does_not_have_is_named(tmp_path) -> None:
  with pytest.raises(UserError) as error:
    run_search(_config(b3=0.5), tmp_path / 'run')
  assert str(error.value) == (
      "training.optimizer_settings: {'b3': 0.5}: got an unexpected keyword"
      " argument 'b3'; allowed are the keyword arguments of"
      " examples.own_optimizer:lion, ['b1', 'b2']"
  )
  assert not (tmp_path / 'run').exists()

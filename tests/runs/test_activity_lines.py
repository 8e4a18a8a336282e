"""What programs say while they load, read, compile and count."""

import json
import os
import pathlib
import pty
import subprocess
import sys

import numpy as np
import pytest
from etils import epath
from PIL import Image

from layernas.runs import report
from layernas.runs import use_model
from tests import programs
from tests import tiny

_CONFIG = f'--config={tiny.ROOT}/tests/tiny.py'


@pytest.fixture(scope='module', name='model')
def _model(trained) -> str:
  return str(trained[0] / 'winner' / 'seed0' / 'model')


@pytest.fixture(name='image')
def _image(tmp_path: pathlib.Path) -> str:
  Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / 'a.png')
  return str(tmp_path / 'a.png')


@pytest.fixture(name='searched')
def _searched(tmp_path: pathlib.Path) -> pathlib.Path:
  """A workdir that has what a report needs."""
  config = tiny.get_config()
  (tmp_path / 'config.json').write_text(json.dumps(config.to_dict()))
  (tmp_path / 'trials.jsonl').write_text(''.join(
      json.dumps(trial.to_dict()) + '\n' for trial in tiny.searched().trials
  ))
  return tmp_path


def _in_order(text: str, *parts: str) -> None:
  """Asserts that parts stand in a text, one behind the other."""
  places = [text.find(part) for part in parts]
  assert -1 not in places, (parts, text)
  assert places == sorted(places), (parts, text)


def test_a_plan_says_what_it_counts() -> None:
  done = programs.run('plan', _CONFIG, impatient=True)
  assert done.returncode == 0, done.stderr
  _in_order(
      done.stdout, 'loading JAX\n', 'opening the data set (embedded)\n',
      'pricing the networks\n', 'counting steps and checkpoints\n',
      'counting the trainings of sweeps\n', 'the search',
  )


def test_a_search_says_it_still() -> None:
  """Beside what its own console shows, the program says what it loads."""
  done = programs.run(
      'search', _CONFIG, '--config.budget.trials=-1', impatient=True
  )
  assert done.stdout.startswith('loading JAX\n')


@pytest.mark.parametrize('trained_how', ['--architecture=0-1-1', '--trial=0'])
def test_a_candidate_alone_says_that_it_loads(
    tmp_path: pathlib.Path, trained_how: str
) -> None:
  done = programs.run(
      'train', trained_how, f'--workdir={tmp_path}', impatient=True
  )
  assert done.returncode == 2
  assert 'loading JAX\n' in done.stdout


@pytest.mark.long
def test_what_other_programs_read_has_no_such_lines(
    model: str, image: str, searched: pathlib.Path
) -> None:
  for command, flag in (
      (('plan', _CONFIG), '--json'), (('predict', model, image), '--json'),
      (('validate', model), '--csv'), (('report', str(searched)), ''),
  ):
    done = programs.run(*command, *filter(None, [flag]), impatient=True)
    assert (done.returncode, done.stderr) == (0, '')
    if flag == '--json':
      assert json.loads(done.stdout)
    elif flag == '--csv':
      assert done.stdout.startswith('model,data,')
      assert done.stdout.count('\n') == 2
    else:
      assert done.stdout == f'{searched}/report.html\n'


def test_a_terminal_shows_them_beside_what_other_programs_read() -> None:
  code = """
import sys
from layernas import activity
from layernas.runs import cli
def main():
  activity.say('reading')
  print('read')
sys.argv = ['program']
cli.run(main, data=True)
"""
  terminal, end = pty.openpty()
  try:
    done = subprocess.run(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=end,
        text=True, check=True,
    )
    shown = os.read(terminal, 10_000).decode()
  finally:
    os.close(terminal)
    os.close(end)
  assert (done.stdout, shown.splitlines()) == ('read\n', ['reading'])


def test_what_a_report_takes_long_for(
    searched: pathlib.Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr('layernas.reports.importance.LEAST', 2)
  report.write_report([epath.Path(searched)])
  assert said == [
      f'reading {searched}', 'estimating the importance of layers'
  ]


@pytest.mark.long
def test_what_the_uses_of_a_model_take_long_for(
    model: str, image: str, said: list[str], tmp_path: pathlib.Path
) -> None:
  use_model.predict(model, [image])
  assert said == ['reading the model', 'classifying the images']
  said.clear()
  use_model.run_validate(model)
  _in_order(
      '\n'.join(said), 'reading the model', 'opening the data set (embedded)',
      'compiling the network', 'evaluating 2,000 images',
  )
  said.clear()
  use_model.run_export(model, ['stablehlo'], f'{tmp_path}/out', 'float32')
  _in_order(
      '\n'.join(said), 'reading the model', 'reading images',
      'classifying 2,000 images', 'writing model.stablehlo',
      'comparing model.stablehlo with the model',
  )
  said.clear()
  use_model.predict(f'{tmp_path}/out/model.stablehlo', [image])
  assert said == ['opening the model', 'classifying the images']

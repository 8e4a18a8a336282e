"""The command `layernas`: programs and configs by name, from anywhere."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

import layernas
from layernas import installation
from layernas.runs import cli
from layernas.runs import config_flag
from tests import tiny
from tests.search import problems


def _run(
    *arguments: str, cwd: pathlib.Path, package: pathlib.Path = tiny.ROOT
) -> subprocess.CompletedProcess:
  return subprocess.run(
      [sys.executable, '-m', 'layernas.command', *arguments], cwd=cwd,
      env=os.environ | {'PYTHONPATH': str(package)}, capture_output=True,
      text=True,
  )


def test_help_names_every_program_and_config(tmp_path):
  for arguments in ((), ('--help',)):
    done = _run(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for path in (tiny.ROOT / 'experiments').glob('*.py'):
      assert f'\n  {path.stem} ' in done.stdout
    assert 'study/nats' in done.stdout
  done = _run('--version', cwd=tmp_path)
  assert done.stdout == f'layernas {layernas.__version__}\n'


def test_an_unknown_command_is_one_line(tmp_path):
  done = _run('serach', cwd=tmp_path)
  assert done.returncode == 2
  assert done.stderr.startswith("error: command 'serach': allowed are ['audit'")
  assert done.stderr.count('\n') == 1


@pytest.mark.parametrize('program', installation.program_names())
def test_programs_start_from_an_empty_directory(tmp_path, program):
  done = _run(program, '--help', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert 'Flags:\n' in done.stdout


@pytest.mark.parametrize(('name', 'argument'), [
    ('cifar10_small', 'smoke'), ('study/nats', 'topology'),
])
def test_a_config_by_its_name_is_that_of_its_file(name, argument):
  named = config_flag.load(f'{name}:{argument}')
  file = config_flag.load(f'{tiny.ROOT}/configs/{name}.py:{argument}')
  assert named.to_dict() == file.to_dict()


def test_a_file_of_ones_own_comes_before_a_name(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'imagenet').mkdir()
  with problems.refuses("'imagenet'", 'a directory', 'cifar10_small'):
    config_flag.load('imagenet')


@pytest.mark.parametrize('text', ['nope', 'nope:smoke', 'study', 'nats'])
def test_an_unknown_name_is_answered_with_the_known_ones(text):
  with problems.refuses('no such file', 'study/search_quality'):
    config_flag.load(text)


@pytest.mark.parametrize(('config', 'prefix', 'workdir'), [
    ('cifar10_small', '', 'workdir/cifar10_small'),
    ('cifar10_small', 'latency_', 'workdir/latency_cifar10_small'),
    ('study/trace_example', 'trace_', 'workdir/trace_example'),
    ('x/y.py:smoke', '', 'workdir/y_smoke'),
    ('configs/imagenet.py:v2_300m_se,smoke', '',
     'workdir/imagenet_v2_300m_se_smoke'),
    ('somewhere/run/config.json', '', 'somewhere/run'),
    ('config.json', '', '.'),
])
def test_runs_have_workdirs_of_their_config(config, prefix, workdir):
  assert cli.workdir_of(config, prefix) == workdir


@pytest.mark.long
@pytest.mark.parametrize(('program', 'flags', 'workdir'), [
    ('audit', ['--config=study/audit:smoke'], 'workdir/audit_smoke'),
    ('audit', ['--flagfile=own.flags'], 'workdir/audit_smoke'),
    ('audit', ['--flagfile=own.flags', '--workdir=there'], 'there'),
])
def test_flags_decide_the_workdir(tmp_path, program, flags, workdir):
  (tmp_path / 'own.flags').write_text('--config=study/audit:smoke\n')
  done = _run(program, *flags, cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert (tmp_path / workdir / 'audit.json').exists()


def test_public_names_come_when_they_are_asked_for():
  needing_jax = ['Model', 'load_model']
  names = [name for name in layernas.__all__ if name not in needing_jax]
  done = subprocess.run(
      [sys.executable, '-c', 'import layernas, sys\n'
       f'for name in {names + needing_jax}:\n'
       '  getattr(layernas, name)\n'
       "  print(name, 'jax' in sys.modules)"],
      cwd=tiny.ROOT, capture_output=True, text=True,
  )
  assert done.stdout.splitlines() == [
      *(f'{name} False' for name in names),
      *(f'{name} True' for name in needing_jax),
  ], done.stderr
  assert set(layernas.__all__) <= set(dir(layernas))


def test_other_names_do_not_exist():
  with pytest.raises(AttributeError, match="no attribute 'Serach'"):
    layernas.Serach  # noqa: B018


@pytest.mark.long
def test_the_wheel_alone_runs_a_search(tmp_path):
  """In an empty directory, with nothing of the checkout on the path."""
  files = subprocess.run(
      ['git', 'ls-files'], cwd=tiny.ROOT, capture_output=True, text=True,
      check=True,
  ).stdout.splitlines()
  source = tmp_path / 'source'
  for name in files:
    if name.startswith(('layernas/', 'configs/', 'experiments/')) or (
        name in ('pyproject.toml', 'README.md', 'LICENSE')
    ):
      (source / name).parent.mkdir(parents=True, exist_ok=True)
      (source / name).write_bytes((tiny.ROOT / name).read_bytes())
  subprocess.run(
      [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps',
       f'--wheel-dir={tmp_path}', str(source)], check=True,
  )
  [wheel] = tmp_path.glob('*.whl')
  package = tmp_path / 'package'
  with zipfile.ZipFile(wheel) as archive:
    archive.extractall(package)
    names = archive.namelist()
  [entry] = (name for name in names if name.endswith('entry_points.txt'))
  assert 'layernas = layernas.command:main' in (package / entry).read_text()
  empty = tmp_path / 'empty'
  empty.mkdir()
  done = _run('search', '--config=cifar10_small:smoke', cwd=empty,
              package=package)
  assert done.returncode == 0, done.stderr
  run = empty / 'workdir' / 'cifar10_small_smoke'
  assert json.loads((run / 'result.json').read_text())['winner']
  assert done.stdout.splitlines()[-1].startswith('next: layernas train ')
  done = _run('status', 'workdir/cifar10_small_smoke', cwd=empty,
              package=package)
  assert done.returncode == 0, done.stderr

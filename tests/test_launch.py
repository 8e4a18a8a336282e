"""launch.sh in a copy of its own, with a fake Python and a fake nvidia-smi.

Nothing here installs, reaches the network or touches the real .venv.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.launch_checkout import FAKE_PYTHON
from tests.launch_checkout import OLD_PYTHON
from tests.launch_checkout import ROOT
from tests.launch_checkout import Checkout
from tests.launch_checkout import assert_one_line


@pytest.fixture
def checkout(tmp_path):
  return Checkout(tmp_path)


def test_help_names_every_command_and_installs_nothing(checkout):
  result = checkout.run('--help')
  assert result.returncode == 0
  for word in ('search', 'train', 'test', 'LAYERNAS_PLATFORM', '--dry-run'):
    assert word in result.stdout
  assert checkout.run('-h').stdout == result.stdout
  assert checkout.take_log() == []


@pytest.mark.parametrize(
    'command', ['nothing', '--config=x', '../outside', 'other.py']
)
def test_unknown_command_is_one_line_and_installs_nothing(checkout, command):
  assert_one_line(checkout.run(command), 2, command, 'search, train, test')
  assert checkout.take_log() == []


def test_start_through_links(checkout, tmp_path):
  (tmp_path / 'elsewhere').mkdir()
  (tmp_path / 'elsewhere/one').symlink_to('../two')
  (tmp_path / 'two').symlink_to(checkout.root / 'launch.sh')
  done = subprocess.run(
      [tmp_path / 'elsewhere/one', '--dry-run', 'test'], cwd=tmp_path,
      env={'PATH': str(checkout.bin), 'FAKE_LOG': str(checkout.log)},
      capture_output=True, text=True,
  )
  assert done.returncode == 0, done.stderr
  assert f'launch: making {checkout.root}/.venv' in done.stderr


@pytest.mark.parametrize('shell', ['sh', 'dash', 'bash'])
def test_start_by_a_shell(checkout, shell):
  path = shutil.which(shell)
  if path is None:
    path = shutil.which('sh')
  done = subprocess.run(
      [path, checkout.root / 'launch.sh', 'search', '--a=b c'],
      env={'PATH': str(checkout.bin), 'FAKE_LOG': str(checkout.log)},
      cwd=checkout.root, capture_output=True, text=True,
  )
  assert done.returncode == 0, done.stderr
  assert json.loads(done.stdout)['flags'] == ['--a=b c']


def test_a_checkout_with_the_line_ends_of_windows_runs(tmp_path):
  for command in (
      ['init', '-q', '-b', 'main', 'one'],
      ['-C', 'one', 'config', 'user.email', 'a@example.org'],
      ['-C', 'one', 'config', 'user.name', 'a'],
      ['-C', 'one', 'add', '.'],
      ['-C', 'one', 'commit', '-qm', 'one'],
      ['clone', '-q', '-c', 'core.autocrlf=true', 'one', 'two'],
  ):
    subprocess.run(['git', *command], cwd=tmp_path, check=True)
    if command[0] == 'init':
      for name in ('.gitattributes', 'launch.sh', 'requirements.txt'):
        shutil.copy(ROOT / name, tmp_path / 'one')
  for name in ('launch.sh', 'requirements.txt'):
    assert b'\r' not in (tmp_path / 'two' / name).read_bytes()
  done = subprocess.run(
      [tmp_path / 'two/launch.sh', '--help'], capture_output=True, text=True
  )
  assert done.stdout.startswith('Usage: '), done.stderr
  assert '--trial=17' in done.stdout


def test_without_a_command_the_default_search_runs(checkout):
  assert checkout.started() | {'process': 0} == (
      checkout.started('search') | {'process': 0}
  )


@pytest.mark.parametrize('command', ['search', 'train', 'other', 'tool'])
def test_flags_are_passed_on_unchanged(checkout, command):
  flags = ['--a=two  words', '', """it's "so" $HOME `x` \\ *""", 'line\nbreak']
  started = checkout.started(command, *flags)
  assert started['name'] == f'{command}.py'
  assert started['flags'] == flags


def test_dry_run_prints_the_flags_as_a_shell_reads_them(checkout):
  flag = """--a=it's "so" $HOME"""
  last = checkout.dry_run('train', flag)[-1]
  assert subprocess.run(
      ['bash', '-c', f"printf '%s\\n' {last}"], capture_output=True, text=True,
  ).stdout.splitlines()[2:] == [flag]


def test_program_replaces_the_script_and_finds_the_package(checkout):
  checkout.started('other')
  with subprocess.Popen(
      [checkout.root / 'launch.sh', 'other'], stdout=subprocess.PIPE,
      env={'PATH': str(checkout.bin), 'FAKE_LOG': str(checkout.log)},
  ) as process:
    started = json.load(process.stdout)
  assert started['process'] == process.pid
  assert started['package'] == str(checkout.root / 'layernas/__init__.py')


def test_failing_program_gives_its_exit_code(checkout):
  (checkout.root / 'experiments/other.py').write_text('raise SystemExit(7)')
  assert checkout.run('other').returncode == 7


@pytest.mark.parametrize(('arguments', 'passed'), [
    ([], ''),
    (['-k', 'one thing'], ' -k one thing'),
    (['--all'], ' -m '),
    (['--all', '-m', 'long'], ' -m  -m long'),
])
def test_test_command_runs_ruff_and_then_pytest_in_the_root(
    checkout, tmp_path, arguments, passed
):
  checkout.run('test', *arguments, cwd=tmp_path)
  parallel = '--numprocesses=logical --dist=loadfile'
  assert checkout.take_log() == [
      *checkout.installation(), 'ruff check',
      f'pytest {parallel}{passed} in {checkout.root}',
  ]


def test_test_command_stops_where_ruff_fails(checkout):
  assert checkout.run('test', FAKE_RUFF='1').returncode == 1
  assert checkout.take_log() == [*checkout.installation(), 'ruff check']


@pytest.mark.parametrize(('arguments', 'selected'), [
    ([], ['fast']),
    pytest.param(['-m', ''], ['fast', 'long'], marks=pytest.mark.long),
    pytest.param(['-m', '', '-m', 'long'], ['long'], marks=pytest.mark.long),
])
def test_long_tests_run_on_demand(tmp_path, arguments, selected):
  """With the settings of this project, in a folder of two tests."""
  shutil.copy(ROOT / 'pyproject.toml', tmp_path)
  (tmp_path / 'tests').mkdir()
  (tmp_path / 'tests/test_both.py').write_text(
      'import pytest\ndef test_fast(): pass\n'
      '@pytest.mark.long\ndef test_long(): pass\n'
  )
  done = subprocess.run(
      [sys.executable, '-m', 'pytest', '--collect-only', '--quiet',
       *arguments],
      cwd=tmp_path, capture_output=True, text=True,
  )
  assert re.findall(r'::test_(\w+)', done.stdout) == selected


@pytest.mark.parametrize(('gpus', 'requirement'), [
    ('580.65.06, 7.5', 'jax[cuda13]==1.2.3'),
    ('590.10, 12.0', 'jax[cuda13]==1.2.3'),
    ('580.65.06, 7.0', 'jax[cuda12]==1.2.3'),
    ('580.65.06, 9.0\n580.65.06, 6.1', 'jax[cuda12]==1.2.3'),
    ('579.99, 9.0', 'jax[cuda12]==1.2.3'),
    ('525.60.13, 8.0', 'jax[cuda12]==1.2.3'),
    ('524.99, 8.0', 'jax==1.2.3'),
    ('580.65.06, [N/A]', 'jax==1.2.3'),
    ('', 'jax==1.2.3'),
])
def test_driver_and_gpu_choose_the_cuda_build(checkout, gpus, requirement):
  checkout.add_gpus(gpus)
  venv = f'{checkout.root}/.venv'.replace(' ', r'\ ')
  make, pip, *_ = checkout.dry_run()
  assert make == f'{checkout.bin}/python3 -m venv {venv}'
  assert pip.startswith(f'{venv}/bin/python -m pip install ')
  assert pip.replace('\\', '').endswith(f'requirements.txt {requirement}')
  assert not (checkout.root / '.venv').exists()


def test_broken_driver_means_cpu_and_says_so(checkout):
  checkout.add_gpus('NVIDIA-SMI has failed', code=9)
  result = checkout.run('--dry-run')
  assert 'using CPU' in result.stderr
  assert 'jax==1.2.3' in result.stdout


@pytest.mark.parametrize(('vendor', 'device', 'platform'), [
    ('0x1ae0', '0x005e', 'tpu'),
    ('0x1ae0', '0x0042', 'cuda13'),  # Google's network card
    ('0x8086', '0x005e', 'cuda13'),
])
def test_tpu_is_found_before_a_gpu(checkout, vendor, device, platform):
  checkout.add_gpus('580.65.06, 9.0')
  checkout.add_pci_device('0x8086', '0x1237')
  checkout.add_pci_device(vendor, device)
  result = checkout.run('--dry-run')
  assert f'JAX for {platform}\n' in result.stderr


@pytest.mark.parametrize('platform', ['cpu', 'cuda12', 'cuda13', 'tpu'])
def test_environment_overrides_the_accelerator(checkout, platform):
  checkout.add_gpus('580.65.06, 9.0')
  checkout.run('other', LAYERNAS_PLATFORM=platform)
  extra = '' if platform == 'cpu' else f'[{platform}]'
  assert checkout.take_log() == checkout.installation(f'jax{extra}==1.2.3')


def test_unknown_platform_is_one_line(checkout):
  result = checkout.run('search', LAYERNAS_PLATFORM='gpu')
  assert_one_line(result, 2, 'LAYERNAS_PLATFORM: gpu', 'cpu, cuda12, cuda13')


def test_the_environment_finds_the_checkout(checkout):
  checkout.run('search')
  [path] = (checkout.root / '.venv' / 'lib').glob('*.pth')
  assert path.read_text() == f'{checkout.root}\n'


def test_second_start_installs_nothing(checkout):
  checkout.started('other')
  assert checkout.take_log() == checkout.installation()
  digest = hashlib.sha256((checkout.root / 'requirements.txt').read_bytes())
  version = '{}.{}'.format(*sys.version_info[:2])
  assert checkout.stamp.read_text().split() == [
      'cpu', version, digest.hexdigest(),
  ]
  result = checkout.run('other')
  assert result.stderr == ''
  assert checkout.take_log() == []


def test_the_tests_add_their_packages_once(checkout):
  checkout.started('other')
  checkout.take_log()
  added = [f'pip {checkout.test_requirements}']
  tested = ['ruff check', 'pytest']
  for expected in (added + tested, tested):
    checkout.run('test')
    found = [line.partition(' --')[0] for line in checkout.take_log()]
    assert found == expected
  # A program needs no more than before.
  checkout.started('other')
  assert checkout.take_log() == []
  names = 'requirements.txt', 'tests/requirements.txt'
  assert checkout.stamp.read_text().split()[2:] == [
      hashlib.sha256((checkout.root / name).read_bytes()).hexdigest()
      for name in names
  ]


def test_a_first_test_installs_all_at_once(checkout):
  files = [
      line for line in checkout.dry_run('test') if 'pip install' in line
  ]
  assert len(files) == 1
  assert 'tests/requirements.txt jax==1.2.3' in files[0]
  checkout.run('test')
  assert checkout.take_log()[:2] == checkout.installation()
  checkout.started('other')
  assert checkout.take_log() == []


def test_changed_requirements_of_the_tests_concern_the_tests_alone(checkout):
  checkout.run('test')
  checkout.take_log()
  checkout.test_requirements.write_text('-r ../requirements.txt\nruff==9.0\n')
  checkout.started('other')
  assert checkout.take_log() == []
  checkout.run('test')
  assert checkout.take_log()[:2] == checkout.installation()


def test_killed_packages_of_the_tests_are_installed_afresh(checkout):
  checkout.started('other')
  checkout.run('test', FAKE_PIP='killed')
  checkout.take_log()
  checkout.started('other')
  assert checkout.take_log() == checkout.installation()


def test_packages_of_the_tests_that_cannot_be_had_leave_the_others(checkout):
  checkout.started('other')
  result = checkout.run('test', FAKE_PIP='1')
  assert_one_line(result, 1, 'the installation failed')
  checkout.take_log()
  checkout.started('other')
  assert checkout.take_log() == []
  checkout.run('test')
  assert checkout.take_log()[0] == f'pip {checkout.test_requirements}'


_GCS = ['gcsfs==4.0', 'google-cloud-storage==5.0']
_TENSORFLOW = ["tensorflow-cpu==3.0; platform_machine == 'x86_64'",
               "tensorflow==3.0; platform_machine != 'x86_64'"]


@pytest.mark.parametrize(('flags', 'packages'), [
    (['--workdir=gs://bucket/run'], _GCS),
    (['--formats=stablehlo,onnx_int8'], ['onnx==7.0', 'onnxruntime==8.0']),
    (['--formats=stablehlo'], []),
    (['--config.executor.name=ray'], ['ray==6.0']),
    (['--config.executor.name', 'processes'], []),
    (['--config.data.source=tfds'], _TENSORFLOW),
    (['--config=records.py:smoke'], _TENSORFLOW),
    (['--config=config.json'], _TENSORFLOW),
    (['--config=records.py', '--config.data.source=folder'], []),
    ([], []),
])
def test_what_flags_and_config_ask_for_is_added(checkout, flags, packages):
  for name, text in (
      ('records.py', "  data.source = 'tfds'"),
      ('config.json', '{"data": {"source": "tfds"}}'),
  ):
    (checkout.root / name).write_text(text)
  checkout.started('search')
  stamp = checkout.stamp.read_text()
  checkout.take_log()
  missing = 'gcsfs ray tensorflow onnxruntime'
  lines = checkout.dry_run('search', *flags, FAKE_MISSING=missing)
  asked = [shlex.split(line) for line in lines if 'pip install' in line]
  for line in asked:
    assert line[-len(packages):] == packages
  assert len(asked) == bool(packages)
  assert checkout.started('search', *flags, FAKE_MISSING=missing)
  assert checkout.take_log() == [f'pip {each}' for each in packages[-1:]]
  assert checkout.stamp.read_text() == stamp
  # What is there is not asked for again.
  assert checkout.started('search', *flags)
  assert checkout.take_log() == []


@pytest.mark.parametrize('command', ['benchmark', 'export_to_optuna'])
def test_what_needs_optuna_adds_it(checkout, command):
  checkout.started('other')
  checkout.take_log()
  checkout.started(command, FAKE_MISSING='optuna')
  assert checkout.take_log() == ['pip optuna==5.5']


def test_a_program_starts_without_what_cannot_be_added(checkout):
  """Without a network; it says itself what it needs."""
  checkout.started('other')
  result = checkout.run(
      'other', '--workdir=gs://bucket', FAKE_MISSING='gcsfs', FAKE_PIP='1'
  )
  assert result.returncode == 0
  assert 'gcsfs could not be added' in result.stderr
  checkout.take_log()
  checkout.started('other')
  assert checkout.take_log() == []


def test_interrupted_addition_is_installed_afresh(checkout):
  checkout.started('other')
  flag = '--workdir=gs://bucket'
  checkout.run('other', flag, FAKE_MISSING='gcsfs', FAKE_PIP='killed')
  checkout.take_log()
  checkout.started('other', flag)
  assert checkout.take_log() == checkout.installation()


def test_changed_requirements_or_platform_install_afresh(checkout):
  checkout.started('other')
  checkout.take_log()
  leftover = checkout.root / '.venv/leftover'
  leftover.touch()
  (checkout.root / 'requirements.txt').write_text('jax==4.5.6\n')
  checkout.started('other')
  assert checkout.take_log() == checkout.installation('jax==4.5.6')
  assert not leftover.exists()
  checkout.started('other', LAYERNAS_PLATFORM='tpu')
  assert checkout.take_log() == checkout.installation('jax[tpu]==4.5.6')


@pytest.mark.parametrize('end', ['killed', '1'])
def test_interrupted_installation_is_made_afresh(checkout, end):
  result = checkout.run('other', FAKE_PIP=end)
  if end == '1':
    assert_one_line(result, 1, 'installation failed')
  assert result.returncode == (1 if end == '1' else -9)
  assert result.stdout == ''
  checkout.take_log()
  leftover = checkout.root / '.venv/leftover'
  leftover.touch()
  checkout.started('other')
  assert checkout.take_log() == checkout.installation()
  assert not leftover.exists()
  checkout.started('other')
  assert checkout.take_log() == []


def test_killed_update_is_not_taken_for_the_installation_before_it(checkout):
  checkout.started('other')
  checkout.run('other', LAYERNAS_PLATFORM='tpu', FAKE_PIP='killed')
  checkout.take_log()
  checkout.started('other')
  assert checkout.take_log() == checkout.installation()


def test_running_installation_of_another_process_is_left_alone(checkout):
  checkout.started('other')
  checkout.stamp.write_text(f'installing {os.getpid()}\n')
  checkout.take_log()
  result = checkout.run('other')
  assert_one_line(result, 1, f'process {os.getpid()} is installing')
  assert (checkout.root / '.venv/bin/python').exists()
  assert checkout.take_log() == []


def test_environment_made_by_hand_is_kept(checkout):
  checkout.started('other')
  checkout.stamp.unlink()
  checkout.take_log()
  own = checkout.root / '.venv/own'
  own.touch()
  checkout.started('other')
  assert checkout.take_log() == ['pip jax==1.2.3']
  assert own.exists()


def test_activated_environment_is_not_made_from_itself(checkout):
  checkout.started('other')
  inside = checkout.root / '.venv/bin'
  (inside / 'python3').symlink_to('python')
  (checkout.root / 'requirements.txt').write_text('jax==4.5.6\n')
  lines = checkout.dry_run(PATH=f'{inside}:{checkout.bin}')
  assert f'{checkout.bin}/python3 -m venv' in lines[1]


def test_newer_python_is_taken_where_python3_is_too_old(checkout):
  checkout.add_tool('python3', OLD_PYTHON)
  checkout.add_tool('python3.13', OLD_PYTHON)
  checkout.add_tool('python3.12', FAKE_PYTHON % sys.executable)
  assert checkout.dry_run()[0].startswith(f'{checkout.bin}/python3.12 -m venv')


def test_missing_or_old_python_is_one_line_that_says_what_to_do(checkout):
  checkout.add_tool('python3', OLD_PYTHON)
  assert_one_line(checkout.run(), 1, '3.11 or newer', 'apt-get install python3')
  (checkout.bin / 'python3').unlink()
  assert_one_line(checkout.run(), 1, '3.11 or newer', 'apt-get install python3')
  assert not (checkout.root / '.venv').exists()


def test_missing_venv_module_is_one_line_that_says_what_to_do(checkout):
  result = checkout.run(FAKE_ENSUREPIP='1')
  assert_one_line(result, 1, 'apt-get install python3-venv')
  assert not (checkout.root / '.venv').exists()


@pytest.mark.parametrize(('failing', 'runs', 'code'), [
    ('none', ['test', 'test --all -m long'], 0),
    ('test', ['test'], 3),
    ('test --all -m long', ['test', 'test --all -m long'], 3),
])
def test_ci_runs_both_sets_and_loses_no_failure(tmp_path, failing, runs, code):
  (tmp_path / '.ci').mkdir()
  shutil.copy(ROOT / '.ci/run', tmp_path / '.ci/run')
  fake = tmp_path / 'launch.sh'
  fake.write_text(f"""#!/usr/bin/env bash
echo "$PWD $*"
[[ "$*" != "{failing}" ]] || exit 3
""")
  fake.chmod(0o755)
  result = subprocess.run(
      [tmp_path / '.ci/run'], capture_output=True, text=True
  )
  assert result.stdout.splitlines() == [f'{tmp_path} {run}' for run in runs]
  assert result.returncode == code


@pytest.mark.parametrize('name', ['launch.sh', '.ci/run'])
def test_scripts_are_executable(name):
  assert os.access(ROOT / name, os.X_OK)

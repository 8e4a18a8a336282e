"""launch.sh tpu with a fake gcloud, whose workers are folders.

Nothing here reaches the network, and no real gcloud is ever called.
"""

import contextlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tarfile

import pytest

from tests.launch_checkout import ROOT
from tests.launch_checkout import Checkout
from tests.launch_checkout import assert_one_line

_TPU = ['--project=mine', '--zone=us-central2-b']
_VM = ['gcloud', 'compute', 'tpus', 'tpu-vm']
_QUEUE = ['gcloud', 'compute', 'tpus', 'queued-resources']
_ENVIRONMENT = {
    'LAYERNAS_TPU_NAME': 'nas',
    'LAYERNAS_TPU_PROJECT': 'mine',
    'LAYERNAS_TPU_ZONE': 'us-central2-b',
    'LAYERNAS_TPU_ACCELERATOR_TYPE': 'v3-16',
    'LAYERNAS_TPU_POLL': '0',
}
_WORKDIR = '--workdir=gs://bucket/run'
_CONFIG = '--config=configs/one.py:smoke'
_LIST = [*_VM, 'list', *_TPU,
         '--format=value(name.basename(),state,acceleratorType.basename())']
_AWKWARD = ['--a=two  words', '', """it's "so" $HOME `x` \\ *""", 'line\nbreak',
            '--b=é;exit 3', '!', '-']

# Programs write what they are told, and what they did, into the fake cloud.
_PROGRAM = """
import json, os, pathlib, signal, sys, time
cloud = pathlib.Path(os.environ['FAKE_CLOUD'])
worker = pathlib.Path(os.environ['HOME']).name
runs = len(list(cloud.glob(f'ran-{worker}-*')))
def report(name):
  (cloud / f'{name}-{worker}-{runs}').write_text(json.dumps(sys.argv[1:]))
def finish(file='result.json'):
  (cloud / 'gs/bucket/run').mkdir(parents=True, exist_ok=True)
  (cloud / 'gs/bucket/run' / file).touch()
def wait():
  signal.signal(signal.SIGTERM, lambda *_: (report('saved'), sys.exit(0)))
  report('waits')
  for _ in range(300):
    time.sleep(0.1)
report('ran')
print('platform', os.environ['LAYERNAS_PLATFORM'], os.getcwd())
print('coordinator', os.environ['LAYERNAS_COORDINATOR'])
first = worker == 'home-0' and runs == 0
"""


class Cloud(Checkout):
  """A checkout whose PATH has a fake gcloud and the tools of a worker."""

  def __init__(self, folder: pathlib.Path):
    super().__init__(folder)
    self.cloud = folder / 'cloud'
    self.cloud.mkdir()
    self.link_tools('tar', 'gzip', 'tr', 'sleep', 'date', 'flock', 'setsid',
                    'tail', 'rm')
    self.add_tool('gcloud', f'#!{sys.executable} -IS\n'
                  + (ROOT / 'tests/fake_gcloud.py').read_text())
    self.add_tool('sudo', '#!/usr/bin/env bash\necho "sudo $*" >>"$FAKE_LOG"\n')
    (self.root / 'configs').mkdir()
    (self.root / 'configs/one.py').touch()

  def add_program(self, name: str, text: str) -> None:
    (self.root / f'experiments/{name}.py').write_text(_PROGRAM + text)

  def tpu(self, *arguments, **environment):
    return self.run(
        'tpu', *arguments, FAKE_CLOUD=str(self.cloud),
        **{**_ENVIRONMENT, **environment},
    )

  def done(self, *arguments, **environment):
    """Runs a subcommand that succeeds."""
    result = self.tpu(*arguments, **environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result

  def plan(self, *arguments, **environment):
    """The commands of a dry run as a shell reads them."""
    lines = self.dry_run('tpu', *arguments, **{**_ENVIRONMENT, **environment})
    assert not (self.cloud / 'calls').exists()
    return [shlex.split(line) for line in lines]

  def set_up(self):
    self.done('create')
    self.done('copy')
    self.done('install')
    self.take_log()

  def take_calls(self, *verbs):
    """What gcloud was asked to do since the last time, shortly."""
    path = self.cloud / 'calls'
    calls = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    shown = []
    for call in calls:
      [command] = [word.partition('=')[2] for word in call
                   if word.startswith('--command=')] or [call[-1]]
      action = command.partition('tpu worker ')[2].split(' ')[0]
      words = [word for word in call if not word.startswith('--')]
      shown.append(action or ' '.join(words[2:4] if words[0] == 'compute'
                                      else words[:2]))
    return [call for call in shown if not verbs or call in verbs]

  def file(self, name: str, worker: int = 0) -> str:
    path = self.cloud / f'home-{worker}/layernas/workdir/tpu' / name
    return path.read_text().rstrip()

  def wait_for(self, path: pathlib.Path) -> None:
    subprocess.run(
        ['bash', '-c', f'until [[ -e {path} ]]; do sleep 0.05; done'],
        check=True, timeout=30,
    )

  def wait_for_the_end(self, worker: int = 0) -> None:
    lock = self.cloud / f'home-{worker}/layernas/workdir/tpu/lock'
    subprocess.run(['flock', lock, 'true'], check=True, timeout=30)

  def end_programs(self) -> None:
    for path in self.cloud.glob('**/workdir/tpu/pid'):
      # Without the lock there is no program, and its id may be another's.
      probe = ['flock', '-n', path.with_name('lock'), 'true']
      if subprocess.run(probe, check=False).returncode:
        with contextlib.suppress(ProcessLookupError):
          os.killpg(int(path.read_text()), signal.SIGKILL)


@pytest.fixture
def cloud(tmp_path):
  made = Cloud(tmp_path)
  yield made
  made.end_programs()


def _on_workers(worker, action):
  return [*_VM, 'ssh', 'nas', *_TPU, f'--worker={worker}',
          f'--command=layernas/launch.sh tpu worker {action}']


@pytest.mark.parametrize(('arguments', 'plan'), [
    (['create', '--spot', '--create-flag=--network=my net'], [
        _LIST,
        [*_VM, 'create', 'nas', *_TPU, '--accelerator-type=v3-16',
         '--version=tpu-ubuntu2204-base', '--spot', '--network=my net'],
    ]),
    (['create', '--queued', '--accelerator-type=v5litepod-8'], [
        _LIST,
        [*_QUEUE, 'list', *_TPU, '--format=value(name.basename(),state.state)'],
        [*_QUEUE, 'create', 'nas', *_TPU, '--node-id=nas',
         '--accelerator-type=v5litepod-8',
         '--runtime-version=v2-alpha-tpuv5-lite'],
    ]),
    (['install'], [_on_workers('all', 'install')]),
    (['run', 'search', _WORKDIR],
     [_on_workers('all', f'start search {_WORKDIR}')]),
    (['logs'], [_on_workers('0', 'log')]),
    (['logs', '--worker=all'], [_on_workers('all', 'log')]),
    (['stop'], [_on_workers('all', 'stop')]),
    (['stop', '--connect-flag=--internal-ip'],
     [[*_VM, 'ssh', 'nas', *_TPU, '--internal-ip',
       *_on_workers('all', 'stop')[-2:]]]),
    (['status'], [_LIST, _on_workers('all', 'status')]),
    (['delete'], [[*_VM, 'delete', 'nas', *_TPU, '--quiet']]),
    (['delete', '--queued'],
     [[*_QUEUE, 'delete', 'nas', *_TPU, '--force', '--quiet']]),
])
def test_dry_run_shows_what_gcloud_would_be_asked(cloud, arguments, plan):
  assert cloud.plan(*arguments) == plan


def test_flags_are_read_from_the_environment(cloud):
  assert cloud.plan('delete', LAYERNAS_TPU_QUEUED='true') == cloud.plan(
      'delete', '--queued'
  )


def test_dry_run_of_watch_shows_one_round_of_everything(cloud):
  plan = cloud.plan('watch', 'search', _WORKDIR)
  archive = f'{cloud.root}/workdir/tpu/nas.tar.gz'
  assert plan[:2] == [
      ['mkdir', '-p', f'{cloud.root}/workdir/tpu'],
      ['tar', '-czf', archive, '-C', str(cloud.root), '--exclude=./.git',
       '--exclude=./.venv', '--exclude=./workdir', '--exclude=./runs',
       '--exclude=__pycache__', '--exclude=./.*_cache', '.'],
  ]
  assert plan[2:4] == [
      _LIST, ['gcloud', 'storage', 'ls', 'gs://bucket/run/result.json']
  ]
  assert [words[4] for words in plan[4:]] == [
      'create', 'scp', 'ssh', 'ssh', 'ssh'
  ]
  assert plan[5] == [*_VM, 'scp', archive, 'nas:layernas.tar.gz', *_TPU,
                     '--worker=all']
  assert plan[-1][-1] == (
      f'--command=layernas/launch.sh tpu worker start search {_WORKDIR}'
  )
  assert not (cloud.root / 'workdir').exists()


def test_dry_run_needs_no_gcloud_but_all_else_does(cloud):
  (cloud.bin / 'gcloud').unlink()
  assert len(cloud.plan('create')) == 2
  assert_one_line(cloud.tpu('create'), 1, 'no gcloud on PATH', 'docs/install')


@pytest.mark.parametrize(('kind', 'version'), [
    ('v2-8', 'tpu-ubuntu2204-base'),
    ('v4-8', 'tpu-ubuntu2204-base'),
    ('v5litepod-8', 'v2-alpha-tpuv5-lite'),
    ('v5p-8', 'v2-alpha-tpuv5'),
    ('v6e-8', 'v2-alpha-tpuv6e'),
])
def test_runtime_version_goes_with_the_type(cloud, kind, version):
  last = cloud.plan('create', f'--accelerator-type={kind}')[-1]
  assert f'--version={version}' in last


def test_runtime_version_may_be_given(cloud):
  last = cloud.plan('create', '--accelerator-type=v4-8', '--version=own')[-1]
  assert '--version=own' in last


def test_help_names_every_subcommand_and_flag(cloud):
  text = cloud.tpu('--help').stdout
  for word in ('create', 'copy', 'install', 'run', 'watch', 'logs', 'status',
               'stop', 'delete', '--name', '--zone', '--spot', '--queued'):
    assert word in text
  assert cloud.tpu('-h').stdout == cloud.tpu().stdout == text


@pytest.mark.parametrize(('arguments', 'parts'), [
    (['up'], ['tpu subcommand up', 'create, copy']),
    (['create', '--nam=x'], ['tpu flag --nam=x', '--name=NAME']),
    (['create', '--name', 'x'], ['tpu flag --name:', '--name=NAME']),
    (['create', '--name=A'], ['tpu flag --name: A', 'small letters']),
    (['create', '--zone=us'], ['tpu flag --zone: us', 'us-central2-b']),
    (['create', '--accelerator-type=v3'], ['--accelerator-type: v3', 'v3-8']),
    (['create', '--accelerator-type=v9-8'], ['--version: missing', 'v9-8']),
    (['create', 'search'], ['tpu create, argument search', 'flags only']),
    (['logs', '--worker=x'], ['tpu flag --worker: x', 'a number or all']),
    (['watch', '--poll=soon', 'search', _WORKDIR], ['--poll: soon']),
    (['run'], ['tpu run: program missing', 'search, train']),
    (['run', 'nothing'], ['tpu run, program nothing', 'search, train']),
    (['run', 'search'], ['flag --workdir: missing', 'gs://BUCKET']),
    (['watch', 'search', '--workdir=here'], ['--workdir: here', 'gs://']),
    (['run', 'search', _WORKDIR, '--config=configs/two.py:smoke'],
     ['flag --config: configs/two.py', 'file of the checkout']),
    (['run', 'train', _WORKDIR, '--architecture=workdir/one/result.json'],
     ['flag --architecture: workdir/one/result.json', 'gs://']),
    (['run', 'train', _WORKDIR, '--architecture=./workdir/one/result.json'],
     ['flag --architecture: ./workdir/one/result.json', 'gs://']),
    (['run', 'train', _WORKDIR, '--architecture=configs/../../beside.json'],
     ['flag --architecture: configs/../../beside.json', 'gs://']),
])
def test_wrong_input_is_one_line_and_asks_gcloud_nothing(
    cloud, arguments, parts
):
  # Files that are here, but not among those that copy sends.
  result = cloud.root / 'workdir/one/result.json'
  result.parent.mkdir(parents=True)
  result.touch()
  (cloud.root.parent / 'beside.json').touch()
  assert_one_line(cloud.tpu(*arguments), 2, *parts)
  assert not (cloud.cloud / 'calls').exists()


def test_missing_flag_is_one_line_that_names_both_ways_to_give_it(cloud):
  for name in ('NAME', 'PROJECT', 'ZONE', 'ACCELERATOR_TYPE'):
    variable = f'LAYERNAS_TPU_{name}'
    flag = f'--{name.lower().replace("_", "-")}'
    result = cloud.tpu('create', **{variable: ''})
    assert_one_line(result, 2, f'{flag}: missing', variable)


@pytest.mark.parametrize('architecture', [
    'mobilenet_v2', '0-1-0', 'gs://bucket/one/result.json', 'outside.py',
    './configs/../configs/one.py',
])
def test_config_and_architecture_that_a_worker_can_read_are_taken(
    cloud, architecture
):
  flag = f'--architecture={architecture}'
  assert len(cloud.plan('run', 'train', _WORKDIR, flag, _CONFIG)) == 1


def test_create_takes_the_tpu_that_is_there(cloud):
  cloud.done('create')
  assert cloud.take_calls() == ['tpu-vm list', 'tpu-vm create']
  result = cloud.done('create')
  assert 'using the TPU nas (v3-16)' in result.stderr
  assert cloud.take_calls() == ['tpu-vm list']
  result = cloud.tpu('create', '--accelerator-type=v3-8')
  assert_one_line(result, 2, '--accelerator-type: v3-8', 'allowed is v3-16')


def test_create_makes_a_preempted_tpu_again_and_leaves_a_stopped_one(cloud):
  cloud.done('create')
  cloud.take_calls()
  (cloud.cloud / 'tpu').write_text('nas PREEMPTED v3-16')
  cloud.done('create')
  assert cloud.take_calls() == [
      'tpu-vm list', 'tpu-vm delete', 'tpu-vm create'
  ]
  assert (cloud.cloud / 'tpu').read_text() == 'nas READY v3-16'
  (cloud.cloud / 'tpu').write_text('nas STOPPED v3-16')
  assert_one_line(cloud.tpu('create'), 1, 'nas is STOPPED')


def test_create_from_the_queue_keeps_a_request_and_renews_a_dead_one(cloud):
  cloud.done('create', '--queued')
  assert cloud.take_calls()[1:] == [
      'queued-resources list', 'queued-resources create',
      'queued-resources list',
  ]
  (cloud.cloud / 'tpu').write_text('nas PREEMPTED v3-16')
  (cloud.cloud / 'request').write_text('nas SUSPENDED')
  cloud.done('create', '--queued')
  assert (cloud.cloud / 'tpu').read_text() == 'nas READY v3-16'
  cloud.done('delete', '--queued')
  assert not (cloud.cloud / 'tpu').exists()


def test_failure_of_gcloud_gives_an_exit_code_and_a_line(cloud):
  (cloud.cloud / 'fail-create').write_text('1')
  result = cloud.tpu('create')
  assert result.returncode == 1
  assert result.stderr.splitlines()[-1] == 'error: no TPU nas, see above'
  (cloud.cloud / 'fail-list').write_text('1')
  assert cloud.tpu('status').returncode == 1


def test_copy_replaces_the_checkout_but_not_what_is_made_there(cloud):
  for name in ('.git/x', '.venv/x', 'workdir/x', 'layernas/__pycache__/x',
               '.ruff_cache/x', 'docs/workdir/x', '.ci/run'):
    (cloud.root / name).parent.mkdir(parents=True, exist_ok=True)
    (cloud.root / name).touch()
  cloud.set_up()
  with tarfile.open(cloud.root / 'workdir/tpu/nas.tar.gz') as archive:
    names = {name.removeprefix('./') for name in archive.getnames()}
  assert {'launch.sh', 'launch_tpu.sh', 'experiments/search.py', '.ci/run',
          'docs/workdir/x'} <= names
  assert not [name for name in names if name.startswith(
      ('.git', '.venv', 'workdir', 'layernas/__pycache__', '.ruff_cache'))]
  home = cloud.cloud / 'home-1/layernas'
  assert os.access(home / 'launch.sh', os.X_OK)
  (home / 'workdir/kept').touch()
  (cloud.root / 'outside.py').unlink()
  cloud.done('copy')
  assert not (home / 'outside.py').exists()
  assert (home / 'workdir/kept').exists()
  assert (home / '.venv/bin/python').exists()


def test_install_makes_the_environment_for_tpus_on_all_workers(cloud):
  cloud.done('create')
  cloud.done('copy')
  assert cloud.tpu('install', FAKE_PIP='1').returncode == 1
  cloud.take_log()
  cloud.done('install')
  homes = [f'{cloud.cloud}/home-{worker}/layernas' for worker in range(2)]
  assert cloud.take_log() == [
      line for home in homes
      for line in (f'venv {home}/.venv', 'pip jax[tpu]==1.2.3')
  ]
  cloud.done('install')
  assert cloud.take_log() == []


def test_install_fetches_a_newer_python_where_there_is_none(cloud):
  cloud.done('create')
  cloud.done('copy')
  (cloud.bin / 'python3').rename(cloud.bin / 'python3.11-later')
  cloud.add_tool('sudo', f"""#!/usr/bin/env bash
echo "sudo $*" >>"$FAKE_LOG"
[[ $* != *install* ]] || cp {cloud.bin}/python3.11-later {cloud.bin}/python3.11
""")
  cloud.done('install')
  lines = cloud.take_log()
  assert lines[0].endswith('update')
  assert lines[1].endswith('--yes install python3.11 python3.11-venv')
  assert sum('pip jax[tpu]' in line for line in lines) == 2


def test_flags_reach_the_program_unchanged_on_all_workers(cloud):
  cloud.add_program('other', '')
  cloud.set_up()
  cloud.done('run', 'other', _WORKDIR, *_AWKWARD)
  for worker in range(2):
    cloud.wait_for_the_end(worker)
    ran = cloud.cloud / f'ran-home-{worker}-0'
    assert json.loads(ran.read_text()) == [_WORKDIR, *_AWKWARD]
    assert cloud.file('state', worker) == 'exit 0'
    home = cloud.cloud / f'home-{worker}/layernas'
    assert f'platform tpu {home}\n' in cloud.file('log', worker)
    assert 'coordinator auto\n' in cloud.file('log', worker)
  assert cloud.take_log() == []


@pytest.mark.long
def test_run_outlives_the_connection_and_stop_lets_it_save(cloud):
  cloud.add_program('other', 'wait()')
  cloud.set_up()
  command = ['other', _WORKDIR, '--a=b c']
  cloud.done('run', *command)
  for worker in range(2):
    cloud.wait_for(cloud.cloud / f'waits-home-{worker}-0')
  assert cloud.done('status').stdout.splitlines() == [
      'nas: READY v3-16', 'home-0: running', 'home-1: running',
  ]
  assert 'running already' in cloud.done('run', *command).stderr
  different = cloud.tpu('run', 'search', _WORKDIR)
  assert different.returncode == 1
  assert 'another command is running: other' in different.stderr
  assert 'a program is running' in cloud.tpu('copy').stderr
  cloud.done('stop')
  assert cloud.done('status').stdout.splitlines()[1:] == [
      'home-0: stopped', 'home-1: stopped',
  ]
  assert len(list(cloud.cloud.glob('saved-*'))) == 2
  assert 'nothing is running' in cloud.done('stop').stderr


@pytest.mark.long
def test_logs_follow_a_program_to_its_end(cloud):
  cloud.add_program('other', """
while not (cloud / 'go').exists():
  time.sleep(0.05)
print('the last line of', worker)
""")
  cloud.set_up()
  cloud.done('run', 'other', _WORKDIR)
  follow = subprocess.Popen(
      [cloud.root / 'launch.sh', 'tpu', 'logs'], stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL, text=True,
      env={'PATH': str(cloud.bin), 'FAKE_CLOUD': str(cloud.cloud),
           **_ENVIRONMENT},
  )
  with follow:
    assert follow.stdout.readline().startswith('launch: ')
    (cloud.cloud / 'go').touch()
    assert 'the last line of home-0' in follow.stdout.read()
  cloud.wait_for_the_end(1)
  text = cloud.done('logs', '--worker=all').stdout
  assert 'the last line of home-1' in text


def test_machine_that_restarts_has_lost_its_program(cloud):
  cloud.add_program('other', 'wait()')
  cloud.set_up()
  cloud.done('run', 'other', _WORKDIR)
  cloud.wait_for(cloud.cloud / 'waits-home-0-0')
  cloud.end_programs()
  cloud.wait_for_the_end()
  assert 'home-0: lost' in cloud.done('status').stdout


@pytest.mark.parametrize(('program', 'file'), [
    ('search', 'result.json'),
    pytest.param('train', 'final.json', marks=pytest.mark.long),
])
def test_watch_does_everything_once_and_ends_with_the_result(
    cloud, program, file
):
  cloud.add_program(program, f'finish({file!r})')
  result = cloud.done('watch', program, _CONFIG, _WORKDIR, *_AWKWARD)
  assert 'done, see gs://bucket/run' in result.stderr
  assert 'costs money until' in result.stderr
  calls = cloud.take_calls()
  assert calls[:6] == ['tpu-vm list', 'storage ls', 'tpu-vm create',
                       'tpu-vm scp', 'tpu-vm ssh', 'install']
  assert calls[6:9] == ['start', 'tpu-vm list', 'state']
  assert calls[-2:] == ['state', 'storage ls']
  ran = cloud.cloud / 'ran-home-0-0'
  assert json.loads(ran.read_text()) == [_CONFIG, _WORKDIR, *_AWKWARD]


def test_watch_makes_nothing_where_the_result_is_there(cloud):
  (cloud.cloud / 'gs/bucket/run').mkdir(parents=True)
  (cloud.cloud / 'gs/bucket/run/result.json').touch()
  result = cloud.done('watch', 'search', _WORKDIR + '/')
  assert cloud.take_calls() == ['tpu-vm list', 'storage ls']
  assert 'costs money' not in result.stderr


@pytest.mark.long
@pytest.mark.parametrize(('program', 'text', 'calls'), [
    ('search', """
if first:
  (cloud / 'tpu').write_text('nas PREEMPTED v3-16')
  wait()
elif worker == 'home-0':
  finish()
""", ['tpu-vm create', 'start', 'tpu-vm delete', 'tpu-vm create', 'start']),
    # Told to end, programs end with 0: that is not done.
    ('other', """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if first:
  os.killpg(0, signal.SIGTERM)
""", ['tpu-vm create', 'start', 'stop', 'start']),
    # No result in the workdir.
    ('search', """
if worker == 'home-0' and not first:
  finish()
""", ['tpu-vm create', 'start', 'stop', 'start']),
])
def test_watch_runs_the_same_command_again(cloud, program, text, calls):
  cloud.add_program(program, text)
  flags = [_CONFIG, _WORKDIR, '--x=1', '--name=a flag of its own']
  cloud.done('watch', program, *flags)
  verbs = ('tpu-vm create', 'tpu-vm delete', 'start', 'stop')
  assert cloud.take_calls(*verbs) == calls
  for run in range(2):
    ran = cloud.cloud / f'ran-home-0-{run}'
    assert json.loads(ran.read_text()) == flags


@pytest.mark.parametrize(('text', 'code', 'error', 'starts'), [
    ("sys.exit(print('what is wrong') or 2)", 2, 'error: wrong input', 1),
    pytest.param(
        "sys.exit(print('what is wrong') or 1)", 1,
        'error: search failed (exit 1), 5 times on the TPU nas', 5,
        marks=pytest.mark.long,
    ),
])
def test_watch_gives_up_and_shows_the_log(cloud, text, code, error, starts):
  cloud.add_program('search', text)
  result = cloud.tpu('watch', 'search', _WORKDIR)
  assert result.returncode == code
  assert 'what is wrong' in result.stdout
  assert result.stderr.splitlines()[-1].startswith(error)
  assert cloud.take_calls('tpu-vm create', 'start') == [
      'tpu-vm create', *starts * ['start']
  ]


@pytest.mark.long
def test_watch_tries_again_where_gcloud_fails(cloud):
  cloud.add_program('search', 'finish()')
  for verb, count in (('list', 1), ('create', 2), ('scp', 2)):
    (cloud.cloud / f'fail-{verb}').write_text(str(count))
  result = cloud.done('watch', 'search', _WORKDIR)
  assert 'gcloud does not answer' in result.stderr
  assert cloud.take_calls('tpu-vm create', 'tpu-vm scp', 'start') == [
      *3 * ['tpu-vm create'], *3 * ['tpu-vm scp'], 'start',
  ]


@pytest.mark.long
def test_watch_goes_on_watching_what_runs_and_starts_no_second(cloud):
  cloud.add_program('search', """
while not (cloud / 'go').exists():
  time.sleep(0.05)
finish()
""")
  cloud.set_up()
  cloud.done('run', 'search', _WORKDIR)
  cloud.take_calls()
  (cloud.cloud / 'fail-ssh').write_text('1')
  (cloud.cloud / 'go').touch()
  result = cloud.done('watch', 'search', _WORKDIR, '--delete-after')
  assert 'unreachable' in result.stderr
  assert not (cloud.cloud / 'ran-home-0-1').exists()


@pytest.mark.long
def test_watch_leaves_another_command_alone(cloud):
  cloud.add_program('other', 'wait()')
  cloud.set_up()
  cloud.done('run', 'other', _WORKDIR)
  result = cloud.tpu('watch', 'search', _WORKDIR)
  assert_one_line(result, 1, 'another command runs on the TPU nas')
  assert 'home-0: running' in cloud.done('status').stdout


@pytest.mark.long
def test_watch_ends_where_the_user_stops_the_program(cloud):
  cloud.add_program('search', 'wait()')
  with subprocess.Popen(
      [cloud.root / 'launch.sh', 'tpu', 'watch', 'search', _WORKDIR],
      stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
      env={'PATH': str(cloud.bin), 'FAKE_LOG': str(cloud.log),
           'FAKE_CLOUD': str(cloud.cloud), **_ENVIRONMENT},
  ) as watch:
    cloud.wait_for(cloud.cloud / 'waits-home-1-0')
    cloud.done('stop')
    errors = watch.stderr.read()
  assert watch.returncode == 1
  assert errors.splitlines()[-1] == 'error: the program was stopped'


@pytest.mark.long
def test_watch_runs_afresh_what_had_ended_before_it(cloud):
  cloud.add_program('search', 'sys.exit(2) if first else finish()')
  cloud.set_up()
  cloud.done('run', 'search', _WORKDIR)
  cloud.wait_for_the_end()
  cloud.done('watch', '--delete-after', 'search', _WORKDIR)
  assert not (cloud.cloud / 'tpu').exists()


def test_delete_deletes(cloud):
  cloud.done('create')
  cloud.done('delete')
  assert not (cloud.cloud / 'tpu').exists()
  assert cloud.done('status').stdout.strip() == 'nas: there is none'
  assert cloud.tpu('delete').returncode == 1

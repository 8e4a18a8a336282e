"""A copy of the checkout, and a shell of its reader who types commands there.

.venv is as ./launch.sh makes it, with the packages of the running interpreter.
There is neither a network nor a Google Cloud: gcloud is that of fake_gcloud,
and on its workers programs check their flags and end.
"""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from tests import tiny
from tests.launch_checkout import FAKE_PYTHON

# Reads the flags as the program does, then leaves what the program would.
_ACCEPT = """
import os, pathlib, runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0])
from absl import flags
from layernas.runs import cli
def accept():
  workdir = flags.FLAGS['workdir'].value.removeprefix('gs://')
  directory = pathlib.Path(os.environ['FAKE_CLOUD'], 'gs', workdir)
  directory.mkdir(parents=True, exist_ok=True)
  for name in ('result.json', 'final.json'):
    (directory / name).touch()
  print('accepted', *sys.argv)
cli.run(accept)
"""

# Stands for Python on a worker of the cloud.
_ON_WORKER = """#!/usr/bin/env bash
case $1 in
  */experiments/*.py | experiments/*.py) exec {python} {accept} "$@" ;;
  *) exec {python} "$@" ;;
esac
"""
_ECHO = '#!/usr/bin/env bash\necho "${0##*/}" "$@"\n'
_ABSENT = '#!/usr/bin/env bash\necho "${0##*/}: not in .venv"; exit 127\n'


class Outcome(NamedTuple):
  """What became of a command.

  Attributes:
    code: exit code; None where it did not end.
    output: both streams.
    seconds: by the clock, of the user's CPU time and of the system's.
  """

  code: int | None
  output: str
  seconds: tuple[float, float, float]


class ReaderCheckout:
  """The copy.

  Attributes:
    root: of the copy.
  """

  def __init__(self, folder: pathlib.Path):
    """Copies.

    Args:
      folder: empty.
    """
    self.root = folder / 'layernas'
    self._bin = folder / 'bin'
    self._folder = folder
    self._shells = 0
    self._copy()
    self._make_venv()
    self._make_bin()

  def run(
      self, commands: Sequence[str], environment: Mapping[str, str],
      timeout: float,
  ) -> list[Outcome]:
    """Types commands into one new shell.

    Args:
      commands: in order; each is typed whatever became of the others.
      environment: further variables.
      timeout: of all, in seconds.

    Returns:
      What became of each that was begun.
    """
    self._shells += 1
    log = self._folder / f'shell-{self._shells}'
    (log / 'cloud').mkdir(parents=True)
    script = log / 'script'
    script.write_text('TIMEFORMAT="%R %U %S"\n' + ''.join(
        f'{{ time {{\n{command}\n}} >{log}/{number} 2>&1 </dev/null; }}'
        f' 2>{log}/{number}.time\necho $? >{log}/{number}.code\n'
        for number, command in enumerate(commands)
    ))
    process = subprocess.Popen(
        ['bash', str(script)], cwd=self.root, start_new_session=True,
        env=self._environment() | {'FAKE_CLOUD': f'{log}/cloud'} | environment,
    )
    try:
      process.wait(timeout)
    except subprocess.TimeoutExpired:
      os.killpg(process.pid, signal.SIGKILL)
      process.wait()
    return [
        _outcome(log / str(number)) for number in range(len(commands))
        if (log / str(number)).exists()
    ]

  def _copy(self) -> None:
    """Copies what git tracks, as it is now."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z'], cwd=tiny.ROOT, capture_output=True,
        text=True, check=True,
    ).stdout
    for name in filter(None, listed.split('\0')):
      if (tiny.ROOT / name).exists():
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny.ROOT / name, target)

  def _make_venv(self) -> None:
    """Makes .venv without installing anything."""
    directory = self.root / '.venv'
    venv.create(directory, symlinks=True)
    purelib = pathlib.Path(sysconfig.get_path(
        'purelib', 'venv', {'base': str(directory)}
    ))
    # As link_checkout of launch.sh does; then the packages.
    (purelib / 'layernas_checkout.pth').write_text(f'{self.root}\n')
    (purelib / 'packages.pth').write_text(sysconfig.get_path('purelib') + '\n')
    for path in pathlib.Path(sys.prefix, 'bin').iterdir():
      link = directory / 'bin' / path.name
      if not link.exists():
        link.symlink_to(path)
    digests = (
        hashlib.sha256((self.root / name).read_bytes()).hexdigest()
        for name in ('requirements.txt', 'tests/requirements.txt')
    )
    (directory / 'launch.stamp').write_text(
        f'cpu {sys.version_info[0]}.{sys.version_info[1]}'
        f' {" ".join(digests)}\n'
    )

  def _make_bin(self) -> None:
    """Makes the programs that stand for others."""
    self._bin.mkdir()
    accept = self._bin / 'accept.py'
    accept.write_text(_ACCEPT)
    self._add('gcloud', f'#!{sys.executable} -IS\n'
              + (tiny.ROOT / 'tests/fake_gcloud.py').read_text())
    self._add('on_worker', _ON_WORKER.format(
        python=self.root / '.venv/bin/python', accept=accept,
    ))
    for name in ('ssh-add', 'sudo', 'ray'):
      self._add(name, _ECHO)
    # An environment of a worker has Ray, too.
    python = (FAKE_PYTHON % (self._bin / 'on_worker')).replace(
        'cp "$0" "$3/bin/python"',
        f'cp "$0" "$3/bin/python" && cp {self._bin}/ray "$3/bin"',
    )
    self._add('python3', python)
    # A shell without .venv/bin on its PATH, the same everywhere.
    for name in ('python', 'pip'):
      self._add(name, _ABSENT)

  def _add(self, name: str, text: str) -> None:
    (self._bin / name).write_text(text)
    (self._bin / name).chmod(0o755)

  def _environment(self) -> dict[str, str]:
    """Variables, without those of the tests that a reader does not have."""
    kept = {
        name: value for name, value in os.environ.items()
        if not name.startswith(('PYTEST_', 'PYTHON', 'LAYERNAS_TPU_'))
        and name != 'VIRTUAL_ENV'
    }
    return kept | {
        'PATH': f'{self._bin}:{os.environ["PATH"]}',
        'FAKE_LOG': str(self._folder / 'log'), 'LAYERNAS_PLATFORM': 'cpu',
        'LAYERNAS_TPU_POLL': '0',
    }


def _outcome(log: pathlib.Path) -> Outcome:
  output = log.read_text(errors='replace')
  code = log.with_suffix('.code')
  if not code.exists():
    return Outcome(None, output, (0.0, 0.0, 0.0))
  seconds = log.with_suffix('.time').read_text().split()
  return Outcome(int(code.read_text()), output, tuple(map(float, seconds)))

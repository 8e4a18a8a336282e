"""Stands for gcloud in the tests of launch.sh: a cloud of one TPU in a folder.

Every worker is a folder that stands for its home, and every command that ssh
would send runs there in a local shell. In the folder FAKE_CLOUD:

  calls        the arguments of every call, a line of JSON each
  tpu          type and state of the TPU
  request      state of the queued resource
  home-N       home of worker N
  gs           what gs:// holds
  fail-VERB    so many of the next calls of VERB fail
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

_CLOUD = pathlib.Path(os.environ['FAKE_CLOUD'])
_TPU = _CLOUD / 'tpu'
_REQUEST = _CLOUD / 'request'


def _homes(worker: str) -> list[pathlib.Path]:
  """Folders of the workers that --worker names."""
  homes = sorted(_CLOUD.glob('home-*'))
  return homes if worker == 'all' else [homes[int(worker)]]


def _create(name: str, flags: dict[str, str]) -> int:
  kind = flags['accelerator-type']
  _TPU.write_text(f'{name} READY {kind}')
  for worker in range(-(-int(kind.split('-')[-1]) // 8)):
    (_CLOUD / f'home-{worker}').mkdir(exist_ok=True)
  return 0


def _delete(name: str, flags: dict[str, str]) -> int:
  if not _TPU.exists():
    print(f'ERROR: {name} NOT_FOUND', file=sys.stderr)
    return 1
  _TPU.unlink()
  _REQUEST.unlink(missing_ok=True)
  # What still runs there must not find the next TPU's folders.
  lost = _CLOUD / f'lost-{len(list(_CLOUD.glob("lost-*")))}'
  lost.mkdir()
  for home in _homes('all'):
    home.rename(lost / home.name)
  return 0


def _ssh(name: str, flags: dict[str, str]) -> int:
  codes = [
      subprocess.run(
          ['bash', '-c', flags['command']], cwd=home,
          env={**os.environ, 'HOME': str(home), 'HOSTNAME': home.name},
          check=False,
      ).returncode
      for home in _homes(flags.get('worker', '0'))  # As the real one.
  ]
  return max(codes)


def _scp(source: str, target: str, flags: dict[str, str]) -> int:
  for home in _homes(flags['worker']):
    shutil.copy(source, home / target.partition(':')[2])
  return 0


def _list(path: pathlib.Path, *others: str) -> int:
  for line in others:
    print(line.replace(' ', '\t'))
  if path.exists():
    print(path.read_text().replace(' ', '\t'))
  return 0


def _queue(name: str, flags: dict[str, str]) -> int:
  _REQUEST.write_text(f'{name} ACTIVE')
  return _create(flags['node-id'], flags)


def _storage_ls(url: str, flags: dict[str, str]) -> int:
  return 0 if (_CLOUD / 'gs' / url.removeprefix('gs://')).exists() else 1


def _fails(verb: str) -> bool:
  """Counts down what a test asked for."""
  path = _CLOUD / f'fail-{verb}'
  count = int(path.read_text()) if path.exists() else 0
  if count:
    path.write_text(str(count - 1))
    print(f'ERROR: (gcloud) {verb} failed', file=sys.stderr)
  return count > 0


def main(arguments: list[str]) -> int:
  """Does what gcloud would do.

  Args:
    arguments: of the command line.

  Returns:
    The exit code.
  """
  with (_CLOUD / 'calls').open('a') as calls:
    calls.write(json.dumps(arguments) + '\n')
  words = [word for word in arguments if not word.startswith('--')]
  flags = dict(
      re.match(r'--([\w-]+)=?(.*)', word, re.DOTALL).groups()
      for word in arguments if word.startswith('--')
  )
  verbs = {
      'compute tpus tpu-vm create': _create,
      'compute tpus tpu-vm delete': _delete,
      'compute tpus tpu-vm ssh': _ssh,
      'compute tpus tpu-vm scp': _scp,
      'compute tpus tpu-vm list':
          lambda flags: _list(_TPU, 'another READY v2-8'),
      'compute tpus queued-resources create': _queue,
      'compute tpus queued-resources delete': _delete,
      'compute tpus queued-resources list': lambda flags: _list(_REQUEST),
      'storage ls': _storage_ls,
      'auth login': lambda flags: 0,
      'auth application-default login': lambda flags: 0,
  }
  for verb, function in verbs.items():
    count = len(verb.split())
    if ' '.join(words[:count]) == verb:
      if _fails(words[count - 1]):
        return 1
      return function(*words[count:], flags)
  raise AssertionError(arguments)


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))

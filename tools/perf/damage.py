"""What a drill does to processes and files from outside."""

import contextlib
import os
import pathlib
import random
import subprocess
from collections.abc import Iterator

_SIZE = '32m'
_CHUNK = 4096
_MOST_LEFT = 16 << 10
"""Bytes that are left at most on a disk that is called full: a write fails in
its middle."""

_WORKER = b'layernas.executors.worker'


def workers_of(pid: int) -> list[int]:
  """Process ids of a search's workers."""
  found = []
  with contextlib.suppress(OSError):
    children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text()
    for child in map(int, children.split()):
      with contextlib.suppress(OSError):
        if _WORKER in pathlib.Path(f'/proc/{child}/cmdline').read_bytes():
          found.append(child)
  return found


@contextlib.contextmanager
def small_disk(directory: pathlib.Path) -> Iterator[None]:
  """Mounts a small disk in memory on a directory.

  Raises:
    OSError: this machine does not let us.
  """
  directory.mkdir(parents=True, exist_ok=True)
  done = subprocess.run(
      ['mount', '-t', 'tmpfs', '-o', f'size={_SIZE}', 'tmpfs', str(directory)],
      capture_output=True, text=True, check=False,
  )
  if done.returncode:
    raise OSError(f'no disk can be mounted: {done.stderr.strip()}')
  try:
    yield
  finally:
    subprocess.run(['umount', '-l', str(directory)], check=True)


def fill(file: pathlib.Path, rng: random.Random) -> None:
  """Lets a file grow until the disk has a few KiB at most left."""
  with open(file, 'ab', buffering=0) as filler:
    with contextlib.suppress(OSError):
      while True:
        filler.write(bytes(_CHUNK))
    left = rng.choice((0, rng.randrange(_MOST_LEFT)))
    os.ftruncate(filler.fileno(), max(0, os.fstat(filler.fileno()).st_size
                                      - left))


def _checkpoints(workdir: pathlib.Path) -> list[list[pathlib.Path]]:
  """Complete checkpoints, oldest first, of each of their directories."""
  directories = [workdir / 'checkpoints',
                 *sorted(workdir.glob('candidates/*/checkpoints'))]
  return [
      sorted(
          (path for path in directory.iterdir() if path.name.isdigit()),
          key=lambda path: int(path.name),
      ) for directory in directories if directory.is_dir()
  ]


def _some_file(directory: pathlib.Path, rng: random.Random) -> pathlib.Path:
  return rng.choice(sorted(
      path for path in directory.rglob('*')
      if path.is_file() and path.stat().st_size
  ))


def truncate_newest(workdir: pathlib.Path, rng: random.Random) -> str:
  """Cuts a file of a newest checkpoint short.

  Args:
    workdir: of a search that does not run.
    rng: chooses the directory of checkpoints, the file and its new size.

  Returns:
    What was done; '' where there is no checkpoint.
  """
  found = [steps[-1] for steps in _checkpoints(workdir) if steps]
  if not found:
    return ''
  file = _some_file(rng.choice(found), rng)
  size = file.stat().st_size
  left = rng.randrange(size)
  os.truncate(file, left)
  return f'{file.relative_to(workdir)}: {left} of {size} bytes left'


def damage_older(workdir: pathlib.Path, rng: random.Random) -> str:
  """Overwrites a file of a checkpoint that is not the newest; see above."""
  found = [step for steps in _checkpoints(workdir) for step in steps[:-1]]
  if not found:
    return ''
  file = _some_file(rng.choice(found), rng)
  file.write_bytes(rng.randbytes(file.stat().st_size))
  return f'{file.relative_to(workdir)}: overwritten'


def damage_line(workdir: pathlib.Path, rng: random.Random) -> str:
  """Puts zeros, as after a power failure, over a part of trials.jsonl."""
  file = workdir / 'trials.jsonl'
  data = bytearray(file.read_bytes() if file.exists() else b'')
  if not data:
    return ''
  begin = rng.randrange(len(data))
  end = min(len(data), begin + rng.randrange(1, 200))
  data[begin:end] = bytes(end - begin)
  file.write_bytes(bytes(data))
  return f'trials.jsonl: zeros from byte {begin} to {end} of {len(data)}'

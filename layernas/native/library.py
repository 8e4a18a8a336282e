"""Compiles the C++ kernels at first use and registers them with JAX.

The library lies in a cache of the user (environment variable
LAYERNAS_KERNEL_CACHE, else layernas/ in XDG_CACHE_HOME or ~/.cache), under a
name that stands for all that decides its content: sources, compiler, options,
jaxlib and processor. It is built beside that name and renamed, so that any
number of processes may start at once.
"""

import contextlib
import ctypes
import fcntl
import functools
import hashlib
import os
import pathlib
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import jax
import jaxlib
import numpy as np

from layernas import activity
from layernas.cores import usable_cores

_HERE = pathlib.Path(__file__).parent
_OPTIONS = (
    '-std=c++17', '-O3', '-march=native', '-fno-math-errno', '-shared', '-fPIC',
    '-pthread',
)
_TARGETS = (
    'depthwise', 'depthwise_gradients', 'normed_depthwise',
    'normed_depthwise_gradients',
    'moments', 'normalise', 'normalise_parameter_gradients',
    'normalise_input_gradient', 'optimizer',
)


class BuildError(RuntimeError):
  """The kernels can't be built or loaded; one line that says why."""


def call(
    name: str, results: Any, *arrays: jax.Array, **attributes: Any
) -> Any:
  """Calls a kernel; under vmap once for each example.

  Args:
    name: of the kernel.
    results: shapes and types of what it returns.
    *arrays: float32, as the kernel expects them.
    **attributes: integers, and NumPy's floats and arrays.

  Returns:
    An array, or a list of arrays, as `results` has them.

  Raises:
    BuildError: there is no such library on this machine.
  """
  function = jax.ffi.ffi_call(
      f'{_registered()}_{name}', results, vmap_method='sequential'
  )
  # A Python integer would be one of 32 bits.
  return function(*arrays, **{
      key: np.int64(value) if isinstance(value, int) else value
      for key, value in attributes.items()
  })


def problem() -> str:
  """Why the kernels can't be used here; '' where they can."""
  try:
    _registered()
  except BuildError as error:
    return str(error)
  return ''


def require() -> None:
  """Builds and registers the kernels.

  Raises:
    BuildError: that is not possible on this machine.
  """
  _registered()


def cache_directory() -> pathlib.Path:
  """Where the library is kept."""
  chosen = os.environ.get('LAYERNAS_KERNEL_CACHE')
  if chosen:
    return pathlib.Path(chosen)
  caches = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(caches) / 'layernas'


def build() -> pathlib.Path:
  """Compiles the library where the cache does not hold it.

  Returns:
    Its path.

  Raises:
    BuildError: there is no compiler, it fails, or the cache can't be written.
  """
  compiler = os.environ.get('CXX', 'g++')
  key = _key(compiler)
  path = cache_directory() / f'kernels_{key}.so'
  try:
    if not path.exists():
      path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
      with _one_at_a_time(path.with_suffix('.lock')):
        if not path.exists():
          _build(compiler, path)
  except OSError as error:
    raise BuildError(f'kernel cache {path.parent}: {error.strerror}') from error
  return path


@contextlib.contextmanager
def _one_at_a_time(path: pathlib.Path) -> Iterator[None]:
  """Has processes that start together build once, the others wait.

  Without locks on the file system each builds for itself, which is as right.
  """
  with open(path, 'w', encoding='utf-8') as file:
    with contextlib.suppress(OSError):
      fcntl.flock(file, fcntl.LOCK_EX)
    try:
      yield
    finally:
      path.unlink(missing_ok=True)


def _build(compiler: str, path: pathlib.Path) -> None:
  """Compiles and links; the library is there whole or not at all."""
  activity.say('building kernels (once on this machine)')
  with tempfile.TemporaryDirectory(dir=path.parent) as directory:
    built = pathlib.Path(directory) / path.name
    parts = _compile(compiler, pathlib.Path(directory))
    _run([compiler, *_OPTIONS, *map(str, parts), '-o', str(built)])
    built.replace(path)


def _compile(compiler: str, directory: pathlib.Path) -> list[pathlib.Path]:
  """Compiles every source, on all cores; returns the object files."""
  def compiled(source: pathlib.Path) -> pathlib.Path:
    target = directory / f'{source.stem}.o'
    _run([
        compiler, *_OPTIONS, '-isystem', jax.ffi.include_dir(), '-c',
        str(source), '-o', str(target),
    ])
    return target

  with futures.ThreadPoolExecutor(usable_cores()) as pool:
    return list(pool.map(compiled, sorted(_HERE.glob('*.cc'))))


def _registered() -> str:
  """Prefix of the kernels' names, which JAX knows from then on.

  The library's key is part of it: a program in JAX's persistent cache never
  meets kernels of other sources.
  """
  prefix, why = _register()
  if why:
    raise BuildError(why)
  return prefix


@functools.cache
def _register() -> tuple[str, str]:
  """Builds and registers once in a process; prefix, or what went wrong."""
  try:
    path = build()
    library = ctypes.CDLL(str(path))
  except BuildError as error:
    return '', str(error)
  except OSError as error:
    return '', f'kernel library: {error}'
  for name in _TARGETS:
    jax.ffi.register_ffi_target(
        f'layernas_{path.stem}_{name}',
        jax.ffi.pycapsule(getattr(library, f'layernas_{name}')),
        platform='cpu',
    )
  return f'layernas_{path.stem}', ''


def _key(compiler: str) -> str:
  """Hash of all that decides what the compiler writes."""
  digest = hashlib.sha256()
  for path in sorted((*_HERE.glob('*.cc'), *_HERE.glob('*.h'))):
    digest.update(path.name.encode() + b'\0' + path.read_bytes())
  for text in (
      _run([compiler, '--version']), ' '.join(_OPTIONS), jaxlib.__version__,
      _processor(),
  ):
    digest.update(text.encode() + b'\0')
  return digest.hexdigest()[:16]


def _processor() -> str:
  """What -march=native looks at."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:
    return platform.machine() + platform.processor()
  names = ('model name', 'flags', 'Features', 'CPU part')
  return '\n'.join(sorted({line for line in lines if line.startswith(names)}))


def _run(command: list[str]) -> str:
  """Output of a command."""
  try:
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=300
    )
  except FileNotFoundError as error:
    raise BuildError(
        f'compiler {command[0]!r}: not found; set CXX or install g++'
    ) from error
  except OSError as error:
    raise BuildError(f'compiler {command[0]!r}: {error.strerror}') from error
  except subprocess.TimeoutExpired as error:
    raise BuildError(f'compiler {command[0]!r}: took 300 seconds') from error
  except subprocess.CalledProcessError as error:
    raise BuildError(
        f'compiler {command[0]!r}: {_first_error(error.stderr)}'
    ) from error
  return done.stdout


def _first_error(text: str) -> str:
  """The line of the compiler's output that says most."""
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  errors = [line for line in lines if 'error' in line]
  return (errors or lines or ['failed without a message'])[0]

"""What the environments of users set: made harmless, or said in one line."""

import os
import re
import subprocess
import sys
import traceback
import warnings

from layernas.errors import UserError

_PLATFORMS = ('JAX_PLATFORMS', 'JAX_PLATFORM_NAME')
_TRUE = ('1', 'true', 't', 'yes', 'y', 'on')
_LEFT_OUT = {
    'JAX_ENABLE_X64': (_TRUE, 'networks are trained in 32 bits'),
    'JAX_DISABLE_JIT': (_TRUE, 'networks are trained by compiled programs'),
    'JAX_NUMPY_DTYPE_PROMOTION': (('strict',), 'operands are of any types'),
    'JAX_NUMPY_RANK_PROMOTION': (
        ('raise', 'warn'), 'operands are of any dimensions'
    ),
}
"""Variables that are for other programs of JAX: the values with which networks
would be trained otherwise or not at all, and why they do not count."""

_DEVICES = re.compile(r'--xla_force_host_platform_device_count=\d+')
_CHECK = 'from jaxlib import xla_client; xla_client.CompileOptions()'
"""Reads XLA_FLAGS as every program of JAX does, without its devices."""


def prepare() -> None:
  """Sets what must not depend on the user's terminal, notebook or shell."""
  # A notebook hands its own backend to what it starts.
  os.environ['MPLBACKEND'] = 'agg'
  # TensorFlow tells of its instruction sets, and that it found no GPU.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  for name, (values, reason) in _LEFT_OUT.items():
    value = os.environ.get(name, '')
    if value.lower() in values:
      del os.environ[name]
      print(
          f'environment variable {name}: {value!r} is left out: {reason}',
          file=sys.stderr, flush=True,
      )
  # PYTHONWARNINGS=error would end programs in what libraries only warn of.
  if os.environ.get('PYTHONWARNINGS'):
    warnings.resetwarnings()
    warnings.simplefilter('ignore')
    del os.environ['PYTHONWARNINGS']
  for stream in (sys.stdout, sys.stderr):
    # Names and signs that the terminal's encoding lacks.
    if hasattr(stream, 'reconfigure'):
      stream.reconfigure(errors='backslashreplace')


def check_xla_flags() -> None:
  """Raises UserError where XLA would abort at its flags.

  It does so wherever a program first computes, without an exception.
  """
  flags = os.environ.get('XLA_FLAGS', '')
  if not flags.strip() or _DEVICES.fullmatch(flags.strip()):
    return
  done = subprocess.run(
      [sys.executable, '-c', _CHECK], capture_output=True, text=True,
      errors='replace', check=False,
  )
  if not done.returncode or 'ModuleNotFoundError' in done.stderr:
    return
  match = re.search(r'\w+\.cc:\d+\] (.*)', done.stderr)
  reason = match[1] if match else 'XLA cannot read it'
  raise UserError(
      f'environment variable XLA_FLAGS: {flags!r}: {reason}; allowed are flags'
      ' of the installed XLA, or none'
  )


def explained(error: BaseException) -> UserError | None:
  """What JAX raised because of an environment variable, in one line.

  Args:
    error: that ended a program.

  Returns:
    What to say instead; None where something else is the matter.
  """
  modules = {
      frame.f_globals.get('__name__')
      for frame, _ in traceback.walk_tb(error.__traceback__)
  }
  text = str(error)
  if isinstance(error, RuntimeError | AssertionError) and (
      'jax._src.xla_bridge' in modules
  ):
    return _wrong_platform(text)
  if isinstance(error, ValueError) and 'jax._src.config' in modules:
    for name, value in os.environ.items():
      flag = name.lower()
      if name.startswith('JAX_') and (
          re.search(rf"'{name}'|\b{flag}\b", text)
      ):
        return UserError(
            f'environment variable {name}: {value!r}: {text}; allowed is what'
            ' JAX documents, or no such variable'
        )
  return None


def _wrong_platform(text: str) -> UserError:
  import jax  # noqa: PLC0415

  name, value = next(
      ((name, os.environ[name]) for name in _PLATFORMS if os.environ.get(name)),
      ('JAX_PLATFORMS', ''),
  )
  for setting in ('jax_platforms', 'jax_platform_name'):
    jax.config.update(setting, None if setting == 'jax_platforms' else '')
  try:
    here = sorted({'cpu', jax.default_backend()})
  # Whatever a driver of an accelerator raises.
  except Exception:
    here = ['cpu']
  reason = text.partition(' (set JAX_PLATFORMS')[0].rstrip('.')
  reason = reason or 'no such devices here'
  return UserError(
      f'environment variable {name}: {value!r}: {reason}; allowed here are'
      f' {", ".join(here)}, or no such variable'
  )

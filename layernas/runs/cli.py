"""Command lines whose errors are one line and exit code 2.

A failed trial that ends its run is more than a line, its traceback, and exit
code 1.
"""

import ast
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging
from ml_collections import config_dict
from ml_collections import config_flags

from layernas import lookup
from layernas.errors import Preempted
from layernas.errors import TrialError
from layernas.errors import UserError
from layernas.termination import end_on_sigterm
from layernas.termination import preempt

FAILED = 1
"""Exit code where a trial failed that must not."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it."""

_EXAMPLE = 'configs/cifar10_small.py'

_OPEN = re.compile(r'.*settings')
"""Sections that take any field: what they may hold is decided by the function
of the user's own that they are passed to (`layernas.lookup.call`)."""


def define_config(description: str) -> flags.FlagHolder:
  """Defines the flag --config and overrides such as --config.seed=1.

  Args:
    description: for --help.

  Returns:
    A holder for `config_of`.
  """
  return config_flags.DEFINE_config_file('config', None, description)


def config_of(holder: flags.FlagHolder) -> config_dict.ConfigDict:
  """The config given on the command line.

  Args:
    holder: of `define_config`.

  Returns:
    A locked config.

  Raises:
    UserError: there is none or its file cannot be loaded.
  """
  if holder.value is None:
    raise UserError(
        f'flag --config: missing; allowed is a config file, e.g. {_EXAMPLE}'
    )
  try:
    holder.value.to_dict()
  except OSError as error:
    raise UserError(
        f'flag --config: {error.__cause__}; allowed is a config file, e.g.'
        f' {_EXAMPLE}'
    ) from error
  return holder.value


def define_hosts() -> Callable[[], None]:
  """Defines the flags by which several processes of one run find each other.

  Returns:
    A function that joins the other processes, to be called before JAX
    computes. It raises a UserError where the flags do not fit each other or
    the others did not come.
  """
  coordinator = flags.DEFINE_string(
      'coordinator', os.environ.get('LAYERNAS_COORDINATOR', ''),
      'Runs one search or training on several hosts: the same command on each,'
      ' with host:port of process 0, or auto where the platform knows (TPU'
      ' slices, Slurm, Open MPI). Default: environment variable'
      ' LAYERNAS_COORDINATOR, or alone.',
  )
  processes = flags.DEFINE_integer(
      'process_count', None,
      'Number of processes, with --coordinator=host:port.', lower_bound=1,
  )
  process = flags.DEFINE_integer(
      'process_index', None, 'Of this process, 0 to process_count - 1.',
      lower_bound=0,
  )

  def join() -> None:
    count, index = processes.value, process.value
    if not coordinator.value and (count, index) != (None, None):
      raise UserError(
          'flag --coordinator: missing; allowed with --process_count and'
          ' --process_index is host:port of process 0'
      )
    if None not in (count, index) and index >= count:
      raise UserError(
          f'flag --process_index: {index}: allowed is 0 to {count - 1}'
      )
    # JAX is slow to import; a wrong flag is answered before.
    from layernas.training import hosts  # noqa: PLC0415

    hosts.join(coordinator.value, count, index)

  return join


def run(
    main: Callable[..., None], resumable: bool = False, argument: str = ''
) -> None:
  """Parses the flags and runs a program.

  Args:
    main: reads `flags.FLAGS`; a UserError that it raises is printed in one
      line, a TrialError with its traceback.
    resumable: whether the program may be ended by SIGTERM at any time, with
      exit code 0; where it has something to save, it notices the signal itself
      and raises Preempted.
    argument: name of the one argument beside the flags that the program takes
      and `main` is given; '' where it takes none.
  """
  if resumable:
    end_on_sigterm()
  # Below warnings, libraries print pages about every checkpoint.
  logging.set_verbosity(logging.WARNING)
  app.run(lambda argv: _guarded(main, argv, argument), flags_parser=_parse)


def _parse(argv: Sequence[str]) -> list[str]:
  """Parses flags; a wrong one ends the program in one line."""
  _find_own_modules(argv)
  argv, settings = _split_settings(argv)
  # ml_collections looks for overrides there, not in what is parsed.
  sys.argv[:] = argv
  try:
    rest = flags.FLAGS(argv)
    _set(settings)
    return rest
  except (AttributeError, KeyError) as error:
    _fail(_unknown_field(argv) or f'{type(error).__name__}: {error}')
  except (flags.Error, UserError, ImportError, OSError, TypeError,
          ValueError) as error:
    # Where a config file raises, ml_collections quotes the whole traceback.
    _fail(re.sub(r'Traceback \(.*\n(?=\S)', '', str(error), flags=re.DOTALL))


def _find_own_modules(argv: Sequence[str]) -> None:
  """Modules of the user's own may lie here or beside the config."""
  directories = [os.getcwd()]
  arguments = iter(argv)
  for argument in arguments:
    name, equals, text = argument.partition('=')
    if name in ('-config', '--config'):
      path = (text if equals else next(arguments, '')).partition(':')[0]
      directories.append(os.path.dirname(os.path.expanduser(path)) or '.')
  lookup.search_in(*directories)


def _split_settings(
    argv: Sequence[str],
) -> tuple[list[str], dict[str, str]]:
  """Takes the overrides of open sections out of the arguments.

  ml_collections knows only the fields that a config file sets.

  Args:
    argv: all arguments.

  Returns:
    The others, and text by dotted name of the field.
  """
  rest, settings = [], {}
  arguments = iter(argv)
  for argument in arguments:
    name, equals, text = argument.partition('=')
    path = re.fullmatch(r'--?config\.((?:\w+\.)+\w+)', name)
    if path and _OPEN.fullmatch(path[1].rpartition('.')[0]):
      settings[path[1]] = text if equals else next(arguments, '')
    else:
      rest.append(argument)
  return rest, settings


def _set(settings: Mapping[str, str]) -> None:
  """Sets fields of open sections of the config."""
  config = flags.FLAGS['config'].value if settings else None
  for path, text in settings.items():
    section, _, name = path.rpartition('.')
    target = config
    for field in section.split('.'):
      if not isinstance(target, config_dict.ConfigDict) or field not in target:
        raise UserError(
            f'flag --config.{path}: unknown config field {field!r}; allowed are'
            f' {sorted(target) if hasattr(target, "keys") else "none below it"}'
        )
      target = target[field]
    try:
      value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
      value = text
    try:
      with target.unlocked():
        target[name] = value
    except TypeError as error:
      raise UserError(f'flag --config.{path}: {text!r}: {error}') from error


def _unknown_field(argv: Sequence[str]) -> str:
  """Names the first override whose field the config does not have."""
  texts = dict(
      match.groups() for match in
      (re.match(r'--?([\w.]+)=(.*)', text, re.DOTALL) for text in argv) if match
  )
  path, _, argument = texts.pop('config', '').partition(':')
  spec = importlib.util.spec_from_file_location('config', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config: Any = module.get_config(argument) if argument else module.get_config()
  for name in texts:
    value = config
    for field in name.split('.')[1:] if name.startswith('config.') else ():
      if not isinstance(value, config_dict.ConfigDict) or field not in value:
        fields = sorted(value) if hasattr(value, 'keys') else 'none below it'
        return f'{name}: unknown config field {field!r}; allowed are {fields}'
      value = value[field]
  return ''


def _guarded(
    main: Callable[..., None], argv: Sequence[str], argument: str = ''
) -> None:
  expected = 2 if argument else 1
  if len(argv) > expected:
    one = f'{argument} and ' if argument else ''
    only = '' if argument else ' only'
    _fail(f'argument {argv[expected]!r}: allowed are {one}flags{only}; see'
          ' --help')
  if len(argv) < expected:
    _fail(f'argument {argument}: missing; see --help')
  try:
    main(*argv[1:])
    if signal.getsignal(signal.SIGTERM) is preempt:
      # All is saved: what is left is to come to an end.
      signal.signal(signal.SIGTERM, signal.SIG_IGN)
  except Preempted as reason:
    print(f'preempted: {reason}; the same command goes on from here')
    sys.exit(0)
  except UserError as error:
    _fail(str(error))
  except TrialError as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(FAILED)
  except KeyboardInterrupt:
    print('interrupted; the same command goes on from here', file=sys.stderr)
    sys.exit(INTERRUPTED)


def _fail(message: str) -> NoReturn:
  print('error: ' + ' '.join(message.split()), file=sys.stderr)
  sys.exit(2)

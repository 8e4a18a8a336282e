"""Command lines whose errors are one line and exit code 2.

A failed trial that ends its run is more than a line, its traceback, and exit
code 1; a search that found no network is one line and exit code 1.
"""

import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from collections.abc import Sequence
from typing import NoReturn

from absl import app
from absl import flags
from absl import logging
from ml_collections import config_dict

from layernas import activity
from layernas import installation
from layernas import lookup
from layernas import paths
from layernas.errors import NothingFoundError
from layernas.errors import Preempted
from layernas.errors import TrialError
from layernas.errors import UserError
from layernas.runs import config_flag
from layernas.runs import environment
from layernas.runs import flag_files
from layernas.runs import help_text
from layernas.storage import resuming
from layernas.storage.files import without_gcsfs
from layernas.termination import INTERRUPTED
from layernas.termination import INTERRUPTED_TEXT
from layernas.termination import PREEMPTED_TEXT
from layernas.termination import end_on_interrupt
from layernas.termination import end_on_sigterm
from layernas.termination import end_unanswered
from layernas.termination import leave
from layernas.termination import preempt

FAILED = 1
"""Exit code where a trial failed that must not, or a search found nothing."""


class ConfigFlag:
  """The flag --config and the changes of fields beside it.

  Attributes:
    value: the config, or None where there is none.
    overrides: changes of its fields, or of those of a recorded config.
    defaults: config file whose fields --help lists.
  """

  def __init__(
      self, description: str, default: str, defaults: str,
      rules: resuming.Rules,
  ):
    """Defines the flag.

    Args:
      description: for --help.
      default: config where the flag is not given; '' = none.
      defaults: config file, from the checkout's root, whose fields --help
        lists.
      rules: of runs with such a config.
    """
    flags.DEFINE_string('config', default or None, description)
    self.defaults = defaults
    self._rules = rules
    self.value: config_dict.ConfigDict | None = None
    self.overrides: list[config_flag.Override] = []

  def read(self, overrides: list[config_flag.Override]) -> None:
    """Loads the file that the parsed flag names, and changes the fields.

    Args:
      overrides: of the command line.

    Raises:
      UserError: the file cannot be loaded, or a change is wrong.
    """
    self.overrides = overrides
    file = flags.FLAGS['config'].value
    if file is not None:
      self.value = config_flag.load(file, self._rules.defaults)
      config_flag.override(self.value, overrides)

  def changed(self, config: config_dict.ConfigDict) -> config_dict.ConfigDict:
    """A recorded config with the changes of the command line.

    Args:
      config: as a run has recorded it; is changed.

    Returns:
      The config.

    Raises:
      UserError: it has no such field, or a text is no value of it.
    """
    config_flag.override(config, self.overrides)
    return config


_defined: list[ConfigFlag] = []
_prefixes: list[str] = []
_required: list[str] = []
_paths: list[str] = []


def define_config(
    description: str, default: str = '', defaults: str = 'configs/default.py',
    rules: resuming.Rules = resuming.SEARCH,
) -> ConfigFlag:
  """Defines the flag --config and overrides such as --config.seed=1.

  Args:
    description: for --help.
    default: config where the flag is not given; '' = none.
    defaults: config file, from the checkout's root, whose fields --help lists.
    rules: of runs with such a config, which may be a workdir's config.json.

  Returns:
    A holder for `config_of`.
  """
  _defined[:] = [ConfigFlag(description, default, defaults, rules)]
  return _defined[0]


def config_of(holder: ConfigFlag) -> config_dict.ConfigDict:
  """The config given on the command line.

  Args:
    holder: of `define_config`.

  Returns:
    A locked config.

  Raises:
    UserError: there is none.
  """
  if holder.value is None:
    raise UserError(
        'flag --config: missing; allowed is a config file, e.g.'
        f' {config_flag.EXAMPLE}'
    )
  return holder.value


class _PathParser(flags.ArgumentParser):
  """Paths as people type them; see `layernas.paths`."""

  def __init__(self, name: str):
    super().__init__()
    self._where = f'flag --{name}'

  def parse(self, argument: str) -> str:
    """The path, never empty."""
    if not argument.strip():
      raise UserError(f'{self._where}: empty; allowed is a path')
    return paths.expanded(self._where, argument)


def define_path(
    name: str, description: str, required: bool = False,
    default: str | None = None,
) -> flags.FlagHolder[str | None]:
  """Defines a flag that holds a path.

  Args:
    name: of the flag.
    description: for --help.
    required: whether it must be given.
    default: where it is not given; None for none.

  Returns:
    Its holder; the value has no `~` and no variables in it.
  """
  _paths.append(name)
  if required:
    _required.append(name)
  return flags.DEFINE(_PathParser(name), name, default, description)


def define_workdir(
    description: str, prefix: str = ''
) -> flags.FlagHolder[str | None]:
  """Defines the flag --workdir of a program that has --config.

  Args:
    description: for --help.
    prefix: of the default's name, which is else that of the config.

  Returns:
    Its holder, whose value is never None where there is a config; see
    `workdir_of`.
  """
  _prefixes[:] = [prefix]
  return define_path(
      'workdir', f'{description} Default: workdir/{prefix}NAME, where NAME is'
      ' that of the config with its argument.'
  )


def workdir_of(config: str, prefix: str = '') -> str:
  """Where a run goes unless the flags say otherwise.

  Args:
    config: as the flag --config names it.
    prefix: of the name.

  Returns:
    workdir/NAME below the current directory; that of the file for the
    config.json of a workdir.
  """
  if config.endswith('.json'):
    return os.path.dirname(config) or '.'
  file, argument = config_flag.parts(config)
  name = os.path.basename(file).removesuffix('.py').removeprefix(prefix)
  argument = re.sub(r'\W', '_', f':{argument}' if argument else '')
  return os.path.join('workdir', f'{prefix}{name}{argument}')


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
    with activity.doing('loading JAX'):
      from layernas.training import hosts  # noqa: PLC0415

    hosts.join(coordinator.value, count, index)

  return join


def run(
    main: Callable[..., None], resumable: bool = False, argument: str = '',
    data: flags.FlagHolder[bool] | bool = False,
) -> None:
  """Parses the flags and runs a program.

  What takes long meanwhile (`activity`) is a line of standard output.

  Args:
    main: reads `flags.FLAGS`; a UserError that it raises is printed in one
      line, a TrialError with its traceback.
    resumable: whether the program may be ended by SIGTERM at any time, with
      exit code 0; where it has something to save, it notices the signal itself
      and raises Preempted.
    argument: names of the arguments beside the flags that the program takes and
      `main` is given, paths, such as 'WORKDIR', or 'MODEL IMAGE...' where one
      or more may follow; '' where it takes none.
    data: whether another program may read what this one prints, or the flag
      that says so: then a terminal alone shows what takes long, by standard
      error.
  """
  environment.prepare()
  installation.find_configs()
  end_on_interrupt()
  if resumable:
    end_on_sigterm()
  end_unanswered()
  # Below warnings, libraries print pages about every checkpoint.
  logging.set_verbosity(logging.WARNING)
  app.run(
      lambda argv: _guarded(main, argv, argument, data), flags_parser=_parse
  )


def _say(line: str) -> None:
  print(line, flush=True)


def _say_aside(line: str) -> None:
  """Shows a line to a person who waits, and to no file or pipe."""
  if sys.stderr.isatty():
    print(line, file=sys.stderr, flush=True)


def _parse(argv: Sequence[str]) -> list[str]:
  """Parses flags; a wrong one ends the program in one line."""
  try:
    argv = flag_files.expanded(argv)
    # Modules of the user's own may be here, or beside the config.
    lookup.search_in(os.getcwd())
    if help_text.is_asked(argv):
      _show_help(argv)
    overrides: list[config_flag.Override] = []
    if _defined:
      argv, overrides = config_flag.split(argv)
    rest = flags.FLAGS(argv)
    _check_required()
    for holder in _defined:
      holder.read(overrides)
    for prefix in _prefixes:
      if flags.FLAGS['workdir'].value is None and flags.FLAGS['config'].value:
        flags.FLAGS['workdir'].value = workdir_of(
            flags.FLAGS['config'].value, prefix
        )
    return rest
  except (flags.Error, UserError) as error:
    _fail(_wrong_flag(error))


def _wrong_flag(error: flags.Error | UserError) -> str:
  """What is wrong with the command line."""
  # absl repeats the flag in front of what a parser says.
  cause = error.__context__
  if isinstance(cause, UserError):
    return str(cause)
  if not isinstance(error, flags.IllegalFlagValueError):
    return str(error)
  # What its own parsers say is Python's: 'could not convert ...'.
  given = str(error).removesuffix(f': {cause}').removeprefix('flag --')
  name, _, text = given.partition('=')
  # Of a flag that is required, absl says that None is not allowed.
  if text == f'None: Flag --{name} must have a value other than None.':
    return f'flag --{name}: missing; see --help'
  parser = flags.FLAGS[name].parser
  allowed = parser.syntactic_help or (
      f'one of {list(parser.enum_values)}'
      if isinstance(parser, flags.EnumParser) else 'true or false'
  )
  return f'flag --{name}: {text!r}: allowed is {allowed}'


def _check_required() -> None:
  for name in _required:
    if flags.FLAGS[name].value is None:
      raise UserError(f'flag --{name}: missing; allowed is a path')


def _show_help(argv: Sequence[str]) -> NoReturn:
  text = help_text.program(_defined[0].defaults if _defined else '', argv)
  try:
    print(text, flush=True)
  except BrokenPipeError:
    # A reader such as head has seen enough.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  sys.exit(0)


def _guarded(
    main: Callable[..., None], argv: Sequence[str], argument: str,
    data: flags.FlagHolder[bool] | bool,
) -> None:
  names, given = argument.split(), argv[1:]
  if len(given) > len(names) and not argument.endswith('...'):
    one = f'{argument} and ' if argument else ''
    only = '' if argument else ' only'
    _fail(f'argument {given[len(names)]!r}: allowed are {one}flags{only}; see'
          ' --help')
  if len(given) < len(names):
    _fail(f'argument {names[len(given)]}: missing; see --help')
  try:
    environment.check_xla_flags()
    is_data = data if isinstance(data, bool) else data.value
    with activity.shown(_say_aside if is_data else _say):
      main(*(
          paths.expanded(f'argument {argument}', text) for text in given
      ))
    if signal.getsignal(signal.SIGTERM) is preempt:
      # All is saved: what is left is to come to an end.
      signal.signal(signal.SIGTERM, signal.SIG_IGN)
  except Preempted as reason:
    print(PREEMPTED_TEXT.format(reason))
    leave(0)
  except UserError as error:
    _fail(str(error))
  except (NothingFoundError, TrialError) as error:
    print(f'error: {error}', file=sys.stderr)
    sys.exit(FAILED)
  except KeyboardInterrupt:
    print(INTERRUPTED_TEXT, file=sys.stderr)
    leave(INTERRUPTED)
  except (AttributeError, KeyError) as error:
    lacking = _lacking_field(error)
    if lacking is None:
      raise
    _fail(lacking)
  except ImportError as error:
    # Of epath, where a path on gs:// is used.
    if 'gcsfs' not in str(error):
      raise
    _fail(str(without_gcsfs('a path on gs://')))
  except OSError as error:
    blamed = _blamed_flag(error)
    if blamed is None:
      raise
    _fail(blamed)
  except (AssertionError, RuntimeError, ValueError) as error:
    known = environment.explained(error)
    if known is None:
      raise
    _fail(str(known))


def _lacking_field(error: AttributeError | KeyError) -> str | None:
  """What to say where the config is one of another program."""
  *_, (frame, _) = traceback.walk_tb(error.__traceback__)
  module = frame.f_globals.get('__name__', '')
  if not _defined or not module.startswith(config_dict.__name__):
    return None
  field = str(error).strip('"\'').partition("'")[0]
  return (
      f'flag --config: {flags.FLAGS["config"].value!r}: has no field {field!r};'
      f' allowed is a config with the fields of {_defined[0].defaults}'
  )


def _blamed_flag(error: OSError) -> str | None:
  """What to say where a file of a path that was given is to blame."""
  if not isinstance(error.filename, str):
    return None
  file = os.path.abspath(error.filename)
  for name in _paths:
    path = flags.FLAGS[name].value
    if path is None:
      continue
    given = os.path.abspath(path)
    if os.path.commonpath([file, given]) in (file, given):
      return (
          f'flag --{name}: {path!r}: {error.filename}: {error.strerror};'
          ' allowed is a path that can be used'
      )
  return None


def _fail(message: str) -> NoReturn:
  print('error: ' + ' '.join(message.split()), file=sys.stderr)
  sys.exit(2)

"""What --help prints: the program, its flags and the fields of its config."""

import sys
from collections.abc import Iterator
from collections.abc import Sequence

from absl import flags
from ml_collections import config_dict

from layernas import installation
from layernas.runs import config_flag
from layernas.runs import config_help

_DEFAULT = 'configs/default.py'
_STUDIES = 'configs/study/'
_STUDY = _STUDIES + 'default.py'
_WORDS = {'--help', '-help', '-h', '--helpshort', '--helpfull', '--h'}
_COLUMN = 26
_SEARCH = 'methods.NAME.settings.'
"""Fields that are those of the section search in configs/default.py."""



def is_asked(argv: Sequence[str]) -> bool:
  """Whether the arguments ask for help.

  Args:
    argv: all arguments.
  """
  arguments = list(argv)
  end = arguments.index('--') if '--' in arguments else len(arguments)
  return bool(_WORDS & set(arguments[1:end]))


def program(defaults: str, argv: Sequence[str]) -> str:
  """The help of the program that runs.

  Args:
    defaults: config file from the checkout's root whose fields are listed; ''
      where the program takes none.
    argv: all arguments; a config that they name is shown instead.

  Returns:
    Text of many lines.

  Raises:
    UserError: that config cannot be loaded.
  """
  main = sys.modules['__main__'].__doc__ or ''
  lines = [main.strip(), '', 'Flags:', *_flags()]
  if defaults:
    lines += ['', *_fields(defaults, argv)]
  return '\n'.join(lines)


def _flags() -> Iterator[str]:
  """Rows of the program's own flags, not of those of libraries."""
  own = {
      flag.name: flag
      for module, found in flags.FLAGS.flags_by_module_dict().items()
      if module == sys.argv[0] or module.startswith('layernas')
      for flag in found
  }
  for name, flag in sorted(own.items()):
    text = flag.help
    default = flag.default
    if default not in (None, ''):
      shown = ','.join(default) if isinstance(default, list) else default
      text += f' Default: {shown}.'
    yield from config_help.columns(f'--{name}=...', text, _COLUMN)
  yield from config_help.columns(
      '--flagfile=FILE', 'Flags from a file, one a line.', _COLUMN
  )


def _fields(defaults: str, argv: Sequence[str]) -> Iterator[str]:
  """The table of the config's fields."""
  given = [
      text for name, text in _pairs(argv) if name.lstrip('-') == 'config'
  ]
  file = given[-1] if given else str(installation.ROOT / defaults)
  config = config_flag.load(file).unlock()
  yield (
      f'Fields of the config {given[-1] if given else defaults}, with its'
      ' values.'
  )
  yield 'Each is changed by a flag, as in --config.seed=1:'
  yield ''
  yield config_help.describe(config, comments_of(config, defaults))


def comments_of(
    config: config_dict.ConfigDict, defaults: str
) -> dict[str, str]:
  """What the fields of a config are.

  Args:
    config: unlocked; the benchmarks and the methods of a study become one each,
      named NAME.
    defaults: config file from the checkout's root that has the comments.

  Returns:
    Comments by dotted name, in the order of the file.
  """
  comments = config_help.read_comments(installation.ROOT / defaults)
  if not defaults.startswith(_STUDIES):
    return comments
  _show_one_each(config)
  search = config_help.read_comments(installation.ROOT / _DEFAULT)
  return config_help.read_comments(installation.ROOT / _STUDY) | comments | {
      _SEARCH + name.removeprefix('search.'): comment
      for name, comment in search.items() if name.startswith('search.')
  }


def _show_one_each(config: config_dict.ConfigDict) -> None:
  """Puts the default section in the place of all benchmarks and methods."""
  module = config_flag.module_of(str(installation.ROOT / _STUDY))
  if 'benchmarks' in config:
    config.benchmarks = {'NAME': module.benchmark()}
  if 'methods' in config:
    config.methods = {'NAME': module.method('layernas')}


def _pairs(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
  """Flags and what follows them, behind an equals sign or a space."""
  for argument, following in zip(argv, [*argv[1:], ''], strict=True):
    name, equals, text = argument.partition('=')
    yield name, text if equals else following

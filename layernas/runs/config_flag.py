"""The flag --config, which loads a config file and changes its fields.

A field can be given in every form in which absl takes a flag: --config.seed=1,
--config.seed 1, -config.seed=1, and in flag files. The fields of a config that
a run has recorded are changed in the same way.
"""

import ast
import difflib
import glob
import importlib.util
import inspect
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from absl import flags
from etils import epath
from ml_collections import config_dict

from layernas import installation
from layernas import lookup
from layernas import paths
from layernas.errors import UserError
from layernas.storage import resuming

EXAMPLE = 'cifar10_small'
"""Name of a config in messages."""

OWN_MODULES_FILE = 'own_modules.json'
"""File of a search's workdir with the directories of the user's own modules
that its config names."""

_OPEN = re.compile(r'.*settings|limits')
"""Sections that take any field: the allowed fields are the arguments of the
user's own function that gets them (`layernas.lookup.call`), or the metrics."""

_NUMBER = re.compile(r'-[\d.]')

_ONE_OR_SEVERAL = ('target.high',)
"""Fields that take one number or several, whatever their present value."""

Defaults = Callable[[resuming.Fields], resuming.Fields]
"""All fields with their defaults, for a recorded config."""

Override = tuple[str, str | None]
"""Dotted name of a field and its text; None if only the name was given."""


def split(argv: Sequence[str]) -> tuple[list[str], list[Override]]:
  """Takes the changes of config fields out of the arguments.

  Args:
    argv: all arguments, flag files expanded.

  Returns:
    The other arguments, and the changes in order.
  """
  rest: list[str] = []
  overrides: list[Override] = []
  arguments = list(argv)
  while arguments:
    argument = arguments.pop(0)
    if argument == '--':
      return [*rest, argument, *arguments], overrides
    match = re.fullmatch(
        r'--?(no)?config\.([^=]*)(?:=(.*))?', argument, re.DOTALL
    )
    if not match:
      rest.append(argument)
      continue
    no, name, text = match.groups()
    if no:
      text = 'false'
    elif text is None and arguments and (
        not arguments[0].startswith('-') or _NUMBER.match(arguments[0])
    ):
      text = arguments.pop(0)
    overrides.append((name, text))
  return rest, overrides


def load(
    text: str, defaults: Defaults = resuming.default_fields
) -> config_dict.ConfigDict:
  """Loads a config file.

  Args:
    text: path of a Python file with a function get_config, or the name of one
      of the package's own configs; either may be followed by a colon and the
      function's argument. Or the path of the config.json of a workdir.
    defaults: defaults of fields that a config.json lacks.

  Returns:
    The locked config.

  Raises:
    UserError: there is no such file, or it gives no config.
  """
  if text.endswith('.json'):
    # Of another file system, perhaps; few need it.
    from layernas.storage.workdir import read_json  # noqa: PLC0415

    file = paths.expanded('flag --config', text)
    return recorded(read_json(file), file, defaults)
  file, argument = parts(text)
  if not os.path.exists(file) and file in installation.config_names():
    file = str(installation.ROOT / 'configs' / f'{file}.py')
  file = paths.expanded('flag --config', file)
  if not os.path.isfile(file) or not file.endswith('.py'):
    found = (
        'a directory' if os.path.isdir(file)
        else 'no Python file' if os.path.exists(file) else 'no such file'
    )
    raise UserError(
        f'flag --config: {file!r}: {found}{_elsewhere(file)}; allowed is a'
        f' config file, or one of {installation.config_names()}'
    )
  lookup.search_in(os.path.dirname(file))
  module = module_of(file)
  get_config = getattr(module, 'get_config', None)
  if not callable(get_config):
    raise UserError(
        f'flag --config: {file!r}: no function get_config in it; allowed is a'
        f' config file, e.g. {EXAMPLE}'
    )
  given = () if argument is None else (argument,)
  try:
    inspect.signature(get_config).bind(*given)
  except TypeError as error:
    takes = 'none' if given else 'one, as in FILE.py:ARGUMENT'
    raise UserError(
        f'flag --config: {text!r}: allowed as an argument of this config is'
        f' {takes}'
    ) from error
  config = _called(file, lambda: get_config(*given))
  if not isinstance(config, config_dict.ConfigDict):
    raise UserError(
        f'flag --config: {file!r}: get_config returned a'
        f' {type(config).__name__}; allowed is a ConfigDict'
    )
  return config.lock()


def parts(text: str) -> tuple[str, str | None]:
  """The parts of the flag --config.

  Args:
    text: text of the flag.

  Returns:
    File or name, and the argument after the colon; None if there is none.
  """
  match = re.fullmatch(r'(.*?\.py|[\w/]+)(?::(.*))?', text, re.DOTALL)
  return match.groups() if match else (text, None)


def recorded(
    fields: Any, file: str | os.PathLike[str],
    defaults: Defaults = resuming.default_fields,
) -> config_dict.ConfigDict:
  """The config of a run; its own modules are searched where the run was.

  Args:
    fields: fields that a workdir has.
    file: file that has them.
    defaults: defaults of missing fields.

  Returns:
    The locked config.

  Raises:
    UserError: there are no fields.
  """
  every = defaults(fields) if isinstance(fields, dict) else {}
  if not every or every.keys().isdisjoint(fields):
    raise UserError(
        f'file {file}: holds no config of such a run; allowed is the'
        ' config.json of its workdir, or --config=FILE.py'
    )
  search_own_modules(file)
  _check_types(file, fields, every)
  return config_dict.ConfigDict(resuming.completed(fields, every)).lock()


def _check_types(
    file: str | os.PathLike[str], fields: resuming.Fields,
    defaults: resuming.Fields, section: str = '',
) -> None:
  """Raises UserError if a field of a JSON file is not of its default's type."""
  for key in fields.keys() & defaults.keys():
    name, value, default = f'{section}{key}', fields[key], defaults[key]
    if isinstance(default, Mapping) and isinstance(value, Mapping):
      _check_types(file, value, default, f'{name}.')
    elif name not in _ONE_OR_SEVERAL and not _is_like(value, default):
      allowed = next(
          words for kind, _, words in _RULES if isinstance(default, kind)
      )
      raise UserError(f'file {file}: {name}: {value!r}: allowed is {allowed}')


def _is_like(value: Any, default: Any) -> bool:
  """Whether a value of a JSON file is of the type of a field's default."""
  if isinstance(default, tuple | list):
    kinds = {type(one) for one in default}
    return isinstance(value, tuple | list) and (
        len(kinds) != 1 or all(_is_like(one, default[0]) for one in value)
    )
  if isinstance(default, float):
    return isinstance(value, float | int) and not isinstance(value, bool)
  # True is an int, too.
  return default is None or type(value) is type(default)


def search_own_modules(file: str | os.PathLike[str]) -> None:
  """Adds where a search found its modules, and a file's folder, to the path.

  Args:
    file: a file of a search's workdir.
  """
  from layernas.storage.workdir import read_json  # noqa: PLC0415

  workdir = epath.Path(file).parent
  listed = workdir / OWN_MODULES_FILE
  found = read_json(listed) if listed.exists() else []
  directories = found if isinstance(found, list) else []
  lookup.search_in(*filter(os.path.isdir, map(str, [*directories, workdir])))


def _elsewhere(file: str) -> str:
  """Where a file of the same name lies below the directory that was named."""
  directory, name = os.path.split(file)
  found = sorted(pathlib.Path(directory).glob(f'*/{glob.escape(name)}'))
  return f' (did you mean {str(found[0])!r}?)' if found else ''


def override(
    config: config_dict.ConfigDict, overrides: Iterable[Override]
) -> None:
  """Changes fields of a config.

  Args:
    config: config to change.
    overrides: changes from `split`. If a field is given twice, the last value
      counts; a field of several values takes all.

  Raises:
    UserError: the config has no such field, or the text is no value of it.
  """
  several: dict[str, tuple[Any, ...]] = {}
  for name, text in overrides:
    section, field = _place(config, name)
    if name in _ONE_OR_SEVERAL:
      with section.unlocked(), section.ignore_type():
        section[field] = _one_or_several(name, text)
      continue
    current = section.get(field)
    value = _value(name, text, current)
    if isinstance(current, config_dict.ConfigDict):
      override(config, [
          (f'{name}.{key}', one if isinstance(one, str) else repr(one))
          for key, one in value.items()
      ])
      continue
    if isinstance(current, tuple | list):
      several[name] = several.get(name, ()) + value
      value = type(current)(several[name])
    try:
      with section.unlocked():
        section[field] = value
    except TypeError as error:
      raise UserError(f'flag --config.{name}: {text!r}: {error}') from error


def module_of(file: str) -> ModuleType:
  """Runs a config file.

  Args:
    file: a Python file.

  Returns:
    The module of the file.

  Raises:
    UserError: the file does not run.
  """
  spec = importlib.util.spec_from_file_location('config_config', file)
  module = importlib.util.module_from_spec(spec)
  # Dataclasses and pickles look their module up.
  sys.modules[spec.name] = module
  _called(file, lambda: spec.loader.exec_module(module))
  return module


def _called(file: str, function: Callable[[], Any]) -> Any:
  """Runs what a config file holds; what it raises becomes one line."""
  try:
    return function()
  except UserError:
    raise
  except ValueError as error:
    raise UserError(f'flag --config: {file!r}: {error}') from error
  # A user's file may raise anything.
  except Exception as error:
    line = _line_of(file, error)
    # ConfigDict shows all fields behind an unknown one: pages.
    text = str(error).partition(' Other fields present:')[0].strip("'")
    raise UserError(
        f'flag --config: {file!r}{line}: {type(error).__name__}: {text};'
        ' allowed is a config file that runs'
    ) from error


def _line_of(file: str, error: Exception) -> str:
  if isinstance(error, SyntaxError):
    return '' if error.lineno is None else f', line {error.lineno}'
  lines = [
      frame.lineno for frame in traceback.extract_tb(error.__traceback__)
      if os.path.abspath(frame.filename) == os.path.abspath(file)
  ]
  return f', line {lines[-1]}' if lines else ''


def _place(
    config: config_dict.ConfigDict, name: str
) -> tuple[config_dict.ConfigDict, str]:
  """Section and last part of a field's dotted name."""
  *sections, field = name.split('.')
  section: Any = config
  for part in sections:
    _require(section, part, name)
    section = section[part]
  if field and _OPEN.fullmatch('.'.join(sections)) and isinstance(
      section, config_dict.ConfigDict
  ):
    return section, field
  _require(section, field, name)
  return section, field


def _require(section: Any, field: str, name: str) -> None:
  if isinstance(section, config_dict.ConfigDict) and field in section:
    return
  allowed = sorted(section) if hasattr(section, 'keys') else []
  near = difflib.get_close_matches(field, allowed, 1)
  meant = f' (did you mean {near[0]!r}?)' if near else ''
  raise UserError(
      f'flag --config.{name}: unknown config field {field!r}{meant}; allowed'
      f' are {allowed or "none below it"}'
  )


def _value(name: str, text: str | None, current: Any) -> Any:
  """The value that a text is for a field."""
  if text is None and not isinstance(current, bool):
    raise UserError(f'flag --config.{name}: no value; allowed is one')
  if isinstance(current, tuple | list):
    return _elements(name, _several(text), current)
  parse, allowed = next(
      (rule for kind, *rule in _RULES if isinstance(current, kind)),
      (_literal, 'any'),
  )
  try:
    return parse(text)
  except (ValueError, SyntaxError, TypeError) as error:
    raise UserError(
        f'flag --config.{name}: {text!r}: allowed is {allowed}'
    ) from error


def _one_or_several(name: str, text: str | None) -> float | tuple[float, ...]:
  """A number, or several that a text joins by commas."""
  if text is None:
    raise UserError(f'flag --config.{name}: no value; allowed is one')
  try:
    numbers = tuple(map(float, _several(text)))
  except (ValueError, TypeError):
    numbers = ()
  if not numbers:
    raise UserError(
        f'flag --config.{name}: {text!r}: allowed is a number, or several'
        ' joined by commas'
    )
  return numbers if len(numbers) > 1 else numbers[0]


def _truth(text: str | None) -> bool:
  return True if text is None else flags.BooleanParser().parse(text)


def _literal(text: str) -> Any:
  try:
    return ast.literal_eval(
        text.capitalize() if text in ('true', 'false') else text
    )
  except (ValueError, SyntaxError):
    return text


def _several(text: str) -> tuple[Any, ...]:
  value = _literal(text)
  if isinstance(value, tuple | list):
    return tuple(value)
  return tuple(part.strip() for part in text.split(',') if part.strip())


def _elements(
    name: str, values: tuple[Any, ...], current: Sequence[Any]
) -> tuple[Any, ...]:
  """Values of the type that those of a field have, where they share one."""
  kinds = {type(one) for one in current}
  if kinds == {str}:
    return tuple(map(str, values))
  values = tuple(
      _literal(one) if isinstance(one, str) else one for one in values
  )
  if kinds == {float}:
    values = tuple(
        float(one) if type(one) is int else one for one in values
    )
  for one in values:
    if len(kinds) == 1 and type(one) not in kinds:
      raise UserError(
          f'flag --config.{name}: {one!r}: allowed are values as in'
          f' {tuple(current)}'
      )
  return values


def _fields(text: str) -> dict[str, Any]:
  value = ast.literal_eval(text)
  if not isinstance(value, dict):
    raise ValueError(text)
  return value


_RULES: tuple[tuple[Any, Callable[[Any], Any], str], ...] = (
    (bool, _truth, 'true or false'),
    (int, flags.IntegerParser().parse, 'an integer'),
    (float, flags.FloatParser().parse, 'a number'),
    (str, str, 'text'),
    (Mapping | config_dict.ConfigDict, _fields, 'a dict of its fields'),
    # Such values are parsed one by one.
    (tuple | list, _several, 'a list of values as in the default'),
)
"""Types of fields, how their values are parsed, and what is allowed."""

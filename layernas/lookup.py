"""Finds what a config names: a registered name, or a module:function.

Every seam of the package (schedules, optimisers, data loaders, rewards, cost
metrics, spaces, block types) is a dict from names to callables. A value of such
a dict may be the text 'module:function', which is imported when it is first
needed, so that a name costs nothing where it is not used.

What the user's own code raises is told in one line that names its file and
line: `blamed`.
"""

import contextlib
import functools
import importlib
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from layernas.errors import UserError

Registry = Mapping[str, Callable[..., Any] | str]
"""Names to callables, or to the text 'module:function' of one."""

_own_directories: set[str] = set()


def find(field: str, name: str, registered: Registry) -> Callable[..., Any]:
  """What a config field names.

  Args:
    field: of the config, for errors.
    name: a key of `registered`, or 'module:function'.
    registered: what the package itself offers.

  Returns:
    The function or class.

  Raises:
    UserError: there is no such name, module or function.
  """
  known = registered.get(name, name)
  if callable(known):
    return known
  module, colon, function = known.partition(':')
  if not colon:
    raise UserError(
        f'{field}: {name!r}: allowed are {list(registered)}, or module:function'
    )
  try:
    found = _attribute(_imported(f'{field}: {name!r}', module), function)
  except (ImportError, AttributeError, ValueError) as error:
    raise UserError(
        f'{field}: {name!r}: {error}; allowed are {list(registered)}, or'
        ' module:function that can be imported'
    ) from error
  if not callable(found):
    raise UserError(
        f'{field}: {name!r} is a {type(found).__name__}: allowed is a function'
        ' or a class'
    )
  _remember(found)
  return found


def call(
    function: Callable[..., Any], field: str, settings: Mapping[str, Any],
    *arguments: Any,
) -> Any:
  """Calls what a config names with a settings section as keyword arguments.

  Args:
    function: as `find` gives it.
    field: of the settings section, for errors.
    settings: names and values.
    *arguments: further ones, given by position.

  Returns:
    What the function returns.

  Raises:
    UserError: the function takes no such settings, or lacks one; or it is the
      user's own and raises something.
  """
  try:
    signature = inspect.signature(function)
  except ValueError:  # Written in C.
    with blamed(field, function):
      return function(*arguments, **settings)
  try:
    signature.bind(*arguments, **settings)
  except TypeError as error:
    takes = list(signature.parameters)[len(arguments):]
    raise UserError(
        f'{field}: {dict(settings)}: {error}; allowed are the keyword arguments'
        f' of {_name(function)}, {takes}'
    ) from error
  with blamed(field, function):
    return function(*arguments, **settings)


@contextlib.contextmanager
def blamed(field: str, function: Callable[..., Any]) -> Iterator[None]:
  """Tells in one line what the user's own code raises.

  Args:
    field: of the config that names the code.
    function: function or class that is called.

  Raises:
    UserError: an exception came through a file of the user's own: that of the
      function, or one that is not installed. The message names its type, its
      text, the file and the line. Other exceptions go on as they are.
  """
  try:
    yield
  except (UserError, StopIteration):
    raise
  except Exception as error:
    place = _place(error, _file(function))
    if not place:
      raise
    raise UserError(
        f'{field}: {_name(function)}: {_text(error)} ({place})'
    ) from error


def search_in(*directories: str | os.PathLike[str]) -> None:
  """Has modules looked for in further directories, in this process.

  They are the last ones: no module there hides one that is installed. Worker
  processes are given the path of the process that starts them.

  Args:
    *directories: may be there already.
  """
  for directory in map(os.path.abspath, directories):
    if directory not in map(os.path.abspath, sys.path):
      sys.path.append(directory)


def unfit(field: str, name: str, made: Any, allowed: str) -> UserError:
  """The error to raise where what a config names made something else.

  Args:
    field: of the config.
    name: that it holds.
    made: by what it names.
    allowed: what it should have made, with an article.

  Returns:
    The error.
  """
  return UserError(
      f'{field}: {name!r} gave a {type(made).__name__}: allowed is {allowed}'
  )


def own_file(function: Callable[..., Any]) -> str | None:
  """The file of the user's own in which a function or class is written.

  Args:
    function: as `find` gives it.

  Returns:
    Its path; None where the function is the package's or installed.
  """
  file = _file(function)
  if not file or os.path.realpath(file).startswith(_installed()):
    return None
  return os.path.abspath(file)


def own_directories() -> list[str]:
  """Directories in which `find` has found modules of the user's own.

  Returns:
    Absolute paths, for `search_in` in another process.
  """
  return sorted(_own_directories)


def _written(function: Callable[..., Any]) -> Callable[..., Any]:
  """What somebody wrote: of a `functools.partial`, the function in it."""
  while isinstance(function, functools.partial):
    function = function.func
  return function


def _name(function: Callable[..., Any]) -> str:
  """Module and name of a function, a class, or the class of an object."""
  function = _written(function)
  name = getattr(function, '__qualname__', type(function).__qualname__)
  return f'{function.__module__}:{name}'


def _file(function: Callable[..., Any]) -> str | None:
  """The file of the module in which a function or class is written."""
  module = getattr(_written(function), '__module__', None)
  return getattr(sys.modules.get(module or ''), '__file__', None)


def _remember(function: Callable[..., Any]) -> None:
  """Keeps the directory from which a module of the user's own was imported."""
  file = own_file(function)
  if file:
    directory = os.path.dirname(file)
    # A package's parts lie below the directory that is searched.
    parts = _written(function).__module__.split('.')
    within = len(parts) - (os.path.basename(file) != '__init__.py')
    for _ in range(within):
      directory = os.path.dirname(directory)
    _own_directories.add(directory)


def _imported(where: str, module: str) -> Any:
  """Imports a module; tells what is wrong within it."""
  try:
    return importlib.import_module(module)
  except SyntaxError as error:
    raise UserError(
        f'{where}: {_text(error)} ({error.filename}, line {error.lineno})'
    ) from error
  except (UserError, ModuleNotFoundError) as error:
    if isinstance(error, UserError) or error.name in _parents(module):
      raise
    failed: Exception = error
  except Exception as error:
    failed = error
  place = _place(failed)
  if not place:
    raise failed
  raise UserError(f'{where}: {_text(failed)} ({place})') from failed


def _parents(module: str) -> set[str]:
  """A dotted name and those of the packages that it lies in."""
  parts = module.split('.')
  return {'.'.join(parts[:end + 1]) for end in range(len(parts))}


def _attribute(module: Any, name: str) -> Any:
  if hasattr(module, name):
    return getattr(module, name)
  file = getattr(module, '__file__', None)
  raise AttributeError(
      f'module {module.__name__!r}{f" ({file})" if file else ""} has no'
      f' attribute {name!r}'
  )


def _text(error: Exception) -> str:
  """Type and text of an exception, in one line."""
  text = error.msg if isinstance(error, SyntaxError) else str(error)
  return ': '.join(filter(None, (
      type(error).__name__, ' '.join(text.split())
  )))


@functools.cache
def _installed() -> tuple[str, ...]:
  """Directories of code that is not the user's own, this package's first."""
  paths = sysconfig.get_paths()
  names = ('stdlib', 'platstdlib', 'purelib', 'platlib')
  return tuple(
      os.path.realpath(path) + os.sep
      for path in (os.path.dirname(__file__), *map(paths.get, names))
  )


def _place(error: Exception, file: str | None = None) -> str:
  """Where the user's own code raised; '' where it did not.

  Args:
    error: what it raised.
    file: of the function that was called.

  Returns:
    File and line of the user's innermost frame, and the line that led there.
  """
  ours, *others = _installed()
  own = [
      frame for frame in traceback.extract_tb(error.__traceback__)
      if not frame.filename.startswith('<')
      and not os.path.realpath(frame.filename).startswith(
          ours if frame.filename == file else (ours, *others)
      )
  ]
  if not own:
    return ''
  first, last = own[0], own[-1]
  place = f'{last.filename}, line {last.lineno}, in {last.name}'
  if (first.filename, first.lineno) == (last.filename, last.lineno):
    return place
  file = '' if first.filename == last.filename else f'{first.filename}, '
  return f'{place}; called in {file}line {first.lineno}'


def settings_of(
    field: str, name: str, registered: Registry, settings: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> dict[str, Any]:
  """Keyword arguments that a config has for what it names.

  What the package itself offers has fields of its own in the config, and takes
  those with the names of its arguments. A function of the user's own has the
  settings section, whose keys are up to it.

  Args:
    field: of the config that holds the name, such as 'search.schedule'; its
      section has the field 'settings'.
    name: a key of `registered`, or 'module:function'.
    registered: what the package itself offers.
    settings: content of the settings section.
    fields: of the config, by the names of the arguments that they are for.

  Returns:
    What to pass to `call`.

  Raises:
    UserError: there is no such name, or it is registered and there are
      settings.
  """
  if name not in registered:
    return dict(settings)
  if settings:
    raise UserError(
        f'{field.rpartition(".")[0]}.settings: {dict(settings)}: allowed are'
        f' none with {field} {name!r}, whose settings are fields of their own'
    )
  parameters = inspect.signature(find(field, name, registered)).parameters
  return {key: fields[key] for key in parameters if key in fields}

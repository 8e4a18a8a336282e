"""Finds what a config names: a registered name, or a module:function.

Every seam of the package (schedules, optimisers, data loaders, rewards, cost
metrics, spaces, block types) is a dict from names to callables. A value of such
a dict may be the text 'module:function', which is imported when it is first
needed, so that a name costs nothing where it is not used.
"""

import importlib
import inspect
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from layernas.errors import UserError

Registry = Mapping[str, Callable[..., Any] | str]
"""Names to callables, or to the text 'module:function' of one."""


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
    found = getattr(importlib.import_module(module), function)
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
    UserError: the function takes no such settings, or lacks one.
  """
  signature = inspect.signature(function)
  try:
    signature.bind(*arguments, **settings)
  except TypeError as error:
    takes = list(signature.parameters)[len(arguments):]
    raise UserError(
        f'{field}: {dict(settings)}: {error}; allowed are the keyword arguments'
        f' of {function.__module__}:{function.__qualname__}, {takes}'
    ) from error
  return function(*arguments, **settings)


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

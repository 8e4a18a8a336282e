"""Paths as people type them: what a shell leaves in a flag or a config field.

A shell expands neither `~` behind the `=` of a flag nor anything in a flag
file, a config, or quotes.
"""

import os
import re
import urllib.parse

from layernas.errors import UserError

_VARIABLE = re.compile(r'\$(?:(\w+)|\{(\w+)\})')


def expanded(where: str, text: str | os.PathLike[str]) -> str:
  """The path that a text means.

  Spaces and one pair of quotes around it are dropped; `~`, `~user`, `$NAME` and
  `${NAME}` stand for what a shell puts in their place; `file://` is a local
  path. Other addresses, such as gs://BUCKET/DIRECTORY, stay as they are but for
  their variables.

  Args:
    where: flag or field that holds the path, for errors.
    text: what was typed; '' stays empty.

  Returns:
    The path, without slashes at its end.

  Raises:
    UserError: an environment variable or a user in it does not exist, or it
      is no text: records in JSON could not name it.
  """
  path = os.fspath(text).strip()
  if path != readable(path):
    raise UserError(
        f'{where}: {readable(path)!r}: holds bytes that are no UTF-8; allowed'
        ' are paths that are text'
    )
  if len(path) > 1 and path[0] == path[-1] and path[0] in '\'"':
    path = path[1:-1]
  path = _without_variables(where, path)
  scheme, mark, rest = path.partition('://')
  if mark and scheme.lower() == 'file':
    host, slash, rest = rest.partition('/')
    if host not in ('', 'localhost') or not slash:
      raise UserError(
          f'{where}: {os.fspath(text)!r}: allowed is file:///PATH on this'
          ' machine'
      )
    path, mark = urllib.parse.unquote('/' + rest), ''
  elif path.startswith('~'):
    path = _in_home(where, path)
  kept = path.rstrip('/')
  return kept if kept and not (mark and kept.endswith(':')) else path


def readable(path: str) -> str:
  """The path with a sign in the place of each byte that is no UTF-8."""
  if path.isascii():
    return path
  return os.fsencode(path).decode('utf-8', 'replace')


def _without_variables(where: str, path: str) -> str:
  """Puts the values of environment variables in."""
  if '$' not in path or os.path.lexists(path):
    return path

  def value(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    if name not in os.environ:
      raise UserError(
          f'{where}: {path!r}: the environment variable {name} is not set;'
          ' allowed are those that are'
      )
    return os.environ[name]

  return _VARIABLE.sub(value, path)


def _in_home(where: str, path: str) -> str:
  """Puts a home directory in the place of `~` or `~user`."""
  found = os.path.expanduser(path)
  if found.startswith('~'):
    raise UserError(
        f'{where}: {path!r}: no home directory of that name; allowed are ~,'
        ' ~USER and paths that start with ./~'
    )
  return found

"""What --help says of a config: every field, its default and its comment.

The comments are those above the fields in the config files: they are read, not
repeated.
"""

import ast
import pathlib
import textwrap
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from ml_collections import config_dict

WIDTH = 80
"""Of a line of help."""

_COLUMN = 36
"""Where the comments begin."""


def describe(
    config: config_dict.ConfigDict, comments: Mapping[str, str]
) -> str:
  """A table of a config's fields.

  Args:
    config: whose values are shown.
    comments: what the fields are, by dotted name, in the order of the table.

  Returns:
    Lines of at most 80 characters, unless a value is longer.
  """
  lines: list[str] = []
  for section, fields in sections(config, comments):
    if section:
      comment = comments.get(section, '')
      heading = f'{section}: {comment}' if comment else section
      lines += ['', *textwrap.wrap(heading, WIDTH)]
    for name, value in fields:
      lines += _row(name, value, comments.get(name, ''))
  return '\n'.join(lines)


def sections(
    config: config_dict.ConfigDict, comments: Mapping[str, str],
    prefix: str = '',
) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
  """The sections of a config, each in front of those below it.

  Args:
    config: or a section of one.
    comments: by dotted name; their order is that of the fields.
    prefix: dotted name of the section and a dot; '' for a whole config.

  Yields:
    Name of a section, '' for the config itself, and its own fields: dotted
    names and values. An empty section that may be filled is a field.
  """
  order = {name: place for place, name in enumerate(comments)}
  fields = sorted(
      ((prefix + field, value) for field, value in config.items()),
      key=lambda item: order.get(item[0], len(order)),
  )
  below = [
      (name, value) for name, value in fields
      if isinstance(value, config_dict.ConfigDict) and value
  ]
  yield prefix.removesuffix('.'), [
      item for item in fields if item not in below
  ]
  for name, value in below:
    yield from sections(value, comments, f'{name}.')


def read_comments(source: pathlib.Path) -> dict[str, str]:
  """The comments above the fields that a config file sets.

  Args:
    source: Python whose functions assign to sections as configs/default.py
      does.

  Returns:
    Texts by dotted name. What the functions `benchmark` and `method` make is
    found under the names benchmarks.NAME and methods.NAME.
  """
  text = source.read_text('utf-8')
  lines = text.splitlines()
  functions = {
      node.name: node for node in ast.parse(text).body
      if isinstance(node, ast.FunctionDef)
  }
  read: dict[str, dict[str, str]] = {}
  # In reverse, so that what get_config calls is read before it.
  for name, node in reversed(functions.items()):
    read[name] = _comments(node, lines, read)
  found = dict(read.get('get_config', {}))
  for name in ('benchmark', 'method'):
    found |= {
        f'{name}s.NAME.{field}': comment
        for field, comment in read.get(name, {}).items()
    }
  return found


def _comments(
    function: ast.FunctionDef, lines: Sequence[str],
    others: Mapping[str, Mapping[str, str]],
) -> dict[str, str]:
  """Comments by name of the field, below the config that a function makes."""
  found: dict[str, str] = {}
  # Variables that hold sections, the config itself with an empty name.
  sections: dict[str, str] = {}
  for node in function.body:
    if not isinstance(node, ast.Assign):
      continue
    path = ''
    for target in node.targets:
      if isinstance(target, ast.Attribute):
        path = _path(target, sections)
        found[path] = _above(node.lineno, lines)
    for target in node.targets:
      if isinstance(target, ast.Name):
        sections[target.id] = path
    called = node.value.func if isinstance(node.value, ast.Call) else None
    if path and isinstance(called, ast.Name):
      found |= {
          f'{path}.{field}': comment
          for field, comment in others.get(called.id, {}).items()
      }
  return found


def _path(target: ast.Attribute, sections: Mapping[str, str]) -> str:
  """Dotted name of the field that is assigned to."""
  parts = [target.attr]
  value = target.value
  while isinstance(value, ast.Attribute):
    parts.insert(0, value.attr)
    value = value.value
  parts.insert(0, sections.get(getattr(value, 'id', ''), ''))
  return '.'.join(part for part in parts if part)


def _above(line: int, lines: Sequence[str]) -> str:
  """The comment that ends above a line, numbered from 1."""
  texts: list[str] = []
  for text in map(str.strip, reversed(lines[:line - 1])):
    if not text.startswith('#'):
      break
    texts.insert(0, text.removeprefix('#').strip())
  return ' '.join(texts)


def _row(name: str, value: Any, comment: str) -> Iterator[str]:
  if isinstance(value, config_dict.ConfigDict):
    value = '{}'
  elif isinstance(value, bool):
    value = str(value).lower()
  elif isinstance(value, str):
    value = value if value and ' ' not in value else repr(value)
  yield from columns(f'{name}={value}', comment, _COLUMN)


def columns(left: str, right: str, column: int) -> Iterator[str]:
  """Two columns, the right one wrapped; a long left one has its own line.

  Args:
    left: is indented.
    right: text.
    column: at which it begins.

  Yields:
    Lines.
  """
  left = f'  {left}'
  wrapped = textwrap.wrap(right, WIDTH - column)
  if len(left) >= column or not wrapped:
    yield left
  else:
    yield f'{left:{column}}{wrapped.pop(0)}'
  for line in wrapped:
    yield ' ' * column + line

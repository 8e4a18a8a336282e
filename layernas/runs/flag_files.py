"""Flag files: --flagfile=FILE stands for the flags in a file, one a line."""

import pathlib
import re
from collections.abc import Iterator
from collections.abc import Sequence

from layernas import paths
from layernas.errors import UserError

_FLAG = 'flag --flagfile'


def expanded(argv: Sequence[str], within: tuple[str, ...] = ()) -> list[str]:
  """Puts the flags of flag files in the place of --flagfile.

  Args:
    argv: all arguments.
    within: files that are being read, which must not name themselves.

  Returns:
    The arguments without --flagfile.

  Raises:
    UserError: a file cannot be read.
  """
  flags: list[str] = []
  arguments = list(argv)
  while arguments:
    argument = arguments.pop(0)
    if argument == '--':
      return [*flags, argument, *arguments]
    match = re.fullmatch(r'--?flagfile(?:=(.*))?', argument, re.DOTALL)
    if not match:
      flags.append(argument)
      continue
    text = match[1]
    if text is None:
      text = arguments.pop(0) if arguments else ''
    file = paths.expanded(_FLAG, text)
    if file in within:
      raise UserError(
          f'{_FLAG}: {file!r}: names itself; allowed is a file that does not'
      )
    flags += expanded(list(_lines(file)), (*within, file))
  return flags


def _lines(file: str) -> Iterator[str]:
  """The arguments in a file; a flag and its value may stand in one line."""
  try:
    text = pathlib.Path(file).read_text('utf-8-sig')
  except (OSError, ValueError) as error:
    raise UserError(
        f'{_FLAG}: {file!r}: {error}; allowed is a readable text file with a'
        ' flag in each line'
    ) from error
  for line in map(str.strip, text.splitlines()):
    if not line or line.startswith(('#', '//')):
      continue
    match = re.fullmatch(r'(--?[\w.]+)\s+(\S.*)', line)
    if match:
      yield from match.groups()
    else:
      yield line

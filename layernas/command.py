"""The command `layernas`, which starts a program by its name.

As in `layernas search --config=cifar10_small:smoke`; `python -m
layernas.command` does the same.
"""

import ast
import runpy
import sys

from layernas import __version__
from layernas import installation

_HELP = {'-h', '--help', '-help', 'help'}


def main() -> None:
  """Runs the program that the first argument names, with those behind it."""
  name, *rest = sys.argv[1:] or ['--help']
  if name in _HELP:
    print(usage())
  elif name == '--version':
    print(f'layernas {__version__}')
  elif name in installation.program_names():
    file = str(installation.ROOT / 'experiments' / f'{name}.py')
    sys.argv = [file, *rest]
    runpy.run_path(file, run_name='__main__')
  else:
    print(
        f'error: command {name!r}: allowed are'
        f' {installation.program_names()}; see layernas --help',
        file=sys.stderr,
    )
    sys.exit(2)


def usage() -> str:
  """What the programs are.

  Returns:
    Text of a line for each.
  """
  lines = ['Usage: layernas COMMAND [arguments]', '', 'Commands:']
  for name in installation.program_names():
    source = (installation.ROOT / 'experiments' / f'{name}.py').read_text()
    first = ast.get_docstring(ast.parse(source)).splitlines()[0]
    lines.append(f'  {name:10} {first}')
  return '\n'.join([
      *lines, '', 'Each says more with --help. Configs have names:'
      f' {", ".join(installation.config_names())}.',
  ])


if __name__ == '__main__':
  main()

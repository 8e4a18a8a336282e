"""Where the programs and configs lie that belong to the package.

In a checkout they stand beside the package, and `./launch.sh` starts them. A
wheel holds them inside of it, and installs the command `layernas`.
"""

import pathlib
import sys

_PACKAGE = pathlib.Path(__file__).parent
_IN_WHEEL = _PACKAGE / 'programs'

ROOT = _IN_WHEEL if _IN_WHEEL.is_dir() else _PACKAGE.parent
"""The directory of `configs` and `experiments`."""

COMMAND = 'layernas' if ROOT == _IN_WHEEL else './launch.sh'
"""What messages call the command that starts a program."""


def find_configs() -> None:
  """Makes the package `configs` importable, behind all others of its name."""
  if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))


def config_names() -> list[str]:
  """Names of the configs that belong to the package.

  Returns:
    Such as 'cifar10_small' and 'study/nats', sorted.
  """
  folder = ROOT / 'configs'
  return sorted(
      path.relative_to(folder).with_suffix('').as_posix()
      for path in folder.rglob('*.py')
  )


def program_names() -> list[str]:
  """Names of the programs in `experiments`, sorted."""
  return sorted(path.stem for path in (ROOT / 'experiments').glob('*.py'))

"""Where a study ran."""

import importlib.metadata
import os
import platform
from typing import Any

import layernas

_PACKAGES = ('numpy', 'scipy', 'optuna')


def machine() -> dict[str, Any]:
  """Cores, platform and versions of the present machine.

  Returns:
    JSON types; a package that is not installed is left out.
  """
  return {
      'cores': os.cpu_count(),
      'platform': f'{platform.system()} {platform.machine()}',
      'python': platform.python_version(),
      'layernas': layernas.__version__,
      **_versions(),
  }


def _versions() -> dict[str, str]:
  versions = {}
  for name in _PACKAGES:
    try:
      versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return versions

"""Facts about the machine, to store with measurements."""

import os
import pathlib
import platform
from typing import Any


def machine(**more: Any) -> dict[str, Any]:
  """Facts about this machine.

  Args:
    **more: versions and other facts about the measurement.

  Returns:
    JSON types.
  """
  models = [
      line.partition(':')[2].strip()
      for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines()
      if line.startswith('model name')
  ]
  return {
      'cores': os.cpu_count(), 'processor': models[0] if models else '',
      'system': platform.platform(), 'python': platform.python_version(),
  } | more

"""The processor cores of this process."""

import os


def usable_cores() -> int:
  """Cores that this process may use, which a container or a job may limit."""
  if hasattr(os, 'sched_getaffinity'):  # Not on macOS.
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1

"""What ends a program in one line, without a traceback."""

import os
import sys


class UserError(ValueError):
  """A wrong input: a config field, a flag, a file or a directory.

  Its message is one line that names the field or file, the value found and
  what is allowed. The command line prints it without a traceback and exits
  with code 2; nothing has been written by then, unless it is a `StorageError`.
  """


class Preempted(BaseException):
  """The process was told to end, and what it had done is saved.

  Like KeyboardInterrupt it is no Exception: nothing may take it for a failure
  of the candidate in training.
  """


class NothingFoundError(Exception):
  """A search ended, its results are written, and no network is its answer.

  Its message is one line. The command line prints it and exits with code 1, so
  that `search && train` stops.
  """


class TrialError(Exception):
  """A trial failed, and the config says that this ends the run.

  Its message ends with the traceback of what went wrong, which may have been
  raised in another process. The command line prints it and exits with code 1.
  """


def not_installed(what: str, product: str, *packages: str) -> UserError:
  """The error of a part that needs packages which are not installed.

  Args:
    what: field and value, or path, that ask for it.
    product: that is missing, as people call it.
    *packages: as pip takes them.

  Returns:
    The error, with the command that installs them for this Python.
  """
  return UserError(
      f'{what}: {product} is not installed; allowed where it is:'
      f' {_pip()} install {" ".join(packages)}'
  )


def _pip() -> str:
  """How this Python's pip is called, from the present directory if it can."""
  path = os.path.join(sys.prefix, 'bin', 'pip')
  if not os.path.exists(path):
    return f'{sys.executable} -m pip'
  inside = os.path.relpath(path)
  return path if inside.startswith(os.pardir) else inside

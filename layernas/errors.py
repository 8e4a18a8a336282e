"""Errors that end a program with one line, without a traceback."""

import os
import sys


class UserError(ValueError):
  """The error of a wrong input: a config field, flag, file or directory.

  Its message is one line that names the field or file, the value found and what
  is allowed. The command line prints it without a traceback and exits with code
  2. Nothing has been written by then, unless it is a `StorageError`.
  """


class Preempted(BaseException):
  """The signal that a process was asked to end and has saved its work.

  Like KeyboardInterrupt it is no Exception, so that nothing takes it for a
  failure of the candidate in training.
  """


class NothingFoundError(Exception):
  """The error of a finished search that has no answer.

  The results of the search are written. The message is one line. The command
  line prints it and exits with code 1, so that `search && train` stops.
  """


class TrialError(Exception):
  """The error of a failed trial, if the config says that it ends the run.

  Its message ends with the traceback of the exception, which may have been
  raised in another process. The command line prints it and exits with code 1.
  """


def not_installed(what: str, product: str, *packages: str) -> UserError:
  """The error of a part that needs packages that are not installed.

  Args:
    what: field and value, or path, that need it.
    product: usual name of what is missing.
    *packages: names of the packages for pip.

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

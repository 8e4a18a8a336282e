"""The one error that means: what the user gave is wrong, not the program."""


class UserError(ValueError):
  """A wrong input: a config field, a flag, a file or a directory.

  Its message is one line that names the field or file, the value found and
  what is allowed. The command line prints it without a traceback and exits
  with code 2; nothing has been written by then.
  """

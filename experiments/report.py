"""Writes one page about a search, or several searches beside each other.

  .venv/bin/python experiments/report.py workdir/cifar10_small

The page needs no other file. The searches may be running, finished or
interrupted, and lie on gs://.
"""

from layernas import activity
from layernas.runs import cli

_OUTPUT = cli.define_path(
    'output', 'File of the page. Default: report.html in the workdir; where'
    ' there are several, in the current directory.'
)


def main(*workdirs: str) -> None:
  """Writes the page and prints where it lies."""
  with activity.doing('loading JAX'):
    from layernas.runs.report import write_report  # noqa: PLC0415

  print(write_report(workdirs, _OUTPUT.value))


if __name__ == '__main__':
  cli.run(main, argument='WORKDIR...', data=True)

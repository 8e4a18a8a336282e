"""Prints how far a search is: running, finished or stopped.

  .venv/bin/python experiments/status.py workdir/cifar10_small

From another terminal, while it runs or afterwards; on gs:// too.
"""

from absl import flags

from layernas.runs import cli

_WATCH = flags.DEFINE_float(
    'watch', 0.0, 'Seconds after which it is printed anew; 0 = once.', 0.0
)


def main(workdir: str) -> None:
  """Prints the status."""
  from layernas.runs.status import show_status  # noqa: PLC0415

  show_status(workdir, _WATCH.value)


if __name__ == '__main__':
  cli.run(main, argument='WORKDIR')

r"""Runs or resumes a layerwise search.

  .venv/bin/python experiments/search.py --config=configs/cifar10_small.py \
    --config.search.buckets=20 --workdir=workdir/my_search

The same command with the same workdir goes on where it was interrupted. The
exit code is 0 where a network was found in the target interval and 1 where none
was; the results are written in both cases.
"""

from layernas import activity
from layernas.runs import cli

_CONFIG = cli.define_config(
    'Config of the search, [:smoke]: a file, or a name.', 'cifar10_small'
)
_WORKDIR = cli.define_workdir('Directory of the run; is made or resumed.')
_JOIN_HOSTS = cli.define_hosts()


def main() -> None:
  """Runs the search."""
  # JAX is slow to import; a wrong flag is answered before.
  with activity.doing('loading JAX'):
    from layernas.reports.result import next_command  # noqa: PLC0415
    from layernas.runs.run_search import run_search  # noqa: PLC0415
    from layernas.training import hosts  # noqa: PLC0415

  _JOIN_HOSTS()
  workdir = _WORKDIR.value
  result = run_search(cli.config_of(_CONFIG), workdir)
  command = next_command(result, workdir)
  if hosts.is_first():
    print(f'next: {command}')


if __name__ == '__main__':
  cli.run(main, resumable=True)

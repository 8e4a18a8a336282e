r"""Runs or resumes a layerwise search.

  python experiments/search.py --config=configs/cifar10_small.py \
    --config.search.buckets=20 --workdir=workdir/my_search

The same command with the same workdir goes on where it was interrupted.
"""

from layernas.errors import TrialError
from layernas.runs import cli

_CONFIG = cli.define_config('Config file of the search, [:smoke].')
_WORKDIR = cli.define_path(
    'workdir', 'Directory of the run; is made or resumed.', required=True
)
_JOIN_HOSTS = cli.define_hosts()


def main() -> None:
  """Runs the search."""
  # JAX is slow to import; a wrong flag is answered before.
  from layernas.runs.run_search import run_search  # noqa: PLC0415

  _JOIN_HOSTS()
  result = run_search(cli.config_of(_CONFIG), _WORKDIR.value)
  statuses = result['trials']
  if statuses and not {'ok', 'stopped'} & statuses.keys():
    raise TrialError(
        f'no trial succeeded ({statuses}); why is in'
        f' {_WORKDIR.value}/trials.jsonl'
    )


if __name__ == '__main__':
  cli.run(main, resumable=True)

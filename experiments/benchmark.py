r"""Runs or resumes a study of search methods on enumerated benchmarks.

  .venv/bin/python experiments/benchmark.py \
    --config=configs/study/nats.py:topology --workdir=workdir/nats_topology

The same command with the same workdir goes on where it was interrupted.
"""

from layernas import activity
from layernas.runs import cli
from layernas.storage import resuming

_CONFIG = cli.define_config(
    'Config of the study, [:smoke]: a file, or a name.', 'study/nats:topology',
    'configs/study/default.py', resuming.STUDY,
)
_WORKDIR = cli.define_workdir('Directory of the study; is made or resumed.')


def main() -> None:
  """Runs the study."""
  # Workers import this file too; they need nothing of the report.
  with activity.doing('loading SciPy'):
    from layernas.study.run_study import run_study  # noqa: PLC0415

  run_study(cli.config_of(_CONFIG), _WORKDIR.value)


if __name__ == '__main__':
  cli.run(main, resumable=True)

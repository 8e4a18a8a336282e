"""Audits the assumption behind layerwise search on enumerated benchmarks.

  python experiments/audit.py --config=configs/study/audit.py \
    --workdir=workdir/audit

It takes seconds; there is nothing to resume.
"""

from absl import flags

from layernas.runs import cli
from layernas.study.run_audit import run_audit

_CONFIG = cli.define_config('Config file of the audit, [:smoke].')
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Where audit.json, audit.md and audit.png are written.',
    required=True,
)


def main() -> None:
  """Runs the audit."""
  run_audit(cli.config_of(_CONFIG), _WORKDIR.value)


if __name__ == '__main__':
  cli.run(main)

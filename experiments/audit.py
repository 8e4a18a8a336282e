r"""Audits the assumption behind layerwise search on enumerated benchmarks.

  .venv/bin/python experiments/audit.py --config=configs/study/audit.py \
    --workdir=workdir/audit

It takes seconds; there is nothing to resume.
"""

from layernas import activity
from layernas.runs import cli

_CONFIG = cli.define_config(
    'Config of the audit, [:smoke]: a file, or a name.', 'study/audit',
    'configs/study/audit.py',
)
_WORKDIR = cli.define_workdir(
    'Where audit.json, audit.md and audit.png are written.'
)


def main() -> None:
  """Runs the audit."""
  # Slow to import; a wrong flag is answered before.
  with activity.doing('loading SciPy'):
    from layernas.study.run_audit import run_audit  # noqa: PLC0415

  run_audit(cli.config_of(_CONFIG), _WORKDIR.value)


if __name__ == '__main__':
  cli.run(main)

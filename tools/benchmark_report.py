r"""Makes the pages and pictures of a study again from its summary.json.

  .venv/bin/python tools/benchmark_report.py \
    --summary=docs/results/nats_tss/summary.json --workdir=workdir/report

The results that the docs show are stored in docs/results.
"""

import pathlib

from layernas.errors import UserError
from layernas.runs import cli
from layernas.storage.workdir import read_json

_SUMMARY = cli.define_path(
    'summary', 'The summary.json of a study.', required=True
)
_WORKDIR = cli.define_path(
    'workdir', 'Where report.html, report.md and the pictures go.',
    required=True,
)


def main() -> None:
  """Renders the summary."""
  # Slow to import; a wrong flag is answered before.
  from layernas.study.report import render  # noqa: PLC0415

  summary = read_json(_SUMMARY.value)
  if not isinstance(summary, dict) or 'sections' not in summary:
    raise UserError(
        f'file {_SUMMARY.value}: no sections in it; allowed is the summary.json'
        ' of a study'
    )
  directory = pathlib.Path(_WORKDIR.value)
  directory.mkdir(parents=True, exist_ok=True)
  render(summary, directory)
  print(f'report: {directory}/report.html, report.md')


if __name__ == '__main__':
  cli.run(main)

r"""Makes a table from the official files of NATS-Bench.

  .venv/bin/python tools/convert_nats_bench.py --space=topology \
    --source=NATS-tss-v1_0-3ffb9-simple --output=table.csv.gz

The files are pickles, and a pickle can run any code: use files that you trust.
The same files give the same table to the last byte. See also
docs/nats_bench_files.md.
"""

import csv
import gzip
import io
import os
import pathlib

from absl import flags
from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn

from layernas.errors import UserError
from layernas.runs import cli
from layernas.study.tables.nats_bench_files import SPACES
from layernas.study.tables.nats_bench_files import NatsBenchFiles

_SPACE = flags.DEFINE_enum(
    'space', None, SPACES, 'What the files hold.', required=True
)
_SOURCE = cli.define_path(
    'source', 'The official file or directory.', required=True
)
_OUTPUT = cli.define_path(
    'output', 'Where to write the table (.csv.gz).', required=True
)

_ENDING = '.csv.gz'


def main() -> None:
  """Writes the table."""
  output = pathlib.Path(_OUTPUT.value)
  if not output.name.endswith(_ENDING) or not output.parent.is_dir():
    raise UserError(
        f'flag --output: {str(output)!r}; allowed is a file *{_ENDING} in a'
        ' directory that exists'
    )
  files = NatsBenchFiles(_SPACE.value, _SOURCE.value)
  try:
    write(files, output)
  except OSError as error:
    raise UserError(
        f'flag --output: {error}; allowed is a file that can be written'
    ) from error
  print(f'{output}: {len(files):,} networks')


def write(files: NatsBenchFiles, output: pathlib.Path) -> None:
  """Writes a whole table or nothing.

  Args:
    files: to read.
    output: path of the table.
  """
  partial = output.with_name(f'{output.name}.partial')
  try:
    with (
        open(partial, 'wb') as file,
        # Neither time nor name: equal tables are equal files.
        gzip.GzipFile('', 'wb', 9, file, mtime=0) as zipped,
        io.TextIOWrapper(zipped, 'utf-8', newline='') as text,
        _progress() as progress,
    ):
      table = csv.writer(text, lineterminator='\n')
      table.writerow(files.columns)
      for row in progress.track(files.rows(), len(files)):
        table.writerow(map(_cell, row.values()))
    os.replace(partial, output)
  finally:
    partial.unlink(missing_ok=True)


def _cell(value: int | str | float) -> str:
  return f'{value:.6f}' if isinstance(value, float) else str(value)


def _progress() -> Progress:
  """A bar with ETA; without a terminal there is none."""
  console = Console()
  return Progress(
      TextColumn('networks'), BarColumn(), MofNCompleteColumn(),
      TimeElapsedColumn(), TextColumn('ETA'), TimeRemainingColumn(),
      console=console, disable=not console.is_terminal,
  )


if __name__ == '__main__':
  cli.run(main)

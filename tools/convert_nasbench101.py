r"""Makes a table from an official file of NAS-Bench-101.

  .venv/bin/python tools/convert_nasbench101.py \
    --source=nasbench_only108.tfrecord --output=nasbench101.npz

Nothing but NumPy reads it. The same file gives the same table to the last
byte. See also docs/nats_bench_files.md.
"""

import os
import pathlib

from absl import flags
from rich.console import Console
from rich.progress import BarColumn
from rich.progress import DownloadColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn

from layernas.errors import UserError
from layernas.runs import cli
from layernas.study.tables.nasbench101 import CELLS
from layernas.study.tables.nasbench101 import convert
from layernas.study.tables.packaged import archive

_SOURCE = cli.define_path('source', 'The official file.', required=True)
_OUTPUT = cli.define_path(
    'output', 'Where to write the table (.npz).', required=True
)
_CHECK = flags.DEFINE_bool(
    'complete', True, f'Refuse a file without all {CELLS:,} cells.'
)

_ENDING = '.npz'


def main() -> None:
  """Writes the table, whole or not at all."""
  source, output = pathlib.Path(_SOURCE.value), pathlib.Path(_OUTPUT.value)
  if not output.name.endswith(_ENDING) or not output.parent.is_dir():
    raise UserError(
        f'flag --output: {str(output)!r}; allowed is a file *{_ENDING} in a'
        ' directory that exists'
    )
  with _progress() as progress:
    size = source.stat().st_size if source.exists() else None
    task = progress.add_task('read', total=size)
    arrays = convert(
        source, lambda read: progress.update(task, completed=read)
    )
  cells = len(arrays['edges'])
  if _CHECK.value and cells != CELLS:
    raise UserError(
        f'flag --source: {str(source)!r}: {cells:,} cells; allowed are official'
        f' files, with {CELLS:,}, or --nocomplete'
    )
  partial = output.with_name(f'{output.name}.partial')
  try:
    partial.write_bytes(archive(arrays))
    os.replace(partial, output)
  except OSError as error:
    raise UserError(
        f'flag --output: {error}; allowed is a file that can be written'
    ) from error
  finally:
    partial.unlink(missing_ok=True)
  print(f'{output}: {cells:,} cells')


def _progress() -> Progress:
  """A bar with ETA; without a terminal there is none."""
  console = Console()
  return Progress(
      TextColumn('{task.description}'), BarColumn(), DownloadColumn(),
      TimeElapsedColumn(), TextColumn('ETA'), TimeRemainingColumn(),
      console=console, disable=not console.is_terminal,
  )


if __name__ == '__main__':
  cli.run(main)

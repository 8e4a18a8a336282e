"""Packs CSVs of published benchmarks into layernas/study/tables/packaged.

  .venv/bin/python tools/make_benchmark_tables.py --csv=DIR

DIR holds the CSVs named below, made from the sources named in
layernas/study/tables/packaged/README.md. Only a change of the packaged tables
needs this program; its result is committed.
"""

import hashlib
import json
import pathlib
from typing import Any

import numpy as np

from layernas.runs import cli
from layernas.study.tables.csv_table import Encoding
from layernas.study.tables.csv_table import read_csv_table
from layernas.study.tables.packaged import DIRECTORY
from layernas.study.tables.packaged import archive
from layernas.study.tables.packaged import csv_sha256
from layernas.study.tables.packaged import encode
from layernas.study.tables.table import BenchmarkTable

_CSV = cli.define_path(
    'csv', 'Directory of the CSVs.', required=True
)
_OUTPUT = cli.define_path(
    'output', 'Where the archives and tables.json are written.',
    default=str(DIRECTORY),
)

# Operations in the order of NATS-Bench's own list.
_OPERATIONS = ('none', 'skip_connect', 'nor_conv_1x1', 'nor_conv_3x3',
               'avg_pool_3x3')
_EDGES = ('edge 0-1', 'edge 0-2', 'edge 1-2', 'edge 0-3', 'edge 1-3',
          'edge 2-3')
_WIDTHS = tuple(str(width) for width in range(8, 65, 8))
_DATASETS = ('c10', 'c100', 'in16')
_LATENCY_FILE = 'nb201_latency_help.csv.gz'
_LATENCIES = (
    '1080ti_1', '1080ti_256', '1080ti_32', '2080ti_1', '2080ti_256',
    '2080ti_32', 'essential_ph_1', 'eyeriss', 'fpga', 'gold_6226', 'gold_6240',
    'pixel2', 'pixel3', 'raspi4', 'samsung_a50', 'samsung_s7', 'silver_4114',
    'silver_4210r', 'titan_rtx_1', 'titan_rtx_256', 'titan_rtx_32', 'titanx_1',
    'titanx_256', 'titanx_32', 'titanxp_1', 'titanxp_256', 'titanxp_32',
)


def _per_dataset(*prefixes: str) -> dict[str, str]:
  """Columns whose CSV name is their own."""
  return {f'{p}_{d}': f'{p}_{d}' for p in prefixes for d in _DATASETS}


def _millions(*datasets: str) -> dict[str, str]:
  """Counts that the CSVs give in millions."""
  return {
      f'{name}_{d}': f'm{old}_{d}'
      for name, old in (('madds', 'flops'), ('params', 'params'))
      for d in datasets
  }


_TRAININGS = {'acc1': 'acc1', 'acc2': 'acc2', 'acc3': 'acc3', 'madds': 'flops',
              'params': 'params'}
_TABLES = {
    'nats_tss': (
        'nats_tss.csv.gz',
        Encoding('arch', r'[^|+~]+(?=~)', _OPERATIONS, 'nor_conv_3x3', _EDGES),
        {'index': 'index', 'time_measured': 'time_measured'}
        | _per_dataset('val12', 'test12', 'val200', 'test200',
                       'test200_nb201v1', 'simcost12')
        | _millions(*_DATASETS),
    ),
    'nats_sss': (
        'nats_sss_c10.csv.gz',
        Encoding('arch', '[^:]+', _WIDTHS, '64',
                 tuple(f'width {i}' for i in range(1, 6))),
        {'test90_c10': 'test90_c10'} | _millions(*_DATASETS),
    ),
    'nas_bench_macro': (
        'nas_bench_macro_c10.csv.gz',
        Encoding('arch', '.', ('0', '1', '2'), '2',
                 tuple(f'block {i}' for i in range(1, 9))),
        _TRAININGS,
    ),
    'channel_bench_macro': (
        'channel_bench_macro_mobilenet_c10.csv.gz',
        Encoding('arch', '.', ('1', '2', '3', '4'), '4',
                 tuple(f'width {i}' for i in range(1, 8))),
        _TRAININGS,
    ),
}


def main() -> None:
  """Writes the archives and what tables.json says of them."""
  source, output = pathlib.Path(_CSV.value), pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  described = {}
  for name, (file, encoding, columns) in _TABLES.items():
    table = _read(source / file, encoding, columns)
    files = [file]
    if name == 'nats_tss':
      table = _with_latency(source / _LATENCY_FILE, table)
      files.append(_LATENCY_FILE)
    described[name] = _write(output, name, table)
    described[name]['csv_sha256'] = {
        each: csv_sha256(source / each) for each in files
    }
  text = json.dumps(described, indent=1) + '\n'
  (output / 'tables.json').write_text(text)
  print(f'wrote {", ".join(described)} to {output}')


def _read(
    path: pathlib.Path, encoding: Encoding, columns: dict[str, str]
) -> BenchmarkTable:
  table = read_csv_table(path, encoding, list(columns.values()))
  renamed = {}
  for name, old in columns.items():
    values = table.column(old)
    in_millions = old.startswith(('mflops', 'mparams'))
    renamed[name] = (
        np.rint(values * 1e6).astype(np.int64) if in_millions else values
    )
  return BenchmarkTable(table.name, table.space, renamed)


def _with_latency(
    path: pathlib.Path, topology: BenchmarkTable
) -> BenchmarkTable:
  """Adds the latencies, whose rows are named by NATS-Bench's own index."""
  latency = read_csv_table(path, Encoding('index', '.+'), _LATENCIES)
  index = topology.column('index')
  for name in _LATENCIES:
    topology = topology.with_column(f'ms_{name}', latency.column(name)[index])
  return topology


def _write(
    output: pathlib.Path, name: str, table: BenchmarkTable
) -> dict[str, Any]:
  columns = {}
  arrays = {}
  for column, values in table.columns.items():
    decimals = 0 if values.dtype == np.int64 else 6
    arrays[column] = encode(values, decimals)
    columns[column] = {'decimals': decimals}
  data = archive(arrays)
  (output / f'{name}.npz').write_bytes(data)
  return {
      'sha256': hashlib.sha256(data).hexdigest(),
      'layers': [
          {'name': layer.name, 'options': layer.options,
           'default': layer.default}
          for layer in table.space.layers
      ],
      'columns': columns,
  }


if __name__ == '__main__':
  cli.run(main)

"""What a study names: tables by their content, methods by their code."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.storage.resuming import Input
from layernas.storage.resuming import code_inputs
from layernas.study.tables.benchmark import HELD_OUT
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.synthetic import Chain


def table_inputs(
    config: Any, benchmarks: Mapping[str, Benchmark]
) -> list[Input]:
  """Inputs of a study: a table of every benchmark.

  Args:
    config: of the study.
    benchmarks: by name.

  Returns:
    The inputs.
  """
  inputs = []
  for name, benchmark in benchmarks.items():
    named = config.benchmarks[name].table
    of = named.file or named.name or benchmark.table.name
    text = f'{of}, {benchmark.networks[0]:,} networks'
    inputs.append(Input(f'benchmarks.{name}.table', _digest(benchmark), text))
  return inputs


def method_inputs(config: Any) -> list[Input]:
  """Methods of the user's own, by their code.

  Args:
    config: of the study.

  Returns:
    The inputs.
  """
  named = {}
  for name, method in config.methods.items():
    named[f'methods.{name}.kind'] = method.kind
    named[f'methods.{name}.settings.schedule'] = str(
        method.settings.get('schedule', '')
    )
  return code_inputs(named)


def _digest(benchmark: Benchmark) -> str:
  """Of the space and of every column that a run reads."""
  table = benchmark.table
  layers = [
      [layer.name, list(map(str, layer.options)), layer.default]
      for layer in table.space.layers
  ]
  found = hashlib.sha256(json.dumps(layers).encode())
  if isinstance(table, Chain):
    arrays = {'single': table.single, 'pairs': table.pairs,
              'units': table.units}
  else:
    named = {*benchmark.rewards, benchmark.report, benchmark.cost,
             benchmark.seconds} - {HELD_OUT, ''}
    arrays = {name: table.column(name) for name in sorted(named)}
  for name, array in arrays.items():
    found.update(name.encode())
    found.update(np.ascontiguousarray(array, np.float64))
  return found.hexdigest()

"""Latencies of another machine, such as a phone: files out, milliseconds in.

`write_modules` writes a file for every module of a space in its frame, for
every frame, and for random whole networks, which nobody has to measure; and a
list of them. `read_latency` takes the list with the milliseconds that the other
machine found, and makes what a measurement here would have made.
"""

import csv
import io
import math
import os
from collections.abc import Mapping
from typing import Any

from etils import epath
from ml_collections import config_dict

from layernas import activity
from layernas.errors import UserError
from layernas.latency.frames import framed
from layernas.latency.frames import module_timings
from layernas.latency.run_latency import PASSES
from layernas.latency.run_latency import Subject
from layernas.latency.run_latency import graphs_of
from layernas.latency.run_latency import latency_result
from layernas.latency.run_latency import say_unseen
from layernas.latency.run_latency import subject_of
from layernas.latency.run_latency import timings_text
from layernas.latency.run_latency import write_result
from layernas.latency.runtimes import RUNTIMES
from layernas.latency.runtimes import find_runtime
from layernas.latency.stopwatch import Timing
from layernas.networks.latency import SIGNATURE
from layernas.networks.latency import VALUE
from layernas.reports.console import new_console
from layernas.runs.inputs import space_input
from layernas.search.space import architecture_id
from layernas.storage.csv_file import CsvFile
from layernas.storage.files import file_store
from layernas.storage.resuming import LATENCY
from layernas.storage.workdir import Workdir

MANIFEST = 'manifest.csv'
"""List of the files, beside them."""

_FILE, _INPUT = 'file', 'input'
"""Columns of the list beside `PASSES` and `VALUE`."""


def write_modules(
    config: config_dict.ConfigDict, directory: epath.PathLike
) -> epath.Path:
  """Writes what is to be measured elsewhere.

  Args:
    config: see configs/default.py, section `latency`; its runtime is that whose
      files are written.
    directory: gets the files and manifest.csv; a file that is there already is
      written anew.

  Returns:
    The list of the files, whose column `milliseconds` is empty.

  Raises:
    UserError: something in the config is wrong, or its runtime has no files.
  """
  subject = _subject(config)
  runtime = find_runtime(config.latency.runtime)
  if not runtime:
    raise UserError(
        f'latency.runtime: {config.latency.runtime!r}: has no files to write;'
        f' allowed are {list(RUNTIMES)}'
    )
  runtime.version()
  graphs = graphs_of(config, subject.shape)
  folder, console = epath.Path(directory), new_console()
  folder.mkdir(parents=True, exist_ok=True)
  what = _what(subject)
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow([_FILE, PASSES, _INPUT, VALUE])
  with activity.doing(f'writing {len(what)} files'):
    for index, (name, one) in enumerate(what.items()):
      file = f'{index:04}.{runtime.ending}'
      graph = graphs(one)
      (folder / file).write_bytes(
          runtime.write(graph, config.latency.batch_size)
      )
      shape = (
          config.latency.batch_size, graph.input.size, graph.input.size,
          graph.input.filters,
      )
      writer.writerow([file, name, 'x'.join(map(str, shape)), ''])
  # Last: a list says that its files are there.
  file_store(folder).write(folder / MANIFEST, text.getvalue().encode())
  console.print(f'{len(what)} files, listed in {folder / MANIFEST}')
  return folder / MANIFEST


def read_latency(
    config: config_dict.ConfigDict, results: epath.PathLike,
    workdir: epath.PathLike,
) -> None:
  """Makes a latency table of what was measured elsewhere.

  Args:
    config: that the files were written with.
    results: a CSV file with the columns `name`, or `file` where the list of the
      files lies beside it, and `milliseconds`, above 0, of one pass; such as
      the list, filled in. Rows without milliseconds were not measured, which
      networks need not be.
    workdir: of this run; gets latency.csv, and latency.json and latency.png
      where two networks or more were measured.

  Raises:
    UserError: something is wrong with the config, or with the results; the
      message names the cell.
  """
  subject = _subject(config)
  found = _milliseconds(results, _what(subject))
  programs = framed(subject.modules)
  missing = [one.name for one in programs if one.name not in found]
  if missing:
    raise UserError(
        f'file {results}: {len(missing)} of {len(programs)} modules and frames'
        f' have no milliseconds; the first is {missing[0]!r}; allowed is a'
        ' number for each'
    )
  timings = {name: Timing(value, value, value) for name, value in found.items()}
  modules = module_timings(programs, timings)
  directory, console = Workdir(workdir, LATENCY), new_console()
  inputs = [
      space_input(config, subject.space, subject.dataset), *subject.inputs
  ]
  with directory.opened(config, inputs):
    directory.write_text('latency.csv', timings_text(
        SIGNATURE, modules, dict.fromkeys(modules, 1)
    ))
    say_unseen(modules, console)
    wholes = {
        one: timings[_network_name(one)] for one in subject.drawn
        if _network_name(one) in timings
    }
    if len(wholes) < 2:
      console.print(
          f'{len(modules)} modules: {directory.path}/latency.csv; no networks'
          ' to compare their sums with'
      )
      return
    device = {'results': os.fspath(results)}
    write_result(directory, latency_result(
        config, subject, device, wholes, subject.sums(modules), {}
    ), console)


def _subject(config: config_dict.ConfigDict) -> Subject:
  subject = subject_of(config)
  if not subject.modules:
    raise UserError(
        f'space: {config.space!r}: is measured by whole networks alone, here'
        ' and not elsewhere; allowed are spaces of block types, without'
        ' latency.whole_networks'
    )
  return subject


def _what(subject: Subject) -> dict[str, Any]:
  """Modules in frames, frames and networks by name."""
  return {
      **{one.name: one for one in framed(subject.modules)},
      **{
          _network_name(one): subject.space.network(one)
          for one in subject.drawn
      },
  }


def _network_name(architecture: Any) -> str:
  return f'network {architecture_id(architecture)}'


def _milliseconds(
    results: epath.PathLike, what: Mapping[str, Any]
) -> dict[str, float]:
  """What was measured, by name."""
  file = CsvFile(results)
  column = PASSES if PASSES in file.header else _FILE
  keys = file.keys(column)
  names = dict(zip(keys, keys, strict=True))
  if column == _FILE:
    listed = CsvFile(epath.Path(results).parent / MANIFEST)
    names = dict(zip(listed.keys(_FILE), listed.texts(PASSES), strict=True))
  found = {}
  for row, (key, text) in enumerate(
      zip(keys, file.texts(VALUE), strict=True)
  ):
    name = names.get(key)
    if name not in what:
      raise UserError(
          f'{file.where(row, column)}: {key!r} is nothing of this config;'
          f' allowed are the rows that it wrote to {MANIFEST}'
      )
    if text:
      found[name] = _positive(text, file.where(row, VALUE))
  return found


def _positive(text: str, where: str) -> float:
  try:
    number = float(text)
  except ValueError:
    number = math.nan
  if not (math.isfinite(number) and number > 0):
    raise UserError(
        f'{where}: {text!r}; allowed are milliseconds, numbers above 0, or'
        ' nothing where it was not measured'
    )
  return number

"""What tools/perf/candidates.py measured, as Markdown."""

import json
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

from layernas.errors import UserError
from layernas.study.report import table_text
from layernas.study.report_tables import Table
from tools.perf.one_by_one import PARTS

Systems = Mapping[str, Mapping[str, Any]]
"""Measurements by the names in `LABELS`."""

LABELS = {
    'naive': 'plain loop', 'torch': 'PyTorch', 'ours': 'ours',
    'ours_second_run': 'ours, second run', 'ours_not_ahead': 'ours, not ahead',
    'ours_second_run_not_ahead': 'ours, second run, not ahead',
}
WHOLE_SEARCH = 'whole_search'
"""Of all trials; it stands in a sentence, not in the table."""


def read_systems(output: pathlib.Path) -> dict[str, Any]:
  """Reads what was measured of a workload.

  Args:
    output: directory of the workload.

  Returns:
    Measurements by name: those of `LABELS` in that order, `WHOLE_SEARCH`.

  Raises:
    UserError: ours is missing, or what is there can't be compared.
  """
  ours = read_one(output, 'ours')
  systems = {
      name: read_one(output, name) for name in (*LABELS, WHOLE_SEARCH)
      if (output / f'{name}.json').exists()
  }
  images = {one['architecture']: one['images'] for one in ours['candidates']}
  for name, found in systems.items():
    for fact in ('processor', 'cores'):
      if found['machine'][fact] != ours['machine'][fact]:
        raise UserError(
            f'{output}/{name}.json: {fact} {found["machine"][fact]!r}: allowed'
            f' is that of ours.json, {ours["machine"][fact]!r}; measure anew'
        )
    for one in found['candidates']:
      if one['images'] != images.get(one['architecture'], one['images']):
        raise UserError(
            f'{output}/{name}.json: {one["architecture"]}: trained on'
            f' {one["images"]} images: allowed are as many as in ours.json,'
            f' {images[one["architecture"]]}; measure anew'
        )
  return systems


def read_one(output: pathlib.Path, name: str) -> dict[str, Any]:
  """Reads one measurement.

  Args:
    output: directory of the workload.
    name: of the file, without `.json`.

  Returns:
    Its content.

  Raises:
    UserError: it is missing.
  """
  path = output / f'{name}.json'
  if not path.exists():
    raise UserError(f'{path}: no such file: --mode={name} comes first')
  return json.loads(path.read_text())


def report_text(systems: Systems) -> str:
  """A table of all systems and what must be known of it.

  Args:
    systems: as `read_systems` gives them.

  Returns:
    Markdown without a newline at the end.
  """
  ours = systems['ours']
  compared = {name: systems[name] for name in LABELS if name in systems}
  table = Table(
      '', ('', *PARTS, 'sum', 'images/s', 'images/s in training', 'waiting',
           'compiled', 'ours is faster by'),
      tuple(
          (LABELS[name], *_cells(found, ours))
          for name, found in compared.items()
      ),
  )
  return '\n\n'.join([table_text(table), ' '.join(_notes(systems))])


def waiting(found: Mapping[str, Any]) -> float:
  """Seconds that all candidates waited for tracing and compilation."""
  return sum(
      one['seconds'].get('trace', 0.0) + one['seconds'].get('compile', 0.0)
      for one in found['candidates']
  )


def _seconds(candidate: Mapping[str, Any]) -> float:
  return sum(candidate['seconds'].values())


def _share_waiting(found: Mapping[str, Any]) -> float:
  return waiting(found) / sum(map(_seconds, found['candidates']))


def _cells(found: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
  """Medians over the candidates; ratios are those of one candidate each."""
  candidates = found['candidates']
  known = {part for one in candidates for part in one['seconds']}
  wholes = list(map(_seconds, candidates))
  own = {one['architecture']: _seconds(one) for one in ours['candidates']}
  ratios = [
      whole / own[one['architecture']]
      for one, whole in zip(candidates, wholes, strict=True)
      if one['architecture'] in own
  ]
  return [
      *(f'{_median(one["seconds"].get(part, 0.0) for one in candidates):.2f}'
        if part in known else '' for part in PARTS),
      f'{statistics.median(wholes):.2f}',
      f'{_median(one["images"] / _seconds(one) for one in candidates):.0f}',
      f'{_median(_training_rate(one) for one in candidates):.0f}',
      f'{_share_waiting(found):.1%}', str(found.get('compilations', '')),
      '' if found is ours else
      f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to'
      f' {max(ratios):.2f})',
  ]


def _training_rate(candidate: Mapping[str, Any]) -> float:
  return candidate['images'] / candidate['seconds']['train']


def _median(values: Any) -> float:
  return statistics.median(list(values))


def _notes(systems: Systems) -> list[str]:
  ours = systems['ours']
  where = ours['machine']
  notes = [
      f'Seconds a candidate, medians of {len(ours["candidates"])};'
      f' {where["cores"]} cores of {where["processor"]}.'
  ]
  if 'naive' in systems:
    notes.append(
        f'The plain loop ran {systems["naive"]["naive_steps"]} steps of each'
        ' training, whose time is scaled up to all.'
    )
  if whole := systems.get(WHOLE_SEARCH):
    seconds, waited = whole['whole_seconds'], waiting(whole)
    notes.append(
        f'The whole search, nothing compiled before: {len(whole["candidates"])}'
        f' trainings and {whole["compilations"]} compilations in'
        f' {seconds:.0f} s, of which {waited:.1f} s ({waited / seconds:.1%})'
        ' were spent waiting for compilation.'
    )
  return notes

"""Audits the benchmarks of a config; writes JSON, Markdown and a picture."""

from collections.abc import Mapping
from typing import Any

from etils import epath
from ml_collections import ConfigDict
from rich.progress import track

from layernas.errors import UserError
from layernas.reports.console import new_console
from layernas.reports.plots import save_picture
from layernas.reports.plots import subplots
from layernas.search.sweep import Sweep
from layernas.storage.workdir import Workdir
from layernas.study.audit import audit
from layernas.study.audit import audit_to_dict
from layernas.study.inputs import table_inputs
from layernas.study.protocol import direction_line
from layernas.study.setup import make_benchmark
from layernas.study.tables.table import enumerated

_COLUMNS = {
    'holds': 'assumption holds',
    'kept': 'kept by the sweep',
    'optimum_dropped': "optimum's prefixes dropped",
    'top_dropped': "best networks' prefixes dropped",
    'correlation': 'rank correlation',
}
"""Summary figures of an audit and their headings."""


def audit_markdown(result: Mapping[str, Any]) -> str:
  """Tables of an audit.

  Args:
    result: content of audit.json.

  Returns:
    Markdown: a summary, then each benchmark layer by layer.
  """
  config = result['config']
  lines = [
      '# Audit of the assumption',
      '',
      f'Undecided layers stand at `{config["start"]}`, order'
      f' `{config["order"]}`, spacing `{config["spacing"]}`; the'
      f' {config["top"]} best networks in the target are followed.',
      '',
      *_table(
          ['benchmark', 'H', *_COLUMNS.values()],
          [
              [each['benchmark'], each['buckets'],
               *(_figure(name, each[name]) for name in _COLUMNS)]
              for each in result['audits']
          ],
      ),
  ]
  for each in result['audits']:
    section = config.get('benchmarks', {}).get(each['benchmark'], {})
    lines += ['', f'## {each["benchmark"]}, H = {each["buckets"]}', '']
    if section.get('direction') == 'minimise':
      lines += ['Smaller signals are better: "best" is the smallest.', '']
    lines += [
        *_table(
            ['length', 'prefixes', 'buckets', 'assumption holds',
             'kept by the sweep', "optimum's prefix",
             "best networks' prefixes dropped", 'rank correlation'],
            [_layer_row(layer) for layer in each['layers']],
        ),
    ]
  return '\n'.join(lines) + '\n'


def _layer_row(layer: Mapping[str, Any]) -> list[Any]:
  return [
      layer['length'], f'{layer["prefixes"]:,}', layer['buckets'],
      _figure('holds', layer['holds']), _figure('kept', layer['kept']),
      'kept' if layer['optimum_kept'] else 'dropped',
      _figure('top_dropped', layer['top_dropped']),
      _figure('correlation', layer['correlation']),
  ]


def _table(heading: list[str], rows: list[list[Any]]) -> list[str]:
  cells = [heading, ['---', *['---:'] * (len(heading) - 1)], *rows]
  return [
      '| ' + ' | '.join(str(cell).replace('|', '\\|') for cell in row) + ' |'
      for row in cells
  ]


def _figure(name: str, value: float | None) -> str:
  """Correlations as such, shares in per cent."""
  if value is None:
    return '-'
  return f'{value:.2f}' if name == 'correlation' else f'{100 * value:.0f} %'


def save_audit_plot(result: Mapping[str, Any], path: epath.PathLike) -> None:
  """Draws how often the assumption holds, layer by layer.

  Args:
    result: content of audit.json.
    path: of the PNG.
  """
  names = list(dict.fromkeys(each['benchmark'] for each in result['audits']))
  columns = min(4, len(names))
  rows = -(-len(names) // columns)
  figure, grid = subplots(
      rows, columns, figsize=(3.1 * columns, 2.6 * rows), sharey=True,
      squeeze=False,
  )
  for axes in grid.flat[len(names):]:
    axes.set_visible(False)
  for name, axes in zip(names, grid.flat, strict=False):
    audits = [each for each in result['audits'] if each['benchmark'] == name]
    for each in audits:
      known = [one for one in each['layers'] if one['holds'] is not None]
      axes.plot(
          [one['length'] for one in known], [one['holds'] for one in known],
          'o-', ms=4, label=f'assumption holds, H = {each["buckets"]}',
      )
    known = [
        one for one in audits[0]['layers'][:-1]
        if one['correlation'] is not None
    ]
    axes.plot(
        [one['length'] for one in known],
        [one['correlation'] for one in known], 'k--', lw=1,
        label='rank correlation with the best completion',
    )
    axes.set_title(name, fontsize=9)
    axes.set_xlabel('decided layers')
    axes.grid(alpha=0.3)
  grid[0, 0].set_ylim(-0.25, 1.04)
  handles, labels = grid[0, 0].get_legend_handles_labels()
  figure.legend(
      handles, labels, loc='outside lower center', ncols=2, fontsize=8
  )
  save_picture(figure, path)


def run_audit(config: ConfigDict, workdir: epath.PathLike) -> dict[str, Any]:
  """Audits every benchmark for every H.

  Args:
    config: see configs/study/audit.py.
    workdir: audit.json, audit.md and audit.png are written there.

  Returns:
    Content of audit.json.

  Raises:
    UserError: a field is wrong; nothing has been written.
  """
  if config.top < 1 or not config.benchmarks or not config.buckets:
    raise UserError(
        f'top {config.top}, {len(config.benchmarks)} benchmarks,'
        f' {len(config.buckets)} buckets: allowed are at least one of each'
    )
  for buckets in config.buckets:
    _sweep(config, buckets)  # Checks the fields.
  benchmarks = {
      name: make_benchmark(name, section)
      for name, section in config.benchmarks.items()
  }
  for name, benchmark in benchmarks.items():
    enumerated(benchmark.table, f'audit of benchmarks.{name}')
  # An audit takes seconds and is not resumed: any config may follow another.
  directory = Workdir(workdir)
  inputs = table_inputs(config, benchmarks)
  with directory.opened(config, inputs, kept=False):
    console = new_console()
    for benchmark in benchmarks.values():
      console.print(direction_line(benchmark))
    result = {
        'config': config.to_dict(),
        'audits': [
            {'benchmark': name, 'buckets': buckets} | audit_to_dict(
                audit(benchmark, _sweep(config, buckets), config.top)
            )
            for name, benchmark in track(
                benchmarks.items(), 'auditing', console=console
            )
            for buckets in config.buckets
        ],
    }
    directory.write_json('audit.json', result)
    directory.write_text('audit.md', audit_markdown(result))
    save_audit_plot(result, directory.path / 'audit.png')
  print(f'audit: {directory.path}/audit.md, audit.json, audit.png')
  return result


def _sweep(config: ConfigDict, buckets: int) -> Sweep:
  return Sweep(
      buckets, spacing=config.spacing, start=config.start, order=config.order
  )

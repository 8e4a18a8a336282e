"""What train_step.py and step_profile.py measured, as Markdown."""

from collections.abc import Mapping
from typing import Any

from layernas.study.report import table_text
from layernas.study.report_tables import Table

CASE_LABELS = {
    'mobilenet_v3_large_224': 'MobileNetV3-Large, 224',
    'mobilenet_v3_large_32': 'MobileNetV3-Large, 32',
    'smallest': 'smallest candidate', 'median': 'median candidate',
    'largest': 'largest candidate',
}

_PART_LABELS = {
    'pointwise': '1x1 convolutions', 'norm': 'batch norm, activation',
    'depthwise': 'depthwise', 'squeeze': 'squeeze-and-excite', 'stem': 'stem',
    'dense': 'dense', 'other': 'optimiser, loss, all else',
}
_FLOOR_LABELS = {
    'milliseconds': 'ms a step', 'arithmetic_floor_milliseconds':
    'ms of arithmetic', 'memory_floor_milliseconds': 'ms of memory',
}


def train_step_table(stored: Mapping[str, Any]) -> str:
  """A row for each case of train_step.json.

  Args:
    stored: its content.

  Returns:
    Markdown without a newline at the end.
  """
  header = (
      'network, pixels', 'batch', 'ours, ms', 'PyTorch / ours',
      'shifted / ours', "XLA's convolution / ours", 'compile, s',
      'shifted: compile, s', 'ours, memory given back, ms',
      'PyTorch, memory given back, ms',
  )
  return table_text(Table('', header, tuple(
      (CASE_LABELS[name], *_cells(case))
      for name, case in stored['cases'].items()
  )))


def profile_table(stored: Mapping[str, Any]) -> str:
  """A row for each part of a network in step_profile.json.

  Args:
    stored: its content.

  Returns:
    Markdown without a newline at the end; backward in brackets.
  """
  cases = stored['cases']
  rows = [
      (label, *(_share(case['shares'], part) for case in cases.values()))
      for part, label in _PART_LABELS.items()
  ] + [
      (label, *(f'{case[field]:.1f}' for case in cases.values()))
      for field, label in _FLOOR_LABELS.items()
  ]
  header = ('part', *(CASE_LABELS[name] for name in cases))
  return table_text(Table('', header, tuple(rows)))


def _cells(case: Mapping[str, Any]) -> list[str]:
  given_back = case['given_back']['milliseconds']
  return [
      str(case['batch']), f'{case["milliseconds"]["ours"][1]:.0f}',
      *(_ratio(case['ratios'][f'{name}/ours'])
        for name in ('pytorch', 'shifted', 'native')),
      *(f'{sum(case["compile_seconds"][form].values()):.1f}'
        for form in ('auto', 'shifted')),
      *(f'{given_back[name][1]:.0f}' for name in ('ours', 'pytorch')),
  ]


def _ratio(quartiles: list[float]) -> str:
  low, middle, high = quartiles
  return f'{middle:.2f} ({low:.2f} to {high:.2f})'


def _share(shares: Mapping[str, float], part: str) -> str:
  if part not in shares:
    return '-'
  share = f'{shares[part]:.1%}'
  backward = shares.get(f'{part} backward')
  return share if backward is None else f'{share} ({backward:.1%})'

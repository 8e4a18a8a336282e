"""Tables of the training step."""

from tools.perf import step_report
from tools.perf.step_cases import CASES

_STEP = {
    'batch': 8,
    'milliseconds': {'ours': [1.0, 2.0, 9.0]},
    'ratios': {
        'pytorch/ours': [1.0, 1.5, 2.0], 'shifted/ours': [3.0, 3.5, 4.0],
        'native/ours': [5.0, 5.5, 6.0],
    },
    'compile_seconds': {
        'auto': {'trace_and_lower': 1.0, 'compile': 2.0},
        'shifted': {'trace_and_lower': 3.0, 'compile': 4.0},
    },
    'given_back': {
        'milliseconds': {'ours': [1.0, 20.0, 30.0], 'pytorch': [1.0, 40.0, 50]},
    },
}
_PROFILE = {
    'milliseconds': 12.0, 'arithmetic_floor_milliseconds': 3.0,
    'memory_floor_milliseconds': 4.0,
    'shares': {'norm': 0.1, 'norm backward': 0.25, 'other': 0.65},
}


def test_a_case_is_a_row() -> None:
  table = step_report.train_step_table({'cases': {'smallest': _STEP}})
  assert table.splitlines()[2:] == [
      '| smallest candidate | 8 | 2 | 1.50 (1.00 to 2.00) | 3.50 (3.00 to 4.00)'
      ' | 5.50 (5.00 to 6.00) | 3.0 | 7.0 | 20 | 40 |'
  ]


def test_a_part_is_a_row_and_backward_in_brackets() -> None:
  lines = step_report.profile_table({'cases': {'median': _PROFILE}}).split('\n')
  assert '| batch norm, activation | 10.0% (25.0%) |' in lines
  assert '| optimiser, loss, all else | 65.0% |' in lines
  assert '| stem | - |' in lines
  assert lines[-3:] == [
      '| ms a step | 12.0 |', '| ms of arithmetic | 3.0 |',
      '| ms of memory | 4.0 |',
  ]


def test_every_case_has_a_label() -> None:
  assert set(step_report.CASE_LABELS) == set(CASES)

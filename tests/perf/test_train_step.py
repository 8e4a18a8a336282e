"""Training steps: cases, turns, profile parts, tables."""

import dataclasses

import pytest

from configs import default
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from tools.perf import step_profile
from tools.perf import train_step

_PROGRAM = """
%inner (x: f32[]) -> f32[] {
  %in.1 = f32[] copy(x), metadata={op_name="a/block0/depthwise/b"}
}

ENTRY %main (x: f32[]) -> f32[] {
  %conv.1 = f32[] x(), metadata={op_name="jit/block0/depthwise/mul"}
  conv.2 = f32[] x(), metadata={op_name="transpose(jvp(N))/block10/expand/dot"}
  %add.3 = f32[] x(), metadata={op_name="jit/optimizer/depthwise/add"}
  ROOT %last = f32[] x()
}
"""
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


def test_cases_are_what_their_names_say():
  cases = {name: train_step.make_case(name) for name in train_step.CASES}
  large = cases['mobilenet_v3_large_224']
  assert (large.image_size, large.batch, large.classes) == (224, 8, 1000)
  small = cases['mobilenet_v3_large_32']
  assert (small.image_size, small.batch) == (32, 32)
  assert small.network == large.network
  madds = [
      cases[name].network.counts(32, 10).madds
      for name in ('smallest', 'median', 'largest')
  ]
  assert madds == sorted(set(madds))


@pytest.fixture(name='step')
def _step(monkeypatch):
  """Makes steps that let seconds pass on a clock of the test."""
  now = [0.0]
  monkeypatch.setattr(train_step.time, 'perf_counter', lambda: now[0])
  monkeypatch.setattr(train_step.time, 'sleep', lambda seconds: None)

  def make(seconds):
    def step():
      step.calls += 1
      now[0] += seconds

    step.calls = 0
    return step

  return make


def test_ratios_and_milliseconds(step):
  steps = {'ours': step(0.01), 'other': step(0.03)}
  found = train_step.measure_in_turns(steps, rounds=3, repeats=2)
  assert found == {
      'milliseconds': {'ours': [10.0] * 3, 'other': [30.0] * 3},
      'ratios': {'other/ours': [3.0] * 3},
  }
  assert steps['other'].calls == 1 + 3 * (1 + 2)


def test_a_slow_step_is_measured_once(step):
  steps = {'ours': step(0.01), 'slow': step(5.0)}
  found = train_step.measure_in_turns(steps, rounds=3, repeats=2)
  assert steps['slow'].calls == 2
  assert found['milliseconds']['slow'] == [5000.0] * 3


def test_quartiles():
  assert train_step.quartiles([1, 2, 3, 4, 9]) == [2, 3, 4]
  assert train_step.quartiles([7]) == [7, 7, 7]


def test_a_case_is_a_row():
  table = train_step.train_step_table({'cases': {'smallest': _STEP}})
  assert table.splitlines()[2:] == [
      '| smallest candidate | 8 | 2 | 1.50 (1.00 to 2.00) | 3.50 (3.00 to 4.00)'
      ' | 5.50 (5.00 to 6.00) | 3.0 | 7.0 | 20 | 40 |'
  ]


def test_operations_find_their_part():
  assert step_profile.parts_of(_PROGRAM) == {
      'conv.1': 'depthwise', 'conv.2': 'pointwise backward', 'add.3': 'other',
      'last': 'other',
  }


def test_features_and_floors():
  """Stem 4x4x8; block: expanded 4x4x16, depthwise 2x2x16, 2x2x12; head."""
  block = InvertedResidual(12, 16, stride=2)
  network = NetworkSpec(Stem(8), (block,), Head(20))
  network = dataclasses.replace(
      network, stem=dataclasses.replace(network.stem, stride=2)
  )
  case = train_step.Case(network, default.get_config(), 8, 4)
  # A block that expands moves less around its convolution.
  moved = 14 * (16 * 8 + 4 * 12 + 4 * 20) + 10 * (16 * 16 + 4 * 16)
  assert step_profile.moved_numbers(case) == moved
  found = step_profile.floors(
      case, {'gigaflops': 1e-3, 'gigabytes_per_second': 1e-3}
  )
  assert found['arithmetic_floor_milliseconds'] == pytest.approx(
      6 * network.counts(8, 4).madds * case.batch / 1e3, abs=0.01
  )
  assert found['memory_floor_milliseconds'] == pytest.approx(
      4 * moved * case.batch / 1e3, abs=0.01
  )


def test_a_part_is_a_row_with_backward_in_brackets():
  table = step_profile.profile_table({'cases': {'median': _PROFILE}})
  lines = table.split('\n')
  assert '| batch norm, activation | 10.0% (25.0%) |' in lines
  assert '| optimiser, loss, all else | 65.0% |' in lines
  assert '| stem | - |' in lines
  assert lines[-3:] == [
      '| ms a step | 12.0 |', '| ms of arithmetic | 3.0 |',
      '| ms of memory | 4.0 |',
  ]


@pytest.mark.long
def test_a_step_is_compiled_and_runs():
  step = train_step.OurStep(train_step.make_case('smallest'), 'auto')
  step()
  step()
  assert min(step.seconds.values()) > 0
  parts = set(step_profile.parts_of(step.program.as_text()).values())
  assert {'pointwise', 'pointwise backward', 'other'} <= parts

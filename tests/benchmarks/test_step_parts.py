"""Operations find their part; what a step must do is counted."""

import dataclasses

import pytest

from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from layernas.networks.spec import count
from tests.training import small
from tools.perf import step_parts
from tools.perf.step_cases import Case

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


def test_operations_find_their_part() -> None:
  assert step_parts.parts_of(_PROGRAM) == {
      'conv.1': 'depthwise', 'conv.2': 'pointwise backward', 'add.3': 'other',
      'last': 'other',
  }


def test_features_and_floors() -> None:
  """Stem 4x4x8; block: expanded 4x4x16, depthwise 2x2x16, 2x2x12; head."""
  block = InvertedResidual(12, 16, stride=2)
  network = NetworkSpec(Stem(8), (block,), Head(20))
  network = dataclasses.replace(
      network, stem=dataclasses.replace(network.stem, stride=2)
  )
  case = Case(network, small.get_config(), 8, 4)
  # Around the convolution of a block that expands less is moved.
  moved = 14 * (16 * 8 + 4 * 12 + 4 * 20) + 10 * (16 * 16 + 4 * 16)
  assert step_parts.moved_numbers(case) == moved
  found = step_parts.floors(
      case, {'gigaflops': 1e-3, 'gigabytes_per_second': 1e-3}
  )
  assert found['arithmetic_floor_milliseconds'] == pytest.approx(
      6 * count(network, 8, 4).madds * case.batch / 1e3, abs=0.01
  )
  assert found['memory_floor_milliseconds'] == pytest.approx(
      4 * moved * case.batch / 1e3, abs=0.01
  )

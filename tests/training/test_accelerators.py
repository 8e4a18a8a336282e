"""Training steps are right for accelerators, although none is here.

What is lowered is what XLA would be given there: it holds no call of a kernel
that only CPUs have, no 64-bit numbers, the sums over devices that it should,
and every part of a state is overwritten by the next one.
"""

import itertools
import json
import os
import subprocess
import sys

import pytest

from configs import imagenet
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.training import devices
from tests import tiny
from tests.test_results import long

_FIRST = [
    'cifar10_large,cifar10_small,float32',
    'mobilenet_v3_small,v3_small_60m+tunas,bfloat16',
]
_TYPES = itertools.cycle(('bfloat16', 'float32'))
_RECIPES = itertools.cycle(imagenet.RECIPES)
_ALL = [
    *(f'{network},v3_small_60m+{next(_RECIPES)},{next(_TYPES)}'
      for network in REFERENCE_NETWORKS),
    *(f'{space},cifar10_small,{next(_TYPES)}' for space in SPACES),
    *(f'examples.{name}_space:space,cifar10_small,float32'
      for name in ('resnet', 'vit', 'mixer')),
]
# Of a step: loss, accuracy, top-5 accuracy, number of images; and of a train
# step, whether a gradient was not finite.
_SUMS = 4


def _facts(cases: list[str], devices: int) -> list[dict]:
  done = subprocess.run(
      [sys.executable, '-m', 'tests.training.lowering_program', *cases],
      cwd=tiny.ROOT, capture_output=True, text=True,
      env=os.environ | {'JAX_NUM_CPU_DEVICES': str(devices)},
  )
  assert done.returncode == 0, done.stderr
  return list(map(json.loads, done.stdout.splitlines()))


def _check(facts: dict, devices: int) -> None:
  where = f'{facts["case"]}, {facts["step"]}, {facts["platform"]}'
  assert facts['custom_calls'] == [], where
  assert not facts['f64'], where
  assert not facts['precise'], where
  assert facts['bf16'] == ('bfloat16' in facts['case']), where
  assert facts['consumed_others'] == 0, where
  if facts['step'] == 'evaluation':
    assert (facts['consumed'], facts['all_reduces']) == (0, _SUMS), where
    return
  assert facts['consumed'] == facts['state'], where
  expected = _SUMS + 1
  if devices > 1:
    # Gradients; new averages of statistics; and where norms see all devices'
    # images, mean and variance, forward and backward.
    expected += facts['parameters'] + facts['statistics']
    expected += 2 * facts['statistics'] * facts['sync']
  assert facts['all_reduces'] == expected, where


@pytest.mark.parametrize(('cases', 'devices'), [
    long(_FIRST[:1], 8), long(_FIRST, 1), *(long([case], 8) for case in _ALL),
])
def test_steps_are_right_for_accelerators(
    cases: list[str], devices: int
) -> None:
  found = _facts(cases, devices)
  assert len(found) == 2 * 3 * len(cases)
  for facts in found:
    _check(facts, devices)


@pytest.mark.long
def test_what_is_wrong_or_asked_for_would_be_seen() -> None:
  """A kernel for CPU, and the precision of a config, in every step."""
  case = 'cifar10_small,cifar10_small,float32,'
  kernel = f'{case}depthwise=compiled'
  precise = f'{case}matmul_precision=highest'
  found = _facts([kernel, precise], 1)
  assert {facts['case'] for facts in found} == {kernel, precise}
  for facts in found:
    ours = any('layernas' in name for name in facts['custom_calls'])
    assert ours == (facts['case'] == kernel), facts
    assert facts['precise'] == (facts['case'] == precise), facts


def test_deterministic_operations_are_a_flag_of_xla(monkeypatch) -> None:
  monkeypatch.setenv('XLA_FLAGS', '--xla_a=1')
  monkeypatch.setattr(devices, 'keep_freed_memory', lambda: None)
  devices.prepare(deterministic=False)
  assert os.environ['XLA_FLAGS'] == '--xla_a=1'
  for _ in range(2):
    devices.prepare(deterministic=True)
    assert os.environ['XLA_FLAGS'] == (
        '--xla_a=1 --xla_gpu_deterministic_ops=true'
    )


@pytest.mark.long
@pytest.mark.parametrize('module', ['test_train', 'test_steps'])
def test_trainings_are_the_same_where_steps_consume_their_state(
    module: str
) -> None:
  done = subprocess.run(
      [sys.executable, '-m', 'pytest', '-q', '-p',
       'tests.training.as_accelerator', f'tests/training/{module}.py'],
      cwd=tiny.ROOT, capture_output=True, text=True,
  )
  assert done.returncode == 0, done.stdout[-3000:]

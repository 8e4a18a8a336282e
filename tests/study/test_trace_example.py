"""The worked example: text, stored files and a fresh run agree."""

import json
import re
from typing import Any

import numpy as np
import pytest

from configs.study import trace_example
from layernas.reports.trace_page import trace_page
from layernas.reports.trace_view import margin_text
from layernas.study.run import Key
from layernas.study.setup import make_benchmark
from layernas.study.trace_run import traced
from tests import tiny

_STORED = tiny.ROOT / 'docs' / 'results' / 'trace_example'
_ID = r'`(\d(?:-\d){7})`'


@pytest.fixture(scope='module')
def trace() -> dict[str, Any]:
  """The stored trace."""
  return json.loads((_STORED / 'trace.json').read_text())


@pytest.fixture(scope='module')
def text() -> str:
  """The document as one line."""
  path = tiny.ROOT / 'docs' / 'decision_trace.md'
  return ' '.join(path.read_text().split())


def _items(text: str) -> list[str]:
  """What the document says of each layer."""
  story = text.partition('## Layer by layer')[2].partition('## Was')[0]
  return re.split(r'\d\. \*\*Block', story)[1:]


def _met(layer: dict[str, Any]) -> dict[str, dict[str, Any]]:
  return {
      one['architecture']: one
      for bucket in layer['buckets'].values() for one in bucket
  }


def test_a_fresh_run_gives_the_stored_trace(trace: dict[str, Any]) -> None:
  key = Key('macro', 'each_network_once', 'layernas', 0)
  assert traced(trace_example.get_config(), key) == trace


def test_the_stored_page_is_that_of_the_stored_trace(
    trace: dict[str, Any]
) -> None:
  assert (_STORED / 'trace.html').read_text() == trace_page(trace)
  assert (_STORED / 'trace.png').exists()


def test_the_document_is_short_and_names_the_command() -> None:
  path = tiny.ROOT / 'docs' / 'decision_trace.md'
  lines = path.read_text().splitlines()
  assert len(lines) < 80
  command = './launch.sh trace --config=configs/study/trace_example.py'
  assert command in '\n'.join(
      lines
  )


def test_totals_in_the_text(trace: dict[str, Any], text: str) -> None:
  layers = trace['passes'][0]['layers']
  met = [one for layer in layers for one in _met(layer).values()]
  known = sum(one['seen_before'] for one in met)
  assert (
      f'In all {sum(layer["children"] for layer in layers)} children:'
      f' {sum(len(layer["infeasible"]) for layer in layers)} could not reach'
      f' the target, {len(met) - known} were evaluated, {known} were known'
  ) in text


def test_costs_and_rewards_in_the_text(
    trace: dict[str, Any], text: str
) -> None:
  layers = trace['passes'][0]['layers']
  quoted = 0
  for item, layer in zip(_items(text), layers, strict=True):
    for who, cost, reward in re.findall(_ID + r' \((.*?) M, (.*?)\)', item):
      assert float(cost) == round(_met(layer)[who]['cost'] / 1e6, 2)
      assert float(reward) == _met(layer)[who]['reward']
      quoted += 1
  assert quoted == 6


def test_every_network_in_the_text_was_in_its_layer(
    trace: dict[str, Any], text: str
) -> None:
  layers = trace['passes'][0]['layers']
  for item, layer in zip(_items(text), layers, strict=True):
    dropped = {one['architecture'] for one in layer['infeasible']}
    for who in re.findall(_ID, item):
      assert who in _met(layer) or who in dropped, who
    assert layer['path'] in re.findall(_ID, item)


def test_margins_and_trials_in_the_text(
    trace: dict[str, Any], text: str
) -> None:
  layers = trace['passes'][0]['layers']
  quoted = []
  for item, layer in zip(_items(text), layers, strict=True):
    margins = {
        margin_text(one['rival_reward'] - one['reward'])
        for one in _met(layer).values() if one['rival']
    }
    named = re.findall(r'by (0\.\d+|1\.\d+)', item)
    assert set(named) <= margins
    quoted += named
    for trial in map(int, re.findall(r'trial (\d+)', item)):
      assert _met(layer)[layer['path']]['trial'] == trial
  assert len(quoted) >= 9


def test_claims_of_the_text(trace: dict[str, Any], text: str) -> None:
  layers = trace['passes'][0]['layers']
  first, second, third, fourth, fifth, sixth, seventh, eighth = map(
      _met, layers
  )
  assert all(one['verdict'] == 'kept' for one in first.values())
  reward = second['1-1-2-2-2-2-2-2']['reward']
  assert sum(one['reward'] > reward for one in second.values()) == 3
  assert third[layers[2]['path']]['seen_before']
  assert fourth['1-1-2-2-2-2-2-2']['rival'] == '2-2-1-2-2-2-2-2'
  assert round(
      (third['1-1-2-2-2-2-2-2']['cost'] - fourth[layers[3]['path']]['cost'])
      / 1e6, 2
  ) == 13.81
  dropped = {one['architecture']: one for one in layers[4]['infeasible']}
  assert round(dropped['2-2-1-2-1-2-2-2']['low'] / 1e6, 2) == 57.52
  equal = fifth['1-1-2-1-0-2-2-2']
  assert equal['rival'] == layers[4]['path']
  assert equal['reward'] == equal['rival_reward']
  assert len(layers[5]['infeasible']) == 2
  assert sixth[layers[5]['path']]['displaced'] == '1-1-2-0-1-0-2-2'
  others = [one for who, one in seventh.items() if who != layers[6]['path']]
  reward = seventh[layers[6]['path']]['reward']
  better = [one for one in others if one['reward'] > reward]
  assert (len(better), len(others)) == (5, 6)
  assert min(one['cost'] for one in others) > 52_830_464
  assert (len(layers[7]['infeasible']), len(eighth)) == (3, 6)
  [winner] = trace['incumbents']
  assert f'the winner is `{winner["architecture"]}`' in text
  assert winner['layer'] == 'block 7'


def test_the_comparison_with_the_whole_table(
    trace: dict[str, Any], text: str
) -> None:
  config = trace_example.get_config()
  benchmark = make_benchmark('macro', config.benchmarks.macro)
  winner = tuple(map(int, trace['incumbents'][-1]['architecture'].split('-')))
  figures, feasible = benchmark.reference, benchmark.feasible
  best = np.unravel_index(
      np.where(feasible, figures, 0).argmax(), figures.shape
  )
  better = int((figures[feasible] > figures[winner]).sum())
  assert (
      f'gives the winner {trace["run"]["reported"]}. In the mean of all three'
      f' trainings it has {figures[winner]:.2f}; of the {feasible.sum():,}'
      f' affordable networks {better} are better, the best,'
      f' `{"-".join(map(str, best))}`, with {figures[best]:.2f}.'
  ) in text
  second = _met(trace['passes'][0]['layers'][1])
  lost = second['2-1-2-2-2-2-2-2']
  assert (lost['verdict'], lost['rival']) == ('displaced', '2-2-2-2-2-2-2-2')
  assert '(97.35 M, 92.94) was lost in layer 2' in text
  assert (round(lost['cost'] / 1e6, 2), lost['reward']) == (97.35, 92.94)
  assert margin_text(lost['rival_reward'] - lost['reward']) == '0.12'

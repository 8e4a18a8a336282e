"""The worked example: text, stored files and a fresh run agree."""

import json
import re
from typing import Any

import pytest

from configs.study import trace_example
from layernas.reports.trace_page import trace_page
from layernas.study.run import Key
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


def test_totals_in_the_text(trace: dict[str, Any], text: str) -> None:
  layers = trace['passes'][0]['layers']
  met = [one for layer in layers for one in _met(layer).values()]
  known = sum(one['seen_before'] for one in met)
  assert (
      f'has {sum(layer["children"] for layer in layers)} children in all:'
      f' {sum(len(layer["infeasible"]) for layer in layers)} could not reach'
      f' the target, {len(met) - known} were evaluated, and {known} were known'
  ) in text


def test_every_network_in_the_text_was_in_its_layer(
    trace: dict[str, Any], text: str
) -> None:
  layers = trace['passes'][0]['layers']
  for item, layer in zip(_items(text), layers, strict=True):
    dropped = {one['architecture'] for one in layer['infeasible']}
    for who in re.findall(_ID, item):
      assert who in _met(layer) or who in dropped, who
    assert layer['path'] in re.findall(_ID, item)

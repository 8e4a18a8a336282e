"""The page of a decision trace, read as a browser reads it."""

import json
import re

import pytest

from layernas.reports.trace_page import target_words
from layernas.reports.trace_page import trace_page
from layernas.reports.trace_page import winner_options
from layernas.reports.trace_page import write_trace
from layernas.reports.trace_view import CostFormat
from layernas.storage.workdir import Workdir
from tests.page_reader import PageReader
from tests.search import traced


def test_every_candidate_with_its_verdict() -> None:
  trace = traced.hand_worked()
  rows = PageReader(trace_page(trace)).rows
  for text in (
      '0-1-0 1 6 madds 2 kept at first, then displaced by 1-1-0 by 2',
      '0-2-0 2 7 madds - failed: out of luck',
      '1-0-0 0 6 madds 2 lost to 0-1-0: equal, the older one stays; seen before'
      ' as trial 1',
      '1-1-0 1 9 madds 4 kept, displaced 0-1-0',
      '1-2-0 2 10 madds reaches 10 to 17 madds',
  ):
    assert text in rows, text


def test_stopped_children_are_named_where_there_are_some() -> None:
  page = trace_page(traced.with_a_stopped_child())
  rows = PageReader(page).rows
  assert '0-2-0 2 7 madds - stopped: too bad' in rows
  assert page.count('■') == 2  # In the picture and in its legend.
  assert '1 were stopped' in page
  assert '■' not in trace_page(traced.hand_worked())


def test_the_newly_decided_option_is_marked() -> None:
  page = trace_page(traced.hand_worked())
  assert (
      '<span class="decided">0</span>-<span class="new">1</span>'
      '-<span class="open">0</span>'
  ) in page


def test_the_way_to_the_winner_is_marked_in_every_layer() -> None:
  page = trace_page(traced.hand_worked())
  assert page.count('Towards the winner') == 3
  assert page.count('<tr class="path">') == 3
  assert page.count('★<title>') == 3
  assert 'at most 9 madds' in page


def test_the_page_needs_no_other_file() -> None:
  page = trace_page(traced.hand_worked())
  assert not re.search(r'<script|<link|src=|url\(|https?://|@import', page)


def test_what_comes_from_outside_is_escaped() -> None:
  trace = traced.hand_worked(title='<b>&')
  trace['passes'][0]['layers'][1]['buckets']['1'][1]['message'] = '<script>'
  page = trace_page(trace)
  assert '<script>' not in page
  assert 'failed: &lt;script&gt;' in page
  assert '<h1>&lt;b&gt;&amp;</h1>' in page


def test_no_winner() -> None:
  trace = traced.hand_worked() | {'incumbents': []}
  for layer in trace['passes'][0]['layers']:
    layer['path'] = None
  page = trace_page(trace)
  PageReader(page)
  assert 'No network in the target interval was evaluated' in page
  assert 'Towards the winner' not in page


def test_a_layer_behind_the_winner() -> None:
  trace = traced.hand_worked()
  trace['passes'][0]['layers'][2]['path'] = '0-1-0'
  page = trace_page(trace)
  assert page.count('Towards the winner') == 2
  assert page.count('it had been found before') == 1


def test_small_layers_are_unfolded() -> None:
  page = trace_page(traced.hand_worked())
  buckets = re.findall(r'<details( open)?>\s*<summary>Bucket', page)
  assert buckets == [' open'] * 6


@pytest.mark.parametrize(('sizes', 'most'), [
    ((6, 9, 20), 1e6),
    pytest.param((20, 10, 60), 4e6, marks=pytest.mark.long),
])
def test_a_large_run_folds_all_but_the_way(
    sizes: tuple[int, int, int], most: float
) -> None:
  trace = traced.large(*sizes)
  page = trace_page(trace)
  reader = PageReader(page)
  assert len(page) < most
  assert len(reader.rows) < 9000
  layers = trace['passes'][0]['layers']
  sections = page.split('<section')[1:]
  for section, layer in zip(sections, layers, strict=True):
    met = [one for bucket in layer['buckets'].values() for one in bucket]
    came = sum(one['architecture'] == layer['path'] for one in met)
    assert section.count('<tr class="path">') == came
    unfolded = len(re.findall(r'<details open>\s*<summary>Bucket', section))
    assert unfolded == (came if len(met) > 12 else len(layer['buckets']))
  hidden = sum(map(int, re.findall(r'and ([\d]+) more children', page)))
  met = sum(len(met) for layer in layers for met in layer['buckets'].values())
  shown = len(re.findall(r'<td class="(?:kept|lost|displaced|failed)">', page))
  assert shown + hidden == met


def test_kept_ones_are_shown_before_others() -> None:
  trace = traced.large(4, 30, 2)
  page = trace_page(trace)
  assert 'more children' in page
  kept = sum(
      one['verdict'] == 'kept' for layer in trace['passes'][0]['layers']
      for met in layer['buckets'].values() for one in met
  )
  assert page.count('<td class="kept">') == kept


def test_the_winner_in_words() -> None:
  assert winner_options(traced.hand_worked()) == [
      ('layer0', '1'), ('layer1', '1'), ('layer2', '0'),
  ]


@pytest.mark.parametrize(('low', 'high', 'words'), [
    (None, None, 'any cost'),
    (None, 9, 'at most 9 ms'),
    (4, None, 'at least 4 ms'),
    (4, 9, '4 to 9 ms'),
])
def test_targets(low: float | None, high: float | None, words: str) -> None:
  assert target_words({'low': low, 'high': high}, CostFormat(1, 'ms')) == words


def test_files(tmp_path) -> None:
  trace = traced.hand_worked()
  write_trace(trace, Workdir(tmp_path))
  assert json.loads((tmp_path / 'trace.json').read_text()) == trace
  assert (tmp_path / 'trace.html').read_text() == trace_page(trace)


def test_the_page_is_not_wider_than_a_phone() -> None:
  """What may not be wrapped lies in boxes that scroll by themselves."""
  page = trace_page(traced.hand_worked())
  rules = re.findall(r'([^{}]+)\{([^{}]*)\}', page[:page.index('</style>')])
  unwrapped = {
      selector.strip() for selector, rule in rules if 'nowrap' in rule
  }
  assert unwrapped == {'td:first-child', 'td.number', '.scroll code'}
  [body] = [rule for selector, rule in rules if selector.strip() == 'body']
  assert 'overflow-wrap: anywhere' in body
  assert page.count('<table') == page.count('<div class="scroll"><table') > 0

"""A decision trace as one HTML page that can be followed layer by layer."""

import dataclasses
import itertools
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jinja2

from layernas.reports.trace_view import AxisView
from layernas.reports.trace_view import CostFormat
from layernas.reports.trace_view import axis_view
from layernas.reports.trace_view import cost_format
from layernas.reports.trace_view import layer_sentence
from layernas.reports.trace_view import meetings_of
from layernas.reports.trace_view import reward_text
from layernas.reports.trace_view import verdict_words
from layernas.search.cost import cost_text
from layernas.storage.workdir import Workdir

Json = Mapping[str, Any]

_ROWS_PER_PAGE = 4000
"""Shared among all buckets of large runs."""

_ROWS_PER_BUCKET = 20

_BUCKETS_PER_LAYER = 100

_OPEN_CHILDREN = 12
"""Layers with at most so many children show all their buckets unfolded."""


@dataclasses.dataclass(frozen=True)
class Row:
  """A child in a table of the page.

  Attributes:
    options: runs of option indices with 'decided', 'new' or 'open'.
    option: label of the option decided last.
    cost: with its unit.
    reward: as text.
    verdict: in words.
    kind: verdict as a word.
    on_path: whether it is the prefix of the winner.
  """

  options: tuple[tuple[str, str], ...]
  option: str
  cost: str
  reward: str
  verdict: str
  kind: str
  on_path: bool


@dataclasses.dataclass(frozen=True)
class BucketView:
  """A bucket: its range of costs, its rows, and how many are not shown."""

  title: str
  rows: tuple[Row, ...]
  more: int
  unfolded: bool


@dataclasses.dataclass(frozen=True)
class LayerView:
  """A layer of a pass.

  Attributes:
    name: of the layer.
    length: number of decided layers.
    anchor: unique on the page.
    sentence: what happened.
    path: row of the winner's prefix, or None where none came by.
    picture: of the cost axis, or None.
    buckets: those shown.
    more: number of buckets that are not shown.
    dropped: rows of the children that cannot reach the target.
    more_dropped: number of those not shown.
  """

  name: str
  length: int
  anchor: str
  sentence: str
  path: Row | None
  picture: AxisView | None
  buckets: tuple[BucketView, ...]
  more: int
  dropped: tuple[Row, ...]
  more_dropped: int


def trace_page(trace: Json) -> str:
  """The page of a trace.

  Args:
    trace: `Trace.to_dict()`, with an entry 'run' of texts by name, of which
      'title' heads the page.

  Returns:
    HTML that needs no other file.
  """
  environment = jinja2.Environment(
      loader=jinja2.PackageLoader('layernas.reports'), autoescape=True,
      trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
  )
  costs = cost_format(trace)
  return environment.get_template('trace.html').render(
      trace=trace,
      facts={k: v for k, v in trace['run'].items() if k != 'title'},
      title=trace['run']['title'],
      target=problem_words(trace['problem'], costs),
      winner=winner_options(trace),
      totals=_totals(trace),
      passes=_pass_views(trace, costs),
      cost=costs.text,
      reward=reward_text,
  )


def write_trace(trace: Json, directory: Workdir) -> None:
  """Writes trace.json and trace.html.

  Args:
    trace: as `trace_page` takes it.
    directory: to write into.
  """
  directory.write_json('trace.json', trace)
  directory.write_text('trace.html', trace_page(trace))


def problem_words(problem: Json, costs: CostFormat) -> str:
  """The target interval in words, its smaller limits, and further limits."""
  smaller = problem.get('smaller_highs', ())
  return ''.join((
      target_words(problem['target'], costs),
      f', and below {", ".join(map(costs.text, smaller))}' if smaller else '',
      *(f', {name} at most {cost_text(limit)}'
        for name, limit in problem.get('limits', {}).items()),
  ))


def target_words(target: Json, costs: CostFormat) -> str:
  """The target interval in words."""
  low, high = target['low'], target['high']
  if low is None and high is None:
    return 'any cost'
  if low is None:
    return f'at most {costs.text(high)}'
  if high is None:
    return f'at least {costs.text(low)}'
  return f'{costs.number(low)} to {costs.text(high)}'


def winner_options(trace: Json) -> list[tuple[str, str]]:
  """Pairs of layer name and the winner's option; empty where none won."""
  if not trace['incumbents']:
    return []
  options = trace['incumbents'][-1]['architecture'].split('-')
  return [
      (layer['name'], layer['options'][int(option)])
      for layer, option in zip(
          trace['problem']['layers'], options, strict=True
      )
  ]


def _totals(trace: Json) -> dict[str, int]:
  layers = [layer for one in trace['passes'] for layer in one['layers']]
  met = [meeting for layer in layers for meeting in meetings_of(layer)]
  known = sum(meeting['seen_before'] for meeting in met)
  return {
      'children': sum(layer['children'] for layer in layers),
      'dropped': sum(len(layer['infeasible']) for layer in layers),
      'evaluated': len(met) - known,
      'known': known,
      **{
          verdict: sum(meeting['verdict'] == verdict for meeting in met)
          for verdict in ('failed', 'stopped')
      },
  }


def _pass_views(
    trace: Json, costs: CostFormat
) -> list[tuple[Json, list[LayerView]]]:
  layers = [layer for one in trace['passes'] for layer in one['layers']]
  buckets = sum(len(layer['buckets']) for layer in layers)
  rows = max(2, min(_ROWS_PER_BUCKET, _ROWS_PER_PAGE // max(1, buckets)))
  return [
      (one, [
          _LayerPage(trace, number, layer, costs, rows).view()
          for layer in one['layers']
      ])
      for number, one in enumerate(trace['passes'])
  ]


class _LayerPage:
  """Makes the view of one layer."""

  def __init__(
      self, trace: Json, number: int, layer: Json, costs: CostFormat, rows: int
  ):
    self.trace = trace
    self.number = number
    self.layer = layer
    self.costs = costs
    self.rows = rows
    self.names = [one['name'] for one in trace['problem']['layers']]
    order = trace['passes'][number]['order']
    self.decided = set(order[:layer['length'] - 1])

  def view(self) -> LayerView:
    """The whole layer."""
    layer = self.layer
    buckets = [self._bucket(*item) for item in layer['buckets'].items()]
    shown = _spread(buckets, _BUCKETS_PER_LAYER)
    dropped = layer['infeasible'][:_ROWS_PER_BUCKET]
    path = [one for one in meetings_of(layer) if self._on_path(one)]
    return LayerView(
        layer['layer'], layer['length'],
        f'p{self.number + 1}l{layer["length"]}',
        layer_sentence(layer),
        self._row(path[0]) if path else None,
        axis_view(layer, self.trace['problem']['target'], self.costs),
        tuple(shown), len(buckets) - len(shown),
        tuple(map(self._dropped_row, dropped)),
        len(layer['infeasible']) - len(dropped),
    )

  def _bucket(self, index: str, met: Sequence[Json]) -> BucketView:
    important = sorted(met, key=self._importance)[:self.rows]
    rows = sorted(important, key=lambda one: one['number'])
    kept = sum(one['verdict'] == 'kept' for one in met)
    children = 'child' if len(met) == 1 else 'children'
    few = sum(1 for _ in meetings_of(self.layer)) <= _OPEN_CHILDREN
    return BucketView(
        f'Bucket {int(index) + 1}, {self._range(int(index))}:'
        f' {len(met):,} {children}, {kept:,} kept',
        tuple(map(self._row, rows)), len(met) - len(rows),
        few or any(map(self._on_path, met)),
    )

  def _range(self, index: int) -> str:
    edges, costs = self.layer['edges'], self.costs
    if not edges:
      return 'all costs'
    if index == 0:
      return f'below {costs.text(edges[0])}'
    if index == len(edges):
      return f'from {costs.text(edges[-1])}'
    return f'{costs.number(edges[index - 1])} to {costs.text(edges[index])}'

  def _on_path(self, meeting: Json) -> bool:
    return meeting['architecture'] == self.layer['path']

  def _importance(self, meeting: Json) -> tuple[bool, bool, bool, float]:
    """Sorts the winner's prefix first, then kept ones, then by reward."""
    reward = meeting['reward']
    return (
        not self._on_path(meeting), meeting['verdict'] != 'kept',
        reward is None, -(reward or 0),
    )

  def _row(self, meeting: Json) -> Row:
    architecture = meeting['architecture']
    return Row(
        self._options(architecture), self._option(architecture),
        self.costs.text(meeting['cost']), reward_text(meeting['reward']),
        verdict_words(meeting), meeting['verdict'], self._on_path(meeting),
    )

  def _dropped_row(self, dropped: Json) -> Row:
    reach = ''.join((
        f'reaches {self.costs.number(dropped["low"])} to'
        f' {self.costs.text(dropped["high"])}',
        *(f', {name} at least {cost_text(least)}'
          for name, least in dropped.get('exceeded', {}).items()),
    ))
    return Row(
        self._options(dropped['architecture']),
        self._option(dropped['architecture']),
        self.costs.text(dropped['cost']), '', reach, 'dropped', False,
    )

  def _options(self, architecture: str) -> tuple[tuple[str, str], ...]:
    kinds = (
        'new' if name == self.layer['layer'] else
        'decided' if name in self.decided else 'open'
        for name in self.names
    )
    pairs = zip(kinds, architecture.split('-'), strict=True)
    return tuple(
        ('-'.join(option for _, option in run), kind)
        for kind, run in itertools.groupby(pairs, key=lambda pair: pair[0])
    )

  def _option(self, architecture: str) -> str:
    index = self.names.index(self.layer['layer'])
    options = self.trace['problem']['layers'][index]['options']
    return options[int(architecture.split('-')[index])]


def _spread(buckets: list[BucketView], most: int) -> list[BucketView]:
  """At most so many buckets: the unfolded ones, then the cheapest."""
  if len(buckets) <= most:
    return buckets
  order = sorted(range(len(buckets)), key=lambda i: not buckets[i].unfolded)
  return [buckets[index] for index in sorted(order[:most])]

"""The sentences of a decision trace, from its JSON."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

_LARGE = 1e4
"""Costs from here on are printed without decimals."""

_MILLIONS = 1e7
"""Where the start network costs so much, costs are printed in millions."""


@dataclasses.dataclass(frozen=True)
class CostFormat:
  """How costs are printed.

  Attributes:
    divisor: costs are given in multiples of it.
    unit: of the multiples.
  """

  divisor: float
  unit: str

  def number(self, cost: float) -> str:
    """A cost without its unit."""
    if self.divisor > 1:
      return f'{cost / self.divisor:,.2f}'
    return f'{cost:,.0f}' if abs(cost) >= _LARGE else f'{cost:.5g}'

  def text(self, cost: float) -> str:
    """A cost with its unit."""
    return f'{self.number(cost)} {self.unit}'.strip()


def cost_format(trace: Json) -> CostFormat:
  """The format that suits the costs of a trace: millions where they are large.

  Args:
    trace: JSON of a trace.

  Returns:
    The format.
  """
  unit = trace['problem']['unit'] or trace['problem']['cost']
  largest = max(
      (one['start_cost'] for one in trace['passes']), default=0
  )
  if largest >= _MILLIONS:
    return CostFormat(1e6, f'M {unit}')
  return CostFormat(1, unit)


def meetings_of(layer: Json) -> Iterator[Json]:
  """All children of a layer that were evaluated or known, by bucket."""
  for met in layer['buckets'].values():
    yield from met


def layer_sentence(layer: Json) -> str:
  """What happened in a layer, in words.

  Args:
    layer: of the JSON of a trace.

  Returns:
    Some sentences.
  """
  met = list(meetings_of(layer))
  prefixes, dropped = len(layer['extended']), len(layer['infeasible'])
  untried = layer['children'] - dropped - len(met)
  known = sum(one['seen_before'] for one in met)
  without_reward = {
      verdict: sum(one['verdict'] == verdict for one in met)
      for verdict in ('failed', 'stopped')
  }
  kept = sum(one['verdict'] == 'kept' for one in met)
  filled = sum(
      any(one['verdict'] == 'kept' for one in bucket)
      for bucket in layer['buckets'].values()
  )
  sentences = [
      f'{_count(prefixes, "prefix", "prefixes")}'
      f' {"was" if prefixes == 1 else "were"} extended by the options of'
      f' {layer["layer"]}: {_count(layer["children"], "child", "children")}.'
  ]
  if dropped:
    sentences.append(f'{dropped:,} cannot reach the target: dropped.')
  if untried:
    sentences.append(f'{untried:,} were not tried.')
  sentences.append(
      f'{len(met) - known:,} evaluated'
      + (f', {known:,} known from earlier trials' if known else '')
      + ''.join(
          f', {count:,} {verdict}'
          for verdict, count in without_reward.items() if count
      ) + '.'
  )
  sentences.append(
      f'{kept:,} kept, in {filled:,} of {len(layer["edges"]) + 1:,} buckets.'
  )
  return ' '.join(sentences)


def verdict_words(meeting: Json) -> str:
  """What a bucket made of a child, in words.

  Args:
    meeting: of the JSON of a trace.

  Returns:
    Such as 'lost to 3-0-1 by 0.4; seen before as trial 12'.
  """
  words = _WORDS[meeting['verdict']](meeting)
  if meeting['seen_before']:
    words += f'; seen before as trial {meeting["trial"]}'
  return words


def reward_text(reward: float | None) -> str:
  """A reward to five digits; a dash where there is none."""
  return '-' if reward is None else f'{reward:.5g}'


def margin_text(margin: float) -> str:
  """A difference of rewards to three digits."""
  return f'{round(margin, 9):.3g}'


def _kept(meeting: Json) -> str:
  if meeting['displaced']:
    return f'kept, displaced {meeting["displaced"]}'
  return 'kept'


def _displaced(meeting: Json) -> str:
  by = f'by {meeting["rival"]} by {_margin(meeting)}'
  if meeting['displaced']:
    return f'displaced {meeting["displaced"]}, then displaced {by}'
  return f'kept at first, then displaced {by}'


def _lost(meeting: Json) -> str:
  if meeting['rival_reward'] == meeting['reward']:
    return f'lost to {meeting["rival"]}: equal, the older one stays'
  return f'lost to {meeting["rival"]} by {_margin(meeting)}'


def _failed(meeting: Json) -> str:
  return f'failed: {meeting["message"] or "no reason given"}'


def _stopped(meeting: Json) -> str:
  return f'stopped: {meeting["message"] or "no reason given"}'


def _margin(meeting: Json) -> str:
  return margin_text(meeting['rival_reward'] - meeting['reward'])


_WORDS = {
    'kept': _kept,
    'displaced': _displaced,
    'lost': _lost,
    'failed': _failed,
    'stopped': _stopped,
}


def _count(number: int, one: str, many: str) -> str:
  return f'{number:,} {one if number == 1 else many}'

"""The report of searches, read as a browser reads it."""

import dataclasses
import datetime
import random
import re
from typing import Any

import pytest

from layernas.reports.search_charts import scatters
from layernas.reports.search_page import duration
from layernas.reports.search_page import search_page
from layernas.reports.search_view import SearchFindings
from layernas.reports.search_view import SearchView
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status
from layernas.search import Trial
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from tests import tiny
from tests.page_reader import PageReader

_MADE = datetime.datetime(2026, 5, 4, 3, 2, tzinfo=datetime.UTC)
_DEFAULTS = tiny.get_config().to_dict()
_SPACE = SearchSpace((
    Layer('kernel', (3, 5, 7)), Layer('width', (8, 16)),
))


def _trial(index: int, **changes: Any) -> Trial:
  rng = random.Random(index)
  fields = {
      'architecture': (index % 3, index % 2), 'cost': 100 * (index + 1),
      'reward': 0.5 + 0.1 * (index % 3) + rng.gauss(0, 0.01),
      'status': Status.OK,
  } | changes
  return Trial(
      Candidate(index, 0, fields['architecture'], fields['cost'], 0),
      Evaluation(fields['reward'], 2.0, fields['status'], 'broken'),
  )


def _findings(
    name: str = 'one', count: int = 12, **changes: Any
) -> SearchFindings:
  config = tiny.changed(**{'target.high': 1000.0}).to_dict()
  found = SearchFindings(
      name, f'workdir/{name}', 'running', config,
      [_trial(index) for index in range(count)], space=_SPACE,
  )
  return dataclasses.replace(found, **changes)


def _page(*searches: SearchFindings) -> str:
  return search_page(searches, _DEFAULTS, _MADE)


def _result(**changes: Any) -> dict[str, Any]:
  winner = {
      'architecture': '2-1', 'trial': 5, 'cost': 600, 'reward': 0.75,
  }
  return {
      'winner': winner, 'comparison': [], 'trials': {'ok': 12},
      'stop_reason': 'done',
  } | changes


def test_a_search_that_goes_on_has_its_best_so_far() -> None:
  reader = PageReader(_page(_findings()))
  best = max(
      (one for one in _findings().trials if one.candidate.cost <= 1000),
      key=lambda one: one.evaluation.reward,
  )
  option, other = best.candidate.architecture
  for row in (
      'state running', 'target at most 1,000 MAdds', 'trials 12',
      'time in trials 24 s', f'best so far {option}-{other}',
      f'cost {best.candidate.cost:,} MAdds',
      f'trial {best.candidate.id}',
      f'reward {best.evaluation.reward:.4f}, validation accuracy',
  ):
    assert row in reader.rows, row


def test_what_the_search_holds_for_best_goes_before_the_reward() -> None:
  best = _trial(1, reward=0.123).to_dict()
  rows = PageReader(_page(_findings(best=best))).rows
  assert 'reward 0.1230, validation accuracy' in rows


def test_the_answer_of_a_finished_search() -> None:
  standing = {
      'reference': 'default', 'reward': 0.7, 'difference': 0.05,
      'error': 0.01, 'probability': 0.99,
  }
  result = _result(comparison=[standing])
  rows = PageReader(_page(_findings(result=result))).rows
  assert 'answer 2-1' in rows
  assert 'kernel: 7, width: 16' in rows
  assert (
      'compared better than the default: +0.0500 ± 0.0100, better with'
      ' probability 0.99'
  ) in rows


def test_an_answer_of_another_search_is_in_the_picture() -> None:
  winner = {'architecture': '2-1', 'trial': -1, 'cost': 9000, 'reward': 9.0}
  found = _findings(result=_result(winner=winner))
  [chart] = scatters([SearchView(0, found)])
  answer = chart.marks[-1]
  assert answer.kind == 'answer'
  assert chart.x.begin < answer.x < chart.x.end
  assert chart.y.end < answer.y < chart.y.begin


def test_a_search_that_found_nothing() -> None:
  page = _page(_findings(result=_result(winner=None)))
  assert 'answer none in the target' in PageReader(page).rows


def test_no_trial_is_finished_yet() -> None:
  page = _page(_findings(count=0))
  PageReader(page)
  assert 'No trial has a reward yet' in page
  assert 'No trial in the target has a reward yet' in page
  assert 'at least 10' in page
  assert '<svg' not in page


def test_the_curve_rises_where_a_trial_was_better_than_all_before() -> None:
  rewards = (0.5, 0.4, 0.9, 0.6, 0.7)
  trials = [
      _trial(index, reward=reward, cost=2000 if reward == 0.9 else 10)
      for index, reward in enumerate(rewards)
  ]
  view = SearchView(0, _findings(trials=trials))
  # That of 0.9 is dearer than the target allows.
  assert [
      (one.number, one.seconds, one.trial.candidate.id)
      for one in view.improvements()
  ] == [(1, 2.0, 0), (4, 8.0, 3), (5, 10.0, 4)]


def test_every_trial_has_its_name_where_the_pointer_rests() -> None:
  trials = [
      _trial(0), _trial(1, status=Status.FAILED), _trial(2, cost=5000),
      _trial(3, status=Status.STOPPED), _trial(4, architecture='width-scaled'),
  ]
  page = _page(_findings(trials=trials))
  reader = PageReader(page)
  assert any(
      title.startswith('one: trial 2, 2-0, 5,000 MAdds, reward 0.')
      for title in reader.titles
  )
  assert not any(title.startswith('one: trial 1,') for title in reader.titles)
  looks = [one.split()[1] for one in reader.classes if one.startswith('mark')]
  assert looks.count('outside') == looks.count('reference') == 1
  assert looks.count('answer') == 1
  assert '1 failed and have no reward, 1 were stopped early' in page


def _limited(name: str = 'one', **changes: Any) -> SearchFindings:
  """Four trials, of which the best one alone has too many parameters."""
  config = tiny.changed(**{'target.high': 1000.0})
  with config.unlocked():
    config.limits.params, config.limits.madds = 40_000.0, 0.0
  return _findings(name, **{
      'config': config.to_dict(),
      'trials': [
          _trial(index, reward=reward)
          for index, reward in enumerate((0.5, 0.9, 0.6, 0.4))
      ],
      'further_costs': {
          index: {'params': 52_000 if index == 1 else 40_000}
          for index in range(4)
      },
  } | changes)


def test_what_exceeds_a_further_limit_looks_like_what_is_outside() -> None:
  view = SearchView(0, _limited())
  assert [one.trial.candidate.id for one in view.improvements()] == [0, 2]
  assert [one.candidate.id for one in view.best_trials()] == [2, 0, 3]
  page = _page(_limited())
  reader = PageReader(page)
  assert 'further limits params at most 40,000' in reader.rows
  assert 'reward 0.6000, validation accuracy' in reader.rows
  [title] = [one for one in reader.titles if one.startswith('one: trial 1,')]
  assert title == (
      'one: trial 1, 1-1, 200 MAdds, reward 0.9; over a limit: params 52,000,'
      ' at most 40,000'
  )
  looks = [one.split()[1] for one in reader.classes if one.startswith('mark')]
  assert looks.count('outside') == 1
  text = ' '.join(page.split())
  assert 'Hollow: outside of it, or over a further limit' in text
  assert 'of a network that keeps the further limits' in text
  assert '1 are over a further limit' in text
  assert 'Best trials in the target and further limits' in text


def test_the_legend_has_further_limits_where_one_search_has_them() -> None:
  def text(*searches: SearchFindings) -> str:
    return ' '.join(_page(*searches).split())

  assert 'over a further limit' not in text(_findings('a'), _findings('b'))
  page = text(_findings('a'), _limited('b'))
  assert 'Hollow: outside of it, or over a further limit' in page
  assert 'b: trial 1, 1-1, 200 MAdds, reward 0.9; over a limit' in page
  assert 'a: trial 1,' in page
  assert 'Best trials in the target: a<' in page


def test_nothing_keeps_a_further_limit() -> None:
  costs = {index: {'params': 50_000} for index in range(4)}
  page = _page(_limited(further_costs=costs))
  rows = PageReader(page).rows
  assert 'best so far none in the target and further limits' in rows
  assert 'No trial in the target and the further limits has a reward' in page


def test_trials_whose_further_costs_are_not_known() -> None:
  """A reference from outside the space keeps the limits, or is none."""
  trials = [*_limited().trials, _trial(4, architecture='width-scaled')]
  rows = PageReader(_page(_limited(trials=trials))).rows
  assert 'further limits params at most 40,000' in rows
  rows = PageReader(_page(_limited(trials=trials, further_costs={}))).rows
  assert (
      'further limits params at most 40,000 (not known of 4 trials of an older'
      ' version, which count as within; the command of the search records it)'
  ) in rows


def test_a_large_search_is_drawn_in_part() -> None:
  page = _page(_findings(count=4000))
  assert page.count('class="mark inside') + page.count(
      'class="mark outside'
  ) == 1334
  assert '2,666 are not drawn' in page
  assert len(page) < 600_000


def test_importance_of_layers() -> None:
  page = _page(_findings(count=40, result=_result()))
  rows = PageReader(page).rows
  [kernel] = [row for row in rows if row.startswith('kernel ')]
  assert re.fullmatch(
      r'kernel N 3-N ± N 14 5[-+]N ± N 13 7\+N ± N 13'.replace(
          'N', r'\d\.\d\d'
      ), kernel
  )
  assert 'Estimated from 40 trials' in page
  assert page.count('class="chosen"') == 2


def test_why_there_is_no_importance() -> None:
  page = _page(_findings(
      space=None, lacking="space: 'mine:space': No module named 'mine'",
  ))
  assert 'The space is not at hand: space: &#39;mine:space&#39;' in page


def test_final_trainings() -> None:
  final = [
      {'name': 'winner', 'madds': 1234567, 'params': 89,
       'accuracies': [0.75, 0.5], 'mean': 0.625},
      {'name': 'reference', 'accuracies': [0.5]},
      {'name': 'other', 'losses': [1.5], 'mean': 1.5},
  ]
  rows = PageReader(_page(_findings(final=final))).rows
  assert (
      'winner 1,234,567 89 accuracy 0.6250 0.1768 0.7500, 0.5000'
  ) in rows
  assert 'reference (not finished) - - accuracy 0.5000 - 0.5000' in rows
  assert 'other - - loss 1.5000 - 1.5000' in rows


def test_a_search_alone_stands_beside_the_defaults() -> None:
  page = _page(_findings())
  differing = page[page.index('<h2>Config'):page.index('<details class="long"')]
  assert PageReader(differing).rows == [
      'field one default', 'target.high 1000.0 0.0',
  ]
  assert 'search.schedule &#34;sweep&#34;' not in differing
  assert '<th>search.schedule</th>' in page


def test_several_searches_stand_beside_each_other() -> None:
  other = tiny.changed(**{'seed': 3, 'target.high': 1000.0}).to_dict()
  page = _page(
      _findings('a', result=_result()), _findings('b', 20, config=other),
      _findings('c', final=[{'name': 'winner', 'accuracies': [0.5]}]),
  )
  reader = PageReader(page)
  assert 'answer, or best so far 2-1' in ' '.join(reader.rows)
  assert 'trials 12 20 12' in reader.rows
  lines = re.findall(r'<path class="line (c\d)" d="M[^0]', page)
  assert lines == ['c0', 'c1', 'c2'] * 2
  assert page.count('<figure>') == 2 + 3
  assert page.count('<table class="effects">') == 3
  differing = page[page.index('<h2>Config'):page.index('<details class="long"')]
  assert PageReader(differing).rows == ['field a b c', 'seed 0 3 0']
  assert 'c winner (not finished) - - accuracy 0.5000 - 0.5000' in reader.rows


def test_rewards_that_are_not_the_same_have_their_own_pictures() -> None:
  loss = tiny.changed(reward='loss').to_dict()
  page = _page(_findings('a'), _findings('b', config=loss))
  assert page.count('Best so far against trials</b>') == 2


def test_many_searches_differ_in_colour_or_dashes() -> None:
  views = [SearchView(index, _findings()) for index in range(16)]
  assert len({view.kind for view in views}) == 16


def test_the_page_needs_no_other_file() -> None:
  page = _page(_findings(), _findings('b', trace='b/trace.html'))
  assert not re.search(r'<script|<link|src=|url\(|https?://|@import', page)
  assert PageReader(page).links == ['b/trace.html']


def test_what_comes_from_outside_is_escaped() -> None:
  bad = '"><script>alert(1)</script><img onerror=x>'
  space = SearchSpace((
      Layer(bad, (bad, f'{bad}2', 3)), Layer('width', ({bad: bad}, 2)),
  ))
  config = _findings().config | {'space': bad, 'reward': bad, bad: bad}
  final = [{'name': bad, 'accuracies': [0.5]}]
  page = _page(_findings(
      bad, 30, space=space, config=config, final=final, trace=bad, state=bad,
      result=_result(stop_reason=bad),
  ), _findings('b', space=None, lacking=bad))
  reader = PageReader(page)
  assert '<script' not in page
  assert '<img' not in page
  assert bad in ' '.join(reader.rows)
  assert reader.links == [bad]


def test_the_page_is_not_wider_than_a_phone() -> None:
  """What may not be wrapped lies in boxes that scroll by themselves."""
  page = _page(_findings(count=40), _findings('b'))
  boxes = re.findall(r'<div class="scroll"><table', page)
  assert page.count('<table') == len(boxes) > 4
  style = page[page.index('<style>'):page.index('</style>')]
  unwrapped = [
      selector.strip() for selector, rule in
      re.findall(r'([^{}]+)\{([^{}]*)\}', style) if 'nowrap' in rule
  ]
  for selector in ', '.join(unwrapped).split(', '):
    assert selector.split()[0] in (
        '.number', '.answers', '.fields', '.trials', '.effects'
    )


@pytest.mark.parametrize(('seconds', 'text'), [
    (0, '0 s'), (2.345, '2.35 s'), (99, '99 s'), (3725.4, '1:02:05'),
])
def test_durations(seconds: float, text: str) -> None:
  assert duration(seconds) == text

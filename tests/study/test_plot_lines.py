"""Which curves are drawn and how."""

from typing import Any

from layernas.study.study_plots import line_styles
from layernas.study.study_plots import lines_of
from tests.study import tiny_study


def test_lines_come_by_final_mean_with_their_times() -> None:
  summary = tiny_study.summary()
  lines = lines_of(summary, summary['sections'][0])
  assert [line.label for line in lines] == ['80.00  layernas', '63.33  random']
  assert lines[1].times.tolist() == [25, 50, 75, 100]
  assert lines[1].high.tolist() == [55, 55, 55, 70]


def test_a_method_without_a_curve_is_not_drawn() -> None:
  summary = tiny_study.summary()
  section = summary['sections'][0]
  section['methods']['random'] |= {'curve': None, 'mean': None}
  assert [line.name for line in lines_of(summary, section)] == ['layernas']


def _styles(kinds: dict[str, str], compared: str) -> dict[str, dict[str, Any]]:
  methods = {name: {'kind': kind} for name, kind in kinds.items()}
  return line_styles({'methods': methods, 'compared': compared})


def test_styles_tell_thirty_methods_apart() -> None:
  styles = _styles({f'h_{n}': 'layernas' for n in range(30)}, '')
  assert len({(s['color'], s['ls']) for s in styles.values()}) == 30


def test_baselines_are_dashed_and_the_compared_method_black() -> None:
  styles = _styles({'ours': 'layernas', 'a': 'layernas', 'b': 'random'}, 'ours')
  assert styles['ours']['color'] == '#000000'
  assert (styles['a']['ls'], styles['b']['ls']) == ('-', '--')

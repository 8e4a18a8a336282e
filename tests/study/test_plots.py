"""Pictures of a study: which curves are drawn, and how."""

import pathlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from layernas.study.study_plots import line_styles
from layernas.study.study_plots import lines_of
from layernas.study.study_plots import save_bands
from layernas.study.study_plots import save_curves
from layernas.study.study_plots import save_regret
from tests.study import tiny_study

_DRAW = pytest.mark.parametrize('save', [save_bands, save_curves, save_regret])


def test_lines_come_by_final_mean_with_their_times() -> None:
  summary = tiny_study.summary()
  lines = lines_of(summary, summary['sections'][0])
  assert [line.label for line in lines] == ['80.00  layernas', '63.33  random']
  assert lines[1].times.tolist() == [25, 50, 75, 100]
  assert lines[1].high.tolist() == [55, 55, 55, 70]


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


def _pixels(path: pathlib.Path) -> np.ndarray:
  return np.asarray(Image.open(path).convert('RGB')).astype(int)


@_DRAW
def test_curves_are_in_the_picture(save, tmp_path: pathlib.Path) -> None:
  summary = tiny_study.summary()
  section = summary['sections'][0]
  save(summary, section, tmp_path / 'both.png')
  both = _pixels(tmp_path / 'both.png')
  # The baseline's blue, #0072B2.
  assert (np.abs(both - (0, 0x72, 0xB2)).sum(axis=2) < 10).sum() > 100
  section['methods']['random']['curve'] = None
  save(summary, section, tmp_path / 'one.png')
  one = _pixels(tmp_path / 'one.png')
  assert not (np.abs(one - (0, 0x72, 0xB2)).sum(axis=2) < 10).any()


@_DRAW
def test_a_study_without_answers_still_has_pictures(
    save, tmp_path: pathlib.Path
) -> None:
  summary = tiny_study.summary('')
  section = summary['sections'][0]
  for method in section['methods'].values():
    method['curve'] = None
  save(summary, section, tmp_path / 'none.png')
  assert min(_pixels(tmp_path / 'none.png').shape[:2]) > 200

"""Pictures are drawn for whatever a study has."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from layernas.study.study_plots import save_bands
from layernas.study.study_plots import save_curves
from layernas.study.study_plots import save_regret
from tests.study import tiny_study

_DRAW = pytest.mark.parametrize('save', [save_bands, save_curves, save_regret])


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


@_DRAW
def test_where_all_found_the_optimum_there_is_a_picture(
    save, tmp_path: pathlib.Path
) -> None:
  summary = tiny_study.summary()
  section = summary['sections'][0]
  flat = {'start': 0, 'mean': [80_000, 0, 0, 0, 0]}
  for method in section['methods'].values():
    method['curve'] = flat | {'low': flat['mean'], 'high': flat['mean']}
  save(summary, section, tmp_path / 'flat.png')
  assert _pixels(tmp_path / 'flat.png').std() > 5

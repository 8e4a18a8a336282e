"""Pictures: which points are on the front, and that files are pictures."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from layernas.reports.plots import pareto_front
from layernas.reports.plots import save_comparison
from layernas.reports.plots import save_pareto
from tests.experiment.test_report import searched


@pytest.mark.parametrize(('costs', 'rewards', 'front'), [
    ([3, 1, 2], [0.3, 0.1, 0.2], [1, 2, 0]),
    ([1, 2, 3], [0.5, 0.4, 0.5], [0]),
    ([1, 1, 2], [0.1, 0.2, 0.3], [1, 2]),
])
def test_pareto_front(
    costs: list[int], rewards: list[float], front: list[int]
) -> None:
  assert pareto_front(np.array(costs), np.array(rewards)) == front


def test_pictures_are_written(tmp_path: pathlib.Path) -> None:
  save_pareto(searched(), tmp_path / 'pareto.png')
  rows = [
      {'name': name, 'accuracies': [0.5, 0.6], 'madds': 1_000_000}
      for name in ('winner', 'reference')
  ]
  save_comparison(rows, tmp_path / 'final.png')
  for name in ('pareto.png', 'final.png'):
    pixels = np.asarray(Image.open(tmp_path / name).convert('L'))
    assert min(pixels.shape) > 200
    assert pixels.std() > 5

"""Pictures: what they show, and that files are pictures, on gs:// too."""

import io
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from layernas.reports.plots import pareto_front
from layernas.reports.plots import save_comparison
from layernas.reports.plots import save_pareto
from layernas.reports.plots import save_picture
from layernas.reports.plots import subplots
from layernas.reports.trace_plot import save_trace_plot
from layernas.search.problem import Problem
from tests import tiny
from tests.fake_gcs import Bucket
from tests.search import traced


def test_a_picture_has_its_size(tmp_path: pathlib.Path) -> None:
  figure, _ = subplots(figsize=(3, 2))
  save_picture(figure, tmp_path / 'a.png', dpi=50)
  assert Image.open(tmp_path / 'a.png').size == (150, 100)


def test_a_picture_in_a_bucket(bucket: Bucket) -> None:
  save_picture(Figure(), f'{bucket.url}/run/a.png')
  picture = Image.open(io.BytesIO(bucket.objects['run/a.png']))
  assert picture.format == 'PNG'


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
  save_pareto(tiny.searched(), tmp_path / 'pareto.png')
  rows = [
      {'name': name, 'accuracies': [0.5, 0.6], 'madds': 1_000_000}
      for name in ('winner', 'reference')
  ]
  save_comparison(rows, tmp_path / 'final.png')
  for name in ('pareto.png', 'final.png'):
    pixels = np.asarray(Image.open(tmp_path / name).convert('L'))
    assert min(pixels.shape) > 200
    assert pixels.std() > 5


def test_networks_over_a_further_limit_are_rings(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  search = tiny.searched()
  over = {search.best.candidate.architecture}
  monkeypatch.setattr(
      Problem, 'keeps_limits', lambda self, network: network not in over
  )
  figure = _drawn_by(
      lambda path: save_pareto(search, path), tmp_path / 'p.png', monkeypatch
  )
  axes = figure.axes[0]
  [rings] = [
      points for points in axes.collections
      if points.get_label() == 'over a further limit'
  ]
  assert rings.get_offsets().tolist() == [
      [trial.candidate.cost, trial.evaluation.reward] for trial in search.trials
      if trial.candidate.architecture in over
  ]
  assert search.best.evaluation.reward > max(axes.lines[0].get_ydata())
  ticks = figure.axes[1].get_yticks()
  assert ticks.tolist() == ticks.round().tolist()


def test_a_dollar_in_a_name_is_no_formula(tmp_path: pathlib.Path) -> None:
  row = {'name': r'a$\frac$', 'accuracies': [0.5, 0.6], 'madds': 1}
  save_comparison([row], tmp_path / 'final.png')
  save_pareto(tiny.searched(), tmp_path / 'pareto.png', r'$\frac$')
  assert (tmp_path / 'final.png').exists()


def _drawn(trace: dict, path: pathlib.Path, monkeypatch) -> Figure:
  """The figure of a decision trace, saved as the PNG."""
  def draw(file: pathlib.Path) -> None:
    assert save_trace_plot(trace, file)

  figure = _drawn_by(draw, path, monkeypatch)
  with Image.open(path) as image:
    assert image.format == 'PNG'
  return figure


def _drawn_by(
    draw: Callable[[pathlib.Path], None], path: pathlib.Path, monkeypatch
) -> Figure:
  """The figure that a function saves."""
  figures = []
  save = Figure.savefig

  def saved(figure: Figure, *args: object, **options: object) -> None:
    figures.append(figure)
    save(figure, *args, **options)

  monkeypatch.setattr(Figure, 'savefig', saved)
  draw(path)
  [figure] = figures
  return figure


def test_one_panel_per_layer(tmp_path, monkeypatch) -> None:
  figure = _drawn(traced.hand_worked(), tmp_path / 'trace.png', monkeypatch)
  assert [axes.get_title() for axes in figure.axes if axes.axison] == [
      '1. layer0', '2. layer1', '3. layer2',
  ]
  second = figure.axes[1]
  points = {
      marks.get_label(): marks.get_offsets().tolist()
      for marks in second.collections
  }
  assert points == {
      'lost or displaced': [[6, 2], [6, 2]],
      'kept': [[3, 1]],
      "winner's prefix": [[9, 4]],
  }
  [legend] = figure.legends
  assert {text.get_text() for text in legend.get_texts()} == {
      'target interval', 'lost or displaced', 'kept', "winner's prefix",
      'cannot reach the target', 'failed',
  }


def test_stopped_children_are_marked(tmp_path, monkeypatch) -> None:
  trace = traced.with_a_stopped_child()
  figure = _drawn(trace, tmp_path / 'trace.png', monkeypatch)
  [legend] = figure.legends
  texts = {text.get_text() for text in legend.get_texts()}
  assert 'stopped' in texts
  assert 'failed' not in texts


def test_nothing_to_draw(tmp_path) -> None:
  trace = traced.hand_worked() | {'passes': [], 'incumbents': []}
  assert not save_trace_plot(trace, tmp_path / 'trace.png')
  assert not (tmp_path / 'trace.png').exists()

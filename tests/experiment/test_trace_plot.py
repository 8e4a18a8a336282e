"""Tests of layernas.reports.trace_plot."""

import pathlib

from matplotlib.figure import Figure
from PIL import Image

from layernas.reports import trace_plot
from tests.search import traced


def _drawn(trace: dict, path: pathlib.Path, monkeypatch) -> Figure:
  """The figure that is saved as the PNG."""
  figures = []
  save = Figure.savefig

  def saved(figure: Figure, *args: object, **options: object) -> None:
    figures.append(figure)
    save(figure, *args, **options)

  monkeypatch.setattr(Figure, 'savefig', saved)
  assert trace_plot.save_trace_plot(trace, path)
  with Image.open(path) as image:
    assert image.format == 'PNG'
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
  assert not trace_plot.save_trace_plot(trace, tmp_path / 'trace.png')
  assert not (tmp_path / 'trace.png').exists()

"""Errors of sums, and how they are shown."""

import io
import json
import pathlib

import pytest
from PIL import Image
from rich.console import Console

from layernas.latency.run_latency import Point
from layernas.latency.run_latency import save_sums
from layernas.latency.run_latency import sum_errors
from layernas.latency.run_latency import summary_table
from layernas.networks.latency import latency_cost
from layernas.networks.latency import read_latency_table
from layernas.networks.mobilenet_spaces import cifar10_small
from layernas.search.space import parse_architecture_id
from tests import tiny


def _points(*pairs: tuple[float, float]) -> list[Point]:
  return [Point('0', whole, whole, whole, total) for whole, total in pairs]


def test_errors_in_percent_of_the_whole() -> None:
  errors = sum_errors(_points((1.0, 0.8), (2.0, 2.2), (4.0, 4.4)))
  assert errors['mean_percent'] == pytest.approx(0.0, abs=1e-9)
  assert errors['mean_absolute_percent'] == pytest.approx(40 / 3)
  assert errors['largest_absolute_percent'] == pytest.approx(20)


def test_correlations() -> None:
  # Ranks agree, values do not lie on a line; then two ranks are swapped.
  errors = sum_errors(_points((1, 1), (2, 4), (3, 9)))
  assert errors['spearman'] == pytest.approx(1)
  assert errors['pearson'] == pytest.approx(8 / (2 * 294 / 9) ** 0.5)
  assert sum_errors(_points((1, 1), (2, 9), (3, 4)))['spearman'] == (
      pytest.approx(0.5)
  )


def test_equal_times_have_no_correlation() -> None:
  errors = sum_errors(_points((1, 1), (1, 2)))
  assert errors['pearson'] is errors['spearman'] is None


def test_picture_and_table(tmp_path: pathlib.Path) -> None:
  points = _points((1.0, 0.8), (2.0, 1.6))
  errors = sum_errors(points)
  save_sums(points, errors, tmp_path / 'a.png')
  with Image.open(tmp_path / 'a.png') as image:
    assert min(image.size) > 400
  console = Console(file=io.StringIO(), width=120)
  console.print(summary_table({
      'device': {'kind': 'abacus', 'platform': 'wood', 'cpu_cores': 10},
      'batch_size': 4, 'modules': 79, 'points': points, 'errors': errors,
      'empty_loop': 0.0015, 'empty_call': 0.04,
  }))
  text = console.file.getvalue()
  for part in ('abacus', '79', '-20.0 %', '1.000', '1.50 µs', '40.00 µs'):
    assert part in text


def test_stored_result_is_what_its_files_and_the_text_say() -> None:
  folder = tiny.ROOT / 'docs' / 'results' / 'latency_cifar10_small'
  result = json.loads((folder / 'latency.json').read_text())
  points = [Point(**point) for point in result['points']]
  cost = latency_cost(
      cifar10_small(), read_latency_table(folder / 'latency.csv'), 32, 10
  )
  for point in points:
    assert point.modules == cost.cost(parse_architecture_id(point.architecture))
  errors = sum_errors(points)
  assert errors == pytest.approx(result['errors'])
  text = (tiny.ROOT / 'docs' / 'latency.md').read_text()
  # Digit 4 of an architecture is the first block's kernel and filters.
  by_kernel = [
      [point for point in points if (point.architecture[6] == '2') == large]
      for large in (True, False)
  ]
  for part in (
      f'{errors["mean_percent"]:.1f} %',
      f'{errors["mean_absolute_percent"]:.1f} %',
      f'{errors["largest_absolute_percent"]:.1f} %',
      f'{errors["pearson"]:.3f} / {errors["spearman"]:.3f}',
      f'{1e3 * result["empty_loop"]:.2f} µs',
      f'{1e3 * result["empty_call"]:.2f} µs',
      f'{len(points)} networks',
      f'The {len(by_kernel[0])}',
      *(f'{sum_errors(some)["mean_percent"]:.1f} %' for some in by_kernel),
  ):
    assert part in text, part

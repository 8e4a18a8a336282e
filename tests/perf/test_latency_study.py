"""Searches under a limit on latency against ones under one on MAdds."""

import pathlib

import pytest

from layernas.networks.latency import space_modules
from layernas.networks.registry import make_space
from tests import tiny
from tools.perf import latency_study


def _line(by: str, seed: int, architecture: str) -> dict[str, object]:
  return {
      'by': by, 'seed': seed, 'architecture': architecture,
      'milliseconds': 0.05, 'madds': 1_500_000,
  }


def test_seeds_are_pairs() -> None:
  found = [
      _line('madds', 0, '0-0'), _line('latency', 0, '0-1'),
      _line('madds', 1, '0-0'), _line('latency', 1, '1-1'),
      _line('madds', 2, '0-0'), _line('latency', 2, '9-9'),
  ]
  finals = [
      {'architecture': name, 'seed': seed, 'accuracy': accuracy}
      for name, figures in {
          '0-0': (0.6, 0.62), '0-1': (0.63, 0.63), '1-1': (0.64, 0.66),
      }.items() for seed, accuracy in enumerate(figures)
  ]
  text = latency_study.table_text(found, finals)
  assert '| madds | 3 | 0.0500 | 1.500 | 61.00 |' in text
  # What is not trained to the end does not count.
  assert '| latency | 2 | 0.0500 | 1.500 | 64.00 |' in text
  assert 'Lead of latency: +3.00 points over 2 seeds, p = 0.2.' in text


@pytest.mark.long
def test_the_second_search_keeps_to_the_latency_of_the_first(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.chdir(tiny.ROOT)
  table = tmp_path / 'latency.csv'
  table.write_text('signature,milliseconds\n' + ''.join(
      f'{one.signature},{0.01 + 0.001 * (i % 7)}\n' for i, one in
      enumerate(space_modules(make_space('cifar10_large'), 32, 10))
  ))
  first, second = latency_study.searches(tmp_path, str(table), 0, [
      '--config.budget.trials=4', '--config.training.epochs=0.05',
      '--config.training.warmup_epochs=0', '--config.reference.trainings=0',
  ])
  assert (first['by'], second['by']) == ('madds', 'latency')
  assert first['madds'] <= 1.8e6
  assert second['milliseconds'] <= first['milliseconds']

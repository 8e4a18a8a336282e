"""The comparison of searches on the embedded images."""

import json
import pathlib

import pytest

from tests import tiny
from tools.perf import embedded_search

_FINALS = {
    'width-scaled default': (0.60, 0.62), '0-0': (0.63, 0.65), '0-1': (0.61,),
    '1-1': (0.59, 0.57),
}


def _summary(answers: dict[str, list[str]]) -> dict[str, object]:
  searches = [
      {'method': method, 'seed': seed, 'architecture': name}
      for method, names in answers.items() for seed, name in enumerate(names)
  ]
  finals = [
      {'architecture': name, 'seed': seed, 'accuracy': accuracy}
      for name, figures in _FINALS.items()
      for seed, accuracy in enumerate(figures)
  ]
  return embedded_search.summary(searches, finals)


def test_answers_are_held_against_the_reference() -> None:
  found = _summary({
      'layernas': ['0-0', '0-0', '0-1', '1-1'], 'evolution': ['1-1'],
  })
  assert found['reference'] == pytest.approx(61.0)
  row = found['methods']['layernas']
  assert (row['searches'], row['distinct'], row['better']) == (4, 3, 2)
  assert row['accuracy'] == pytest.approx((64 + 64 + 61 + 58) / 4)
  assert row['lead'] == pytest.approx(0.75)
  # Over the three networks, whose mean is that of the reference.
  assert row['p'] == pytest.approx(0.5)
  assert found['methods']['evolution']['p'] is None
  assert 'random search' not in found['methods']
  text = embedded_search.table_text(found)
  assert '| layernas | 4 | 3 | 61.75 | 2.87 | 2 of 4 | +0.75 | 0.5 |' in text


def test_searches_without_a_final_training_do_not_count() -> None:
  found = _summary({'layernas': ['0-0', '9-9']})
  assert found['methods']['layernas']['searches'] == 1


def test_half_a_line_is_cut(tmp_path: pathlib.Path) -> None:
  path = tmp_path / 'lines.jsonl'
  path.write_text('{"seed": 0}\n{"see')
  lines = embedded_search.Lines(path)
  lines.add({'seed': 1})
  assert [json.loads(line)['seed'] for line in path.open()] == [0, 1]
  assert embedded_search.Lines(path).all == lines.all


@pytest.mark.long
@pytest.mark.parametrize('method', embedded_search.METHODS)
def test_every_method_searches_and_goes_on(
    tmp_path: pathlib.Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.chdir(tiny.ROOT)
  brief = [
      '--config.budget.trials=4', '--config.training.epochs=0.05',
      '--config.training.warmup_epochs=0',
  ]
  found = embedded_search.search(tmp_path, method, 1, brief)
  assert found['trials'] == {'ok': 4}
  assert found['cost'] <= 1.8e6
  assert embedded_search.search(tmp_path, method, 1, brief) == found
  trained = embedded_search.final(
      found['architecture'], found['network'], 0,
      (('training.epochs', 0.05), ('training.warmup_epochs', 0.0)),
  )
  assert 0 < trained['accuracy'] < 1


@pytest.mark.long
def test_the_reference_is_the_scaled_default() -> None:
  assert embedded_search.reference()['blocks']

"""Ratios, shares and notes of the candidates' report."""

import json

import pytest

from layernas.errors import UserError
from tools.perf import candidates_picture
from tools.perf import candidates_report


def _found(train, images=100, cores=2, **more):
  return {
      'machine': {'cores': cores, 'processor': 'X'},
      'candidates': [
          {'architecture': name, 'images': images,
           'seconds': {'compile': 1.0, 'train': seconds, 'other': 0.5}}
          for name, seconds in train.items()
      ],
  } | more


OURS = _found({'0-1': 2.5, '1-1': 8.5}, compilations=4, whole_seconds=20.0)


@pytest.fixture(name='stored')
def _stored(tmp_path):
  def store(**systems):
    for name, found in systems.items():
      (tmp_path / f'{name}.json').write_text(json.dumps(found))
    return tmp_path

  return store


def test_ratios_are_those_of_the_same_network(stored) -> None:
  """The networks of the other system come in another order."""
  systems = candidates_report.read_systems(stored(
      ours=OURS, naive=_found({'1-1': 28.5, '0-1': 6.5}, naive_steps=7),
  ))
  text = candidates_report.report_text(systems)
  plain, ours = text.splitlines()[2:4]
  assert plain.endswith('| 5.3% |  | 2.50 (2.00 to 3.00) |')
  # Half of 100 / 4 and 100 / 10 a second; 100 / 2.5 and 100 / 8.5 in training.
  assert ours == (
      '| ours |  | 1.00 | 5.50 |  |  | 0.50 | 7.00 | 18 | 26 | 14.3% | 4 |  |'
  )
  assert 'ran 7 steps' in text


def test_the_whole_search_is_a_sentence(stored) -> None:
  text = candidates_report.report_text(candidates_report.read_systems(stored(
      ours=OURS, whole_search=OURS,
  )))
  assert len(text.splitlines()) == 5
  assert '2 trainings and 4 compilations in 20 s, of which 2.0 s (10.0%)' in (
      text
  )


@pytest.mark.parametrize(('other', 'words'), [
    (_found({'0-1': 1.0}, images=50), '50 images: allowed are as many'),
    (_found({'0-1': 1.0}, cores=4), 'cores 4: allowed is'),
])
def test_what_cannot_be_compared_is_refused(stored, other, words) -> None:
  with pytest.raises(UserError, match=words):
    candidates_report.read_systems(stored(ours=OURS, torch=other))


def test_ours_comes_first(stored) -> None:
  with pytest.raises(UserError, match='--mode=ours comes first'):
    candidates_report.read_systems(stored(naive=OURS))


def test_every_system_is_drawn(stored) -> None:
  output = stored(ours=OURS, torch=OURS, whole_search=OURS)
  systems = candidates_report.read_systems(output)
  candidates_picture.save_picture(systems, output / 'x.png')
  assert (output / 'x.png').read_bytes().startswith(b'\x89PNG')

"""Effects of layers and options, estimated from a search's trials."""

import random

import numpy as np
import pytest

from layernas.errors import UserError
from layernas.networks.mobilenet_spaces import cifar10_large
from layernas.reports.importance import LEAST
from layernas.reports.importance import importance
from layernas.reports.option_labels import option_labels
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status
from layernas.search import Trial
from layernas.search.space import Architecture
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from tests.search import problems

_SPACE = problems.make_space(3, 2, 1, 4)
_EFFECTS = ((0.0, 1.0, 2.0), (0.0, 0.0), (0.0,), (0.0, -0.5, 0.0, 0.0))


def _reward(architecture: Architecture) -> float:
  return 5.0 + sum(
      effects[option]
      for effects, option in zip(_EFFECTS, architecture, strict=True)
  )


def _trials(count: int, noise: float = 0.1) -> list[Trial]:
  rng = random.Random(0)
  drawn = [
      tuple(map(rng.randrange, _SPACE.option_counts)) for _ in range(count)
  ]
  return [
      Trial(
          Candidate(index, 0, one, 1, 0),
          Evaluation(_reward(one) + rng.gauss(0, noise)),
      ) for index, one in enumerate(drawn)
  ]


def test_effects_are_those_that_rewards_were_made_of() -> None:
  trials = _trials(60)
  found = importance(_SPACE, trials)
  # A layer with one option is no choice.
  assert [layer.name for layer in found.layers] == [
      'layer0', 'layer1', 'layer3'
  ]
  deviation = np.std([trial.evaluation.reward for trial in trials])
  assert found.deviation == pytest.approx(deviation)
  for layer, index in zip(found.layers, (0, 1, 3), strict=True):
    true = np.array(_EFFECTS[index])
    estimated = deviation * np.array([one.effect for one in layer.options])
    np.testing.assert_allclose(estimated, true - true.mean(), atol=0.15)
    assert sum(one.trials for one in layer.options) == 60
  spreads = [layer.spread for layer in found.layers]
  assert spreads[0] > spreads[2] > spreads[1]
  assert sum(found.shares) == pytest.approx(1)
  assert max(found.shares) == found.shares[0]


def test_how_sure_an_effect_is() -> None:
  strong, none, _ = importance(_SPACE, _trials(60)).layers
  assert strong.options[2].sureness == 1
  assert none.options[0].sureness < 0.6


def test_an_option_that_was_never_tried_has_no_effect_of_its_own() -> None:
  trials = [
      one for one in _trials(80) if one.candidate.architecture[3] != 3
  ]
  [*_, layer] = importance(_SPACE, trials).layers
  never, tried = layer.options[3], layer.options[0]
  assert never.trials == 0
  assert never.error > tried.error


def test_what_has_no_reward_does_not_count() -> None:
  trials = _trials(30)
  others = [
      Trial(Candidate(30, 0, 'width-scaled', 1, 0), Evaluation(9.0)),
      Trial(Candidate(31, 0, (0, 0, 0, 0), 1, 0), Evaluation(
          None, status=Status.FAILED
      )),
  ]
  assert importance(_SPACE, [*trials, *others]) == importance(_SPACE, trials)


@pytest.mark.parametrize(('space', 'trials', 'says'), [
    (_SPACE, _trials(LEAST - 1), f'at least {LEAST}'),
    (_SPACE, [
        Trial(Candidate(i, 0, (i % 3, 0, 0, 0), 1, 0), Evaluation(0.1))
        for i in range(30)
    ], 'all are 0.1'),
    (problems.make_space(2, 2, 1, 4), _trials(30), "layer 'layer0'"),
    (problems.make_space(3, 2), _trials(30), 'one for each of the 2 layers'),
    (problems.make_space(1, 1), _trials(30), 'several'),
])
def test_why_there_are_no_effects(
    space: SearchSpace, trials: list[Trial], says: str
) -> None:
  with pytest.raises(UserError, match=says):
    importance(space, trials)


def test_labels_say_what_differs() -> None:
  labels = {
      layer.name: option_labels(layer)
      for layer in cifar10_large().search_space.layers
  }
  assert labels['kernel1'] == ['kernel 3', 'kernel 5', 'kernel 7']
  assert labels['squeeze1'] == ['squeeze no', 'squeeze yes']
  assert option_labels(Layer('plain', (1, True))) == ['1', 'yes']


def test_no_two_labels_are_alike() -> None:
  parts = cifar10_large().search_space.layers[4].options[1]
  other = {'squeeze': {'ratio': 0.5}}
  assert len(set(option_labels(Layer('part', (parts, other))))) == 2
  same = Layer('same', (('a',), "('a',)"))
  assert option_labels(same) == ["('a',) (0)", "('a',) (1)"]

"""Spaces over Flax modules: networks, costs found by counting, bad input."""

import dataclasses
import itertools
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.errors import UserError
from layernas.networks.flax_space import Choice
from layernas.networks.flax_space import FlaxSpace
from layernas.networks.mobilenet_spaces import cifar10_small
from layernas.networks.mobilenet_spaces import mobilenet_space
from layernas.networks.network import Task
from layernas.networks.registry import make_space
from layernas.networks.registry import network_from_dict
from layernas.networks.space import NetworkSpace
from layernas.search.cost import CountedCost
from tests import tiny
from tests.networks.flax_spaces import LAYERS
from tests.networks.flax_spaces import Net
from tests.networks.flax_spaces import build
from tests.networks.flax_spaces import same_as
from tests.networks.flax_spaces import same_as_tiny
from tests.networks.flax_spaces import space
from tests.search import problems


def by_hand(width, depth, classes=10, side=16):
  return side**2 * 27 * width + depth * width**2 + width * classes


def test_counts_are_those_of_the_module():
  made = space()
  counts = made.network((2, 1)).counts(16, 10)
  assert counts.madds == by_hand(12, 2)
  assert counts.params == 27 * 12 + 24 + 2 * (144 + 12) + 130
  assert counts.buffers == 24


def test_the_cost_is_exact_and_its_intervals_are_reachable():
  made = space()
  cost = made.cost('madds', 16, 10)
  every = list(itertools.product(range(3), range(3)))
  exact = [by_hand(4 * (a + 1), b + 1) for a, b in every]
  assert [cost.cost(one) for one in every] == exact
  assert cost.interval((0, 0), ()) == (min(exact), max(exact))
  assert cost.interval((1, 0), (0,)) == (by_hand(8, 1), by_hand(8, 3))
  assert '1 factor of 2 layers' in made.found[0]
  assert made.found[1].startswith('counted as none: add,')
  assert made.cost('params', 16, 10).cost((0, 0)) == (
      made.network((0, 0)).counts(16, 10).params
  )


def test_what_was_found_is_not_counted_again():
  first = space()
  first.cost('madds', 16, 10)
  again = FlaxSpace(LAYERS, build)
  again.facts = json.loads(json.dumps(first.facts))
  told = []
  again.progress = lambda *said: told.append(said)
  assert again.cost('madds', 16, 10).cost((2, 2)) == by_hand(12, 3)
  assert not told
  assert again.found == first.found
  # Of other images it is.
  again.cost('madds', 8, 10)
  assert told


def test_the_content_tells_modules_and_options_apart():
  def content(layers=LAYERS, build=build):
    return json.dumps(FlaxSpace(layers, build).content(16, 10))

  assert content() == content()
  assert content((LAYERS[0], Choice('depth', (1, 2, 4)))) != content()
  assert content((Choice('width', (4, 8, 12)), LAYERS[1])) != content()
  def other(choices, classes):
    return Net(classes, **choices, activation=nn.gelu)

  assert content(build=other) != content()
  assert '0x' not in content(build=other)


def test_options_are_of_any_kind():
  made = FlaxSpace(
      [
          Choice('activation', (nn.relu, nn.gelu)),
          Choice('shape', ((4, 1), None)),
      ],
      lambda choices, classes: Net(
          classes, *(choices['shape'] or (8, 2)),
          activation=choices['activation'],
      ),
  )
  values = made.network((1, 1)).to_dict()
  assert json.loads(json.dumps(values))['choices'] == {
      'activation': 'jax._src.nn.functions:gelu', 'shape': None,
  }


def test_networks_come_back_from_json():
  made = make_space('tests.networks.flax_spaces:space')
  for network in (made.network((2, 0)), made.default_scaled(0.5, '', 1)):
    values = json.loads(json.dumps(network.to_dict()))
    assert network_from_dict(values).to_dict() == values
  assert made.default_scaled(0.5, '', 1).counts(16, 10).madds == by_hand(4, 1)
  assert FlaxSpace(LAYERS, build).default_scaled(0.5, '', 1) is None


def test_a_cost_that_does_not_factor_is_counted(monkeypatch):
  """Only whole networks are known then, and the search stays in the target."""
  monkeypatch.setattr('layernas.networks.flax_space._BUDGET', 8)
  layers = [Choice(f'layer{index}', (1, 2, 3)) for index in range(6)]

  def product(choices, classes):
    width = 1
    for value in choices.values():
      width *= value
    return Net(classes, width)

  made = FlaxSpace(layers, product)
  cost = made.cost('madds', 4, 10)
  assert isinstance(cost, CountedCost)
  assert 'does not factor' in made.found[0]
  assert cost.cost((0, 0, 0, 1, 2, 0)) == by_hand(6, 1, side=4)


@pytest.mark.parametrize('metric', ['madds', 'params'])
def test_a_built_in_space_has_the_same_costs(metric):
  own, inner = same_as_tiny(), tiny.space()
  costs = [made.cost(metric, 16, 10) for made in (own, inner)]
  every = list(itertools.product(*map(range, inner.search_space.option_counts)))
  found = [[cost.cost(one) for one in every] for cost in costs]
  assert found[0] == found[1]
  for decided in itertools.chain.from_iterable(
      itertools.combinations(range(3), size) for size in range(4)
  ):
    for one in every:
      assert costs[0].interval(one, decided) == costs[1].interval(one, decided)


def _mobilenet_v2():
  """MobileNetV2 at 224 pixels, every third layer with three of its options."""
  whole = mobilenet_space('mobilenet_v2')
  return NetworkSpace(whole.base, [
      dataclasses.replace(layer, options=layer.options[:3], default=0)
      for layer in whole.layers[::3]
  ])


@pytest.mark.long
@pytest.mark.parametrize('inner', [cifar10_small(), _mobilenet_v2()], ids=[
    'cifar10_small', 'mobilenet_v2',
])
def test_a_mobilenet_v2_has_the_same_costs_and_intervals(inner):
  own = same_as(inner)
  costs = [made.cost('madds', 32, 10) for made in (own, inner)]
  counts = inner.search_space.option_counts
  rng = np.random.default_rng(0)
  drawn = rng.integers(0, counts, (200, len(counts)))
  np.testing.assert_array_equal(*(cost.costs(drawn) for cost in costs))
  for one in drawn[:50].tolist():
    decided = np.flatnonzero(rng.random(len(counts)) < 0.5).tolist()
    assert costs[0].interval(one, decided) == costs[1].interval(one, decided)


class NoTrain(nn.Module):
  """Lacks an argument."""

  @nn.compact
  def __call__(self, images):
    return nn.Dense(10)(images.mean(axis=(1, 2)))


class Other(nn.Module):
  """Returns something that is no logits."""

  kind: str

  @nn.compact
  def __call__(self, images, train):
    del train
    logits = nn.Dense(10)(images.mean(axis=(1, 2)))
    return {
        'two': (logits, logits), 'integers': logits.astype(jnp.int32),
        'wide': nn.Dense(11)(logits), 'map': images,
    }[self.kind]


def _failing(choices, classes):
  if choices['depth'] == 3:
    raise ValueError('three is too deep')
  return build(choices, classes)


def _misshapen(choices, classes):
  class Misshapen(nn.Module):

    @nn.compact
    def __call__(self, images, train):
      del train
      x = images.mean(axis=(1, 2))
      return nn.Dense(10)(x) + jnp.zeros((1, choices['depth']))

  return Misshapen()


@pytest.mark.parametrize(('make', 'parts'), [
    (_failing, ["'depth': 3", 'three is too deep', 'test_flax_space.py, line']),
    (_misshapen, ["'depth': 2", 'test_flax_space.py, line']),
    (lambda choices, classes: NoTrain(), ['NoTrain.__call__', 'train']),
    (lambda choices, classes: 3, ['returned a int', 'flax.linen.Module']),
    (lambda choices, classes: Other('two'), ['2 arrays', 'logits']),
    (lambda choices, classes: Other('integers'), ['int32 numbers']),
    (lambda choices, classes: Other('wide'), ['(1, 11)', '(1, 10)']),
    (lambda choices, classes: Other('map'), ['(1, 16, 16, 3)']),
])
def test_what_cannot_be_trained_is_named_before_any_training(make, parts):
  with pytest.raises(UserError) as error:
    FlaxSpace(LAYERS, make).cost('madds', 16, 10)
  text = str(error.value)
  assert all(part in text for part in parts), text
  assert '\n' not in text


@pytest.mark.parametrize(('make', 'parts'), [
    (lambda: Choice('a', [1, 1]), ["layer 'a'", 'both 1']),
    (lambda: Choice('a', [[1], [2]]), ['unhashable', 'a tuple']),
    (lambda: Choice('a', 'xy'), ["options 'xy'"]),
    (lambda: FlaxSpace([3], build), ['layer 3', 'a Choice']),
    (lambda: FlaxSpace(LAYERS, 3), ['build 3']),
    (lambda: FlaxSpace([], build), ['no layers']),
    (lambda: space().network((9, 0)), ['option 9', "'width'"]),
    (lambda: space().cost('flops', 16, 10), ["'flops'"]),
])
def test_wrong_spaces_are_one_line(make, parts):
  with problems.refuses(*parts):
    make()


def _regression():
  task = Task(
      lambda outputs, batch: (outputs[:, 0] - batch['y']) ** 2,
      lambda outputs, batch: {'error': abs(outputs[:, 0] - batch['y'])},
      lambda batch: batch['x'],
      jax.ShapeDtypeStruct((13,), jnp.float32),
  )
  return FlaxSpace(
      [Choice('width', (4, 8)), Choice('depth', (1, 2))],
      lambda choices, outputs: Perceptron(outputs, **choices), task=task,
  )


class Perceptron(nn.Module):
  """Dense layers."""

  outputs: int
  width: int
  depth: int

  @nn.compact
  def __call__(self, x, train):
    for _ in range(self.depth):
      x = nn.relu(nn.Dense(self.width)(x))
    return nn.Dense(self.outputs)(nn.Dropout(0.1, deterministic=not train)(x))


def test_another_task_has_inputs_of_its_own():
  made = _regression()
  counts = made.network((1, 1)).counts(0, 1)
  assert counts.madds == 13 * 8 + 64 + 8
  assert made.cost('madds', 0, 1).cost((0, 0)) == 13 * 4 + 4

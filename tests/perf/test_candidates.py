"""Candidates of the search and of other loops: workloads, timing, report."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.errors import UserError
from layernas.models.convolutions import PointwiseConv
from layernas.networks.reference import mobilenet_v3_large
from layernas.training.checks import check_training
from layernas.training.train import training_steps
from tests import tiny
from tools.perf import candidate_loops
from tools.perf import candidates
from tools.perf import small_search


def found_of(train, images=100, cores=2, **more):
  return {
      'machine': {'cores': cores, 'processor': 'X'},
      'candidates': [
          {'architecture': name, 'images': images,
           'seconds': {'compile': 1.0, 'train': seconds, 'other': 0.5}}
          for name, seconds in train.items()
      ],
  } | more


OURS = found_of({'0-1': 2.5, '1-1': 8.5}, compilations=4, whole_seconds=20.0)


@pytest.fixture(name='stored')
def _stored(tmp_path):
  def store(**systems):
    for name, found in systems.items():
      (tmp_path / f'{name}.json').write_text(json.dumps(found))
    return tmp_path

  return store


def test_ratios_are_those_of_the_same_network(stored):
  """The networks of the other system come in another order."""
  text = candidates.report_text(candidates.read_systems(stored(
      ours=OURS, naive=found_of({'1-1': 28.5, '0-1': 6.5}, naive_steps=7),
  )))
  plain, ours = text.splitlines()[2:4]
  assert plain.endswith('| 5.3% |  | 2.50 (2.00 to 3.00) |')
  # Half of 100 / 4 and 100 / 10 a second; 100 / 2.5 and 100 / 8.5 in training.
  assert ours == (
      '| ours |  | 1.00 | 5.50 |  |  | 0.50 | 7.00 | 18 | 26 | 14.3% | 4 |  |'
  )
  assert 'ran 7 steps' in text


def test_the_whole_search_is_a_sentence(stored):
  text = candidates.report_text(candidates.read_systems(stored(
      ours=OURS, whole_search=OURS,
  )))
  assert len(text.splitlines()) == 5
  assert '2 trainings and 4 compilations in 20 s, of which 2.0 s (10.0%)' in (
      text
  )


@pytest.mark.parametrize(('systems', 'words'), [
    ({'ours': OURS, 'torch': found_of({'0-1': 1.0}, images=50)},
     '50 images: allowed are as many'),
    ({'ours': OURS, 'torch': found_of({'0-1': 1.0}, cores=4)},
     'cores 4: allowed is'),
    ({'naive': OURS}, '--mode=ours comes first'),
])
def test_what_cannot_be_compared_is_named(stored, systems, words):
  with pytest.raises(UserError, match=words):
    candidates.read_systems(stored(**systems))


def test_every_system_is_drawn(stored):
  output = stored(ours=OURS, torch=OURS, whole_search=OURS)
  candidates.save_picture(candidates.read_systems(output), output / 'x.png')
  assert (output / 'x.png').read_bytes().startswith(b'\x89PNG')


def test_the_first_workload_is_the_config():
  config = candidates.make_config('cifar10_small')
  assert config.to_dict() == small_search.get_config().to_dict()


def test_the_second_is_mobilenet_v3_large_at_224_pixels():
  config = candidates.make_config('mobilenet_v3_large_224', 2, 1)
  check_training(config)
  assert (config.budget.trials, config.compile_ahead) == (2, 1)
  assert (config.data.image_size, config.training.batch_size) == (224, 8)
  space = candidates.mobilenet_v3_space()
  assert config.space == f'{candidates.__name__}:mobilenet_v3_space'
  assert space.network(space.search_space.default) == mobilenet_v3_large()
  assert space.search_space.size == 3


@pytest.mark.parametrize(('workload', 'steps', 'expected'), [
    ('cifar10_small', 3, 3), ('mobilenet_v3_large_224', 0, 49),
])
def test_trainings_have_the_steps_of_the_flag(workload, steps, expected):
  config = candidates.make_config(workload, steps=steps)
  check_training(config)
  images = candidate_loops.training_images(config.data)
  assert training_steps(config.training, images) == expected


@pytest.mark.parametrize(('times', 'steps', 'seconds'), [
    # What the first step takes longer comes once.
    ([5.0, 1.0, 3.0], 11, 5.0 + 10 * 2.0), ([5.0, 1.0, 3.0], 3, 9.0),
    ([5.0], 1, 5.0),
])
def test_measured_steps_are_scaled_up(times, steps, seconds):
  assert candidate_loops.scaled_up(times, steps) == seconds


def test_making_a_batch_counts(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(
      candidate_loops.time, 'perf_counter', lambda: now[0]
  )

  def batches():
    for seconds in (1.0, 2.0, 4.0):
      now[0] += seconds
      yield seconds

  def step(batch):
    now[0] += 10 * batch

  times = candidate_loops.times_of_steps(step, batches(), 2)
  assert times == pytest.approx([11.0, 22.0])


def test_1x1_convolutions_become_those_of_flax():
  """The same function with the same weights; other modules stay."""
  x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 3)), 'f4')
  model = nn.Sequential([PointwiseConv(5, jnp.float32), nn.Dense(2)])
  variables = nn.meta.unbox(model.init(jax.random.key(0), x))

  def convolutions():
    return str(jax.make_jaxpr(model.apply)(variables, x)).count(
        'conv_general_dilated['
    )

  assert convolutions() == 0
  expected = model.apply(variables, x)
  with nn.intercept_methods(candidate_loops.flax_pointwise):
    assert convolutions() == 1
    found = model.apply(variables, x)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope='module', name='config')
def _config():
  """One candidate, four steps of 50 images."""
  config = tiny.get_config().unlock()
  config.budget.trials = 1
  config.training.batch_size = 50
  config.training.epochs = 4 / 160
  return config.lock()


@pytest.mark.long
def test_the_search_and_the_plain_loop_train_the_same_network(config):
  ours = candidate_loops.measure_search(config)
  [mine] = ours['candidates']
  assert mine['images'] == 4 * 50
  assert set(mine['seconds']) == {
      'compile', 'train', 'evaluate', 'save', 'other'
  }
  assert 0 < sum(mine['seconds'].values()) <= ours['whole_seconds']
  found = candidate_loops.measure_plain_loop(config, ours['candidates'], 2)
  [one] = found['candidates']
  assert {name: one[name] for name in ('architecture', 'seed', 'images')} == {
      name: mine[name] for name in ('architecture', 'seed', 'images')
  }
  assert set(one['seconds']) == set(candidate_loops.PARTS)
  assert min(one['seconds'].values()) > 0
  assert found['naive_steps'] == 2

"""A child's first variables hold what its parent has learned."""

import dataclasses

import jax
import numpy as np
import pytest

from layernas.models.initialization import initial_variables
from layernas.models.network import Network
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.training.hooks import StepHook
from layernas.training.inheritance import inherited
from layernas.training.inheritance import inheriting
from layernas.training.train import train_and_evaluate
from tests.training import small

_SPEC = NetworkSpec(
    Stem(8, stride=1),
    (InvertedResidual(8, 16, 3), InvertedResidual(12, 16, 5)), Head(16),
)


def _variables(spec, seed):
  """Random ones of every leaf; variances are positive."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
      lambda leaf: rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32),
      initial_variables(_model(spec), 8, seed),
  )


def _model(spec):
  return Network(spec, num_classes=10, depthwise='native')


def _changed(index, **fields):
  blocks = list(_SPEC.blocks)
  blocks[index] = dataclasses.replace(blocks[index], **fields)
  return dataclasses.replace(_SPEC, blocks=tuple(blocks))


def _equal(first, second):
  jax.tree.map(np.testing.assert_array_equal, first, second)


def test_all_of_the_same_shapes():
  fresh, parent = _variables(_SPEC, 0), _variables(_SPEC, 1)
  child = inherited(fresh, parent, {})
  _equal(child, parent)
  # A copy: training the one leaves the other alone.
  child['params']['stem']['kernel'][:] = 7
  assert parent['params']['stem']['kernel'].max() < 2
  assert fresh['params']['stem']['kernel'].max() < 2


@pytest.mark.parametrize('kernel', [5, 7])
def test_a_larger_kernel_computes_the_same(kernel):
  spec = _changed(0, kernel=kernel)
  parent = _variables(_SPEC, 1)
  child = inherited(_variables(spec, 0), parent, {})
  images = np.random.default_rng(2).normal(size=(4, 8, 8, 3)).astype('f')
  first, second = (
      _model(one).apply(variables, images, train=False)
      for one, variables in ((_SPEC, parent), (spec, child))
  )
  np.testing.assert_allclose(first, second, rtol=1e-5)
  assert np.ptp(first) > 0


def test_a_smaller_kernel_is_the_centre():
  spec = _changed(1, kernel=3)
  parent = _variables(_SPEC, 1)
  child = inherited(_variables(spec, 0), parent, {})
  name = 'block1'
  np.testing.assert_array_equal(
      child['params'][name]['depthwise']['kernel'],
      parent['params'][name]['depthwise']['kernel'][1:4, 1:4],
  )


def test_a_wider_block_keeps_its_filters_and_statistics():
  spec = _changed(0, expanded=24, kernel=5)
  fresh, parent = _variables(spec, 0), _variables(_SPEC, 1)
  child = inherited(fresh, parent, {})
  new, old, own = (
      tree['params']['block0'] for tree in (child, parent, fresh)
  )
  expand = new['expand']['kernel']
  np.testing.assert_array_equal(expand[:, :16], old['expand']['kernel'])
  np.testing.assert_array_equal(
      expand[:, 16:], own['expand']['kernel'][:, 16:]
  )
  project = new['project']['kernel']
  np.testing.assert_array_equal(project[:16], old['project']['kernel'])
  np.testing.assert_array_equal(project[16:], own['project']['kernel'][16:])
  depthwise = new['depthwise']['kernel']
  np.testing.assert_array_equal(
      depthwise[..., :16],
      np.pad(old['depthwise']['kernel'], [(1, 1), (1, 1), (0, 0), (0, 0)]),
  )
  # A filter that the parent lacks has no zeros around it.
  np.testing.assert_array_equal(
      depthwise[..., 16:], own['depthwise']['kernel'][..., 16:]
  )
  for leaf in ('mean', 'var'):
    new, old, own = (
        tree['batch_stats']['block0']['depthwise_norm'][leaf]
        for tree in (child, parent, fresh)
    )
    np.testing.assert_array_equal(new, [*old, *own[16:]])


def test_a_narrower_network_keeps_the_first_filters():
  spec = NetworkSpec(
      Stem(4, stride=1),
      (InvertedResidual(6, 8, 3), InvertedResidual(8, 8, 5)), Head(12),
  )
  parent = _variables(_SPEC, 1)
  child = inherited(_variables(spec, 0), parent, {})
  jax.tree.map(
      lambda new, old: np.testing.assert_array_equal(
          new, old[tuple(map(slice, new.shape))]
      ), child, parent,
  )


def test_modules_that_the_parent_lacks_stay_fresh():
  # A squeeze, a hidden layer, and an expansion in a block that had none.
  old = NetworkSpec(
      Stem(8, stride=1), (InvertedResidual(8, 0), InvertedResidual(12, 16)),
      Head(0),
  )
  new = NetworkSpec(
      Stem(8, stride=1),
      (InvertedResidual(8, 16), InvertedResidual(12, 16, squeeze=Squeeze())),
      Head(0, 6),
  )
  fresh, parent = _variables(new, 0), _variables(old, 1)
  child = inherited(fresh, parent, {})['params']
  _equal(child['block0']['expand'], fresh['params']['block0']['expand'])
  _equal(child['block1']['squeeze'], fresh['params']['block1']['squeeze'])
  _equal(child['hidden'], fresh['params']['hidden'])
  _equal(child['block1']['project'], parent['params']['block1']['project'])
  # The classifier reads six features instead of twelve.
  kernels = (
      tree['classifier']['kernel'] for tree in (child, parent['params'])
  )
  np.testing.assert_array_equal(next(kernels), next(kernels)[:6])


def test_blocks_of_a_deeper_network_find_theirs():
  space = SPACES['cifar10_stages']()
  parent = space.search_space.default
  child = list(parent)
  # One block more in the first stage, one less in the second.
  child[4] += 1
  child[9] -= 1
  child = tuple(child)
  counterparts = space.counterparts(child, parent)
  assert counterparts == {
      'block0': 'block0', 'block1': None, 'block2': 'block1',
      'block3': 'block3', 'block4': 'block4',
  }
  specs = [space.network(each) for each in (child, parent)]
  fresh, old = (
      _variables(spec, seed) for seed, spec in enumerate(specs)
  )
  new = inherited(fresh, old, counterparts)
  for collection in ('params', 'batch_stats'):
    for name, source in counterparts.items():
      _equal(
          new[collection][name],
          old[collection][source] if source else fresh[collection][name],
      )
    for name in set(new[collection]) - set(counterparts):
      _equal(new[collection][name], old[collection][name])


class _States(StepHook):

  def __init__(self):
    self.last = None

  def stepped(self, step, state):
    del step
    self.last = jax.tree.map(lambda leaf: np.array(leaf[0]), state)


@pytest.mark.long
@pytest.mark.parametrize('decay', [0.0, 0.9])
def test_a_training_that_inherits(tmp_path, decay):
  job = small.job(ema_decay=decay, checkpoint_every_steps=0)
  programs, states = small.programs(job), _States()
  first = train_and_evaluate(
      job, tmp_path / 'first', hooks=[states], programs=lambda: programs
  )
  parent = states.last.variables
  again = inheriting(programs, parent, {})
  state = again.initial_state(1)
  _equal(state.variables, parent)
  _equal(state.ema, parent if decay else {})
  assert state.step == 0
  _equal(state.optimizer, programs.initial_state(1).optimizer)
  second = train_and_evaluate(
      job, tmp_path / 'second', programs=lambda: again
  )
  assert second.steps == first.steps
  assert second.metrics['train_loss'] < first.metrics['train_loss']

"""Optimisers, learning-rate schedules and weight decay."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from layernas.errors import UserError
from layernas.models.initialization import Initialization
from layernas.models.initialization import initial_variables
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.training.optimizer import OPTIMIZERS
from layernas.training.optimizer import decayed
from layernas.training.optimizer import excluded_kinds
from layernas.training.optimizer import learning_rate
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import create_model
from tests.training import small

_TEETH = 'tests.training.own:sawtooth'


@pytest.mark.parametrize(('fields', 'shares'), [
    # Two of ten epochs are a linear warm-up where nothing else is said.
    ({'schedule': 'cosine'}, {
        0: 0.0, 5: 1 / 4, 19: 19 / 20, 20: 1.0,
        40: (1 + math.cos(math.pi / 4)) / 2, 60: 1 / 2,
        99: (1 + math.cos(math.pi * 79 / 80)) / 2, 100: 0.0,
    }),
    ({'schedule': 'cosine', 'warmup_epochs': 0.0}, {
        0: 1.0, 50: 1 / 2, 100: 0.0,
    }),
    # Less than a step.
    ({'schedule': 'cosine', 'epochs': 0.01, 'warmup_epochs': 0.0}, {0: 1.0}),
    ({'schedule': 'constant'}, {0: 0.0, 19: 19 / 20, 20: 1.0, 99: 1.0}),
    ({'schedule': 'stepped', 'warmup_epochs': 0.0}, {
        23: 1.0, 24: 1 / 2, 47: 1 / 2, 48: 1 / 4,
    }),
    # Its steps count from the start of the training.
    ({'schedule': 'stepped'}, {
        10: 1 / 2, 20: 1.0, 23: 1.0, 24: 1 / 2, 96: 1 / 16,
    }),
    # Two teeth of 40 steps each.
    ({'schedule': _TEETH, 'schedule_settings': {'teeth': 2}}, {
        19: 19 / 20, 20: 1.0, 40: 1 / 2, 60: 1.0, 99: 1 / 40,
    }),
])
@pytest.mark.parametrize('batch_size', [64, 512])
def test_learning_rates(fields, shares, batch_size) -> None:
  training = small.get_config(**{
      'learning_rate': 0.4, 'batch_size': batch_size, 'epochs': 10.0,
      'warmup_epochs': 2.0, 'decay_epochs': 2.4, 'decay_rate': 0.5,
  } | fields).training
  schedule = learning_rate(training, steps_per_epoch=10)
  peak = 0.4 * batch_size / 256
  for step, share in shares.items():
    assert float(schedule(step)) == pytest.approx(peak * share, abs=1e-6), step


def _transformation(training, schedule=lambda step: 0.1):
  return make_optimizer(training, schedule).transformation


def _trace(optimizer, weight, gradients):
  """Values of a 1 x 1 kernel after each step."""
  params = {'kernel': jnp.full((1, 1), weight)}
  state = optimizer.init(params)
  trace = []
  for gradient in gradients:
    updates, state = optimizer.update(
        {'kernel': jnp.full((1, 1), gradient)}, state, params
    )
    params = optax.apply_updates(params, updates)
    trace.append(float(params['kernel'][0, 0]))
  return trace


def test_rmsprop_is_that_of_tensorflow() -> None:
  rates = (0.1, 0.3, 0.05)
  gradients = (2.0, -1.0, 0.5)
  config = small.get_config(
      optimizer='rmsprop', momentum=0.5, rms_decay=0.75, rms_epsilon=0.25,
      weight_decay=0.0,
  ).training
  optimizer = _transformation(config, lambda step: jnp.array(rates)[step])
  # Averages of the squared gradient, from one:
  # 0.75 * 1 + 0.25 * 4 = 1.75; 0.75 * 1.75 + 0.25 = 1.5625;
  # 0.75 * 1.5625 + 0.25 * 0.25 = 1.234375. Epsilon is added to each.
  first = 0.1 * 2.0 / math.sqrt(2.0)
  second = 0.5 * first - 0.3 / math.sqrt(1.8125)
  third = 0.5 * second + 0.05 * 0.5 / math.sqrt(1.484375)
  expected = np.cumsum([1.0, -first, -second, -third])[1:]
  np.testing.assert_allclose(
      _trace(optimizer, 1.0, gradients), expected, rtol=1e-6
  )


def test_sgd_looks_ahead_along_its_momentum() -> None:
  config = small.get_config(
      optimizer='sgd', momentum=0.5, weight_decay=0.0
  ).training
  optimizer = _transformation(config)
  # Velocities 2 and 0.5 * 2 - 1 = 0; steps g + 0.5 v: 3 and -1.
  np.testing.assert_allclose(
      _trace(optimizer, 1.0, (2.0, -1.0)), [0.7, 0.8], rtol=1e-6
  )


@pytest.mark.parametrize(
    ('name', 'step'),
    # Without momentum; the gradient is 0.5 * 4 = 2. RMSProp: 2 / sqrt(2).
    [('sgd', 2.0), ('rmsprop', math.sqrt(2.0))],
)
def test_decay_is_the_gradient_of_half_the_squared_norm(
    name: str, step: float
) -> None:
  config = small.get_config(
      optimizer=name, momentum=0.0, weight_decay=0.5, rms_decay=0.75,
      rms_epsilon=0.25,
  ).training
  optimizer = _transformation(config)
  np.testing.assert_allclose(
      _trace(optimizer, 4.0, (0.0,)), [4.0 - 0.1 * step], rtol=1e-6
  )


@pytest.mark.parametrize(('excludes', 'stay'), [
    ('', ()),
    # MobileNetV3: all but batch norm.
    ('batch_norm', ('norm',)),
    ('batch_norm,bias', ('norm', 'bias')),
    # TuNAS: depthwise included, classifier excluded.
    ('batch_norm, bias, classifier', ('norm', 'bias', 'classifier')),
    ('depthwise', ('depthwise/kernel',)),
])
def test_what_decays(excludes: str, stay: tuple[str, ...]) -> None:
  network = NetworkSpec(
      Stem(8), (InvertedResidual(8, 16, squeeze=Squeeze()),), Head(16, 8)
  )
  model = create_model(small.get_config(), network, small.CLASSES)
  begin = Initialization(model, small.SIDE)
  leaves = jax.tree_util.tree_leaves_with_path(
      decayed(begin.shapes['params'], excluded_kinds(excludes), begin.kinds)
  )
  names = [
      ('/'.join(key.key for key in path), decays) for path, decays in leaves
  ]
  assert len(names) == 23
  for name, decays in names:
    expected = not any(part in name for part in stay)
    assert decays == expected, name


def test_undeclared_parameters_are_kernels_or_biases() -> None:
  params = {'kernel': np.ones((2, 3)), 'norm': {'scale': np.ones(3)}}
  assert decayed(params, frozenset({'bias'})) == {
      'kernel': True, 'norm': {'scale': False}
  }


def test_an_optimizer_of_ones_own_is_that_of_optax() -> None:
  config = small.get_config(
      optimizer='tests.training.own:adamw', optimizer_settings={'b1': 0.8},
      weight_decay=0.5,
  ).training
  params = {'kernel': jnp.full((2, 3), 2.0), 'bias': jnp.full(3, 2.0)}
  gradient = jax.tree.map(jnp.ones_like, params)
  wanted = optax.adamw(0.1, 0.8, weight_decay=0.5, mask=decayed(
      params, frozenset({'bias'})
  ))
  found = make_optimizer(config, lambda step: 0.1)
  state = found.compile_init(params)(params)
  assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(state))
  # There is no kernel for it.
  new, _, flag = found.update(compiled=True)(gradient, state, params)
  steps, _ = wanted.update(gradient, wanted.init(params), params)
  jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=1e-6), new,
      optax.apply_updates(params, steps),
  )
  assert flag == 0.0


@pytest.mark.parametrize('name', [
    *OPTIMIZERS, 'tests.training.own:adamw', 'tests.training.own:schedule_free'
])
def test_the_state_begins_as_it_would_by_itself(name: str) -> None:
  optimizer = make_optimizer(
      small.get_config(optimizer=name).training, lambda step: 0.1
  )
  model = create_model(small.get_config(), small.NETWORK, small.CLASSES)
  params = initial_variables(model, small.SIDE, 0)['params']
  shapes = jax.eval_shape(lambda: params)
  state = optimizer.compile_init(shapes)(params)
  expected = optimizer.transformation.init(jax.tree.map(jnp.asarray, params))
  assert jax.tree.structure(state) == jax.tree.structure(expected)
  for one, other in zip(
      jax.tree.leaves(state), jax.tree.leaves(expected), strict=True
  ):
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(('fields', 'message'), [
    ({'optimizer': 'tests.training.own:no_optimizer'},
     "final.optimizer: 'tests.training.own:no_optimizer' gave a str: allowed is"
     ' an optax.GradientTransformation'),
    ({'optimizer_settings': {'b3': 1}},
     "final.optimizer_settings: {'b3': 1}: got an unexpected keyword argument"
     " 'b3'; allowed are the keyword arguments of"
     ' layernas.training.optimizer:sgd, []'),
    ({'schedule': 'tests.training.own:no_schedule'},
     "final.schedule: 'tests.training.own:no_schedule' gave a float: allowed is"
     ' a function from step to learning rate'),
    ({'schedule': 'tests.training.own:sawtooth'},
     "final.schedule_settings: {}: missing a required argument: 'teeth';"
     ' allowed are the keyword arguments of tests.training.own:sawtooth,'
     " ['teeth']"),
])
def test_what_does_not_fit_is_named(fields, message) -> None:
  training = small.get_config(**fields).training
  with pytest.raises(UserError) as error:
    make_optimizer(training, learning_rate(training, 10, 'final'), 'final')
  assert str(error.value) == message


def _rate(step):
  return 0.1 / (1 + step)


def _params():
  """One leaf of more than one chunk, odd sizes, kinds that do not decay."""
  rng = np.random.default_rng(0)
  draw = functools.partial(rng.standard_normal, dtype=np.float32)
  return {
      'large': {'kernel': draw((129, 257))},
      'depthwise': {'kernel': draw((3, 3, 1, 5))},
      'head_norm': {'scale': draw(7), 'bias': draw(1)},
      'classifier': {'kernel': draw((3, 2)), 'bias': draw(2)},
  }


def _gradients(steps):
  rng = np.random.default_rng(1)
  return [
      jax.tree.map(
          lambda leaf: rng.standard_normal(leaf.shape, np.float32), _params()
      ) for _ in range(steps)
  ]


def _training(optimizer, excludes):
  return small.get_config(
      optimizer=optimizer, momentum=0.7, rms_decay=0.8, rms_epsilon=0.01,
      weight_decay=0.03, weight_decay_excludes=excludes,
  ).training


def _run(training, compiled, gradients):
  """Parameters, state and flag after all steps."""
  optimizer = make_optimizer(training, _rate)
  update = jax.jit(optimizer.update(compiled))
  params = _params()
  state = optimizer.transformation.init(params)
  for gradient in gradients:
    params, state, flag = update(gradient, state, params)
  return params, state, flag


@pytest.mark.parametrize(('optimizer', 'excludes'), [
    ('sgd', 'batch_norm,bias'), ('sgd', ''), ('rmsprop', 'classifier'),
])
def test_the_kernel_takes_the_step_of_optax(optimizer, excludes):
  training = _training(optimizer, excludes)
  got = _run(training, True, _gradients(3))
  wanted = _run(training, False, _gradients(3))
  assert jax.tree.structure(got) == jax.tree.structure(wanted)
  for ours, theirs in zip(
      jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True
  ):
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_parameters_of_other_types_take_the_step_of_optax():
  optimizer = make_optimizer(_training('sgd', ''), _rate)
  params = {'kernel': jnp.ones((3, 2), jnp.bfloat16)}
  state = optimizer.transformation.init(params)
  got, wanted = (
      jax.jit(optimizer.update(compiled))(params, state, params)
      for compiled in (True, False)
  )
  jax.tree.map(np.testing.assert_array_equal, got, wanted)


@pytest.mark.parametrize(('optimizer', 'bad'), [
    ('sgd', np.nan), ('rmsprop', np.inf), ('rmsprop', -np.inf),
])
def test_the_kernel_flags_what_is_not_finite(optimizer, bad):
  training = _training(optimizer, '')
  (gradient,) = _gradients(1)
  assert _run(training, True, [gradient])[2] == 0.0
  gradient['large']['kernel'][-1, -1] = bad
  assert _run(training, True, [gradient])[2] == 1.0


def test_the_kernel_leaves_its_arguments_alone():
  training = _training('rmsprop', '')
  params = jax.tree.map(jnp.asarray, _params())
  optimizer = make_optimizer(training, _rate)
  state = optimizer.transformation.init(params)
  jax.jit(optimizer.update(compiled=True))(_gradients(1)[0], state, params)
  jax.tree.map(np.testing.assert_array_equal, params, _params())

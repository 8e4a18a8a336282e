"""Optimisers, learning-rate schedules and weight decay.

A config names its optimiser and its learning-rate schedule: one of `OPTIMIZERS`
and `SCHEDULES`, or module:function. Such a function gets one argument, a
`Recipe` or a `Span`, and the config's section `optimizer_settings` or
`schedule_settings` as keyword arguments. An optimiser of your own, which takes
--config.training.optimizer_settings.b2=0.98:

    def lion(recipe, b2=0.99):
      return optax.lion(
          recipe.learning_rate, b2=b2, weight_decay=recipe.decay.rate,
          mask=recipe.decay.mask,
      )

and a schedule, a function from the step after the warm-up to the rate:

    def linear(span):
      return optax.linear_schedule(span.peak, 0.0, span.steps)
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from layernas import lookup
from layernas.models.initialization import parameter_kinds
from layernas.native import library
from layernas.training.losses import non_finite


@dataclasses.dataclass(frozen=True)
class Span:
  """The part of a training after its warm-up, which a schedule is for.

  Attributes:
    peak: learning rate at the end of the warm-up, for the config's batch size.
    steps: number of steps from there to the end of the training, at least one.
    warmup: number of steps of the linear warm-up before it.
    steps_per_epoch: number of optimiser steps per epoch.
    training: section of the config.
  """

  peak: float
  steps: int
  warmup: int
  steps_per_epoch: int
  training: Any


def cosine(span: Span) -> optax.Schedule:
  """A rate that falls to zero along half a cosine."""
  return optax.cosine_decay_schedule(span.peak, span.steps)


def stepped(span: Span) -> optax.Schedule:
  """A rate that falls by `decay_rate` every `decay_epochs`."""
  # The staircase counts from the start of training, warm-up included.
  staircase = optax.exponential_decay(
      span.peak,
      max(1, round(span.training.decay_epochs * span.steps_per_epoch)),
      span.training.decay_rate, staircase=True,
  )
  return lambda step: staircase(step + span.warmup)


def constant(span: Span) -> optax.Schedule:
  """A rate that stays at the peak."""
  return optax.constant_schedule(span.peak)


SCHEDULES: lookup.Registry = {
    'cosine': cosine, 'stepped': stepped, 'constant': constant,
}


def learning_rate(
    training: Any, steps_per_epoch: int, section: str = 'training'
) -> optax.Schedule:
  """The learning rate: linear warm-up, then the schedule of a config.

  Args:
    training: section of the config: `learning_rate` (per 256 images),
      `batch_size` (global), `epochs`, `warmup_epochs`, `schedule`,
      `schedule_settings`, and what the schedule takes from it.
    steps_per_epoch: number of optimiser steps per epoch.
    section: name of the section, for errors.

  Returns:
    A function from the step to the learning rate.

  Raises:
    UserError: there is no such schedule, or it takes no such settings.
  """
  peak = training.learning_rate * training.batch_size / 256
  steps = round(training.epochs * steps_per_epoch)
  warmup = round(training.warmup_epochs * steps_per_epoch)
  span = Span(peak, max(1, steps - warmup), warmup, steps_per_epoch, training)
  field = f'{section}.schedule'
  decay = lookup.call(
      lookup.find(field, training.schedule, SCHEDULES), f'{field}_settings',
      training.schedule_settings, span,
  )
  if not callable(decay):
    raise lookup.unfit(
        field, training.schedule, decay,
        'a function from step to learning rate',
    )
  if not warmup:
    return decay
  ramp = optax.linear_schedule(0.0, peak, warmup)
  return optax.join_schedules([ramp, decay], [warmup])


Updated = tuple[Any, optax.OptState, jax.Array]
"""Parameters, optimiser state, and 1.0 if a gradient is not finite."""

Update = Callable[[Any, optax.OptState, Any], Updated]
"""Takes gradient, optimiser state and parameters."""


@dataclasses.dataclass(frozen=True)
class WeightDecay:
  """The weight decay of a training, as optax takes it.

  Attributes:
    rate: 0 if there is none.
    mask: takes parameters and returns a tree of bools, True for those that
      decay.
  """

  rate: float
  mask: Callable[[Any], Any]

  def in_loss(self) -> optax.GradientTransformation:
    """Adds the gradient of `rate` times half the squared norm to the loss's.

    This transformation comes first in a chain. Optimisers such as AdamW decay
    beside the gradient instead, and take rate and mask themselves.
    """
    return optax.add_decayed_weights(self.rate, mask=self.mask)

  def rates(self, params: Any) -> Any:
    """The rate of every parameter, zero for those that do not decay."""
    return jax.tree.map(
        lambda included: self.rate * included, self.mask(params)
    )


@dataclasses.dataclass(frozen=True)
class Recipe:
  """The arguments of an optimiser beside its settings.

  Attributes:
    learning_rate: function from the step to the learning rate.
    decay: weight decay, which the optimiser must apply.
    training: section of the config.
  """

  learning_rate: optax.Schedule
  decay: WeightDecay
  training: Any


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """An optimiser and its short cuts, if it has any.

  Attributes:
    transformation: optax transformation; all that an optimiser needs.
    compiled: the same step, including the state, as a kernel for CPU; None if
      there is none.
    starts_constant: whether every array of the initial state has one value
      throughout, so that no program is compiled to make it.
  """

  transformation: optax.GradientTransformation
  compiled: Update | None = None
  starts_constant: bool = False

  def update(self, compiled: bool = False) -> Update:
    """Does one step, by a kernel if that is wanted and there is one.

    The kernel knows float32 alone; other parameters take the step of optax.
    """
    plain = functools.partial(plain_update, self.transformation)
    kernel = self.compiled
    if not compiled or kernel is None:
      return plain

    def step(gradient: Any, state: optax.OptState, params: Any) -> Updated:
      dtypes = {leaf.dtype for leaf in jax.tree.leaves(params)}
      update = kernel if dtypes == {np.dtype(np.float32)} else plain
      return update(gradient, state, params)

    return step

  def compile_init(self, params: Any) -> Callable[[Any], optax.OptState]:
    """Compiles a function that makes the initial state.

    Args:
      params: tree of parameters, or of their shapes.

    Returns:
      A function from parameters to the state, in NumPy arrays; calling it
      compiles only what networks share.
    """
    if self.starts_constant:
      return functools.partial(_constant_state, self.transformation)
    init = jax.jit(self.transformation.init).lower(params).compile()
    return lambda params: jax.tree.map(np.array, init(params))


def _constant_state(
    transformation: optax.GradientTransformation, params: Any
) -> optax.OptState:
  """Runs on scalars and fills the arrays on the host."""
  shapes = jax.eval_shape(transformation.init, params)
  values = transformation.init(
      jax.tree.map(lambda leaf: np.zeros((), leaf.dtype), params)
  )
  return jax.tree.map(
      lambda leaf, value: np.full(leaf.shape, value, leaf.dtype),
      shapes, values,
  )


def plain_update(
    transformation: optax.GradientTransformation, gradient: Any,
    state: optax.OptState, params: Any,
) -> Updated:
  """Does one step with optax.

  Args:
    transformation: optax transformation.
    gradient: gradient of the loss, a tree.
    state: state of the optimiser.
    params: tree of parameters.

  Returns:
    See `Updated`.
  """
  updates, new_state = transformation.update(gradient, state, params)
  return optax.apply_updates(params, updates), new_state, non_finite(gradient)


@dataclasses.dataclass(frozen=True)
class CompiledUpdate:
  """One step of SGD or RMSProp over all parameters, by one kernel.

  XLA makes thousands of small programs from the same arithmetic, and copies
  what they overwrite. The state is that of the corresponding optax optimiser.

  Attributes:
    schedule: function from the step to the learning rate.
    decay: weight decay, added to the loss.
    momentum: Nesterov's for SGD; for RMSProp it comes after the learning rate.
    square_decay: decay of RMSProp's squares.
    epsilon: epsilon of RMSProp.
  """

  schedule: optax.Schedule
  decay: WeightDecay
  momentum: float
  square_decay: float = 0.0
  epsilon: float = 0.0

  def __call__(
      self, gradient: Any, state: optax.OptState, params: Any
  ) -> Updated:
    """One step.

    Args:
      gradient: gradient of the loss, a tree.
      state: of optax's optimiser.
      params: tree of parameters, float32.

    Returns:
      See `Updated`.
    """
    tree = jax.tree.structure(params)
    count = optax.tree.get(state, 'count')
    kept = {'trace': optax.tree.get(state, 'trace')}
    if optax.tree.get(state, 'nu') is not None:
      kept['nu'] = optax.tree.get(state, 'nu')
    leaves = jax.tree.leaves((params, *kept.values()))
    flag, *new = library.call(
        'optimizer',
        [jax.ShapeDtypeStruct((), jnp.float32)]
        + [jax.ShapeDtypeStruct(leaf.shape, jnp.float32) for leaf in leaves],
        jnp.asarray(self.schedule(count), jnp.float32),
        *jax.tree.leaves(gradient), *leaves,
        decays=np.array(jax.tree.leaves(self.decay.rates(params)), np.float32),
        momentum=np.float32(self.momentum),
        square_decay=np.float32(self.square_decay),
        epsilon=np.float32(self.epsilon),
    )
    new_params, *new_kept = (
        jax.tree.unflatten(tree, new[first:first + tree.num_leaves])
        for first in range(0, len(new), tree.num_leaves)
    )
    new_state = optax.tree.set(
        state, count=optax.safe_increment(count),
        **dict(zip(kept, new_kept, strict=True)),
    )
    return new_params, new_state, flag


def sgd(recipe: Recipe) -> Optimizer:
  """SGD with Nesterov momentum."""
  momentum = recipe.training.momentum
  step = optax.sgd(recipe.learning_rate, momentum=momentum, nesterov=True)
  return Optimizer(
      optax.chain(recipe.decay.in_loss(), step),
      CompiledUpdate(recipe.learning_rate, recipe.decay, momentum),
      starts_constant=True,
  )


def rmsprop(recipe: Recipe) -> Optimizer:
  """TensorFlow's RMSProp.

  Its accumulator starts at one, epsilon is inside the root, and the learning
  rate comes before the momentum.
  """
  training = recipe.training
  step = optax.rmsprop(
      recipe.learning_rate, decay=training.rms_decay, eps=training.rms_epsilon,
      initial_scale=1.0, eps_in_sqrt=True, momentum=training.momentum,
  )
  return Optimizer(
      optax.chain(recipe.decay.in_loss(), step),
      CompiledUpdate(
          recipe.learning_rate, recipe.decay, training.momentum,
          training.rms_decay, training.rms_epsilon,
      ),
      starts_constant=True,
  )


OPTIMIZERS: lookup.Registry = {'sgd': sgd, 'rmsprop': rmsprop}


def make_optimizer(
    training: Any, schedule: optax.Schedule, section: str = 'training',
    kinds: Any = None,
) -> Optimizer:
  """The optimiser that a config names.

  Args:
    training: section of the config: `optimizer`, `optimizer_settings`,
      `weight_decay`, `weight_decay_excludes`, and what the optimiser takes from
      it.
    schedule: function from the step to the learning rate.
    section: name of the section, for errors.
    kinds: kinds of the parameters, see `Initialization`; None if nothing is
      declared.

  Returns:
    The optimiser.

  Raises:
    UserError: there is no such optimiser, or it takes no such settings.
  """
  field = f'{section}.optimizer'
  decay = WeightDecay(training.weight_decay, functools.partial(
      decayed, excludes=excluded_kinds(training.weight_decay_excludes),
      kinds=kinds,
  ))
  made = lookup.call(
      lookup.find(field, training.optimizer, OPTIMIZERS), f'{field}_settings',
      training.optimizer_settings, Recipe(schedule, decay, training),
  )
  if isinstance(made, optax.GradientTransformation):
    return Optimizer(made)
  if not isinstance(made, Optimizer):
    raise lookup.unfit(
        field, training.optimizer, made, 'an optax.GradientTransformation'
    )
  return made


def excluded_kinds(text: str) -> frozenset[str]:
  """The kinds in a config's `weight_decay_excludes`."""
  return frozenset(filter(None, (kind.strip() for kind in text.split(','))))


def decayed(params: Any, excludes: frozenset[str], kinds: Any = None) -> Any:
  """Which parameters decay.

  Args:
    params: tree of parameters.
    excludes: kinds that do not decay, some of
      `models.initialization.PARAMETER_KINDS`.
    kinds: kinds of each parameter, a tree of frozensets; None if nothing is
      declared.

  Returns:
    Tree of bools, True for parameters that decay.
  """
  if kinds is None:
    kinds = parameter_kinds(params)
  return jax.tree.map(lambda of_one: not excludes & of_one, kinds)

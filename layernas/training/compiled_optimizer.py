"""An optimiser step over all parameters as one kernel."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from layernas.native import library
from layernas.training.losses import non_finite

Updated = tuple[Any, optax.OptState, jax.Array]
"""Parameters, optimiser state, and 1.0 where a gradient is not finite."""


def plain_update(
    optimizer: optax.GradientTransformation, gradient: Any,
    state: optax.OptState, params: Any,
) -> Updated:
  """One step as optax takes it.

  Args:
    optimizer: gradient transformation.
    gradient: tree of the loss's gradient.
    state: of the optimiser.
    params: tree of parameters.

  Returns:
    See `Updated`.
  """
  updates, new_state = optimizer.update(gradient, state, params)
  return optax.apply_updates(params, updates), new_state, non_finite(gradient)


@dataclasses.dataclass(frozen=True)
class CompiledUpdate:
  """One step of SGD or RMSProp, with the state that optax keeps for them.

  XLA makes thousands of small programs of the same arithmetic, and copies what
  they overwrite.

  Attributes:
    schedule: step to learning rate.
    decays: (params) -> tree of weight decays, zeros for what is left out.
    momentum: Nesterov's for SGD; after the learning rate for RMSProp.
    square_decay: of RMSProp.
    epsilon: of RMSProp.
  """

  schedule: optax.Schedule
  decays: Any
  momentum: float
  square_decay: float
  epsilon: float

  def __call__(
      self, gradient: Any, state: optax.OptState, params: Any
  ) -> Updated:
    """One step.

    Args:
      gradient: tree of the loss's gradient.
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
        decays=np.array(jax.tree.leaves(self.decays(params)), np.float32),
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

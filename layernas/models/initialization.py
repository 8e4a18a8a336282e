"""Initial values and kinds of parameters, declared where they are made.

A module makes a parameter with an initialiser of this file. Its value comes in
a box (`Declared`) that says which distribution it was drawn from and, for
weight decay, what kind it is. Flax removes the box when the module uses the
parameter, and the box survives `jax.eval_shape`. `model.init` therefore gives
proper values, and `Initialization` can draw values of the same distribution on
the host, from the shapes alone. Running `init` instead would compile a program
for every architecture.

Modules need not declare anything: the parameters of a plain `nn.Conv`, for
example, get the values of `model.init`.
"""

import dataclasses
import math
import zlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

PARAMETER_KINDS = ('batch_norm', 'bias', 'depthwise', 'classifier')
"""Kinds that weight decay can leave out; a parameter may be of two kinds."""

Shape = Sequence[int]


@dataclasses.dataclass(frozen=True)
class Normal:
  """Normal values around zero.

  Attributes:
    deviation: their standard deviation.
    fan_in: number of values that a kernel's output is a sum of; 0 if the
      distribution does not depend on a config's `model.initialization`.
  """

  deviation: float
  fan_in: int = 0

  def __call__(self, key: jax.Array, shape: Shape) -> jax.Array:
    """Values from a JAX key."""
    return self.deviation * jax.random.normal(key, shape, jnp.float32)

  def draw(self, key: Sequence[int], shape: Shape) -> np.ndarray:
    """Values drawn on the host from the random stream of `key`."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
    return rng.standard_normal(shape, np.float32) * np.float32(self.deviation)


@dataclasses.dataclass(frozen=True)
class TruncatedNormal:
  """Normal values cut off at two deviations, as in TensorFlow.

  Attributes:
    deviation: standard deviation of the values that are left.
  """

  deviation: float

  def draw(self, key: Sequence[int], shape: Shape) -> np.ndarray:
    """Values for a parameter, see `Normal.draw`."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
    values = rng.standard_normal(shape, np.float32)
    while (beyond := np.abs(values) > 2).any():
      values[beyond] = rng.standard_normal(beyond.sum(), np.float32)
    return values * np.float32(self.deviation / _TRUNCATED)


_TRUNCATED = 0.87962566103423978
"""Standard deviation of the standard normal distribution between -2 and 2."""


@dataclasses.dataclass(frozen=True)
class Constant:
  """The same value everywhere.

  Attributes:
    value: that value.
  """

  value: float

  def __call__(self, key: jax.Array, shape: Shape) -> jax.Array:
    """Values for a parameter, see `Normal.draw`."""
    del key
    return jnp.full(shape, self.value, jnp.float32)

  def draw(self, key: Sequence[int], shape: Shape) -> np.ndarray:
    """Values for a parameter, see `Normal.draw`."""
    del key
    return np.full(shape, self.value, np.float32)


class Declared(flax.struct.PyTreeNode, nn.meta.AxisMetadata):
  """A parameter or statistic with the declarations of its module.

  Attributes:
    value: an array, or its shape.
    initial: distribution that it is drawn from.
    kinds: some of `PARAMETER_KINDS`.
  """

  value: Any
  initial: Normal | Constant = flax.struct.field(pytree_node=False)
  kinds: frozenset[str] = flax.struct.field(pytree_node=False)

  def unbox(self) -> Any:
    """See `AxisMetadata`."""
    return self.value

  def replace_boxed(self, val: Any) -> 'Declared':
    """See `AxisMetadata`."""
    return self.replace(value=val)

  def add_axis(self, index: int, params: dict[Any, Any]) -> 'Declared':
    """See `AxisMetadata`; axes have no names here."""
    del index, params
    return self

  def remove_axis(self, index: int, params: dict[Any, Any]) -> 'Declared':
    """See `AxisMetadata`."""
    del index, params
    return self


Initializer = Callable[..., Declared]
"""Takes a key, a shape and perhaps a type, as Flax's initialisers do."""


def declared(
    initial: Callable[[Shape], Normal | Constant], *kinds: str
) -> Initializer:
  """An initialiser whose values declare how they are drawn.

  Args:
    initial: takes the shape of a parameter, returns the distribution.
    *kinds: kinds of the parameter, some of `PARAMETER_KINDS`.

  Returns:
    The initialiser.
  """

  def initialize(
      key: jax.Array, shape: Shape, dtype: Any = jnp.float32
  ) -> Declared:
    distribution = initial(shape)
    value = distribution(key, shape).astype(dtype)
    return Declared(value, distribution, frozenset(kinds))

  return initialize


def conv_kernel(*kinds: str) -> Initializer:
  """Initialiser of a convolution: deviation sqrt(2 / fan out).

  The distribution is that of He et al. (2015), as in the code of MnasNet and
  MobileNetV3.

  Args:
    *kinds: kinds of the kernel.

  Returns:
    An initialiser for kernels of shape (..., input filters, filters).
  """
  return declared(
      lambda shape: Normal(
          (2.0 / (math.prod(shape) // shape[-2])) ** 0.5, math.prod(shape[:-1])
      ),
      *kinds,
  )


def depthwise_kernel() -> Initializer:
  """As `conv_kernel`, for shape (k, k, 1, filters): the fan out is k * k."""
  return declared(
      lambda shape: Normal(
          (2.0 / (shape[0] * shape[1])) ** 0.5, shape[0] * shape[1]
      ),
      'depthwise',
  )


def dense_kernel(*kinds: str) -> Initializer:
  """Initialiser of a dense layer: deviation sqrt(1 / fan in).

  The distribution is that of LeCun et al. (1998), Flax's default.

  Args:
    *kinds: kinds of the kernel.

  Returns:
    An initialiser for kernels of shape (inputs, outputs).
  """
  return declared(
      lambda shape: Normal((1.0 / shape[0]) ** 0.5, shape[0]), *kinds
  )


def constant(value: float, *kinds: str) -> Initializer:
  """Initialiser of a parameter that begins as one number.

  Args:
    value: the number.
    *kinds: kinds of the parameter.

  Returns:
    An initialiser for any shape.
  """
  return declared(lambda shape: Constant(value), *kinds)


INITIALIZATIONS = ('fan_out', 'fan_in')
"""Allowed values of `model.initialization`.

'fan_out' is what modules declare: He et al. (2015) by the fan out, and LeCun et
al. (1998) for dense layers. 'fan_in' is He's of all kernels by the fan in,
truncated: TensorFlow's he_normal, with which TuNAS begins convolutions, among
them the dense layers of squeezes and of MobileNetV3's head.
"""


@dataclasses.dataclass(frozen=True)
class Beginning:
  """A config's changes to what modules declare.

  Attributes:
    initialization: one of `INITIALIZATIONS`.
    classifier_deviation: deviation of the classifier's kernel; 0 keeps the
      declared one.
  """

  initialization: str = 'fan_out'
  classifier_deviation: float = 0.0

  def of(self, leaf: Declared) -> Normal | TruncatedNormal | Constant:
    """The distribution of a parameter."""
    initial = leaf.initial
    if not isinstance(initial, Normal) or not initial.fan_in:
      return initial
    if 'classifier' in leaf.kinds and self.classifier_deviation:
      return Normal(self.classifier_deviation)
    if self.initialization == 'fan_in':
      return TruncatedNormal((2.0 / initial.fan_in) ** 0.5)
    return initial


DECLARED = Beginning()
"""No changes."""


class Initialization:
  """The initial variables of a network, which is traced once.

  Attributes:
    shapes: 'params' and 'batch_stats', trees of `jax.ShapeDtypeStruct`.
    kinds: kinds of 'params', see `parameter_kinds`.
  """

  def __init__(
      self, model: nn.Module, inputs: Any, beginning: Beginning = DECLARED
  ):
    """Traces the network; compiles only for undeclared parameters.

    Args:
      model: called as model(inputs, train=False).
      inputs: side of its images, or the inputs of one example: a
        `jax.ShapeDtypeStruct` without a batch axis, or a tree of them.
      beginning: changes by the config's section `model`.
    """
    self._beginning = beginning
    if isinstance(inputs, int):
      inputs = jax.ShapeDtypeStruct((inputs, inputs, 3), jnp.float32)
    inputs = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), inputs
    )
    boxed = dict(jax.eval_shape(
        lambda inputs: model.init(jax.random.key(0), inputs, train=False),
        inputs,
    ))
    self.shapes = nn.meta.unbox(boxed)
    self.kinds = parameter_kinds(boxed['params'])
    leaves, self._structure = jax.tree_util.tree_flatten_with_path(
        boxed, is_leaf=_is_box
    )
    self._leaves = [
        (jax.tree_util.keystr(path, simple=True, separator='/'), leaf)
        for path, leaf in leaves
    ]
    self._others = None
    if not all(_is_box(leaf) for _, leaf in self._leaves):
      self._others = _undeclared(model, inputs).lower(np.uint32(0)).compile()

  def draw(self, seed: int) -> dict[str, Any]:
    """Draws initial values.

    Every leaf has a random stream of its own, keyed by seed and path, so a
    layer that two networks share starts from the same numbers in both.

    Args:
      seed: any integer >= 0.

    Returns:
      Tree of NumPy arrays with the shapes of `shapes`.
    """
    others = iter(
        self._others(np.uint32(seed % 2**32)) if self._others else ()
    )
    return nn.meta.unbox(jax.tree.unflatten(self._structure, [
        self._draw(leaf, [seed, zlib.crc32(name.encode())])
        if _is_box(leaf) else np.asarray(next(others))
        for name, leaf in self._leaves
    ]))

  def _draw(self, leaf: Declared, key: Sequence[int]) -> np.ndarray:
    values = self._beginning.of(leaf).draw(key, leaf.value.shape)
    return values.astype(leaf.value.dtype, copy=False)


def parameter_kinds(params: Any) -> Any:
  """The kinds of parameters.

  Args:
    params: tree of parameters or their shapes, in boxes if something is
      declared. Without a box, a parameter with less than two axes is a bias.

  Returns:
    Tree of frozensets, some of `PARAMETER_KINDS` each.
  """
  return nn.meta.unbox(jax.tree.map(_kinds, params, is_leaf=_is_box))


def initial_variables(
    model: nn.Module, image_size: int, seed: int
) -> dict[str, Any]:
  """Variables before training; see `Initialization`."""
  return Initialization(model, image_size).draw(seed)


def _undeclared(model: nn.Module, inputs: Any) -> Any:
  """Compiles lazily: seed -> what `init` gives the leaves without a box.

  XLA leaves out what that does not need: the layers themselves.
  """

  def init(seed: jax.Array) -> list[jax.Array]:
    variables = model.init(
        jax.random.key(seed),
        jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), inputs),
        train=False,
    )
    leaves = jax.tree.leaves(dict(variables), is_leaf=_is_box)
    return [leaf for leaf in leaves if not _is_box(leaf)]

  return jax.jit(init)


def _is_box(leaf: Any) -> bool:
  return isinstance(leaf, Declared)


def _kinds(leaf: Any) -> frozenset[str]:
  if _is_box(leaf):
    return leaf.kinds
  return frozenset() if np.ndim(leaf) > 1 else frozenset({'bias'})

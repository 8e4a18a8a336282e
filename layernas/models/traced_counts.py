"""Parameters and multiply-adds of any Flax module, from one abstract trace.

Nothing is computed and nothing is compiled. Parameters are the shapes that
`init` would give. Multiply-adds are read from the jaxpr of one forward pass in
inference mode, for a batch of one. As in `layernas.networks.counting`, they are
those of convolutions and matrix products alone. fvcore counts the same for its
operators conv, linear, matmul, bmm and einsum (fvcore/nn/jit_handles.py); it
adds something for norms and pooling, which count as none here.

- Matrix product (`dot_general`: dense layers, einsum, attention): size of the
  output times the length of the sum. Factors need not be parameters: both
  products of attention count.
- Convolution: positions of the output times weights, padded taps counted.
  Groups divide the weights; zeros that dilate a kernel are not weights.
- Transposed convolution (the input is dilated): positions of the input times
  weights, including what falls outside the output; zeros between the inputs are
  not multiplied. If it is strided as well, that is divided by the stride and
  rounded up.

The body of a scan, or of a `fori_loop` between constants, counts once per step.
Of a cond the most expensive branch counts, and a note says so. What no result
depends on is left out, as the compiler does.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr
from jax.extend.core import Jaxpr
from jax.extend.core import JaxprEqn
from jax.extend.core import Var
from jax.extend.core import jaxprs_in_params
from jax.interpreters import partial_eval

from layernas.errors import UserError
from layernas.models.convolutions import in_plain_jax


@dataclasses.dataclass(frozen=True)
class JaxprCounts:
  """What one run of a jaxpr takes.

  Attributes:
    madds: multiply-adds.
    uncounted: names of the other primitives that calculate with floating-point
      numbers, in alphabetical order: counted as none.
    notes: lines on what was decided, or could not be seen.
  """

  madds: int
  uncounted: tuple[str, ...]
  notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ModuleCounts(JaxprCounts):
  """What one forward pass of a module takes, and what the module holds.

  Attributes:
    params: numbers in the collection 'params'; those that several modules share
      count once.
    variables: all collections as `init` gives them, boxes and all, with
      `jax.ShapeDtypeStruct` for arrays.
    outputs: what the pass returns, as shapes, too.
  """

  params: int
  variables: Mapping[str, Any]
  outputs: Any


def count_module(module: nn.Module, example: Any) -> ModuleCounts:
  """Counts a module in inference mode.

  Layers of `layernas.models` count as convolutions whatever form they take on
  this machine. A random stream of any name is at hand.

  Args:
    module: called as module(inputs, train=False).
    example: one example without its batch axis: a `jax.ShapeDtypeStruct`, such
      as (height, width, 3) and float32, or any tree of them. The module is
      called on a batch of one.

  Returns:
    Its counts.

  Raises:
    UserError: see `count_jaxpr`.
    Exception: whatever the module raises, as it is.
  """
  rngs, inputs = arguments(example)
  with in_plain_jax():
    variables = jax.eval_shape(
        lambda rngs, inputs: module.init(rngs, inputs, train=False),
        rngs, inputs,
    )
    jaxpr, outputs = jax.make_jaxpr(
        lambda variables, rngs, inputs: module.apply(
            variables, inputs, train=False, rngs=rngs
        ),
        return_shape=True,
    )(variables, rngs, inputs)
  return _module_counts(count_jaxpr(jaxpr), variables, outputs)


def count_first_pass(module: nn.Module, example: Any) -> ModuleCounts:
  """Counts the pass that `init` makes: about twice as fast as `count_module`.

  A module may do something else while it is initialised: whoever calls this
  compares some counts with those of `count_module`. Where a transformation,
  such as `nn.scan`, holds layers and what makes their parameters, it counts as
  `count_module` does.

  Args:
    module: as for `count_module`.
    example: likewise.

  Returns:
    Its counts.

  Raises:
    UserError: as `count_module`.
    Exception: whatever the module raises, as it is.
  """
  rngs, inputs = arguments(example)
  with in_plain_jax():
    closed, (outputs, variables) = jax.make_jaxpr(
        lambda rngs, inputs: module.init_with_output(
            rngs, inputs, train=False
        ),
        return_shape=True,
    )(rngs, inputs)
  jaxpr, results = closed.jaxpr, len(jax.tree.leaves(outputs))
  held = [
      path[0].key == 'params'
      for path, _ in jax.tree_util.tree_leaves_with_path(variables)
  ]
  params = {
      variable for variable, is_held in zip(
          jaxpr.outvars[results:], held, strict=True
      ) if is_held and isinstance(variable, Var)
  }
  # Parameters are given, not made: what draws them drops out.
  given = jaxpr.replace(
      invars=[*jaxpr.invars, *params],
      outvars=jaxpr.outvars[:results],
      eqns=[
          equation for equation in jaxpr.eqns
          if not params.issuperset(equation.outvars)
      ],
  )
  if any(params.intersection(one.outvars) for one in given.eqns):
    return count_module(module, example)
  return _module_counts(
      count_jaxpr(closed.replace(jaxpr=given)), variables, outputs
  )


def arguments(
    example: Any, batch_size: int = 1
) -> tuple[dict[str, Any], Any]:
  """What a module is traced with.

  Args:
    example: as for `count_module`.
    batch_size: of the inputs.

  Returns:
    Random streams and inputs, as shapes.
  """
  inputs = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct(
          (batch_size, *leaf.shape), leaf.dtype
      ), example,
  )
  # Flax draws what has no stream of its own from this one.
  return {'params': jax.eval_shape(jax.random.key, 0)}, inputs


def _module_counts(
    found: JaxprCounts, variables: Mapping[str, Any], outputs: Any
) -> ModuleCounts:
  params = jax.tree.leaves(variables.get('params', {}))
  return ModuleCounts(
      **vars(found), params=sum(leaf.size for leaf in params),
      variables=variables, outputs=outputs,
  )


def count_jaxpr(closed: ClosedJaxpr) -> JaxprCounts:
  """Counts what a jaxpr runs to give its results.

  Args:
    closed: of `jax.make_jaxpr`.

  Returns:
    Its counts.

  Raises:
    UserError: multiply-adds in a while loop, or in another primitive of which
      it is not known how often it runs what it holds. The message names
      primitive, modules, file and line.
  """
  jaxpr, _ = partial_eval.dce_jaxpr(
      closed.jaxpr, used_outputs=True, instantiate=True
  )
  count = _Count()
  madds = count.of_jaxpr(jaxpr)
  return JaxprCounts(madds, tuple(sorted(count.uncounted)), tuple(count.notes))


class _Count:
  """One count of a jaxpr.

  Attributes:
    uncounted: see `JaxprCounts`.
    notes: see `JaxprCounts`; the keys.
  """

  def __init__(self) -> None:
    self.uncounted: set[str] = set()
    self.notes: dict[str, None] = {}
    self._scopes: list[str] = []

  def of_jaxpr(self, jaxpr: Jaxpr | ClosedJaxpr) -> int:
    """Multiply-adds of one run."""
    return sum(map(self._of_equation, jaxpr.eqns))

  def _of_equation(self, equation: JaxprEqn) -> int:
    name = equation.primitive.name
    if name in _FORMULAS:
      return _FORMULAS[name](equation)
    inner = _held(equation)
    if not inner:
      self._list(equation)
      return 0
    with self._inside(equation):
      madds = [self.of_jaxpr(jaxpr) for jaxpr in inner]
    if name in _REPEATS and len(madds) == 1:
      return madds[0] * _REPEATS[name](equation.params)
    if name == 'cond':
      return self._most_expensive(equation, madds)
    if any(madds):
      raise _refused(name, self._where(equation))
    self._list(equation)
    return 0

  def _list(self, equation: JaxprEqn) -> None:
    """Remembers a primitive that is counted as none."""
    name = equation.primitive.name
    if name in _UNSEEN:
      name = equation.params.get('target_name', name)
      self.notes[
          f'{name} in {self._where(equation)}: what it computes is not seen'
          ' and counts as none'
      ] = None
    elif name not in _MOVES and any(map(_is_inexact, equation.outvars)):
      self.uncounted.add(name)

  def _most_expensive(self, equation: JaxprEqn, madds: list[int]) -> int:
    if len(set(madds)) > 1:
      self.notes[
          f'cond in {self._where(equation)}: its most expensive branch is'
          f' counted, of {sorted(madds)} multiply-adds'
      ] = None
    return max(madds)

  @contextlib.contextmanager
  def _inside(self, equation: JaxprEqn) -> Iterator[None]:
    """Modules in a jaxpr are named from the one that holds it."""
    self._scopes.append(str(equation.source_info.name_stack))
    try:
      yield
    finally:
      self._scopes.pop()

  def _where(self, equation: JaxprEqn) -> str:
    """Modules, file and line."""
    scopes = [*self._scopes, str(equation.source_info.name_stack)]
    modules = '/'.join(filter(None, scopes))
    line = source_info_util.summarize(equation.source_info)
    return f'{modules} ({line or "no line known"})' if modules else line


def _refused(name: str, where: str) -> UserError:
  return UserError(
      f"{name} in {where}: its multiply-adds can't be counted, for it is not"
      ' known how often they run; allowed are lax.scan, lax.cond and'
      ' lax.fori_loop between constants'
  )


def _held(equation: JaxprEqn) -> list[Jaxpr | ClosedJaxpr]:
  """The jaxprs that a primitive runs."""
  if equation.primitive.name == 'custom_linear_solve':
    # The others are for its gradient.
    return [equation.params['jaxprs'].solve]
  return list(jaxprs_in_params(equation.params))


def _product_madds(equation: JaxprEqn) -> int:
  (contracted, _), _ = equation.params['dimension_numbers']
  shape = equation.invars[0].aval.shape
  summed = math.prod(shape[axis] for axis in contracted)
  return equation.outvars[0].aval.size * summed


def _convolution_madds(equation: JaxprEqn) -> int:
  params = equation.params
  numbers = params['dimension_numbers']
  # Each is batch and filters, or output and input filters, before the sides.
  inputs, kernel, outputs = (
      [variable.aval.shape[axis] for axis in axes] for variable, axes in (
          (equation.invars[0], numbers.lhs_spec),
          (equation.invars[1], numbers.rhs_spec),
          (equation.outvars[0], numbers.out_spec),
      )
  )
  # The kernel's input filters are those of one group, of filters or of batches.
  madds = outputs[0] * kernel[0] * kernel[1]
  for size, taps, positions, dilation, stride in zip(
      inputs[2:], kernel[2:], outputs[2:], params['lhs_dilation'],
      params['window_strides'], strict=True,
  ):
    transposed = -(-size * taps // stride)
    madds *= transposed if dilation > 1 else positions * taps
  return madds


def _mesh_size(params: Mapping[str, Any]) -> int:
  """Devices that each run the body of a shard_map."""
  sizes = params['mesh'].shape
  return math.prod(sizes[axis] for axis in params['newly_manual_axes'])


_FORMULAS: dict[str, Callable[[JaxprEqn], int]] = {
    'dot_general': _product_madds,
    'conv_general_dilated': _convolution_madds,
}
"""The primitives that are counted."""

_REPEATS: dict[str, Callable[[Mapping[str, Any]], int]] = {
    **dict.fromkeys(
        ('call', 'checkpoint', 'closed_call', 'composite', 'compute_on',
         'core_call', 'custom_jvp_call', 'custom_linear_solve',
         'custom_partitioning', 'custom_vjp_call', 'custom_vmap_call', 'jit',
         'pjit', 'remat2', 'xla_metadata_call'),
        lambda params: 1,
    ),
    'scan': lambda params: params['length'],
    'shard_map': _mesh_size,
}
"""How often a primitive runs the one jaxpr that it holds, from its params."""

_UNSEEN = frozenset({
    'ffi_call', 'io_callback', 'pallas_call', 'pure_callback',
    'tpu_custom_call',
})
"""Primitives that run what is no jaxpr."""

_MOVES = frozenset({
    'bitcast_convert_type', 'broadcast_in_dim', 'concatenate',
    'convert_element_type', 'copy', 'copy_p', 'device_put', 'dynamic_slice',
    'dynamic_update_slice', 'gather', 'get', 'imag', 'iota', 'name',
    'optimization_barrier', 'pad', 'pvary', 'real', 'reduce_precision',
    'reshape', 'rev', 'scatter', 'select_n', 'sharding_constraint', 'slice',
    'split', 'squeeze', 'stop_gradient', 'swap', 'tile', 'transpose',
})
"""Primitives that move, choose and convert numbers, but calculate nothing."""


def _is_inexact(variable: Any) -> bool:
  dtype = getattr(variable.aval, 'dtype', None)
  return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)

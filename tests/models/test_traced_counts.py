"""Counts from jaxprs, held against formulas and published numbers."""

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import pallas
from jax.sharding import AbstractMesh
from jax.sharding import AxisType
from jax.sharding import PartitionSpec

from layernas.errors import UserError
from layernas.models.convolutions import DepthwiseConv
from layernas.models.convolutions import depthwise_conv
from layernas.models.traced_counts import JaxprCounts
from layernas.models.traced_counts import ModuleCounts
from layernas.models.traced_counts import count_first_pass
from layernas.models.traced_counts import count_jaxpr
from layernas.models.traced_counts import count_module
from layernas.native import library

Count = Callable[[nn.Module, Any], ModuleCounts]

_BOTH = pytest.mark.parametrize('count', [count_module, count_first_pass])
"""The pass of inference, and that of `init` which takes half the time."""


def _shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(sizes, dtype)


def _counts(function: Callable[..., Any], *sizes: Any) -> JaxprCounts:
  return count_jaxpr(jax.make_jaxpr(function)(*(_shape(*s) for s in sizes)))


class _Bottleneck(nn.Module):
  width: int
  stride: int = 1

  @nn.compact
  def __call__(self, x, train):
    conv = functools.partial(nn.Conv, use_bias=False)
    norm = functools.partial(nn.BatchNorm, use_running_average=not train)
    y = nn.relu(norm()(conv(self.width, (1, 1))(x)))
    y = conv(self.width, (3, 3), self.stride)(y)
    y = conv(4 * self.width, (1, 1))(nn.relu(norm()(y)))
    y = norm()(y)
    if x.shape != y.shape:
      x = norm()(conv(4 * self.width, (1, 1), self.stride)(x))
    return nn.relu(x + y)


class _ResNet50(nn.Module):
  """ResNet-50 with the stride in the 3x3 convolution, as torchvision has it."""

  @nn.compact
  def __call__(self, images, train):
    x = nn.Conv(64, (7, 7), 2, use_bias=False)(images)
    x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
    x = nn.max_pool(x, (3, 3), (2, 2), 'SAME')
    for stage, depth in enumerate((3, 4, 6, 3)):
      for index in range(depth):
        stride = 2 if stage and not index else 1
        x = _Bottleneck(64 * 2**stage, stride)(x, train)
    return nn.Dense(1000)(x.mean((1, 2)))


@_BOTH
def test_resnet50_is_the_published_one(count: Count) -> None:
  """fvcore's conv and linear of torchvision's resnet50, and its parameters."""
  counts = count(_ResNet50(), _shape(224, 224, 3))
  assert counts.madds == 4_089_184_256
  # Without the running averages of batch norm.
  assert counts.params == 25_557_032
  assert counts.outputs == _shape(1, 1000)
  assert counts.notes == ()
  stem = counts.variables['params']['Conv_0']['kernel']
  assert stem == _shape(7, 7, 3, 64)


class _ViT(nn.Module):
  patch: int = 16
  width: int = 768
  depth: int = 12
  heads: int = 12
  hidden: int = 3072

  @nn.compact
  def __call__(self, images, train):
    x = nn.Conv(self.width, (self.patch,) * 2, self.patch)(images)
    x = x.reshape(len(x), -1, self.width)
    token = self.param('token', nn.initializers.zeros, (1, 1, self.width))
    x = jnp.concatenate([jnp.tile(token, (len(x), 1, 1)), x], axis=1)
    x += self.param('position', nn.initializers.zeros, (1, *x.shape[1:]))
    for _ in range(self.depth):
      y = nn.LayerNorm()(x)
      x += nn.MultiHeadDotProductAttention(
          self.heads, dropout_rate=0.1, deterministic=not train
      )(y)
      y = nn.gelu(nn.Dense(self.hidden)(nn.LayerNorm()(x)))
      x += nn.Dropout(0.1, deterministic=not train)(nn.Dense(self.width)(y))
    return nn.Dense(1000)(nn.LayerNorm()(x)[:, 0])


@_BOTH
def test_vit_b16_counts_both_products_of_attention(count: Count) -> None:
  """As fvcore counts one whose attention is of matmul, bmm or einsum.

  It has no formula for aten::scaled_dot_product_attention: there the products
  are missing, 12 * 2 * 197^2 * 768.
  """
  counts = count(_ViT(), _shape(224, 224, 3))
  patches, width, hidden, depth = (224 // 16)**2, 768, 3072, 12
  tokens = patches + 1
  projections = 4 * tokens * width**2
  attention = 2 * tokens**2 * width
  mlp = 2 * tokens * width * hidden
  embedding = patches * 16 * 16 * 3 * width
  assert counts.madds == (
      embedding + depth * (projections + attention + mlp) + width * 1000
  ) == 17_563_828_224
  # As published for ViT-B/16 with 1000 classes (torchvision).
  assert counts.params == 86_567_656


# What is counted, sizes of its inputs, and a formula.
_CONVOLUTIONS = {
    'same': (nn.Conv(8, (3, 3)), (9, 7, 4), 9 * 7 * 9 * 4 * 8),
    'valid': (
        nn.Conv(8, (3, 3), padding='VALID'), (9, 7, 4), 7 * 5 * 9 * 4 * 8
    ),
    'padded': (nn.Conv(8, (3, 1), padding=[(2, 3), (1, 0)]), (9, 7, 4),
               12 * 8 * 3 * 4 * 8),
    'strided': (nn.Conv(8, (3, 5), (2, 3)), (9, 7, 4), 5 * 3 * 15 * 4 * 8),
    'grouped': (
        nn.Conv(8, (3, 3), feature_group_count=2), (9, 7, 4),
        9 * 7 * 9 * 2 * 8,
    ),
    'depthwise, multiplied': (
        nn.Conv(12, (3, 3), feature_group_count=4), (9, 7, 4), 9 * 7 * 9 * 12
    ),
    'dilated': (
        nn.Conv(8, (3, 3), kernel_dilation=(2, 3), padding='VALID'), (9, 7, 4),
        5 * 1 * 9 * 4 * 8,
    ),
    '1-D': (nn.Conv(8, (3,), 2), (9, 4), 5 * 3 * 4 * 8),
    'causal': (nn.Conv(8, (3,), padding='CAUSAL'), (9, 4), 9 * 3 * 4 * 8),
    '3-D': (nn.Conv(8, (3, 2, 1)), (5, 6, 7, 4), 5 * 6 * 7 * 6 * 4 * 8),
    'transposed': (
        nn.ConvTranspose(8, (4, 4), (2, 2)), (9, 7, 4), 9 * 7 * 16 * 4 * 8
    ),
    'transposed, valid': (
        nn.ConvTranspose(8, (3, 3), (2, 3), padding='VALID'), (9, 7, 4),
        9 * 7 * 9 * 4 * 8,
    ),
    # Transposed along one side alone; the other is an ordinary convolution.
    'transposed, one side': (
        nn.ConvTranspose(8, (3, 3), (1, 2)), (9, 7, 4), 9 * 7 * 9 * 4 * 8
    ),
    'transposed, 1-D': (nn.ConvTranspose(8, (5,), 3), (9, 4), 9 * 5 * 4 * 8),
    'of this package': (DepthwiseConv(5, 2, jnp.float32), (9, 7, 4),
                        5 * 4 * 25 * 4),
}


class _Called(nn.Module):
  """A layer, called as networks are."""

  layer: Any

  @nn.compact
  def __call__(self, x, train):
    del train
    return self.layer(x)


def _count(layer: Any, *example: int) -> ModuleCounts:
  return count_module(_Called(layer), _shape(*example))


@pytest.mark.parametrize('name', _CONVOLUTIONS)
def test_convolutions(name: str) -> None:
  layer, sizes, madds = _CONVOLUTIONS[name]
  assert _count(layer, *sizes).madds == madds


def _conv(**settings: Any) -> Callable[..., jax.Array]:
  sides = {'window_strides': (1, 1), 'padding': [(0, 0), (0, 0)]}
  return functools.partial(lax.conv_general_dilated, **sides | settings)


@pytest.mark.parametrize(('settings', 'inputs', 'kernel', 'madds'), [
    # NCHW and OIHW, XLA's own order.
    ({}, (2, 3, 9, 7), (8, 3, 3, 3), 2 * 7 * 5 * 9 * 3 * 8),
    # Another order of all three.
    ({'dimension_numbers': ('HWNC', 'OHWI', 'CNHW')}, (9, 7, 2, 3),
     (8, 3, 3, 3), 2 * 7 * 5 * 9 * 3 * 8),
    # Each of 3 groups of images has its own third of the filters.
    ({'batch_group_count': 3}, (6, 4, 9, 7), (12, 4, 3, 3),
     2 * 7 * 5 * 9 * 4 * 12),
    # Transposed and strided by as much: 9 * 3 / 2 products along the side.
    ({'lhs_dilation': (2, 1), 'window_strides': (2, 1)}, (2, 3, 9, 7),
     (8, 3, 3, 3), 2 * 14 * (5 * 3) * 3 * 8),
])
def test_convolutions_of_lax(settings, inputs, kernel, madds) -> None:
  assert _counts(_conv(**settings), inputs, kernel).madds == madds


def test_a_transposed_convolution_counts_the_products_that_it_needs() -> None:
  """Those with real inputs, held against the number of products by hand."""
  size, taps, dilation = 9, 4, 3
  counts = _counts(
      _conv(window_strides=(1,), lhs_dilation=(dilation,),
            padding=[(taps - 1, taps - 1)]),
      (1, 1, size), (1, 1, taps),
  )
  inputs = np.zeros((size - 1) * dilation + 1)
  inputs[::dilation] = 1
  assert counts.madds == np.convolve(inputs, np.ones(taps)).sum()


@pytest.mark.parametrize('equation', [
    'ij,jk->ik', 'bij,bjk->bik', 'bqhd,bkhd->bhqk', 'bhqk,bkhd->bqhd',
    'i,i->', 'i,j->ij', 'abc,cba->b', 'ij,kjl->ikl',
])
def test_einsum_of_two(equation: str) -> None:
  """All letters of the equation: the loops of the product."""
  sizes = dict(zip('abcdijklhq', (2, 3, 5, 7, 11, 13, 17, 19, 23, 29),
                   strict=True))
  terms = equation.partition('->')[0].split(',')
  counts = _counts(
      functools.partial(jnp.einsum, equation),
      *([sizes[letter] for letter in term] for term in terms),
  )
  assert counts.madds == math.prod(
      sizes[letter] for letter in set(''.join(terms))
  )


def test_a_batch_of_matrices_and_vmap() -> None:
  assert _counts(jnp.matmul, (5, 2, 3), (5, 3, 7)).madds == 5 * 2 * 3 * 7
  assert _counts(
      jax.vmap(jnp.matmul, (0, None)), (5, 2, 3), (3, 7)
  ).madds == 5 * 2 * 3 * 7


def _square(x: jax.Array) -> jax.Array:
  return x @ x


_CUBE = 4**3
"""Multiply-adds of a product of 4 by 4 matrices."""


@jax.custom_vjp
def _with_gradient(x):
  return _square(x)


# The gradient holds products of its own, which inference does not run.
_with_gradient.defvjp(lambda x: (_square(x), x), lambda x, g: (g @ x @ x @ x,))


@jax.custom_jvp
def _with_tangent(x):
  return _square(x)


@_with_tangent.defjvp
def _tangent(primals, tangents):
  [x], [t] = primals, tangents
  return _square(x), x @ t + t @ x


@jax.custom_batching.custom_vmap
def _with_batches(x):
  return _square(x)


@_with_batches.def_vmap
def _batches(size, batched, x):
  return _square(x), batched[0]


def _scanned(x, length=5):
  return lax.scan(lambda x, _: (_square(x), None), x, None, length)[0]


def _scanned_twice(x):
  body = functools.partial(_scanned, length=3)
  return lax.scan(lambda x, _: (body(x), None), x, None, 2)[0]


_PRODUCTS: dict[str, tuple[Callable[..., Any], int]] = {
    'jit': (jax.jit(_square), 1),
    'jit in jit': (jax.jit(lambda x: jax.jit(_square)(_square(x))), 2),
    'checkpoint': (jax.checkpoint(_square), 1),
    'custom_vjp': (_with_gradient, 1),
    'custom_jvp': (_with_tangent, 1),
    'custom_vmap': (_with_batches, 1),
    'composite': (lax.composite(_square, 'tests.square'), 1),
    'scan': (_scanned, 5),
    'scan in scan': (_scanned_twice, 6),
    'scan of no step': (functools.partial(_scanned, length=0), 0),
    'fori_loop': (
        lambda x: lax.fori_loop(2, 9, lambda i, x: _square(x), x), 7
    ),
    'map': (lambda x: lax.map(_square, jnp.stack([x] * 3)), 3),
    # Of pairs, then of pairs of pairs, then of what is between.
    'associative_scan': (
        lambda x: lax.associative_scan(jnp.matmul, jnp.stack([x] * 4)), 4
    ),
    'gradient': (jax.grad(lambda x: _square(x).sum()), 2),
    'nothing that is used': (lambda x: (_square(x), x)[1], 0),
    'nothing that is used, in jit': (
        jax.jit(lambda x: (jax.jit(_square)(x), x)[1] + 1), 0
    ),
    'one of two that is used': (
        lambda x: jax.jit(lambda x: (_square(x), _square(x + 1)))(x)[0], 1
    ),
}
"""Functions of a 4 by 4 matrix, and the products that they run."""


@pytest.mark.parametrize('name', _PRODUCTS)
def test_products_inside_of(name: str) -> None:
  function, products = _PRODUCTS[name]
  counts = _counts(function, (4, 4))
  assert counts.madds == products * _CUBE
  assert counts.notes == ()


def test_the_most_expensive_branch_counts_and_a_note_says_so() -> None:
  def cond(x):
    with jax.named_scope('gate'):
      return lax.switch(
          x[0, 0].astype(int), [_square, lambda x: x, _scanned], x
      )

  # The note names the scope from outside in.
  counts = _counts(jax.jit(lambda x: _square(cond(x)) + cond(x)), (4, 4))
  assert counts.madds == 11 * _CUBE
  [note] = counts.notes
  assert note.startswith('cond in gate (')
  assert 'test_traced_counts.py:' in note
  assert note.endswith(
      ': its most expensive branch is counted, of [0, 64, 320] multiply-adds'
  )


def test_branches_of_one_cost_need_no_note() -> None:
  counts = _counts(
      lambda x: lax.cond(x[0, 0] > 0, _square, lambda x: x @ x.T, x), (4, 4)
  )
  assert counts.madds == _CUBE
  assert counts.notes == ()


class _Loop(nn.Module):

  @nn.compact
  def __call__(self, x, train):
    del train
    x = nn.Dense(4)(x)
    return lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ x.T @ x, x)


class _Outer(nn.Module):

  @nn.compact
  def __call__(self, x, train):
    return nn.remat(_Loop, static_argnums=2)(name='inner')(x, train)


def test_a_while_loop_is_refused_by_name() -> None:
  with pytest.raises(UserError) as caught:
    count_module(_Outer(), _shape(4))
  message = str(caught.value)
  assert message.startswith('while in _Outer/inner (')
  assert 'test_traced_counts.py:' in message
  assert 'allowed are lax.scan, lax.cond and lax.fori_loop' in message
  assert '\n' not in message
  # So is a loop whose bound is an input, and one in a branch or a scan.
  for function in (
      lambda x: lax.fori_loop(
          0, x[0, 0].astype(int), lambda i, x: _square(x), x
      ),
      lambda x: lax.cond(
          x[0, 0] > 0, lambda x: x,
          lambda x: lax.while_loop(lambda x: x[0, 0] < 1, _square, x), x,
      ),
      lambda x: lax.while_loop(lambda x: _square(x)[0, 0] < 1, jnp.sin, x),
  ):
    with pytest.raises(UserError, match=r'^while in '):
      _counts(function, (4, 4))


def test_a_while_loop_without_multiply_adds_counts_as_none() -> None:
  """However often it runs."""
  counts = _counts(
      lambda x: _square(lax.while_loop(lambda x: x.sum() < 9, jnp.sin, x)),
      (4, 4),
  )
  assert counts.madds == _CUBE
  assert {'sin', 'while'} <= set(counts.uncounted)


def test_a_linear_solve_runs_its_solver_alone() -> None:
  def solve(solver):
    return lambda x: lax.custom_linear_solve(
        lambda y: x @ y, x, solver, symmetric=True
    )

  products = solve(lambda multiply, y: multiply(multiply(y)))
  assert _counts(products, (4, 4)).madds == 2 * _CUBE
  factors = _counts(jnp.linalg.solve, (4, 4), (4, 4))
  assert factors.madds == 0
  assert {'lu', 'triangular_solve'} <= set(factors.uncounted)
  with pytest.raises(UserError, match=r'^while in '):
    _counts(lambda x: jax.scipy.sparse.linalg.cg(x, x)[0], (4, 4))


def _kernel(x, out) -> None:
  out[...] = x[...] @ x[...]


def test_what_runs_an_unknown_number_of_times_is_refused() -> None:
  square = pallas.pallas_call(_kernel, out_shape=_shape(4, 4))
  refusal = r'^pallas_call in .*not known how often they run; allowed are '
  with pytest.raises(UserError, match=refusal):
    _counts(square, (4, 4))


def test_devices_each_run_the_body_of_a_shard_map() -> None:
  mesh = AbstractMesh((2, 3), ('a', 'b'), axis_types=(AxisType.Auto,) * 2)
  split = jax.shard_map(
      lambda x, y: x @ y, mesh=mesh,
      in_specs=(PartitionSpec('a'), PartitionSpec(None, 'b')),
      out_specs=PartitionSpec('a', 'b'),
  )
  assert _counts(split, (4, 5), (5, 6)).madds == 4 * 5 * 6


def test_other_primitives_are_listed_once() -> None:
  counts = _counts(
      lambda x: jnp.fft.fft(jnp.sin(jnp.sin(x)).T.reshape(2, 8)), (4, 4)
  )
  # Neither what moves numbers nor what counts with integers.
  assert counts == JaxprCounts(0, ('fft', 'sin'), ())


def test_what_cannot_be_seen_is_said_once() -> None:
  def call(x):
    return jax.pure_callback(np.sin, _shape(4, 4), x)

  counts = _counts(lambda x: call(x) + call(x), (4, 4))
  assert (counts.madds, counts.uncounted) == (0, ('add',))
  [note] = counts.notes
  assert note.startswith('pure_callback in ')
  assert note.endswith(': what it computes is not seen and counts as none')

  kernel = jax.ffi.ffi_call('their_kernel', _shape(4, 4))
  [note] = _counts(kernel, (4, 4)).notes
  assert note.startswith('their_kernel in ')


class _Block(nn.Module):
  """Called as scan has it."""

  @nn.compact
  def __call__(self, x, train):
    x = nn.Dense(6, use_bias=False)(nn.BatchNorm(not train)(x))
    return nn.Dropout(0.5, deterministic=not train)(nn.relu6(x)), None


class _Stack(nn.Module):
  wrap: Callable[[Any], Any]

  @nn.compact
  def __call__(self, x, train):
    return self.wrap(_Block)()(x, train)[0]


_SCAN = functools.partial(
    nn.scan, variable_axes={'params': 0, 'batch_stats': 0}, length=7,
    split_rngs={'params': True, 'dropout': True}, in_axes=nn.broadcast,
)


@pytest.mark.parametrize(('wrap', 'blocks', 'passes'), [
    (functools.partial(nn.remat, static_argnums=2), 1, 1),
    (functools.partial(nn.jit, static_argnums=2), 1, 1),
    (_SCAN, 7, 7),
    (lambda block: _SCAN(nn.remat(block, static_argnums=2)), 7, 7),
    # The same parameters in every step.
    (functools.partial(
        nn.scan, variable_broadcast=('params', 'batch_stats'), length=7,
        split_rngs={'params': False, 'dropout': True}, in_axes=nn.broadcast,
    ), 1, 7),
], ids=['remat', 'jit', 'scan', 'scan of remat', 'shared scan'])
@_BOTH
def test_lifted_modules(
    count: Count, wrap, blocks: int, passes: int
) -> None:
  counts = count(_Stack(wrap), _shape(6))
  assert counts.madds == passes * 36
  # Dense, and scale and bias of batch norm; not its averages.
  assert counts.params == blocks * (36 + 2 * 6)


class _Shared(nn.Module):

  @nn.compact
  def __call__(self, x, train):
    del train
    dense = nn.Dense(6)
    scale = self.param(
        'scale', nn.with_partitioning(nn.initializers.ones, ('wide',)), (6,)
    )
    seen = self.variable('cache', 'seen', jnp.zeros, (1, 99))
    self.sow('intermediates', 'middle', x)
    return dense(dense(dense(x))) * scale + seen.value.sum()


@_BOTH
def test_shared_modules_and_other_collections(count: Count) -> None:
  counts = count(_Shared(), _shape(6))
  assert counts.params == 36 + 6 + 6
  assert counts.madds == 3 * 36
  assert set(counts.variables) >= {'params', 'cache'}
  # What a parameter says of itself stays with it.
  assert isinstance(counts.variables['params']['scale'], nn.Partitioned)


class _Heads(nn.Module):
  """Reads a dict, returns a dict, draws numbers, and is large in training."""

  @nn.compact
  def __call__(self, batch, train):
    embedded = nn.Embed(50, 6, param_dtype=jnp.bfloat16)(batch['words'])
    x = embedded.mean(1) + nn.Dense(6)(batch['rows'])
    x += jax.random.normal(self.make_rng('noise'), x.shape)
    kernel = self.param('kernel', nn.initializers.orthogonal(), (6, 3))
    if train:
      x = nn.Dense(1000)(x)
    return {'logits': x @ kernel}


@_BOTH
def test_trees_of_inputs_and_outputs_and_any_stream(count: Count) -> None:
  """Neither random numbers nor what initialises count."""
  counts = count(_Heads(), {
      'words': _shape(9, dtype=jnp.int32), 'rows': _shape(4)
  })
  assert counts.madds == 4 * 6 + 6 * 3
  assert counts.params == 50 * 6 + (4 * 6 + 6) + 6 * 3
  assert counts.outputs == {'logits': _shape(1, 3)}


@_BOTH
def test_a_module_without_parameters(count: Count) -> None:
  counts = _count(nn.relu, 4)
  assert (counts.madds, counts.params) == (0, 0)


@pytest.mark.parametrize('implementation', ['auto', 'shifted', 'compiled'])
@_BOTH
def test_layers_of_this_package_count_in_any_form(
    count: Count, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
  layer = jax.jit(
      lambda x, k: depthwise_conv(x, k, implementation=implementation)
  )

  class Jitted(nn.Module):

    @nn.compact
    def __call__(self, x, train):
      del train
      kernel = self.param('kernel', nn.initializers.ones, (3, 3, 1, 4))
      return layer(x, kernel)

  def program() -> str:
    return str(jax.make_jaxpr(layer)(_shape(1, 8, 8, 4), _shape(3, 3, 1, 4)))

  def build() -> str:
    raise AssertionError('a count needs no compiler')

  assert 'conv_general_dilated' not in program()
  with monkeypatch.context() as patch:
    patch.setattr(library, 'require', build)
    patch.setattr(library, 'problem', build)
    counts = count(Jitted(), _shape(8, 8, 4))
  assert counts.madds == 8 * 8 * 9 * 4
  assert counts.notes == ()
  # JAX keeps both traces of the same function apart.
  assert 'conv_general_dilated' not in program()


def test_nothing_is_computed() -> None:
  """A module of terabytes is counted."""
  counts = _count(nn.Dense(10**6, use_bias=False), 10**7)
  assert counts.madds == counts.params == 10**13


def test_errors_of_a_module_are_its_own() -> None:
  with pytest.raises(TypeError, match='dot_general requires'):
    _count(lambda x: x @ jnp.ones((3, 3)), 4)


def _product(key, shape, dtype=jnp.float32):
  """An initialiser with multiply-adds of its own."""
  del key
  return jnp.ones((shape[0], 7), dtype) @ jnp.ones((7, shape[1]), dtype)


class _Products(nn.Module):
  """Dense layers whose kernels are products, in a scan or one by one."""

  scanned: bool

  @nn.compact
  def __call__(self, x, train):
    del train

    def layer(module, x, _):
      return nn.Dense(6, kernel_init=_product, name='dense')(x), None

    if not self.scanned:
      return nn.Dense(6, kernel_init=_product)(x)
    return nn.scan(
        layer, variable_axes={'params': 0}, split_rngs={'params': True},
        length=3,
    )(self, x, None)[0]


@_BOTH
@pytest.mark.parametrize(('scanned', 'madds'), [(False, 36), (True, 108)])
def test_what_makes_parameters_does_not_count(
    count: Count, scanned: bool, madds: int
) -> None:
  counts = count(_Products(scanned), _shape(6))
  assert counts.madds == madds
  assert counts.params == madds + madds // 6

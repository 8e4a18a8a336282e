"""Times forward passes.

A module of a small network runs for about ten microseconds. A call of a
compiled function takes several times that, and between calls threads and
memory cool down. So one timed call of XLA runs many passes, in a loop that is
compiled with them. Nothing of it can be optimised away: each pass receives its
input plus a negligible multiple of one output before, and carries the whole
output on. Other runtimes are called many times in a row.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Forward = Callable[[Any, Any], Any]
"""Takes variables and inputs; returns outputs: trees of arrays."""

_FIXED_PASSES = 10
"""Of an inner loop: an accelerator may ask the host after every round of a loop
whose length it does not know, but not of one of fixed length."""

_CALL_SECONDS = 5e-3
"""Of a timed call at least: a hundred times what a call itself costs."""

_QUIET = 0.05
"""Largest spread of an undisturbed series of calls; most are below 0.03."""

_SERIES = 5
"""Series of calls at most, of which one counts."""

_EMPTY_NUMBERS = 4096
"""Features of a small module; loops over next to nothing are compiled
otherwise."""

_NEGLIGIBLE = 1e-30
"""Small enough to change no input, which is of the order of one."""


@dataclasses.dataclass(frozen=True)
class Timing:
  """Milliseconds of one forward pass over the timed calls.

  Attributes:
    milliseconds: median.
    lower_quartile: a quarter of the calls were faster.
    upper_quartile: a quarter of the calls were slower.
  """

  milliseconds: float
  lower_quartile: float
  upper_quartile: float

  def without(self, milliseconds: float) -> 'Timing':
    """What is left of it without something else's time; nothing below 0."""
    return Timing(*(
        max(value - milliseconds, 0.0) for value in dataclasses.astuple(self)
    ))

  @property
  def spread(self) -> float:
    """Distance of the quartiles as a share of the median."""
    return (self.upper_quartile - self.lower_quartile) / self.milliseconds

  @property
  def is_quiet(self) -> bool:
    """Whether nothing else seems to have run beside it."""
    return self.spread <= _QUIET


@dataclasses.dataclass(frozen=True)
class Stopwatch:
  """Times functions.

  Attributes:
    warmup: calls before the timed ones.
    repeats: timed calls.
    clock: tells seconds.
  """

  warmup: int
  repeats: int
  clock: Callable[[], float] = time.perf_counter

  def passes(
      self, forward: Forward, variables: Any, x: Any
  ) -> Callable[[], Timing]:
    """Compiles a forward pass inside a loop that is long enough for the clock.

    Args:
      forward: one pass.
      variables: that it takes.
      x: inputs.

    Returns:
      Times it; of one pass.
    """
    loop = loop_passes(forward)
    variables = jax.device_put(variables)

    def call(rounds: int) -> Any:
      return loop(variables, x, rounds)

    return self._long_calls(call, _FIXED_PASSES)

  def repeated(self, call: Callable[[], Any]) -> Callable[[], Timing]:
    """Repeats a function until that is long enough for the clock.

    Args:
      call: one pass, of another runtime.

    Returns:
      Times it; of one pass.
    """
    def calls(rounds: int) -> None:
      for _ in range(rounds):
        call()

    return self._long_calls(calls)

  def calls(self, call: Callable[[], Any], passes: int = 1) -> Timing:
    """Times calls of a function.

    Another program on the machine shows in the spread: then the calls are
    timed again, a few times at most, and the series of least spread counts.

    Args:
      call: returns arrays, for which the clock waits.
      passes: that one call makes.

    Returns:
      Of one pass.
    """
    for _ in range(self.warmup):
      jax.block_until_ready(call())
    timings = []
    while len(timings) < _SERIES and not any(t.is_quiet for t in timings):
      timings.append(self._series(call, passes))
    return min(timings, key=lambda timing: timing.spread)

  def empty_loop(self) -> Timing:
    """What the loop itself adds to every pass."""
    return self.passes(lambda _, x: x, {}, jnp.zeros(_EMPTY_NUMBERS))()

  def empty_call(self) -> Timing:
    """What a call of a compiled function takes that does next to nothing."""
    call, x = jax.jit(lambda x: x + 1), jnp.zeros(1)
    jax.block_until_ready(call(x))
    return self.calls(lambda: call(x))

  def _series(self, call: Callable[[], Any], passes: int) -> Timing:
    seconds = [self._seconds(call) for _ in range(self.repeats)]
    milliseconds = np.array(seconds) * 1e3 / passes
    lower, median, upper = np.percentile(milliseconds, [25, 50, 75]).tolist()
    return Timing(median, lower, upper)

  def _long_calls(
      self, call: Callable[[int], Any], passes: int = 1
  ) -> Callable[[], Timing]:
    """Times so many rounds, each of some passes, as the clock can tell."""
    jax.block_until_ready(call(1))
    rounds = self._rounds(call)
    return lambda: self.calls(lambda: call(rounds), rounds * passes)

  def _rounds(self, call: Callable[[int], Any]) -> int:
    """So many rounds that their call is long enough for the clock."""
    rounds = 1
    while self._seconds(functools.partial(call, rounds)) < _CALL_SECONDS:
      rounds *= 2
    return rounds

  def _seconds(self, call: Callable[[], Any]) -> float:
    begun = self.clock()
    jax.block_until_ready(call())
    return self.clock() - begun


def loop_passes(forward: Forward) -> Callable[[Any, Any, int], Any]:
  """Compiles lazily a loop of forward passes that depend on each other.

  Args:
    forward: one pass.

  Returns:
    (variables, inputs, rounds) -> inputs and outputs of the last pass; a round
    is a fixed number of passes.
  """

  def run(variables: Any, x: Any, rounds: int) -> Any:

    def one_pass(_: Any, carried: Any) -> Any:
      x, _ = carried
      out = forward(variables, x)
      # One element links the passes at no cost; `out` has to be computed as a
      # whole all the same, since it is carried on.
      first = jax.tree.leaves(out)[0]
      link = _NEGLIGIBLE * first[(0,) * first.ndim]
      leaves, structure = jax.tree.flatten(x)
      x = leaves[0]
      leaves[0] = x.at[(0,) * x.ndim].add(link.astype(x.dtype))
      return jax.tree.unflatten(structure, leaves), out

    def one_round(_: Any, carried: Any) -> Any:
      return lax.fori_loop(0, _FIXED_PASSES, one_pass, carried)

    out = jax.eval_shape(forward, variables, x)
    begin = x, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), out)
    return lax.fori_loop(0, rounds, one_round, begin)

  return jax.jit(run)


def random_variables(model: nn.Module, inputs: Any) -> dict[str, Any]:
  """Variables of ordinary size: no output is denormal or infinite.

  Args:
    model: called as model(inputs, train=False).
    inputs: what it receives.

  Returns:
    Its collections, NumPy arrays: what has two axes or more is normal with
    deviation sqrt(1 / fan in), all else is one.
  """
  shapes = jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, train=False), inputs
  )
  rng = np.random.default_rng(0)

  def draw(leaf: Any) -> np.ndarray:
    if len(leaf.shape) < 2:
      return np.ones(leaf.shape, leaf.dtype)
    kernel = rng.standard_normal(leaf.shape, np.float32)
    kernel /= np.float32(np.sqrt(np.prod(leaf.shape[:-1])))
    return kernel.astype(leaf.dtype)

  return jax.tree.map(draw, nn.meta.unbox(dict(shapes)))

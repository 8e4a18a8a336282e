"""StableHLO: a program for XLA on any platform, through `jax.export`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

PLATFORMS = ('cpu', 'cuda', 'tpu')
"""That one file is for."""


def serialized(
    function: Callable[[Any], Any], example: jax.ShapeDtypeStruct
) -> bytes:
  """A function of a batch as a file, for batches of any size.

  Args:
    function: from images to logits.
    example: one image.

  Returns:
    What `jax.export.deserialize` reads.

  Raises:
    Exception: the function cannot be traced for a batch of unknown size, or
      holds what has no form for a platform.
  """
  batch, = export.symbolic_shape('batch')
  exported = export.export(jax.jit(function), platforms=PLATFORMS)(
      jax.ShapeDtypeStruct((batch, *example.shape), example.dtype)
  )
  return bytes(exported.serialize())


def loaded(data: bytes) -> Callable[[Any], jax.Array]:
  """What `serialized` wrote, compiled when it is first called.

  Args:
    data: content of the file.

  Returns:
    From images to logits.

  Raises:
    Exception: it is no such file.
  """
  exported = export.deserialize(bytearray(data))
  return jax.jit(exported.call)


def text(
    function: Callable[[Any], Any], example: jax.ShapeDtypeStruct,
    batch_size: int = 1,
) -> str:
  """StableHLO of a function of a batch, with all constants.

  Args:
    function: from images to logits.
    example: one image.
    batch_size: images of the batch.

  Returns:
    The module's text.
  """
  batch = jax.ShapeDtypeStruct((batch_size, *example.shape), example.dtype)
  lowered = jax.jit(function).lower(batch)
  return lowered.compiler_ir('stablehlo').operation.get_asm(
      large_elements_limit=None
  )


def scaled(
    function: Callable[[Any], Any], scaling: Callable[[Any], Any]
) -> Callable[[Any], Any]:
  """A function of bytes.

  Args:
    function: of scaled images.
    scaling: of pixels, 0..255.

  Returns:
    From uint8 images to logits.
  """
  return lambda images: function(scaling(images.astype(jnp.float32)))

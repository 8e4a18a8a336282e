"""TensorFlow's SavedModel, for whoever has TensorFlow: StableHLO inside."""

from collections.abc import Callable
from typing import Any

import jax
import tensorflow as tf
from etils import epath
from jax.experimental import jax2tf

from layernas.export.litert import INPUT
from layernas.export.litert import OUTPUT
from layernas.export.litert import SIGNATURE
from layernas.export.stablehlo import PLATFORMS


def write(
    function: Callable[[Any], Any], example: jax.ShapeDtypeStruct,
    path: epath.Path,
) -> None:
  """Writes a function of a batch of any size.

  Args:
    function: from images to logits.
    example: one image.
    path: of the directory.

  Raises:
    Exception: the function cannot be traced for a batch of unknown size.
  """
  converted = jax2tf.convert(
      function,
      polymorphic_shapes=[f'(batch, {", ".join(map(str, example.shape))})'],
      native_serialization_platforms=PLATFORMS, with_gradient=False,
  )
  module = tf.Module()
  module.run = tf.function(
      lambda image: {OUTPUT: converted(image)}, autograph=False,
      input_signature=[
          tf.TensorSpec((None, *example.shape), example.dtype, name=INPUT)
      ],
  )
  tf.saved_model.save(module, str(path), signatures={SIGNATURE: module.run})


def loaded(path: str) -> Callable[[Any], Any]:
  """What `write` wrote.

  Args:
    path: of the directory.

  Returns:
    From images to logits.

  Raises:
    Exception: it is no such directory.
  """
  module = tf.saved_model.load(path)
  run = module.signatures[SIGNATURE]
  # The signature keeps no reference to the module that holds its constants.
  return lambda images, _=module: (
      run(**{INPUT: tf.constant(images)})[OUTPUT].numpy()
  )

"""Random numbers that depend on what they are for, never on what came before.

Batch number s can so be made without making those in front of it.
"""

import numpy as np

# First word of a stream's key: streams for different purposes differ.
ORDER, AUGMENTATION = 1, 2


def random_stream(*key: int) -> np.random.Generator:
  """A generator whose stream depends on the key alone.

  Args:
    *key: integers >= 0; the first says the purpose.

  Returns:
    The generator, at its start.
  """
  return np.random.Generator(
      np.random.Philox(np.random.SeedSequence(list(key)))
  )


def random_seed(*key: int) -> int:
  """A seed for programs that take one integer, 0 <= seed < 2**31.

  Args:
    *key: as in `random_stream`.

  Returns:
    The seed.
  """
  return int(random_stream(*key).integers(2**31))

"""Types of pixels on their way to the accelerator."""

import ml_dtypes
import numpy as np
import pytest

from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import to_transfer

PIXELS = np.arange(256, dtype=np.uint8)


def test_float32_is_minus_one_to_one():
  found = to_transfer(np.array([0, 51, 255], np.uint8), 'float32')
  np.testing.assert_allclose(found, [-1.0, -0.6, 1.0], rtol=1e-6)


def test_bfloat16_rounds_float32():
  found = to_transfer(PIXELS, 'bfloat16')
  np.testing.assert_array_equal(
      found, to_transfer(PIXELS, 'float32').astype(ml_dtypes.bfloat16)
  )


def test_uint8_keeps_whole_levels_and_rounds_others():
  np.testing.assert_array_equal(to_transfer(PIXELS, 'uint8'), PIXELS)
  between = np.array([0.0, 0.4, 0.6, 254.4, 254.6, 255.0], np.float32)
  np.testing.assert_array_equal(
      to_transfer(between, 'uint8'), [0, 0, 1, 254, 255, 255]
  )


@pytest.mark.parametrize('transfer', TRANSFERS)
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_the_type_is_the_documented_one(transfer, dtype):
  assert to_transfer(PIXELS.astype(dtype), transfer).dtype == (
      TRANSFERS[transfer]
  )

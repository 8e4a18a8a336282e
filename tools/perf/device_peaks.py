"""Peak arithmetic of accelerators, by the name that JAX gives them."""

import re

PEAKS = (
    (r'NVIDIA A100\b.*', 312.0, 'NVIDIA A100 Tensor Core GPU data sheet'),
    (r'NVIDIA H100 .*HBM3', 989.0, 'NVIDIA H100 data sheet, H100 SXM'),
    (r'NVIDIA H200\b(?! NVL).*', 989.0, 'NVIDIA H200 data sheet, H200 SXM'),
    (r'(Tesla|NVIDIA) V100-SXM2\b.*', 125.0,
     'NVIDIA V100 data sheet, float16'),
    (r'(Tesla|NVIDIA) T4', 65.0, 'NVIDIA T4 data sheet, float16'),
    (r'NVIDIA L4', 121.0, 'NVIDIA L4 data sheet, without sparsity'),
    (r'NVIDIA A10', 125.0, 'NVIDIA A10 data sheet'),
    (r'TPU v2', 45.0, 'Cloud TPU documentation, TPU v2'),
    (r'TPU v3', 123.0, 'Cloud TPU documentation, TPU v3'),
    (r'TPU v4', 275.0, 'Cloud TPU documentation, TPU v4'),
    (r'TPU v5 lite|TPU v5e', 197.0, 'Cloud TPU documentation, TPU v5e'),
    (r'TPU v5|TPU v5p', 459.0, 'Cloud TPU documentation, TPU v5p'),
    (r'TPU v6 lite|TPU v6e', 918.0, 'Cloud TPU documentation, TPU v6e'),
)
"""Names (regular expressions of the whole), 1e12 operations a second of dense
bfloat16 products (float16 where a GPU has no bfloat16), and who says so. Of a
TPU it is the peak of a chip, which of v2 and v3 is two of JAX's devices."""


def peak_of(name: str) -> tuple[float, str] | None:
  """Peak of a GPU or a TPU chip.

  Args:
    name: `device_kind` of JAX.

  Returns:
    1e12 operations a second, and the source; None where it is unknown.
  """
  for pattern, peak, source in PEAKS:
    if re.fullmatch(pattern, name):
      return peak, source
  return None


def share_of_peak(
    images_per_second: float, madds: int, peak: float | None
) -> float | None:
  """Model FLOP utilisation of a training.

  Args:
    images_per_second: that are trained on.
    madds: of a forward pass of one image. A training step takes three times as
      many: backward passes have two products for each one of forward passes.
    peak: 1e12 operations a second of all that trains; None where unknown.

  Returns:
    Share of the peak; None where that is unknown.
  """
  if peak is None:
    return None
  return images_per_second * 2 * 3 * madds / (peak * 1e12)

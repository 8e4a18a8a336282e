"""Peaks of devices by the names that JAX gives them."""

import pytest

from tools.perf.device_peaks import PEAKS
from tools.perf.device_peaks import peak_of
from tools.perf.device_peaks import share_of_peak


@pytest.mark.parametrize(('name', 'peak'), [
    ('NVIDIA A100-SXM4-40GB', 312), ('NVIDIA A100 80GB PCIe', 312),
    ('NVIDIA H100 80GB HBM3', 989), ('NVIDIA H200', 989),
    ('Tesla V100-SXM2-16GB', 125), ('Tesla T4', 65), ('NVIDIA L4', 121),
    ('NVIDIA A10', 125), ('TPU v2', 45), ('TPU v3', 123), ('TPU v4', 275),
    ('TPU v5 lite', 197), ('TPU v5', 459), ('TPU v6 lite', 918),
])
def test_known_devices(name, peak):
  found, source = peak_of(name)
  assert found == peak
  assert source


@pytest.mark.parametrize('name', [
    # Slower ones with names like those of faster ones.
    'NVIDIA H100 PCIe', 'NVIDIA H200 NVL', 'NVIDIA A10G', 'NVIDIA L40S',
    'Tesla V100-PCIE-16GB', 'TPU v4 lite', 'cpu', '',
])
def test_others_are_unknown(name):
  assert peak_of(name) is None


def test_each_name_has_one_peak():
  kinds = [pattern for pattern, _, _ in PEAKS]
  assert len(set(kinds)) == len(kinds)


def test_a_training_takes_three_products_for_each_one_forward():
  """A thousand images of 0.2 GMAdds: 1.2e12 operations."""
  assert share_of_peak(1000.0, 200_000_000, 12.0) == pytest.approx(0.1)
  assert share_of_peak(1000.0, 200_000_000, None) is None

"""A network for programs that measure, which is compiled in seconds."""

from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem


def network() -> NetworkSpec:
  """Three blocks with all that those of MobileNetV3 have."""
  return NetworkSpec(
      Stem(8, activation='hard_swish'),
      (
          InvertedResidual(8, 0, activation='relu'),
          InvertedResidual(
              8, 16, activation='hard_swish', squeeze=Squeeze()
          ),
          InvertedResidual(12, 16, 5, 2, 'hard_swish'),
      ),
      Head(16, hidden=8, activation='hard_swish'),
  )

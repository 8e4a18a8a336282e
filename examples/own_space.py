"""An own search space: two stages of a tiny network.

Any importable function that returns a NetworkSpace will do:

  ./launch.sh search --config=configs/cifar10_small.py:smoke \
    --config.space=examples.own_space:space --config.target.high=2e5 \
    --workdir=workdir/own_space
"""

from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem


def space() -> NetworkSpace:
  """Base filters of two stages, then kernel and expanded filters of a block."""
  base = NetworkSpec(
      stem=Stem(filters=8, stride=2),
      blocks=(
          InvertedResidual(8, expanded=0),  # 0: no expansion convolution.
          InvertedResidual(16, expanded=32, stride=2),
      ),
      head=Head(filters=0),  # 0: straight to the mean pool.
  )
  return NetworkSpace(base, (
      # A layer: its name, the modules it changes, its options, the default.
      NetworkLayer('stage1', ('block0',), ({'filters': 8}, {'filters': 16})),
      NetworkLayer('stage2', ('block1',), ({'filters': 16}, {'filters': 24})),
      NetworkLayer('block1', ('block1',), (
          {'kernel': 3, 'expanded': 32},
          {'kernel': 5, 'expanded': 32},
          {'kernel': 3, 'expanded': 48},
      )),
  ))

"""Random networks for property tests."""

from hypothesis import strategies as st

from layernas.networks.spec import ACTIVATIONS
from layernas.networks.spec import GATES
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem

FILTERS = st.integers(1, 20)
KERNELS = st.sampled_from([1, 3, 5, 7])
STRIDES = st.sampled_from([1, 2, 3])
CHOICES = st.sampled_from(ACTIVATIONS)

SQUEEZES = st.builds(
    Squeeze,
    ratio=st.sampled_from([0.1, 0.25, 1.0]),
    of=st.sampled_from(['expanded', 'input']),
    divisor=st.sampled_from([1, 4, 8]),
    gate=st.sampled_from(GATES),
    activation=CHOICES,
)

BLOCKS = st.builds(
    InvertedResidual,
    # Few values, so that blocks keep the width and have a residual.
    filters=st.sampled_from([4, 8, 12]),
    expanded=st.one_of(st.just(0), st.integers(1, 40)),
    kernel=KERNELS,
    stride=STRIDES,
    activation=CHOICES,
    squeeze=st.one_of(st.none(), SQUEEZES),
)

NETWORKS = st.builds(
    NetworkSpec,
    stem=st.builds(
        Stem, filters=st.sampled_from([4, 8, 12]), kernel=KERNELS,
        stride=STRIDES, activation=CHOICES,
    ),
    blocks=st.lists(BLOCKS, min_size=1, max_size=3).map(tuple),
    head=st.builds(
        Head, filters=st.one_of(st.just(0), FILTERS),
        hidden=st.one_of(st.just(0), FILTERS), activation=CHOICES,
    ),
)

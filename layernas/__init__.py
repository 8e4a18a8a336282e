"""LayerNAS: layerwise neural architecture search under a cost limit."""

import importlib.util
import os
import sys

__version__ = '0.1.0'

# epath reaches gs:// through TensorFlow where that is installed and through
# gcsfs elsewhere: one way on all machines is enough.
if importlib.util.find_spec('gcsfs'):
  os.environ.setdefault('EPATH_USE_TF', 'false')

# TensorFlow, which only reads images here, logs notes on every data set: they
# would break up the progress bar. JAX sets 1 unless the user has set something.
_unset = '1' if 'jax' in sys.modules else None
if os.environ.get('TF_CPP_MIN_LOG_LEVEL') == _unset:
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

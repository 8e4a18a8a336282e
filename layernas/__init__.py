"""LayerNAS: layerwise neural architecture search under a cost limit."""

import importlib.util
import os

__version__ = '0.1.0'

# epath reaches gs:// through TensorFlow where that is installed and through
# gcsfs elsewhere: one way on all machines is enough.
if importlib.util.find_spec('gcsfs'):
  os.environ.setdefault('EPATH_USE_TF', 'false')

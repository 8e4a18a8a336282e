"""LayerNAS: layerwise neural architecture search under a cost limit."""

__version__ = '0.1.0'

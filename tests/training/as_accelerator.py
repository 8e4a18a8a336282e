"""A plugin of pytest: steps consume their state, and the host runs ahead.

As on accelerators; XLA's CPU backend can do both.
"""

from layernas.training import devices

devices.on_accelerator = lambda: True

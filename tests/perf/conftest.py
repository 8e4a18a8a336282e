"""Leaves out what needs PyTorch where it is not installed."""

import importlib.util

collect_ignore = (
    [] if importlib.util.find_spec('torch')
    else ['test_torch_loop.py', 'test_torch_step.py']
)

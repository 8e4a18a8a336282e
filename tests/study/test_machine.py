"""The machine that a report names."""

import os
import platform

import numpy as np

import layernas
from layernas.study.summary import machine


def test_machine_is_the_present_one() -> None:
  found = machine()
  assert found['cores'] == os.cpu_count()
  assert found['python'] == platform.python_version()
  assert found['numpy'] == np.__version__
  assert found['layernas'] == layernas.__version__

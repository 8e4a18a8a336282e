"""The search half stands on Python and NumPy alone."""

import subprocess
import sys

_PROGRAM = """
import sys
import numpy, numpy.random
before = {name.partition('.')[0] for name in sys.modules}
import layernas.search
after = {name.partition('.')[0] for name in sys.modules}
print(*sorted(after - before - sys.stdlib_module_names))
"""


def test_importing_the_search_half_imports_nothing_but_numpy():
  imported = subprocess.run(
      [sys.executable, '-c', _PROGRAM], capture_output=True, text=True,
      check=True,
  )
  assert imported.stdout.split() == ['layernas']

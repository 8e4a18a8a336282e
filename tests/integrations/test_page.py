"""What docs/integrations.md shows and says is so."""

import re
import subprocess
import sys

import pytest

from tests import tiny

_BEST = "{'width': 16, 'kernel': 5}"


@pytest.mark.long
def test_the_examples_of_the_page_run_one_after_another():
  page = (tiny.ROOT / 'docs' / 'integrations.md').read_text()
  snippets = re.findall(r'(?ms)^```python\n(.*?)^```', page)
  # The best network, its cost; trials and winner of a stored search.
  assert _printed(''.join(snippets)) == [_BEST, f'{_BEST} 5', '64 41', _BEST]


def test_searches_in_frameworks_need_no_jax():
  assert _printed(
      'import sys\n'
      'import layernas.search\n'
      'import layernas.integrations.optuna_sampler\n'
      'import layernas.integrations.pyglove_generator\n'
      "print({'jax', 'flax', 'optax'} & sys.modules.keys())"
  ) == ['set()']


def _printed(program):
  """Lines that a program prints."""
  done = subprocess.run(
      [sys.executable, '-c', program], cwd=tiny.ROOT, capture_output=True,
      text=True,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout.splitlines()

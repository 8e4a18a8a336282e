"""The search half needs neither JAX nor Flax nor TensorFlow."""

import subprocess
import sys


def test_search_pulls_in_no_framework():
  code = (
      'import sys, layernas.search\n'
      "heavy = ['jax', 'jaxlib', 'flax', 'optax', 'tensorflow', 'orbax']\n"
      'print([name for name in heavy if name in sys.modules])'
  )
  done = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == '[]'


def test_search_knows_no_other_room():
  code = (
      'import sys, layernas.search\n'
      "rooms = {name.split('.')[1] for name in sys.modules"
      " if name.startswith('layernas.')}\n"
      'print(sorted(rooms))'
  )
  done = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == "['errors', 'search']"

"""A copy of launch.sh with fake tools, for its tests.

Nothing in it installs, reaches the network or touches the real .venv.
"""

import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
_PROGRAMS = ('search', 'train', 'benchmark', 'audit', 'latency', 'trace',
             'other')
_TOOLS = ('bash', 'basename', 'cat', 'dirname', 'env', 'find', 'mkdir', 'sed',
          'cp', 'kill', 'readlink')

# Stands for a Python and for that of the environment that it makes. It logs
# what would install or check, and hands everything else to the real one.
FAKE_PYTHON = r"""#!/usr/bin/env bash
case "$1 $2" in
  '-c import ensurepip, venv') exit "${FAKE_ENSUREPIP:-0}" ;;
  '-m venv')
    echo "venv $3" >>"$FAKE_LOG"
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  '-m pip')
    echo "pip ${*: -1}" >>"$FAKE_LOG"
    if [[ ${FAKE_PIP:-0} == killed ]]; then kill -9 "$PPID"; fi
    exit "${FAKE_PIP:-0}" ;;
  '-c import sysconfig'*)
    mkdir -p "${0%%/bin/*}/lib"
    echo "${0%%/bin/*}/lib" ;;
  '-c import importlib.util'*)
    case " ${FAKE_MISSING:-} " in *" $3 "*) exit 1 ;; esac ;;
  '-m ruff') echo "ruff ${*:3}" >>"$FAKE_LOG"; exit "${FAKE_RUFF:-0}" ;;
  '-m pytest') echo "pytest ${*:3} in $PWD" >>"$FAKE_LOG" ;;
  *) exec %s "$@" ;;
esac
"""
TEST_REQUIREMENTS = """# More.
-r ../requirements.txt
tensorflow-cpu==3.0; platform_machine == 'x86_64'
tensorflow==3.0; platform_machine != 'x86_64'
gcsfs==4.0
onnx==7.0
onnxruntime==8.0
google-cloud-storage==5.0
optuna==5.5
ray==6.0
raylib==7.0
ruff==8.0
"""
OLD_PYTHON = '#!/usr/bin/env bash\nexit 1\n'

_PROGRAM = """
import json, os, sys
import layernas
print(json.dumps({'name': os.path.basename(sys.argv[0]), 'flags': sys.argv[1:],
                  'process': os.getpid(), 'package': layernas.__file__}))
"""


class Checkout:
  """A copy of launch.sh with programs that print how they were started."""

  def __init__(self, folder: pathlib.Path):
    self.root = folder / 'a checkout'
    self.bin = folder / 'bin'
    self.pci = folder / 'pci'
    self.log = folder / 'log'
    self.stamp = self.root / '.venv/launch.stamp'
    self.bin.mkdir()
    self.link_tools(*_TOOLS)
    self.add_tool('python3', FAKE_PYTHON % sys.executable)
    self._write_root()

  def _write_root(self):
    (self.root / 'experiments').mkdir(parents=True)
    (self.root / 'tools').mkdir()
    (self.root / 'layernas').mkdir()
    (self.root / 'layernas/__init__.py').touch()
    (self.root / 'outside.py').touch()
    shutil.copy(ROOT / 'launch_tpu.sh', self.root)
    script = (ROOT / 'launch.sh').read_text()
    assert script.count('/sys/bus/pci/devices') == 1
    target = self.root / 'launch.sh'
    target.write_text(script.replace('/sys/bus/pci/devices', str(self.pci)))
    target.chmod(0o755)
    (self.root / 'requirements.txt').write_text('jax==1.2.3  # pinned\nrich\n')
    (self.root / 'tests').mkdir()
    (self.root / 'tests/requirements.txt').write_text(TEST_REQUIREMENTS)
    for name in _PROGRAMS:
      (self.root / f'experiments/{name}.py').write_text(_PROGRAM)
    for name in ('tool', 'export_to_optuna'):
      (self.root / f'tools/{name}.py').write_text(_PROGRAM)

  def link_tools(self, *names):
    for name in names:
      (self.bin / name).symlink_to(shutil.which(name))

  def add_tool(self, name, text):
    path = self.bin / name
    path.write_text(text)
    path.chmod(0o755)

  def add_gpus(self, text, code=0):
    self.add_tool(
        'nvidia-smi',
        f"#!/usr/bin/env bash\necho '{text}'\nexit {code}\n",
    )

  def add_pci_device(self, vendor, device):
    folder = self.pci / f'{vendor}-{device}'
    folder.mkdir(parents=True)
    (folder / 'vendor').write_text(f'{vendor}\n')
    (folder / 'device').write_text(f'{device}\n')

  def run(self, *arguments, cwd=None, **environment):
    return subprocess.run(
        [self.root / 'launch.sh', *arguments],
        env={'PATH': str(self.bin), 'FAKE_LOG': str(self.log), **environment},
        cwd=cwd or self.root, capture_output=True, text=True, timeout=60,
    )

  def started(self, *arguments, **settings):
    """What the program that launch.sh ends with says of itself."""
    result = self.run(*arguments, **settings)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)

  def dry_run(self, *arguments, **settings):
    """The commands that would run."""
    result = self.run('--dry-run', *arguments, **settings)
    assert result.returncode == 0, result.stderr
    return [line.rstrip() for line in result.stdout.splitlines()]

  def take_log(self):
    """The logged calls since the last one."""
    lines = self.log.read_text().splitlines() if self.log.exists() else []
    self.log.unlink(missing_ok=True)
    return lines

  def installation(self, requirement='jax==1.2.3'):
    """What is logged of an installation from the beginning."""
    return [f'venv {self.root}/.venv', f'pip {requirement}']

  @property
  def test_requirements(self):
    """Path of what the tests need."""
    return self.root / 'tests/requirements.txt'


def assert_one_line(result, code, *parts):
  assert result.returncode == code
  errors = [
      line for line in result.stderr.splitlines()
      if not line.startswith('launch: ')
  ]
  assert len(errors) == 1, result.stderr
  assert errors[0].startswith('error: ')
  for part in parts:
    assert part in errors[0]

r"""Measures the latency table of a config's space, here or elsewhere.

  .venv/bin/python experiments/latency.py --config=configs/cifar10_small.py \
    --workdir=workdir/latency

The table, latency.csv, is for --config.cost.latency_table of a search with the
same config. The same command with the same workdir goes on where it was
interrupted.

--runtime=onnxruntime or litert measures files, as a phone runs them, in place
of JAX. --write_modules=DIR writes these files, for another machine; --read=CSV
makes the table of what that one measured.
"""

from absl import flags

from layernas import activity
from layernas.errors import UserError
from layernas.runs import cli

_CONFIG = cli.define_config(
    'Config whose space is measured, [:smoke]: a file, or a name.',
    'cifar10_small',
)
_WORKDIR = cli.define_workdir(
    'Directory of the run; is made or resumed.', 'latency_'
)
_RUNTIME = flags.DEFINE_string(
    'runtime', None, 'xla, onnxruntime or litert; default: that of the config,'
    ' latency.runtime.'
)
_WRITE = cli.define_path(
    'write_modules', 'Directory that gets a file for every module; nothing is'
    ' measured.'
)
_READ = cli.define_path(
    'read', 'CSV file with the milliseconds of these files; nothing is'
    ' measured.'
)


def main() -> None:
  """Measures, writes files or reads what came back."""
  config = cli.config_of(_CONFIG)
  if _RUNTIME.value is not None:
    config.latency.runtime = _RUNTIME.value
  if _WRITE.value and _READ.value:
    raise UserError('flag --write_modules: with --read; allowed is it alone')
  # JAX is slow to import; a wrong flag is answered before.
  with activity.doing('loading JAX'):
    from layernas.latency import module_files  # noqa: PLC0415
    from layernas.latency import run_latency  # noqa: PLC0415

  if _WRITE.value:
    module_files.write_modules(config, _WRITE.value)
  elif _READ.value:
    module_files.read_latency(config, _READ.value, _WORKDIR.value)
  else:
    run_latency.run_latency(config, _WORKDIR.value)


if __name__ == '__main__':
  cli.run(main, resumable=True)

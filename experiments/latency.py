r"""Measures the latency table of a config's space on the present device.

  .venv/bin/python experiments/latency.py --config=configs/cifar10_small.py \
    --workdir=workdir/latency

The table, latency.csv, is for --config.cost.latency_table of a search with the
same config. The same command with the same workdir goes on where it was
interrupted.
"""

from layernas.runs import cli

_CONFIG = cli.define_config(
    'Config whose space is measured, [:smoke]: a file, or a name.',
    'cifar10_small',
)
_WORKDIR = cli.define_workdir(
    'Directory of the run; is made or resumed.', 'latency_'
)


def main() -> None:
  """Measures."""
  # JAX is slow to import; a wrong flag is answered before.
  from layernas.latency.run_latency import run_latency  # noqa: PLC0415

  run_latency(cli.config_of(_CONFIG), _WORKDIR.value)


if __name__ == '__main__':
  cli.run(main, resumable=True)

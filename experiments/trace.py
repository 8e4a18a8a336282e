r"""Plays one run of a study and shows every decision on the way to its winner.

  .venv/bin/python experiments/trace.py \
    --config=configs/study/nats.py:topology --benchmark=nats_tss_c10 \
    --method=layernas --seed=0 --workdir=workdir/nats_trace

Writes trace.json, trace.html (open it in a browser) and trace.png.
"""

from absl import flags

from layernas import activity
from layernas.runs import cli
from layernas.storage import resuming

_CONFIG = cli.define_config(
    'Config of the study, [:smoke]: a file, or a name.',
    'study/trace_example', 'configs/study/default.py', resuming.STUDY,
)
_BENCHMARK = flags.DEFINE_string(
    'benchmark', '', 'Name of a benchmark in the config; not needed where there'
    ' is only one.',
)
_METHOD = flags.DEFINE_string(
    'method', '', 'Name of a method in the config; not needed where there is'
    ' only one.',
)
_ACCOUNTING = flags.DEFINE_enum(
    'accounting', 'each_network_once',
    ['every_query', 'each_network_once'],
    'Whether a network that is proposed again is a trial of its own.',
)
_SEED = flags.DEFINE_integer('seed', 0, 'Of the run.')
_WORKDIR = cli.define_workdir('Directory of the trace.', 'trace_')


def main() -> None:
  """Plays the run."""
  # Slow to import; a wrong flag is answered before.
  with activity.doing('loading Matplotlib'):
    from layernas.study.trace_run import trace_run  # noqa: PLC0415

  config, workdir = cli.config_of(_CONFIG), _WORKDIR.value
  trace_run(
      config, workdir, _BENCHMARK.value, _METHOD.value, _ACCOUNTING.value,
      _SEED.value,
  )
  print(f'written: {workdir}/trace.json, trace.html, trace.png')


if __name__ == '__main__':
  cli.run(main)

r"""Writes the trials of a search to a storage of Optuna, for its dashboard.

  .venv/bin/python tools/export_to_optuna.py workdir/cifar10_small \
    --storage=sqlite:///search.db

The search may be running: the same command adds the trials that are new.
"""

from absl import flags

from layernas.runs import cli

_STORAGE = flags.DEFINE_string(
    'storage', None, 'URL of the database, such as sqlite:///search.db.',
    required=True,
)
_STUDY = flags.DEFINE_string(
    'study', '', 'Name of the study; none is that of the workdir.'
)


def main(workdir: str) -> None:
  """Exports the workdir."""
  # Slow to import; a wrong flag is answered before.
  from layernas.integrations.optuna_storage import export_workdir  # noqa: PLC0415

  study = export_workdir(workdir, _STORAGE.value, _STUDY.value)
  print(f'study {study.study_name}: {len(study.trials):,} trials')


if __name__ == '__main__':
  cli.run(main, argument='WORKDIR')

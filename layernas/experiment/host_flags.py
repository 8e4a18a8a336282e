"""Flags by which several processes find each other."""

import os

from absl import flags

from layernas.errors import UserError

_COORDINATOR = flags.DEFINE_string(
    'coordinator', os.environ.get('LAYERNAS_COORDINATOR', ''),
    'Runs one search or training on several hosts: the same command on each,'
    ' with host:port of process 0, or auto where the platform knows (TPU'
    ' slices, Slurm, Open MPI). Default: environment variable'
    ' LAYERNAS_COORDINATOR, or alone.',
)
_COUNT = flags.DEFINE_integer(
    'process_count', None, 'Number of processes, with --coordinator=host:port.',
    lower_bound=1,
)
_INDEX = flags.DEFINE_integer(
    'process_index', None, 'Of this process, 0 to process_count - 1.',
    lower_bound=0,
)


def join() -> None:
  """Joins the other processes that the flags name; before JAX computes.

  Raises:
    UserError: the flags do not fit each other, or the others did not come.
  """
  count, index = _COUNT.value, _INDEX.value
  if not _COORDINATOR.value and (count, index) != (None, None):
    raise UserError(
        'flag --coordinator: missing; allowed with --process_count and'
        ' --process_index is host:port of process 0'
    )
  if None not in (count, index) and index >= count:
    raise UserError(
        f'flag --process_index: {index}: allowed is 0 to {count - 1}'
    )
  # JAX is slow to import; a wrong flag is answered before.
  from layernas.training import hosts  # noqa: PLC0415

  hosts.join(_COORDINATOR.value, count, index)

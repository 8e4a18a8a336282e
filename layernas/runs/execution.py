"""Makes the executor that a config names."""

import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import jax
from etils import epath

from layernas.data.registry import chosen_decoder
from layernas.errors import UserError
from layernas.errors import not_installed
from layernas.executors.choice import choose
from layernas.executors.connection import Backend
from layernas.executors.executor import SETTINGS_FILE
from layernas.executors.executor import Evaluator
from layernas.executors.executor import Executor
from layernas.executors.executor import ExecutorSettings
from layernas.executors.executor import Listener
from layernas.executors.executor import executor_settings
from layernas.executors.inline import Inline
from layernas.executors.pool import WorkerPool
from layernas.executors.processes import LocalBackend
from layernas.runs.evaluator import WORKER_EVALUATOR
from layernas.storage.workdir import read_json


def chosen_settings(config: Any, workdir: epath.PathLike) -> ExecutorSettings:
  """The executor of a run; the name auto becomes what is measured to be faster.

  Args:
    config: of the run.
    workdir: of the run; where it was measured for it before, that counts.

  Returns:
    Settings of another name than auto.

  Raises:
    UserError: a field is wrong, or nothing can be measured.
  """
  settings = executor_settings(config.executor)
  if settings.name != 'auto':
    return settings
  path = epath.Path(workdir) / SETTINGS_FILE
  kept = read_json(path) if path.exists() else {}
  if kept.get('asked') == settings.name:
    name = kept['name']
  else:
    print('measuring which executor trains more', flush=True)
    with tempfile.TemporaryDirectory() as directory:
      choice = choose(settings, lambda one: LocalBackend(
          one, pathlib.Path(directory), WORKER_EVALUATOR,
          _evaluator_settings(config, directory),
      ))
    print(choice, flush=True)
    name = choice.name
  return settings.called(name)


def prepare_process(settings: ExecutorSettings) -> None:
  """Sets up JAX in this process; before it looks for devices.

  Args:
    settings: of the executor.

  Raises:
    UserError: several processes run the search, and workers are to train.
  """
  if settings.name == 'inline':
    if settings.threads:
      os.environ['NPROC'] = str(settings.threads)
    return
  if jax.distributed.is_initialized():
    raise UserError(
        f'executor.name: {settings.name!r}: with --coordinator allowed is'
        " 'inline': all processes train one candidate together; where there is"
        ' one host, --coordinator= lets workers train'
    )
  # The devices are the workers'.
  jax.config.update('jax_platforms', 'cpu')


def make_backend(
    config: Any, settings: ExecutorSettings, workdir: epath.PathLike
) -> Backend | None:
  """Where the workers of a search run; a context.

  Args:
    config: of the run.
    settings: its section `executor`.
    workdir: of the run; is not touched before a worker starts.

  Returns:
    The backend, or None where this process evaluates. Devices may still be
    looked for; `wanted` waits for that.

  Raises:
    UserError: there is no such cluster, or it is too small for the workers.
  """
  if settings.name == 'inline':
    return None
  evaluator_settings = _evaluator_settings(config, _absolute(workdir))
  if settings.name == 'ray':
    return _ray_backend()(settings, WORKER_EVALUATOR, evaluator_settings)
  return LocalBackend(
      settings, _logs(workdir), WORKER_EVALUATOR, evaluator_settings
  )


def make_executor(
    settings: ExecutorSettings, backend: Backend | None, listener: Listener,
    evaluator: Callable[[], Evaluator], check: Callable[[], None],
) -> Executor:
  """The executor of a search; a context.

  Args:
    settings: the config's section `executor`.
    backend: of the workers; None evaluates in this process.
    listener: hears what goes on.
    evaluator: makes what evaluates in this process.
    check: raises Preempted where the search is to end.

  Returns:
    The executor; no worker runs yet.
  """
  if backend is None:
    retries = settings.retries if jax.process_count() == 1 else 0
    return Inline(evaluator, listener, retries)
  return WorkerPool(backend, settings, listener, check)


def _evaluator_settings(config: Any, workdir: str) -> dict[str, Any]:
  """What workers are told; on other machines, too, images are decoded alike."""
  fields = config.to_dict()
  fields['data']['decoder'] = chosen_decoder(config.data)
  return {'config': fields, 'workdir': workdir}


def _ray_backend() -> Callable[..., Backend]:
  """Ray is large and optional: only those who use it import it."""
  try:
    from layernas.executors.ray_cluster import RayBackend  # noqa: PLC0415
  except ImportError as error:
    raise not_installed(
        "executor.name: 'ray'", f'Ray ({error})', 'ray'
    ) from error
  return RayBackend


def _absolute(workdir: epath.PathLike) -> str:
  """A path that other processes understand, in whatever directory they run."""
  path = os.fspath(workdir)
  return path if '://' in path else os.path.abspath(path)


def _logs(workdir: epath.PathLike) -> pathlib.Path:
  """Where workers' logs go: they are appended to, on a disk."""
  path = _absolute(workdir)
  if '://' in path:
    return pathlib.Path(tempfile.mkdtemp(prefix='layernas-workers-'))
  return pathlib.Path(path) / 'workers'

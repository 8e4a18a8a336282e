"""TensorBoard's event files, whose loss stops nothing.

tensorboardX writes in a thread of its own. A full disk or an upload that fails
would end that thread, and later values would then wait forever. So it is given
files that never fail: what cannot be written is a warning, and is written with
what comes next.
"""

import os
from collections.abc import Mapping
from typing import Any

import tensorboardX
from absl import logging
from etils import epath
from tensorboardX import record_writer
from tensorboardX.summary import hparams

from layernas.reports.hooks import Hook
from layernas.reports.hooks import Training
from layernas.reports.hooks import training_of
from layernas.reports.option_labels import option_labels
from layernas.search import Search
from layernas.search import Trial
from layernas.search.space import architecture_id

_CHOICES = '.choices'
"""What the name of a trial's second event file ends with: the first one has its
curves, and may be of the same second, by which files are named."""

_DISK = 'file'
"""What leads tensorboardX to `EventFile` for a path on a disk."""


class EventFile:
  """An event file that is written whole whenever it is flushed."""

  def __init__(self, path: str):
    """Begins an empty file.

    Args:
      path: on gs://, or after 'file:'.
    """
    self._path = epath.Path(path.removeprefix(f'{_DISK}:'))
    self._events = bytearray()
    self._warned = False

  def write(self, data: bytes) -> None:
    """Adds to what the next flush writes."""
    self._events += data

  def flush(self) -> None:
    """Writes; the next flush makes up for a failure, of which one warns."""
    try:
      self._path.parent.mkdir(parents=True, exist_ok=True)
      self._path.write_bytes(bytes(self._events))
    except Exception as error:  # Of a disk, gcsfs, aiohttp, google-auth.
      if self._warned:
        return
      self._warned = True
      logging.warning(
          '%s was not written (%s: %s)', self._path, type(error).__name__,
          error,
      )

  def close(self) -> None:
    """Writes for the last time."""
    self.flush()


class _Factory:
  """What tensorboardX asks for files."""

  def directory_check(self, path: str) -> None:
    """Directories are made when a file is written."""

  def open(self, path: str) -> EventFile:
    """A file that does not exist yet."""
    return EventFile(path)


for _prefix in ('gs', _DISK):
  record_writer.register_writer_factory(_prefix, _Factory())


class TensorBoard(Hook):
  """Writes curves of every training and of the search.

  Each trial is a row of the tab HParams, too, with its options, cost and
  reward.
  """

  def __init__(self, directory: epath.PathLike):
    """Names the directory; event files are made when first written.

    Args:
      directory: for TensorBoard's --logdir.
    """
    self._directory = epath.Path(directory)
    self._writers: dict[str, Any] = {}
    self._search: Search | None = None
    self._steps = 0

  def before_search(self, search: Search, steps: int, page: str) -> None:
    """Keeps the search, whose best trial is drawn."""
    del page
    self._search, self._steps = search, steps

  def after_step(
      self, training: Training, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Writes the metrics of a training."""
    self._write(training.name, step, metrics)

  def after_test(
      self, training: Training, metrics: Mapping[str, float]
  ) -> None:
    """Writes the metrics of a test, such as 'test_accuracy'.

    Those of the training's own images are among its curves.
    """
    self._write(training.name, training.steps, {
        f'test_{name}': value for name, value in metrics.items()
        if not name.startswith('train_')
    })

  def after_training(self, training: Training) -> None:
    """Closes the file of a training."""
    if training.name in self._writers:
      self._writers.pop(training.name).close()

  def after_trial(self, trial: Trial) -> None:
    """Writes reward, cost and best reward so far to the search's curve."""
    candidate, evaluation = trial.candidate, trial.evaluation
    values = {
        'cost': candidate.cost,
        'layer': candidate.layer,
        'seconds': evaluation.seconds,
    }
    if trial.ok:
      values['reward'] = evaluation.reward
    if evaluation.early_reward is not None:
      values['early_reward'] = evaluation.early_reward
    if self._search.best:
      values['best'] = self._search.best.evaluation.reward
    self._write('search', candidate.id, values)
    self._write_choices(trial)

  def close(self) -> None:
    """Closes all files."""
    while self._writers:
      self._writers.popitem()[1].close()

  def _write_choices(self, trial: Trial) -> None:
    """A row of the tab HParams."""
    candidate = trial.candidate
    choices = {'network': architecture_id(candidate.architecture)}
    if not isinstance(candidate.architecture, str):
      layers = self._search.problem.space.layers
      choices |= {
          layer.name: option_labels(layer)[option] for layer, option in
          zip(layers, candidate.architecture, strict=True)
      }
    values = {'cost': candidate.cost}
    if trial.ok:
      values['reward'] = trial.evaluation.reward
    # Where its curves are, so that a row leads to them.
    run = training_of(candidate, self._steps).name
    with self._writer(run, _CHOICES) as writer:
      for summary in hparams(choices, values):
        writer.file_writer.add_summary(summary)
      for tag, value in values.items():
        writer.add_scalar(tag, value, candidate.id)

  def _writer(self, run: str, suffix: str = '') -> tensorboardX.SummaryWriter:
    path = os.fspath(self._directory / run)
    return tensorboardX.SummaryWriter(
        path if '://' in path else f'{_DISK}:{path}', filename_suffix=suffix
    )

  def _write(self, run: str, step: int, values: Mapping[str, float]) -> None:
    if run not in self._writers:
      self._writers[run] = self._writer(run)
    for tag, value in values.items():
      self._writers[run].add_scalar(tag, value, step)

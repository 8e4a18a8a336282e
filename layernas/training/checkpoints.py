"""Where the training of one network goes on after an interruption."""

import time
from typing import Any

from absl import logging
from etils import epath

from layernas.errors import UserError
from layernas.storage.checkpoints import Checkpoints
from layernas.training import hosts
from layernas.training.identity import Identity
from layernas.training.steps import TrainState
from layernas.training.wall_time import WallTime


class TrainingCheckpoints:
  """Checkpoints and clock of the training of one network; a context.

  Process 0 reads and writes; the others go on with what it read, so that they
  need not see its directory.

  Attributes:
    early_reward: of the early evaluation, once it is made; saved and
      restored with the state.
  """

  def __init__(
      self, directory: epath.PathLike, identity: Identity, wall_time: WallTime
  ):
    """Starts the clock.

    Args:
      directory: of the checkpoints.
      identity: of the training that goes on.
      wall_time: told how long saving and restoring take.
    """
    self._identity = identity
    self._directory = epath.Path(directory)
    self._wall_time = wall_time
    self._checkpoints: Checkpoints | None = None
    self.early_reward: float | None = None
    self._earlier = 0.0
    self._begun = time.monotonic()

  def seconds(self) -> float:
    """Wall time so far, earlier runs included up to their last save."""
    return self._earlier + time.monotonic() - self._begun

  def restore(self, state: TrainState) -> TrainState:
    """The state of the last checkpoint, or `state` where there is none.

    Args:
      state: before the first step.

    Returns:
      State on the host.

    Raises:
      UserError: the checkpoints are those of another training.
    """
    found: list[Any] = []

    def read() -> Any:
      found.extend(self._checkpoints.restore(state, self._check) or [None])
      return found[0]

    with self._wall_time.spent_on('save'):
      record = hosts.on_first(read)
    if record is None:
      return state
    self._earlier = record['seconds']
    # Of a checkpoint of an older version: then the reward was the accuracy.
    self.early_reward = record.get(
        'early_reward', record.get('early_accuracy')
    )
    state = hosts.shared_arrays(found[1] if found else state)
    logging.info('going on at step %d', int(state.step))
    return state

  def save(self, step: int, state: TrainState) -> None:
    """Saves a state of NumPy arrays; it is written while later steps run."""
    if not self._checkpoints:
      return
    record = {
        'identity': self._identity.to_dict(), 'seconds': self.seconds(),
        'early_reward': self.early_reward,
    }
    with self._wall_time.spent_on('save'):
      self._checkpoints.save(step, record, state)

  def _check(self, record: dict[str, Any]) -> None:
    if not self._identity.matches(record):
      raise UserError(
          f'checkpoints in {self._directory}: of another network, config or'
          ' seed; allowed is the same, or another workdir'
      )

  def __enter__(self) -> 'TrainingCheckpoints':
    if hosts.is_first():
      with self._wall_time.spent_on('save'):
        self._checkpoints = Checkpoints(self._directory)
    return self

  def __exit__(self, *error: object) -> None:
    if self._checkpoints:
      with self._wall_time.spent_on('save'):
        self._checkpoints.close()

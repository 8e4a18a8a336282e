"""What makes a training the same one, so that it may go on."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from layernas.networks.network import NetworkLike
from layernas.storage import resuming

# What decodes is one of the inputs that a workdir compares; who augments
# changes no pixel.
_RULES = resuming.Rules((
    r'training\.(checkpoint|log)_every_steps', r'data\.(decoder|augment_on)',
))

_SETTINGS = {'settings', 'optimizer_settings', 'schedule_settings'}
"""Sections that the oldest fingerprints were made without."""

_FINGERPRINTED = {
    'data': {
        'augmentation', 'crop_padding', 'directory', 'image_size', 'name',
        'num_classes', 'settings', 'source', 'test_split', 'train_split',
        'transfer', 'validation_share',
    },
    'model': {
        'batch_norm_epsilon', 'batch_norm_momentum', 'depthwise', 'dropout',
        'dropout_from_epochs', 'dtype', 'sync_batch_norm',
    },
    'training': {
        'batch_size', 'decay_epochs', 'decay_rate', 'ema_decay', 'epochs',
        'evaluation_batch_size', 'label_smoothing', 'learning_rate',
        'log_every_steps', 'momentum', 'optimizer', 'optimizer_settings',
        'rms_decay', 'rms_epsilon', 'schedule', 'schedule_settings',
        'warmup_epochs', 'weight_decay', 'weight_decay_excludes',
    },
}
"""Fields of the versions that recorded no identity but a fingerprint of it.
Later fields do not belong here."""


@dataclasses.dataclass(frozen=True)
class Identity:
  """What a checkpoint has to have in common with a training that goes on.

  Attributes:
    config: with sections data, model and training.
    network: that is trained.
    seed: of the training.
    split: that is trained on.
    early: fraction of the steps at which it is evaluated early; 0 for never.
  """

  config: Any
  network: NetworkLike
  seed: int
  split: str
  early: float = 0.0

  def to_dict(self) -> dict[str, Any]:
    """As JSON types, to be recorded."""
    return {
        **{name: self.config[name].to_dict() for name in _FINGERPRINTED},
        'network': self.network.essence(), 'seed': self.seed,
        'split': self.split, 'early': self.early,
    }

  def matches(self, record: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is one of this training.

    Args:
      record: of the checkpoint, perhaps of an older version: fields that it
        lacks stand at their defaults.

    Returns:
      True where all that decides the training is the same.
    """
    if 'identity' not in record:
      return record['fingerprint'] in self._old_fingerprints()
    rules = dataclasses.replace(_RULES, defaults=_defaults)
    return not resuming.differences(
        record['identity'], self.to_dict(), rules
    )

  def _old_fingerprints(self) -> Iterable[str]:
    """Those that older versions may have recorded."""
    for left_out in ({}, _SETTINGS):
      sections = {
          name: {
              field: value
              for field, value in self.config[name].to_dict().items()
              if field in fields.difference(left_out)
          }
          for name, fields in _FINGERPRINTED.items()
      }
      training = sections.pop('training')
      text = json.dumps(
          [
              sections, training, self.network.to_dict(), self.seed,
              self.split, *([self.early] if self.early else []),
          ],
          sort_keys=True,
      )
      yield hashlib.sha256(text.encode()).hexdigest()


def _defaults(recorded: resuming.Fields) -> resuming.Fields:
  """Of the sections of an identity; its network holds no defaults."""
  fields = resuming.default_fields(recorded)
  return {name: fields[name] for name in _FINGERPRINTED if name in fields}

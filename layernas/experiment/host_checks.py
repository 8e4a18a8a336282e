"""Checks that the processes of one run do the same."""

from typing import Any

import jax

from layernas.data.dataset import SPLITS
from layernas.data.dataset import Dataset
from layernas.experiment.report import versions
from layernas.training import hosts


def check_same_run(config: Any, dataset: Dataset) -> None:
  """Compares what all processes must have in common.

  Args:
    config: of the run.
    dataset: that it loaded.

  Raises:
    UserError: names what differs; every process raises it.
  """
  hosts.agree('config', config.to_dict())
  hosts.agree('versions', versions())
  hosts.agree('local devices', jax.local_device_count())
  hosts.agree('data', {
      'name': dataset.name,
      'num_classes': dataset.num_classes,
      'images': {split: dataset.num_examples(split) for split in SPLITS},
  })

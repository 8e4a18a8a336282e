"""What the processes of one run must have in common."""

import jax
import pytest

from layernas.data.registry import load_dataset
from layernas.runs import setup
from tests import tiny


def test_compares_config_versions_devices_and_data(
    monkeypatch: pytest.MonkeyPatch
) -> None:
  compared = {}
  monkeypatch.setattr(setup.hosts, 'agree', compared.__setitem__)
  config = tiny.get_config()
  setup.check_same_run(config, load_dataset(config.data))
  assert compared['config'] == config.to_dict()
  assert compared['versions']['jax'] == jax.__version__
  assert compared['local devices'] == jax.local_device_count()
  assert compared['data']['num_classes'] == 10
  assert set(compared['data']['images']) == {
      'train', 'validation', 'all_train', 'test'
  }

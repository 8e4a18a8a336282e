"""A scaled-down ImageNet search: the real code path, end to end.

TFDS records on disk, eight devices, bfloat16, an average of the weights; it is
interrupted and goes on.
"""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from tests import tiny

_FLAGS = (
    '--config=configs/imagenet.py:v3_small_60m,smoke,mobilenet_v3',
    # 31 images are a batch of 16 an epoch.
    '--config.training.epochs=4', '--config.training.checkpoint_every_steps=1',
    '--config.budget.trials=1',
)


def _start(imagenet: pathlib.Path, workdir: pathlib.Path) -> subprocess.Popen:
  return subprocess.Popen(
      tiny.command(
          'search', *_FLAGS, f'--config.data.directory={imagenet}',
          f'--workdir={workdir}',
      ),
      cwd=tiny.ROOT, env=os.environ | {'JAX_NUM_CPU_DEVICES': '8'},
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
  )


@pytest.mark.long
def test_search_on_records_and_eight_devices(
    imagenet: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  process = _start(imagenet, tmp_path)
  checkpoints = tmp_path / 'candidates' / '000000' / 'checkpoints'
  while process.poll() is None and not (checkpoints / '1').exists():
    time.sleep(0.01)
  process.send_signal(signal.SIGTERM)
  output, errors = process.communicate(timeout=300)
  assert process.returncode == 0, errors
  assert 'preempted: saved after step ' in output
  process = _start(imagenet, tmp_path)
  _, errors = process.communicate(timeout=300)
  assert process.returncode == 0, errors
  result = json.loads((tmp_path / 'result.json').read_text())
  assert result['trials'] == {'ok': 1}
  assert result['config']['model']['dtype'] == 'bfloat16'
  assert result['config']['training']['ema_decay'] == 0.9999
  low, high = (result['config']['target'][end] for end in ('low', 'high'))
  assert low <= result['winner']['cost'] <= high
  [line] = (tmp_path / 'trials.jsonl').read_text().splitlines()
  metrics = json.loads(line)['metrics']
  assert 0 < metrics['train_loss'] < 20
  # Ten held-out images: every one counts once.
  assert metrics['accuracy'] * 10 == round(metrics['accuracy'] * 10)

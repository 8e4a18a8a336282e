"""Workdirs of studies that older versions left go on, and give the same.

`stored/before_oracles.tar.xz` holds config.json, inputs.json and runs.jsonl as
the last version wrote them in which tables were enumerated or a chain. A change
of what is written gets one more.
"""

import json
import pathlib
import tarfile

import pytest
from ml_collections import ConfigDict

from configs.study import default
from layernas.errors import UserError
from layernas.study import report
from layernas.study.run_study import run_study
from tests import tiny

_STORED = tiny.ROOT / 'tests' / 'study' / 'stored' / 'before_oracles.tar.xz'


def _config() -> ConfigDict:
  """The config that was recorded, made anew."""
  config = default.get_config()
  config.benchmarks.macro = default.benchmark(
      table__name='nas_bench_macro', rewards=('acc1', 'acc2', 'acc3'),
      report='held_out', cost='madds', target__high=5e7, budget__trials=20,
  )
  config.benchmarks.additive = default.benchmark(
      table__name='nas_bench_macro', cost='madds', synthetic='additive',
      target__high=52_830_464.0, budget__trials=20,
  )
  config.benchmarks.chain = default.benchmark(
      synthetic='chain', cost='units', target__high=30.0, budget__trials=20,
      chain_layers=5, chain_options=4, interaction=0.5, noise=1.0,
  )
  for kind in ('random', 'evolution'):
    config.methods[kind] = default.method(kind)
  config.seeds = 2
  config.workers = 1
  return config


@pytest.fixture(name='older')
def _older(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> pathlib.Path:
  """The stored workdir."""
  monkeypatch.setattr(report, 'render', lambda summary, directory: None)
  with tarfile.open(_STORED) as archive:
    archive.extractall(tmp_path / 'older', filter='data')
  return tmp_path / 'older'


def test_an_older_study_goes_on(
    older: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  recorded = json.loads((older / 'config.json').read_text())
  assert 'settings' not in recorded['benchmarks']['chain']['table']
  inputs = (older / 'inputs.json').read_bytes()
  runs = (older / 'runs.jsonl').read_text()
  lines = runs.splitlines(keepends=True)
  # Runs of every benchmark are missing.
  (older / 'runs.jsonl').write_text(''.join(lines[::2]))
  run_study(_config().lock(), older)
  assert f'{len(lines[::2])} runs are finished' in capsys.readouterr().out
  assert (older / 'runs.jsonl').read_text() == runs
  assert (older / 'inputs.json').read_bytes() == inputs


@pytest.mark.parametrize(('field', 'value'), [
    ('interaction', 0.25), ('synthetic_seed', 1), ('chain_options', 5),
])
def test_another_chain_continues_no_older_study(
    older: pathlib.Path, field: str, value: float
) -> None:
  config = _config()
  config.benchmarks.chain[field] = value
  with pytest.raises(UserError, match=f'benchmarks.chain.{field} was'):
    run_study(config.lock(), older)

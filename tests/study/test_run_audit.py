"""Tests of layernas.study.run_audit and experiments/audit.py."""

import json

from configs.study import audit as audit_config
from layernas.study.run_audit import run_audit
from tests import tiny
from tests.search import problems


def config(**changes):
  made = audit_config.get_config('smoke').copy_and_resolve_references()
  made.unlock()
  for name in list(made.benchmarks):
    if name != 'nas_bench_macro':
      del made.benchmarks[name]
  made.update(changes)
  return made.lock()


def test_every_benchmark_for_every_h(tmp_path):
  result = run_audit(config(buckets=(3, 10)), tmp_path)
  assert [(a['benchmark'], a['buckets']) for a in result['audits']] == [
      ('nas_bench_macro', 3), ('nas_bench_macro', 10)
  ]
  assert json.loads((tmp_path / 'audit.json').read_text())['audits'] == (
      result['audits']
  )
  assert '| nas_bench_macro | 10 |' in (tmp_path / 'audit.md').read_text()
  assert (tmp_path / 'audit.png').stat().st_size > 10_000
  # Another config may follow in the same directory.
  run_audit(config(start='smallest'), tmp_path)


def test_wrong_fields_leave_no_workdir(tmp_path):
  with problems.refuses('top 0'):
    run_audit(config(top=0), tmp_path / 'new')
  with problems.refuses('search.start'):
    run_audit(config(start='middle'), tmp_path / 'new')
  assert not (tmp_path / 'new').exists()


def test_program(tmp_path):
  done = tiny.run_program(
      'audit', '--config=configs/study/audit.py:smoke', f'--workdir={tmp_path}'
  )
  assert done.returncode == 0, done.stderr
  assert 'audit.md' in done.stdout
  audited = json.loads((tmp_path / 'audit.json').read_text())['audits']
  assert len(audited) == 8

"""A study goes on with the tables that it began with."""

import pathlib

import pytest

from configs.study import default
from layernas.errors import UserError
from layernas.study import report
from layernas.study.run_audit import run_audit
from layernas.study.run_study import run_study
from tests import tiny


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(report, 'render', lambda summary, directory: None)


def _write(path: pathlib.Path, *rows: str) -> None:
  path.write_text('\n'.join(['arch,signal,test,madds,note', *rows]))


_ROWS = ['00,1,10,1,a', '01,2,20,2,b', '10,3,30,3,c', '11,4,40,9,d']


def _study(table: pathlib.Path, seeds: int = 2):
  made = default.get_config()
  made.benchmarks.own = default.benchmark(
      table__file=str(table), rewards=('signal',), report='test',
      cost='madds', target__high=5.0, budget__trials=3,
  )
  made.methods.random = default.method('random')
  made.seeds = seeds
  made.workers = 1
  return made.lock()


@pytest.mark.parametrize(
    'row', ['00,1,10.5,1,a', '00,1.5,10,1,a', '00,1,10,2,a']
)
def test_a_corrected_table_continues_no_study(
    tmp_path: pathlib.Path, row: str
) -> None:
  table = tmp_path / 'table.csv'
  _write(table, *_ROWS)
  run_study(_study(table), tmp_path / 'run')
  runs = (tmp_path / 'run' / 'runs.jsonl').read_bytes()
  _write(table, row, *_ROWS[1:])
  for seeds in (2, 8):
    with pytest.raises(UserError) as error:
      run_study(_study(table, seeds), tmp_path / 'run')
    assert str(error.value) == (
        f'workdir {tmp_path}/run: the content of benchmarks.own.table is not'
        f' what its run began with (it was {table}, 4 networks, and is {table},'
        ' 4 networks, edited since); allowed is the same content, or another'
        ' workdir'
    )
  assert (tmp_path / 'run' / 'runs.jsonl').read_bytes() == runs
  # Another order, and a column that no run reads.
  _write(table, *[row[:-1] + 'x' for row in reversed(_ROWS)])
  run_study(_study(table, 3), tmp_path / 'run')


def test_an_edited_method_of_ones_own_continues_no_study(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  table, code = tmp_path / 'table.csv', tmp_path / 'own_method_of_a_study.py'
  _write(table, *_ROWS)
  text = (
      'from layernas.study.methods.random_search import RandomSearch\n'
      'def method():\n'
      '  return RandomSearch()\n'
  )
  code.write_text(text)
  monkeypatch.syspath_prepend(tmp_path)

  def made():
    study = _study(table).copy_and_resolve_references().unlock()
    study.methods.random.kind = 'own_method_of_a_study:method'
    return study.lock()

  run_study(made(), tmp_path / 'run')
  code.write_text(f'# Random.\n{text}')
  run_study(made(), tmp_path / 'run')
  code.write_text(f'{text}# Random.\nNAME = 3\n')
  with pytest.raises(UserError, match=r'content of methods\.random\.kind is'):
    run_study(made(), tmp_path / 'run')


def test_other_words_in_the_report_are_no_other_study(
    tmp_path: pathlib.Path
) -> None:
  table = tmp_path / 'table.csv'
  _write(table, *_ROWS)
  made = _study(table)
  run_study(made, tmp_path / 'run')
  other = made.copy_and_resolve_references().unlock()
  other.benchmarks.own.signal = 'accuracy after two epochs'
  other.benchmarks.own.published.others = (25.0, 1.0, 'a paper')
  other.accountings = ('every_query',)
  summary = run_study(other.lock(), tmp_path / 'run')
  assert summary['benchmarks']['own']['signal'] == 'accuracy after two epochs'


def test_an_audit_keeps_nothing_and_records_its_tables(
    tmp_path: pathlib.Path
) -> None:
  table = tmp_path / 'table.csv'
  _write(table, *_ROWS)
  made = _study(table).copy_and_resolve_references().unlock()
  made.update({
      'buckets': (2,), 'start': 'default', 'order': 'forward',
      'spacing': 'linear', 'top': 1,
  })
  run_audit(made, tmp_path / 'run')
  first = (tmp_path / 'run' / 'inputs.json').read_text()
  _write(table, '00,9,90,1,a', *_ROWS[1:])
  run_audit(made, tmp_path / 'run')
  assert (tmp_path / 'run' / 'inputs.json').read_text() != first


@pytest.mark.long
def test_the_program_says_it_in_a_line(tmp_path: pathlib.Path) -> None:
  table = tmp_path / 'table.csv'
  text = (tiny.ROOT / 'examples' / 'own_table.csv').read_text()
  flags = (
      '--config=configs/study/own_table.py:smoke', '--config.workers=1',
      f'--config.benchmarks.own.table.file={table}',
      f'--workdir={tmp_path / "run"}',
  )
  table.write_text(text)
  assert tiny.run_program('benchmark', *flags).returncode == 0
  table.write_text(text.replace('81.6', '31.6'))
  done = tiny.run_program('benchmark', *flags, '--config.seeds=8')
  assert done.returncode == 2
  [line] = done.stderr.splitlines()
  assert 'the content of benchmarks.own.table is not what' in line

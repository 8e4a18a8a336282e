"""Wrong flags of a run of several processes, before anything is waited for."""

import pathlib

import pytest

from tests import tiny


@pytest.mark.parametrize(('flags', 'message'), [
    (['--process_count=2', '--process_index=0'], 'flag --coordinator: missing'),
    (['--coordinator=localhost:1', '--process_count=2', '--process_index=2'],
     'flag --process_index: 2: allowed is 0 to 1'),
    (['--coordinator=localhost:1'], "flag --coordinator: 'localhost:1'"),
])
@pytest.mark.parametrize('name', ['search', 'train'])
def test_wrong_flags(
    tmp_path: pathlib.Path, name: str, flags: list[str], message: str
) -> None:
  if name == 'train':
    flags = [*flags, '--architecture=mobilenet_v2']
  done = tiny.run_program(
      name, '--config=tests/tiny.py', f'--workdir={tmp_path}/run', *flags
  )
  assert done.returncode == 2
  assert f'error: {message}' in done.stderr
  assert not (tmp_path / 'run').exists()

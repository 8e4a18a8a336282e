"""The library is built once, safely, and says why where it can't be."""

import os
import pathlib
import subprocess
import sys

import pytest

from layernas import activity
from layernas.native import library

_PROGRAM = pathlib.Path(__file__).parent / 'kernel_program.py'


def _start(*arguments, **environment):
  return subprocess.Popen(
      [sys.executable, str(_PROGRAM), *arguments],
      env=os.environ | environment, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE,
  )


def _printed(process) -> dict[str, str]:
  out, err = process.communicate(timeout=300)
  assert process.returncode == 0, err[-2000:]
  return dict(line.split() for line in out.splitlines())


@pytest.fixture(name='cache')
def _cache(tmp_path, monkeypatch):
  monkeypatch.setenv('LAYERNAS_KERNEL_CACHE', str(tmp_path / 'kernels'))
  return tmp_path / 'kernels'


def _fake_compiler(path, text):
  path.write_text('#!/bin/sh\n' + text)
  path.chmod(0o755)
  return str(path)


@pytest.fixture(name='fast_compiler')
def _fast_compiler(tmp_path, monkeypatch):
  """The machine's own, which does not optimise."""
  compiler = _fake_compiler(tmp_path / 'fast', 'exec g++ "$@" -O0\n')
  monkeypatch.setenv('CXX', compiler)


def test_is_built_once_and_kept(cache, monkeypatch, tmp_path):
  # Writes its last argument: what -o names.
  monkeypatch.setenv('CXX', _fake_compiler(
      tmp_path / 'cc', 'for last; do :; done\n'
      '[ "$last" = --version ] || echo built > "$last"\n',
  ))
  said: list[str] = []
  with activity.shown(said.append):
    built = library.build()
    assert said == ['building kernels (once on this machine)']
    assert [built] == list(cache.iterdir())
    before = built.stat().st_mtime_ns
    assert library.build() == built
  assert len(said) == 1
  assert built.stat().st_mtime_ns == before


def test_other_sources_have_another_name(cache, monkeypatch):
  first = library._key('g++')
  monkeypatch.setattr(library, '_OPTIONS', (*library._OPTIONS, '-DX'))
  options = library._key('g++')
  monkeypatch.setattr(library, '_processor', lambda: 'another')
  assert len({first, options, library._key('g++')}) == 3


def test_no_compiler(cache, monkeypatch):
  monkeypatch.setenv('CXX', 'no-such-compiler')
  with pytest.raises(library.BuildError) as error:
    library.build()
  assert str(error.value) == (
      "compiler 'no-such-compiler': not found; set CXX or install g++"
  )


def test_compiler_that_fails_is_quoted_and_leaves_nothing(
    cache, monkeypatch, tmp_path
):
  monkeypatch.setenv('CXX', _fake_compiler(
      tmp_path / 'cc',
      '[ "$1" = --version ] && exit\n'
      'echo "In file included from x:" >&2\n'
      'echo "x.cc:1: error: unknown -march" >&2; echo more >&2; exit 1\n',
  ))
  with pytest.raises(library.BuildError) as error:
    library.build()
  assert str(error.value).endswith("cc': x.cc:1: error: unknown -march")
  assert list(cache.iterdir()) == []


def test_cache_that_is_no_directory(monkeypatch, tmp_path):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('LAYERNAS_KERNEL_CACHE', str(tmp_path / 'file'))
  with pytest.raises(library.BuildError, match=r'kernel cache .*file: '):
    library.build()


def test_default_cache_follows_xdg(monkeypatch, tmp_path):
  monkeypatch.delenv('LAYERNAS_KERNEL_CACHE', raising=False)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert library.cache_directory() == tmp_path / 'layernas'


@pytest.mark.long
def test_processes_that_start_at_once_share_one_library_and_its_bits(
    cache, fast_compiler
):
  programs = [_start() for _ in range(2)]
  bits = {_printed(program)['bits'] for program in programs}
  assert len(bits) == 1
  assert len(list(cache.iterdir())) == 1


@pytest.mark.long
def test_bits_do_not_depend_on_the_number_of_threads_or_on_the_cache(tmp_path):
  """NPROC sets XLA's threads; the second and third process compile nothing."""
  cache = {'JAX_COMPILATION_CACHE_DIR': str(tmp_path)}
  bits = [
      _printed(_start(NPROC=threads, **cache))['bits']
      for threads in ('1', '2', '7')
  ]
  assert len(set(bits)) == 1
  assert len(list(tmp_path.glob('*-cache'))) == 1


@pytest.mark.long
def test_devices_share_the_threads():
  """More devices than threads, which all call kernels at once."""
  one, four = (_printed(_start(devices)) for devices in ('1', '4'))
  assert float(four['sum']) == pytest.approx(float(one['sum']), rel=1e-4)

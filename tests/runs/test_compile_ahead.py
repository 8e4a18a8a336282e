"""Each network is compiled once, before it is needed where that is known."""

import threading
import time
from collections.abc import Iterator

import pytest

from layernas.runs import compile_ahead
from layernas.runs.compile_ahead import CompileAhead


class _Compiler:
  """Remembers what it compiled and in which thread; waits when it is told."""

  def __init__(self) -> None:
    self.compiled: list[tuple[int, ...]] = []
    self.threads: list[threading.Thread] = []
    self.begun = threading.Event()
    self.may_end = threading.Event()
    self.may_end.set()

  def __call__(self, architecture: tuple[int, ...]) -> str:
    self.compiled.append(architecture)
    self.threads.append(threading.current_thread())
    self.begun.set()
    assert self.may_end.wait(20)
    if architecture == (13,):
      raise RuntimeError('cannot be compiled')
    return f'programs of {architecture}'


@pytest.fixture(name='compiler')
def _compiler() -> Iterator[_Compiler]:
  compiler = _Compiler()
  yield compiler
  compiler.may_end.set()


def _here(compiler: _Compiler) -> list[bool]:
  return [one is threading.main_thread() for one in compiler.threads]


def test_prepared_programs_are_compiled_elsewhere_and_once(
    compiler: _Compiler
) -> None:
  with CompileAhead(compiler, 2) as ahead:
    for _ in range(2):
      ahead.prepare([(0,), (1,)])
      assert ahead.programs((0,)) == 'programs of (0,)'
      assert ahead.programs((1,)) == 'programs of (1,)'
  assert compiler.compiled == [(0,), (1,)]
  assert _here(compiler) == [False, False]


def test_without_a_thread_it_compiles_when_asked(compiler: _Compiler) -> None:
  with CompileAhead(compiler, 0) as ahead:
    ahead.prepare([(0,), (1,)])
    assert not compiler.compiled
    for _ in range(2):
      assert ahead.programs((1,)) == 'programs of (1,)'
  assert compiler.compiled == [(1,)]
  assert _here(compiler) == [True]


def test_what_has_not_begun_is_compiled_here(compiler: _Compiler) -> None:
  compiler.may_end.clear()
  with CompileAhead(compiler, 2) as ahead:
    ahead.prepare([(0,), (1,)])
    assert compiler.begun.wait(20)
    compiler.may_end.set()
    assert ahead.programs((1,)) == 'programs of (1,)'
  assert compiler.compiled == [(0,), (1,)]


def test_what_is_no_longer_foreseen_is_compiled_too(
    compiler: _Compiler
) -> None:
  compiler.may_end.clear()
  with CompileAhead(compiler, 2) as ahead:
    ahead.prepare([(0,), (1,), (2,)])
    assert compiler.begun.wait(20)
    ahead.prepare([(3,), (1,)])
    compiler.may_end.set()
    ahead.programs((3,))
    while len(compiler.compiled) < 4:
      time.sleep(0.001)
  assert sorted(compiler.compiled) == [(0,), (1,), (2,), (3,)]


def test_leaving_waits_for_one_and_drops_the_rest(compiler: _Compiler) -> None:
  compiler.may_end.clear()
  with CompileAhead(compiler, 2) as ahead:
    ahead.prepare([(0,), (1,)])
    assert compiler.begun.wait(20)
    threading.Timer(0.05, compiler.may_end.set).start()
  assert compiler.may_end.is_set()
  assert compiler.compiled == [(0,)]


@pytest.mark.parametrize('ahead', [0, 2])
def test_what_compiling_raises_is_raised_at_every_call(
    compiler: _Compiler, ahead: int
) -> None:
  with CompileAhead(compiler, ahead) as compiling:
    compiling.prepare([(13,)])
    for _ in range(2):
      with pytest.raises(RuntimeError, match='cannot be compiled'):
        compiling.programs((13,))
  assert compiler.compiled == [(13,), (13,)]


def test_memory_holds_the_last_ones(
    compiler: _Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(compile_ahead, 'KEPT', 2)
  with CompileAhead(compiler, 0) as ahead:
    for number in (0, 1, 0, 2, 0, 1):
      ahead.programs((number,))
  assert compiler.compiled == [(0,), (1,), (2,), (1,)]


class _Slow(tuple[int, ...]):
  """An architecture in whose comparison another thread does something."""

  __slots__ = ()
  meanwhile = staticmethod(lambda: None)
  __hash__ = tuple.__hash__

  def __eq__(self, other: object) -> bool:
    thread = threading.Thread(target=self.meanwhile)
    thread.start()
    thread.join(0.1)
    return tuple(self) == other


def test_another_thread_may_prepare_while_programs_are_asked_for(
    compiler: _Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
  with CompileAhead(compiler, 1) as ahead:
    ahead.prepare([(1,), _Slow((2,))])
    monkeypatch.setattr(
        _Slow, 'meanwhile', staticmethod(lambda: ahead.prepare([(3,)]))
    )
    assert ahead.programs((1,)) == 'programs of (1,)'
    monkeypatch.undo()
    assert ahead.programs((3,)) == 'programs of (3,)'

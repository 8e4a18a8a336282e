"""What a run is doing is shown to whoever looks, if it takes long."""

import threading

import pytest

from layernas import activity


def test_lines_go_to_the_innermost_that_shows_them() -> None:
  outer: list[str] = []
  inner: list[str] = []
  activity.say('nobody hears this')
  with activity.shown(outer.append):
    activity.say('one')
    with activity.shown(inner.append):
      activity.say('two')
    activity.say('three')
  assert outer == ['one', 'three']
  assert inner == ['two']


def test_only_what_takes_long_is_mentioned(
    monkeypatch: pytest.MonkeyPatch
) -> None:
  said, heard = [], threading.Event()

  def write(line: str) -> None:
    said.append(line)
    heard.set()

  with activity.shown(write):
    with activity.doing('what is quick'):
      pass
    monkeypatch.setattr(activity, '_PATIENCE', 0.01)
    with activity.doing('what is slow'):
      assert heard.wait(60)
  assert said == ['what is slow']


def test_what_fails_is_not_mentioned_later(
    monkeypatch: pytest.MonkeyPatch
) -> None:
  timers: list[threading.Timer] = []

  class Timer(threading.Timer):
    def start(self) -> None:
      timers.append(self)
      super().start()

  monkeypatch.setattr(activity.threading, 'Timer', Timer)
  with pytest.raises(ValueError, match='broken'), activity.doing('breaks'):
    raise ValueError('broken')
  assert [timer.finished.is_set() for timer in timers] == [True]

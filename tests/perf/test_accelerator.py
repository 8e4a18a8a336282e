"""The trial of an accelerator: time, sections, rows, what is equal."""

import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from layernas.errors import UserError
from tests import tiny
from tests.perf import small_network
from tools.perf import accelerator
from tools.perf import device_steps
from tools.perf.accelerator import OutOfTimeError
from tools.perf.accelerator import Section
from tools.perf.accelerator import Settings

NETWORK = 'tests.perf.small_network:network'
FACTS = {
    'kind': 'NVIDIA H200', 'platform': 'gpu', 'chips': 1, 'bytes': 2**37,
    'madds': 200_000_000, 'versions': {'jax': '1.2'},
}
OK = {
    'status': 'ok', 'images_per_second': [900.0, 1000.0, 1100.0],
    'compile_seconds': 12.3, 'peak_bytes': 3 * 2**30, 'network': 'x',
}


@pytest.fixture(name='clock')
def _clock(monkeypatch):
  """A list of one number, which is the time."""
  now = [0.0]
  monkeypatch.setattr(accelerator.time, 'monotonic', lambda: now[0])
  return now


@pytest.fixture(name='make')
def _make(monkeypatch, tmp_path):
  """Makes a box with a device that is not there."""
  def make(platform='gpu', chips=2, child=None, **settings):
    def facts(self, job, changes=None, **asked):
      if job == 'facts':
        return FACTS | {'platform': platform}
      return child(job, **asked)

    monkeypatch.setattr(accelerator, 'local_devices', lambda: (platform, chips))
    monkeypatch.setattr(accelerator.Box, 'child', facts)
    return accelerator.Box(Settings(**settings), tmp_path)

  return make


def stored_of(found, **more):
  return {
      'date': '2026-01-01', 'seconds': 400.0, 'device': FACTS,
      'peak': {'tflops': 989.0, 'source': 'a data sheet'},
      'settings': {'minutes': 8.0, 'network': 'net', 'image_size': 224},
      'sections': found,
  } | more


def test_a_section_that_fails_is_recorded_and_the_others_go_on(make):
  def fail(box):
    raise ValueError('no such thing')

  def late(box):
    raise OutOfTimeError('2 trials were done')

  kept = []
  box = make()
  accelerator.measure(box, {
      'a': Section('A', 1.0, fail), 'b': Section('B', 1.0, late),
      'c': Section('C', 1.0, lambda box: {'status': 'ok', 'x': 1}),
  }, lambda found: kept.append(sorted(found)))
  assert kept == [['a'], ['a', 'b'], ['a', 'b', 'c']]
  assert box.found['a']['status'] == 'failed'
  assert box.found['a']['message'] == 'ValueError: no such thing'
  assert box.found['b']['status'] == 'not reached'
  assert box.found['b']['message'] == '2 trials were done'
  assert (box.found['c']['status'], box.found['c']['x']) == ('ok', 1)


def test_too_little_time_for_the_device_is_a_line(monkeypatch, tmp_path):
  monkeypatch.setattr(accelerator, 'local_devices', lambda: ('cpu', 1))

  def over(*arguments, **settings):
    raise subprocess.TimeoutExpired('python', 0.0)

  monkeypatch.setattr(accelerator.subprocess, 'run', over)
  with pytest.raises(UserError, match=r'flag --minutes: 0\.1: .*allowed'):
    accelerator.Box(Settings(minutes=0.1), tmp_path)


def test_time_that_one_leaves_is_there_for_the_next(make, clock):
  given = []

  def taking(seconds):
    def measure(box):
      given.append(box.left())
      clock[0] += seconds
      return {'status': 'ok'}

    return measure

  box = make(minutes=4.0)
  accelerator.measure(box, {
      'a': Section('A', 1.0, taking(10)), 'b': Section('B', 1.0, taking(130)),
      'c': Section('C', 2.0, taking(200)), 'd': Section('D', 1.0, taking(1)),
  }, lambda found: None)
  # 240 s for 5, 230 s for 4, 100 s for 3; then there is none.
  assert given == pytest.approx([48.0, 57.5, 100 * 2 / 3])
  assert box.found['d']['status'] == 'not reached'


def test_progress_begins_before_anything_is_done(make, capsys):
  begun = []

  def measure(box):
    begun.append(capsys.readouterr().out)
    return {'status': 'not run', 'message': 'because'}

  accelerator.measure(
      make(), {'a': Section('A', 1.0, measure)}, lambda found: None
  )
  assert 'A: at most 480 s' in begun[0]
  assert 'A: not run, because' in capsys.readouterr().out


def test_rows_of_all_outcomes(make, clock):
  """The third one takes what is left."""
  answers = iter([
      OK, {'status': 'out of memory'}, RuntimeError('ended by SIGSEGV'),
      {'status': 'not installed'}, OutOfTimeError('the time was over'),
  ])

  def child(job, **settings):
    assert job == 'step'
    assert settings['platform'] == 'gpu'
    answer = next(answers)
    if isinstance(answer, OutOfTimeError):
      clock[0] += 1000
    if isinstance(answer, Exception):
      raise answer
    return answer

  box = make(child=child, batches=(64, 8))
  found = accelerator.steps(box)
  assert [row['status'] for row in found['rows']] == [
      'ok', 'out of memory', 'failed', 'not installed', 'not reached',
      *['not reached'] * 7,
  ]
  page = accelerator.report(stored_of(
      {'steps': found | {'section_seconds': 12.0}}
  ))
  lines = page.splitlines()
  assert '| training steps | 12 | ok, 1 of 12 timed |' in lines
  # 1000 images of 0.2 GMAdds are 1.2e12 operations of 989e12.
  assert ('| bfloat16 | 64 | this package | 1,000 | 900 to 1,100 | 0.1% | 3.0 |'
          ' 12 |') in lines
  assert ("| bfloat16 | 64 | as Flax's ImageNet example | out of memory | - | -"
          ' | - | - |') in lines
  assert ('| bfloat16 | 64 | PyTorch | failed: ended by SIGSEGV | - | - | - | -'
          ' |') in lines
  assert ('| float32 | 8 | PyTorch | not reached | - | - | - | - |') in lines


def test_an_unknown_peak_is_said(make):
  found = {'rows': [
      OK | {'dtype': 'float32', 'batch': 4, 'form': 'pytorch',
            'peak_bytes': None, 'compile_seconds': None},
  ], 'status': 'ok', 'section_seconds': 1.0}
  page = accelerator.report(stored_of({'steps': found}, peak=None))
  assert 'unknown (--peak_tflops gives it)' in page
  assert ('| float32 | 4 | PyTorch | 1,000 | 900 to 1,100 | unknown | unknown |'
          ' - |') in page


@pytest.mark.parametrize(('platform', 'chips', 'shown'), [
    ('gpu', 4, {'CUDA_VISIBLE_DEVICES': '0'}),
    ('tpu', 4, {'TPU_VISIBLE_DEVICES': '0'}), ('cpu', 1, {}),
])
def test_one_device_is_used(make, monkeypatch, platform, chips, shown):
  for name in ('CUDA_VISIBLE_DEVICES', 'TPU_VISIBLE_DEVICES'):
    monkeypatch.delenv(name, raising=False)
  environment = make(platform, chips)._environment()
  assert {
      name: value for name, value in environment.items()
      if name.endswith('VISIBLE_DEVICES')
  } == shown


@pytest.mark.parametrize(('platform', 'chips', 'flag', 'whole'), [
    ('gpu', 1, '--config.executor.per_device=2', False),
    ('tpu', 4, '--config.executor.workers=2', True),
    ('cpu', 1, '--config.executor.workers=2', False),
])
def test_two_workers_share_what_can_be_shared(
    make, monkeypatch, platform, chips, flag, whole
):
  asked = []

  def search(self, name, *flags, whole=False):
    asked.append((flags, whole))
    return {'seconds': 1.0, 'trials': 2, 'rewards': [1.0, 2.02]}

  monkeypatch.setattr(accelerator.Box, 'search', search)
  box = make(platform, chips)
  box.found['inline'] = {'status': 'ok', 'rewards': [1.0, 2.0]}
  found = accelerator.workers(box)
  [(flags, on_all)] = asked
  assert flag in flags
  assert on_all is whole
  assert ('--config.executor.per_device=2' in flags) is (platform == 'gpu')
  assert found['rewards_within'] == pytest.approx(0.02 / 2.02)


def test_one_chip_has_one_worker(make):
  found = accelerator.workers(make('tpu', 1))
  assert found['status'] == 'not run'
  assert 'a TPU chip belongs to one process' in found['message']


def test_without_a_smoke_search_nothing_is_resumed(make):
  box = make()
  box.found['smoke'] = {'status': 'failed'}
  assert accelerator.resumed(box)['status'] == 'not run'


@pytest.mark.parametrize(('same', 'rewards', 'status', 'said'), [
    (True, [1.0], 'ok', 'to the bit'),
    (False, [1.001], 'ok', 'rewards within 0.001'),
    (False, [1.5], 'failed', 'rewards within 0.33'),
    (False, [None], 'failed', 'no'),
])
def test_a_resumed_search_is_that_which_was_not_killed(
    make, monkeypatch, same, rewards, status, said
):
  monkeypatch.setattr(
      accelerator.Box, 'killed_search', lambda self, name, *flags: None
  )
  monkeypatch.setattr(
      accelerator.Box, 'search', lambda self, name, *flags: {
          'seconds': 1.0, 'trials': 1, 'rewards': rewards,
      }
  )
  monkeypatch.setattr(
      accelerator, 'without_times',
      lambda workdir: {} if same else {'name': workdir.name},
  )
  box = make()
  box.found['smoke'] = {'status': 'ok', 'rewards': [1.0]}
  found = accelerator.resumed(box)
  assert (found['status'], found['same']) == (status, said)


def training(**changes):
  """What a training leaves, one leaf of each kind."""
  return {
      'losses': np.float64([2.0, 4.0]),
      "before ['params']['a']": np.float32([1.0, 1.0]),
      "after ['params']['a']": np.float32([4.0, 5.0]),
      "before ['batch_stats']['b']": np.float32([0.0]),
      "after ['batch_stats']['b']": np.float32([2.0]),
  } | changes


def test_how_far_trainings_are_apart():
  same = accelerator.differences(training(), training())
  assert same == {'losses': 0.0, 'parameters': 0.0, 'statistics': 0.0}
  found = accelerator.differences(training(
      losses=np.float64([2.0, 4.4]),
      **{"after ['params']['a']": np.float32([4.0, 5.5]),
         "after ['batch_stats']['b']": np.float32([2.2])},
  ), training())
  assert found == pytest.approx(
      {'losses': 0.1, 'parameters': 0.1, 'statistics': 0.1}
  )


def test_rewards_are_compared_trial_by_trial():
  gap = accelerator.largest_gap
  assert gap([1.0, None], [1.0, None]) == 0.0
  assert gap([-1.0, 2.0], [-1.1, 2.0]) == pytest.approx(0.1 / 1.1)
  assert gap([1.0], [1.0, 2.0]) is None
  assert gap([1.0, None], [1.0, 2.0]) is None


@pytest.mark.parametrize('error', [
    RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes'),
    RuntimeError('CUDA out of memory. Tried to allocate 9 GiB'), MemoryError(),
])
def test_too_large_a_batch_is_a_row(monkeypatch, error):
  def fail(case, platform):
    raise error

  monkeypatch.setitem(device_steps.FORMS, 'ours', fail)
  asked = ('ours', NETWORK, 'float32', 8, 32, 'cpu')
  assert device_steps.step(*asked) == {'status': 'out of memory'}


def test_another_error_stays_one(monkeypatch):
  def fail(case, platform):
    raise RuntimeError('INTERNAL: no such kernel')

  monkeypatch.setitem(device_steps.FORMS, 'ours', fail)
  with pytest.raises(RuntimeError, match='no such kernel'):
    device_steps.step('ours', NETWORK, 'float32', 8, 32, 'cpu')


def test_steps_are_timed_while_the_host_runs_ahead(monkeypatch):
  now, waiting, lengths = [0.0], [0], []
  monkeypatch.setattr(device_steps.time, 'perf_counter', lambda: now[0])

  def begin():
    waiting[0] += 1

  def wait():
    now[0] += 0.125 * waiting[0]
    lengths.append(waiting[0])
    waiting[0] = 0

  assert device_steps.timed(begin, wait, 8) == [64.0] * 3
  # The first ones, one to see how long it takes, then rounds of half a second.
  assert lengths == [3, 1, *[4] * 5]


def test_networks_go_by_name():
  assert device_steps.network_of(NETWORK) == small_network.network()
  large = device_steps.network_of('mobilenet_v3_large')
  assert large.counts(224, 1000).madds > 2e8
  with pytest.raises(UserError, match=r"--network: 'v9': allowed .*v3_large"):
    device_steps.network_of('v9')


@pytest.mark.parametrize('name', ['mobilenet_v3_large', 'mnasnet_a1', NETWORK])
def test_plain_modules_have_the_parameters_of_the_spec(name):
  from tools.perf.flax_step import PlainNetwork

  network = device_steps.network_of(name)
  model = PlainNetwork(network, 10)
  shapes = jax.eval_shape(
      model.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32)
  )['params']
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert count == network.counts(32, 10).params


def test_the_docs_show_what_is_stored():
  text = (tiny.ROOT / 'docs/accelerators.md').read_text()
  stored = list(tiny.ROOT.glob('docs/results/accelerator/*/accelerator.md'))
  for page in stored:
    rows = [line for line in page.read_text().splitlines() if line[:1] == '|']
    assert all(row in text for row in rows), page
  assert ('**Not run**' in text) == (not stored)


def run(*flags):
  return subprocess.run(
      [sys.executable, 'tools/perf/accelerator.py', *flags], cwd=tiny.ROOT,
      capture_output=True, text=True, check=False, timeout=1300,
  )


@pytest.mark.parametrize(('flag', 'said'), [
    ('--batches=8,x', "flag --batches: '8,x': allowed are integers"),
    ('--mode=report', 'flag --output: missing'),
    pytest.param(
        '--network=v9', "flag --network: 'v9': allowed", marks=pytest.mark.long
    ),
])
def test_wrong_flags_are_a_line(flag, said):
  done = run(flag)
  assert done.returncode == 2
  assert said in done.stderr
  assert len(done.stderr.splitlines()) == 1


@pytest.mark.long
def test_everything_runs_on_a_cpu(tmp_path: pathlib.Path):
  done = run(
      f'--network={NETWORK}', '--image_size=32', '--batches=4', '--trials=3',
      '--minutes=20', '--peak_tflops=1', f'--output={tmp_path}',
  )
  assert done.returncode == 0, done.stderr
  stored = json.loads((tmp_path / 'accelerator.json').read_text())
  outcomes = {
      name: found['status'] for name, found in stored['sections'].items()
  }
  assert outcomes == dict.fromkeys(accelerator.SECTIONS, 'ok'), done.stdout
  assert stored['sections']['resumed']['same'] == 'to the bit'
  forms = {row['form']: row['status']
           for row in stored['sections']['steps']['rows']}
  assert forms['ours'] == forms['flax'] == 'ok'
  assert forms['pytorch'] in ('ok', 'not installed')
  page = (tmp_path / 'accelerator.md').read_text()
  assert page == accelerator.report(stored)
  assert page in done.stdout

"""Tries and times everything on an accelerator, within eight minutes.

  .venv/bin/python tools/perf/accelerator.py
  .venv/bin/python tools/perf/accelerator.py --minutes=30 --section=steps
  .venv/bin/python tools/perf/accelerator.py --mode=report --output=DIR

For a machine with a GPU or for a TPU host, with this package installed as it
trains there; nothing is installed, and one GPU or TPU chip is used. The
`SECTIONS` come in turn, each in processes of its own. One that fails is
recorded with its error, and the others go on. Each has a share of the time that
is left; what there was no time for is recorded as not reached.

The results, accelerator.json and accelerator.md, are written after every
section, by default to docs/results/accelerator/NAME, where NAME is the
device's. --mode=report writes the second one again from the first.

Everything also runs with a CPU as the device, which says nothing about
accelerators but that the program works:
  JAX_PLATFORMS=cpu .venv/bin/python tools/perf/accelerator.py \
    --network=mobilenet_v3_small --image_size=32 --batches=8 --output=DIR
"""

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from layernas.errors import UserError
from layernas.executors.executor import ExecutorSettings
from layernas.executors.processes import environments
from layernas.executors.processes import local_devices
from layernas.runs import cli
from tools.perf.device_peaks import peak_of
from tools.perf.device_peaks import share_of_peak
from tools.perf.machine import machine
from tools.perf.search_outcome import without_times

_ROOT = pathlib.Path(__file__).resolve().parents[2]

Found = dict[str, Any]
"""What a section found, in JSON types. 'status' is ok, failed, not run or not
reached; those that are not ok have a 'message'."""


class OutOfTimeError(Exception):
  """The time of a section is over."""


@dataclasses.dataclass(frozen=True)
class Settings:
  """What the flags say.

  Attributes:
    minutes: of the whole program.
    network: that is timed.
    image_size: of it, in pixels.
    batches: images of its steps, the most important first.
    trials: of a search on the embedded images.
    peak: 1e12 operations a second of the device; None where the table of
      device_peaks.py counts.
  """

  minutes: float = 8.0
  network: str = 'mobilenet_v3_large'
  image_size: int = 224
  batches: tuple[int, ...] = (256, 1024, 128, 512)
  trials: int = 6
  peak: float | None = None


class Box:
  """The device under test, and time.

  Attributes:
    settings: what the flags say.
    scratch: directory that is removed at the end.
    device: as `device_steps.facts` gives it.
    found: of the sections so far, by name.
  """

  def __init__(self, settings: Settings, scratch: pathlib.Path):
    """Looks for the device.

    Args:
      settings: what the flags say.
      scratch: directory for searches.

    Raises:
      UserError: JAX finds no device, not in time, or there is no such network.
    """
    self.settings = settings
    self.scratch = scratch
    self.found: dict[str, Found] = {}
    self._begun = time.monotonic()
    self._until = self._begun + 60 * settings.minutes
    backend, count = local_devices()
    self._alone = (
        {} if backend == 'cpu' else
        environments(ExecutorSettings('processes', 1), backend, count)[0]
    )
    self.chips = count
    try:
      self.device = self.child(
          'facts', network=settings.network, image_size=settings.image_size
      )
    except OutOfTimeError as error:
      raise UserError(
          f'flag --minutes: {settings.minutes:g}: over before the device was'
          ' found; allowed are more'
      ) from error
    except RuntimeError as error:
      raise UserError(str(error).partition('UserError: ')[2] or str(error)) \
          from error

  def seconds(self) -> float:
    """Since the program began."""
    return time.monotonic() - self._begun

  def left(self) -> float:
    """Seconds that the present section may take."""
    return self._until - time.monotonic()

  @contextlib.contextmanager
  def share(self, weight: float, of: float) -> Iterator[None]:
    """Gives what runs within a share of the time that is left.

    Args:
      weight: of a section.
      of: the sum of its weight and of those that follow.
    """
    end = self._begun + 60 * self.settings.minutes
    self._until = time.monotonic() + (end - time.monotonic()) * weight / of
    try:
      yield
    finally:
      self._until = end

  def say(self, text: str) -> None:
    """Prints a line of progress."""
    print(f'{self.seconds():5.0f} s  {text}', flush=True)

  def child(
      self, job: str, changes: Mapping[str, str] | None = None, **settings: Any
  ) -> Found:
    """Has a process of its own do a job of device_steps.py.

    Args:
      job: its name.
      changes: environment variables beside those that name the device.
      **settings: of the job, JSON types.

    Returns:
      What it printed.

    Raises:
      OutOfTimeError: it did not end in time, and was killed.
      RuntimeError: it failed; the last line of its error.
    """
    done = self._run(
        ['-m', 'tools.perf.device_steps', json.dumps({'job': job} | settings)],
        changes,
    )
    return json.loads(done.splitlines()[-1])

  def search(self, name: str, *changes: str, whole: bool = False) -> Found:
    """Runs or resumes a search in a directory of the scratch.

    Args:
      name: of the directory.
      *changes: flags.
      whole: with all devices of the machine, not the one alone.

    Returns:
      'seconds', 'trials' and their 'rewards'.

    Raises:
      OutOfTimeError: it did not end in time, and was killed.
      RuntimeError: it failed; the last line of its error.
    """
    begun = time.monotonic()
    workdir = self.scratch / name
    try:
      self._run(_search(workdir, changes), whole=whole)
    except OutOfTimeError as error:
      raise OutOfTimeError(
          f'{len(_trials(workdir))} trials were done when the time was over'
      ) from error
    trials = _trials(workdir)
    return {
        'seconds': round(time.monotonic() - begun, 1), 'trials': len(trials),
        'rewards': [one['reward'] for one in trials],
    }

  def killed_search(self, name: str, *changes: str) -> None:
    """Kills a search within its second training, when it has a checkpoint.

    Args:
      name: of the directory.
      *changes: flags.

    Raises:
      OutOfTimeError: it did not come so far in time, and was killed.
      RuntimeError: it ended before.
    """
    workdir = self.scratch / name
    with open(self.scratch / f'{name}.log', 'wb') as log:
      process = subprocess.Popen(
          [sys.executable, *_search(workdir, changes)], cwd=_ROOT,
          env=self._environment(), stdout=log, stderr=subprocess.STDOUT,
      )
    try:
      while not (_trials(workdir) and any(
          path.name.isdigit()
          for path in workdir.glob('candidates/*/checkpoints/*')
      )):
        if process.poll() is not None:
          raise RuntimeError('the search ended before it was killed')
        if self.left() < 0:
          raise OutOfTimeError('the search had come to no second training')
        time.sleep(0.01)
    finally:
      process.send_signal(signal.SIGKILL)
      process.wait()

  def _environment(
      self, changes: Mapping[str, str] | None = None, whole: bool = False
  ) -> dict[str, str]:
    path = [str(_ROOT), os.environ.get('PYTHONPATH', '')]
    return os.environ | ({} if whole else self._alone) | {
        'PYTHONPATH': os.pathsep.join(filter(None, path)),
    } | dict(changes or {})

  def _run(
      self, arguments: Sequence[str],
      changes: Mapping[str, str] | None = None, whole: bool = False,
  ) -> str:
    """Runs Python to its end, within the time; what it printed."""
    try:
      done = subprocess.run(
          [sys.executable, *arguments], cwd=_ROOT, capture_output=True,
          text=True, errors='replace', timeout=max(0.0, self.left()),
          env=self._environment(changes, whole), check=False,
      )
    except subprocess.TimeoutExpired as error:
      raise OutOfTimeError('the time was over') from error
    if done.returncode < 0:
      raise RuntimeError(f'ended by {signal.Signals(-done.returncode).name}')
    if done.returncode:
      lines = [line for line in done.stderr.splitlines() if line.strip()]
      raise RuntimeError(lines[-1].strip() if lines else 'failed in silence')
    return done.stdout


def _search(workdir: pathlib.Path, changes: Sequence[str]) -> list[str]:
  return [
      str(_ROOT / 'experiments' / 'search.py'), f'--workdir={workdir}', *changes
  ]


def _trials(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Trials that a search has recorded."""
  history = workdir / 'trials.jsonl'
  if not history.exists():
    return []
  *whole, _ = history.read_text().split('\n')
  return list(map(json.loads, whole))


_SMOKE = (
    '--config=cifar10_small:smoke', '--config.model.deterministic=True',
    '--config.search.schedule=sweep', '--config.training.epochs=0.5',
    '--config.training.checkpoint_every_steps=3',
)


def smoke(box: Box) -> Found:
  """A search of four short trainings, as the README begins with."""
  return {'status': 'ok'} | box.search('smoke', *_SMOKE)


LOSSES, PARAMETERS, STATISTICS = 1e-3, 0.05, 0.01
"""Largest differences of ten steps from those on CPU. Two implementations on
CPU differ by 5e-7, 2e-3 and 1e-6; a wrong gradient differs by 1."""


def ten_steps(box: Box) -> Found:
  """Ten training steps on the device and on this machine's CPU."""
  files = {name: box.scratch / f'{name}.npz' for name in ('device', 'cpu')}
  box.child('ten_steps', file=str(files['device']))
  box.child('ten_steps', {'JAX_PLATFORMS': 'cpu'}, file=str(files['cpu']))
  with np.load(files['device']) as ours, np.load(files['cpu']) as cpu:
    found = differences(ours, cpu)
  limits = {
      'losses': LOSSES, 'parameters': PARAMETERS, 'statistics': STATISTICS,
  }
  within = all(found[name] <= limits[name] for name in limits)
  return {
      'status': 'ok' if within else 'failed', 'differences': found,
      'allowed': limits,
  } | ({} if within else {'message': 'differs from the CPU'})


def differences(
    ours: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]
) -> dict[str, float]:
  """How far two trainings from the same weights are apart.

  Args:
    ours: as `device_steps.ten_steps` writes it.
    other: likewise.

  Returns:
    'losses': the largest relative difference. 'parameters' and 'statistics' of
    batch norm: the norm of the difference, relative to how far they moved.
  """
  def apart(part: str) -> float:
    names = [name for name in ours if name.startswith(f"after ['{part}']")]
    gap = moved = 0.0
    for name in names:
      before = other[name.replace('after', 'before', 1)]
      gap += float(np.sum((ours[name] - other[name]) ** 2, dtype=np.float64))
      moved += float(np.sum((other[name] - before) ** 2, dtype=np.float64))
    return (gap / moved) ** 0.5

  losses = np.abs(ours['losses'] - other['losses']) / np.abs(other['losses'])
  return {
      'losses': float(losses.max()), 'parameters': apart('params'),
      'statistics': apart('batch_stats'),
  }


REWARDS = 0.02
"""Largest relative difference between rewards where the bits differ."""


def resumed(box: Box) -> Found:
  """The smoke search once more, killed in a training and resumed."""
  if box.found.get('smoke', {}).get('status') != 'ok':
    return {
        'status': 'not run', 'message': 'the smoke search is not there to'
        ' compare with',
    }
  box.killed_search('resumed', *_SMOKE)
  box.say('  killed; resuming')
  found = box.search('resumed', *_SMOKE)
  undisturbed, disturbed = (
      without_times(box.scratch / name) for name in ('smoke', 'resumed')
  )
  if undisturbed == disturbed:
    return {'status': 'ok', 'same': 'to the bit'} | found
  gap = largest_gap(box.found['smoke']['rewards'], found['rewards'])
  same = 'no' if gap is None else f'rewards within {gap:.2g}'
  ok = gap is not None and gap <= REWARDS
  return {
      'status': 'ok' if ok else 'failed', 'same': same,
  } | found | ({} if ok else {'message': 'other results than undisturbed'})


def largest_gap(
    ones: Sequence[float | None], others: Sequence[float | None]
) -> float | None:
  """The largest relative difference between rewards of the same trials.

  Args:
    ones: None for a trial that failed.
    others: likewise.

  Returns:
    The difference; None where the numbers of trials differ, or where one failed
    in one of them alone.
  """
  if len(ones) != len(others) or any(
      (one is None) != (other is None)
      for one, other in zip(ones, others, strict=True)
  ):
    return None
  return max((
      abs(one - other) / max(abs(one), abs(other), 1e-9)
      for one, other in zip(ones, others, strict=True) if one is not None
  ), default=0.0)


def _embedded(box: Box) -> tuple[str, ...]:
  return (
      '--config=cifar10_small', f'--config.budget.trials={box.settings.trials}',
      '--config.search.schedule=sweep', '--config.search.buckets=2',
      '--config.reference.trainings=0',
  )


def inline(box: Box) -> Found:
  """A search on the embedded images, one candidate at a time."""
  return {'status': 'ok'} | box.search(
      'inline', *_embedded(box), '--config.executor.name=inline'
  )


def workers(box: Box) -> Found:
  """The same search by two workers: on one GPU, or each on a TPU chip."""
  platform = box.device['platform']
  if platform == 'tpu' and box.chips < 2:
    return {
        'status': 'not run', 'message': 'a TPU chip belongs to one process'
    }
  changes = ['--config.executor.name=processes', '--config.executor.workers=2']
  if platform == 'gpu':
    changes.append('--config.executor.per_device=2')
  found = {'status': 'ok'} | box.search(
      'workers', *_embedded(box), *changes, whole=platform == 'tpu'
  )
  alone = box.found.get('inline', {})
  if alone.get('status') == 'ok':
    found['rewards_within'] = largest_gap(alone['rewards'], found['rewards'])
  return found


FORMS = {
    'ours': 'this package', 'flax': "as Flax's ImageNet example",
    'pytorch': 'PyTorch',
}
"""Whose training steps are timed."""


def steps(box: Box) -> Found:
  """Images a second of training steps: ours, Flax's and PyTorch's."""
  rows = [
      {'dtype': dtype, 'batch': batch, 'form': form}
      for dtype in ('bfloat16', 'float32') for batch in box.settings.batches
      for form in FORMS
  ]
  for row in rows:
    row.update(_timed(box, row))
    box.say('  ' + ' '.join(_cells(row, None)))
  return {'status': 'ok', 'rows': rows}


def _timed(box: Box, row: Mapping[str, Any]) -> Found:
  if box.left() <= 0:
    return {'status': 'not reached'}
  try:
    return box.child(
        'step', **row, network=box.settings.network,
        image_size=box.settings.image_size, platform=box.device['platform'],
    )
  except OutOfTimeError as error:
    return {'status': 'not reached', 'message': str(error)}
  except RuntimeError as error:
    return {'status': 'failed', 'message': str(error)}


@dataclasses.dataclass(frozen=True)
class Section:
  """Something to try.

  Attributes:
    title: for people.
    weight: share of the time, among those that follow.
    measure: does it.
  """

  title: str
  weight: float
  measure: Callable[[Box], Found]


SECTIONS: Mapping[str, Section] = {
    'smoke': Section('smoke search', 1.0, smoke),
    'ten_steps': Section('ten steps as on the CPU', 0.5, ten_steps),
    'resumed': Section('kill -9 and resume', 1.0, resumed),
    'inline': Section('embedded search, inline', 1.2, inline),
    'workers': Section('embedded search, two workers', 1.2, workers),
    'steps': Section('training steps', 3.0, steps),
}
"""By name, in their order. Time that one leaves is there for those behind."""


def measure(
    box: Box, sections: Mapping[str, Section],
    keep: Callable[[dict[str, Found]], None],
) -> None:
  """Goes through sections.

  Args:
    box: the device; gets what is found.
    sections: by name.
    keep: takes what was found so far, after every section.
  """
  left = sum(section.weight for section in sections.values())
  for name, section in sections.items():
    with box.share(section.weight, left):
      box.say(f'{section.title}: at most {max(0, box.left()):.0f} s')
      begun = box.seconds()
      found = _outcome(box, section)
    found['section_seconds'] = round(box.seconds() - begun, 1)
    box.found[name] = found
    box.say(f'{section.title}: {_words(found)}')
    left -= section.weight
    keep(box.found)


def _outcome(box: Box, section: Section) -> Found:
  if box.left() <= 0:
    return {'status': 'not reached', 'message': 'the time was over'}
  try:
    return section.measure(box)
  except OutOfTimeError as error:
    return {'status': 'not reached', 'message': str(error)}
  except Exception as error:  # One section must not end the others.
    return {'status': 'failed', 'message': f'{type(error).__name__}: {error}'}


def _words(found: Mapping[str, Any]) -> str:
  """What a section found, in a line."""
  said = [found['status']]
  if 'message' in found:
    said.append(found['message'])
  if 'trials' in found:
    said.append(f'{found["trials"]} trials in {found["seconds"]:.0f} s')
  if 'same' in found:
    said.append(f'as undisturbed: {found["same"]}')
  if found.get('rewards_within') is not None:
    said.append(f'rewards within {found["rewards_within"]:.2g} of inline')
  if 'rows' in found:
    timed = sum(row['status'] == 'ok' for row in found['rows'])
    said.append(f'{timed} of {len(found["rows"])} timed')
  for name, gap in found.get('differences', {}).items():
    said.append(f'{name} {gap:.1e} (allowed {found["allowed"][name]:g})')
  return ', '.join(said)


def report(stored: Mapping[str, Any]) -> str:
  """What was found, as a page.

  Args:
    stored: content of accelerator.json.

  Returns:
    Markdown.
  """
  # Slow to import, while progress is to be seen at once.
  from layernas.study.report import table_text  # noqa: PLC0415
  from layernas.study.report_tables import Table  # noqa: PLC0415

  device, settings = stored['device'], stored['settings']
  found, peak = stored['sections'], stored['peak']
  versions = ', '.join(
      f'{name} {version}' for name, version in device['versions'].items()
  )
  known = (
      f'{peak["tflops"]:g}e12 operations a second ({peak["source"]})'
      if peak else 'unknown (--peak_tflops gives it)'
  )
  lines = [
      f'# {device["kind"]}', '',
      f'{stored["date"]}, {stored["seconds"]:.0f} s of {settings["minutes"]:g}'
      f' minutes. {versions}. GiB of memory:'
      f' {_gibibytes(device["bytes"])}. Peak in bfloat16: {known}.', '',
      table_text(Table('', ('section', 'seconds', 'outcome'), tuple(
          (SECTIONS[name].title, f'{one["section_seconds"]:.0f}', _words(one))
          for name, one in found.items()
      ), words=1)),
  ]
  rows = found.get('steps', {}).get('rows', [])
  if rows:
    lines += [
        '', f'{settings["network"]}, {settings["image_size"]} pixels,'
        f' {device["madds"] / 1e6:.1f} million MAdds a forward pass:', '',
        table_text(Table('', (
            'type', 'batch', 'step', 'images/s', 'quartiles',
            'share of the bfloat16 peak', 'peak memory, GiB', 'compile, s',
        ), tuple(
            _cells(row, (device['madds'], peak and peak['tflops']))
            for row in rows
        ))),
    ]
  return '\n'.join(lines) + '\n'


def _cells(
    row: Mapping[str, Any], figures: tuple[int, float | None] | None
) -> list[str]:
  """A row of the table, or its words.

  Args:
    row: of a step.
    figures: MAdds of a forward pass and the device's peak; None leaves their
      column out.
  """
  begin = [row['dtype'], str(row['batch']), FORMS[row['form']]]
  if row['status'] != 'ok':
    message = f': {row["message"]}' if 'message' in row else ''
    rest = ['-'] * 4 if figures else []
    return [*begin, row['status'] + message, *rest]
  low, middle, high = row['images_per_second']
  shares = []
  if figures:
    share = share_of_peak(middle, *figures)
    shares = ['unknown' if share is None else f'{share:.1%}']
  compiled = row['compile_seconds']
  cells = [
      f'{middle:,.0f}', f'{low:,.0f} to {high:,.0f}', *shares,
      _gibibytes(row['peak_bytes']),
      '-' if compiled is None else f'{compiled:.0f}',
  ]
  return [*begin, *(cells if figures else [f'{middle:,.0f} images/s'])]


def _gibibytes(size: int | None) -> str:
  return 'unknown' if size is None else f'{size / 2**30:.1f}'


_FLAGS = flags.FLAGS
_KINDS_OUTPUT = 'docs/results/accelerator'


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  default = Settings()
  cli.define_path(
      'output', 'Where the results are written. Default:'
      f' {_KINDS_OUTPUT}/NAME, NAME being that of the device.',
  )
  flags.DEFINE_enum(
      'mode', 'measure', ['measure', 'report'], 'What is done.'
  )
  flags.DEFINE_multi_enum(
      'section', list(SECTIONS), list(SECTIONS), 'What is tried.'
  )
  flags.DEFINE_float(
      'minutes', default.minutes, 'That the program may take.', 0.1
  )
  flags.DEFINE_string(
      'network', default.network, 'That is timed: a published one, or'
      ' module:function that gives a specification.',
  )
  flags.DEFINE_integer(
      'image_size', default.image_size, 'Of it, in pixels.', 1
  )
  flags.DEFINE_list(
      'batches', list(map(str, default.batches)),
      'Images of its steps, the most important first.',
  )
  flags.DEFINE_integer(
      'trials', default.trials, 'Of a search on the embedded images.', 1
  )
  flags.DEFINE_float(
      'peak_tflops', None,
      '1e12 bfloat16 operations a second of the device, where'
      ' tools/perf/device_peaks.py does not know it.', 1e-3,
  )


def _settings() -> Settings:
  try:
    batches = tuple(map(int, _FLAGS.batches))
  except ValueError:
    batches = ()
  if not batches or min(batches) < 1:
    raise UserError(
        f'flag --batches: {",".join(_FLAGS.batches)!r}: allowed are integers'
        ' >= 1, joined by commas'
    )
  return Settings(
      _FLAGS.minutes, _FLAGS.network, _FLAGS.image_size, batches,
      _FLAGS.trials, _FLAGS.peak_tflops,
  )


def main() -> None:
  """Measures and writes, or writes the page again."""
  if _FLAGS.mode == 'report':
    if not _FLAGS.output:
      raise UserError('flag --output: missing; allowed with --mode=report is a'
                      ' directory with accelerator.json')
    _write_page(pathlib.Path(_FLAGS.output))
    return
  settings = _settings()
  print(f'at most {settings.minutes:g} minutes; looking for the device',
        flush=True)
  with tempfile.TemporaryDirectory() as scratch:
    box = Box(settings, pathlib.Path(scratch))
    kind = box.device['kind']
    name = re.sub(r'[^\w.]+', '-', kind)
    output = pathlib.Path(_FLAGS.output or f'{_KINDS_OUTPUT}/{name}')
    output.mkdir(parents=True, exist_ok=True)
    box.say(f'{kind}; results go to {output}')

    def keep(found: Mapping[str, Found]) -> None:
      stored = {
          'date': datetime.date.today().isoformat(), 'device': box.device,
          'machine': machine(), 'peak': _peak(settings, kind),
          'settings': dataclasses.asdict(settings),
          'seconds': round(box.seconds(), 1), 'sections': found,
      }
      path = output / 'accelerator.json'
      path.write_text(json.dumps(stored, indent=1) + '\n')
      _write_page(output)

    measure(box, {
        name: SECTIONS[name] for name in SECTIONS if name in _FLAGS.section
    }, keep)
  print((output / 'accelerator.md').read_text())


def _peak(settings: Settings, kind: str) -> dict[str, Any] | None:
  known = peak_of(kind)
  if settings.peak:
    return {'tflops': settings.peak, 'source': '--peak_tflops'}
  return {'tflops': known[0], 'source': known[1]} if known else None


def _write_page(output: pathlib.Path) -> None:
  stored = json.loads((output / 'accelerator.json').read_text())
  (output / 'accelerator.md').write_text(report(stored))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)

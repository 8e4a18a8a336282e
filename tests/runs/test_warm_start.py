"""Searches that begin with what others found; trainings are made up."""

import itertools
import json
import pathlib
import shutil

import pytest
from ml_collections import ConfigDict

from layernas.errors import UserError
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.reports.hooks import Hook
from layernas.runs import evaluator
from layernas.runs.plan import Speed
from layernas.runs.plan import make_plan
from layernas.runs.plan import sizes_of
from layernas.runs.run_search import run_search
from layernas.runs.warm_start import WARM_START_FILE
from layernas.training.train import Job
from layernas.training.train import TrainResult
from tests import tiny

_LIMIT = 60_000.0


@pytest.fixture(name='trained', autouse=True)
def _trained(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
  """The trainings, whose results are made up."""
  jobs: list[Job] = []

  def train(job: Job, *args: object, **kwargs: object) -> TrainResult:
    jobs.append(job)
    madds = job.network.counts(16, 10).madds
    return TrainResult({'accuracy': (madds + job.seed % 997) / 1e5}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', train)
  return jobs


def _config(**changes: object):
  return tiny.changed(**{
      'compile_ahead': 0, 'budget.trials': 6, 'target.high': _LIMIT, **changes
  })


def _guided(**changes: object):
  return _config(**{
      'search.schedule': 'model_guided', 'search.guided.design': 3,
      'search.guided.batch': 2, **changes
  })


def _trials(workdir: pathlib.Path) -> list[dict]:
  lines = (workdir / 'trials.jsonl').read_text().splitlines()
  return list(map(json.loads, lines))


def _begun_again(config: ConfigDict, workdir: pathlib.Path) -> pathlib.Path:
  """Searches again, with no more than what the workdir says it knew."""
  again = workdir.with_name('again')
  shutil.copytree(workdir, again)
  (again / 'trials.jsonl').write_text('')
  shutil.rmtree(again / 'checkpoints')
  run_search(config, again)
  return again


def _architectures(workdir: pathlib.Path) -> list[str]:
  return [trial['architecture'] for trial in _trials(workdir)]


def _start(workdir: pathlib.Path) -> str:
  return json.loads((workdir / 'tables.json').read_text())[0]['start']


class _EndsAfter(Hook):
  """Ends the search as Ctrl-C does, when so many trials are on disk."""

  def __init__(self, trials: int):
    self._trials = trials

  def after_trial(self, trial) -> None:
    if trial.candidate.id + 1 == self._trials:
      raise KeyboardInterrupt


@pytest.mark.long
def test_a_pass_starts_at_option_numbers_and_at_a_result(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  run_search(_config(**{'search.start': '0-1-1'}), tmp_path / 'numbers')
  assert _start(tmp_path / 'numbers') == '0-1-1'
  assert 'start network: 0-1-1, ' in capsys.readouterr().out
  winner = run_search(_config(), tmp_path / 'other')['winner']['architecture']
  result = tmp_path / 'other' / 'result.json'
  config = _config(**{'search.start': str(result)})
  workdir = tmp_path / 'from_result'
  with pytest.raises(KeyboardInterrupt):
    run_search(config, workdir, [_EndsAfter(2)])
  # It goes on where it began, though the file is gone.
  result.rename(tmp_path / 'moved.json')
  run_search(config, workdir)
  assert _start(workdir) == winner
  # Nothing new is asked of older workdirs.
  assert not (tmp_path / 'other' / WARM_START_FILE).exists()


@pytest.mark.long
def test_a_published_network_that_the_space_has(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setitem(
      REFERENCE_NETWORKS, 'tiny', tiny.space().network((0, 1, 1))
  )
  run_search(_config(**{'search.start': 'tiny'}), tmp_path / 'held')
  assert _start(tmp_path / 'held') == '0-1-1'
  with pytest.raises(UserError) as error:
    run_search(_config(**{'search.start': 'mnasnet_a1'}), tmp_path / 'other')
  assert "networks that it has: ['tiny']" in str(error.value)


@pytest.mark.long
def test_a_schedule_without_undecided_layers_trains_the_start_first(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  run_search(_guided(**{'search.start': '0-1-1'}), tmp_path)
  assert _architectures(tmp_path)[0] == '0-1-1'
  assert 'first network: 0-1-1' in capsys.readouterr().out
  with pytest.raises(UserError, match=r'search\.start.*outside the target'):
    run_search(_guided(**{'search.start': '1-1-1'}), tmp_path / 'dear')


@pytest.mark.parametrize('config', [
    pytest.param(_config, marks=pytest.mark.long), _guided,
])
def test_a_queue_is_tried_first_and_survives_a_kill(
    tmp_path: pathlib.Path, config, capsys: pytest.CaptureFixture[str]
) -> None:
  queue = tmp_path / 'queue.txt'
  queue.write_text('# by hand\n0-1-1\n\n0-0-1  # another\n0-1-1\n')
  changed = config(**{'search.enqueue': str(queue)})
  run_search(changed, tmp_path / 'whole')
  assert _architectures(tmp_path / 'whole')[:2] == ['0-1-1', '0-0-1']
  assert f'enqueued: 2 architectures of {queue}\n' in capsys.readouterr().out
  workdir = tmp_path / 'killed'
  with pytest.raises(KeyboardInterrupt):
    run_search(changed, workdir, [_EndsAfter(1)])
  # What it began with counts, whatever becomes of the file.
  queue.write_text('not an architecture\n')
  run_search(changed, workdir)
  assert _architectures(workdir) == _architectures(tmp_path / 'whole')


@pytest.mark.long
def test_a_queue_may_be_what_another_search_wrote(
    tmp_path: pathlib.Path
) -> None:
  result = run_search(_config(), tmp_path / 'other')
  for name, first in (
      ('result.json', [result['winner']['architecture']]),
      ('trials.jsonl', [
          trial['architecture'] for trial in _trials(tmp_path / 'other')
          if trial['cost'] <= _LIMIT
      ]),
  ):
    file = tmp_path / 'other' / name
    workdir = tmp_path / f'from_{name}'
    run_search(_config(**{'seed': 1, 'search.enqueue': str(file)}), workdir)
    assert _architectures(workdir)[:len(first)] == first


@pytest.mark.parametrize('name', [
    pytest.param('sweep', marks=pytest.mark.long),
    pytest.param('interleaved', marks=pytest.mark.long), 'model_guided',
])
def test_known_trials_answer_and_are_kept(
    tmp_path: pathlib.Path, trained: list[Job], name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
  # Of another seed, target and schedule, and of images that were prepared
  # elsewhere: the task is the same.
  other = tmp_path / 'other'
  before = run_search(_config(**{
      'seed': 3, 'search.schedule': 'recentred', 'reference.trainings': 1,
      'budget.trials': 2, 'data.augment_on': 'device',
  }), other)
  architectures = set(_architectures(other))
  config = _config(**{
      'search.schedule': name, 'search.known': str(other), 'budget.trials': 3,
      'target.high': 50_000.0,
  })
  workdir = tmp_path / 'warm'
  trained.clear()
  with pytest.raises(KeyboardInterrupt):
    run_search(config, workdir, [_EndsAfter(1)])
  assert f'of {other}\n' in capsys.readouterr().out
  # The other search is not needed any more.
  shutil.rmtree(other)
  result = run_search(config, workdir)
  assert result['known'] == sum(before['trials'].values())
  assert len(_trials(workdir)) <= 3
  assert len(trained) == len(_trials(workdir))
  if name != 'model_guided':
    assert result['reused']
    assert not architectures & set(_architectures(workdir))
  assert _trials(_begun_again(config, workdir)) == _trials(workdir)


@pytest.mark.long
def test_what_a_search_knew_is_known_to_the_next_one(
    tmp_path: pathlib.Path
) -> None:
  names = [tmp_path / name for name in ('first', 'second', 'third')]
  run_search(_config(**{'budget.trials': 3}), names[0])
  for before, name in itertools.pairwise(names):
    result = run_search(_config(**{
        'search.known': str(before), 'budget.trials': 1
    }), name)
  assert result['known'] == 4
  both = f'{names[0]}, {names[1]}'
  result = run_search(_config(**{'search.known': both}), tmp_path / 'both')
  assert result['known'] == 4


@pytest.mark.parametrize(('changes', 'words'), [
    ({'training.epochs': 0.5}, ['another task', 'training.epochs was 0.25']),
    pytest.param(
        {'reward': 'loss'}, ['another task', 'reward was'],
        marks=pytest.mark.long,
    ),
    pytest.param(
        {'data.validation_share': 0.3}, ['another task', 'validation_share'],
        marks=pytest.mark.long,
    ),
    ({'space': 'tests.tiny:deep_space', 'search.enqueue': ''},
     ['content of space is another', 'tests.tiny:space']),
])
def test_trials_of_another_task_are_refused(
    tmp_path: pathlib.Path, changes: dict[str, object], words: list[str]
) -> None:
  run_search(_config(**{'budget.trials': 1}), tmp_path / 'other')
  known = {'search.known': str(tmp_path / 'other'), 'target.high': 0.0}
  with pytest.raises(UserError) as error:
    run_search(_config(**known | changes), tmp_path / 'warm')
  for word in ('search.known', *words):
    assert word in str(error.value)
  assert '\n' not in str(error.value)
  assert not (tmp_path / 'warm').exists()


@pytest.mark.long
def test_a_reward_model_learns_from_another_task(
    tmp_path: pathlib.Path, trained: list[Job],
    capsys: pytest.CaptureFixture[str],
) -> None:
  other = tmp_path / 'other'
  run_search(_config(**{'budget.trials': 4}), other)
  found = len(_trials(other))
  # Of the same other task, whose trials are joined, and of a third one.
  run_search(_config(**{'budget.trials': 1, 'seed': 5}), tmp_path / 'more')
  run_search(_config(**{
      'budget.trials': 2, 'data.validation_share': 0.3
  }), tmp_path / 'third')
  names = [other, tmp_path / 'more', tmp_path / 'third']
  config = _guided(**{
      'search.known': ','.join(map(str, names)), 'training.epochs': 0.5,
      'budget.trials': 5, 'target.high': 0.0,
  })
  workdir = tmp_path / 'warm'
  trained.clear()
  with pytest.raises(KeyboardInterrupt):
    run_search(config, workdir, [_EndsAfter(2)])
  lines = capsys.readouterr().out.replace('\n', ' ')
  assert f'known: {found} trials of {other}, as another task:' in lines
  assert 'training.epochs was 0.25 and is 0.5' in lines
  assert 'data.validation_share was 0.3 and is 0.2' in lines
  kept = json.loads((workdir / WARM_START_FILE).read_text())
  assert not kept['known']
  assert [len(trials) for trials in kept['others']] == [found + 1, 2]
  # The other searches are not needed any more.
  for name in names:
    shutil.rmtree(name)
  result = run_search(config, workdir)
  assert (result['known'], result['other_tasks']) == (0, [found + 1, 2])
  assert len(trained) == len(_trials(workdir)) == 5
  assert _trials(_begun_again(config, workdir)) == _trials(workdir)


@pytest.mark.long
def test_the_same_layers_on_images_of_another_size_are_another_task(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str],
) -> None:
  # The width-scaled network, a part of the space, depends on the images.
  fields = {'reference.trainings': 1, 'budget.trials': 8}
  run_search(_config(**fields), tmp_path / 'small')
  config = _guided(**fields | {
      'search.known': str(tmp_path / 'small'), 'data.image_size': 24,
      'target.high': 130_000.0,
  })
  result = run_search(config, tmp_path / 'large')
  assert len(result['other_tasks']) == 1
  lines = capsys.readouterr().out.replace('\n', ' ')
  assert 'as another task: data.image_size was 16 and is 24' in lines
  assert 'content of space' not in lines
  # Of an older workdir only the whole space can be compared.
  file = tmp_path / 'small' / 'inputs.json'
  inputs = json.loads(file.read_text())
  del inputs['layers']
  file.write_text(json.dumps(inputs))
  with pytest.raises(UserError, match=r'space is another \(it was not recor'):
    run_search(config, tmp_path / 'older')


@pytest.mark.long
def test_what_was_edited_since_is_another_task(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  other = tmp_path / 'other'
  run_search(_config(**{'budget.trials': 2}), other)
  inputs = json.loads((other / 'inputs.json').read_text())
  inputs['data']['digest'] = '0'
  (other / 'inputs.json').write_text(json.dumps(inputs))
  known = {'search.known': str(other)}
  with pytest.raises(UserError, match=r'another task .*content of data'):
    run_search(_config(**known), tmp_path / 'sweep')
  run_search(_guided(**known), tmp_path / 'warm')
  assert 'as another task: content of data' in (
      capsys.readouterr().out.replace('\n', ' ')
  )


@pytest.mark.parametrize(('field', 'text', 'words'), [
    ('start', 'middle', ['search.start', "'middle'", 'default', 'published']),
    ('start', '0-1', ['search.start', '2 options', '3 layers']),
    ('start', '0-1-7', ['search.start', 'option 7']),
    ('start', 'FILE.json', ['search.start', 'no winner']),
    ('start', 'TEXT.json', ['TEXT.json', 'damaged']),
    ('enqueue', 'NUMBER.json', ['NUMBER.json', 'damaged']),
    ('enqueue', 'nowhere.txt', ['search.enqueue', 'no such file']),
    ('enqueue', 'FILE.txt', ['FILE.txt, line 3', 'option 9']),
    ('enqueue', 'BAD.txt', ['BAD.txt, line 1', "'0,1,1'", '0-3-1']),
    ('enqueue', 'DEAR.txt', ['DEAR.txt, line 2', '66,000', 'outside']),
    ('enqueue', 'EMPTY.txt', ['EMPTY.txt', 'no architecture']),
    ('enqueue', 'BAD.jsonl', ['BAD.jsonl, line 2', 'no trial']),
    ('enqueue', 'OTHER.json', ['OTHER.json', "space 'mine'", 'tiny:space']),
    ('known', 'nowhere', ['search.known', "'nowhere'", 'workdirs']),
    ('known', 'broken', ['search.known', "'broken'", 'holds no config']),
])
def test_what_does_not_fit_is_refused_before_anything_is_trained(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, field: str,
    text: str, words: list[str], trained: list[Job],
) -> None:
  monkeypatch.chdir(tmp_path)
  other = tiny.deep_space().network((0,)).to_dict()
  for name, content in {
      'TEXT.json': '{"winner": "0-1-1"}',
      'NUMBER.json': json.dumps({'winner': {
          'architecture': 1, 'network': tiny.space().network((0,) * 3).to_dict()
      }}),
      'FILE.json': '{}', 'FILE.txt': '0-1-1\n\n0-0-9\n', 'BAD.txt': '0,1,1',
      'DEAR.txt': '0-1-1\n1-1-1\n', 'EMPTY.txt': '# none\n',
      'BAD.jsonl': '{"architecture": "0-1-1"}\n[]\n',
      'OTHER.json': json.dumps({
          'winner': {'architecture': '0', 'network': other},
          'config': {'space': 'mine'},
      }),
  }.items():
    (tmp_path / name).write_text(content)
  (tmp_path / 'broken').mkdir()
  (tmp_path / 'broken' / 'config.json').write_text('[]')
  with pytest.raises(UserError) as error:
    run_search(_config(**{f'search.{field}': text}), tmp_path / 'workdir')
  for word in words:
    assert word in str(error.value)
  assert '\n' not in str(error.value)
  assert not trained
  assert not (tmp_path / 'workdir').exists()


@pytest.mark.long
def test_a_workdir_belongs_to_what_it_began_with(
    tmp_path: pathlib.Path
) -> None:
  for name in ('one', 'two'):
    (tmp_path / name).write_text('0-1-1\n')
  config = _config(**{'search.enqueue': str(tmp_path / 'one')})
  run_search(config, tmp_path / 'w')
  with pytest.raises(UserError, match=r'search\.enqueue was .*one'):
    run_search(
        _config(**{'search.enqueue': str(tmp_path / 'two')}), tmp_path / 'w'
    )


def test_the_plan_reads_the_start_network() -> None:
  dataset = sizes_of(_config(), 100, 20, 20, 10)
  with pytest.raises(UserError, match='option 7'):
    make_plan(_config(**{'search.start': '0-1-7'}), dataset, Speed(1.0))


def test_the_plan_misses_a_search_that_is_not_there() -> None:
  dataset = sizes_of(_config(), 100, 20, 20, 10)
  with pytest.raises(UserError, match=r"known: 'nowhere': allowed"):
    make_plan(_config(**{'search.known': 'nowhere'}), dataset, Speed(1.0))

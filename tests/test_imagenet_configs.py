"""The ImageNet configs: targets, bound, and both recipes."""

import importlib
import re

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs.recipes import RECIPES
from layernas.data.dataset import held_out_count
from layernas.reports.console import opening_lines
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import make_space
from layernas.search import Evaluation
from layernas.training.checks import check_training
from layernas.training.optimizer import learning_rate
from layernas.training.programs import create_model
from tests import tiny

# Config -> space, million MAdds of its name, dropout of the final training.
_CONFIGS = {
    'imagenet_v3_small_60m': ('mobilenet_v3_small', 60, 0.25),
    'imagenet_v3_large_220m': ('mobilenet_v3_large', 220, 0.25),
    'imagenet_v3_large_220m_no_se': ('mobilenet_v3_large_no_se', 220, 0.25),
    'imagenet_v2_300m': ('mobilenet_v2', 300, 0.15),
    'imagenet_v2_300m_se': ('mobilenet_v2_se', 300, 0.15),
    'imagenet_v2_600m': ('mobilenet_v2_1.4', 600, 0.15),
}
_STEPS_PER_EPOCH = 300


def _load(name: str, argument: str = '') -> ConfigDict:
  return importlib.import_module(f'configs.{name}').get_config(argument)


def _search(config: ConfigDict, classes: int):
  space = make_space(config.space)
  problem = make_problem(config, space, config.data.image_size, classes)
  return make_search(config, problem)


@pytest.mark.parametrize('name', _CONFIGS)
def test_space_target_and_dropout(name: str) -> None:
  config = _load(name)
  space, millions, dropout = _CONFIGS[name]
  assert config.space == space
  assert config.target.high == millions * 1e6
  assert config.target.low == pytest.approx(0.9 * millions * 1e6)
  assert config.model.dropout == dropout
  search = _search(config, 1000)
  reference = search.problem.cost.cost(search.problem.space.default)
  # MobileNetV2 is the one with a little more than its name says.
  assert (reference in search.problem.target) == ('v2_300m' not in name)
  [candidate] = search.ask()
  assert candidate.layer == 1


def test_the_printed_bound_is_that_of_the_paper() -> None:
  search = _search(_load('imagenet_v3_small_60m'), 1000)
  assert search.bound == 100 * 1160
  assert 'bound: H * keep * sum|S_l| = 116,000 trials' in opening_lines(search)


@pytest.mark.parametrize('name', _CONFIGS)
def test_the_docs_have_the_trials_of_a_sweep(name: str) -> None:
  search = _search(_load(name), 1000)
  rng = np.random.default_rng(0)
  while candidates := search.ask(1000):
    for candidate in candidates:
      search.tell(candidate.id, Evaluation(float(rng.random())))
  assert len(search.trials) <= search.bound
  text = (tiny.ROOT / 'docs' / 'imagenet_spaces.md').read_text()
  assert (
      f'| `{name}` | {search.bound:,} | {len(search.trials):,} |\n' in text
  )


def test_the_docs_have_the_bound_of_the_shorter_sweep() -> None:
  config = _load('imagenet_v3_small_60m').unlock()
  config.search.buckets = 5
  text = (tiny.ROOT / 'docs' / 'imagenet_spaces.md').read_text()
  [line] = re.findall(r'--config.search.buckets=5 +#.*', text)
  assert line.endswith(f'at most {_search(config, 1000).bound:,} trials')


def test_the_readme_says_which_configs_were_not_run() -> None:
  text = (tiny.ROOT / 'README.md').read_text()
  rows = re.findall(r'\| `(imagenet_\w+)` \| (.*) \|\n', text)
  assert len(rows) == 5
  for name, run in rows:
    assert name in _CONFIGS
    stored = (tiny.ROOT / 'docs' / 'results' / name).exists()
    assert (run == 'not run by us') != stored


@pytest.mark.parametrize('schedule', ['sweep', 'interleaved'])
@pytest.mark.parametrize('name', _CONFIGS)
def test_every_schedule_reaches_the_target(name: str, schedule: str) -> None:
  config = _load(name).unlock()
  config.search.schedule = schedule
  config.search.buckets = 2
  config.search.start = 'random'
  config.budget.trials = 100
  search = _search(config, 1000)
  while candidates := search.ask():
    [candidate] = candidates
    search.tell(candidate.id, Evaluation(candidate.cost / 1e9))
  assert search.best.candidate.cost in search.problem.target


@pytest.mark.parametrize('recipe', ['', 'mobilenet_v3'])
@pytest.mark.parametrize('name', _CONFIGS)
def test_smoke(name: str, recipe: str) -> None:
  config = _load(name, ','.join(filter(None, ['smoke', recipe])))
  assert config.is_locked
  assert 32 <= config.data.image_size <= 64
  assert config.data.train_split == 'train[:2048]'
  assert config.data.test_split == 'validation[:2048]'
  assert config.model.dtype == 'bfloat16'
  for section in ('training', 'final'):
    check_training(config, section)
    assert not config[section].batch_size % 8
  for classes in (4, 1000):
    search = _search(config, classes)
    assert search.bound == 2
    [candidate] = search.ask()
    assert candidate.cost in search.problem.target
    # The limit is one: the largest network does not keep it.
    assert search.problem.cost.interval(candidate.architecture, ())[1] > (
        search.problem.target.high
    )


def test_unknown_words_are_refused() -> None:
  for argument in ('tiny', 'smoke,tiny', 'smoke,mobilenet_v2'):
    with pytest.raises(ValueError, match=r"are 'smoke' and one of .*v3"):
      _load('imagenet_v2_300m', argument)


def test_candidates_are_validated_on_held_out_training_images() -> None:
  data = _load('imagenet_v3_small_60m').data
  assert held_out_count(1_281_167, data.validation_share) == 50_046
  assert data.train_split == 'train'
  assert data.test_split == 'validation'
  assert (data.image_size, data.num_classes) == (224, 1000)
  assert data.augmentation == 'resized_crop'


def test_tunas_is_the_default() -> None:
  config = _load('imagenet_v3_small_60m')
  assert config.to_json() == _load('imagenet_v3_small_60m', 'tunas').to_json()
  assert (config.training.epochs, config.final.epochs) == (5.0, 500.0)
  for training in (config.training, config.final):
    assert training.optimizer == 'rmsprop'
    assert (training.rms_decay, training.momentum) == (0.9, 0.9)
    assert training.rms_epsilon == 1.0
    assert training.batch_size == 4096
    assert training.schedule == 'cosine'
    # 2.5 % of the run.
    assert training.warmup_epochs == pytest.approx(training.epochs / 40)
    assert training.weight_decay == 4e-5
    assert training.weight_decay_excludes == 'batch_norm,bias,classifier'
    assert training.label_smoothing == 0.1
    assert training.ema_decay == 0.0
  assert config.model.batch_norm_momentum == 0.99
  assert config.model.batch_norm_epsilon == 1e-3
  rate = learning_rate(config.final, _STEPS_PER_EPOCH)
  assert float(rate(12.5 * _STEPS_PER_EPOCH)) == pytest.approx(2.64)


def test_mobilenet_v3_is_the_alternative() -> None:
  config = _load('imagenet_v3_small_60m', 'mobilenet_v3')
  final = config.final
  assert (config.training.epochs, final.epochs) == (5.0, 350.0)
  assert (final.optimizer, final.rms_decay, final.momentum) == (
      'rmsprop', 0.9, 0.9
  )
  assert final.rms_epsilon == 1e-3
  assert final.batch_size == 1024
  assert final.warmup_epochs == 5.0
  assert (final.weight_decay, final.weight_decay_excludes) == (
      1e-5, 'batch_norm'
  )
  assert (final.label_smoothing, final.ema_decay) == (0.1, 0.9999)
  rate = learning_rate(final, _STEPS_PER_EPOCH)
  # 0.016 per 256 images; two steps of 2.4 epochs lie within the warm-up.
  steps = 5 * _STEPS_PER_EPOCH
  assert float(rate(steps)) == pytest.approx(0.064 * 0.97**2)
  assert float(rate(7.2 * _STEPS_PER_EPOCH)) == pytest.approx(0.064 * 0.97**3)
  # A candidate sees the whole fall in its 5 epochs.
  short = learning_rate(config.training, _STEPS_PER_EPOCH)
  last = 350 * _STEPS_PER_EPOCH - 1
  assert float(short(5 * _STEPS_PER_EPOCH - 1)) == pytest.approx(
      float(rate(last)), rel=0.15
  )


@pytest.mark.parametrize(
    ('argument', 'candidate', 'final'),
    [('', 0.0, 0.25), ('mobilenet_v3', 0.2, 0.2)],
)
def test_dropout_by_the_length_of_the_run(
    argument: str, candidate: float, final: float
) -> None:
  config = _load('imagenet_v3_large_220m', argument).unlock()
  network = make_space(config.space).base
  assert create_model(config, network, 1000).dropout_rate == candidate
  config.training = config.final
  assert create_model(config, network, 1000).dropout_rate == final


def test_recipes_name_only_fields_that_exist() -> None:
  config = _load('imagenet_v2_300m')
  for recipe in RECIPES.values():
    assert set(recipe) == {'training', 'model'}
    for section, fields in recipe.items():
      assert set(fields) <= set(config[section])

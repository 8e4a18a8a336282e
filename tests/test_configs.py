"""Every config loads, is locked, can be shrunk, and refuses other arguments."""

import gzip
import importlib
import itertools
import pathlib
import re

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import imagenet
from configs.default import split_argument
from layernas.data.dataset import held_out_count
from layernas.reports.console import opening_lines
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import make_space
from layernas.search import Evaluation
from layernas.search import Search
from layernas.study.setup import check_study
from layernas.study.setup import make_benchmark
from layernas.training.checks import check_training
from layernas.training.optimizer import learning_rate
from layernas.training.programs import create_model
from tests import tiny

_CONFIGS = tiny.ROOT / 'configs'
# Files that are no runs of their own.
_DEFAULTS = ('default', 'study.default')
_NATS = ('topology', 'paper', 'latency', 'size', 'official')
_ABLATIONS = ('buckets', 'keep', 'start', 'order', 'spacing', 'schedule')

# Module -> its variants; none where it takes `smoke` alone.
_VARIANTS = {
    'cifar10_small': (),
    'imagenet': tuple(imagenet.VARIANTS),
    'study.ablation': _ABLATIONS,
    'study.audit': (),
    'study.macro': (),
    'study.nats': _NATS,
    'study.own_table': (),
    'study.search_quality': (),
    'study.synthetic': (),
    'study.trace_example': (),
}
_ALL = [
    f'{module}:{variant}'.removesuffix(':')
    for module, variants in _VARIANTS.items() for variant in variants or ('',)
]
_STUDIES = [
    name for name in _ALL
    if name.startswith('study.') and name != 'study.audit'
]

_STEPS_PER_EPOCH = 300


def _load(name: str, *words: str) -> ConfigDict:
  """The config of 'module' or 'module:variant', with further words."""
  module, _, variant = name.partition(':')
  argument = ','.join(filter(None, (variant, *words)))
  return importlib.import_module(f'configs.{module}').get_config(argument)


def _search(config: ConfigDict, classes: int) -> Search:
  space = make_space(config.space)
  problem = make_problem(config, space, config.data.image_size, classes)
  return make_search(config, problem)


def _text(document: str) -> str:
  return (tiny.ROOT / document).read_text()


def test_the_table_above_names_every_config() -> None:
  found = {
      '.'.join(path.relative_to(_CONFIGS).with_suffix('').parts)
      for path in _CONFIGS.rglob('*.py')
  }
  assert found == {*_VARIANTS, *_DEFAULTS}


@pytest.mark.parametrize('name', _ALL)
def test_mistyped_fields_fail(name: str) -> None:
  config = _load(name)
  assert config.is_locked
  with pytest.raises(AttributeError):
    config.bucket = 3


@pytest.mark.parametrize('module', _VARIANTS)
def test_a_config_opens_with_its_command(module: str) -> None:
  text = importlib.import_module(f'configs.{module}').__doc__
  assert './launch.sh' in text
  assert 'xpect' in text
  if module.startswith('study.'):
    for variant in _VARIANTS[module]:
      assert variant in text


@pytest.mark.parametrize('module', _VARIANTS)
def test_unknown_arguments_are_refused(module: str) -> None:
  variants = _VARIANTS[module]
  wrong = ['', 'smoke', 'tiny', *(f'{each},tiny' for each in variants[:1])]
  for argument in wrong if variants else ['tiny', 'smoke,smoke']:
    with pytest.raises(ValueError, match=r'allowed (is|are) .*smoke') as raised:
      _load(module, argument)
    for variant in variants:
      assert variant in str(raised.value)


@pytest.mark.parametrize('argument', [
    '', 'c', 'x', 'a,b', 'a,a', 'a,c,d', 'a,e,e', 'a,x', 'a,'
])
def test_arguments_have_one_variant_and_at_most_one_word_of_a_group(
    argument: str
) -> None:
  message = (
      f'config argument {argument!r}: allowed is one of a, b, and behind it,'
      ' joined by commas, c or d, e'
  )
  with pytest.raises(ValueError, match=re.escape(message)):
    split_argument(argument, 'ab', 'cd', 'e')


def test_words_come_in_any_order() -> None:
  assert split_argument('a', 'ab', 'cd', 'e') == ('a', '', '')
  assert split_argument('b,d,e', 'ab', 'cd', 'e') == ('b', 'd', 'e')
  assert split_argument('e,b,d', 'ab', 'cd', 'e') == ('b', 'd', 'e')


@pytest.mark.parametrize('module', _DEFAULTS)
def test_every_default_field_has_a_comment(module: str) -> None:
  """A line `config.field = value` has its explanation above it."""
  path = _CONFIGS / f'{module.replace(".", "/")}.py'
  fields = 0
  for above, line in itertools.pairwise(path.read_text().splitlines()):
    if re.match(r'  \w+\.[\w.]+ = ', line) and 'ConfigDict()' not in line:
      fields += 1
      shared = re.match(r'  \w+\.[\w.]+ = ', above)
      assert above.strip().startswith('#') or shared, line
  assert fields > 20


@pytest.mark.parametrize('words', [(), ('smoke',)])
def test_cifar10_small_describes_a_search(words: tuple[str, ...]) -> None:
  config = _load('cifar10_small', *words)
  for section in ('training', 'final'):
    check_training(config, section)
  assert _search(config, 10).ask()


@pytest.mark.parametrize('words', [(), ('smoke',)])
@pytest.mark.parametrize('name', _STUDIES)
def test_a_study_has_what_it_needs(name: str, words: tuple[str, ...]) -> None:
  config = _load(name, *words)
  check_study(config)
  if words:
    assert config.seeds <= 4
  for section in config.benchmarks.values():
    for field in (section.signal, section.metric, section.protocol):
      assert field


# Between them the benchmarks of every study but the official tables.
@pytest.mark.parametrize('name', [
    'study.search_quality', 'study.nats:latency', 'study.macro',
    'study.nats:size', 'study.synthetic', 'study.own_table',
])
def test_a_study_has_networks_in_its_target(name: str) -> None:
  for benchmark, section in _load(name).benchmarks.items():
    assert make_benchmark(benchmark, section).networks[1]


@pytest.mark.parametrize('varied', _ABLATIONS)
def test_an_ablation_varies_layernas_alone(varied: str) -> None:
  methods = _load(f'study.ablation:{varied}').methods
  assert len(methods) >= 3
  assert {method.kind for method in methods.values()} == {'layernas'}


def test_the_official_table_of_the_size_space(tmp_path: pathlib.Path) -> None:
  """A table with the columns that the converter writes."""
  datasets = ('c10', 'c100', 'in16')
  columns = [
      f'{name}_{d}' for name in ('val12', 'test90', 'mflops', 'simcost12')
      for d in datasets
  ]
  path = tmp_path / 'size.csv.gz'
  widths = itertools.product(range(8, 65, 8), repeat=5)
  with gzip.open(path, 'wt', compresslevel=1) as file:
    file.write(','.join(['index', 'arch', *columns]) + '\n')
    for index, each in enumerate(widths):
      figure = f'{sum(each) / 2:.6f}'
      file.write(','.join([
          str(index), ':'.join(map(str, each)), *[figure] * len(columns)
      ]) + '\n')
  config = _load('study.nats:official')
  seconds = {'c10': 20_000, 'c100': 40_000, 'in16': 60_000}
  for dataset in datasets:
    section = config.benchmarks[f'nats_sss_{dataset}']
    assert section.budget.seconds == seconds[dataset]
  section.table.file = str(path)
  assert make_benchmark('in16', section).optimum == 35 - 35 % 4


# Variant -> space, million MAdds of its name, dropout of the final training.
@pytest.mark.parametrize(('variant', 'space', 'millions', 'dropout'), [
    ('v3_small_60m', 'mobilenet_v3_small', 60, 0.25),
    ('v3_large_220m', 'mobilenet_v3_large', 220, 0.25),
    ('v3_large_220m_no_se', 'mobilenet_v3_large_no_se', 220, 0.25),
    ('v2_300m', 'mobilenet_v2', 300, 0.15),
    ('v2_300m_se', 'mobilenet_v2_se', 300, 0.15),
    ('v2_600m', 'mobilenet_v2_1.4', 600, 0.15),
])
def test_imagenet_space_target_and_dropout(
    variant: str, space: str, millions: int, dropout: float
) -> None:
  config = imagenet.get_config(variant)
  for section in ('training', 'final'):
    check_training(config, section)
  assert config.space == space
  assert config.target.high == millions * 1e6
  assert config.target.low == pytest.approx(0.9 * millions * 1e6)
  assert config.model.dropout == dropout
  search = _search(config, 1000)
  reference = search.problem.cost.cost(search.problem.space.default)
  # MobileNetV2 is the one with a little more than its name says.
  assert (reference in search.problem.target) == ('v2_300m' not in variant)
  [candidate] = search.ask()
  assert candidate.layer == 1
  row = f'| `{variant}` | {search.bound:,} |'
  assert row in _text('docs/imagenet_spaces.md')


def test_the_printed_bound_is_that_of_the_paper() -> None:
  search = _search(imagenet.get_config('v3_small_60m'), 1000)
  assert search.bound == 100 * 1160
  assert 'bound: H * keep * sum|S_l| = 116,000 trials' in opening_lines(search)


@pytest.mark.long
@pytest.mark.parametrize('variant', imagenet.VARIANTS)
def test_the_docs_have_the_trials_of_a_sweep(variant: str) -> None:
  search = _search(imagenet.get_config(variant), 1000)
  rng = np.random.default_rng(0)
  while candidates := search.ask(1000):
    for candidate in candidates:
      search.tell(candidate.id, Evaluation(float(rng.random())))
  assert len(search.trials) <= search.bound
  row = f'| `{variant}` | {search.bound:,} | {len(search.trials):,} |\n'
  assert row in _text('docs/imagenet_spaces.md')


def test_the_docs_have_the_bound_of_the_shorter_sweep() -> None:
  text = _text('docs/imagenet_spaces.md')
  config = imagenet.get_config('v3_small_60m').unlock()
  config.search.buckets = 5
  [line] = re.findall(r'--config.search.buckets=5 +#.*', text)
  assert line.endswith(f'at most {_search(config, 1000).bound:,} trials')


def test_the_readme_says_which_variants_were_not_run() -> None:
  rows = re.findall(
      r'\| `imagenet\.py:(\w+)` \| (.*) \|\n', _text('README.md')
  )
  assert len(rows) == 5
  for variant, run in rows:
    assert variant in imagenet.VARIANTS
    stored = (tiny.ROOT / f'docs/results/imagenet_{variant}').exists()
    assert (run == 'not run by us') != stored


@pytest.mark.parametrize(('variant', 'schedule'), [
    *((variant, 'sweep') for variant in imagenet.VARIANTS),
    ('v3_large_220m', 'interleaved'),
])
def test_every_schedule_reaches_the_target(variant: str, schedule: str) -> None:
  config = imagenet.get_config(variant).unlock()
  config.search.schedule = schedule
  config.search.buckets = 2
  config.search.start = 'random'
  config.budget.trials = 100
  search = _search(config, 1000)
  while candidates := search.ask():
    [candidate] = candidates
    search.tell(candidate.id, Evaluation(candidate.cost / 1e9))
  assert search.best.candidate.cost in search.problem.target


@pytest.mark.parametrize(('variant', 'recipe'), [
    *((variant, '') for variant in imagenet.VARIANTS),
    ('v3_small_60m', 'mobilenet_v3'),
])
def test_imagenet_smoke(variant: str, recipe: str) -> None:
  config = _load('imagenet', variant, recipe, 'smoke')
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


def test_candidates_are_validated_on_held_out_training_images() -> None:
  data = imagenet.get_config('v3_small_60m').data
  assert held_out_count(1_281_167, data.validation_share) == 50_046
  assert data.train_split == 'train'
  assert data.test_split == 'validation'
  assert (data.image_size, data.num_classes) == (224, 1000)
  assert data.augmentation == 'resized_crop'


def test_tunas_is_the_default() -> None:
  config = imagenet.get_config('v3_small_60m')
  assert config.to_json() == imagenet.get_config(
      'v3_small_60m,tunas'
  ).to_json()
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
  config = imagenet.get_config('v3_small_60m,mobilenet_v3')
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
    ('recipe', 'candidate', 'final'),
    [('tunas', 0.0, 0.25), ('mobilenet_v3', 0.2, 0.2)],
)
def test_dropout_by_the_length_of_the_run(
    recipe: str, candidate: float, final: float
) -> None:
  config = imagenet.get_config(f'v3_large_220m,{recipe}').unlock()
  network = make_space(config.space).base
  assert create_model(config, network, 1000).dropout_rate == candidate
  config.training = config.final
  assert create_model(config, network, 1000).dropout_rate == final

"""Every config loads, is locked, can be shrunk, and refuses other arguments."""

import gzip
import importlib
import importlib.util
import itertools
import pathlib
import re

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import default
from configs import imagenet
from configs.default import split_argument
from layernas.data.dataset import held_out_count
from layernas.errors import UserError
from layernas.networks.registry import make_space
from layernas.reports.console import opening_lines
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
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
    'study.accel_nasbench': (),
    'study.opponents': ('smac', 'gp', 'gp_tables'),
    'study.audit': (),
    'study.macro': (),
    'study.nasbench101': (),
    'study.nats': _NATS,
    'study.own_function': (),
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
    if name.startswith('study.')
    # The one is no study, the other needs packages that may be missing.
    and name not in (
        'study.audit', 'study.opponents:gp', 'study.opponents:gp_tables',
    )
]

# Of methods whose packages only search_quality's requirements name.
_OPPONENTS = ('torch', 'smac', 'syne_tune')

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
      f'config argument {argument!r}: allowed is one of a, b, which may be'
      ' followed, joined by commas, by c or d, e'
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


@pytest.mark.parametrize('words', [
    (), ('smoke',), ('paper',), ('paper,smoke',),
])
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


@pytest.mark.parametrize('name', ['search_quality', 'accel_nasbench'])
def test_opponents_take_part_where_they_are_asked_for(name: str) -> None:
  config, plain = _load(f'study.{name}:opponents'), _load(f'study.{name}')
  assert {'gp', 'smac', 'cqr'} == {
      method for method in config.methods
      if method not in plain.methods and '_repeats' not in method
  }
  _check_opponents(config)


def test_gp_is_checked_before_anything_runs() -> None:
  _check_opponents(_load('study.opponents:gp'))


def _check_opponents(config: ConfigDict) -> None:
  if all(importlib.util.find_spec(package) for package in _OPPONENTS):
    check_study(config)
  else:
    # What is missing is named, and nothing is run.
    message = r'methods\.(gp|smac|cqr).*pip install'
    with pytest.raises(UserError, match=message):
      check_study(config)


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


@pytest.mark.parametrize('variant', imagenet.VARIANTS)
def test_imagenet_variants_search_around_their_reference(variant: str) -> None:
  config = imagenet.get_config(variant)
  for section in ('training', 'final'):
    check_training(config, section)
  [millions] = re.findall(r'_(\d+)m', variant)
  assert config.target.high == int(millions) * 1e6
  assert config.target.low == pytest.approx(0.9 * config.target.high)
  search = _search(config, 1000)
  reference = search.problem.cost.cost(search.problem.space.default)
  # MobileNetV2 is the one with a little more than its name says.
  assert (reference in search.problem.target) == ('v2_300m' not in variant)
  assert search.budget.trials == imagenet.TRIALS
  assert search.ask()


def _sweep(variant: str, **fields: int) -> Search:
  """The paper's search, with its sweep."""
  config = imagenet.get_config(f'{variant},paper').unlock()
  config.search.update(schedule='sweep', **fields)
  return _search(config, 1000)


@pytest.mark.parametrize('variant', imagenet.VARIANTS)
def test_the_docs_have_the_bound_of_a_sweep(variant: str) -> None:
  row = f'| `{variant}` | {_sweep(variant).bound:,} |'
  assert row in _text('docs/imagenet_spaces.md')


def test_the_printed_bound_is_that_of_the_paper() -> None:
  search = _sweep('v3_small_60m')
  assert search.bound == 100 * 1160
  assert 'bound: H * keep * sum|S_l| = 116,000 trials' in opening_lines(search)


@pytest.mark.long
@pytest.mark.parametrize('variant', imagenet.VARIANTS)
def test_the_docs_have_the_trials_of_a_sweep(variant: str) -> None:
  search = _sweep(variant)
  rng = np.random.default_rng(0)
  while candidates := search.ask(1000):
    for candidate in candidates:
      search.tell(candidate.id, Evaluation(float(rng.random())))
  assert len(search.trials) <= search.bound
  row = f'| `{variant}` | {search.bound:,} | {len(search.trials):,} |\n'
  assert row in _text('docs/imagenet_spaces.md')


def test_the_docs_have_the_bound_of_the_shorter_sweep() -> None:
  text = _text('docs/imagenet_spaces.md')
  [line] = re.findall(r'--config.search.buckets=5 +#.*', text)
  bound = _sweep('v3_small_60m', buckets=5).bound
  assert line.endswith(f'at most {bound:,} trials')


def test_the_docs_say_which_variants_were_not_run() -> None:
  rows = re.findall(
      r'\| `imagenet\.py:(\w+)` \| (.*) \|\n',
      _text('docs/imagenet_spaces.md'),
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
    ('v3_small_60m', 'mobilenet_v3'), ('v3_small_60m', 'tunas'),
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


@pytest.mark.parametrize('variant', imagenet.VARIANTS)
def test_an_imagenet_smoke_search_has_a_limit(variant: str) -> None:
  """Whatever the recipe, which trains and does not search."""
  config = _load('imagenet', variant, 'smoke')
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
  assert (data.train_split, data.test_split) == ('train', 'validation')


def test_the_papers_recipe_is_the_default() -> None:
  config = imagenet.get_config('v3_small_60m')
  named = imagenet.get_config('v3_small_60m,layernas')
  assert config.to_json() == named.to_json()
  assert (config.training.epochs, config.final.epochs) == (5.0, 500.0)
  for training in (config.training, config.final):
    # 2.5 % of the run.
    assert training.warmup_epochs == pytest.approx(training.epochs / 40)
  # 0.165 for 256 images.
  rate = learning_rate(config.final, _STEPS_PER_EPOCH)
  assert float(rate(12.5 * _STEPS_PER_EPOCH)) == pytest.approx(2.64)


def test_tunas_is_as_published() -> None:
  """Against TuNAS's code, read field by field."""
  config = imagenet.get_config('v3_small_60m,tunas')
  paper = imagenet.get_config('v3_small_60m').unlock()
  published = {
      'data': {
          'min_object_covered': 0.1, 'crop_fallback': 'central',
          'evaluation_margin': 32, 'mean': (0.485, 0.456, 0.406),
          'deviation': (0.229, 0.224, 0.225),
      },
      'model': {
          'sync_batch_norm': False, 'initialization': 'fan_in',
          'classifier_deviation': 0.01,
      },
      'final': {
          'epochs': 360.0, 'warmup_epochs': 9.0, 'weight_decay': 3e-5,
      },
      # Unused; candidates keep its share of the run.
      'training': {'weight_decay': 3e-5, 'decay_epochs': 2.4 * 5 / 360},
  }
  assert config.model.dtype == 'bfloat16'
  for section, fields in published.items():
    assert config[section].to_dict() == {
        **paper[section].to_dict(), **fields
    }
  assert config.training.warmup_epochs == pytest.approx(5.0 / 40)
  rate = learning_rate(config.final, _STEPS_PER_EPOCH)
  assert float(rate(9 * _STEPS_PER_EPOCH)) == pytest.approx(2.64)


def test_mobilenet_v3_is_an_alternative() -> None:
  config = imagenet.get_config('v3_small_60m,mobilenet_v3')
  assert (config.training.epochs, config.final.epochs) == (5.0, 350.0)
  rate = learning_rate(config.final, _STEPS_PER_EPOCH)
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
    ('argument', 'candidate', 'final'), [
        ('v3_large_220m', 0.0, 0.25), ('v2_300m', 0.0, 0.15),
        ('v3_large_220m,tunas', 0.0, 0.25),
        ('v3_large_220m,mobilenet_v3', 0.2, 0.2),
    ],
)
def test_dropout_by_the_length_of_the_run(
    argument: str, candidate: float, final: float
) -> None:
  config = imagenet.get_config(argument).unlock()
  network = make_space(config.space).base
  assert create_model(config, network, 1000).dropout_rate == candidate
  config.training = config.final
  assert create_model(config, network, 1000).dropout_rate == final


def test_smoke_shrinks_each_of_several_limits() -> None:
  config = default.get_config()
  config.target.high = (4e6, 8e6)
  assert default.finish(config, 'smoke').target.high == (1e6, 2e6)

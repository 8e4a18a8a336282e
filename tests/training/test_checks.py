"""Tests of layernas.training.checks."""

import math

import jax
import pytest

from layernas.errors import UserError
from layernas.training.checks import check_batches
from layernas.training.checks import check_training
from tests.training import small

_COUNT = 'an integer of at least one'
_WHOLE = 'an integer of zero or more'
_POSITIVE = 'a number above zero'
_NOT_NEGATIVE = 'a number of zero or more'
_SHARE = '0 <= x < 1'
_DECAY = '0 < x <= 1'

# Field -> (what is allowed, wrong values, right ones at the edge).
_TRAINING = {
    'batch_size': (_COUNT, (0, -8), (1,)),
    'evaluation_batch_size': (_COUNT, (0, -8), (1,)),
    'epochs': (_POSITIVE, (0.0, -1.0, math.inf, math.nan), (1e-3,)),
    'learning_rate': (_POSITIVE, (0.0, -0.1, math.inf, math.nan), (1e-9,)),
    'warmup_epochs': (_NOT_NEGATIVE, (-0.1, math.nan), (0.0,)),
    'decay_epochs': (_POSITIVE, (0.0, -2.4, math.nan), (0.1,)),
    'decay_rate': (_DECAY, (0.0, 1.01, math.nan), (0.01, 1.0)),
    'momentum': (_SHARE, (-0.1, 1.0, math.nan), (0.0, 0.99)),
    'rms_decay': (_SHARE, (-0.1, 1.0, math.nan), (0.0, 0.99)),
    'rms_epsilon': (_POSITIVE, (0.0, -1e-3, math.nan), (1e-9,)),
    'weight_decay': (_NOT_NEGATIVE, (-1e-5, math.inf), (0.0,)),
    'label_smoothing': (_SHARE, (-0.1, 1.0, math.nan), (0.0, 0.99)),
    'ema_decay': (_SHARE, (-0.1, 1.0, math.nan), (0.0, 0.9999)),
    'log_every_steps': (_COUNT, (0, -1), (1,)),
    'checkpoint_every_steps': (_NOT_NEGATIVE, (-1,), (0,)),
    'optimizer': (
        "['sgd', 'rmsprop'], or module:function", ('adam', ''),
        ('sgd', 'rmsprop', 'tests.training.own:adamw'),
    ),
    'weight_decay_excludes': (
        "['batch_norm', 'bias', 'depthwise', 'classifier'], joined by commas",
        ('norm', 'bias;classifier'), ('', 'classifier', 'batch_norm, bias'),
    ),
    'schedule': (
        "['cosine', 'stepped', 'constant'], or module:function", ('linear',),
        ('cosine', 'stepped', 'constant'),
    ),
}
_MODEL = {
    'batch_norm_momentum': (_SHARE, (-0.1, 1.0, math.nan), (0.0, 0.99)),
    'batch_norm_epsilon': (_POSITIVE, (0.0, -1.0, math.nan), (1e-9,)),
    'dropout': (_SHARE, (-0.1, 1.0, math.nan), (0.0, 0.9)),
    'dropout_from_epochs': (_NOT_NEGATIVE, (-1.0, math.nan), (0.0, 150.0)),
    'initialization': ("['fan_out', 'fan_in']", ('he', ''), ('fan_in',)),
    'classifier_deviation': (_NOT_NEGATIVE, (-0.01, math.nan), (0.0, 0.01)),
    'depthwise': (
        "['auto', 'compiled', 'shifted', 'native']", ('fast', ''),
        ('auto', 'compiled', 'shifted', 'native'),
    ),
    'matmul_precision': (
        "['default', 'high', 'highest']", ('float32', ''),
        ('default', 'high', 'highest'),
    ),
    'dtype': (
        "['float32', 'bfloat16']", ('float16',), ('float32', 'bfloat16')
    ),
}
_PROFILE = {
    'steps': (_WHOLE, (-1,), (0, 3)),
    'skip': (_WHOLE, (-1,), (0, 5)),
}
_CASES = [
    (section, field, *case)
    for section, fields in (
        ('training', _TRAINING), ('final', _TRAINING), ('model', _MODEL),
        ('profile', _PROFILE),
    )
    for field, case in fields.items()
]
# Right or wrong whatever they hold, or only beside what takes them.
_UNCHECKED = {
    'sync_batch_norm', 'optimizer_settings', 'schedule_settings',
    'deterministic',
}


def _config(section, field, value):
  config = small.get_config().unlock()
  config.final = config.training.copy_and_resolve_references()
  config[section][field] = value
  return config.lock()


def _check(config, section):
  check_training(config, 'final' if section == 'final' else 'training')


@pytest.mark.parametrize(
    ('section', 'field', 'allowed', 'wrong', 'right'), _CASES
)
def test_names_field_value_and_what_is_allowed(
    section, field, allowed, wrong, right
) -> None:
  for value in wrong:
    with pytest.raises(UserError) as error:
      _check(_config(section, field, value), section)
    message = str(error.value)
    assert message.startswith(f'{section}.{field}: {value!r}: allowed ')
    assert message.endswith(allowed)
    assert '\n' not in message
  for value in right:
    _check(_config(section, field, value), section)


def test_every_field_has_a_rule() -> None:
  config = small.get_config()
  for section, rules in (
      ('training', _TRAINING), ('final', _TRAINING), ('model', _MODEL),
      ('profile', _PROFILE),
  ):
    assert set(config[section]) - _UNCHECKED == set(rules)


@pytest.mark.parametrize('section', ['training', 'final'])
def test_settings_fit_what_they_are_for(section) -> None:
  for name in ('optimizer', 'schedule'):
    config = _config(section, f'{name}_settings', {'wrong': 1})
    with pytest.raises(UserError, match=rf'^{section}.{name}_settings: '):
      _check(config, section)


@pytest.mark.parametrize(('backend', 'why'), [
    ('cpu', "compiler 'no-such-compiler': not found; set CXX or install g++"),
    ('gpu', 'a CPU is needed, not gpu'),
])
def test_compiled_depthwise_where_it_is_not_to_be_had(
    monkeypatch, backend, why
) -> None:
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  monkeypatch.setattr(
      'layernas.native.library.problem',
      lambda: why if backend == 'cpu' else '',
  )
  with pytest.raises(UserError) as error:
    check_training(_config('model', 'depthwise', 'compiled'))
  assert str(error.value) == (
      f"model.depthwise: 'compiled': {why}; allowed here are"
      " ['auto', 'shifted', 'native']"
  )
  check_training(_config('model', 'depthwise', 'auto'))


def test_checks_only_the_section_it_is_given() -> None:
  check_training(_config('final', 'epochs', 0.0), 'training')
  check_training(_config('training', 'epochs', 0.0), 'final')


@pytest.mark.parametrize('section', ['training', 'final'])
@pytest.mark.parametrize('warmup', [1.0, 1.5])
def test_warmup_is_shorter_than_training(section, warmup) -> None:
  with pytest.raises(UserError) as error:
    check_training(_config(section, 'warmup_epochs', warmup), section)
  assert str(error.value) == (
      f'{section}.warmup_epochs: {warmup}: allowed is less than'
      f' {section}.epochs, 1.0'
  )
  check_training(_config(section, 'warmup_epochs', 0.99), section)


@pytest.mark.parametrize('field', ['batch_size', 'evaluation_batch_size'])
@pytest.mark.parametrize('section', ['training', 'final'])
def test_batches_divide_over_the_devices(monkeypatch, field, section) -> None:
  monkeypatch.setattr(jax, 'device_count', lambda: 4)
  data = small.dataset()
  check_batches(_config(section, field, 12), data, 'train', section)
  with pytest.raises(UserError) as error:
    check_batches(_config(section, field, 14), data, 'train', section)
  assert str(error.value) == (
      f'{section}.{field}: 14: allowed are multiples of 4, the number of'
      ' devices'
  )


def test_a_training_batch_fits_in_the_split() -> None:
  data = small.dataset()
  whole = _config('training', 'batch_size', small.TRAIN)
  check_batches(whole, data, 'train')
  with pytest.raises(UserError) as error:
    check_batches(whole, data, 'validation')
  assert str(error.value) == (
      'training.batch_size: 72: allowed is at most 24, the number of images in'
      " split 'validation'"
  )


def test_an_evaluation_batch_may_be_larger_than_the_split() -> None:
  config = _config('training', 'evaluation_batch_size', 1000)
  check_batches(config, small.dataset(), 'train')

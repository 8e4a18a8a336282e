"""What a config names: where it is looked for, and what it raises."""

import json
import re
import subprocess
import sys
import textwrap

import pytest

from layernas import lookup
from layernas.errors import UserError
from layernas.networks.registry import make_space
from layernas.runs import config_flag
from layernas.runs.rewards import Reward
from tests import tiny


@pytest.fixture
def write(tmp_path, monkeypatch):
  """Writes a module into a directory that is looked in."""
  monkeypatch.setattr(sys, 'path', [*sys.path])
  lookup.search_in(tmp_path)
  before = set(sys.modules)

  def written(name, text):
    path = tmp_path / f'{name}.py'
    path.write_text(textwrap.dedent(text).lstrip())
    return path

  yield written
  for name in set(sys.modules) - before:
    if str(getattr(sys.modules[name], '__file__', '')).startswith(
        str(tmp_path)
    ):
      del sys.modules[name]


def _message(call, *arguments):
  with pytest.raises(UserError) as error:
    call(*arguments)
  text = str(error.value)
  assert '\n' not in text
  return text


@pytest.mark.parametrize(('body', 'told'), [
    ('None.blocks',
     "AttributeError: 'NoneType' object has no attribute 'blocks'"),
    ('{}["a"]', "KeyError: 'a'"),
    ('1 / 0', 'ZeroDivisionError: division by zero'),
    ('assert False', 'AssertionError'),
    ('raise RuntimeError("two\\n lines")', 'RuntimeError: two lines'),
    ('raise Exception', 'Exception'),
    ('open("/nowhere")', 'FileNotFoundError: .*/nowhere.*'),
    ('[][1]', 'IndexError: list index out of range'),
])
def test_an_exception_names_type_text_file_and_line(write, body, told):
  path = write('own_errors', f'def space():\n  x = 1\n  {body}\n')
  assert re.fullmatch(
      rf'space: own_errors:space: {told} \({path}, line 3, in space\)',
      _message(make_space, 'own_errors:space'),
  )


def test_the_innermost_frame_of_the_user_is_named_and_who_called_it(write):
  """Frames of the package and of others lie between."""
  path = write('own_frames', """
      import json
      from layernas.networks.space import NetworkSpace

      def helper():
        return json.loads('{')

      def space():
        return sorted([1], key=lambda one: helper())

      def ours():
        return NetworkSpace(None, [3])
  """)
  text = _message(make_space, 'own_frames:space')
  assert f'{path}, line 5, in helper; called in line 8)' in text
  assert 'JSONDecodeError: Expecting property name' in text
  text = _message(make_space, 'own_frames:ours')
  assert f'{path}, line 11, in ours' in text


def test_a_message_of_the_package_stays_as_it_is(write):
  write('own_refused', """
      from layernas.errors import UserError

      def space():
        raise UserError('layer x: allowed is y')
  """)
  assert _message(make_space, 'own_refused:space') == 'layer x: allowed is y'


def test_an_exception_of_the_package_alone_is_not_the_users():
  """It goes on as it is, with its traceback: a fault to be reported."""
  settings = {'field': 'a', 'name': [], 'registered': {}, 'settings': {},
              'fields': {}}
  with pytest.raises(TypeError, match='unhashable'):
    lookup.call(lookup.settings_of, 'space', settings)


@pytest.mark.parametrize(('text', 'parts'), [
    ('import no_such_package\n', ['no_such_package', ', line 1']),
    ('x = 1\ny = x +\n', ['SyntaxError: invalid syntax', ', line 2']),
    ('x = 1\n\nx.y\n', ["AttributeError: 'int' object", ', line 3']),
    ('from layernas import nothing_here\n', ['nothing_here', ', line 1']),
    ('def other(): pass\n', ["has no attribute 'space'", 'own_broken.py']),
    ('space = 3\n', ['is a int: allowed is a function']),
])
def test_what_is_wrong_within_a_module(write, text, parts):
  path = write('own_broken', text)
  message = _message(make_space, 'own_broken:space')
  for part in parts:
    assert part in message
  assert 'own_broken:space' in message
  if ', line' in parts[-1]:
    assert str(path) in message


def test_a_module_that_is_not_there_is_named():
  text = _message(make_space, 'no.such.module:space')
  assert "No module named 'no'" in text
  assert 'module:function that can be imported' in text


def test_an_own_reward_that_raises_is_named(write):
  path = write('own_reward', 'def reward(metrics):\n  return metrics["f1"]\n')
  reward = Reward('own_reward:reward', lookup.find(
      'reward', 'own_reward:reward', {}
  ))
  text = _message(reward, {'accuracy': 0.5})
  assert text == (
      f"reward: own_reward:reward: KeyError: 'f1' ({path}, line 2, in reward)"
  )


def test_directories_are_looked_in_last_and_once(monkeypatch, tmp_path):
  monkeypatch.setattr(sys, 'path', ['/a', '/b'])
  lookup.search_in(tmp_path, '/a', tmp_path)
  assert sys.path == ['/a', '/b', str(tmp_path)]


def test_a_recorded_run_finds_its_modules(monkeypatch, tmp_path):
  package = tmp_path / 'own' / 'own_package_of_a_test'
  package.mkdir(parents=True)
  (package / '__init__.py').write_text('def first(): pass\n')
  (package / 'part.py').write_text('def second(): pass\n')
  monkeypatch.setattr(sys, 'path', [str(tmp_path / 'own'), *sys.path])
  monkeypatch.setattr(lookup, '_own_directories', set())
  for name in (':first', '.part:second'):
    lookup.find('space', f'own_package_of_a_test{name}', {})
    assert lookup.own_directories() == [str(tmp_path / 'own')]
    lookup._own_directories.clear()
  # What is installed is found anyway.
  lookup.find('reward', 'numpy:mean', {})
  lookup.find('reward', 'layernas.lookup:find', {})
  assert lookup.own_directories() == []
  record = tmp_path / 'w' / config_flag.OWN_MODULES_FILE
  record.parent.mkdir()
  record.write_text(json.dumps([str(tmp_path / 'own'), '/not/there']))
  # Imports what it needs, which is not on the path below.
  config_flag.search_own_modules(tmp_path / 'result.json')
  monkeypatch.setattr(sys, 'path', ['/a'])
  config_flag.search_own_modules(tmp_path / 'w' / 'result.json')
  assert sys.path == ['/a', str(tmp_path / 'own'), str(tmp_path / 'w')]


_SPACE = (tiny.ROOT / 'examples' / 'own_space.py').read_text()


@pytest.mark.long
@pytest.mark.parametrize(('where', 'workers'), [
    ('here', 0), ('beside the config', 0), ('here', 1),
    ('beside the config', 1),
])
def test_a_module_here_or_beside_the_config_is_found(tmp_path, where, workers):
  """Also in the workers, which a space is made in again."""
  here, beside = tmp_path / 'here', tmp_path / 'beside'
  for directory in (here, beside):
    directory.mkdir()
  (beside / 'my_config.py').write_text(
      'from configs.cifar10_small import get_config as base\n\n'
      'def get_config():\n'
      "  config = base('smoke')\n"
      '  config.target.high = 2e5\n'
      '  config.budget.trials = 2\n'
      "  config.space = 'space_of_mine:space'\n"
      '  return config\n'
  )
  own = here if where == 'here' else beside
  (own / 'space_of_mine.py').write_text(_SPACE)
  executor = ['--config.executor.name=processes',
              '--config.executor.workers=1'] if workers else []
  command = tiny.command(
      'search', f'--config={beside / "my_config.py"}', *executor,
      f'--workdir={tmp_path / "w"}',
  )
  done = subprocess.run(command, cwd=here, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  elsewhere = tmp_path / 'elsewhere'
  elsewhere.mkdir()
  done = subprocess.run(
      tiny.command(
          'train', f'--architecture={tmp_path / "w" / "result.json"}',
          '--config.final.epochs=0.01', f'--workdir={tmp_path / "f"}',
      ), cwd=elsewhere, capture_output=True, text=True,
  )
  assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('name', ['bound', 'called'])
def test_what_is_called_may_be_a_partial_or_an_object(write, name):
  path = write('own_callables', """
      import functools

      def make(size, depth=1):
        return size / depth

      class Maker:
        def __call__(self, depth=1):
          return 1 / depth

      bound = functools.partial(functools.partial(make), 3)
      called = Maker()
      """)
  function = lookup.find('space', f'own_callables:{name}', {})
  assert lookup.own_file(function) == str(path)
  assert str(path.parent) in lookup.own_directories()
  said = _message(lookup.call, function, 'settings', {'width': 1})
  written = 'make' if name == 'bound' else 'Maker'
  assert f'keyword arguments of own_callables:{written},' in said
  said = _message(lookup.call, function, 'settings', {'depth': 0})
  assert said.startswith(
      f'settings: own_callables:{written}: ZeroDivisionError: division by zero'
      f' ({path}, line '
  )

"""The converter, on three networks in the layout of the official files.

Every number of a sample is chosen so that the means and sums below are exact
and a wrong epoch, split, seed or schedule gives another one.
"""

import bz2
import gzip
import math
import pathlib
import pickle
import random
import subprocess
import sys

import nats_bench
import pytest

from layernas.errors import UserError
from layernas.study.tables.nats_bench_files import NatsBenchFiles

_PROGRAM = (
    pathlib.Path(__file__).parents[2] / 'tools' / 'convert_nats_bench.py'
)

_ARCHITECTURES = {
    'topology': [
        '|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|',
        '|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|avg_pool_3x3~2|',
        '|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|',
    ],
    'size': ['8:8:8:8:8', '8:8:8:8:16', '64:56:48:40:32'],
}

# By schedule, data set and seed: seconds of a training epoch, seconds of a pass
# over the validation images, accuracies by split.
_SHORT = {
    'cifar10-valid': {
        777: (10.0, 2.0, {'x-valid': 60.0, 'ori-test': 50.0}),
        888: (12.0, 3.0, {'x-valid': 64.5, 'ori-test': 51.0}),
    },
    'cifar10': {777: (20.0, 1.0, {'ori-test': 66.0})},
    'cifar100': {
        777: (21.0, 0.5, {'x-valid': 30.0, 'x-test': 31.0, 'ori-test': 30.5}),
    },
    'ImageNet16-120': {
        777: (40.0, 0.25, {'x-valid': 15.0, 'x-test': 17.0, 'ori-test': 16.0}),
    },
}
_FULL = {
    'cifar10-valid': {777: (10.0, 2.0, {'x-valid': 80.0, 'ori-test': 79.0})},
    'cifar10': {
        777: (20.0, 1.0, {'ori-test': 90.0}),
        888: (20.0, 1.0, {'ori-test': 90.75}),
        999: (20.0, 1.0, {'ori-test': 93.0}),
    },
    'cifar100': {
        777: (21.0, 0.5, {'x-valid': 70.0, 'x-test': 71.0, 'ori-test': 70.5}),
        888: (21.0, 0.5, {'x-valid': 70.0, 'x-test': 71.5, 'ori-test': 70.7}),
    },
    'ImageNet16-120': {
        777: (40.0, 0.25, {'x-valid': 44.0, 'x-test': 45.0, 'ori-test': 44.5}),
    },
}
_COSTS = {
    'cifar10-valid': (15.5, 0.125), 'cifar10': (15.5, 0.125),
    'cifar100': (15.75, 0.25), 'ImageNet16-120': (4.5, 0.375),
}

# Of network 0. Training: 12 epochs and 12 s more in the last of them;
# validation: the mean of 12 passes, the last of which takes 6 s more.
_EXPECTED = {
    'val12_c10': (60 + 64.5) / 2,
    'test12_c10': 66,
    'testN_c10': (90 + 90.75 + 93) / 3,
    'simcost12_c10': ((120 + 12 + 2.5) + (144 + 12 + 3.5)) / 2,
    'mflops_c10': 15.5, 'mparams_c10': 0.125,
    'val12_c100': 30,
    'test12_c100': 31,
    'testN_c100': (71 + 71.5) / 2,
    'simcost12_c100': 252 + 12 + 1,
    'mflops_c100': 15.75, 'mparams_c100': 0.25,
    'val12_in16': 15,
    'test12_in16': 17,
    'testN_in16': 45,
    'simcost12_in16': 480 + 12 + 0.75,
    'mflops_in16': 4.5, 'mparams_in16': 0.375,
}

_TOPOLOGY_TABLE = """\
index,arch,val12_c10,test12_c10,test200_c10,simcost12_c10,mflops_c10,\
mparams_c10,val12_c100,test12_c100,test200_c100,simcost12_c100,mflops_c100,\
mparams_c100,val12_in16,test12_in16,test200_in16,simcost12_in16,mflops_in16,\
mparams_in16
0,|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|,62.250000,66.000000,\
91.250000,147.000000,15.500000,0.125000,30.000000,31.000000,71.250000,\
265.000000,15.750000,0.250000,15.000000,17.000000,45.000000,492.750000,\
4.500000,0.375000
1,|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|avg_pool_3x3~2|,63.250000,\
67.000000,92.250000,159.000000,15.500000,0.125000,31.000000,32.000000,\
72.250000,277.000000,15.750000,0.250000,16.000000,18.000000,46.000000,\
504.750000,4.500000,0.375000
2,|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|,64.250000,68.000000,\
93.250000,171.000000,15.500000,0.125000,32.000000,33.000000,73.250000,\
289.000000,15.750000,0.250000,17.000000,19.000000,47.000000,516.750000,\
4.500000,0.375000
"""


def expected(space, index):
  """A network has 1 % and 1 s an epoch more than the one before."""
  full = {'topology': 'test200', 'size': 'test90'}[space]
  more = {'val12': 1, 'test12': 1, 'testN': 1, 'simcost12': 12}
  return {'index': index, 'arch': _ARCHITECTURES[space][index]} | {
      name.replace('testN', full): value + index * more.get(
          name.partition('_')[0], 0
      )
      for name, value in _EXPECTED.items()
  }


def trial(dataset, seed, epochs, index, numbers):
  """What the files hold of one training."""
  train, validation, accuracies = numbers
  last = epochs - 1
  seconds = {'x-valid': validation, 'x-test': 70.0, 'ori-test': 90.0}
  return {
      'name': dataset, 'seed': seed, 'epochs': epochs,
      'net_state_dict': None, 'latency': [0.01], 'arch_config': {},
      'flop': _COSTS[dataset][0], 'params': _COSTS[dataset][1],
      'train_acc1es': dict.fromkeys(range(epochs), 99.0),
      'train_acc5es': None,
      'train_losses': dict.fromkeys(range(epochs), 0.5),
      'train_times': {
          epoch: train + index + 12.0 * (epoch == last)
          for epoch in range(epochs)
      },
      'eval_names': list(accuracies),
      'eval_losses': {
          f'{split}@{epoch}': 0.5
          for split in accuracies for epoch in range(epochs)
      },
      'eval_acc1es': {
          f'{split}@{epoch}': accuracy + index if epoch == last else 1.0
          for split, accuracy in accuracies.items() for epoch in range(epochs)
      },
      'eval_times': {
          f'{split}@{epoch}': seconds[split] + 6.0 * (epoch == last)
          for split in accuracies for epoch in range(epochs)
      },
  }


def schedule(space, index, epochs, trials):
  """What the files hold of one network after one schedule."""
  return {
      'arch_index': index, 'arch_str': _ARCHITECTURES[space][index],
      'clear_net_done': True,
      'dataset_seed': {name: list(seeds) for name, seeds in trials.items()},
      'all_results': {
          (name, seed): trial(name, seed, epochs, index, numbers)
          for name, seeds in trials.items() for seed, numbers in seeds.items()
      },
  }


def networks(space):
  """Contents of the files 000000 .. 000002."""
  full = {'topology': 200, 'size': 90}[space]
  return [
      {'12': schedule(space, index, 12, _SHORT),
       str(full): schedule(space, index, full, _FULL)}
      for index in range(3)
  ]


def save(path, content):
  path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4)))


def write_directory(path, space, contents):
  path.mkdir()
  save(path / 'meta.pickle.pbz2', {
      'meta_archs': _ARCHITECTURES[space], 'total_archs': 3,
      'arch2infos': None, 'evaluated_indexes': set(),
  })
  for index, content in enumerate(contents):
    save(path / f'{index:06d}.pickle.pbz2', content)
  return path


def write_file(path, space, contents):
  save(path, {
      'meta_archs': _ARCHITECTURES[space], 'total_archs': 3,
      'arch2infos': dict(enumerate(contents)),
      'evaluated_indexes': set(range(len(contents))),
  })
  return path


@pytest.fixture
def topology(tmp_path):
  contents = networks('topology')
  return write_directory(tmp_path / 'simple', 'topology', contents)


def error_of(space, source):
  """The message about a source, as it opens or is read."""
  with pytest.raises(UserError) as caught:
    list(NatsBenchFiles(space, source).rows())
  message = str(caught.value)
  assert '\n' not in message
  assert 'allowed ' in message
  return message


@pytest.mark.parametrize('space', ['topology', 'size'])
@pytest.mark.parametrize('write', [write_directory, write_file])
def test_rows_are_those_of_the_files(tmp_path, space, write):
  source = write(tmp_path / 'source', space, networks(space))
  files = NatsBenchFiles(space, source)
  assert len(files) == 3
  rows = list(files.rows())
  assert rows == [expected(space, index) for index in range(3)]
  assert all(tuple(row) == files.columns for row in rows)
  assert list(files.rows()) == rows


def test_signal_and_cost_are_means_of_what_the_benchmark_draws(topology):
  row = next(NatsBenchFiles('topology', topology).rows())
  api = nats_bench.create(str(topology), 'tss', fast_mode=True, verbose=False)
  random.seed(0)
  for suffix, dataset, seeds in (
      ('c10', 'cifar10', 2), ('c100', 'cifar100', 1),
      ('in16', 'ImageNet16-120', 1),
  ):
    drawn = {
        (answer[0], answer[2]) for answer in (
            api.simulate_train_eval(row['arch'], dataset, hp='12')
            for _ in range(40)
        )
    }
    assert len(drawn) == seeds
    accuracies, costs = zip(*drawn, strict=True)
    assert row[f'val12_{suffix}'] == sum(accuracies) / seeds
    assert row[f'simcost12_{suffix}'] == sum(costs) / seeds


def test_sources_that_are_none_are_named(tmp_path, topology):
  (tmp_path / 'text.pickle.pbz2').write_text('no pickle')
  (tmp_path / 'empty').mkdir()
  for name in ('missing', 'text.pickle.pbz2', 'empty'):
    message = error_of('topology', tmp_path / name)
    assert message.startswith(f'{tmp_path / name}: ')
    assert 'NATS-tss-*-simple' in message
  assert "'banana'" in error_of('banana', topology)


def test_files_of_the_other_space_are_refused(tmp_path, topology):
  message = error_of('size', topology)
  assert 'network 0' in message
  assert '8:16:24:32:40' in message
  size = write_file(tmp_path / 'size', 'size', networks('size'))
  assert "'8:8:8:8:8'" in error_of('topology', size)


def test_files_without_networks_are_refused(tmp_path):
  save(tmp_path / 'file', {
      'meta_archs': [], 'arch2infos': {}, 'evaluated_indexes': set(),
  })
  assert 'no networks' in error_of('size', tmp_path / 'file')


def test_a_missing_network_is_named_before_any_is_read(tmp_path, topology):
  (topology / '000001.pickle.pbz2').unlink()
  file = write_file(tmp_path / 'file', 'topology', networks('topology')[:1])
  for source, count in ((topology, 1), (file, 2)):
    with pytest.raises(UserError) as caught:
      NatsBenchFiles('topology', source)
    message = str(caught.value)
    assert f'network 1 ({_ARCHITECTURES["topology"][1]})' in message
    assert f'{count} of 3' in message


def without_dataset(network):
  del network['12']['dataset_seed']['cifar100']


def without_times(network):
  network['12']['all_results']['cifar100', 777]['train_times'] = None


def with_nan(network):
  results = network['200']['all_results']['cifar100', 888]
  results['eval_acc1es']['x-test@199'] = math.nan


@pytest.mark.parametrize(('damage', 'place'), [
    (without_dataset, 'cifar100 after 12 epochs'),
    (without_times, 'cifar100 after 12 epochs'),
    (with_nan, 'cifar100 after 200 epochs has test-accuracy nan'),
])
def test_results_that_a_network_lacks_are_named(tmp_path, damage, place):
  contents = networks('topology')
  damage(contents[1])
  source = write_directory(tmp_path / 'simple', 'topology', contents)
  architecture = _ARCHITECTURES['topology'][1]
  start = f'{source}: network 1 ({architecture}): {place}'
  assert error_of('topology', source).startswith(start)


def test_a_damaged_network_is_named(topology):
  path = topology / '000002.pickle.pbz2'
  path.write_bytes(path.read_bytes()[:-100])
  assert 'network 2' in error_of('topology', topology)


def test_without_the_package_its_command_is_named(topology, monkeypatch):
  monkeypatch.setitem(sys.modules, 'nats_bench', None)
  message = error_of('topology', topology)
  assert 'pip install nats_bench==1.8' in message


def convert(source, output, space='topology'):
  return subprocess.run(
      [sys.executable, str(_PROGRAM), f'--space={space}', f'--source={source}',
       f'--output={output}'],
      capture_output=True, text=True,
  )


def test_the_program_writes_the_same_table_every_time(tmp_path, topology):
  outputs = [tmp_path / 'one.csv.gz', tmp_path / 'two.csv.gz']
  for output in outputs:
    done = convert(topology, output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f'{output}: 3 networks'
  one, two = (output.read_bytes() for output in outputs)
  assert one == two
  assert gzip.decompress(one).decode() == _TOPOLOGY_TABLE
  assert sorted(tmp_path.iterdir()) == [outputs[0], topology, outputs[1]]


def test_the_program_writes_nothing_when_something_is_wrong(tmp_path, topology):
  folder = tmp_path / 'output'
  folder.mkdir()
  (topology / '000002.pickle.pbz2').write_text('damaged')
  kept = folder / 'kept.csv.gz'
  kept.write_text('an older table')
  for output, space, found in (
      (kept, 'topology', 'network 2'),
      (kept, 'size', 'network 0'),
      (kept, 'depth', '--space'),
      (folder / 'table.txt', 'topology', '--output'),
      (folder / 'none' / 'table.csv.gz', 'topology', '--output'),
  ):
    done = convert(topology, output, space)
    assert done.returncode == 2
    assert done.stderr.startswith('error: ')
    assert done.stderr.count('\n') == 1
    assert found in done.stderr
  assert list(folder.iterdir()) == [kept]
  assert kept.read_text() == 'an older table'

"""Every command of README, docs and docstrings runs, as it is written.

The commands of a document are typed into one shell, in their order, in a copy
of the checkout that all documents share. _CHANGES holds those that would take
minutes, need what is not here or leave something to their reader, and what is
changed of each; _NOT_RUN those that cannot be run at all. Whatever is in
neither is run to the letter.
"""

import pathlib
import types
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests import documented_commands
from tests import processes
from tests.reader_checkout import Outcome
from tests.reader_checkout import ReaderCheckout

_TIMEOUT = 1200
"""Of a document's commands on a busy machine, in seconds."""


class _Change(NamedTuple):
  """What is run in the place of a command.

  Attributes:
    why: it does not run as it stands.
    add: text behind it; of a flag that is given twice, the last one counts.
    replace: texts in it, and what stands for each.
    needs: the documented command that must have run before, or nothing.
    code: exit code that is right.
    says: part of the output that is right.
  """

  why: str
  add: str = ''
  replace: Mapping[str, str] = types.MappingProxyType({})
  needs: str = ''
  code: int = 0
  says: str = ''

  def applied(self, command: str) -> str:
    """The command that is run."""
    for old, new in self.replace.items():
      assert old in command, f'{command}: no {old}'
      command = command.replace(old, new)
    return f'{command} {self.add}'.rstrip()


_AS_IT_STANDS = _Change('')


_SEARCH = './launch.sh'
_RESULT = 'workdir/cifar10_small/result.json'
_TRAIN = f'./launch.sh train --architecture={_RESULT}'
_STORED = (
    './launch.sh train --architecture=docs/results/cifar10_small/result.json'
    ' --workdir=workdir/winner'
)
_MODEL = 'workdir/cifar10_small/final/winner/seed0/model'
_EXPORT = (
    f'./launch.sh export {_MODEL} --formats=stablehlo,onnx,onnx_int8'
    ' --input=uint8 --output=workdir/export'
)
_DEFAULT = '1-1-0-3-0-0-1-0-1-0-1-1-0-1-0-1-1'
_TRACE = './launch.sh trace --config=configs/study/nats.py:topology'
_PERF = '.venv/bin/python tools/perf'
_V3 = 'configs/imagenet.py:v3_small_60m'
_TPU_SEARCH = f'--config={_V3} --workdir=gs://BUCKET/runs/other'

# What is the same for several commands.
_BRIEF = (
    '--config.budget.trials=2 --config.training.epochs=0.25'
    ' --config.training.warmup_epochs=0 --config.target.high=0'
)
_SMOKE = '--config=configs/cifar10_small.py:smoke'
_AFTER_SEARCH = _Change('looks at a search', needs=_SEARCH)
_FINAL = _Change(
    'trains two networks for 12 epochs, three times',
    '--config.final.epochs=0.25 --config.final.warmup_epochs=0'
    ' --config.reference.seeds=1', needs=_SEARCH,
)
_FRONT = (
    './launch.sh search --config=configs/cifar10_small.py'
    ' --config.target.high=1.2e6,1.8e6,2.4e6 --workdir=workdir/front'
)
_TRAIN_FRONT = './launch.sh train --architecture=workdir/front/result.json'
_SEARCH_VIT = (
    './launch.sh search --config=configs/cifar10_small.py'
    ' --config.space=examples.vit_space:space --config.target.high=4e6'
    ' --config.training.optimizer=examples.own_optimizer:lion'
    ' --config.training.learning_rate=0.002'
    ' --config.final.optimizer=examples.own_optimizer:lion'
    ' --config.final.learning_rate=0.002 --workdir=workdir/vit'
)
_SMOKE_FINAL = _Change('looks at a search', needs=_FRONT)
_SMALLEST_FINAL = _SMOKE_FINAL._replace(replace={'1.2e6': '3e5'})
_AFTER_TRAINING = _Change('uses a model', needs=_TRAIN)
_LATENCY = _Change(
    'minutes', '--config.latency.repeats=2 --config.latency.networks=2'
    ' --config.space=cifar10_small'
)
_IN_ONNX = _Change(
    'litert-converter is not installed everywhere',
    f'{_LATENCY.add} --runtime=onnxruntime',
)
_WRITTEN = (
    './launch.sh latency --config=configs/cifar10_small.py'
    ' --config.space=cifar10_small --runtime=litert'
    ' --write_modules=workdir/phone'
)
_STATUS = _Change(
    'a placeholder', replace={'WORKDIR': 'workdir/cifar10_small'},
    needs=_SEARCH,
)
_IMAGENET = _Change(
    'ImageNet', f'--config={_V3},smoke --config.budget.trials=1'
    ' --config.data.directory=$IMAGENET',
)
_COLLECT = _Change('would run this test again', '--collect-only --quiet')
_ACCEPTED = _Change('of a program that only reads its flags', says='accepted')
_OVERVIEW = 'an overview'
_NO_PICKLES = 'the files of NATS-Bench are 2 and 6 GB of pickles'
_NO_CELLS = 'the official file of NAS-Bench-101 has 499 MB'


def _study(config: str) -> _Change:
  return _Change('500 runs of every method', f'--config=configs/study/{config}')


_CHANGES = {
    # Fronts.
    _FRONT: _Change(
        'an hour', f'{_SMOKE} --config.budget.trials=12'
        ' --config.target.high=3e5,4.5e5,6e5',
    ),
    _TRAIN_FRONT: _SMOKE_FINAL,
    f'{_TRAIN_FRONT} --limit=1.2e6': _SMALLEST_FINAL,
    '.venv/bin/python experiments/train.py'
    ' --architecture=workdir/front/result.json --limit=1.2e6': _SMALLEST_FINAL,
    './launch.sh search --config=configs/cifar10_small.py'
    ' --config.limits.params=4e4 --workdir=workdir/limited':
        _Change('half an hour', _SMOKE),
    # The embedded images.
    _SEARCH: _Change('minutes', f'search {_BRIEF}'),
    _TRAIN: _FINAL,
    '.venv/bin/python experiments/train.py --architecture=' + _RESULT: _FINAL,
    './launch.sh train --trial=5 --workdir=workdir/cifar10_small':
        _AFTER_SEARCH._replace(replace={'=5': '=1'}),
    './launch.sh train --trial=17 --workdir=workdir/cifar10_small':
        _AFTER_SEARCH._replace(replace={'=17': '=1'}),
    f'./launch.sh train --architecture={_DEFAULT} --seed=3'
    ' --workdir=workdir/cifar10_small': _AFTER_SEARCH,
    './launch.sh search --config=workdir/cifar10_small/config.json':
        _AFTER_SEARCH,
    './launch.sh status workdir/cifar10_small --watch=2': _AFTER_SEARCH,
    '.venv/bin/python experiments/status.py workdir/cifar10_small':
        _AFTER_SEARCH,
    '.venv/bin/python experiments/report.py workdir/cifar10_small':
        _AFTER_SEARCH,
    './launch.sh report workdir/cifar10_small': _AFTER_SEARCH,
    './launch.sh report workdir/cifar10_small workdir/hundred_trials'
    ' --output=workdir/compared.html':
        _AFTER_SEARCH._replace(replace={'hundred_trials': 'cifar10_small'}),
    './launch.sh status WORKDIR': _STATUS,
    './launch.sh status WORKDIR --watch=2': _STATUS,
    '.venv/bin/python experiments/search.py --config=configs/cifar10_small.py'
    ' --config.budget.trials=100 --config.target.high=2e6'
    ' --workdir=workdir/mine': _Change('minutes', _BRIEF),
    '.venv/bin/python experiments/search.py --config=configs/cifar10_small.py'
    ' --config.search.buckets=20 --workdir=workdir/my_search':
        _Change('minutes', _BRIEF),
    '.venv/bin/python experiments/train.py --trial=17'
    ' --workdir=workdir/my_search': _Change(
        'that search is cut to two trials',
        replace={'=17': '=1', 'my_search': 'cifar10_small'}, needs=_SEARCH,
    ),
    '.venv/bin/python experiments/train.py --architecture=0-1-0 --seed=3'
    ' --workdir=...': _Change(
        'placeholders', replace={
            '0-1-0': _DEFAULT,
            '...': 'workdir/cifar10_small',
        }, needs=_SEARCH,
    ),
    './launch.sh search --config.executor.name=processes': _Change(
        'the search there is finished',
        f'{_SMOKE} --workdir=workdir/processes',
    ),
    './launch.sh search --config.executor.name=ray'
    ' --config.executor.address=HEAD:6379 --workdir=/shared/run': _Change(
        'a cluster', _SMOKE, {'HEAD:6379': '', '/shared': 'workdir/shared'},
    ),
    './launch.sh latency --config=configs/cifar10_small.py'
    ' --config.space=cifar10_small --workdir=workdir/latency': _LATENCY,
    '.venv/bin/python experiments/latency.py --config=configs/cifar10_small.py'
    ' --workdir=workdir/latency': _LATENCY,
    **{
        './launch.sh latency --config=configs/cifar10_small.py'
        f' --config.space=cifar10_small --runtime={runtime}'
        f' --workdir=workdir/{runtime}_latency': _IN_ONNX
        for runtime in ('onnxruntime', 'litert')
    },
    './launch.sh latency --config=configs/cifar10_small.py'
    ' --runtime=onnxruntime --config.latency.sweeps=2'
    ' --workdir=workdir/large_latency': _IN_ONNX,
    _WRITTEN: _IN_ONNX,
    './launch.sh latency --config=configs/cifar10_small.py'
    ' --config.space=cifar10_small --read=workdir/phone/results.csv'
    ' --workdir=workdir/phone_latency': _Change(
        'a phone', needs=_WRITTEN, code=2, says='results.csv',
    ),
    './launch.sh search --config=configs/cifar10_small.py'
    ' --config.space=cifar10_small --config.cost.metric=latency'
    ' --config.cost.latency_table=workdir/latency/latency.csv'
    ' --config.target.high=0.085 --workdir=workdir/fast': _Change(
        'minutes; the limit is that of another machine', _BRIEF,
    ),
    './launch.sh latency --config=configs/cifar10_small.py'
    ' --config.space=examples.mixer_space:space'
    ' --workdir=workdir/mixer_latency': _Change(
        'minutes', '--config.latency.repeats=2 --config.latency.networks=2',
    ),
    './launch.sh latency --config=configs/cifar10_small.py'
    ' --config.latency.whole_networks=True --workdir=workdir/whole_latency':
        _LATENCY,
    # Flax modules of one's own.
    **{
        './launch.sh search --config=configs/cifar10_small.py'
        f' --config.space=examples.{name}_space:space'
        f' --config.target.high=4e6 --workdir=workdir/{name}':
            _Change('minutes', _BRIEF) for name in ('resnet', 'mixer')
    },
    _SEARCH_VIT: _Change('minutes', _BRIEF),
    './launch.sh train --architecture=workdir/vit/result.json':
        _FINAL._replace(needs=_SEARCH_VIT),
    './launch.sh search --config=configs/cifar10_small.py'
    ' --config.space=examples.own_task:space'
    ' --config.data.source=examples.own_task:load'
    ' --config.cost.metric=params --config.target.high=1000'
    ' --config.training.batch_size=32 --config.training.epochs=40'
    ' --config.training.learning_rate=0.1 --config.training.schedule=constant'
    ' --config.training.evaluation_batch_size=64 --config.budget.trials=30'
    ' --workdir=workdir/diabetes': _Change('a minute', _BRIEF),
    # The tutorial.
    './launch.sh search --config=cifar10_small:smoke --config.budget.trials=16'
    ' --config.training.epochs=1 --config.search.guided.certainty=0.5'
    ' --workdir=workdir/tutorial': _Change('minutes', _BRIEF),
    './launch.sh train --architecture=workdir/tutorial/result.json'
    ' --config.final.epochs=4':
        _Change('a minute', '--config.final.epochs=0.25'),
    # Overviews.
    # Models.
    f'./launch.sh predict {_MODEL} examples/automobile.png': _AFTER_TRAINING,
    f'./launch.sh validate {_MODEL}': _AFTER_TRAINING,
    _EXPORT: _AFTER_TRAINING,
    f'./launch.sh export {_MODEL} --formats=onnx --input=uint8'
    ' --output=workdir/export': _AFTER_TRAINING,
    '.venv/bin/python examples/run_onnx.py workdir/export'
    ' examples/automobile.png': _Change('runs what is exported', needs=_EXPORT),
    f'.venv/bin/python experiments/predict.py {_MODEL} cat.png dog.jpg':
        _AFTER_TRAINING._replace(
            replace={'cat.png dog.jpg': 'examples/automobile.png'},
        ),
    f'.venv/bin/python experiments/validate.py {_MODEL}': _AFTER_TRAINING,
    f'.venv/bin/python experiments/export.py {_MODEL}'
    ' --formats=stablehlo,onnx': _AFTER_TRAINING,
    _STORED: _FINAL._replace(needs=''),
    './launch.sh export workdir/winner/winner/seed0/model --input=uint8'
    ' --formats=stablehlo,onnx,onnx_int8,tflite,tflite_int8,saved_model':
        _Change('converters that are large', '--formats=onnx', needs=_STORED),
    f'{_PERF}/exports.py --networks=4': _Change(
        'minutes, and converters', '--report'
    ),
    './launch.sh tpu logs': _ACCEPTED,
    './launch.sh tpu logs --name=nas0': _ACCEPTED,
    './launch.sh --dry-run tpu ...': _Change(_OVERVIEW, replace={
        '...': 'watch --name=nas --project=mine --zone=us-central2-b'
        f' --accelerator-type=v4-8 search {_TPU_SEARCH}',
    }),
    './launch.sh tpu run search --coordinator='
    ' --config.executor.name=processes':
        _Change(
            'only the flags that differ', _TPU_SEARCH,
            {'tpu run': 'tpu run --name=nas0'},
        ),
    # Studies.
    './launch.sh benchmark': _study('nats.py:topology,smoke'),
    './launch.sh benchmark --config=configs/study/nats.py:topology':
        _study('nats.py:topology,smoke'),
    './launch.sh benchmark --config=configs/study/nats.py:paper':
        _study('nats.py:paper,smoke'),
    './launch.sh benchmark --config=configs/study/nats.py:latency':
        _study('nats.py:latency,smoke'),
    './launch.sh benchmark --config=configs/study/nats.py:size':
        _study('nats.py:size,smoke'),
    './launch.sh benchmark --config=configs/study/nats.py:official': _Change(
        _NO_PICKLES, code=2, says='nats_sss.csv.gz',
    ),
    './launch.sh benchmark --config=configs/study/nasbench101.py': _Change(
        _NO_CELLS, code=2, says='nasbench101.npz',
    ),
    './launch.sh benchmark --config=configs/study/macro.py':
        _study('macro.py:smoke'),
    './launch.sh benchmark --config=configs/study/synthetic.py':
        _study('synthetic.py:smoke'),
    './launch.sh benchmark --config=configs/study/search_quality.py':
        _study(
            'search_quality.py:smoke --config.seeds=1'
            ' --config.benchmarks.chain_1000.budget.trials=50'
        ),
    './launch.sh benchmark --config=configs/study/search_quality.py:opponents':
        _Change('its packages are not installed', code=2, says='pip install'),
    './launch.sh benchmark --config=configs/study/accel_nasbench.py':
        _study('accel_nasbench.py:smoke'),
    './launch.sh benchmark --config=configs/study/opponents.py:smac':
        _study('opponents.py:smac,smoke'),
    './launch.sh benchmark --config=configs/study/opponents.py:gp':
        _Change('PyTorch is not installed', code=2, says='pip install'),
    './launch.sh benchmark --config=configs/study/opponents.py:gp_tables':
        _Change('PyTorch is not installed', code=2, says='pip install'),
    './launch.sh benchmark --config=configs/study/own_function.py':
        _study('own_function.py:smoke'),
    '.venv/bin/python tools/make_accel_nasbench.py'
    ' --csv=accel_nasbench.csv.gz': _Change(
        'the CSV is not packaged', code=2, says='accel_nasbench.csv.gz',
    ),
    './launch.sh benchmark --config=configs/study/ablation.py:buckets':
        _study('ablation.py:buckets,smoke'),
    './launch.sh benchmark --config=configs/study/ablation.py:WHAT':
        _Change('500 runs of every method', replace={'WHAT': 'order,smoke'}),
    '.venv/bin/python experiments/benchmark.py'
    ' --config=configs/study/nats.py:topology --workdir=workdir/nats_topology':
        _study('nats.py:topology,smoke'),
    '.venv/bin/python tools/convert_nats_bench.py --space=topology'
    ' --source=NATS-tss-v1_0-3ffb9-simple --output=topology.csv.gz': _Change(
        _NO_PICKLES, code=2, says='NATS-tss-v1_0-3ffb9-simple',
    ),
    '.venv/bin/python tools/convert_nasbench101.py'
    ' --source=nasbench_only108.tfrecord --output=nasbench101.npz': _Change(
        _NO_CELLS, code=2, says='nasbench_only108.tfrecord',
    ),
    './launch.sh convert_nasbench101 --source=nasbench_only108.tfrecord'
    ' --output=nasbench101.npz': _Change(
        _NO_CELLS, code=2, says='nasbench_only108.tfrecord',
    ),
    './launch.sh convert_nats_bench --space=size'
    ' --source=NATS-sss-v1_0-50262-simple --output=nats_sss.csv.gz': _Change(
        _NO_PICKLES, code=2, says='NATS-sss-v1_0-50262-simple',
    ),
    # ImageNet: a made-up one.
    f'./launch.sh search --config={_V3},smoke --config.data.directory=DIRECTORY'
    ' --workdir=workdir/smoke': _Change(
        'ImageNet', replace={'DIRECTORY': '$IMAGENET'},
    ),
    f'./launch.sh search --config={_V3}'
    ' --config.data.directory=gs://BUCKET/tensorflow_datasets':
        _IMAGENET._replace(add=f'{_IMAGENET.add} --workdir=workdir/imagenet'),
    './launch.sh train'
    ' --architecture=workdir/imagenet_v3_small_60m/result.json': _Change(
        'a smoke run has another name',
        replace={'imagenet_v3_small_60m': 'imagenet'},
    ),
    f'./launch.sh search --config={_V3},paper --config.budget.trials=1000'
    ' --config.data.directory=/data/tensorflow_datasets'
    ' --workdir=workdir/v3_small_60m': _IMAGENET,
    f'./launch.sh search --config={_V3},paper --config.budget.trials=1000'
    ' --config.data.directory=/data/tensorflow_datasets'
    ' --workdir=workdir/v3_small_60m --coordinator=10.0.0.1:8476'
    ' --process_count=2 --process_index=1': _IMAGENET._replace(
        why='ImageNet and two machines', replace={
            '10.0.0.1:8476': '$ADDRESS', 'count=2': 'count=1',
            'index=1': 'index=0',
        },
    ),
    f'./launch.sh search --config={_V3}'
    ' --config.data.directory=/shared/tensorflow_datasets'
    ' --config.executor.name=ray --config.executor.address=BOX1:6379'
    ' --workdir=/shared/runs/v3_small_60m': _IMAGENET._replace(
        why='ImageNet and a cluster',
        replace={'BOX1:6379': '', '/shared/runs': 'workdir/shared'},
    ),
    f'./launch.sh train --config={_V3},mobilenet_v3'
    ' --config.data.directory=DIRECTORY --architecture=mobilenet_v3_small'
    ' --workdir=workdir/mobilenet_v3_small': _Change(
        'ImageNet', f'--config={_V3},mobilenet_v3,smoke',
        {'DIRECTORY': '$IMAGENET'},
    ),
    '--config.data.source=tfds --config.data.name=imagenet2012'
    ' --config.data.directory=gs://BUCKET/tensorflow_datasets'
    ' --config.data.num_classes=1000 --config.data.image_size=224'
    ' --config.data.augmentation=resized_crop --config.data.transfer=uint8':
        _IMAGENET._replace(why='flags alone; ImageNet', replace={
            '--config.data.source':
                './launch.sh search --workdir=workdir/data'
                ' --config.data.source',
            'image_size=224': 'image_size=32',
        }),
    '--config.search.schedule=sweep --config.search.buckets=5'
    ' --config.budget.trials=1000': _IMAGENET._replace(
        why='flags alone; ImageNet', replace={
            '--config.search.schedule':
                './launch.sh search --workdir=workdir/shorter'
                ' --config.search.schedule',
        },
    ),
    # Clusters.
    '.venv/bin/ray start --head --port=6379':
        _Change('stays when the test has ended', '--help'),
    '.venv/bin/ray start --address=BOX1:6379': _Change('a cluster', '--help'),
    # Measurements of minutes to hours, which would write into docs/results.
    f'{_PERF}/accelerator.py': _Change(
        'minutes, and is for an accelerator',
        '--section=ten_steps --output=workdir/accelerator',
    ),
    f'{_PERF}/counting.py > docs/results/counting/output.txt': _Change(
        'writes into docs/results', replace={
            'docs/results/counting/output.txt': 'workdir/counting.txt',
        },
    ),
    f'{_PERF}/reward_study.py': _Change('hours', '--report'),
    f'{_PERF}/inheritance_study.py --lines=14': _Change(
        'half an hour', '--report'
    ),
    f'{_PERF}/embedded_search.py': _Change('hours', '--report'),
    f'{_PERF}/latency_study.py': _Change('hours', '--report'),
    f'{_PERF}/fronts.py': _Change('minutes', '--report'),
    f'{_PERF}/other_task.py': _Change('minutes', '--report'),
    f'{_PERF}/early_stop.py --seeds=1 --fractions=0.5':
        _Change('minutes', '--report'),
    f'{_PERF}/image_decoders.py': _Change(
        'minutes', '--rounds=1 --seconds=0.2 --output=workdir/decoders',
    ),
    f'{_PERF}/input_throughput.py': _Change(
        'minutes', '--rounds=1 --seconds=0.1 --output=workdir/throughput',
    ),
    f'{_PERF}/search_overhead.py': _Change('minutes', '--case=topology/sweep'),
    f'{_PERF}/candidates.py --mode=all': _Change(
        'minutes, and PyTorch; tests/perf measures a candidate',
        '--mode=report',
    ),
    f'{_PERF}/candidates.py --mode=whole':
        _Change('compiles 24 networks afresh', '--mode=report'),
    f'{_PERF}/candidates.py --workload=mobilenet_v3_large_224 --mode=all':
        _Change('compiles for minutes, and PyTorch', '--mode=report'),
    f'{_PERF}/train_step.py': _Change('PyTorch', '--mode=report'),
    f'{_PERF}/train_step.py --output=docs/results/train_step_xeon':
        _Change('PyTorch', '--mode=report'),
    f'{_PERF}/step_profile.py': _Change(
        'a minute', '--steps=1 --case=smallest --output=workdir/steps',
    ),
    f'{_PERF}/fault_drill.py --searches=200 --parallel=2': _Change(
        'hours; tests/perf has a short drill', '--mode=report',
    ),
    f'{_PERF}/executors.py --mode=overhead': _Change(
        'a minute', '--trials=2 --rounds=1 --output=workdir/executors',
    ),
    f'{_PERF}/executors.py --mode=speedup --trials=24 --rounds=5': _Change(
        'minutes', '--trials=2 --rounds=1 --output=workdir/executors',
    ),
    f'{_PERF}/executors.py --mode=speedup':
        _Change('a quarter of an hour', '--mode=report'),
    f'{_PERF}/executors.py --mode=memory': _Change(
        'a quarter of an hour', '--trials=2 --output=workdir/executors',
    ),
    f'{_PERF}/ray_recovery.py': _Change(
        'a minute', '--rounds=1 --output=workdir/executors',
    ),
    f'OPENBLAS_NUM_THREADS=1 {_PERF}/workers.py': _Change(
        'minutes', "--cases='v3_large_220m: interleaved, 8'"
        ' --output=workdir/workers',
    ),
    f'{_PERF}/model_guided_ask.py'
    ' > docs/results/model_guided_ask/output.txt':
        _Change('minutes', '--trials=30'),
    '.venv/bin/python examples/syne_tune_scheduler.py': _Change(
        'Syne Tune is not installed', code=1, says='pip install syne-tune',
    ),
    # The tests and the site.
    '.venv/bin/mkdocs serve': _Change('serves until it is ended', '--help'),
    './launch.sh test': _COLLECT,
    './launch.sh test --all': _COLLECT,
    './launch.sh test --all -m long': _COLLECT,
    './launch.sh test tests/search': _COLLECT,
}
"""What is run instead of a command, by the command."""

_NOT_RUN = {
    'pip install onnx onnxruntime': 'a network',
    'pip install litert-converter==0.5.0 ai-edge-litert': 'a network',
    'pip install ai-edge-quantizer': 'a network',
    'pip install tensorflow': 'a network',
    'pip install .': 'a network',
    'pip install gcsfs google-cloud-storage': 'a network',
    '.venv/bin/pip install tensorboard': 'a network',
    ".venv/bin/pip install -e '.[onnx,litert]'": 'a network',
    '.venv/bin/pip install ray': 'a network',
    '.venv/bin/pip install optuna': 'a network',
    '.venv/bin/pip install optuna-dashboard': 'a network',
    '.venv/bin/pip install pyglove': 'a network',
    '.venv/bin/optuna-dashboard sqlite:///search.db':
        'a server of a package that is not installed',
    '.venv/bin/pip install tensorflow-cpu': 'a network',
    '.venv/bin/pip install nats_bench==1.8': 'a network',
    '.venv/bin/pip install -e .[surrogate]': 'a network',
    '.venv/bin/pip install -r configs/study/requirements.txt': 'a network',
    '.venv/bin/pip install -r tools/perf/requirements.txt': 'a network',
}
"""Commands that are not run, and what they need."""

_NOT_COMMANDS = {
    'one network search studies on tables': 'a diagram',
    'config ─► runs/setup ─► Problem, Search': 'a diagram',
    'block size=8 input=24': 'a cell of a table',
    'cost madds: 9 layers': 'what a search prints',
    'for file in workdir/phone/': 'typed where a phone is',
}
"""Beginnings of blocks that nobody types."""

_BEFORE = {
    'docs/scale.md': (
        'export LAYERNAS_TPU_PROJECT=my-project'
        ' LAYERNAS_TPU_ZONE=us-central2-b',
    ),
}
"""What a document tells its reader to take from another one first."""


def _commands(document: str) -> list[str]:
  """Commands of a document that are run."""
  return [
      command for block in documented_commands.blocks_of(document)
      if not block.startswith(tuple(_NOT_COMMANDS))
      for command in documented_commands.commands_of(block)
      if command not in _NOT_RUN
  ]


_COMMANDS = {
    document: found for document in documented_commands.documents()
    if (found := _commands(document))
}
"""Commands by document."""


class _Reader:
  """Types the commands of documents, none twice that leaves files only."""

  def __init__(self, folder: pathlib.Path, imagenet: pathlib.Path):
    self._checkout = ReaderCheckout(folder)
    self._environment = {
        'IMAGENET': str(imagenet), 'ADDRESS': processes.free_address(),
        # Commands that train the same network compile it once.
        'JAX_COMPILATION_CACHE_DIR': str(folder / 'compilation_cache'),
    }
    self._done: set[str] = set()

  def troubles(self, document: str) -> list[str]:
    """Types all commands of a document.

    Args:
      document: its path.

    Returns:
      A text for every command that did not do what it should.
    """
    steps = self._steps([*_BEFORE.get(document, ()), *_COMMANDS[document]])
    outcomes = self._checkout.run(
        [text for _, text in steps], self._environment, _TIMEOUT
    )
    troubles = []
    for (command, text), outcome in zip(steps, outcomes, strict=False):
      if trouble := _trouble(command, outcome):
        troubles.append(f'{text}\n{trouble}')
      elif not _is_of_the_shell(text):
        self._done.add(text)
    for _, text in steps[len(outcomes):]:
      troubles.append(f'{text}\nwas not reached in {_TIMEOUT} s')
    return troubles

  def _steps(self, commands: Sequence[str]) -> list[tuple[str, str]]:
    """Commands with those that they need, and what is typed for each."""
    needed = [each for command in commands for each in _with_needs(command)]
    steps, typed = [], set(self._done)
    for command in needed:
      text = _change_of(command).applied(command)
      if text not in typed or _is_of_the_shell(text):
        steps.append((command, text))
        typed.add(text)
    return steps


def _change_of(command: str) -> _Change:
  return _CHANGES.get(command, _AS_IT_STANDS)


def _with_needs(command: str) -> list[str]:
  """A command behind those that must have run before it."""
  needs = _change_of(command).needs
  return [*(_with_needs(needs) if needs else ()), command]


def _is_of_the_shell(text: str) -> bool:
  """Whether a command changes its shell, or the cloud of that shell."""
  return ' tpu ' in text or not text.startswith(('./launch.sh', '.venv'))


def _trouble(command: str, outcome: Outcome) -> str:
  """What is wrong with an outcome, or nothing."""
  right = _change_of(command)
  if outcome.code is None:
    return f'did not end in {_TIMEOUT} s\n{outcome.output[-2000:]}'
  if (
      outcome.code != right.code or right.says not in outcome.output
      or 'Traceback (most recent call' in outcome.output
  ):
    return (
        f'ended with exit code {outcome.code}, not {right.code} and'
        f' {right.says!r}\n{outcome.output[-2000:]}'
    )
  return ''


@pytest.fixture(scope='module', name='reader')
def _reader(
    tmp_path_factory: pytest.TempPathFactory, imagenet: pathlib.Path
) -> _Reader:
  return _Reader(tmp_path_factory.mktemp('reader'), imagenet)


@pytest.mark.long
@pytest.mark.parametrize('document', _COMMANDS)
def test_commands_of(document: str, reader: _Reader) -> None:
  troubles = reader.troubles(document)
  assert not troubles, '\n\n'.join(troubles)


def test_all_that_is_changed_or_left_out_is_documented() -> None:
  blocks = [
      block for document in documented_commands.documents()
      for block in documented_commands.blocks_of(document)
  ]
  commands = {
      command for block in blocks
      for command in documented_commands.commands_of(block)
  }
  assert not {*_CHANGES, *_NOT_RUN} - commands
  assert not set(_CHANGES) & set(_NOT_RUN)
  for change in _CHANGES.values():
    assert change.why
    assert not change.needs or change.needs in commands
  for start in _NOT_COMMANDS:
    assert any(block.startswith(start) for block in blocks), start
  for document, before in _BEFORE.items():
    assert document in _COMMANDS
    assert set(before) <= commands


def test_every_change_fits_its_command() -> None:
  for command, change in _CHANGES.items():
    text = change.applied(command)
    assert text != command or change.needs or change.says, command


@pytest.mark.parametrize(('text', 'commands'), [
    ('A page\n    ./launch.sh a \\\n      --b=1   # fast\n    pip c\n\nend\n',
     ['./launch.sh a --b=1', 'pip c']),
    ('    for a in b; do\n      echo $a\n    done\n    echo c\n',
     ['for a in b; do\n  echo $a\ndone', 'echo c']),
    ('```\n./launch.sh a\n```\n```python\nb = 1\n```\n', ['./launch.sh a']),
    ('```text\nprinted\n```\n    ./launch.sh a\n', ['./launch.sh a']),
    ('See `./launch.sh\nb`, `a.b` and `X=. .venv/bin/c`.',
     ['./launch.sh b', 'X=. .venv/bin/c']),
    ('    --a=1  # comment\n    --b=2\n', ['--a=1 --b=2']),
    ("    echo 'not \\\n    --a # b\n", ["echo 'not --a"]),
])
def test_what_a_command_is(text: str, commands: list[str]) -> None:
  assert [
      command for block in documented_commands.in_markdown(text)
      for command in documented_commands.commands_of(block)
  ] == commands

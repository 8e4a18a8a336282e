r"""Trains a found network to the end, or one candidate as a search would.

  .venv/bin/python experiments/train.py \
    --architecture=workdir/cifar10_small/result.json

trains the winner of a search and tests it beside a reference. Without --config
the one recorded in result.json is used; a published network
(--architecture=mobilenet_v2) needs --config. The same command goes on where it
was interrupted. Fields of the recorded config are changed by flags, such as
--config.final.epochs=500.

  .venv/bin/python experiments/train.py \
    --architecture=workdir/front/result.json --limit=1.2e6

trains, of a search under several limits, the answer under another one than the
largest; its files go to final_1200000/ beside result.json.

  .venv/bin/python experiments/train.py --trial=17 --workdir=workdir/my_search
  .venv/bin/python experiments/train.py \
    --architecture=0-1-0 --seed=3 --workdir=...

train one candidate alone, with the config of the search in the workdir unless
--config names another, and print its reward, which for a trial is the recorded
one to the bit. Files go to debug/ in the workdir.
"""

import re

from absl import flags
from etils import epath

from layernas import activity
from layernas import paths
from layernas.errors import UserError
from layernas.runs import cli
from layernas.runs import config_flag

_ARCHITECTURE = flags.DEFINE_string(
    'architecture', None, 'A result.json, the name of a published network, or'
    ' the option numbers of a candidate, such as 0-1-0-1.',
)
_LIMIT = flags.DEFINE_float(
    'limit', None, 'Of a result.json with a front: the limit of the cost whose'
    ' answer is trained; default: the largest.',
)
_TRIAL = flags.DEFINE_integer(
    'trial', None, 'Instead of --architecture: id, as in trials.jsonl, of a'
    ' trial of the search in --workdir.', lower_bound=0,
)
_SEED = flags.DEFINE_integer(
    'seed', None, 'Of a candidate by option numbers, as trials record it;'
    ' default 0.', lower_bound=0, upper_bound=2**31 - 1,
)
_RECIPE = flags.DEFINE_enum(
    'recipe', None, ['final', 'training'], 'Section of the config: final for'
    ' whole networks, training for candidates; what --architecture or --trial'
    ' names decides it.',
)
_CONFIG = cli.define_config('Config file; default: that of the search.')
_WORKDIR = cli.define_path(
    'workdir', 'Directory of the run; default: final/ beside result.json.'
    ' Of a candidate: that of its search, or any other with --config.'
)
_JOIN_HOSTS = cli.define_hosts()


def main() -> None:
  """Trains and tests."""
  architecture, trial = _ARCHITECTURE.value, _TRIAL.value
  if (architecture is None) == (trial is None):
    raise UserError(
        'flag --architecture: allowed is either a result.json, a published'
        ' network or option numbers, or --trial'
    )
  by_numbers = re.fullmatch(r'[\d-]+', architecture or '')
  recipe = 'training' if by_numbers or trial is not None else 'final'
  if _RECIPE.value not in (None, recipe):
    raise UserError(
        f'flag --recipe: {_RECIPE.value!r}: allowed is {recipe!r} with'
        f' {"--trial" if architecture is None else architecture}'
    )
  if _SEED.value is not None and not by_numbers:
    raise UserError(
        f'flag --seed: {_SEED.value}: allowed with the option numbers of a'
        ' candidate; a trial has its seed, and config.reference.seeds says'
        ' with how many a network is trained to the end'
    )
  if _LIMIT.value is not None and recipe != 'final':
    raise UserError(
        f'flag --limit: {_LIMIT.value:.12g}: allowed with the result.json of a'
        ' search under several limits'
    )
  _JOIN_HOSTS()
  if recipe == 'final':
    _train_network()
  else:
    _train_candidate()


def _train_network() -> None:
  """Trains to the end."""
  # JAX is slow to import; a wrong flag is answered before.
  with activity.doing('loading JAX'):
    from layernas.runs import final  # noqa: PLC0415
    from layernas.training import hosts  # noqa: PLC0415

  architecture = hosts.on_all(
      lambda: final.read_architecture(_ARCHITECTURE.value, _LIMIT.value)
  )
  if _CONFIG.value is None and architecture.config:
    file = paths.expanded('flag --architecture', _ARCHITECTURE.value)
    config = _CONFIG.changed(config_flag.recorded(architecture.config, file))
  else:
    config = cli.config_of(_CONFIG)
  workdir = _WORKDIR.value
  if workdir is None and not architecture.config:
    raise UserError('flag --workdir: missing; allowed is a directory')
  file = paths.expanded('flag --architecture', _ARCHITECTURE.value)
  name = 'final' if _LIMIT.value is None else f'final_{_LIMIT.value:.12g}'
  beside = epath.Path(file).parent / name
  final.run_final(config, architecture, workdir or beside)


def _train_candidate() -> None:
  """Trains as a search would."""
  with activity.doing('loading JAX'):
    from layernas.runs import one_candidate  # noqa: PLC0415
    from layernas.storage.workdir import read_json  # noqa: PLC0415
    from layernas.training import hosts  # noqa: PLC0415

  workdir = _WORKDIR.value
  if not workdir:
    raise UserError(
        'flag --workdir: missing; allowed is the workdir of a search, or with'
        ' --config and option numbers any directory'
    )
  asked = (
      one_candidate.asked_options(_ARCHITECTURE.value, _SEED.value or 0)
      if _TRIAL.value is None
      else one_candidate.asked_trial(workdir, _TRIAL.value)
  )
  if _CONFIG.value is None:
    file = epath.Path(workdir) / 'config.json'
    config = _CONFIG.changed(
        config_flag.recorded(hosts.on_first(lambda: read_json(file)), file)
    )
  else:
    config = cli.config_of(_CONFIG)
  one_candidate.run_candidate(config, workdir, asked)


if __name__ == '__main__':
  cli.run(main, resumable=True)

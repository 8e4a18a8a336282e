r"""Says what a search will take, before any machine is rented.

  .venv/bin/python experiments/plan.py --config=cifar10_small \
    --images_per_second=2000
  .venv/bin/python experiments/plan.py --config=imagenet:v3_small_60m \
    --images=1281167 --held_out=50046 --test=50000 --classes=1000 \
    --images_per_second=3000

Trainings, steps, images and bytes of checkpoints are counted; hours follow from
the images that one training takes in per second. Data that are not here are
described by their sizes.
"""

import json

from absl import flags

from layernas import activity
from layernas.errors import UserError
from layernas.runs import cli

_CONFIG = cli.define_config(
    'Config of the search: a file, or a name.', 'cifar10_small'
)
_RATE = flags.DEFINE_float(
    'images_per_second', 1000.0, 'That one training takes in on the devices of'
    ' a worker.', 0.0,
)
_WORKERS = flags.DEFINE_integer(
    'workers', 1, 'Candidates that are trained at a time.', 1
)
_COMPILE = flags.DEFINE_float(
    'compile_seconds', 60.0, 'Compiling a candidate.', 0.0
)
_IMAGES = flags.DEFINE_integer(
    'images', 0, 'Training images; 0 = those of the config, which are read.', 0
)
_HELD_OUT = flags.DEFINE_integer(
    'held_out', 0, 'Of them, with --images: for the reward.', 0
)
_TEST = flags.DEFINE_integer('test', 0, 'Test images, with --images.', 0)
_CLASSES = flags.DEFINE_integer('classes', 0, 'Of the data, with --images.', 0)
_JSON = flags.DEFINE_bool('json', False, 'Print JSON in place of tables.')


def main() -> None:
  """Prints the plan."""
  # JAX is slow to import; a wrong flag is answered before.
  with activity.doing('loading JAX'):
    from layernas.runs import plan  # noqa: PLC0415

  if not _RATE.value:
    raise UserError('flag --images_per_second: 0.0: allowed is more than zero')
  config = cli.config_of(_CONFIG)
  dataset = plan.sizes_of(
      config, _IMAGES.value, _HELD_OUT.value, _TEST.value, _CLASSES.value
  )
  speed = plan.Speed(_RATE.value, _WORKERS.value, _COMPILE.value)
  found = plan.make_plan(config, dataset, speed)
  if _JSON.value:
    print(json.dumps(found, indent=2))
  else:
    plan.print_plan(found, speed)


if __name__ == '__main__':
  cli.run(main, data=_JSON)

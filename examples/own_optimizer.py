"""An own optimiser: Lion, or any other transformation of optax.

A function of a `Recipe` that returns an optax.GradientTransformation will do;
what it takes beside the recipe are settings:

  ./launch.sh search --config=configs/cifar10_small.py:smoke \
    --config.training.optimizer=examples.own_optimizer:lion \
    --config.training.optimizer_settings.b2=0.98 \
    --config.training.learning_rate=0.02 --workdir=workdir/own_optimizer

Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023.
"""

import optax

from layernas.training.optimizer import Recipe


def lion(
    recipe: Recipe, b1: float = 0.9, b2: float = 0.99
) -> optax.GradientTransformation:
  """Steps of one size in every direction, and weight decay beside them.

  Args:
    recipe: the learning rate (warm-up and schedule included) and the weight
      decay that the config asks for. An optimiser that takes no weight decay
      comes behind it: optax.chain(recipe.decay.in_loss(), optax.adam(...)).
    b1: share of the momentum in a step.
    b2: decay of the momentum.

  Returns:
    The optimiser.
  """
  return optax.lion(
      recipe.learning_rate, b1=b1, b2=b2, weight_decay=recipe.decay.rate,
      mask=recipe.decay.mask,
  )

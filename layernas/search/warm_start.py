"""Warm starts of a search: first proposals and known trials (ours).

Architectures to try before the schedule's own proposals, and trials of other
searches: those of the same task answer a proposal of their architecture in
place of a training, of those of another task a reward model learns.
"""

import dataclasses
import math
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from layernas.errors import UserError
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.space import architecture_id
from layernas.search.space import parse_architecture_id
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Strategy
from layernas.search.strategy import Wrapper
from layernas.search.trial import Proposal
from layernas.search.trial import Trial
from layernas.search.trial import trial_from_dict


@dataclasses.dataclass(frozen=True)
class WarmStart:
  """The warm start of a search.

  Attributes:
    start: options of undecided layers, as option numbers; '' leaves them to the
      schedule's settings.
    first: architectures that are proposed first, in this order.
    known: trials of other searches, each with a reward; their ids are -1, -2
      and so on.
    others: likewise of other tasks in the same space, task by task.
  """

  start: str = ''
  first: tuple[Architecture, ...] = ()
  known: tuple[Trial, ...] = ()
  others: tuple[tuple[Trial, ...], ...] = ()

  def __bool__(self) -> bool:
    """Whether there is anything."""
    return self != COLD

  def to_dict(self) -> dict[str, Any]:
    """JSON types; `warm_start_from_dict` reads them back."""
    return {
        'start': self.start,
        'first': list(map(architecture_id, self.first)),
        'known': [trial.to_dict() for trial in self.known],
        'others': [
            [trial.to_dict() for trial in trials] for trials in self.others
        ],
    }


COLD = WarmStart()
"""No warm start."""


def warm_start_from_dict(values: Mapping[str, Any]) -> WarmStart:
  """Inverse of `WarmStart.to_dict`.

  Args:
    values: as written by `to_dict`; older versions knew no other tasks.

  Returns:
    The warm start.

  Raises:
    UserError: a field is missing or has another form.
  """
  try:
    return WarmStart(
        values['start'],
        tuple(map(parse_architecture_id, values['first'])),
        tuple(map(trial_from_dict, values['known'])),
        tuple(
            tuple(map(trial_from_dict, trials))
            for trials in values.get('others', ())
        ),
    )
  except (KeyError, TypeError) as error:
    raise UserError(
        f'warm start: {error!r}: allowed is what WarmStart.to_dict writes'
    ) from error


def as_known(trials: Iterable[Trial], problem: Problem) -> tuple[Trial, ...]:
  """Trials of other searches, as known trials of a search.

  Args:
    trials: trials of one task in the same space.
    problem: problem of the search, whose cost model prices them.

  Returns:
    Trials with a reward, of architectures of the space; the same training (of
    an architecture with a seed) once.

  Raises:
    UserError: an architecture is not one of the space.
  """
  found: dict[tuple[Architecture, int], Trial] = {}
  for trial in trials:
    one, seed = trial.candidate.architecture, trial.candidate.seed
    if trial.ok and not isinstance(one, str):
      problem.space.check(one)
      found.setdefault((one, seed), trial)
  return tuple(
      Trial(
          dataclasses.replace(
              trial.candidate, id=-number, layer=0,
              cost=problem.cost.cost(trial.candidate.architecture),
          ),
          trial.evaluation,
      )
      for number, trial in enumerate(found.values(), start=1)
  )


class Enqueued(Wrapper):
  """Proposes given architectures first, then what a strategy proposes.

  The strategy knows their trials as it knows those of other searches: if it
  proposes one of the architectures, its trial answers.
  """

  def __init__(self, inner: Strategy, first: tuple[Architecture, ...]):
    """Wraps a strategy that has not begun.

    Args:
      inner: the strategy that searches after them.
      first: different architectures, in the order of their proposals.
    """
    super().__init__(inner)
    self.first = first
    self.repeats = inner.repeats
    self._trials: list[Trial] = []

  def around(self, proposer: Strategy) -> Strategy:
    """Wraps another strategy in the same way, all anew."""
    return Enqueued(self.inner.around(proposer), self.first)

  def generations(self, context: Context) -> Generations:
    """Yields the given architectures, then the inner strategy's proposals."""
    for one in self.first:
      context.problem.space.check(one)
    price = context.problem.cost.cost
    yield [Proposal(one, price(one)) for one in self.first]
    # Those that are known already were answered by what the context has.
    own = [trial for trial in self._trials if trial.candidate.id >= 0]
    return (yield from self.inner.generations(
        dataclasses.replace(context, known=(*context.known, *own))
    ))

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Keeps trials of given architectures; passes the others on."""
    if self._is_first:
      self._trials.append(trial)
    else:
      self.inner.observe(proposal, trial)

  def rivals(self, proposal: Proposal) -> list[int] | None:
    """The inner strategy's rivals; given architectures have no table."""
    return None if self._is_first else self.inner.rivals(proposal)

  @property
  def _is_first(self) -> bool:
    """Whether the next proposal to be observed is one of the given."""
    return len(self._trials) < len(self.first)

  def plan(self, problem: Problem, trials: float) -> list[str]:
    """The given architectures, as many as fit, and what is left.

    How the inner strategy spends that depends on the results of the first.
    """
    if not self.inner.plan(problem, trials):
      return []
    count = len(self.first)
    if trials < count:
      return [f'{trials:,.0f} of the {count:,} enqueued']
    left = f'{trials - count:,.0f}' if math.isfinite(trials) else 'then those'
    return [f'{count:,} enqueued', f'{left} that the schedule proposes']

  def bound(self, problem: Problem) -> int | None:
    """The inner strategy's bound plus the given architectures."""
    bound = self.inner.bound(problem)
    return None if bound is None else bound + len(self.first)

"""Ask and tell: runs a strategy, keeps the history, stops at the budget.

The state of a search is a function of its settings and its history: to resume,
make the same search and `replay` the recorded trials.
"""

import functools
import math
import numbers
import random
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Concatenate
from typing import ParamSpec
from typing import TypeVar

from layernas import lookup
from layernas.errors import UserError
from layernas.search.budget import Budget
from layernas.search.budget import Spent
from layernas.search.early_stop import EarlyStop
from layernas.search.early_stop import stopped
from layernas.search.problem import Problem
from layernas.search.problem import TargetInterval
from layernas.search.schedules import make_schedule
from layernas.search.space import Network
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Strategy
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Proposal
from layernas.search.trial import Trial
from layernas.search.trial import trial_seed

_P = ParamSpec('_P')
_T = TypeVar('_T')


def _alone(
    method: Callable[Concatenate['Search', _P], _T]
) -> Callable[Concatenate['Search', _P], _T]:
  """A method that waits for the other threads that are in such a method."""
  @functools.wraps(method)
  def waiting(self: 'Search', *args: _P.args, **kwargs: _P.kwargs) -> _T:
    with self._lock:
      return method(self, *args, **kwargs)
  return waiting


class Search:
  """A running search.

  Results may arrive in any order; they are applied in the order of the trial
  ids, so that history, tables and answer depend only on the settings, the seed
  and the evaluations themselves. When the budget of seconds or failures is
  spent, candidates with later ids are withdrawn, with or without a result: a
  search with one candidate at a time would not have reached them.

  Any number of threads may ask and tell. A call with a wrong argument raises a
  UserError before it changes anything, and the search goes on.

  Attributes:
    problem: space, cost and target.
    strategy: proposes architectures.
    budget: when to stop early.
    seed: seed of the search, from which each trial gets its own.
    reuse: whether an architecture that is proposed again is answered by its
      earlier trial.
    early_stop: decides whether a candidate is hopeless; None stops none.
    trials: finished trials in the order of their ids.
    incumbents: for each upper limit of the problem, the trial with the best
      reward among the space's networks under it; the older one of equals.
    known: trials of other searches, with ids below zero; they answer proposals
      as `trials` do, may be the answer, and use none of the budget.
    others: trials of other tasks, task by task; only the strategy uses them.
    reused: number of proposals that an earlier trial answered.
    stop_reason: '' while the search goes on.
  """

  def __init__(
      self, problem: Problem, strategy: Strategy | str,
      budget: Budget = Budget(), seed: int = 0, reuse: bool = True,
      early_stop: EarlyStop | None = None,
  ):
    """Begins a search.

    Args:
      problem: space, cost and target.
      strategy: one that no other search uses; a name is that of a schedule
        with its default settings, see `make_schedule`.
      budget: limits.
      seed: any integer >= 0.
      reuse: True trains each architecture once (the method's rule) unless a
        proposal asks for a repeat; False makes a trial of every proposal, as
        benchmarks charge repeated queries.
      early_stop: None stops no candidate.

    Raises:
      UserError: an argument is of another type, or there is no such schedule.
    """
    if isinstance(strategy, str):
      strategy = make_schedule(strategy)
    for name, value, allowed in (
        ('problem', problem, Problem),
        ('strategy', strategy, Strategy),
        ('budget', budget, Budget),
        ('early_stop', early_stop, EarlyStop | None),
    ):
      if not isinstance(value, allowed):
        raise UserError(
            f'Search: {name} {value!r}: allowed is {_EXAMPLES[name]}'
        )
    seed = _integer('Search: seed', seed)
    self._lock = threading.RLock()
    self.problem = problem
    self.strategy = strategy
    self.budget = budget
    self.seed = seed
    self.reuse = reuse
    self.early_stop = early_stop
    self.trials: list[Trial] = []
    self.known: Sequence[Trial] = ()
    self.others: Sequence[Sequence[Trial]] = ()
    self.incumbents: list[Trial | None] = [None] * len(problem.each_limit)
    self.reused = 0
    self.stop_reason = ''
    self._spent = Spent()
    # While trials are replayed: budgets, and the trials from which they held.
    self._past: Sequence[tuple[int, Budget]] = ()
    self._reused_in_a_row = 0
    self._issued = 0
    self._ids: dict[Network, int] = {}
    self._waiting: dict[int, Candidate] = {}
    self._told: dict[int, Trial] = {}
    self._proposals: list[Proposal] = []
    self._proposal_ids: list[int] = []
    self._observed = 0

  @functools.cached_property
  def _generations(self) -> Generations:
    """Of the strategy, which begins with what is known by then."""
    return self.strategy.generations(Context(
        self.problem, random.Random(self.seed),
        lambda number=-1: self.incumbents[number],
        lambda: self._in_force().remaining(len(self.trials), self.seconds),
        self.known, self.others,
    ))

  @_alone
  def know(
      self, trials: Sequence[Trial], others: Sequence[Sequence[Trial]] = ()
  ) -> None:
    """Takes trials of other searches; those of its task answer as its own do.

    Args:
      trials: trials with the same space, data, recipe and reward, as
        `warm_start.as_known` returns them.
      others: trials with the same space, but other data, another recipe or
        reward, task by task, each as `warm_start.as_known` returns them.

    Raises:
      UserError: the search has begun, the trials have ids of their own search,
        or the strategy learns nothing from other tasks.
    """
    if others and not self.strategy.proposer.transfers:
      raise UserError(
          f'know: {len(others)} other tasks:'
          f' {type(self.strategy.proposer).__name__} learns nothing from them:'
          ' allowed are trials of the same task, or a strategy with a reward'
          ' model, such as ModelGuided()'
      )
    if self._issued or self.reused or self.known or self.others:
      raise UserError(
          'know: the search has begun: allowed once, before the first ask'
      )
    ids = [trial.candidate.id for trial in trials]
    if ids != list(range(-1, -1 - len(ids), -1)):
      raise UserError(
          f'know: trials with the ids {ids[:3]}...: allowed are -1, -2 and so'
          ' on, as layernas.search.warm_start.as_known gives them'
      )
    self.known = tuple(trials)
    self.others = tuple(map(tuple, others))
    for trial in self.known:
      self._ids.setdefault(trial.candidate.architecture, trial.candidate.id)
      self._compare(trial)

  @property
  def seconds(self) -> float:
    """Seconds that all trials took together."""
    return self._spent.seconds

  @property
  def incumbent(self) -> Trial | None:
    """The trial with the best reward in the whole target interval."""
    return self.incumbents[-1]

  @property
  @_alone
  def finished(self) -> bool:
    """Whether no candidate will follow and all results have arrived."""
    return bool(self.stop_reason) and not self._waiting

  @property
  @_alone
  def waiting(self) -> list[Candidate]:
    """Candidates that wait for a result, in the order of their ids."""
    return list(self._waiting.values())

  @property
  @_alone
  def best(self) -> Trial | None:
    """The answer: the incumbent, unless the strategy has a rule of its own."""
    return self.strategy.answer(self.incumbent)

  @_alone
  def front(self) -> list[tuple[TargetInterval, Trial | None]]:
    """The answer under each upper limit of the problem.

    Returns:
      Pairs of a target interval and its answer, None if there is none yet; the
      smallest limit comes first. The last answer is `best`.
    """
    return list(zip(
        (one.target for one in self.problem.each_limit),
        self.strategy.answers(self.incumbents), strict=True,
    ))

  def competes(self, trial: Trial, number: int = -1) -> bool:
    """Whether a trial may be the incumbent.

    Args:
      trial: finished.
      number: number of the upper limit; the largest limit by default.

    Returns:
      True if it has a reward, its network is one of the space, and the network
      may be the answer under the limit.
    """
    one = trial.candidate
    return trial.ok and not isinstance(one.architecture, str) and (
        self.problem.each_limit[number].admits(one.architecture, one.cost)
    )

  @property
  def bound(self) -> int | None:
    """Largest number of trials that schedule and budget allow, if known."""
    limits = [self.strategy.bound(self.problem), self.budget.trials]
    limits = [limit for limit in limits if limit not in (None, float('inf'))]
    return int(min(limits)) if limits else None

  @_alone
  def ask(self, count: int = 1) -> list[Candidate]:
    """Hands out candidates.

    Args:
      count: how many at most.

    Returns:
      The candidates: fewer than `count`, perhaps none, if the next ones depend
      on results that have not arrived, or if the search is over
      (`stop_reason`).

    Raises:
      UserError: `count` is not an integer of zero or more.
    """
    count = _integer('ask: count', count)
    if not self.stop_reason:
      self.stop_reason = self.budget.spent(self._issued, self._spent)
    if self.stop_reason:
      return []
    return self._take(
        min(count, self.budget.trials - self._issued), self.budget.reused
    )

  @_alone
  def upcoming(self, count: int) -> list[Network]:
    """Networks that `ask` will hand out next, whatever results arrive.

    No trial is issued. A budget in seconds, or failures, may end the search
    before they are asked for.

    Args:
      count: how many at most.

    Returns:
      The networks: fewer than `count`, perhaps none, if the next ones depend on
      results that have not arrived, or if the search is over.
    """
    found: list[Network] = []
    if self.stop_reason:
      return found
    for proposal in self._proposals[len(self._proposal_ids):]:
      if len(found) >= min(count, self.budget.trials - self._issued):
        break
      one = proposal.architecture
      known = self.reuse and not proposal.repeat
      if not known or not (one in self._ids or one in found):
        found.append(one)
    return found

  @_alone
  def hopeless(self, trial_id: int, early_reward: float) -> bool:
    """Whether a candidate may be stopped at its early point.

    The call changes nothing. A hopeless candidate that is trained to its end
    nevertheless is recorded as stopped: answers do not depend on timing.

    Args:
      trial_id: id of a candidate that waits for a result.
      early_reward: its reward at the early point.

    Returns:
      True if, by the early rewards, it can neither enter its bucket nor become
      the incumbent; False while an earlier trial has no result.

    Raises:
      UserError: no such candidate waits for a result.
    """
    trial_id = self._checked_id('hopeless', trial_id)
    return trial_id == len(self.trials) and self._next_is_hopeless(early_reward)

  @_alone
  def tell(self, trial_id: int, evaluation: Evaluation) -> None:
    """Takes the result of a candidate.

    Args:
      trial_id: id of a candidate that waits for a result.
      evaluation: its result.

    Raises:
      UserError: no such candidate waits for a result (any more, where the
        budget is spent; see `waiting`), or the result is no Evaluation.
    """
    trial_id = self._checked_id('tell', trial_id)
    if not isinstance(evaluation, Evaluation):
      raise UserError(
          f'tell: result {evaluation!r} of trial {trial_id}: allowed is an'
          ' Evaluation, such as Evaluation(0.5)'
      )
    candidate = self._waiting.pop(trial_id)
    self._told[trial_id] = Trial(candidate, evaluation)
    self._advance()

  @_alone
  def replay(
      self, trials: Iterable[Trial],
      budgets: Sequence[tuple[int, Budget]] = (),
  ) -> None:
    """Feeds recorded trials to a search that has just been made.

    Budgets end nothing here: a search with a larger budget than before
    continues. A strategy that plans by the remaining budget sees what remained
    then.

    Args:
      trials: in order of their ids, from 0.
      budgets: the budgets under which the trials were asked for, each with the
        id of its first trial, ascending from 0; none stands for the present
        budget.

    Raises:
      UserError: the search asks for another candidate than was recorded; the
        record belongs to other settings.
    """
    self._past = budgets
    for trial in trials:
      asked = self._take(1)
      if asked != [trial.candidate]:
        raise UserError(
            f'history: {trial.candidate}, but this search asks for'
            f' {asked[0] if asked else "nothing"}: allowed is a history of the'
            ' same settings'
        )
      del self._waiting[trial.candidate.id]
      self._told[trial.candidate.id] = trial
      self._advance(limited=False)
    self._past = ()

  def _in_force(self) -> Budget:
    """The budget that the next candidate is asked under."""
    held = [budget for first, budget in self._past if first <= self._issued]
    return held[-1] if held else self.budget

  def _checked_id(self, where: str, trial_id: Any) -> int:
    """The id of a candidate that waits for a result."""
    trial_id = _integer(f'{where}: trial id', trial_id, least=-math.inf)
    if trial_id in self._waiting:
      return trial_id
    if trial_id in self._told or 0 <= trial_id < len(self.trials):
      reason = 'it has been told'
    elif self.stop_reason:
      reason = f'the search is over: {self.stop_reason}'
    else:
      reason = 'it has not been asked'
    raise UserError(
        f'{where}: trial {trial_id} does not wait for a result: {reason};'
        f' allowed are {list(self._waiting)}'
    )

  def _take(
      self, count: float, reused: float = math.inf
  ) -> list[Candidate]:
    candidates: list[Candidate] = []
    while self._has_proposal():
      proposal = self._proposals[len(self._proposal_ids)]
      known = None
      if self.reuse and not proposal.repeat:
        known = self._ids.get(proposal.architecture)
      if known is not None and self._reused_in_a_row >= reused:
        self.stop_reason = f'{reused:,} proposals in a row were known'
        break
      # Reused results never wait for the next ask: what was told decides on
      # the tables, not in what batches it was asked.
      if known is not None:
        self._reuse(known)
      elif len(candidates) < count:
        candidates.append(self._issue(proposal))
      else:
        break
    return candidates

  def _has_proposal(self) -> bool:
    """Whether a proposal can be issued; moves on to it."""
    while len(self._proposal_ids) == len(self._proposals):
      if self._observed < len(self._proposals) or not self._next():
        return False
    return True

  def _next(self) -> bool:
    """Starts the strategy's next generation, if there is one."""
    try:
      with lookup.blamed('schedule', type(self.strategy.proposer)):
        self._proposals = next(self._generations)
    except StopIteration as stop:
      self.stop_reason = stop.value
      return False
    except Exception as error:
      # A generator that raised is at its end.
      self.stop_reason = f'the schedule failed: {error}'
      raise
    self._proposal_ids = []
    self._observed = 0
    return True

  def _reuse(self, trial_id: int) -> None:
    """Answers a proposal with the trial of the same architecture."""
    self.reused += 1
    self._reused_in_a_row += 1
    self._proposal_ids.append(trial_id)
    self._advance()

  def _issue(self, proposal: Proposal) -> Candidate:
    """Makes a trial of a proposal."""
    trial_id = self._issued
    self._issued += 1
    self._reused_in_a_row = 0
    candidate = Candidate(
        trial_id,
        proposal.layer,
        proposal.architecture,
        proposal.cost,
        trial_seed(self.seed, trial_id),
    )
    self._ids.setdefault(proposal.architecture, trial_id)
    self._proposal_ids.append(trial_id)
    self._waiting[trial_id] = candidate
    return candidate

  def _advance(self, limited: bool = True) -> None:
    """Records told trials in order; each is observed before the next."""
    self._observe()
    while len(self.trials) in self._told:
      self._record(self._told.pop(len(self.trials)))
      if limited:
        self._withdraw_if_spent()
      self._observe()

  def _observe(self) -> None:
    """Lets the strategy observe what is recorded, in order."""
    while self._observed < len(self._proposal_ids):
      trial_id = self._proposal_ids[self._observed]
      if trial_id >= len(self.trials):
        break
      try:
        with lookup.blamed('schedule', type(self.strategy.proposer)):
          self.strategy.observe(
              self._proposals[self._observed], self._trial(trial_id)
          )
      except Exception as error:
        self.stop_reason = f'the schedule failed: {error}'
        raise
      self._observed += 1

  def _withdraw_if_spent(self) -> None:
    """Ends where one candidate at a time would have: drops what is later."""
    reason = self.budget.spent(0, self._spent)
    if not reason:
      return
    self.stop_reason = reason
    ids, finished = self._proposal_ids, len(self.trials)
    later = [place for place, one in enumerate(ids) if one >= finished]
    if later:
      self.reused -= len(ids) - later[0] - (self._issued - finished)
      del ids[later[0]:]
    self._issued = finished
    self._waiting.clear()
    self._told.clear()

  def _next_is_hopeless(self, early_reward: float | None) -> bool:
    """Applies the rule to the next trial to be recorded.

    The next proposal to be observed is the one that it was issued for.
    """
    if self.early_stop is None or early_reward is None:
      return False
    proposal = self._proposals[self._observed]
    rivals = self.strategy.rivals(proposal)
    if rivals is None:
      return False
    rewards = [self._trial(rival).evaluation.early_reward for rival in rivals]
    for one, best in zip(
        self.problem.each_limit, self.incumbents, strict=True
    ):
      if one.admits(proposal.architecture, proposal.cost):
        rewards.append(best and best.evaluation.early_reward)
    return self.early_stop.hopeless(early_reward, rewards)

  def _record(self, trial: Trial) -> None:
    if self._next_is_hopeless(trial.evaluation.early_reward):
      trial = Trial(trial.candidate, stopped(trial.evaluation))
    self.trials.append(trial)
    self._spent.add(trial)
    self._compare(trial)

  def _trial(self, trial_id: int) -> Trial:
    """A finished trial, or a known one."""
    return self.trials[trial_id] if trial_id >= 0 else self.known[-1 - trial_id]

  def _compare(self, trial: Trial) -> None:
    """Makes a trial the incumbent under each limit where it is the best."""
    for number, best in enumerate(self.incumbents):
      if self.competes(trial, number) and (
          best is None or trial.evaluation.reward > best.evaluation.reward
      ):
        self.incumbents[number] = trial


_EXAMPLES = {
    'problem': 'a Problem, such as Problem(cost)',
    'strategy': "a Strategy, such as Sweep(), or a schedule's name",
    'budget': 'a Budget, such as Budget(trials=100)',
    'early_stop': 'an EarlyStop, such as EarlyStop(margin=0.02), or None',
}
"""What the arguments of a `Search` may be."""


def _integer(where: str, value: Any, least: float = 0) -> int:
  """An integer, perhaps one of NumPy's, as Python's own."""
  if (
      isinstance(value, bool) or not isinstance(value, numbers.Integral)
      or value < least
  ):
    raise UserError(
        f'{where} {value!r}: allowed are integers'
        + (f' >= {least}' if least >= 0 else ', such as candidate.id')
    )
  return int(value)

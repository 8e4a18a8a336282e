"""The search half: spaces, costs, layer tables, schedules, ask and tell.

Pure Python and NumPy. It never trains anything: `Search.ask` hands out
candidates, the caller evaluates them, and `Search.tell` takes the results.

A schedule is an object such as `Sweep(buckets=20, keep=2, spacing='log',
start='smallest')`, whose arguments are its settings and those of its layer
tables. `make_schedule` makes one from a name and the same settings. `Finalists`
wraps a schedule and repeats the best networks at the end; `Enqueued` wraps one
and first proposes given networks.
"""

from layernas.search.budget import Budget
from layernas.search.cost import Cost
from layernas.search.cost import CountedCost
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import JointlyBoundedCost
from layernas.search.cost import additive_cost
from layernas.search.cost import table_cost
from layernas.search.decomposition import Decomposition
from layernas.search.decomposition import decompose
from layernas.search.early_stop import EarlyStop
from layernas.search.engine import Search
from layernas.search.finalists import Finalists
from layernas.search.interleaved import Interleaved
from layernas.search.model_guided import ModelGuided
from layernas.search.problem import Limit
from layernas.search.problem import Problem
from layernas.search.problem import TargetInterval
from layernas.search.schedules import make_schedule
from layernas.search.space import Architecture
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from layernas.search.strategy import Context
from layernas.search.strategy import Strategy
from layernas.search.sweep import Recentred
from layernas.search.sweep import Sweep
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Proposal
from layernas.search.trial import Status
from layernas.search.trial import Trial
from layernas.search.warm_start import Enqueued

__all__ = [
    'Architecture',
    'Budget',
    'Candidate',
    'Context',
    'Cost',
    'CountedCost',
    'Decomposition',
    'EarlyStop',
    'Enqueued',
    'Evaluation',
    'Factor',
    'FactoredCost',
    'Finalists',
    'Interleaved',
    'JointlyBoundedCost',
    'Layer',
    'Limit',
    'ModelGuided',
    'Problem',
    'Proposal',
    'Recentred',
    'Search',
    'SearchSpace',
    'Status',
    'Strategy',
    'Sweep',
    'TargetInterval',
    'Trial',
    'additive_cost',
    'decompose',
    'make_schedule',
    'table_cost',
]

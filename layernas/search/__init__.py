"""The search half: spaces, costs, layer tables, schedules, ask and tell.

Pure Python and NumPy. It never trains anything: `Search.ask` hands out
candidates, its caller evaluates them, and `Search.tell` takes the results.
"""

from layernas.search.budget import Budget
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import additive_cost
from layernas.search.cost import table_cost
from layernas.search.engine import Search
from layernas.search.problem import Problem
from layernas.search.problem import TargetInterval
from layernas.search.schedules import make_schedule
from layernas.search.space import Architecture
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Status
from layernas.search.trial import Trial

__all__ = [
    'Architecture',
    'Budget',
    'Candidate',
    'Evaluation',
    'Factor',
    'FactoredCost',
    'Layer',
    'Problem',
    'Search',
    'SearchSpace',
    'Status',
    'TargetInterval',
    'Trial',
    'additive_cost',
    'make_schedule',
    'table_cost',
]

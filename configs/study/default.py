"""Every field of a study with its default; the other studies change a few.

Not a study of its own. Configs are locked: a field that is not here does not
exist.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
  """A study without benchmarks and methods, unlocked."""
  config = ConfigDict()
  # What is shown on top of the report.
  config.title = ''
  # Runs of each method on each benchmark; their seeds are 0, 1, ...
  config.seeds = 500
  # every_query: every proposal is a trial of its own and is charged, the
  # NATS-Bench protocol's rule; each_network_once: a network proposed again is
  # answered by its first trial, free. Reported apart.
  config.accountings = ('every_query', 'each_network_once')
  # Processes; 0 = one for each core.
  config.workers = 0
  # The method that the others are tested against; '' = no tests.
  config.compared = ''
  # Points of the best-so-far curves.
  config.curve_points = 120
  # By name; see `benchmark` and `method` below.
  config.benchmarks = ConfigDict()
  # By name.
  config.methods = ConfigDict()
  return config


def benchmark(**changes: Any) -> ConfigDict:
  """A benchmark's section.

  Args:
    **changes: fields that differ from the defaults; dots as double underscores
      (`table__name`).

  Returns:
    The section, unlocked.
  """
  section = ConfigDict()
  section.table = table = ConfigDict()
  # Of the package: nats_tss, nats_sss, nas_bench_macro, channel_bench_macro or
  # accel_nasbench; or module:function of your own, which returns a
  # layernas.study.tables.table.Table: figures that a function gives are one.
  table.name = ''
  # Keyword arguments of what table.name names.
  table.settings = ConfigDict()
  # Or a CSV of your own, plain or gzip, with a row for every architecture.
  table.file = ''
  # Of the CSV: the column that holds architectures.
  table.architecture = 'arch'
  # Regular expression whose matches in it are the layers' options.
  table.pattern = '.'
  # Option texts in order; () = those found in each layer.
  table.options = ()
  # Option that stands while a layer is undecided; '' = the last one.
  table.default = ''
  # Names of the layers; () numbers them.
  table.layers = ()

  # Columns of the signal; several are trainings that repeated queries take in
  # turn, the run's seed picks the first.
  section.rewards = ('',)
  # Of the signal: maximise or minimise, as errors and losses are.
  section.direction = 'maximise'
  # Of the report column, where it is another one: maximise or minimise; '' = as
  # the signal.
  section.report_direction = ''
  # additive or interacting: a synthetic reward over the table's space instead;
  # chain: a synthetic space of its own, without a table.
  section.synthetic = ''
  # Of the synthetic reward.
  section.synthetic_seed = 0
  # Size of all interactions beside the single layers' terms.
  section.interaction = 1.0
  # Of a chain: number of layers, and of options of each.
  section.chain_layers = 20
  # See chain_layers.
  section.chain_options = 6
  # Standard deviation of a normal error of every query.
  section.noise = 0.0
  # Share of the queries that fail.
  section.failing = 0.0
  # Column that answers are judged by; held_out: the training that no query
  # gives.
  section.report = ''
  # Column that is limited and grouped by.
  section.cost = ''
  # Column of the seconds charged per query; '' = none.
  section.seconds = ''
  section.target = target = ConfigDict()
  # Smallest cost of the answer; 0 = no limit.
  target.low = 0.0
  # Largest cost of the answer; 0 = no limit.
  target.high = 0.0
  # Runs of each method on it at most; 0 = as the methods have it.
  section.seeds = 0
  section.budget = budget = ConfigDict()
  # Queries at most; 0 = no limit.
  budget.trials = 0
  # Simulated seconds; the last query may overshoot; 0 = no limit.
  budget.seconds = 0.0
  # Known proposals in a row that end a run; a small space is exhausted then.
  budget.reused = 1000

  # Words for the report: what the signal is.
  section.signal = ''
  # What the answers are judged by.
  section.metric = ''
  # Of the images, and what the limits are.
  section.protocol = ''
  # Figures of others, by name: (mean, standard deviation, source).
  section.published = ConfigDict()
  section.update_from_flattened_dict(
      {name.replace('__', '.'): value for name, value in changes.items()}
  )
  return section


def method(
    kind: str, seeds: int = 0, finalists: float = 0.0, **settings: Any
) -> ConfigDict:
  """A method's section.

  Args:
    kind: layernas, default, random, evolution, local_search, reinforce,
      model_random, or of other packages optuna, smac, cqr.
    seeds: runs, where they differ from the config's `seeds`; 0 = as there.
    finalists: share of the budget for repeats of the best networks; 0 = none.
    **settings: of layernas the fields of the section `search` in
      configs/default.py, where schedule, buckets and keep are the paper's
      sweep, 100 and 1; of a baseline the arguments of its class in
      layernas/study/methods.

  Returns:
    The section, unlocked.
  """
  section = ConfigDict()
  # layernas, default, random, evolution, local_search, reinforce, model_random,
  # or of other packages optuna, smac, cqr.
  section.kind = kind
  # Runs, where they differ from the config's seeds; 0 = as there.
  section.seeds = seeds
  # Share of the budget for repeats of the best networks; 0 = none.
  section.finalists = finalists
  # Of layernas the fields of the section search in configs/default.py, of
  # others the arguments of their classes in layernas/study/methods.
  section.settings = ConfigDict()
  if kind == 'layernas':
    section.settings = default.get_config().search
    # Of searches alone: every run of a study begins with nothing.
    del section.settings.enqueue, section.settings.known
    settings = {'schedule': 'sweep', 'buckets': 100, 'keep': 1} | settings
  section.settings.update(settings)
  return section


def methods(buckets: int, optuna_seeds: int = 100) -> ConfigDict:
  """LayerNAS's schedules and all baselines.

  Args:
    buckets: H of the layer tables.
    optuna_seeds: runs of Optuna's samplers, which take most of the time; 0
      leaves them out.

  Returns:
    Sections by name, unlocked.
  """
  sections = ConfigDict({
      'layernas': method('layernas', buckets=buckets),
      'layernas_random_order': method(
          'layernas', buckets=buckets, order='random'
      ),
      'layernas_recentred': method(
          'layernas', schedule='recentred', buckets=buckets, start='random',
          order='alternating',
      ),
      'layernas_interleaved': method(
          'layernas', schedule='interleaved', buckets=buckets
      ),
      'random': method('random'),
      'evolution': method('evolution'),
      'local_search': method('local_search'),
      'reinforce': method('reinforce'),
  })
  for sampler in ('tpe', 'nsga2') if optuna_seeds else ():
    sections[sampler] = method('optuna', seeds=optuna_seeds, sampler=sampler)
  return sections


def finish(config: ConfigDict, argument: str) -> ConfigDict:
  """Applies a config's argument and locks it.

  Args:
    config: to finish.
    argument: '' or 'smoke', which takes four seeds of each method.

  Returns:
    The config, locked.

  Raises:
    ValueError: another argument.
  """
  if argument not in ('', 'smoke'):
    raise ValueError(
        f"config argument {argument!r}: allowed are 'smoke' or none"
    )
  if argument == 'smoke':
    config.seeds = 4
    for each in config.methods.values():
      each.seeds = min(each.seeds, 2)
  return config.lock()

"""Every field of a run with its default; other configs change a few.

Not a run of its own. A field that is not here does not exist: configs are
locked, and a mistyped one is an error.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict
from ml_collections import FieldReference


def get_config() -> ConfigDict:
  """The defaults, unlocked."""
  config = ConfigDict()
  # Of the search, and from it of every trial.
  config.seed = 0
  # A key of SPACES in layernas/networks/mobilenet_spaces.py, or
  # module:function of your own.
  config.space = 'cifar10_small'
  # Networks compiled while another trains; 0 = none. It changes no result.
  config.compile_ahead = 2
  # What a candidate is rewarded with: accuracy, top5 or loss (its negative) on
  # the validation images, or module:function of the metrics.
  config.reward = 'loss'
  # Ends the search at the first failed trial with its traceback, instead of
  # recording the failure and going on.
  config.raise_failures = False

  # Writes a JAX profiler trace below the workdir, for TensorBoard.
  config.profile = profile = ConfigDict()
  # Steps of the first training that are traced; 0 = none.
  profile.steps = 0
  # Steps before them: the first one compiles and warms up.
  profile.skip = 5

  # Where candidates are trained.
  config.executor = executor = ConfigDict()
  # inline (one at a time on all devices), processes (one at a time on each
  # device or core), ray (on a cluster) or auto (inline or processes, whichever
  # is measured to train more).
  executor.name = 'inline'
  # Worker processes; 0 = one for each device, on CPU for each core.
  executor.workers = 0
  # Accelerators of a worker.
  executor.devices = 1
  # Workers that share a GPU, which a small candidate leaves idle; each has its
  # part of the memory. TPU chips and CPUs are not shared so: 1.
  executor.per_device = 1
  # CPU threads of a candidate; 0 = all inline, 1 in a worker. Another number
  # rounds sums otherwise.
  executor.threads = 0
  # Further attempts at a candidate that failed, where they may help.
  executor.retries = 2
  # Seconds of an attempt, and of a worker's start, at most; 0 = no limit. Not
  # for inline.
  executor.timeout = 0.0
  # Of the Ray cluster; '' = this machine alone.
  executor.address = ''
  # GiB that Ray sets apart for a worker; 0 = none.
  executor.memory = 0.0

  config.cost = cost = ConfigDict()
  # What groups and limits candidates: madds, params, latency, or
  # module:function of your own.
  cost.metric = 'madds'
  # Keyword arguments of a metric of your own, such as
  # --config.cost.settings.bits=8.
  cost.settings = ConfigDict()
  # CSV file with the milliseconds of every module, or of some networks, for
  # latency; '' = none.
  cost.latency_table = ''

  config.target = target = ConfigDict()
  # Smallest cost that the answer may have; 0 = no limit.
  target.low = 0.0
  # Largest cost that the answer may have; 0 = no limit. Several, such as
  # 1.2e6,1.8e6: the best network below each of them, in one search.
  target.high = FieldReference(0.0, field_type=object)

  # Largest values of further metrics that the answer may have, such as
  # --config.limits.params=2e5; names as of cost.metric, 0 = no limit.
  config.limits = ConfigDict()

  config.search = search = ConfigDict()
  # model_guided, the paper's interleaved and sweep, recentred, or
  # module:function of your own.
  search.schedule = 'model_guided'
  # Keyword arguments of a schedule of your own, such as
  # --config.search.settings.entries=3.
  search.settings = ConfigDict()
  # H, cost buckets per layer; 0 = as the schedule has it: 100 as in the paper,
  # 10 where a reward model fills them.
  search.buckets = 0
  # Entries kept per bucket; 0 = as the schedule has it: 1, and 2 where a reward
  # model fills the buckets.
  search.keep = 0
  # How the cost axis is cut: linear, log or equal_count.
  search.spacing = 'linear'
  # Where undecided layers stand: default, smallest, largest or random; or
  # option numbers (0-1-0), a result.json, a published network, which schedules
  # without undecided layers train first.
  search.start = 'default'
  # File of architectures to try first, one a line, or a result.json or
  # trials.jsonl; '' = none.
  search.enqueue = ''
  # Workdirs, joined by commas, of searches of the same space, whose trials
  # count as known results; of those with other data, another recipe or reward,
  # a reward model learns. '' = none.
  search.known = ''
  # Order of the layers: forward, backward, alternating or random.
  search.order = 'forward'
  # The visits of the interleaved schedule.
  search.visit = visit = ConfigDict()
  # R, entries that a visit selects.
  visit.entries = 1
  # T, untried options that it tries of each.
  visit.options = 1
  # How entries are selected: uniform or best.
  visit.select = 'uniform'
  # Random children over which a layer's cost axis is cut.
  visit.axis_samples = 2000
  # The rounds of the model_guided schedule.
  search.guided = guided = ConfigDict()
  # Trainings before the first fit of the reward model; half of the budget at
  # most.
  guided.design = 40
  # Networks trained between two fits.
  guided.batch = 5
  # Posterior deviations added to the mean when networks are picked; the
  # networks of a batch take the values in turn.
  guided.optimism = (0.0, 1.0, 2.0, 3.0, 5.0)
  # Trainings of one network at most, the default network excepted; 1 = no
  # repeats.
  guided.trainings = 2
  # Random networks among the candidates of a batch, beside those that the layer
  # tables hold; fewer after many trials.
  guided.random = 4000
  # Probability with which a network must be better than the default network to
  # answer in its place.
  guided.certainty = 0.9
  # Share of the budget left for repeats of the best networks; 0 = none. Not
  # for model_guided, which repeats by itself.
  search.finalists = 0.0

  # Candidates that are hopeless early on are not trained to their end.
  config.early_stop = early_stop = ConfigDict()
  # Share of a candidate's steps at which it is evaluated early; 0 = off. Not
  # for model_guided.
  early_stop.fraction = 0.0
  # Reward by which it must be worse there than all entries of its bucket.
  early_stop.margin = 0.02

  config.budget = budget = ConfigDict()
  # Trials at most; 0 = no limit.
  budget.trials = 0
  # Seconds spent in trials at most; 0 = no limit.
  budget.seconds = 0.0
  # Failed trials in a row that end the search; 0 = no limit.
  budget.failures = 10

  config.data = data = ConfigDict()
  # embedded, tfds or folder, or module:function of your own.
  data.source = 'embedded'
  # Keyword arguments of a loader of your own, such as
  # --config.data.settings.classes=4.
  data.settings = ConfigDict()
  # Of the embedded or TFDS data set.
  data.name = 'cifar10_subset'
  # Image folder, or where TFDS keeps prepared sets ('' = its default); of TFDS
  # also gs://BUCKET/DIRECTORY.
  data.directory = ''
  # Of the TFDS set: a split, or a part of one as train[:90%].
  data.train_split = 'train'
  # Likewise; '' = the first of test and validation that has labels.
  data.test_split = ''
  # Classes that the data set must have; 0 = those that it has.
  data.num_classes = 0
  # Side of the images in pixels.
  data.image_size = 32
  # Share of the training images held out: they give the reward.
  data.validation_share = 0.2
  # Bits that the values of 16-bit PNG files use, such as 12; 0 = 8, 12 or 16,
  # the fewest that hold all values of a file.
  data.bits = 0
  # none, flip, crop_flip or resized_crop.
  data.augmentation = 'crop_flip'
  # Who augments images in memory (none, flip and crop_flip): host, or device,
  # to which pixels then travel as they are. The same to the bit.
  data.augment_on = 'host'
  # Pixels added at each border before crop_flip crops.
  data.crop_padding = 4
  # Share of the image that resized_crop takes at least; smaller areas are drawn
  # again (TuNAS: 0.1).
  data.min_object_covered = 0.0
  # Where ten areas of resized_crop do not fit: whole (the image) or central
  # (what evaluation sees; TuNAS).
  data.crop_fallback = 'whole'
  # With resized_crop, evaluation sees size / (size + margin) of the shorter
  # side (TuNAS, MnasNet: 32 pixels); 0 = 224 / 256 at every size.
  data.evaluation_margin = 0
  # Of red, green and blue in 0..1: subtracted from pixels, which are then
  # divided by the deviation. 0.5 gives -1..1; of ImageNet: (0.485, 0.456,
  # 0.406) and (0.229, 0.224, 0.225).
  data.mean = (0.5, 0.5, 0.5)
  # See mean.
  data.deviation = (0.5, 0.5, 0.5)
  # What decodes image folders: pillow, tensorflow, or auto: TensorFlow where it
  # is installed, else Pillow. Pixels differ a little.
  data.decoder = 'auto'
  # Type of pixels on their way to the accelerator: float32, bfloat16 or uint8.
  data.transfer = 'float32'

  config.model = model = ConfigDict()
  # float32 or bfloat16; parameters are always float32.
  model.dtype = 'float32'
  # Of matrix products and convolutions of float32 on accelerators: default
  # (bfloat16 on TPUs, TF32 on GPUs that have it: what the recipes' authors
  # used), high or highest. CPUs compute in float32 whatever stands here.
  model.matmul_precision = 'default'
  # Operations that give the same bits every time on GPUs, where they may be
  # slower (XLA's flag xla_gpu_deterministic_ops).
  model.deterministic = False
  # Depthwise convolution: compiled (C++ of our own, CPU; with it batch norm and
  # optimiser), shifted, native, or auto: the fastest that the machine can run.
  model.depthwise = 'auto'
  # How convolutions begin: fan_out (MnasNet's and MobileNetV3's code) or fan_in
  # (TuNAS: He et al., 2015, truncated; of dense layers too).
  model.initialization = 'fan_out'
  # Standard deviation with which the classifier begins (TuNAS: 0.01); 0 = the
  # root of 1 / its inputs.
  model.classifier_deviation = 0.0
  # Share of the old running average that batch norm keeps in a step.
  model.batch_norm_momentum = 0.9
  # Added to batch norm's variance (MobileNetV3, MnasNet: 1e-3).
  model.batch_norm_epsilon = 1e-3
  # Normalise by the images of all devices instead of each device's own.
  model.sync_batch_norm = True
  # Share of features dropped before the classifier.
  model.dropout = 0.0
  # Shorter trainings than so many epochs drop nothing; 0 = all drop.
  model.dropout_from_epochs = 0.0

  # How each candidate is trained.
  config.training = get_training()
  # How experiments/train.py trains the winner.
  config.final = get_training()

  # How experiments/latency.py measures.
  config.latency = latency = ConfigDict()
  # Where: xla (JAX's device), onnxruntime or litert (files, on the CPU).
  latency.runtime = 'xla'
  # CPU threads of the runtime; what a phone has is one fast core.
  latency.threads = 1
  # Images of one forward pass.
  latency.batch_size = 1
  # Calls before the timed ones.
  latency.warmup = 3
  # Timed calls of each module; the table has their median.
  latency.repeats = 30
  # Times over that all modules and networks are timed, the fastest of which
  # counts: other programs slow a machine for seconds.
  latency.sweeps = 3
  # Random networks, timed whole, that predictions are compared with.
  latency.networks = 50
  # Whether to time whole networks alone and to fit their options, in place of
  # modules; spaces of Flax modules always do.
  latency.whole_networks = False

  config.reference = reference = ConfigDict()
  # Trainings within a search, at most, of each network that it compares at its
  # end: what it found, the default network, and that one scaled in width to the
  # limit. Together a quarter of the budget at most; 0 = no comparison.
  reference.trainings = 3
  # Seeds that experiments/train.py trains each network with.
  reference.seeds = 3
  # The width-scaled reference's filters are rounded to multiples of this.
  reference.divisor = 1
  # Which filters its width multiplies: proportional (all) or published (base
  # filters, which blocks expand by their ratios: MobileNetV2 and V3).
  reference.rule = 'proportional'
  return config


def get_training() -> ConfigDict:
  """Fields of one kind of training."""
  training = ConfigDict()
  # Images of one step, over all devices.
  training.batch_size = 64
  # Images of one evaluation step, over all devices.
  training.evaluation_batch_size = 250
  # Passes over the training images.
  training.epochs = 2.0
  # sgd (Nesterov momentum) or rmsprop (TensorFlow's), or module:function of
  # your own.
  training.optimizer = 'sgd'
  # Keyword arguments of an optimiser of your own, such as
  # --config.training.optimizer_settings.b1=0.95.
  training.optimizer_settings = ConfigDict()
  # Peak, for a batch of 256; scales with the batch.
  training.learning_rate = 0.4
  # cosine, stepped or constant, or module:function of your own.
  training.schedule = 'cosine'
  # Keyword arguments of a schedule of your own, such as
  # --config.training.schedule_settings.cycles=3.
  training.schedule_settings = ConfigDict()
  # Linear warm-up.
  training.warmup_epochs = 0.5
  # Of the stepped schedule: factor and epochs between steps (MobileNetV3).
  training.decay_rate = 0.97
  # See decay_rate.
  training.decay_epochs = 2.4
  # Of sgd and rmsprop.
  training.momentum = 0.9
  # Of rmsprop: decay of the squared gradient's average.
  training.rms_decay = 0.9
  # Of rmsprop: epsilon inside the root.
  training.rms_epsilon = 1e-3
  # Times half the squared norm of all parameters but those left out below.
  training.weight_decay = 4e-5
  # Joined by commas: batch_norm, bias, depthwise, classifier; '' = none.
  training.weight_decay_excludes = 'batch_norm,bias'
  # Share of the target spread over all classes.
  training.label_smoothing = 0.0
  # Decay of the moving average of the variables; 0 = no average.
  training.ema_decay = 0.0
  # Steps between printed and recorded metrics.
  training.log_every_steps = 25
  # Steps between checkpoints of a network in training; 0 = none.
  training.checkpoint_every_steps = 100
  return training


def split_argument(
    argument: str, variants: Iterable[str], *others: Iterable[str]
) -> tuple[str, ...]:
  """Splits the argument of a config that has variants.

  Args:
    argument: words joined by commas, e.g. 'v2_300m_se,mobilenet_v3,smoke'.
    variants: words of which the argument has exactly one.
    *others: further groups of words; the argument has at most one of each.

  Returns:
    The argument's word of each group, the variant first; '' for none.

  Raises:
    ValueError: no variant, two words of a group, or a word of none.
  """
  groups = [tuple(variants), *map(tuple, others)]
  words = argument.split(',')
  chosen = [
      ','.join(word for word in words if word in group) for group in groups
  ]
  if not chosen[0] or sorted(filter(None, chosen)) != sorted(words):
    further = ', '.join(map(' or '.join, groups[1:]))
    raise ValueError(
        f'config argument {argument!r}: allowed is one of'
        f' {", ".join(groups[0])}, which may be followed, joined by commas, by'
        f' {further}'
    )
  return tuple(chosen)


PAPER: Mapping[str, Any] = {
    'search.schedule': 'interleaved',
    'search.buckets': 100,
    'search.keep': 1,
    'search.finalists': 0.0,
    'reward': 'accuracy',
    'reference.trainings': 0,
    'budget.trials': 0,
}
"""The search of the LayerNAS paper: its algorithm 1 with H = 100 and one entry
for each bucket, rewarded with the accuracy of one training, until the schedule
is through."""


def finish(
    config: ConfigDict, argument: str, smoke_size: int = 16,
    smoke_target: float = 0.25, smoke_trials: int = 4,
) -> ConfigDict:
  """Applies a config's argument and locks it.

  Args:
    config: to finish.
    argument: '', or 'paper', 'smoke' or both, joined by a comma: `PAPER`, and
      a few short trials.
    smoke_size: side of the images of 'smoke'.
    smoke_target: factor of 'smoke' on the upper limit of the target.
    smoke_trials: of 'smoke'.

  Returns:
    The config, locked.

  Raises:
    ValueError: another argument.
  """
  words = [word for word in argument.split(',') if word]
  if len(words) != len(set(words)) or not {'paper', 'smoke'}.issuperset(words):
    raise ValueError(
        f"config argument {argument!r}: allowed are 'paper' and 'smoke', joined"
        ' by a comma, or none'
    )
  if 'paper' in words:
    config.update_from_flattened_dict(PAPER)
  if 'smoke' in words:
    config.data.image_size = smoke_size
    config.target.low = 0.0
    high = config.target.high
    config.target.high = (
        tuple(smoke_target * one for one in high)
        if isinstance(high, tuple | list) else smoke_target * high
    )
    # So that already the first networks lie in the target interval.
    config.search.start = 'smallest'
    config.search.buckets = 1
    config.budget.trials = smoke_trials
    config.reference.trainings = 0
    config.reference.seeds = 1
    config.latency.sweeps = 1
    config.latency.repeats = 3
    config.latency.networks = 2
    for training in (config.training, config.final):
      training.epochs = 0.2
      training.warmup_epochs = 0.0
      training.log_every_steps = 5
      training.checkpoint_every_steps = 10
  return config.lock()

"""What LayerNAS needs: rewards that add up, interact, are noisy, fail.

Synthetic rewards over NAS-Bench-Macro's space and costs, at most half of the
largest MAdds, 300 queries: additive, where the paper's assumption holds
exactly; interacting, where it does not; additive with an error of one standard
deviation of a layer's terms; additive with a tenth of the queries failing.
Takes about a minute on two CPU cores. Expect LayerNAS to lead where the reward
is additive (docs/results/synthetic).

  ./launch.sh benchmark --config=configs/study/synthetic.py
"""

from ml_collections import ConfigDict

from configs.study import default

_KINDS = {
    'additive': {'synthetic': 'additive'},
    'interacting': {'synthetic': 'interacting', 'interaction': 1.0},
    'noisy': {'synthetic': 'additive', 'noise': 1.0},
    'failing': {'synthetic': 'additive', 'failing': 0.1},
}


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '' or 'smoke', which shrinks it to four seeds.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.title = 'Synthetic rewards'
  for kind, fields in _KINDS.items():
    config.benchmarks[kind] = default.benchmark(
        table__name='nas_bench_macro', cost='madds', target__high=52_830_464.0,
        budget__trials=300, signal=f'synthetic reward, {kind}',
        metric='the same without error',
        protocol='space and MAdds of NAS-Bench-Macro, at most half of the'
        ' largest',
        **fields,
    )
  config.methods = default.methods(10, optuna_seeds=0)
  config.compared = 'layernas'
  return default.finish(config, argument)

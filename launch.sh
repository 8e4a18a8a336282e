#!/usr/bin/env bash
# Sets everything up beside this file and runs one program of experiments/ or
# tools/.
# ./launch.sh --help says how.

# Whatever shell was told to run this file, as in "sh launch.sh".
case ${BASH_VERSION:-} in
  '') command -v bash >/dev/null || {
    echo 'error: launch.sh: no bash on PATH; install it' >&2
    exit 1
  }
    exec bash "$0" "$@" ;;
esac
set +o posix
set -euo pipefail

# The directory of this file, also where it is started through links.
find_root() {
  local file=${BASH_SOURCE[0]} target
  while [[ -L $file ]]; do
    target=$(readlink -- "$file")
    case $target in
      /*) file=$target ;;
      *) file=$(dirname -- "$file")/$target ;;
    esac
  done
  cd -P -- "$(dirname -- "$file")" >/dev/null && pwd
}

root=$(find_root)
venv=$root/.venv
stamp=$venv/launch.stamp
requirements=$root/requirements.txt
test_requirements=$root/tests/requirements.txt
dry_run=false

usage() {
  cat <<'END'
Usage: ./launch.sh [--dry-run] [command [flags]]

Commands (without one: search):
  search [flags]       the layerwise search. Unless the flags name others, with
                       --config=cifar10_small and --workdir=workdir/NAME, NAME
                       being that of the config with its argument. The same
                       command goes on where it was stopped.
  benchmark [flags]    search methods on enumerated benchmarks; likewise, with
                       --config=study/nats:topology.
  audit [flags]        audit of the method's assumption.
  trace [flags]        decisions of one run, as a page.
  latency [flags]      measures a space's modules.
  plan [flags]         what a search will take: trainings, images, bytes, hours.
  status WORKDIR       how far a search is: trials, workers, best so far, ETA.
  report WORKDIR...    one page about one search or several beside each other.
  train [flags]        trains the network that a search found:
                       --architecture=workdir/cifar10_small/result.json; or
                       one candidate alone, as a search would: --trial=17 of
                       the search in --workdir, or its option numbers as in
                       --architecture=0-1-0-1.
  predict MODEL IMAGE...
                       the likeliest classes of images, by what train wrote.
  validate MODEL       accuracy and speed of a model on test images.
  export MODEL         ONNX, TFLite and StableHLO files of a model.
  test [pytest args]   ruff, then the fast tests.
  test --all [...]     ruff, then every test, the long ones too.
  tpu ...              programs on Cloud TPU VMs and pod slices, started from
                       here; "./launch.sh tpu --help" says how.
  NAME [flags]         any other experiments/NAME.py or tools/NAME.py.
Flags are passed on unchanged; "./launch.sh search --help" lists them.

The first start makes .venv and installs requirements.txt with the JAX build for
the accelerator found; a later one installs nothing. The first "test" adds
tests/requirements.txt. Some of its packages are added when they are asked for:
by gs:// in a flag, --config.executor.name=ray, data.source=tfds in flags or
config, the formats of export, benchmark or export_to_optuna. Environment:
  LAYERNAS_PLATFORM    cpu, cuda12, cuda13 or tpu instead of the one found.

Options:
  --dry-run            prints the commands that would run, and runs none.
  --help               this text.
END
}

fail() {  # exit code, message
  echo "error: $2" >&2
  exit "$1"
}

say() {
  echo "launch: $1" >&2
}

# Runs a command, or prints it under --dry-run so that a shell can read it.
run() {
  if $dry_run; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

# Like run, for the last command: signals go straight to the program.
finish() {
  if $dry_run; then
    run "$@"
  else
    exec "$@"
  fi
}

is_new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints the path of the first Python that will do. That of .venv itself, which
# comes first where .venv is activated, cannot make .venv afresh.
find_python() {
  local name path PATH=${PATH//"$venv/bin:"/}
  for name in python3 python3.13 python3.12 python3.11; do
    if path=$(command -v "$name") && is_new_enough "$path"; then
      echo "$path"
      return
    fi
  done
  fail 1 "no Python of version 3.11 or newer on PATH; install one, e.g. on \
Debian or Ubuntu: apt-get install python3 python3-venv"
}

# Debian's python3 without python3-venv has the module venv, but no ensurepip.
require_venv() {
  if ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
    fail 1 "$1 cannot make a virtual environment; install its venv module, \
e.g. on Debian or Ubuntu: apt-get install $(basename "$1")-venv"
  fi
}

# True on a Google Cloud TPU VM. PCI device ids as in JAX's hardware_utils.py:
# TPU v2 and v3, v4, v5p, v5e, v6e, 7x. Google's network cards share the vendor.
has_tpu() {
  local device vendor id
  for device in /sys/bus/pci/devices/*; do
    read -r vendor 2>/dev/null <"$device/vendor" || continue
    [[ $vendor == 0x1ae0 ]] || continue
    read -r id 2>/dev/null <"$device/device" || continue
    case $id in
      0x0027 | 0x005e | 0x0062 | 0x0063 | 0x006f | 0x0076) return 0 ;;
    esac
  done
  return 1
}

# Prints the JAX build that a GPU can run, or nothing: CUDA 13 needs driver 580
# and compute capability 7.5, CUDA 12 needs driver 525.
cuda_build_of() {  # driver version, compute capability
  local driver=${1%%.*} major=${2%%.*} minor=${2##*.}
  if ! [[ $driver$major$minor =~ ^[0-9]+$ ]] || ((driver < 525)); then
    return
  elif ((driver >= 580 && 10 * major + minor >= 75)); then
    echo cuda13
  else
    echo cuda12
  fi
}

# Prints the JAX build that every GPU here can run, or nothing.
cuda_build() {
  local gpus driver capability builds=''
  command -v nvidia-smi >/dev/null || return 0
  gpus=$(nvidia-smi --query-gpu=driver_version,compute_cap \
    --format=csv,noheader 2>/dev/null) || gpus=none
  while IFS=', ' read -r driver capability; do
    builds+=" $(cuda_build_of "$driver" "$capability")."
  done <<<"$gpus"
  case $builds in
    *' .'*) say 'nvidia-smi shows no GPU with driver 525 or newer: using CPU' ;;
    *cuda12*) echo cuda12 ;;
    *) echo cuda13 ;;
  esac
}

find_platform() {
  local build
  case ${LAYERNAS_PLATFORM:-} in
    cpu | cuda12 | cuda13 | tpu) echo "$LAYERNAS_PLATFORM" ;;
    '')
      if has_tpu; then
        echo tpu
      else
        build=$(cuda_build)
        echo "${build:-cpu}"
      fi
      ;;
    *) fail 2 "LAYERNAS_PLATFORM: $LAYERNAS_PLATFORM; allowed are cpu, cuda12, \
cuda13, tpu" ;;
  esac
}

# What the stamp of a complete installation says: platform, Python version and
# hashes of the requirements. Nothing where .venv has no working Python.
wanted_stamp() {  # platform, files
  "$venv/bin/python" -I -S - "$@" 2>/dev/null <<'END' || true
import hashlib, sys
platform, *files = sys.argv[1:]
words = [platform, '%d.%d' % sys.version_info[:2]]
for name in files:
  with open(name, 'rb') as file:
    words.append(hashlib.sha256(file.read()).hexdigest())
print(*words)
END
}

read_stamp() {
  cat "$stamp" 2>/dev/null || true
}

# JAX as requirements.txt pins it, with the extra for the platform.
jax_requirement() {
  local version
  version=$(sed -n 's/^jax==\([^ ;]*\).*/\1/p' "$requirements")
  case $1 in
    cpu) echo "jax==$version" ;;
    *) echo "jax[$1]==$version" ;;
  esac
}

# A start that finds another one's installation under way must not delete it.
require_no_other_install() {
  local state pid
  read -r state pid _ <<<"$(read_stamp)"
  if [[ $state == installing && $pid != "$$" ]] && kill -0 "$pid" 2>/dev/null
  then
    fail 1 "process $pid is installing into $venv; wait for it, or delete that \
folder if the process is something else"
  fi
}

# Makes .venv afresh: an update in place could leave parts of another JAX build
# or of an interrupted installation. One made by hand has no stamp and is kept.
make_venv() {  # python
  local old
  old=$(read_stamp)
  if [[ -z $old ]] && is_new_enough "$venv/bin/python"; then
    say "using the existing $venv"
    mark_installing
    return
  fi
  say "making $venv with $1"
  mark_installing
  if [[ -n $old ]]; then
    run find "$venv/" -mindepth 1 ! -name "$(basename "$stamp")" -delete
  fi
  run "$1" -m venv "$venv"
}

mark_installing() {
  $dry_run || { mkdir -p "$venv" && echo "installing $$" >"$stamp"; }
}

# The stamp comes last: an interrupted installation never has it.
install() {  # platform, files; the last one includes those before it
  local platform=$1 files=("${@:2}") last=${*: -1:1} size=1 python
  python=$(find_python)
  require_venv "$python"
  require_no_other_install
  make_venv "$python"
  if [[ $last == "$test_requirements" ]]; then
    size=3
  fi
  say "installing ${last#"$root/"} with JAX for $platform: some minutes, $size \
GB or more"
  pip_install --requirement "$last" "$(jax_requirement "$platform")" ||
    fail 1 'the installation failed, see above; the next start makes it afresh'
  $dry_run || link_checkout
  $dry_run || wanted_stamp "$platform" "${files[@]}" >"$stamp"
}

# Adds packages to a complete installation, which stays one where pip fails: it
# undoes what it began. Where pip is killed, the next start makes all afresh.
add() {  # stamp afterwards, pip's arguments
  local before after=$1
  before=$(read_stamp)
  shift
  require_no_other_install
  mark_installing
  if pip_install "$@"; then
    $dry_run || echo "$after" >"$stamp"
  else
    echo "$before" >"$stamp"
    return 1
  fi
}

pip_install() {  # pip's arguments
  run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    "$@"
}

# Has the environment's own Python find this checkout, so that
# .venv/bin/python experiments/search.py runs too; needs neither a build nor a
# network.
link_checkout() {
  local packages
  packages=$("$venv/bin/python" -c \
    'import sysconfig; print(sysconfig.get_path("purelib"))')
  echo "$root" >"$packages/layernas_checkout.pth"
}

set_up() {  # whether for the tests
  local platform stamped wanted tested
  platform=$(find_platform)
  stamped=$(read_stamp)
  wanted=$(wanted_stamp "$platform" "$requirements")
  tested=$(wanted_stamp "$platform" "$requirements" "$test_requirements")
  if $dry_run; then
    say "JAX for $platform"
  fi
  if ! $1; then
    if [[ -z $wanted || $stamped != "$wanted" && $stamped != "$wanted "* ]]
    then
      install "$platform" "$requirements"
    fi
  elif [[ -n $wanted && $stamped == "$wanted" ]]; then
    say "adding ${test_requirements#"$root/"}: some minutes, 2 GB or more"
    add "$tested" --requirement "$test_requirements" ||
      fail 1 'the installation failed, see above'
  elif [[ -z $tested || $stamped != "$tested" ]]; then
    install "$platform" "$requirements" "$test_requirements"
  fi
  # Before the installed packages, also in an environment made by hand.
  run export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
}

# Adds what command, flags and config ask for and requirements.txt leaves out,
# in the versions of tests/requirements.txt. What is asked for otherwise, as in a
# flag file or by code of one's own, the program names.
add_what_is_asked_for() {  # command, config or nothing, flags
  local line module names packages
  while read -r module names; do
    is_installed "$module" && continue
    packages=()
    while IFS= read -r line; do
      packages+=("$line")
    done < <(sed -nE "/^(${names// /|})==/p" "$test_requirements")
    say "adding ${names%% *}, which is asked for"
    add "$(read_stamp)" "${packages[@]}" ||
      say "${names%% *} could not be added; a program that needs it says so"
  done < <(asked_for "$@")
}

is_installed() {  # module
  "$venv/bin/python" -c 'import importlib.util, sys
sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "$1" 2>/dev/null
}

# Prints lines: a module, and the packages that make it.
asked_for() {  # command, config or nothing, flags
  local text='' formats
  case $1 in
    benchmark | export_to_optuna) echo 'optuna optuna' ;;
  esac
  if [[ -f $2 ]]; then
    text=$(<"$2")
  fi
  shift 2
  case "$*" in
    *gs://*) echo 'gcsfs gcsfs google-cloud-storage' ;;
  esac
  if [[ $(flag_value config.executor.name "$@") == ray ]]; then
    echo 'ray ray'
  fi
  formats=$(flag_value formats "$@") || formats=''
  if [[ $formats == *onnx* ]]; then
    echo 'onnxruntime onnx onnxruntime'
  fi
  if [[ $formats == *tflite* ]]; then
    echo 'ai_edge_quantizer ai-edge-litert ai-edge-quantizer litert-converter'
  fi
  if [[ $formats == *saved_model* ]]; then
    echo 'tensorflow tensorflow-cpu tensorflow'
  fi
  case $(flag_value config.data.source "$@") in
    tfds) echo 'tensorflow tensorflow-cpu tensorflow' ;;
    '')
      if [[ $text =~ source[^[:alnum:]]+tfds ]]; then
        echo 'tensorflow tensorflow-cpu tensorflow'
      fi
      ;;
  esac
}

# Prints the value of a flag in the arguments, in each form that absl takes; of
# one that is given twice, the last.
flag_value() {  # name, arguments
  local name=$1 value found=1
  shift
  while (($#)); do
    case $1 in
      --"$name"=* | -"$name"=*) value=${1#*=} found=0 ;;
      --"$name" | -"$name") value=${2:-} found=0 ;;
    esac
    shift
  done
  [[ $found == 0 ]] && printf '%s\n' "$value"
}

# Prints the file of the config that the flags name, or nothing.
config_file() {  # flags
  local config
  config=$(flag_value config "$@") || return 0
  config=${config%%:*}
  if [[ ! -f $config ]]; then
    config=$root/configs/$config.py
  fi
  echo "$config"
}

run_program() {  # command, flags
  local command=$1
  shift
  add_what_is_asked_for "$command" "$(config_file "$@")" "$@"
  finish "$venv/bin/python" "$(program_file "$command")" "$@"
}

program_file() {  # name
  local folder=$root/experiments
  if [[ ! -f $folder/$1.py ]]; then
    folder=$root/tools
  fi
  echo "$folder/$1.py"
}

require_program() {  # what to call it in the error, name, other names
  if ! [[ $2 =~ ^[a-z0-9_]+$ && -f $(program_file "$2") ]]; then
    fail 2 "$1: unknown; allowed are $3 and the names in experiments/ and \
tools/, see ./launch.sh --help"
  fi
}

run_tests() {  # --all or nothing, pytest's arguments
  if [[ ${1:-} == --all ]]; then
    shift
    # No selection in place of that of pyproject.toml; a further -m replaces it.
    set -- -m '' "$@"
  fi
  run cd "$root"
  say 'ruff check'
  run "$venv/bin/python" -m ruff check
  say 'pytest'
  # A process per core; the tests of a module share what they set up.
  finish "$venv/bin/python" -m pytest --numprocesses=logical --dist=loadfile \
    "$@"
}

main() {
  local command
  if [[ ${1:-} == --dry-run ]]; then
    dry_run=true
    shift
  fi
  command=${1:-search}
  shift $(($# > 0))
  case $command in
    -h | --help) usage && return ;;
  esac
  if [[ $command == tpu ]]; then
    # shellcheck source=launch_tpu.sh
    source "$root/launch_tpu.sh"
    run_tpu "$@"
    return
  fi
  if [[ $command != test ]]; then
    require_program "command $command" "$command" 'search, train, test, tpu'
  fi
  if [[ $command == test ]]; then
    set_up true
    run_tests "$@"
  else
    set_up false
    run_program "$command" "$@"
  fi
}

main "$@"

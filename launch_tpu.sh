# shellcheck shell=bash
# The command tpu of launch.sh, which sources this file. docs/tpu.md says how to
# use it. The first part runs on the user's machine and talks to gcloud; the
# last one runs on every worker of the TPU, where a copy of the checkout lies in
# ~/layernas: what goes through ssh stays one command with quoted arguments.

# shellcheck disable=SC2154  # root and dry_run are launch.sh's.
records=$root/workdir/tpu

# Programs that ended without a result, or set-ups that failed, one after the
# other on the same TPU: more often, watch gives up instead of paying for more.
max_setbacks=5

tpu_usage() {
  cat <<'END'
Usage: ./launch.sh [--dry-run] tpu SUBCOMMAND [flags] [PROGRAM [its flags]]

  create               makes the TPU, or takes the one of that name; one that
                       was preempted is deleted and made again.
  copy                 sends this checkout to ~/layernas of all workers.
  install              installs .venv on all workers.
  run PROGRAM ...      starts a program (search, train, ...) on all workers.
                       It goes on when the connection ends. Flags reach it
                       unchanged; paths in them are relative to the checkout,
                       and --workdir is on gs://.
  watch PROGRAM ...    all of the above, and again after every preemption,
                       until the program is done. May itself be stopped and
                       started again; the program then goes on meanwhile.
  logs                 follows the program's output on one worker.
  status               state of the TPU and of the program on all workers.
  stop                 ends the program, which saves first.
  delete               deletes the TPU. Until then it costs money.

Flags, each also an environment variable, as LAYERNAS_TPU_ACCELERATOR_TYPE:
  --name=NAME          of the TPU.
  --project=PROJECT    of Google Cloud.
  --zone=ZONE          e.g. us-central2-b.
For create and watch:
  --accelerator-type=TYPE    v3-8, v4-8, v5litepod-8: one VM; v3-32: four.
  --version=VERSION    runtime; the default is that of the accelerator type.
  --spot               cheaper, and preempted at any time.
  --queued             waits in Google's queue (queued resources) for a TPU;
                       delete needs it too.
  --create-flag=FLAG   one more flag of gcloud's create, e.g.
                       --create-flag=--network=mine; may be repeated.
For all that connect:
  --connect-flag=FLAG  one more flag of gcloud's ssh and scp, e.g.
                       --connect-flag=--internal-ip; may be repeated.
For logs: --worker=N or all (default 0).
For watch:
  --poll=SECONDS       between looks at the TPU (default 60).
  --delete-after       deletes the TPU when the program is done.
END
}

# Flags and their defaults: those of the environment.
read_tpu_environment() {
  name=${LAYERNAS_TPU_NAME:-}
  project=${LAYERNAS_TPU_PROJECT:-}
  zone=${LAYERNAS_TPU_ZONE:-}
  type=${LAYERNAS_TPU_ACCELERATOR_TYPE:-}
  version=${LAYERNAS_TPU_VERSION:-}
  spot=${LAYERNAS_TPU_SPOT:-false}
  queued=${LAYERNAS_TPU_QUEUED:-false}
  delete_after=${LAYERNAS_TPU_DELETE_AFTER:-false}
  worker=${LAYERNAS_TPU_WORKER:-0}
  poll=${LAYERNAS_TPU_POLL:-60}
  create_flags=()
  connect_flags=()
}

# Reads flags up to the first word that is none: the program.
read_tpu_flags() {  # flags, program and its flags
  while [[ ${1:-} == -* ]]; do
    case $1 in
      --name=*) name=${1#*=} ;;
      --project=*) project=${1#*=} ;;
      --zone=*) zone=${1#*=} ;;
      --accelerator-type=*) type=${1#*=} ;;
      --version=*) version=${1#*=} ;;
      --spot) spot=true ;;
      --queued) queued=true ;;
      --delete-after) delete_after=true ;;
      --worker=*) worker=${1#*=} ;;
      --poll=*) poll=${1#*=} ;;
      --create-flag=*) create_flags+=("${1#*=}") ;;
      --connect-flag=*) connect_flags+=("${1#*=}") ;;
      *) fail 2 "tpu flag $1: unknown; allowed are --name=NAME and the others \
in ./launch.sh tpu --help" ;;
    esac
    shift
  done
  program=("$@")
}

require_match() {  # flag, value, pattern, what is allowed
  local variable
  if [[ -z $2 ]]; then
    variable=LAYERNAS_TPU_$(tr 'a-z-' 'A-Z_' <<<"${1#--}")
    fail 2 "tpu flag $1: missing; allowed is $4, also as $variable in the \
environment"
  elif ! [[ $2 =~ $3 ]]; then
    fail 2 "tpu flag $1: $2; allowed is $4"
  fi
}

require_tpu_flags() {
  require_match --name "$name" '^[a-z]([a-z0-9-]*[a-z0-9])?$' \
    'a name of small letters, digits and hyphens, e.g. layernas-v3-32'
  require_match --project "$project" '^[a-z0-9.:-]+$' \
    'the id of a Google Cloud project'
  require_match --zone "$zone" '^[a-z]+-[a-z]+[0-9]+-[a-z]$' \
    'a zone, e.g. us-central2-b'
  require_match --worker "$worker" '^([0-9]+|all)$' 'a number or all'
  require_match --poll "$poll" '^[0-9]+$' 'a number of seconds'
  require_match --spot "$spot" '^(true|false)$' 'true or false'
  require_match --queued "$queued" '^(true|false)$' 'true or false'
  require_match --delete-after "$delete_after" '^(true|false)$' 'true or false'
  where=("--project=$project" "--zone=$zone")
}

require_type() {
  require_match --accelerator-type "$type" '^v[0-9]+[a-z]*-[0-9]+$' \
    'a type, e.g. v3-8, v3-32, v4-8 or v5litepod-8'
  if [[ -z $version ]]; then
    version=$(default_version)
  fi
}

# Runtime versions for JAX: https://cloud.google.com/tpu/docs/runtimes
default_version() {
  case $type in
    v2-* | v3-* | v4-*) echo tpu-ubuntu2204-base ;;
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v6e-*) echo v2-alpha-tpuv6e ;;
    *) fail 2 "tpu flag --version: missing; allowed is a runtime version of \
$type, see https://cloud.google.com/tpu/docs/runtimes" ;;
  esac
}

# Wrong input must not be found out on a TPU that is paid for.
require_tpu_program() {
  if ((!${#program[@]})); then
    fail 2 "tpu $1: program missing; allowed are search, train and the names \
in experiments/"
  fi
  require_program "tpu $1, program ${program[0]}" "${program[0]}" \
    'search, train'
  workdir=$(flag_value workdir "${program[@]}") || workdir=
  if [[ $workdir != gs://* ]]; then
    fail 2 "flag --workdir: ${workdir:-missing}; allowed on a TPU is \
gs://BUCKET/DIRECTORY, for its own disk is lost with it"
  fi
  require_copied config
  require_copied architecture
}

# A flag that names a file must name one that copy sends.
require_copied() {  # name of the flag
  local path folder
  path=$(flag_value "$1" "${program[@]}") || return 0
  if [[ $1 == architecture && ($path == gs://* || $path != */*) ]]; then
    return
  fi
  path=${path%%:*}
  if [[ $1 == config && -f $root/configs/$path.py ]]; then
    return
  fi
  # Without the ./ and ../ by which a path may lead elsewhere.
  folder=$(cd -- "$root/$(dirname -- "$path")" 2>/dev/null && pwd) || folder=
  if [[ $path == /* || ! -f $root/$path || $folder/ != "$root"/* ||
    $folder/ == "$root/workdir"/* || $folder/ == "$root/runs"/* ]]; then
    fail 2 "flag --$1: $path; allowed on a TPU is a file of the checkout, \
relative to it and outside workdir/ and runs/, or for --architecture one on gs://"
  fi
}

require_no_program() {
  if ((${#program[@]})); then
    fail 2 "tpu $1, argument ${program[0]}: allowed are flags only"
  fi
}

require_gcloud() {
  if ! $dry_run && ! command -v gcloud >/dev/null; then
    fail 1 "no gcloud on PATH; install it as \
https://cloud.google.com/sdk/docs/install says, then: gcloud auth login"
  fi
}

# Like run, for a command whose output is read: under --dry-run it is printed
# where all commands are, and nothing is read.
ask() {
  if $dry_run; then
    run "$@" >&3
  else
    "$@"
  fi
}

# Prints words so that a shell reads them back unchanged.
quoted() {
  local text
  printf -v text '%q ' "$@"
  printf '%s\n' "${text% }"
}

# Runs a command on workers. gcloud and ssh hand on a single string, which the
# remote shell reads: quoted once, it is what was meant.
connect() {  # run, ask or finish; worker or all; command
  local how=$1 worker=$2
  shift 2
  "$how" gcloud compute tpus tpu-vm ssh "$name" "${where[@]}" \
    ${connect_flags[@]+"${connect_flags[@]}"} "--worker=$worker" \
    "--command=$*"
}

# Runs a function of the last part of this file on workers.
on_workers() {  # run, ask or finish; worker or all; action and its arguments
  local how=$1 worker=$2
  shift 2
  connect "$how" "$worker" "layernas/launch.sh tpu worker $(quoted "$@")"
}

# State and type of the TPU; both are empty where there is none. A list, unlike
# a description, tells "there is none" from "there was no answer".
find_tpu() {
  local lines found_name state found_type
  lines=$(ask gcloud compute tpus tpu-vm list "${where[@]}" \
    '--format=value(name.basename(),state,acceleratorType.basename())') ||
    return 1
  tpu_state='' tpu_type=''
  while read -r found_name state found_type; do
    if [[ $found_name == "$name" ]]; then
      tpu_state=$state tpu_type=$found_type
    fi
  done <<<"$lines"
}

# State of the request of the same name among the queued resources.
find_request() {
  local lines found_name state
  lines=$(ask gcloud compute tpus queued-resources list "${where[@]}" \
    '--format=value(name.basename(),state.state)') || return 1
  request_state=''
  while read -r found_name state; do
    if [[ $found_name == "$name" ]]; then
      request_state=$state
    fi
  done <<<"$lines"
}

# Makes a TPU that is ready of whatever find_tpu found.
create_tpu() {
  while [[ $tpu_state == *ING ]]; do
    say "TPU $name is $tpu_state; waiting"
    sleep "$poll"
    find_tpu || return 1
  done
  case $tpu_state in
    READY) require_same_type && say "using the TPU $name ($tpu_type)" ;;
    '') order_tpu ;;
    PREEMPTED | TERMINATED)
      say "TPU $name is $tpu_state: making it again"
      delete_tpu && order_tpu
      ;;
    *) fail 1 "TPU $name is $tpu_state; start or delete it first, see \
gcloud compute tpus tpu-vm --help" ;;
  esac
}

require_same_type() {
  if [[ -n $tpu_type && $tpu_type != "$type" ]]; then
    fail 2 "tpu flag --accelerator-type: $type; allowed is $tpu_type, which \
the TPU $name is, or another --name"
  fi
}

order_tpu() {
  if $spot; then
    set -- --spot
  fi
  if $queued; then
    order_from_queue "$@"
  else
    run gcloud compute tpus tpu-vm create "$name" "${where[@]}" \
      "--accelerator-type=$type" "--version=$version" "$@" \
      ${create_flags[@]+"${create_flags[@]}"}
  fi
}

# Requests a TPU and waits for it; one that waits already is kept.
order_from_queue() {  # --spot or nothing
  find_request || return 1
  if [[ $request_state == SUSPENDED || $request_state == FAILED ]]; then
    delete_tpu || return 1
    request_state=''
  fi
  if [[ -z $request_state ]]; then
    run gcloud compute tpus queued-resources create "$name" "${where[@]}" \
      "--node-id=$name" "--accelerator-type=$type" \
      "--runtime-version=$version" "$@" \
      ${create_flags[@]+"${create_flags[@]}"} || return 1
  fi
  until $dry_run || [[ $request_state == ACTIVE ]]; do
    sleep "$poll"
    find_request || continue
    say "the request for $name is ${request_state:-gone}"
    case $request_state in
      '' | SUSPENDED | FAILED) return 1 ;;
    esac
  done
}

# A node that came from the queue goes with its request.
delete_tpu() {
  if $queued; then
    run gcloud compute tpus queued-resources delete "$name" "${where[@]}" \
      --force --quiet
  else
    run gcloud compute tpus tpu-vm delete "$name" "${where[@]}" --quiet
  fi
}

# Makes the archive that copy sends. watch keeps it, so that what runs after a
# preemption is what ran before, whatever was edited meanwhile.
pack() {
  archive=$records/$name.tar.gz
  run mkdir -p "$records"
  run tar -czf "$archive" -C "$root" --exclude=./.git --exclude=./.venv \
    --exclude=./workdir --exclude=./runs --exclude=__pycache__ \
    --exclude='./.*_cache' .
}

# Files that are gone here are gone there too. A program that is running would
# import half of the new code. A connection that breaks makes gcloud do it all
# again, which changes nothing.
copy() {
  local unpack
  unpack='if [ -e layernas/workdir/tpu/lock ] && '
  unpack+='! (flock -n 9) 9>>layernas/workdir/tpu/lock; then '
  unpack+='echo "error: a program is running; stop it first" >&2; exit 1; fi; '
  unpack+='mkdir -p layernas && find layernas -mindepth 1 -maxdepth 1 '
  unpack+='! -name .venv ! -name workdir -exec rm -rf {} + && '
  unpack+='tar -xzf layernas.tar.gz -C layernas'
  run gcloud compute tpus tpu-vm scp "$archive" "$name:layernas.tar.gz" \
    "${where[@]}" ${connect_flags[@]+"${connect_flags[@]}"} --worker=all &&
    connect run all "$unpack"
}

# True where the workdir holds what the program writes last but pictures.
has_result() {
  local file
  case ${program[0]} in
    search) file=result.json ;;
    train) file=final.json ;;
    *) return 1 ;;
  esac
  ask gcloud storage ls "${workdir%/}/$file" >/dev/null 2>&1 && ! $dry_run
}

# State of the program on worker 0: what state_on_worker prints, or unreachable.
find_program() {
  local answer
  answer=$(connect ask 0 "layernas/launch.sh tpu worker state \
$(quoted "${program[@]}") 2>/dev/null || echo absent") || answer=unreachable
  program_state=${answer##*$'\n'}
}

# Looks until the program is done. $started says whether this watch has seen it
# run: how it ended before is no matter of this one.
watch_tpu() {
  started=false setbacks=0
  pack
  until look; do
    if $dry_run; then
      return
    fi
    sleep "$poll"
  done
  say "done, see $workdir"
  if ! $delete_after; then
    [[ -z $tpu_state ]] ||
      say "the TPU $name costs money until: ./launch.sh tpu delete"
  elif [[ -n $tpu_state ]]; then
    delete_tpu
  fi
}

# One look at TPU and program. True where the program is done; where it does not
# run, it is brought up. Nothing that may pass ends the watch.
look() {
  if ! find_tpu; then
    say 'gcloud does not answer'
    return 1
  fi
  program_state=absent
  if [[ $tpu_state == READY ]]; then
    find_program
  fi
  case $program_state in
    running) started=true && return 1 ;;
    unreachable) say "TPU $name is $tpu_state but unreachable" && return 1 ;;
    other) fail 1 "another command runs on the TPU $name, see ./launch.sh tpu \
status and stop" ;;
  esac
  has_ended && return
  bring_up || setback 'setting up the TPU failed'
  return 1
}

# True where the program is done. One that ended in another way begins again,
# unless that is of no use.
has_ended() {
  if $started; then
    case $program_state in
      stopped) fail 1 'the program was stopped' ;;
      'exit 0')
        if ! [[ ${program[0]} =~ ^(search|train)$ ]] || has_result; then
          return
        fi
        setback "${program[0]} ended without a result"
        return 1
        ;;
      'exit 2') give_up 2 'wrong input, see above' ;;
      exit*) setback "${program[0]} failed ($program_state)" ;;
    esac
  fi
  has_result
}

setback() {  # what happened
  say "$1"
  # A new TPU is a new chance.
  if [[ $tpu_state == READY ]] && ((++setbacks >= max_setbacks)); then
    give_up 1 "$1, $setbacks times on the TPU $name"
  fi
}

give_up() {  # exit code, message
  on_workers run 0 log || true
  fail "$1" "$2; the TPU costs money until: ./launch.sh tpu delete"
}

# From whatever there is to a program that runs.
bring_up() {
  create_tpu || return 1
  if [[ $tpu_state != READY ]]; then
    tpu_state=READY setbacks=0
  fi
  started=false
  # Where the program ended on worker 0, others may still wait for it.
  if [[ $program_state != absent ]]; then
    on_workers run all stop || return 1
  fi
  copy && on_workers run all install &&
    on_workers run all start "${program[@]}" && started=true
}

run_tpu() {  # subcommand, flags, program and its flags
  local action=${1:---help}
  shift $(($# > 0))
  case $action in
    -h | --help) tpu_usage && return ;;
    worker)
      act_on_worker "$@"
      return
      ;;
    create | copy | install | run | watch | logs | status | stop | delete) ;;
    *) fail 2 "tpu subcommand $action: unknown; allowed are create, copy, \
install, run, watch, logs, status, stop, delete, see ./launch.sh tpu --help" ;;
  esac
  read_tpu_environment
  read_tpu_flags "$@"
  require_tpu_flags
  case $action in
    run | watch) require_tpu_program "$action" ;;
    *) require_no_program "$action" ;;
  esac
  case $action in
    create | watch) require_type ;;
  esac
  require_gcloud
  if $dry_run; then
    exec 3>&1
  fi
  act_on_tpu "$action"
}

act_on_tpu() {  # subcommand
  case $1 in
    create)
      if ! { find_tpu && create_tpu; }; then
        fail 1 "no TPU $name, see above"
      fi
      ;;
    copy)
      pack
      copy
      ;;
    install) on_workers finish all install ;;
    run) on_workers finish all start "${program[@]}" ;;
    watch) watch_tpu ;;
    logs) on_workers finish "$worker" log ;;
    status) show_status ;;
    stop) on_workers finish all stop ;;
    delete) delete_tpu ;;
  esac
}

show_status() {
  find_tpu || fail 1 'gcloud does not answer, see above'
  $dry_run || echo "$name: ${tpu_state:-there is none} $tpu_type"
  if $dry_run || [[ $tpu_state == READY ]]; then
    on_workers finish all status
  fi
}

# From here on: what runs on a worker.

act_on_worker() {  # action and its arguments
  local action=$1
  shift
  cd "$root" || exit
  mkdir -p "$records"
  case $action in
    install) install_on_worker ;;
    start) start_on_worker "$@" ;;
    main) run_on_worker "$@" ;;
    state) state_on_worker "$@" ;;
    status) echo "$HOSTNAME: $(state_of_any)" ;;
    stop) stop_on_worker ;;
    log) log_on_worker ;;
  esac
}

# The runtimes for v2 to v4 are Ubuntu 22.04, whose python3 is too old. A fresh
# VM may still be updating itself, which holds the lock of apt-get.
install_on_worker() {
  local python
  if ! python=$(find_python 2>/dev/null); then
    set -- python3.11 python3.11-venv
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    set -- "$(basename "$python")-venv"
  fi
  if (($#)); then
    say "installing $*"
    sudo apt-get -o DPkg::Lock::Timeout=600 --quiet update
    sudo env DEBIAN_FRONTEND=noninteractive apt-get \
      -o DPkg::Lock::Timeout=600 --quiet --yes install "$@"
  fi
  export LAYERNAS_PLATFORM=tpu
  set_up false
}

# The lock is held by the program and by all that it started, and goes with
# them, even where the machine restarts.
is_running() {
  # Two that look at a time must not take each other for the program.
  ! (flock --shared -n 9) 9>>"$records/lock"
}

# Starts a program in a session of its own, which the end of the connection does
# not reach. A connection that breaks makes gcloud start it once more.
start_on_worker() {  # program and its flags
  if is_running; then
    if [[ $(<"$records/command") != "$(quoted "$@")" ]]; then
      fail 1 "another command is running: $(<"$records/command")"
    fi
    say 'it is running already'
    return
  fi
  exec 9>>"$records/lock"
  flock 9
  quoted "$@" >"$records/command"
  echo running >"$records/state"
  setsid "$root/launch.sh" tpu worker main "$@" \
    </dev/null >>"$records/log" 2>&1 &
  echo $! >"$records/pid"
  say "started on $HOSTNAME: $(quoted "$@")"
}

# Runs the program and records how it ended. One that was told to end saves and
# ends with 0 as one that is done; this shell is told as well and knows better.
run_on_worker() {  # program and its flags
  local child code=0 ended=''
  say "$(date): $(quoted "$@")"
  # The workers of a slice find each other by what the platform says.
  LAYERNAS_PLATFORM=tpu LAYERNAS_COORDINATOR=auto PYTHONUNBUFFERED=1 \
    "$root/launch.sh" "$@" &
  child=$!
  trap 'ended=preempted' TERM
  wait "$child" || code=$?
  # The trap ends that wait before the program has saved.
  while [[ -n $ended ]] && kill -0 "$child" 2>/dev/null; do
    wait "$child" || code=$?
  done
  ended=${ended:-exit $code}
  if [[ $(<"$records/state") == stopped ]]; then
    ended=stopped
  fi
  echo "$ended" >"$records/state"
  say "$(date): $ended"
}

# Prints running; exit N; preempted: it was told to end; stopped: by the user;
# or lost: the machine restarted. Of the given program: absent where it was not
# the last one, other where another one runs.
state_on_worker() {  # program and its flags
  if [[ $(cat "$records/command" 2>/dev/null) == "$(quoted "$@")" ]]; then
    state_of_any
  elif is_running; then
    echo other
  else
    echo absent
  fi
}

state_of_any() {
  local state
  # In this order: what is read of a program that has ended is final.
  if is_running; then
    echo running
    return
  fi
  state=$(cat "$records/state" 2>/dev/null) || state=absent
  echo "${state/#running/lost}"
}

# A program gets two minutes to save.
stop_on_worker() {
  local tries
  if ! is_running; then
    say "$HOSTNAME: nothing is running"
    return
  fi
  # Before it ends: a watch must not take it for preempted and start it again.
  echo stopped >"$records/state"
  kill -TERM -- "-$(<"$records/pid")"
  for ((tries = 0; tries < 600; tries++)); do
    is_running || break
    sleep 0.2
  done
  if is_running; then
    kill -KILL -- "-$(<"$records/pid")"
  fi
  say "$HOSTNAME: stopped"
}

# Follows the log until the program ends; afterwards, shows its end.
log_on_worker() {
  if is_running; then
    exec tail -n 200 -F --pid="$(<"$records/pid")" "$records/log"
  else
    exec tail -n 200 "$records/log"
  fi
}

# shellcheck shell=bash
# What every command of `dev` shares: errors in one line, steps with progress and time, children that end with us.
#
# A command sources this file, calls `supervise` once and then uses `step` for what ends and `start` for what stays.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

# --- Messages -------------------------------------------------------------------------------------------------------

STEP_OPEN=no # whether the line of a running step still waits for its end

# Ends the command with one line that says what to do.
die() {
  if [[ $STEP_OPEN == yes ]]; then printf '\n'; fi
  printf 'error: %s\n' "$*" >&2
  exit 1
}

note() {
  printf 'note: %s\n' "$*" >&2
}

now_ms() {
  printf '%s' "$((${EPOCHREALTIME/[.,]/} / 1000))"
}

# "0.4 s", "12.0 s" or "3 min 05 s" since the given moment.
elapsed() {
  local ms=$(($(now_ms) - $1))
  if ((ms < 100000)); then
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
  else
    printf '%d min %02d s' $((ms / 60000)) $((ms / 1000 % 60))
  fi
}

# A path as it is typed from the top of the repository.
shown() {
  printf '%s' "${1#"$ROOT"/}"
}

# copy_tree FOLDER: the sources of the repository into it, without what builds leave, which is 100 times as much. The older formats of
# tar cut the times of files to seconds.
copy_tree() {
  tar -C "$ROOT" -c --format=posix --exclude=./.git --exclude=./.dev --exclude=./target --exclude=./tests/artefacts --exclude=./ui/dist \
    --exclude=node_modules . | tar -C "$1" -x
}

# --- Steps ----------------------------------------------------------------------------------------------------------

STEP_PID=
STEP_SUMMARY=last_arrow_line # the function that says from a step's log what came of it

# step TITLE LOG COMMAND...: runs the command with its output in LOG and prints one line with the time it took.
# The command may be a function, but it runs in a process of its own. Returns the command's exit code; after a failure
# it has shown the end of the log.
step() {
  local title=$1 log=$2 began code=0
  shift 2
  began=$(now_ms)
  mkdir -p -- "$(dirname -- "$log")"
  : >"$log"
  printf '  %-40s' "$title"
  STEP_OPEN=yes
  set -m # a process group of its own, so that an interrupted build ends with all its compilers
  "$@" </dev/null >"$log" 2>&1 {ALIVE}>&- {LOCK}>&- &
  STEP_PID=$!
  set +m
  show_progress "$title" "$log" "$began"
  wait "$STEP_PID" || code=$?
  STEP_PID=
  STEP_OPEN=no
  if ((code == 0)); then
    printf '%12s  %s\n' "$(elapsed "$began")" "$("$STEP_SUMMARY" "$log")"
  else
    printf '%12s  FAILED\n' "$(elapsed "$began")"
    show_failure "$log" "$code"
  fi
  return "$code"
}

# A command that ended by `die` said in one line what to do; of any other the end of the log is shown.
show_failure() {
  local last
  last=$(tail -n 1 -- "$1")
  if [[ $2 == 1 && $last == "error: "* ]]; then printf '%s\n' "$last" >&2; else show_end_of "$1"; fi
}

# Waits for the step; a terminal sees the seconds and the newest line of the log meanwhile.
show_progress() {
  local title=$1 log=$2 began=$3 pause=0.02 newest width
  while is_running "$STEP_PID"; do
    sleep "$pause"
    pause=0.1
    if [[ -t 1 ]] && (($(now_ms) - began > 1000)); then
      width=$((${COLUMNS:-$(tput cols 2>/dev/null || printf 80)} - 58))
      newest=$(tail -c 400 -- "$log" | tr -d '\033' | tr '\r' '\n' | grep -v '^ *$' | tail -n 1 || true)
      printf '\r\033[K  %-40s%12s  %s' "$title" "$(elapsed "$began")" "${newest:0:$((width > 0 ? width : 0))}"
    fi
  done
  if [[ -t 1 ]]; then printf '\r\033[K  %-40s' "$title"; fi
}

# What a step wants to say about itself: the last line of its log that begins with "=> ".
last_arrow_line() {
  sed -n 's/^=> //p' -- "$1" | tail -n 1
}

show_end_of() {
  printf '\n'
  tail -n "${2:-25}" -- "$1" | sed 's/^/    /'
  printf '\n    log: %s\n\n' "$(shown "$1")"
}

# --- Children -------------------------------------------------------------------------------------------------------

CHILD_PIDS=()
CHILD_NAMES=()
CHILD_LOGS=()
CLEAN_UP=()         # files and folders that go when the command ends
SAY_STOPPING=no     # whether people should see that the children are being stopped

# supervise LOCK: from now on everything that `step` and `start` began ends with this command, whatever ends it. Only one
# command at a time gets past this line with the same lock file.
supervise() {
  local pipe
  mkdir -p -- "$(dirname -- "$1")" || die "run this as the owner of $ROOT"
  touch -- "$1" || die "$(shown "$1") cannot be written: run this as the owner of $ROOT"
  exec {LOCK}<>"$1"
  flock -n "$LOCK" || die "it runs already as process $(<"$1"): press Ctrl-C there, or: kill $(<"$1")"
  printf '%s\n' "$$" >"$1"
  trap stop_everything EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Children read from this pipe; nobody writes to it. It closes when this process is gone, even after kill -9.
  pipe=$(mktemp -u)
  mkfifo -m 600 -- "$pipe"
  exec {ALIVE}<>"$pipe"
  exec {ALIVE_INPUT}<"$pipe"
  rm -- "$pipe"
}

# start NAME LOG COMMAND...: starts a child that stays. Standard output goes to LOG with the rest, unless START_OUTPUT
# names another file. Sets STARTED to its process id.
start() {
  local name=$1 log=$2
  shift 2
  mkdir -p -- "$(dirname -- "$log")"
  : >"$log"
  set -m # a process group of its own: Ctrl-C reaches this command only, which then stops its children in order
  # pdeathsig: the child ends with us even when we are killed and cannot run the trap.
  (exec setpriv --pdeathsig TERM "$@" {ALIVE}>&- {LOCK}>&- <&"$ALIVE_INPUT" >"${START_OUTPUT:-$log}" 2>>"$log") &
  STARTED=$!
  set +m
  CHILD_PIDS+=("$STARTED")
  CHILD_NAMES+=("$name")
  CHILD_LOGS+=("$log")
}

# Whether a child of ours still runs. Only children are asked about, so that a process id that the system gave to
# somebody else is never taken for one of them.
is_running() {
  local pid
  for pid in $(jobs -rp); do
    if [[ $pid == "$1" ]]; then return 0; fi
  done
  return 1
}

# Waits until one of the children ends, which none should, and says which one it was.
wait_for_trouble() {
  local ended code=0 i
  wait -n -p ended "${CHILD_PIDS[@]}" || code=$?
  for i in "${!CHILD_PIDS[@]}"; do
    if [[ ${CHILD_PIDS[i]} == "${ended:-}" ]]; then
      show_end_of "${CHILD_LOGS[i]}" 5 >&2
      die "${CHILD_NAMES[i]} ended ($(describe_exit "$code")): its log is $(shown "${CHILD_LOGS[i]}")"
    fi
  done
}

describe_exit() {
  if (($1 > 128)); then printf 'signal %s' "$(kill -l "$(($1 - 128))")"; else printf 'exit code %s' "$1"; fi
}

# The EXIT trap: ends the running step and the children, the newest first, and leaves everybody else alone.
stop_everything() {
  local code=$? i
  trap '' INT TERM HUP # a second Ctrl-C must not leave half of it running
  set +e
  if [[ -n $STEP_PID ]] && is_running "$STEP_PID"; then
    kill -TERM -- "-$STEP_PID"
    wait "$STEP_PID"
  fi 2>/dev/null
  if [[ $STEP_OPEN == yes ]]; then printf '\n'; fi
  if [[ $SAY_STOPPING == yes && ${#CHILD_PIDS[@]} -gt 0 ]]; then printf '\nStopping … '; fi
  for ((i = ${#CHILD_PIDS[@]} - 1; i >= 0; i--)); do
    stop_child "${CHILD_PIDS[i]}" "${CHILD_NAMES[i]}"
  done
  if [[ $SAY_STOPPING == yes && ${#CHILD_PIDS[@]} -gt 0 ]]; then printf 'stopped.\n'; fi
  if ((${#CLEAN_UP[@]})); then rm -rf -- "${CLEAN_UP[@]}"; fi
  exit "$code"
}

stop_child() {
  local pid=$1 name=$2 tries
  is_running "$pid" || return 0
  kill -TERM "$pid" 2>/dev/null
  for ((tries = 0; tries < 500; tries++)); do
    is_running "$pid" || return 0
    sleep 0.05
  done
  note "$name did not stop within 25 s and was killed"
  kill -KILL "$pid" 2>/dev/null
}

# --- Ports ----------------------------------------------------------------------------------------------------------

port_is_taken() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A port that nobody listens on now, below the range from which the kernel serves outgoing connections.
free_port() {
  local port tries
  for ((tries = 0; tries < 100; tries++)); do
    port=$((20000 + RANDOM % 10000))
    if ! port_is_taken "$port"; then
      printf '%s' "$port"
      return
    fi
  done
  die "no free port found between 20000 and 29999: end some of the programs that listen there"
}

# Whether GET http://127.0.0.1:PORT/PATH answers 200.
answers_ok() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
    IFS= read -r -t 2 line <&3
    [[ $line == "HTTP/1.1 200 "* ]]
  ) 2>/dev/null
}

#!/usr/bin/env bash
# ./dev fuzz: the fuzz targets with random changes, for as long as you like.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

HELP='Changes inputs of the corpus at random and runs them: the bytes that clusters send. Every ./dev test does the same for some
seconds with changes that are always the same.

Usage: ./dev fuzz [TARGET] [MINUTES]     one target or all in turn, a minute each unless said otherwise
       ./dev fuzz --list                 the names of the targets
       ./dev fuzz --replay TARGET FILE   one input as it is

Inputs that show something new are kept in tests/fuzz/corpus/TARGET: commit them. One that breaks what must hold is kept there as
crash-…, the run ends with exit status 1 and says how to see it again; ./dev test fails until the defect is repaired.'

# A process that wants more than this is a finding, too.
MOST_MEMORY_KIB=$((2 << 20))

main() {
  local arguments=() target=
  case ${1:-} in
    -h | --help)
      printf '%s\n' "$HELP"
      exit
      ;;
    --list)
      [[ $# -eq 1 ]] || die "--list takes nothing else: ./dev fuzz --help"
      arguments=(list)
      ;;
    --replay)
      [[ $# -eq 3 && -f $3 ]] || die "--replay needs a target and a file: ./dev fuzz --help"
      arguments=(replay "$2" "$(realpath -- "$3")")
      ;;
    -*) die "unknown option $1: ./dev fuzz --help" ;;
    *)
      [[ $# -le 2 ]] || die "a target and minutes at most: ./dev fuzz --help"
      arguments=(run)
      for target in "$@"; do
        if [[ $target =~ ^[0-9]+(\.[0-9]+)?$ ]]; then arguments+=(--minutes "$target"); else arguments+=("$target"); fi
      done
      ;;
  esac
  cd -- "$ROOT"
  supervise "$ROOT/target/fuzz-lock"
  step "Program" "$ROOT/target/fuzz-logs/program.log" cargo build --locked --profile fuzzing -p fuzz-targets
  printf '\n'
  ulimit -v "$MOST_MEMORY_KIB"
  "${CARGO_TARGET_DIR:-$ROOT/target}/fuzzing/fuzz-targets" "${arguments[@]}"
}

main "$@"

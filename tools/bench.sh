#!/usr/bin/env bash
# ./dev bench: what heartbeats and operators cost, on a release build and a PostgreSQL of its own with full durability.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=stack.sh
source "$ROOT/tools/stack.sh"

HELP='Measures heartbeats against a release build of the Cluster Connector, and operators against one of the Management API, with a
private PostgreSQL with full durability: rates, latencies, CPU time and memory. Takes about eight minutes once the programs are built.

Usage: ./dev bench [--quick] [--only LETTERS] [--profile NAME]

  --quick          about two minutes: shorter measurements of heartbeats, with 2,000 clusters instead of 10,000
  --only LETTERS   some of the measurements, such as --only ae
                     a  two fresh connections per heartbeat, as members do; server keys P-256 and RSA-2048
                     b  heartbeats on connections that stay open
                     c  the same as a with 10 and 1,000 enrolled clusters
                     d  bodies of 3 and of 50 members, with metrics
                     e  memory
                     f  the limit of PostgreSQL itself: single-row upserts by pgbench
                     g  every cluster comes back after an outage, 1,000 at a time and all at once
                     h  Prometheus answers, hangs and is away
                     i  reverse tunnels: how much memory each takes
                     k  memory under large heartbeats
                     l  every cluster once a minute, with 1,000 and 10,000 of them
                     j  a hook of the charm with nothing to change, and a whole deployment, by a fake controller
                     m  the Management API with 5,000 clusters: lists with and without compression and ETag, pages, logins,
                        200 operators on events and polling, memory
  --profile NAME   another build than release, such as profiling

Nothing stays behind but the build. Close other programs: they share the processors.'

LOGS=$ROOT/target/bench-logs
STACK_DIR=$ROOT/target/bench-stack
STACK_LOGS=$LOGS
PROFILE=release
ONLY=abcdefghijklm
ARGUMENTS=()

read_options() {
  while (($#)); do
    case $1 in
      --quick)
        ARGUMENTS+=(--seconds 4 --clusters 2000)
        shift
        continue
        ;;
      --only)
        [[ ${2:-} =~ ^[a-m]+$ ]] || die "--only needs letters from a to m: ./dev bench --help"
        ONLY=$2
        ;;
      --profile)
        [[ ${2:-} =~ ^[a-z]+$ ]] || die "--profile needs the name of a profile in Cargo.toml"
        PROFILE=$2
        ;;
      -h | --help)
        printf '%s\n' "$HELP"
        exit
        ;;
      *) die "unknown option $1: ./dev bench --help" ;;
    esac
    shift 2
  done
}

# The charm as it is packed but for the linkage, and the controller that starts it.
build_charm() {
  cd -- "$ROOT" && cargo build --locked --profile charm -p microcloud-cluster-manager-charm && cargo build --locked -p fake-controller --bins
}

bench_charm() {
  local programs=${CARGO_TARGET_DIR:-$ROOT/target}
  step "Charm" "$LOGS/charm.log" build_charm
  printf '\n'
  "$programs/debug/dispatch-cost" "$programs/charm/dispatch" "$programs/debug/hook-tool"
}

build_bench() {
  cd -- "$ROOT" && cargo build --locked --profile "$PROFILE" -p microcloud-cluster-manager -p heartbeat-bench \
    -p end-to-end-tests --bin microcloud-cluster-manager --bin heartbeat-bench --bin management-bench
}

main() {
  local programs
  read_options "$@"
  cd -- "$ROOT"
  supervise "$ROOT/target/bench-lock"
  rm -rf -- "$STACK_DIR"
  CLEAN_UP+=("$STACK_DIR")
  ulimit -n "$(ulimit -Hn)" # each connection is a file

  step "Packages and modules" "$LOGS/steps/install.log" "$ROOT/tools/install.sh" up
  if [[ $ONLY == j ]]; then
    bench_charm
    return
  fi
  step "Programs" "$LOGS/programs.log" build_bench
  # shellcheck disable=SC2119 # its options are for tests
  start_postgres
  programs=${CARGO_TARGET_DIR:-$ROOT/target}/$PROFILE
  if [[ $PROFILE == dev ]]; then programs=${programs%/*}/debug; fi
  printf '\n'
  if [[ $ONLY == *[a-ikl]* ]]; then
    "$programs/heartbeat-bench" --server "$programs/microcloud-cluster-manager" --postgres "$POSTGRES" \
      --only "${ONLY//[jm]/}" "${ARGUMENTS[@]}"
  fi
  if [[ $ONLY == *m* ]]; then TEST_DATABASE=$POSTGRES PROGRAMS=$programs "$programs/management-bench"; fi
  if [[ $ONLY == *j* ]]; then bench_charm; fi
}

main "$@"

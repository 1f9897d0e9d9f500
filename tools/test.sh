#!/usr/bin/env bash
# ./dev test: every test, from formatters to journeys through a browser.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=stack.sh
source "$ROOT/tools/stack.sh"
# shellcheck source-path=SCRIPTDIR source=stages.sh
source "$ROOT/tools/stages.sh"

HELP='Installs what is missing, then runs every test: formatters and linters, unit tests, tests on a real PostgreSQL,
end-to-end tests and journeys through Chromium.

Usage: ./dev test [--all-rounds] [FILTER]

With a filter only the Rust tests run whose name contains it, and their output is shown.
--all-rounds throws the dice of races and kills as often as the security properties name, which takes an hour more.
Logs are in target/test-logs/, pictures of the browser in tests/artefacts/.'

LOGS=$ROOT/target/test-logs
STACK_DIR=$ROOT/target/test-stack
STACK_LOGS=$LOGS
STACK_DATABASE=browser_tests
CLUSTERS=20

unit_tests_of() {
  cd -- "$ROOT/$1" && NO_COLOR=1 npm test
}

cargo_tests() {
  cd -- "$ROOT" && TEST_DATABASE=$POSTGRES cargo test --workspace --locked --no-fail-fast "$@"
}

# Tests that fail run once more, one at a time: on a machine with much else to do, one may miss a time limit that has nothing to
# do with what it shows. The end of the run names those that passed only then: they want mending.
rust_tests() {
  local first=$LOGS/rust-tests-first.log again=$LOGS/rust-tests-again.log names=()
  if cargo_tests 2>&1 | tee -- "$first"; then return; fi
  mapfile -t names < <(sed -n 's/^---- \(.*\) stdout ----$/\1/p' "$first" | sort -u)
  # More is no accident, and a program that was killed does not name its tests.
  if ((${#names[@]} == 0 || ${#names[@]} > 5)) || grep -q '(signal: ' "$first"; then return 1; fi
  cargo_tests -- --exact --test-threads 1 "${names[@]}" >"$again" 2>&1 || return
  printf '\nagain: %d passed when they ran once more: %s\n' "${#names[@]}" "${names[*]}"
}

# Six free ports in the order that the stack wants them.
choose_ports() {
  local port
  while true; do
    MANAGEMENT_PORT=$(free_port)
    CONNECTOR_PORT=$((MANAGEMENT_PORT + 3))
    for port in 1 2 3 4 5; do
      if port_is_taken $((MANAGEMENT_PORT + port)); then continue 2; fi
    done
    return
  done
}

# A whole stack with a fleet, as `dev up` makes it, for the journeys.
start_stack() {
  choose_ports
  step "Certificates" "$LOGS/steps/certificates.log" "$ROOT/tools/certificates.sh" "$STACK_DIR/tls"
  make_settings
  step "Database" "$LOGS/steps/database.log" prepare_database
  start_identity_provider
  start_connector
  MANAGEMENT_KEEPER=("$ROOT/tools/keep.sh" "$STACK_DIR/management.pid")
  start_management_api
  step "Join tokens" "$LOGS/steps/tokens.log" create_tokens "$CLUSTERS"
  start_fleet "$CLUSTERS"
  cat >"$STACK_DIR/join" <<END
#!/bin/sh
exec "$SIMULATOR" join --first-heartbeat-at-once --interval 5 "\$1"
END
  cat >"$STACK_DIR/management" <<END
#!/bin/sh
# stop: ends the Management API and waits for that; start: lets it start again.
case \$1 in
  stop) : >"$STACK_DIR/management.pid.hold" && pid=\$(cat "$STACK_DIR/management.pid") && kill -TERM "\$pid" &&
    while kill -0 "\$pid" 2>/dev/null; do sleep 0.05; done ;;
  start) rm -f "$STACK_DIR/management.pid.hold" ;;
esac
END
  chmod 755 "$STACK_DIR/join" "$STACK_DIR/management"
}

journeys() {
  cd -- "$ROOT/tests/browser" && MANAGEMENT_URL=https://localhost:$MANAGEMENT_PORT JOIN_COMMAND=$STACK_DIR/join \
    SERVER_COMMAND=$STACK_DIR/management ARTEFACTS=$ROOT/tests/artefacts NO_COLOR=1 \
    node --test --test-reporter=spec --test-concurrency=1 "$@"
}

# As with the Rust tests: the journeys that failed, once more.
browser_tests() {
  local first=$LOGS/browser-journeys-first.log again=$LOGS/browser-journeys-again.log files=() names=() failed name
  if (cd -- "$ROOT/tests/browser" && journeys journeys/*.test.js) 2>&1 | tee -- "$first"; then return; fi
  mapfile -t files < <(sed -n 's/^test at \(journeys\/[^:]*\):.*/\1/p' "$first" | sort -u)
  failed=$(sed -n 's/^ℹ fail //p' "$first")
  if ((${#files[@]} == 0 || failed == 0 || failed > 5)); then return 1; fi
  while read -r name; do
    names+=("--test-name-pattern=^$(sed 's/[][\\.*^$+?(){}|\/]/\\&/g' <<<"$name")")
  done < <(sed -n '/^✖ failing tests:/q; s/^✖ \(.*\) ([0-9.]*ms)$/\1/p' "$first")
  if ! journeys "${names[@]}" "${files[@]}" >"$again" 2>&1; then
    printf '\nfailed once more:\n' && sed -n '/^✖ failing tests:/,$p' "$again"
    return 1
  fi
  printf '\nagain: %d passed when they ran once more: %s\n' "$failed" "${files[*]}"
}

# A function, so that all of this file is read before anything starts: it may be edited while it runs.
main() {
  local filter began
  if [[ ${1:-} == --all-rounds ]]; then
    export TEST_ALL_ROUNDS=1
    shift
  fi
  filter=${1:-}
  case $filter in
    -h | --help)
      printf '%s\n' "$HELP"
      exit
      ;;
    -*) die "unknown option $1: ./dev test --help" ;;
  esac
  [[ $# -le 1 ]] || die "one filter at most: ./dev test --help"
  began=$(now_ms)
  cd -- "$ROOT"
  supervise "$ROOT/target/test-lock"
  rm -rf -- "$STACK_DIR"
  CLEAN_UP+=("$STACK_DIR")

  step "Packages and modules" "$LOGS/steps/install.log" "$ROOT/tools/install.sh" test
  if [[ -n $filter ]]; then
    start_postgres --fast
    step "Programs" "$LOGS/programs.log" build_programs --locked
    printf '\n'
    cargo_tests -- "$filter"
    exit
  fi

  ui_checks
  stage "Web interface tests" unit_tests_of ui
  stage "Web interface build" build_ui
  stage "Identity provider tests" unit_tests_of tests/identity-provider
  rust_checks
  start_postgres --fast
  step "Programs" "$LOGS/programs.log" build_programs --locked
  stage "Rust tests" rust_tests
  start_stack
  stage "Browser journeys" browser_tests
  printf '\n%d passed, %d failed in %s\n' "$PASSED" "$FAILED" "$(elapsed "$began")"
  finish_stages
}

main "$@"

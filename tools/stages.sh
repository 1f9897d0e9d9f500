# shellcheck shell=bash
# Stages: steps that may fail without ending the run, so that one run shows all that is wrong. `dev check` and `dev test`
# share this file with the formatters and linters in it. The caller sets LOGS.

FAILED_STAGES=()
FAILED_LOGS=()
PASSED_AGAIN=() # what passed only when it ran once more
PASSED=0 # tests, as the stages' logs count them
FAILED=0

# stage TITLE COMMAND...: the command's log is named after the title. The command runs without `set -e`.
stage() {
  local title=$1 log passed failed
  shift
  log=$LOGS/$(tr ' ' '-' <<<"${title,,}" | tr -cd 'a-z0-9-').log
  if ! STEP_SUMMARY=count_tests step "$title" "$log" "$@"; then
    FAILED_STAGES+=("$title ($(shown "$log"))")
    FAILED_LOGS+=("$log")
  fi
  mapfile -t -O "${#PASSED_AGAIN[@]}" PASSED_AGAIN < <(sed -n "s/^again: /$title: /p" "$log")
  read -r passed failed < <(tests_in "$log")
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
}

# Tests that passed and failed in a log of cargo, node --test or vitest.
tests_in() {
  sed 's/\x1b\[[0-9;]*m//g' -- "$1" | awk '
    /^test result:/ { passed += $4; failed += $6 }
    /^(#|ℹ) pass [0-9]+$/ { passed += $3 }
    /^(#|ℹ) fail [0-9]+$/ { failed += $3 }
    /^again: [0-9]+ passed/ { passed += $2; failed -= $2 }
    /^ *Tests +.*\([0-9]+\)$/ {
      for (i = 2; i < NF; i++) {
        if ($(i + 1) ~ /^passed/) passed += $i
        if ($(i + 1) ~ /^failed/) failed += $i
      }
    }
    END { print passed + 0, failed + 0 }'
}

count_tests() {
  local passed failed
  read -r passed failed < <(tests_in "$1")
  if ((passed + failed > 0)); then printf '%d passed' "$passed"; else last_arrow_line "$1"; fi
}

# Names the stages that failed, with their tests and the first lines of why; the exit code for the command.
finish_stages() {
  local i
  if ((${#PASSED_AGAIN[@]})); then printf '\n%s\n' "${PASSED_AGAIN[@]}"; fi
  if ((${#FAILED_STAGES[@]} == 0)); then return 0; fi
  printf '\nFAILED:\n'
  for i in "${!FAILED_STAGES[@]}"; do
    printf '  %s\n' "${FAILED_STAGES[i]}"
    failed_tests_in "${FAILED_LOGS[i]}" | awk 'NR <= 100' # reads to the end, so that nobody writes into a closed pipe
  done
  return 1
}

# Tests that failed in a log of cargo, node --test or vitest: each name, and from cargo what the test said.
failed_tests_in() {
  sed 's/\x1b\[[0-9;]*m//g' -- "$1" | awk '
    /^---- .* stdout ----$/ { print "    " $2; lines = 12; next }
    /^(---- |failures:|test result:|stack backtrace:)/ { lines = 0 }
    lines > 0 && NF { print "      " substr($0, 1, 300); lines-- }
    /^(not ok |✖ | FAIL )/ { print "    " substr($0, 1, 300) }'
}

ui_script() {
  cd -- "$ROOT/ui" && NO_COLOR=1 npm run "$1"
}

ui_checks() {
  stage "Web interface format" ui_script format:check
  stage "Web interface lint" ui_script lint
  stage "Types of the API" api_types
  stage "Web interface types" ui_script typecheck
  stage "Format of other scripts" other_scripts_format
}

# The types that the web interface uses are those of the written description of the API.
api_types() {
  node "$ROOT/tools/api-types/generate.mjs" --check
}

# In the style of the web interface, with the formatter that comes with it.
other_scripts_format() {
  "$ROOT/ui/node_modules/.bin/prettier" --config "$ROOT/ui/.prettierrc.json" --check "$ROOT/tests/identity-provider" "$ROOT/tests/browser" "$ROOT/tools/api-types"
}

rust_checks() {
  stage "Rust format" cargo fmt --all --check
  stage "Rust lint" cargo clippy --locked --workspace --all-targets -- -D warnings
  stage "Rust documentation" rust_documentation
}

# The written description of the API is the one that the program prints.
api_description() {
  cd -- "$ROOT" || return
  if ! cargo run -q --locked -p microcloud-cluster-manager -- openapi | diff docs/openapi.json - >&2; then
    die "docs/openapi.json is old: run ./dev generate"
  fi
}

rust_documentation() {
  RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps
}

# Licences, sources and banned crates; the advisories are left out because they come over the network.
dependency_rules() {
  cargo fetch --locked && cargo deny --offline check bans licenses sources
}

shell_scripts() {
  (cd -- "$ROOT" && shellcheck -x dev .ci/run tools/*.sh)
}

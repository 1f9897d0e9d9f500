#!/usr/bin/env bash
# ./dev check: formatters and linters, nothing that needs a database or a browser.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=stages.sh
source "$ROOT/tools/stages.sh"

HELP='Runs formatters and linters: prettier, eslint and tsc, rustfmt, clippy and rustdoc; cargo-deny and shellcheck when
they are installed.

Usage: ./dev check'

LOGS=$ROOT/target/check-logs

# optional PROGRAM TITLE COMMAND...: a stage that is left out, and said to be, where its program is not installed.
optional() {
  local program=$1 title=$2
  shift
  if command -v "$program" >/dev/null; then stage "$@"; else printf '  %-40s%12s  %s is not installed\n' "$title" "left out" "$program"; fi
}

main() {
  case ${1:-} in
    '') ;;
    -h | --help)
      printf '%s\n' "$HELP"
      exit
      ;;
    *) die "unknown argument $1: ./dev check takes none" ;;
  esac

  cd -- "$ROOT"
  supervise "$ROOT/target/check-lock"
  step "Packages and modules" "$LOGS/install.log" "$ROOT/tools/install.sh" up
  ui_checks
  rust_checks
  stage "API description" api_description
  optional cargo-deny "Dependency rules" dependency_rules
  optional shellcheck "Shell scripts" shell_scripts
  finish_stages
}

main "$@"

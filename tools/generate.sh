#!/usr/bin/env bash
# ./dev generate: writes the files that are made from the program.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

HELP='Writes the files that are made from the program: docs/openapi.json, the description of the API, and from it the types of
the web interface, ui/src/api/schema.ts.

Usage: ./dev generate'

write_description() {
  cd -- "$ROOT" && cargo run -q --locked -p microcloud-cluster-manager -- openapi >docs/openapi.json.new &&
    mv -- docs/openapi.json.new docs/openapi.json
}

write_types() {
  node "$ROOT/tools/api-types/generate.mjs"
}

main() {
  case ${1:-} in
    '') ;;
    -h | --help)
      printf '%s\n' "$HELP"
      exit
      ;;
    *) die "unknown argument $1: ./dev generate takes none" ;;
  esac
  supervise "$ROOT/target/generate-lock"
  step "Packages and modules" "$ROOT/target/generate-logs/install.log" "$ROOT/tools/install.sh" up
  step "API description" "$ROOT/target/generate-logs/api-description.log" write_description
  step "Types of the web interface" "$ROOT/target/generate-logs/types.log" write_types
}

main "$@"

#!/usr/bin/env bash
# ./dev up: the whole product with a private PostgreSQL, an identity provider and a simulated fleet.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=stack.sh
source "$ROOT/tools/stack.sh"

HELP='Starts the whole product on this machine: PostgreSQL, identity provider, both services and simulated clusters.

Usage: ./dev up [--clusters N] [--fresh] [--port PORT] [--connector-port PORT] [--state DIR]

  --clusters N           simulated clusters (as many as last time, 20 the first time)
  --port PORT            Management API; PORT+1 and PORT+2 are taken too (9100)
  --connector-port PORT  Cluster Connector; PORT+1 and PORT+2 are taken too (9000)
  --state DIR            folder for database, certificates and logs; another one makes a second stack (.dev)
  --fresh                start with an empty database

Ctrl-C stops everything; the next start goes on with the same clusters.'

STACK_DIR=$ROOT/.dev
STACK_DATABASE=cluster_manager
MANAGEMENT_PORT=9100
CONNECTOR_PORT=9000
CLUSTERS=
FRESH=()
SAY_STOPPING=yes

# whole_number OPTION VALUE LEAST MOST
whole_number() {
  if [[ ! $2 =~ ^[0-9]{1,6}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then die "$1 needs a whole number from $3 to $4"; fi
  printf '%d' "$((10#$2))"
}

read_options() {
  while (($#)); do
    case $1 in
      --clusters) CLUSTERS=$(whole_number "$1" "${2:-}" 0 100000) ;;
      --port) MANAGEMENT_PORT=$(whole_number "$1" "${2:-}" 1024 65533) ;;
      --connector-port) CONNECTOR_PORT=$(whole_number "$1" "${2:-}" 1024 65533) ;;
      --state)
        [[ -n ${2:-} ]] || die "--state needs a folder"
        STACK_DIR=$(realpath -m -- "$2")
        ;;
      --fresh)
        FRESH=(--fresh)
        shift
        continue
        ;;
      -h | --help)
        printf '%s\n' "$HELP"
        exit
        ;;
      *) die "unknown option $1: ./dev up --help lists the options" ;;
    esac
    shift 2
  done
  if ((CONNECTOR_PORT + 2 >= MANAGEMENT_PORT && CONNECTOR_PORT <= MANAGEMENT_PORT + 2)); then
    die "the ports $CONNECTOR_PORT and $MANAGEMENT_PORT are too close: keep three ports free from --port on and three from --connector-port on"
  fi
}

say_what_runs() {
  cat <<END

  MicroCloud Cluster Manager runs with $CLUSTERS simulated clusters.

    Open     https://localhost:$MANAGEMENT_PORT/ui/
    Log in   admin@example.com sees the fleet, viewer@example.com is refused; nobody has a password
    Trust    browsers ask about the certificate once, unless they trust $(shown "$STACK_DIR")/tls/ca.crt
    Enrol    $(shown "$SIMULATOR") join TOKEN with a token from "Enroll cluster"
    Logs     $(shown "$STACK_LOGS")/*.log
    Stop     Ctrl-C

END
}

# The simulated clusters know the connector by the address in their tokens, as real ones do.
check_known_port() {
  local file=$STACK_DIR/connector-port known
  if [[ ${#FRESH[@]} -eq 0 && -s $file ]]; then
    known=$(<"$file")
    [[ $known == "$CONNECTOR_PORT" ]] ||
      die "the clusters in $(shown "$STACK_DIR") know the connector at port $known: add --connector-port $known, or start anew with --fresh"
  fi
  printf '%s\n' "$CONNECTOR_PORT" >"$file"
}

# A function, so that all of this file is read before anything starts: it may be edited while it runs.
main() {
  local surplus
  read_options "$@"
  STACK_LOGS=$STACK_DIR/logs
  supervise "$STACK_DIR/lock"
  cd -- "$ROOT"
  check_ports
  check_known_port

  printf 'Starting MicroCloud Cluster Manager\n\n'
  step "Packages and modules" "$STACK_LOGS/steps/install.log" "$ROOT/tools/install.sh" up
  step "Web interface" "$STACK_LOGS/steps/ui.log" build_ui
  step "Programs" "$STACK_LOGS/steps/build.log" build_programs
  step "Certificates" "$STACK_LOGS/steps/certificates.log" "$ROOT/tools/certificates.sh" "$STACK_DIR/tls"
  # shellcheck disable=SC2119 # its options are for tests
  start_postgres
  make_settings
  step "Database" "$STACK_LOGS/steps/database.log" prepare_database "${FRESH[@]}"
  start_identity_provider
  start_connector
  start_management_api
  if [[ -z $CLUSTERS ]]; then
    CLUSTERS=$(joined_clusters | wc -l)
    if ((CLUSTERS == 0)); then CLUSTERS=20; fi
  fi
  step "Join tokens" "$STACK_LOGS/steps/tokens.log" create_tokens "$CLUSTERS"
  surplus=$(surplus_clusters "$CLUSTERS")
  if [[ -n $surplus ]]; then step "Clusters that leave" "$STACK_LOGS/steps/leave.log" leave "$surplus"; fi
  if ((CLUSTERS > 0)); then start_fleet "$CLUSTERS"; fi
  say_what_runs
  wait_for_trouble
}

main "$@"

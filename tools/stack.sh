# shellcheck shell=bash
# The whole product on this machine, in parts that `dev up` and the browser tests put together. Source lib.sh first and
# call `supervise`. Everything listens on 127.0.0.1 only.
#
# The caller sets:
#   STACK_DIR        folder for certificates, keys, database and the state of the simulated clusters
#   STACK_LOGS       folder for the logs
#   STACK_DATABASE   name of the database and of its owner
#   MANAGEMENT_PORT  the Management API; its status listener takes the next port, the identity provider the one after
#   CONNECTOR_PORT   the Cluster Connector; its status listener takes the next port, its listener for tunnels the one after

MANAGEMENT_KEEPER=() # what the Management API is started by, where that is not this script itself
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}/debug
SERVER=$TARGET/microcloud-cluster-manager
SIMULATOR=$TARGET/cluster-simulator

# All ports of the stack: an error in one line now is better than a log later.
check_ports() {
  local port option owner
  for port in "$MANAGEMENT_PORT" "$((MANAGEMENT_PORT + 1))" "$((MANAGEMENT_PORT + 2))" "$CONNECTOR_PORT" "$((CONNECTOR_PORT + 1))" "$((CONNECTOR_PORT + 2))"; do
    if ((port < MANAGEMENT_PORT || port > MANAGEMENT_PORT + 2)); then option=--connector-port; else option=--port; fi
    if port_is_taken "$port"; then
      owner=$(ss -Hltnp "sport = :$port" 2>/dev/null | grep -o 'pid=[0-9]*' | head -n 1 || true)
      die "port $port is taken${owner:+ by process ${owner#pid=}}: end that program or choose other ports with $option"
    fi
  done
}

# --- What is built --------------------------------------------------------------------------------------------------

# Builds the web interface when one of its sources differs from those of the last build.
build_ui() {
  local stamp=$ROOT/.dev/ui-sources hash
  hash=$(cd -- "$ROOT/ui" && find . \( -name node_modules -o -name dist \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
  if [[ -f $ROOT/ui/dist/index.html && -f $ROOT/target/ui-packages.json && -f $stamp && $(<"$stamp") == "$hash" ]]; then
    printf '=> unchanged\n'
    return
  fi
  (cd -- "$ROOT/ui" && npm run build) || return
  mkdir -p -- "$ROOT/.dev"
  printf '%s\n' "$hash" >"$stamp"
}

build_programs() {
  (cd -- "$ROOT" && cargo build "$@" -p microcloud-cluster-manager -p cluster-simulator -p microcloud-cluster-manager-charm)
}

# --- What runs ------------------------------------------------------------------------------------------------------

# start_and_wait NAME CHECK COMMAND...: starts a child and waits until the function CHECK succeeds.
start_and_wait() {
  local name=$1 check=$2 file=${1,,} log
  shift 2
  file=${file// /-}.log
  log=$STACK_LOGS/$file
  start "$name" "$log" "$@"
  step "${name^}" "$STACK_LOGS/steps/$file" wait_until "$check" "$STARTED" "$name" "$log"
}

wait_until() {
  local check=$1 pid=$2 name=$3 log=$4 deadline=$((SECONDS + 60))
  until "$check"; do
    kill -0 "$pid" 2>/dev/null || die "$name has ended: $(tail -n 1 -- "$log") (log: $(shown "$log"))"
    ((SECONDS < deadline)) || die "$name is not ready after 60 s: see its log $(shown "$log")"
    sleep 0.05
  done
}

postgres_answers() { [[ -s $STACK_DIR/postgres.address ]]; }
provider_answers() { [[ -s $STACK_DIR/identity-provider.json ]]; }
management_answers() { answers_ok "$((MANAGEMENT_PORT + 1))" /ready; }
connector_answers() { answers_ok "$((CONNECTOR_PORT + 1))" /ready; }

# Starts the private PostgreSQL in STACK_DIR/postgres and sets POSTGRES, POSTGRES_HOST and POSTGRES_PORT.
start_postgres() {
  mkdir -p -- "$STACK_DIR"
  rm -f -- "$STACK_DIR/postgres.address"
  START_OUTPUT=$STACK_DIR/postgres.address start_and_wait PostgreSQL postgres_answers \
    "$ROOT/tools/postgres.sh" run "$STACK_DIR/postgres" "$@"
  use_postgres "$(<"$STACK_DIR/postgres.address")"
}

# Takes the line that tools/postgres.sh printed.
use_postgres() {
  POSTGRES=$1
  POSTGRES_HOST=${POSTGRES#*host=}
  POSTGRES_HOST=${POSTGRES_HOST%% *}
  POSTGRES_PORT=${POSTGRES#*port=}
  POSTGRES_PORT=${POSTGRES_PORT%% *}
}

# sql DATABASE STATEMENT: prints the rows, columns separated by "|".
sql() {
  psql "${POSTGRES/dbname=postgres/dbname=$1}" -XAtq -v ON_ERROR_STOP=1 -c "$2"
}

# prepare_database [--fresh]: the database with its owner and the newest schema. With a new database the simulated
# clusters start anew too: nobody knows them there.
prepare_database() {
  if [[ ${1:-} == --fresh ]]; then sql postgres "DROP DATABASE IF EXISTS $STACK_DATABASE"; fi
  if [[ -z $(sql postgres "SELECT 1 FROM pg_roles WHERE rolname = '$STACK_DATABASE'") ]]; then
    sql postgres "CREATE ROLE $STACK_DATABASE LOGIN"
  fi
  if [[ -z $(sql postgres "SELECT 1 FROM pg_database WHERE datname = '$STACK_DATABASE'") ]]; then
    rm -rf -- "$STACK_DIR/clusters" "$STACK_DIR/tokens"
    sql postgres "CREATE DATABASE $STACK_DATABASE OWNER $STACK_DATABASE"
    printf '=> new\n'
  fi
  server migrate
}

# Runs the server's program with the settings of this stack; `exec` makes it the child itself.
server() {
  env "${SETTINGS[@]}" "$SERVER" "$@"
}

# Sets SETTINGS, the environment of both services and of the command line, and CLIENT_SECRET.
make_settings() {
  CLIENT_SECRET=$(openssl rand -hex 16)
  mkdir -p -- "$STACK_DIR/data"
  SETTINGS=(
    SERVER_HOST=127.0.0.1
    CLUSTER_CONNECTOR_DOMAIN=localhost
    "CLUSTER_CONNECTOR_PORT=$CONNECTOR_PORT"
    "CLUSTER_CONNECTOR_TLS_PATH=$STACK_DIR/tls/cluster-connector"
    "TUNNEL_PORT=$((CONNECTOR_PORT + 2))"
    RATE_LIMIT_JOIN_PER_UNIT=100000:100000 # a simulated fleet joins within a moment
    "MANAGEMENT_API_URL=https://localhost:$MANAGEMENT_PORT"
    "MANAGEMENT_API_TLS_PATH=$STACK_DIR/tls/management-api"
    "DATA_DIR=$STACK_DIR/data"
    "DB_HOST=$POSTGRES_HOST"
    "DB_PORT=$POSTGRES_PORT"
    "DB_USER=$STACK_DATABASE"
    "DB_NAME=$STACK_DATABASE"
    DB_DISABLE_TLS=true # a socket in a folder that is closed to everybody else
    "OIDC_ISSUER=https://localhost:$((MANAGEMENT_PORT + 2))"
    OIDC_CLIENT_ID=mcm-web
    "OIDC_CLIENT_SECRET=$CLIENT_SECRET"
    "OIDC_CA_FILE=$STACK_DIR/tls/ca.crt"
    SHUTDOWN_DRAIN_SECONDS=0
    SHUTDOWN_GRACE_SECONDS=5
    "LOG_LEVEL=${LOG_LEVEL:-info}"
  )
}

start_identity_provider() {
  rm -f -- "$STACK_DIR/identity-provider.json"
  START_OUTPUT=$STACK_DIR/identity-provider.json start_and_wait "identity provider" provider_answers \
    env "IDENTITY_PROVIDER_CLIENT_SECRET=$CLIENT_SECRET" "NODE_EXTRA_CA_CERTS=$STACK_DIR/tls/ca.crt" node "$ROOT/tests/identity-provider/server.mjs" \
    --port "$((MANAGEMENT_PORT + 2))" --cert "$STACK_DIR/tls/identity-provider/tls.crt" \
    --key "$STACK_DIR/tls/identity-provider/tls.key" --exit-with-stdin \
    --backchannel-logout-uri "https://localhost:$MANAGEMENT_PORT/oidc/backchannel-logout"
}

start_connector() {
  start_and_wait "Cluster Connector" connector_answers \
    env "${SETTINGS[@]}" "SERVER_PORT=$CONNECTOR_PORT" "STATUS_PORT=$((CONNECTOR_PORT + 1))" "$SERVER" cluster-connector
}

start_management_api() {
  start_and_wait "Management API" management_answers "${MANAGEMENT_KEEPER[@]}" \
    env "${SETTINGS[@]}" "SERVER_PORT=$MANAGEMENT_PORT" "STATUS_PORT=$((MANAGEMENT_PORT + 1))" "$SERVER" management-api
}

# --- The simulated clusters -----------------------------------------------------------------------------------------

# Names of the clusters that have joined, one per line.
joined_clusters() {
  [[ -d $STACK_DIR/clusters ]] || return 0
  # grep's exit code says whether it printed a name; neither is an error.
  { find "$STACK_DIR/clusters" -name '*.json' -exec grep -LE '"pin": *null' {} + || true; } | sed 's#.*/##; s/\.json$//'
}

# create_tokens COUNT: a join token for each of the first COUNT clusters that has neither joined nor a token yet.
# STACK_DIR/tokens keeps them until all have joined, so that a run that was cut short goes on where it was.
create_tokens() {
  local tokens=$STACK_DIR/tokens missing problem
  touch -- "$tokens"
  chmod 600 -- "$tokens"
  missing=$("$SIMULATOR" names "$1" | without <(joined_clusters; cut -d ' ' -f 1 -- "$tokens"))
  if [[ -z $missing ]]; then
    printf '=> none needed\n'
    return
  fi
  export SERVER tokens
  # shellcheck disable=SC2016 # expanded by the shell that xargs starts
  problem=$(printf '%s\n' "$missing" | tr '\t\n' '\0\0' | env "${SETTINGS[@]}" LOG_LEVEL=warn xargs -0 -n 2 -P 4 \
    bash -c 'token=$("$SERVER" enroll "$1" -d "$2") || exit 255; printf "%s %s\n" "$1" "$token" >>"$tokens"' create-token 2>&1) ||
    die "a join token cannot be created: $(head -n 1 <<<"$problem") (./dev up --fresh starts anew)"
  printf '=> %d created\n' "$(wc -l <<<"$missing")"
}

# Lines of standard input whose first column is not in FILE.
without() {
  awk -F '\t' -v file="$1" 'BEGIN { while ((getline name < file) > 0) known[name] } !($1 in known)'
}

# Names of the simulator's clusters that have joined and are beyond its first COUNT.
surplus_clusters() {
  local joined
  joined=$(joined_clusters | LC_ALL=C sort)
  comm -12 <("$SIMULATOR" names "$(($1 + $(wc -l <<<"$joined")))" | tail -n "+$(($1 + 1))" | cut -f 1 | LC_ALL=C sort) - <<<"$joined"
}

# Lets the given clusters, one per line, leave. A cluster that the manager does not know any more is only forgotten.
leave() {
  export SIMULATOR STACK_DIR
  # shellcheck disable=SC2016 # expanded by the shell that xargs starts
  xargs -d '\n' -n 1 -P 4 bash -c '
    "$SIMULATOR" leave --state-dir "$STACK_DIR/clusters" "$1" || "$SIMULATOR" leave --state-dir "$STACK_DIR/clusters" --force "$1"
  ' leave <<<"$1"
  printf '=> %d left\n' "$(wc -l <<<"$1")"
}

# start_fleet COUNT [simulator options]: all clusters report once a minute; a few of them are silent, have errors or are
# short of disk or memory, so that every state can be seen. Every second one opens a reverse tunnel.
start_fleet() {
  local count=$1 few=$(($1 < 4 ? 0 : ($1 + 9) / 10)) log=$STACK_LOGS/clusters.log
  shift
  start "simulation of the clusters" "$log" "$SIMULATOR" fleet --tokens "$STACK_DIR/tokens" --state-dir "$STACK_DIR/clusters" \
    --interval 60 --first-heartbeat-at-once --distinct-sources --silent "$few" --errors "$few" --low-disk "$few" \
    --high-memory "$((few / 2))" --tunnels "$(((count + 1) / 2))" "$@"
  step "Simulated clusters" "$STACK_LOGS/steps/clusters.log" wait_for_joins "$count" "$STARTED" "$log"
  : >"$STACK_DIR/tokens"
}

wait_for_joins() {
  local count=$1 pid=$2 log=$3 joined shown=
  while true; do
    joined=$(joined_clusters | wc -l)
    if [[ $joined != "$shown" ]]; then printf '%d of %d have joined\n' "$joined" "$count"; fi
    if ((joined >= count)); then break; fi
    shown=$joined
    kill -0 "$pid" 2>/dev/null || die "the simulated clusters cannot join: $(tail -n 1 -- "$log") (log: $(shown "$log"))"
    sleep 0.2
  done
  printf '=> %d have joined\n' "$count"
}

#!/usr/bin/env bash
# A private PostgreSQL from Debian's packages: own data directory, own socket, own port, gone when we are.
#
#   tools/postgres.sh run DIR [--fast] [--port PORT]
#
# Prints one line when it is ready: host=<socket folder> port=<port> user=postgres password=<for 127.0.0.1> dbname=postgres
# Stops when standard input is closed and on SIGTERM or SIGINT. --fast gives up crash safety: for tests only. Without --port it
# takes a free one.
set -euo pipefail

MAX_CONNECTIONS=200
SOCKET_PATH_LIMIT=107 # sockaddr_un holds 108 bytes with the final NUL

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# PostgreSQL refuses to run as root; its package brings the user for it.
as_postgres() {
  if ((EUID == 0)); then
    (cd / && exec runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

# The programs of the version that made DATA, or the newest version for a new one.
choose_version() {
  local version
  if [[ -f $DATA/PG_VERSION ]]; then
    version=$(<"$DATA/PG_VERSION")
    BIN=/usr/lib/postgresql/$version/bin
    [[ -x $BIN/postgres ]] || die "$DATA was made by PostgreSQL $version, which is not installed: install postgresql-$version or remove that folder"
  else
    version=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -V | tail -n 1)
    BIN=/usr/lib/postgresql/$version/bin
    [[ -n $version && -x $BIN/postgres ]] || die "PostgreSQL is missing: install it with: sudo apt-get install postgresql"
  fi
}

# The folder must be open to the user that runs PostgreSQL. A clone in root's home is not, then its data lives beside that
# of Debian's own servers.
choose_folder() {
  mkdir -p -- "$1" || die "cannot make the folder $1"
  DIR=$(cd -- "$1" && pwd -P)
  if ((EUID == 0)); then
    id postgres >/dev/null 2>&1 || die "PostgreSQL is missing: install it with: apt-get install postgresql"
    chown postgres: -- "$DIR"
    if ! as_postgres test -w "$DIR"; then
      DIR=/var/lib/postgresql/private-$(printf '%s' "$DIR" | sha256sum | cut -c 1-12)
      install -d -o postgres -g postgres -m 700 -- "$DIR"
    fi
  fi
  DATA=$DIR/data
}

# One run per folder: the lock ends with this script, however it ends.
take_lock() {
  exec {LOCK}>"$DIR/lock"
  flock -n "$LOCK" || die "$DIR is in use by another run: stop that one first"
}

# A run that was killed may have left its server alive; the process that works in our data directory is that server.
stop_leftover() {
  local pid deadline=$((SECONDS + 60))
  [[ -f $DATA/postmaster.pid ]] || return 0
  pid=$(head -n 1 -- "$DATA/postmaster.pid")
  if [[ $(readlink "/proc/$pid/cwd") == "$DATA" ]]; then
    kill -INT "$pid"
    while [[ $(readlink "/proc/$pid/cwd") == "$DATA" ]]; do
      ((SECONDS < deadline)) || die "process $pid of an earlier run does not stop: end it, then start again"
      sleep 0.05
    done
  elif [[ -e /proc/$pid ]]; then
    # The id belongs to somebody else by now. PostgreSQL would take that process for its own predecessor and refuse.
    rm -f -- "$DATA/postmaster.pid"
  fi
}

make_data() {
  local options=(--username=postgres --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256)
  if [[ -f $DATA/PG_VERSION && -s $DIR/password ]]; then return; fi
  rm -rf -- "$DATA" "$DATA.new"
  (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$DIR/password")
  if ((EUID == 0)); then chown postgres: "$DIR/password"; fi
  if [[ $FAST == yes ]]; then options+=(--no-sync); fi
  as_postgres "$BIN/initdb" "${options[@]}" --pwfile="$DIR/password" -D "$DATA.new" >"$DIR/initdb.log" 2>&1 ||
    die "initdb failed, its output is in $DIR/initdb.log: $(tail -n 1 "$DIR/initdb.log")"
  mv -- "$DATA.new" "$DATA" # complete or not there: an initdb may be cut short
}

# TLS for 127.0.0.1 with a certificate that signs itself, for localhost: clients that want it trust DATA/server.crt.
make_certificate() {
  if [[ -s $DATA/server.crt ]]; then return; fi
  as_postgres openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$DATA/server.key" -out "$DATA/server.crt" >"$DIR/openssl.log" 2>&1 ||
    die "openssl cannot make a certificate: $(tail -n 1 "$DIR/openssl.log")"
}

# The socket's folder is closed to everybody else, which is why local connections need no password.
make_socket_folder() {
  SOCKET=$DIR/socket
  if ((${#SOCKET} + ${#PORT} + 11 > SOCKET_PATH_LIMIT)); then
    SOCKET=$(mktemp -d /tmp/postgres-XXXXXX)
    TEMPORARY=$SOCKET
  fi
  mkdir -p -- "$SOCKET"
  chmod 700 -- "$SOCKET"
  if ((EUID == 0)); then chown postgres: -- "$SOCKET"; fi
}

start_server() {
  local settings=(-c listen_addresses=127.0.0.1 -c "port=$PORT" -c "unix_socket_directories=$SOCKET"
    -c unix_socket_permissions=0700 -c "max_connections=$MAX_CONNECTIONS" -c logging_collector=off -c log_destination=stderr -c ssl=on)
  if [[ $FAST == yes ]]; then settings+=(-c fsync=off -c full_page_writes=off -c synchronous_commit=on); fi
  local as=(setpriv --pdeathsig INT) # a fast shutdown also when this script is killed
  if ((EUID == 0)); then as+=(--reuid postgres --regid postgres --init-groups); fi
  set -m # Ctrl-C must not reach the server before those that use it have stopped
  (cd / && exec "${as[@]}" "$BIN/postgres" -D "$DATA" "${settings[@]}") </dev/null >&2 {LOCK}>&- &
  SERVER=$!
  set +m
}

# Starts the server on a free port; a port can be taken between the look and the start, so that there are several tries.
start_on_free_port() {
  local tries deadline
  for ((tries = 0; tries < 5; tries++)); do
    PORT=${GIVEN_PORT:-$((20000 + RANDOM % 10000))}
    if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then continue; fi
    make_socket_folder
    start_server
    deadline=$((SECONDS + 60)) # recovery after a kill takes its time
    while kill -0 "$SERVER" 2>/dev/null && ((SECONDS < deadline)); do
      if "$BIN/pg_isready" -q -h "$SOCKET" -p "$PORT" -U postgres; then return; fi
      sleep 0.05
    done
    stop_server
  done
  die "PostgreSQL does not start: its messages are above"
}

stop_server() {
  [[ -n ${SERVER:-} ]] || return 0
  kill -INT "$SERVER" 2>/dev/null || true # fast shutdown: ends the sessions, keeps what was committed
  wait "$SERVER" 2>/dev/null || true
  SERVER=
}

clean_up() {
  trap '' INT TERM HUP
  stop_server
  if [[ -n ${WATCHER:-} ]]; then kill "$WATCHER" 2>/dev/null || true; fi
  if [[ -n ${TEMPORARY:-} ]]; then rm -rf -- "$TEMPORARY"; fi
}

run() {
  [[ $# -ge 1 && $1 != -* ]] || die "a folder is needed: tools/postgres.sh run DIR [--fast]"
  local folder=$1 code=0
  FAST=no GIVEN_PORT=
  shift
  while (($#)); do
    case $1 in
      --fast) FAST=yes ;;
      --port)
        [[ ${2:-} =~ ^[0-9]+$ ]] || die "--port needs a number"
        GIVEN_PORT=$2
        shift
        ;;
      *) die "unknown option $1: --fast and --port are known" ;;
    esac
    shift
  done
  choose_folder "$folder"
  choose_version
  trap clean_up EXIT
  trap 'exit 0' INT TERM HUP
  take_lock
  stop_leftover
  make_data
  make_certificate
  start_on_free_port
  printf 'host=%s port=%s user=postgres password=%s dbname=postgres\n' "$SOCKET" "$PORT" "$(<"$DIR/password")"

  exec {INPUT}<&0
  cat <&"$INPUT" >/dev/null {LOCK}>&- & # ends when standard input is closed
  WATCHER=$!
  wait -n "$SERVER" "$WATCHER" || code=$?
  kill -0 "$SERVER" 2>/dev/null || die "PostgreSQL ended by itself (exit code $code): its messages are above"
}

case ${1:-} in
  run) shift && run "$@" ;;
  *) die "unknown command '${1:-}': tools/postgres.sh run DIR [--fast]" ;;
esac

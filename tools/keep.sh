#!/usr/bin/env bash
# Runs a program that tests stop and start: when it ends while PIDFILE.hold is there, it is started again once that file is gone.
# Ended in any other way it stays ended. PIDFILE has its process id.
#
#   tools/keep.sh PIDFILE COMMAND...
set -euo pipefail
pidfile=$1
shift
child=

end_with_child() {
  trap '' TERM INT
  kill -TERM "$child" 2>/dev/null || true
  wait "$child" || true
  exit 0
}
trap end_with_child TERM INT

while true; do
  setpriv --pdeathsig TERM "$@" &
  child=$!
  printf '%s' "$child" >"$pidfile.new"
  mv -- "$pidfile.new" "$pidfile"
  code=0
  wait "$child" || code=$?
  [[ -e $pidfile.hold ]] || exit "$code"
  while [[ -e $pidfile.hold ]]; do sleep 0.05; done
done

#!/usr/bin/env bash
# ./dev pack: the charm as one file that `juju deploy` takes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

HELP='Packs the charm for this machine'"'"'s processor: a static program, and what Juju wants to know about it. Where charmcraft is
installed, it does the work in a container of its own; elsewhere the repository'"'"'s own packer does, with what Debian offers.

Usage: ./dev pack [--own]

  --own  the own packer, also where charmcraft is installed'

LOGS=$ROOT/target/pack-logs
LARGEST=$((5 * 1024 * 1024)) # of the program: every unit downloads it

# Debian's name of this machine's architecture.
architecture() {
  dpkg --print-architecture 2>/dev/null || case $(uname -m) in
    x86_64) printf amd64 ;;
    aarch64) printf arm64 ;;
    *) uname -m ;;
  esac
}

# The target is named, because without it the flag would also reach procedural macros, which cannot be static.
build_dispatch() {
  cd -- "$ROOT"
  RUSTFLAGS='-C target-feature=+crt-static' cargo build --profile charm --locked --package microcloud-cluster-manager-charm --target "$TARGET"
}

check_dispatch() {
  local size
  size=$(stat -c %s -- "$1")
  ((size <= LARGEST)) || die "$(shown "$1") has $size bytes, more than $LARGEST: see what grew with: cargo bloat --profile charm -p microcloud-cluster-manager-charm"
  if readelf --program-headers -- "$1" | grep -q INTERP; then die "$(shown "$1") is not static: it needs a loader"; fi
  printf '=> %d KiB, static\n' $((size / 1024))
}

pack() {
  cd -- "$ROOT"
  cargo run -q --locked --package packager -- --architecture "$ARCHITECTURE" --out "$1" charm --dispatch "$2"
}

main() {
  local own=no dispatch file
  case ${1:-} in
    '') ;;
    --own) own=yes ;;
    -h | --help)
      printf '%s\n' "$HELP"
      exit
      ;;
    *) die "unknown option $1: ./dev pack --help" ;;
  esac
  ARCHITECTURE=$(architecture)
  TARGET=$(uname -m)-unknown-linux-gnu
  supervise "$ROOT/target/pack-lock"
  if [[ $own == no ]] && command -v charmcraft >/dev/null; then
    cd -- "$ROOT"
    step "Charm, by charmcraft" "$LOGS/charmcraft.log" charmcraft pack --platform "$ARCHITECTURE"
    return
  fi
  dispatch=$ROOT/target/$TARGET/charm/dispatch
  file=$ROOT/target/microcloud-cluster-manager-k8s_$ARCHITECTURE.charm
  step "Program" "$LOGS/program.log" build_dispatch
  step "Size and linkage" "$LOGS/check.log" check_dispatch "$dispatch"
  step "Charm" "$LOGS/charm.log" pack "$file" "$dispatch"
  printf '\nTo deploy it: juju deploy ./%s --resource microcloud-cluster-manager-image=<image>\n' "$(shown "$file")"
}

main "$@"

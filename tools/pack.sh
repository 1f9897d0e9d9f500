#!/usr/bin/env bash
# ./dev pack: the charm as one file that `juju deploy` takes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

HELP='Packs the charm for this machine'"'"'s processor: a static program, and what Juju wants to know about it. Where charmcraft is
installed, it does the work in a container of its own, or on this machine if CRAFT_BUILD_ENVIRONMENT is "host"; elsewhere the
repository'"'"'s own packer does, with what Debian offers. Both give the same. Beside the charm stands its bill of materials (CycloneDX).

Usage: ./dev pack [--own]

  --own  the own packer, also where charmcraft is installed'

LOGS=$ROOT/target/pack-logs
SOURCES=$ROOT/target/charmcraft # charmcraft works here
LARGEST=$((5 * 1024 * 1024)) # of the program: every unit downloads it

# Debian's name of this machine's architecture.
architecture() {
  dpkg --print-architecture 2>/dev/null || case $(uname -m) in
    x86_64) printf amd64 ;;
    aarch64) printf arm64 ;;
    *) uname -m ;;
  esac
}

check_dispatch() {
  local size headers
  size=$(stat -c %s -- "$1")
  ((size <= LARGEST)) || die "$(shown "$1") has $size bytes, more than $LARGEST: see what grew with: cargo bloat --profile charm -p microcloud-cluster-manager-charm"
  headers=$(readelf --program-headers -- "$1") || die "$(shown "$1") is not a program of this machine"
  if [[ $headers == *INTERP* ]]; then die "$(shown "$1") is not static: it needs a loader"; fi
  printf '=> %d KiB, static\n' $((size / 1024))
}

packager() {
  cd -- "$ROOT"
  cargo run -q --locked --package packager -- --architecture "$ARCHITECTURE" --out "$@"
}

# Charmcraft copies all of its folder into its container: it gets one without what builds leave. What charmcraft itself has left
# there stays, so that it builds again only what has changed: it goes by the times of the files.
copy_sources() {
  mkdir -p -- "$SOURCES"
  find "$SOURCES" -mindepth 1 -maxdepth 1 ! -name parts ! -name stage ! -name prime -exec rm -rf -- {} +
  copy_tree "$SOURCES"
}

run_charmcraft() {
  cd -- "$SOURCES"
  charmcraft pack --platform "$ARCHITECTURE" ||
    die "charmcraft cannot pack the charm: it says why in $(shown "$LOGS/charmcraft.log"); to do without it: ./dev pack --own"
}

# $1 is the charm, $2 where to put the program that is in it.
check_charm() {
  packager "$2" program --charm "$1"
  check_dispatch "$2"
}

# $1 is the charm, $2 the file to write.
list_materials() {
  packager "$2" charm-sbom --charm "$1"
  printf '=> %s\n' "$(shown "$2")"
}

by_charmcraft() {
  local packed=$SOURCES/${1##*/}
  step "Sources" "$LOGS/sources.log" copy_sources
  step "Charm, by charmcraft" "$LOGS/charmcraft.log" run_charmcraft
  step "Content, size and linkage" "$LOGS/check.log" check_charm "$packed" "$SOURCES.dispatch"
  mv -- "$packed" "$1"
}

by_packager() {
  local dispatch
  dispatch=$ROOT/target/$(uname -m)-unknown-linux-gnu/charm/dispatch
  step "Program" "$LOGS/program.log" "$ROOT/tools/build.sh" charm
  step "Size and linkage" "$LOGS/check.log" check_dispatch "$dispatch"
  step "Charm" "$LOGS/charm.log" packager "$1" charm --dispatch "$dispatch"
}

main() {
  local own=no file
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
  supervise "$ROOT/target/pack-lock"
  file=$ROOT/target/microcloud-cluster-manager-k8s_$ARCHITECTURE.charm
  if [[ $own == no ]] && command -v charmcraft >/dev/null; then by_charmcraft "$file"; else by_packager "$file"; fi
  step "Bill of materials" "$LOGS/sbom.log" list_materials "$file" "${file%.charm}.cdx.json"
  printf '\nTo deploy it: juju deploy ./%s --resource microcloud-cluster-manager-image=<image>\n' "$(shown "$file")"
}

main "$@"

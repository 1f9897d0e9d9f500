#!/usr/bin/env bash
# ./dev reproduce: whether two builds of the same sources give the same programs.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

HELP='Builds the program of the charm and that of the services twice and compares their hashes: each time from a copy of the sources, in a
folder and with a CARGO_HOME of its own. It shows that whoever builds the same sources with the same compilers gets the same bytes.

Usage: ./dev reproduce [charm|services]     one of the programs, or both in turn

It needs up to 8 GB in target/reproduce, which it gives back unless the programs differ.'

LOGS=$ROOT/target/reproduce-logs
WORK=$ROOT/target/reproduce
FOLDERS=("$WORK/one" "$WORK/and/another") # one path is longer than the other

# A copy of the sources and of the npm modules, and a home for cargo with the crates that are there already.
copy_sources() {
  local to=$1 cargo=${CARGO_HOME:-$HOME/.cargo}
  mkdir -p -- "$to" "$to.cargo/registry"
  copy_tree "$to"
  cp -a -- "$ROOT/ui/node_modules" "$to/ui/"
  cp -a -- "$cargo/registry/cache" "$cargo/registry/index" "$to.cargo/registry/"
  if [[ -f $cargo/config.toml ]]; then cp -- "$cargo/config.toml" "$to.cargo/"; fi
}

# build FOLDER WHAT
build() {
  unset CARGO_TARGET_DIR
  if [[ $2 == services ]]; then (cd -- "$1/ui" && NO_COLOR=1 npm run build); fi
  CARGO_HOME=$1.cargo "$1/tools/build.sh" "$2"
  printf '=> %s\n' "$(sha256sum <"$(program "$1" "$2")" | cut -d ' ' -f 1)"
}

# program FOLDER WHAT: where its build is.
program() {
  case $2 in
    charm) printf '%s' "$1/target/$(uname -m)-unknown-linux-gnu/charm/dispatch" ;;
    services) printf '%s' "$1/target/release/microcloud-cluster-manager" ;;
  esac
}

compare() {
  local programs=() folder
  for folder in "${FOLDERS[@]}"; do programs+=("$(program "$folder" "$1")"); done
  cmp -s -- "${programs[@]}" ||
    die "the program of the $1 differs: see where with: diffoscope $(shown "${programs[0]}") $(shown "${programs[1]}")"
}

main() {
  local wanted=(charm services) what folder
  case ${1:-} in
    '') ;;
    charm | services) wanted=("$1") ;;
    -h | --help)
      printf '%s\n' "$HELP"
      exit
      ;;
    *) die "unknown argument $1: ./dev reproduce --help" ;;
  esac
  cd -- "$ROOT"
  supervise "$ROOT/target/reproduce-lock"
  step "Packages and modules" "$LOGS/install.log" "$ROOT/tools/install.sh" image
  step "Crates" "$LOGS/crates.log" cargo fetch --locked
  rm -rf -- "$WORK"
  for folder in "${FOLDERS[@]}"; do
    step "Sources in $(shown "$folder")" "$LOGS/sources.log" copy_sources "$folder"
  done
  for what in "${wanted[@]}"; do
    for folder in "${FOLDERS[@]}"; do
      step "Program of the $what in ${folder#"$WORK"/}" "$LOGS/$what-${folder##*/}.log" build "$folder" "$what"
    done
    compare "$what"
  done
  rm -rf -- "$WORK"
  printf '\nThe same sources gave the same programs.\n'
}

main "$@"

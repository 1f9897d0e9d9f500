#!/usr/bin/env bash
# ./dev image: the image of the services as an OCI archive.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

HELP='Builds the image of the services as one file, an OCI archive: the tree that rockcraft.yaml describes, from what Debian offers. It
has no shell and no package manager, and runs as an ordinary user. Where rockcraft is at hand, it builds the same from Ubuntu.
Beside it stands its bill of materials (CycloneDX).

Usage: ./dev image'

LOGS=$ROOT/target/image-logs

build_ui() {
  cd -- "$ROOT/ui" && NO_COLOR=1 npm run build
}

packager() {
  cd -- "$ROOT"
  cargo run -q --locked --package packager -- --architecture "$(dpkg --print-architecture)" --out "$@"
}

pack() {
  packager "$1" image --program target/release/microcloud-cluster-manager --pebble target/tools/pebble --debian target/tools/debian
}

# $1 is the image, $2 the file to write.
list_materials() {
  packager "$2" image-sbom --archive "$1" --pages target/ui-packages.json --pebble target/tools/pebble.modules \
    --debian target/tools/debian/packages
  printf '=> %s\n' "$(shown "$2")"
}

main() {
  local file
  case ${1:-} in
    '') ;;
    -h | --help)
      printf '%s\n' "$HELP"
      exit
      ;;
    *) die "unknown argument $1: ./dev image takes none" ;;
  esac
  cd -- "$ROOT"
  supervise "$ROOT/target/image-lock"
  file=$ROOT/target/microcloud-cluster-manager.oci.tar
  step "Packages and modules" "$LOGS/install.log" "$ROOT/tools/install.sh" image
  step "Web interface" "$LOGS/ui.log" build_ui
  step "Program" "$LOGS/program.log" "$ROOT/tools/build.sh" services
  step "Image" "$LOGS/image.log" pack "$file"
  step "Bill of materials" "$LOGS/sbom.log" list_materials "$file" "${file%.oci.tar}.cdx.json"
  printf '\nTo publish it: skopeo copy oci-archive:%s docker://<registry>/microcloud-cluster-manager\n' "$(shown "$file")"
}

main "$@"

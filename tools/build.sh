#!/usr/bin/env bash
# Builds a program that is shipped, the same bytes in whichever folder: compilers write the paths of sources into programs, into
# messages of panics and into what C code says of itself. Here these begin with /source, /cargo or /rust instead.
#
#   tools/build.sh charm|services
#
# The web interface, which the program of the services has inside, is built before it. Flags of the caller do not count.
set -euo pipefail

folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
processor=$(uname -m)
rust_flags=()
case ${1:-} in
  charm)
    # The target is named, because without it the flag would also reach procedural macros, which cannot be static.
    arguments=(--profile charm --package microcloud-cluster-manager-charm --target "$processor-unknown-linux-gnu")
    rust_flags=(-C target-feature=+crt-static)
    ;;
  services) arguments=(--release --package microcloud-cluster-manager) ;;
  *)
    printf 'error: say what to build: tools/build.sh charm|services\n' >&2
    exit 2
    ;;
esac
c_flags=
for names in "$folder=/source" "${CARGO_HOME:-$HOME/.cargo}=/cargo" "$(rustc --print sysroot)=/rust"; do
  rust_flags+=("--remap-path-prefix=$names")
  c_flags+=$(printf ' %q' "-ffile-prefix-map=$names")
done

# Of each kind of flags the form that takes paths with spaces.
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${rust_flags[*]}")
export CARGO_ENCODED_RUSTFLAGS CFLAGS=$c_flags CXXFLAGS=$c_flags CC_SHELL_ESCAPED_FLAGS=1
# The allocator has the time of its build in one of its messages: it is that of this moment.
export SOURCE_DATE_EPOCH=0
cd -- "$folder"
exec cargo build --locked "${arguments[@]}"

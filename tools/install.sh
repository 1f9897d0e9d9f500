#!/usr/bin/env bash
# Installs what is missing and nothing else: Debian's packages, the npm modules of the repository's packages, the Python packages of
# the tests, their second identity provider, Pebble, and what goes into an image.
#
#   tools/install.sh up|test|image
#
# `test` also installs what only the tests need: Chromium, unless CHROMIUM names another one. A run that finds everything takes a
# fraction of a second.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

DONE=()

# Whether version $1 is at least $2.
at_least() {
  [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

need_rust() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
  command -v cargo >/dev/null || die "Rust $wanted or newer is needed: install it from https://rustup.rs"
  found=$(rustc --version | cut -d ' ' -f 2)
  at_least "$found" "$wanted" || die "Rust $wanted or newer is needed, this is $found: update it with: rustup update stable"
}

need_node() {
  local wanted found
  wanted=$(sed -n 's/.*"node": ">=\(.*\)".*/\1/p' "$ROOT/tests/identity-provider/package.json")
  command -v node >/dev/null || die "Node.js $wanted or newer is needed: install it from https://nodejs.org"
  found=$(node --version)
  at_least "${found#v}" "$wanted" || die "Node.js $wanted or newer is needed, this is ${found#v}: install it from https://nodejs.org"
  command -v npm >/dev/null || die "npm is needed, it comes with Node.js: install it from https://nodejs.org"
}

need_go() {
  local wanted found
  wanted=$(sed -n 's/^go //p' "$ROOT/tests/second-identity-provider/go.mod")
  command -v go >/dev/null || die "Go $wanted or newer is needed for the tests: install it from https://go.dev/dl"
  found=$(GOTOOLCHAIN=local go env GOVERSION)
  at_least "${found#go}" "$wanted" || die "Go $wanted or newer is needed for the tests, this is ${found#go}: install it from https://go.dev/dl"
}

# The packages that are missing for `up` or `test`, one per line.
missing_packages() {
  command -v cc >/dev/null || printf '%s\n' gcc libc6-dev
  command -v openssl >/dev/null || printf '%s\n' openssl
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || printf '%s\n' postgresql
  command -v psql >/dev/null || printf '%s\n' postgresql-client
  if [[ $1 == test ]]; then
    [[ -x ${CHROMIUM:-/usr/bin/chromium} ]] || printf '%s\n' chromium chromium-sandbox
    [[ -x /usr/sbin/haproxy ]] || printf '%s\n' haproxy
    command -v prometheus >/dev/null || printf '%s\n' prometheus
    python3 -c 'import ensurepip, venv' 2>/dev/null || printf '%s\n' python3 python3-venv
  fi
}

need_packages() {
  local packages as_root=()
  mapfile -t packages < <(missing_packages "$1")
  ((${#packages[@]})) || return 0
  command -v apt-get >/dev/null || die "missing programs: install what your system calls ${packages[*]}, then start again"
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || die "packages are missing: run: sudo apt-get install --no-install-recommends ${packages[*]}"
    as_root=(sudo -n)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600)
  "${apt[@]}" update || die "the package lists cannot be read: see whether this works: apt-get update"
  "${apt[@]}" install -y --no-install-recommends "${packages[@]}" ||
    die "packages cannot be installed: see whether this works: apt-get install ${packages[*]}"
  DONE+=("${packages[@]}")
}

# npm_modules FOLDER: the modules of the lock file; its hash is kept beside them, and npm removes it with them.
npm_modules() {
  local folder=$ROOT/$1 stamp=$ROOT/$1/node_modules/.lock-hash hash
  [[ -f $folder/package-lock.json ]] || die "$1/package-lock.json is missing: restore it from the repository"
  hash=$(sha256sum <"$folder/package-lock.json")
  if [[ -f $stamp && $(<"$stamp") == "$hash" ]]; then return; fi
  (cd -- "$folder" && npm ci --ignore-scripts --no-audit --no-fund) || die "the npm modules of $1 cannot be installed: see whether this works: cd $1 && npm ci --ignore-scripts"
  printf '%s\n' "$hash" >"$stamp"
  DONE+=("npm modules of $1")
}

# python_packages NAME: the packages of tests/NAME, in a folder of their own; a copy of their list is kept with them.
python_packages() {
  local folder=$ROOT/.dev/$1 list=$ROOT/tests/$1/requirements.txt
  if cmp -s -- "$list" "$folder/requirements.txt"; then return; fi
  rm -rf -- "$folder"
  if ! { python3 -m venv "$folder" && "$folder/bin/pip" install -q --disable-pip-version-check -r "$list"; }; then
    die "the Python packages cannot be installed: see whether this works: python3 -m venv .dev/$1"
  fi
  cp -- "$list" "$folder/requirements.txt"
  DONE+=("$1")
}

# What goes into an image besides the program: three of Debian's packages, unpacked into target/tools/debian. Which they were is
# kept with them, for the bill of materials.
debian_packages() {
  local folder=$ROOT/target/tools/debian packages=(libc6 libgcc-s1 ca-certificates) package
  if [[ $(sed -n 's/^Package: //p' "$folder/packages" 2>/dev/null) == "$(printf '%s\n' "${packages[@]}")" ]]; then return; fi
  command -v apt-get dpkg-deb >/dev/null || die "an image is made of Debian's packages: do this on Debian or Ubuntu"
  rm -rf -- "$folder"
  mkdir -p -- "$folder/files"
  # apt drops its rights for a download unless it is told not to, and may then not write here.
  (cd -- "$folder/files" && apt-get -q -o APT::Sandbox::User=root download "${packages[@]}") ||
    die "Debian's packages cannot be downloaded: see whether this works: apt-get download ${packages[*]}"
  for package in "${packages[@]}"; do
    dpkg-deb -x "$folder/files/${package}"_*.deb "$folder/$package"
    describe_package "$folder/files/${package}"_*.deb >>"$folder/files/packages"
  done
  mv -- "$folder/files/packages" "$folder/packages"
  rm -rf -- "$folder/files"
  DONE+=("Debian's packages for the image")
}

# describe_package FILE: fields of its control file, whose it is, and its hash.
describe_package() {
  dpkg-deb -f "$1" Package Version Architecture
  # shellcheck source=/dev/null
  (source /etc/os-release && printf 'Vendor: %s\nRelease: %s-%s\n' "$ID" "$ID" "$VERSION_ID")
  printf 'SHA256: %s\n\n' "$(sha256sum <"$1" | cut -d ' ' -f 1)"
}

# The second identity provider of the tests, of the versions in its go.sum, into target/tools; again when its source changed.
second_identity_provider() {
  local folder=$ROOT/tests/second-identity-provider program=$ROOT/target/tools/second-identity-provider hash
  hash=$(cat -- "$folder/main.go" "$folder/go.mod" "$folder/go.sum" | sha256sum)
  if [[ -x $program && -f $program.hash && $(<"$program.hash") == "$hash" ]]; then return; fi
  mkdir -p -- "$ROOT/target/tools"
  (cd -- "$folder" && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -o "$program" .) ||
    die "the second identity provider cannot be built: see whether this works: cd tests/second-identity-provider && go build"
  printf '%s\n' "$hash" >"$program.hash"
  DONE+=("second identity provider")
}

# Pebble for the image and the tests of the charm, in the version and with the checksums of tools/pebble. What it is made of stands
# beside it, for the bill of materials.
pebble() {
  local folder=$ROOT/tools/pebble program=$ROOT/target/tools/pebble stamp=$ROOT/target/tools/.pebble-hash hash
  hash=$(sha256sum <"$folder/go.sum")
  if [[ -x $program && -f $program.modules && -f $stamp && $(<"$stamp") == "$hash" ]]; then return; fi
  command -v go >/dev/null || die "Go 1.21 or newer is needed to build Pebble for the tests: install it from https://go.dev/dl"
  mkdir -p -- "$ROOT/target/tools"
  (cd -- "$folder" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$program" github.com/canonical/pebble/cmd/pebble) ||
    die "Pebble cannot be built: see whether this works: cd tools/pebble && go build github.com/canonical/pebble/cmd/pebble"
  go version -m "$program" >"$program.modules"
  printf '%s\n' "$hash" >"$stamp"
  DONE+=("Pebble")
}

case ${1:-} in
  up | test | image) purpose=$1 ;;
  *) die "say what for: tools/install.sh up|test|image" ;;
esac
need_rust
need_node
if [[ $purpose == test ]]; then need_go; fi
need_packages "$purpose"
npm_modules ui
npm_modules tools/api-types
if [[ $purpose != image ]]; then npm_modules tests/identity-provider; fi
if [[ $purpose == test ]]; then
  npm_modules tests/browser
  python_packages schemathesis
  python_packages charmcraft
  python_packages charm-libraries
  second_identity_provider
fi
if [[ $purpose != up ]]; then
  pebble
  debian_packages
fi
if ((${#DONE[@]})); then printf '=> installed: %s\n' "${DONE[*]}"; else printf '=> nothing was missing\n'; fi

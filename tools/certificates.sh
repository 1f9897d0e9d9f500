#!/usr/bin/env bash
# The development certificates: a small CA and one certificate per listener.
#
#   tools/certificates.sh DIR
#
# DIR/ca.crt signs management-api/tls.crt and identity-provider/tls.crt, all for localhost and 127.0.0.1. The Cluster
# Connector's certificate signs itself and lasts ten years: clusters pin it when they join. What is there and still valid
# for a week is kept.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

NAMES=DNS:localhost,IP:127.0.0.1
WEEK=$((7 * 24 * 3600))

is_valid() {
  [[ -s $1 ]] && openssl x509 -in "$1" -noout -checkend "$WEEK" >/dev/null
}

# certificate FOLDER FILE NAME DAYS EXTENSIONS [openssl options]: makes FOLDER/FILE.key and FOLDER/FILE.crt, the pair or none.
certificate() {
  local folder=$1 file=$2 name=$3 days=$4 extensions=$5
  shift 5
  mkdir -p -- "$folder"
  openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -sha256 -days "$days" \
    -config <(printf '[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n%b' "$extensions") \
    -subj "/O=MicroCloud Cluster Manager development/CN=$name" "$@" \
    -keyout "$folder/$file.key.new" -out "$folder/$file.crt.new" 2>"$folder/openssl.log" ||
    die "openssl cannot make a certificate: $(tail -n 1 "$folder/openssl.log")"
  chmod 600 "$folder/$file.key.new"
  mv -- "$folder/$file.key.new" "$folder/$file.key"
  mv -- "$folder/$file.crt.new" "$folder/$file.crt"
  rm -- "$folder/openssl.log"
  MADE+=("$name")
}

LEAF="basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=$NAMES\nsubjectKeyIdentifier=hash\n"
CA='basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n'

[[ $# -eq 1 ]] || die "a folder is needed: tools/certificates.sh DIR"
DIR=$1
MADE=()
if ! is_valid "$DIR/ca.crt"; then
  certificate "$DIR" ca "development CA" 365 "$CA"
  rm -rf -- "$DIR/management-api" "$DIR/identity-provider"
fi
for listener in management-api identity-provider; do
  if ! is_valid "$DIR/$listener/tls.crt"; then
    certificate "$DIR/$listener" tls "$listener" 365 "${LEAF}authorityKeyIdentifier=keyid\n" -CA "$DIR/ca.crt" -CAkey "$DIR/ca.key"
  fi
done
if ! is_valid "$DIR/cluster-connector/tls.crt"; then
  certificate "$DIR/cluster-connector" tls cluster-connector 3650 "$LEAF"
fi
if ((${#MADE[@]})); then printf '=> made: %d\n' "${#MADE[@]}"; else printf '=> kept\n'; fi

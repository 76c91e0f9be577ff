#!/bin/bash
# conf/examples/tls_certs.sh DIR: makes the certificates that tls.yaml names: an authority (ca.pem), and
# by it router.example, users.example (a backend) and a client, spiffe://example/web; each NAME.pem has its
# NAME.key. An authority that is in DIR is kept: run once more, this renews the other three.
set -euo pipefail
[ $# = 1 ] || { echo "usage: conf/examples/tls_certs.sh DIR" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
# make NAME OPTION…: puts key and certificate in place when both are whole.
make() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout fresh.key -out fresh.pem "${@:2}" \
    2>openssl.log || { cat openssl.log >&2; exit 1; }
  mv fresh.key "$1.key"
  mv fresh.pem "$1.pem"
  rm openssl.log
}
# certificate NAME SAN: by the authority.
certificate() {
  make "$1" -CA ca.pem -CAkey ca.key -days 90 -subj "/CN=$1" -addext "subjectAltName=$2" \
    -addext "basicConstraints=critical,CA:false"
}
[ -e ca.pem ] || make ca -days 365 -subj "/CN=Example authority"
certificate router DNS:router.example
certificate users DNS:users.example
certificate client URI:spiffe://example/web

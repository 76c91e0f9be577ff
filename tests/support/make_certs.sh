#!/bin/bash
# tests/support/make_certs.sh DIR: makes the certificates that the tests of TLS use, with OpenSSL's
# command line. In DIR afterwards, each NAME.pem with its NAME.key:
#   ca, intermediate        who signs (the intermediate signs no other authority)
#   stranger_ca             whom nobody knows
#   a, b                    servers a.example (and 127.0.0.1, ::1) and b.example, by the intermediate
#   rsa                     rsa.example with an RSA key: rsa.key PKCS#8, rsa_pkcs1.key, rsa_encrypted.key
#   direct                  direct.example, by ca itself
#   wild                    *.wild.example
#   cn_only                 a server with the common name cn.example and no SAN
#   expired, early          a.example, out of its time
#   soon                    a.example, with 10 days left
#   stranger                a.example, by stranger_ca
#   short_ip                a server whose SAN is an address of one byte
#   client_uri, client_dns, client_cn, client_stranger, client_expired
#   client_nul, client_line, client_cn_uri   names that try to pass for spiffe://example/client
#   weak                    an RSA key of 1024 bits
# and: other.key (fits nothing), a_chain.pem (a and its intermediate in one file), empty.pem,
# broken.pem (a certificate that does not parse).
set -euo pipefail
cd "$1"

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }
# sign NAME ISSUER SUBJECT [EXTENSION=VALUE…]: a certificate for NAME.key, within $from and $to.
from=20200101000000Z to=20500101000000Z
sign() {
  local name=$1 issuer=$2 subject=$3 by=()
  shift 3
  printf '%s\n' "[v3]" "$@" >ext.cnf
  [ "$issuer" = self ] && by=(-selfsign -keyfile "$name.key") || by=(-cert "$issuer.pem" -keyfile "$issuer.key")
  openssl req -new -key "$name.key" -subj "$subject" -out request.pem 2>/dev/null
  openssl ca -batch -config ca.cnf "${by[@]}" -startdate "$from" -enddate "$to" -notext \
    -extfile ext.cnf -extensions v3 -in request.pem -out "$name.pem" 2>log || { cat log >&2; exit 1; }
}
cat >ca.cnf <<'CNF'
[ca]
default_ca = here
[here]
database = index
default_md = sha256
serial = serial
rand_serial = yes
unique_subject = no
policy = any
email_in_dn = no
new_certs_dir = .
[any]
commonName = optional
organizationName = optional
CNF
: >index

is_ca=("basicConstraints=critical,CA:true" "keyUsage=critical,keyCertSign,cRLSign" "subjectKeyIdentifier=hash")
server=("basicConstraints=CA:false" "extendedKeyUsage=serverAuth")
client=("basicConstraints=CA:false" "extendedKeyUsage=clientAuth")
for name in ca intermediate stranger_ca a b direct wild cn_only expired early soon stranger other \
            client_uri client_dns client_cn client_stranger client_expired client_nul client_line \
            client_cn_uri short_ip; do
  key $name
done
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key 2>/dev/null
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out weak.key 2>/dev/null
openssl rsa -traditional -in rsa.key -out rsa_pkcs1.key 2>/dev/null
openssl pkcs8 -topk8 -in rsa.key -passout pass:secret -out rsa_encrypted.key

sign ca self "/O=Trestle/CN=Test Root" "${is_ca[@]}"
sign stranger_ca self "/CN=Stranger Root" "${is_ca[@]}"
sign intermediate ca "/CN=Test Intermediate" "${is_ca[@]}"
sign a intermediate "/CN=a.example" "${server[@]}" "subjectAltName=DNS:a.example,IP:127.0.0.1,IP:::1"
sign b intermediate "/CN=b.example" "${server[@]}" "subjectAltName=DNS:b.example,DNS:also-b.example"
sign rsa intermediate "/CN=rsa.example" "${server[@]}" "subjectAltName=DNS:rsa.example"
sign weak ca "/CN=weak.example" "${server[@]}" "subjectAltName=DNS:weak.example"
sign direct ca "/CN=direct.example" "${server[@]}" "subjectAltName=DNS:direct.example"
sign wild intermediate "/CN=wild" "${server[@]}" "subjectAltName=DNS:*.wild.example"
sign cn_only intermediate "/CN=cn.example" "${server[@]}"
sign stranger stranger_ca "/CN=a.example" "${server[@]}" "subjectAltName=DNS:a.example"
sign client_uri ca "/CN=a client" "${client[@]}" "subjectAltName=DNS:client.example,URI:spiffe://example/client"
sign client_dns ca "/CN=a client" "${client[@]}" "subjectAltName=DNS:client.example"
sign client_cn ca "/CN=a client" "${client[@]}"
sign client_stranger stranger_ca "/CN=a client" "${client[@]}"
# GeneralNames as DER: a URI with a NUL and one with the end of a line; an address of one byte.
uri() { printf 'subjectAltName=DER:30%02x86%02x%s' $((2 + ${#1} / 2)) $((${#1} / 2)) "$1"; }
hex() { printf %s "$1" | od -An -tx1 | tr -d ' \n'; }
sign client_nul ca "/CN=a client" "${client[@]}" "$(uri "$(hex spiffe://example/client)00$(hex .evil)")"
sign client_line ca "/CN=a client" "${client[@]}" "$(uri "$(hex spiffe://example/)0a$(hex forged)")"
sign client_cn_uri ca "/CN=spiffe:\/\/example\/client" "${client[@]}"
sign short_ip intermediate "/CN=short" "${server[@]}" "subjectAltName=DER:300387017f"
from=20190101000000Z to=20200102030405Z
sign expired intermediate "/CN=a.example" "${server[@]}" "subjectAltName=DNS:a.example"
sign client_expired ca "/CN=a client" "${client[@]}"
from=20490102030405Z to=20500101000000Z
sign early intermediate "/CN=a.example" "${server[@]}" "subjectAltName=DNS:a.example"
from=20200101000000Z to=$(date -u -d "10 days" +%Y%m%d%H%M%SZ)
sign soon intermediate "/CN=a.example" "${server[@]}" "subjectAltName=DNS:a.example"

cat a.pem intermediate.pem >a_chain.pem
: >empty.pem
sed '5s/^..../!!!!/' a.pem >broken.pem
rm -f ext.cnf request.pem log ca.cnf index* serial* [0-9A-F][0-9A-F]*.pem

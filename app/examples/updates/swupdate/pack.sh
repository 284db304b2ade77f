#!/bin/sh
# pack.sh LAUNCHER UPDATE KEY CERTIFICATE OUTPUT: the files of this folder, with hashes and a signature, as one .swu.
set -eu
launcher=$1 update=$2 key=$(realpath "$3") certificate=$(realpath "$4") output=$(realpath "$5")
here=$(cd "$(dirname "$0")" && pwd)
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT
cp "$launcher" "$aside/device-console"
cp "$update" "$aside/device-console-1.0.1.update"
cp "$here/update.sh" "$here/launcher.sh" "$aside"
cd "$aside"
hash() { sha256sum "$1" | cut -d ' ' -f 1; }
sed -e "s/@UPDATE@/$(hash device-console-1.0.1.update)/" -e "s/@LAUNCHER@/$(hash device-console)/" \
    -e "s/@UPDATE_SH@/$(hash update.sh)/" -e "s/@LAUNCHER_SH@/$(hash launcher.sh)/" \
    "$here/sw-description" > sw-description
openssl cms -sign -in sw-description -out sw-description.sig -signer "$certificate" -inkey "$key" \
    -outform DER -nosmimecap -binary
# swupdate reads from the front: what says what the rest is comes first.
printf '%s\n' sw-description sw-description.sig device-console-1.0.1.update update.sh device-console launcher.sh |
    cpio --quiet -o -H crc > "$output"

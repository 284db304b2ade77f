#!/bin/sh
# Writes one archive with all that an image build takes to build the launcher without a network: the last commit of
# the workspace, its crates (VENDOR/), and the wheels of its lock for these machines (wheels/). Prints its hash and name.
set -eu

usage() {
    echo "usage: $0 FOLDER PYTHON GLIBC MACHINE...   for example: $0 /srv/sources 3.12 2.39 aarch64 armv7l" >&2
    exit 2
}

[ $# -ge 4 ] || usage
folder=$(cd "$1" && pwd) python=$2 glibc=${3#2.}
shift 3
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"

of_project() { sed -n "s/^$1 = \"\(.*\)\"/\1/p" python-app/pyproject.toml | head -n 1; }
whole=$(of_project name)-$(of_project version)
aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT

git archive --prefix="$whole/" HEAD | tar -x -C "$aside"

(cd "$aside/$whole" && cargo vendor --locked --quiet VENDOR > /dev/null)
cat >> "$aside/$whole/.cargo/config.toml" <<END

[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "VENDOR"
END

# pip takes no other tags than those that it is told: all glibcs up to the device's.
wheels() {
    machine=$1 minor=$glibc
    set -- --platform "manylinux2014_$machine" --platform "linux_$machine"
    while [ "$minor" -ge 17 ]; do
        set -- --platform "manylinux_2_${minor}_$machine" "$@"
        minor=$((minor - 1))
    done
    python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: \
        --python-version "$python" --implementation cp "$@" \
        --abi "cp$(echo "$python" | tr -d .)" --abi abi3 --abi none \
        --requirement "${REQUIREMENTS:-python-app/requirements.txt}" --dest "$aside/$whole/wheels"
}
for machine; do wheels "$machine"; done

# The same commit is the same archive, whatever the number of processors.
tar -C "$aside" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
    -cf - "$whole" | xz -T2 > "$folder/$whole.tar.xz"
(cd "$folder" && sha256sum "$whole.tar.xz")

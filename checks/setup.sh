#!/usr/bin/env bash
# Makes the virtual environment: Python's own venv, uv, everything that is locked. Says in one line what is
# missing and how to get it.
set -euo pipefail
cd "$(dirname "$0")/.."
begun=$SECONDS

fail() { printf 'tandem: %s\n' "$1" >&2; exit 1; }

command -v "$PYTHON" >/dev/null || fail "no $PYTHON here; install Python 3.11 or later, or say which: make PYTHON=/path/to/python3.12 …"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$($PYTHON --version) is too old; 3.11 or later is needed: make PYTHON=/path/to/python3.12 …"
command -v git >/dev/null || fail "no git here; install it with your package manager (Debian: apt-get install git)"

if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing python3-venv, which this Debian keeps apart …"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        fail "$PYTHON has no venv module; install it (Debian: apt-get install python3-venv)"
    fi
fi

echo "setting up $VENV …"
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv --clear --without-pip "$VENV"
# uv installs everything else. It is kept, as what it fetches is, so that a next clone needs no pip to get it (6 s of 10).
kept=$(PYTHONPATH=. "$VENV/bin/python" -c 'from cluster.paths import cache; print(cache())')
uv=$kept/uv-$(sha256sum < requirements/bootstrap.txt | cut -c1-12)
if [ ! -x "$uv" ]; then
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$VENV/bin/python" -m ensurepip --upgrade >/dev/null
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
    mkdir -p "$kept"
    cp "$VENV/bin/uv" "$uv.$$" && mv "$uv.$$" "$uv"
fi
"$uv" pip sync --quiet --python "$VENV/bin/python" --require-hashes requirements/dev.txt requirements/bootstrap.txt
"$VENV/bin/python" -m checks.bytecode
echo "setting up $VENV: $((SECONDS - begun)) s"

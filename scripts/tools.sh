# Sourced by ./run and ./test: finds a Python and gives this checkout its own uv.
# shellcheck shell=sh
#
# What they install is in .cache/; the tools that ./test runs write .tox/ and caches of their own
# (.gitignore lists them). All of it is created again when deleted.

# A missing Python is skipped or reported; uv must not download one.
export UV_PYTHON_DOWNLOADS=never

# pyenv hides all Pythons but the selected one; make all supported versions visible.
if [ -z "${PYENV_VERSION:-}" ] && command -v pyenv >/dev/null 2>&1; then
    PYENV_VERSION=$(pyenv versions --bare 2>/dev/null | grep -E '^3\.(1[1-9]|[2-9][0-9])\.[0-9]+$' | sort -V | paste -s -d : -)
    if [ -n "$PYENV_VERSION" ]; then export PYENV_VERSION; else unset PYENV_VERSION; fi
fi

find_python() {
    for name in python3.13 python3.14 python3.12 python3.11 python3; do
        if "$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo "itemsapi needs Python 3.11 or newer with the venv module (on Debian: apt-get install python3-venv)." >&2
    return 1
}

python=$(find_python)
uv=$PWD/.cache/uv/bin/uv
if ! "$uv" --version >/dev/null 2>&1; then
    echo "Installing uv into .cache/uv ..." >&2
    rm -rf .cache/uv
    "$python" -m venv .cache/uv
    .cache/uv/bin/python -m pip install -qq --disable-pip-version-check "uv>=0.9"
fi

#!/bin/sh
# Makes the virtual environment .venv, or brings it up to date. Needs nothing but Python >= 3.11 and pip.
#
# usage: scripts/environment.sh demo|test
#
# demo installs what running Recurra takes; test what its checks take as well. PYTHON names the interpreter to build
# with; without it the first one found that is new enough serves. The stamp, .venv/installed, is written last and holds
# all that the installation followed from, so an interrupted installation or a changed file is never taken for done.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/installed
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
version='import sys; print("%d.%d" % sys.version_info[:2])'

fail() {
    echo "error: $*" >&2
    exit 2
}

key_of() {
    echo "$1"
    cat pyproject.toml constraints.txt
}

is_installed() {
    key_of "$1" | cmp -s - "$stamp"
}

is_new_enough() {
    "$1" -c "$new_enough" >/dev/null 2>&1
}

find_python() {
    [ -z "${PYTHON:-}" ] || { echo "$PYTHON" && return; }
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer was found; install one, or name it: make $purpose PYTHON=/path/to/python3"
}

# An environment can be kept if its Python runs and is new enough, if it was made here and not copied from elsewhere
# (its commands name the Python they run with by the full path), and if it has the version that PYTHON asks for.
is_usable() {
    is_new_enough "$venv/bin/python" && grep -qsF "$(pwd -P)/$venv/bin/" "$venv/bin/pip" || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$venv/bin/python" -c "$version")" = "$("$PYTHON" -c "$version")" ]
}

make_venv() {
    echo "Making the virtual environment $venv with Python $("$python" -c "$version") ($python)."
    if "$python" -c 'import ensurepip' >/dev/null 2>&1; then
        "$python" -m venv --clear "$venv"
    else
        # Some systems ship ensurepip apart; the pip beside that Python then puts one into the environment.
        "$python" -m venv --clear --without-pip "$venv" &&
            "$python" -m pip --python "$venv/bin/python" install --quiet --no-input --disable-pip-version-check pip
    fi
}

purpose=${1:-}
case $purpose in
    demo) extras=plots sufficient='plots dev' ;;
    test) extras=dev sufficient=dev ;;
    *) fail "there is no environment for '$purpose'; use: scripts/environment.sh demo|test" ;;
esac

[ -z "${PYTHON:-}" ] || is_new_enough "$PYTHON" ||
    fail "PYTHON=$PYTHON is not a Python 3.11 or newer; name one that is: make $purpose PYTHON=/path/to/python3"
if is_usable; then
    for installed in $sufficient; do
        is_installed "$installed" && exit 0
    done
fi

rm -f "$stamp"
if ! is_usable; then
    python=$(find_python)
    make_venv || fail "$python cannot make a virtual environment;" \
        "give it the modules venv and pip, or name another: make $purpose PYTHON=/path/to/python3"
fi
echo "Installing Recurra and what it needs for \`make $purpose\` into $venv (once; PyTorch is large, so minutes on a slow line)."
start=$(date +%s)
"$venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check --prefer-binary --no-compile \
    --constraint constraints.txt --editable ".[$extras]" ||
    fail "the installation did not finish, pip says why above; \`make $purpose\` takes it up again"
key_of "$extras" >"$stamp.tmp"
mv "$stamp.tmp" "$stamp"
echo "Installed in $(($(date +%s) - start)) s."

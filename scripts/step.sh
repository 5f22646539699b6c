#!/bin/sh
# Runs one named check of `make test`: says what runs and how long it took, or that it failed and how to run it alone.
#
# usage: scripts/step.sh NAME COMMAND [ARGUMENT ...]
set -eu

name=$1
shift
printf '\n── %s: %s\n' "$name" "$*"
start=$(date +%s)
status=0
"$@" || status=$?
seconds=$(($(date +%s) - start))
if [ "$status" -ne 0 ]; then
    printf '── %s FAILED after %d s (exit code %d); to run it alone: make %s\n' "$name" "$seconds" "$status" "$name" >&2
    exit "$status"
fi
printf '── %s passed in %d s\n' "$name" "$seconds"

#!/usr/bin/env bash
# Every check that CI makes: style, types, tests. Makes .venv and installs on the first run.
#
#   bash scripts/test.sh                     everything
#   bash scripts/test.sh --fast              without the tests marked slow
#   bash scripts/test.sh tests/data -k csv   other arguments go to pytest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source scripts/twice.sh

fast=false
arguments=()
for argument in "$@"; do
    case "$argument" in
        --fast) fast=true ;;
        -h | --help) sed -n '2,6s/^# \{0,1\}//p' scripts/test.sh && exit ;;
        *) arguments+=("$argument") ;;
    esac
done

set_up
stay_offline

# The labelling app's tests run on SQLite and on a real PostgreSQL, whose server Debian keeps off the path.
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then
    need_system_package postgresql "PostgreSQL's server, for the tests of the labelling app,"
fi
if [ "$fast" = false ] && ! command -v chromium chromium-browser google-chrome >/dev/null; then
    need_system_package chromium "Chromium, for the tests of the labelling app in a browser,"
fi

# Two workers share the cores: more threads than cores slow torch down manyfold.
cores=$(cores)
workers=$((cores < 4 ? cores : 4))
export OMP_NUM_THREADS=$((cores / workers))
# What the labelling app's pages looked like, to be looked at.
export LABELING_SCREENSHOTS="${LABELING_SCREENSHOTS:-$PWD/artifacts/screenshots}"

failed=()
check() { # NAME COMMAND...: run it, go on after a failure, and remember it
    say "$1"
    "${@:2}" || failed+=("$1")
}

check "ruff check" ruff check .
check "ruff format" ruff format --check .
check "mypy" mypy
check "fast tests" tests "$workers" -m "not slow" ${arguments[@]+"${arguments[@]}"}
if [ "$fast" = false ]; then
    check "slow tests" tests "$workers" -m slow ${arguments[@]+"${arguments[@]}"}
fi

if [ "${#second_time[@]}" -gt 0 ]; then
    say "Passed only the second time, alone:"
    printf '  %s\n' "${second_time[@]}"
fi
if [ "${#failed[@]}" -gt 0 ]; then
    say "Failed: $(printf '%s; ' "${failed[@]}")"
    echo "Run one test alone: bash scripts/test.sh tests/FILE.py -k NAME        House rules: CONTRIBUTING.md"
    exit 1
fi
say "All checks passed."
echo "Next: bash scripts/demo.sh runs the whole loop; CONTRIBUTING.md says how a change is made."

# Tests with a second chance, for test.sh; sourced. A browser on a crowded machine may miss a deadline that no fault of ours
# made it miss: what failed is run once more, alone. What fails twice has failed, and what passed only then is named.

MOST_ONCE_MORE=20 # more than that is no accident
second_time=()    # the tests that passed only the second time

# tests WORKERS ARGUMENT...: pytest's tests that the arguments select; that there are none of them is no failure.
tests() {
    local workers=$1 status=0 notes
    shift
    notes=$(mktemp -d) # a cache of its own: what an earlier run left failed in pytest's is none of our business
    pytest -n "$workers" -o cache_dir="$notes" "$@" || status=$?
    if [ "$status" = 1 ]; then
        status=0
        _once_more "$notes" "$@" || status=$?
    fi
    rm -rf "$notes"
    [ "$status" = 0 ] || [ "$status" = 5 ]
}

_once_more() {
    local notes=$1 status=0 before
    shift
    before=$(_failed "$notes")
    if [ -z "$before" ] || [ "$(wc -l <<<"$before")" -gt "$MOST_ONCE_MORE" ]; then
        return 1
    fi
    say "What failed, once more, alone"
    pytest -n 0 -o cache_dir="$notes" "$@" -n 0 --last-failed --last-failed-no-failures none || status=$?
    while IFS= read -r test; do
        [ -z "$test" ] || second_time+=("$test")
    done < <(comm -23 <(echo "$before") <(_failed "$notes"))
    [ "$status" = 0 ] # that none was found again is no success
}

# The tests that pytest noted as failed, one a line, sorted as `comm` wants them.
_failed() {
    python -c '
import json, pathlib, sys
noted = pathlib.Path(sys.argv[1], "v", "cache", "lastfailed")
print(*json.loads(noted.read_text()) if noted.exists() else [], sep="\n")' "$1" | sed '/^$/d' | LC_ALL=C sort
}

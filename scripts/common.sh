# What demo.sh and test.sh share; sourced by them. Goes to the repository's root.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
STAMP="$VENV/.installed"       # what was installed, written when an installation is complete
INSTALLING="$VENV/.installing" # there while one is under way, or after it was cut off

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

die() {
    printf '\nError: %s\n' "$*" >&2
    exit 2
}

# Print the first Python of at least 3.11, the version of the tested set first. $PYTHON, where set, is the only candidate.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "no Python of at least 3.11 among: ${PYTHON:-python3.11 python3.12 python3.13 python3 python}.
Remedy: install one, or name it: PYTHON=/path/to/python3 bash scripts/test.sh"
}

# need_system_package PACKAGE WHAT: install a package of Debian or Ubuntu as root; elsewhere say what is missing.
need_system_package() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing the system package $1 ($2)"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1"
    else
        die "$2 is missing.
Remedy: install it; on Debian and Ubuntu: sudo apt-get install $1"
    fi
}

# Make .venv, or reuse it where its Python runs and no installation into it was cut off.
make_venv() {
    local python
    if [ -e "$INSTALLING" ] || { [ -e "$VENV" ] && ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; }; then
        say "$VENV is incomplete: making it anew"
        rm -rf "$VENV"
    fi
    [ -e "$VENV" ] && return
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        need_system_package "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv" \
            "Python's venv module"
    fi
    say "Making $VENV with $("$python" --version)"
    "$python" -m venv "$VENV" || die "$python could not make a virtual environment in $VENV."
}

# Install the package and everything it needs, unless exactly that is installed already.
install() {
    local wanted quiet=--quiet
    [ -t 1 ] && quiet= # pip's progress bars, for a person who waits
    wanted=$(cat pyproject.toml constraints.txt <("$VENV/bin/python" --version) | cksum)
    [ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ] && return
    say "Installing into $VENV (some minutes the first time)"
    touch "$INSTALLING"
    "$VENV/bin/python" -m pip install $quiet --disable-pip-version-check \
        --constraint constraints.txt --editable '.[demo,dev]' ||
        {
            rm "$INSTALLING" # pip installs when it has everything: having failed, it has changed nothing
            die "pip could not install what pyproject.toml asks for; its message stands above.
Remedy: check the network and the package index that pip uses ('pip config list'), and run this again."
        }
    rm "$INSTALLING"
    echo "$wanted" >"$STAMP"
}

# Everything that stands between a fresh clone and a running program. Two scripts may be started at once.
set_up() {
    if command -v flock >/dev/null; then
        exec 9>.set-up.lock
        flock --nonblock 9 || { say "Waiting for another script's installation" && flock 9; }
    fi
    make_venv
    install
    exec 9>&-
    export PATH="$PWD/$VENV/bin:$PATH"
}

# How many cores this process may use.
cores() {
    python -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())'
}

# No hub, no telemetry: everything comes from files. A tracker that is logged in may still be chosen.
stay_offline() {
    export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 GRADIO_ANALYTICS_ENABLED=False
    export TOKENIZERS_PARALLELISM=false
}

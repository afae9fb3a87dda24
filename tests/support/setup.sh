# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# What the scripts under tests/ share: packages, builds, and a place to run in that leaves nothing
# behind. Sourced; the caller has set `top` to the source tree.

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

BUILD_PACKAGES=(build-essential meson ninja-build pkgconf python3
    libnl-3-dev libnl-route-3-dev libip4tc-dev libip6tc-dev libmnl-dev libnftnl-dev libyaml-dev
    libsystemd-dev libjansson-dev)

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] && return
    printf '%s: needs root, for network namespaces: sudo %s\n' "${0##*/}" "$0" >&2
    exit 2
}

missing_packages() {
    local package
    for package; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            printf '%s\n' "$package"
    done
}

# Installs those of the packages that are not there yet; without a network, nothing is asked for
# when nothing is missing.
install_packages() {
    local missing log
    if ! command -v dpkg-query >/dev/null; then
        say "packages: no dpkg here; taking it that the README's list is installed"
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    say "packages: installing ${missing[*]}"
    log=$(mktemp)
    if ! { apt-get -q update && apt-get -qy install --no-install-recommends "${missing[@]}"; } \
        </dev/null >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        die "apt-get could not install what is missing"
    fi
    rm -f "$log"
}

# promtool alone: Debian has it in a package that would start a server.
fetch_promtool() {
    local dir=$top/build-tools
    [ -x "$dir/usr/bin/promtool" ] || (mkdir -p "$dir" && cd "$dir" &&
        apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb) \
        >/dev/null 2>&1
    PATH=$dir/usr/bin:$PATH
}

configure() {
    local dir=$1
    shift
    [ -f "$dir/build.ninja" ] && meson setup --reconfigure "$dir" "$top" "$@" && return
    rm -rf "$dir"
    meson setup "$dir" "$top" "$@"
}

# build DIR MESON-OPTION...: configures and compiles all, or what $target names; the output is shown only
# when it fails.
build() {
    local dir=$1 log=$1.log
    shift
    if ! configure "$dir" "$@" </dev/null >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        return 1
    fi
    if ! ninja -C "$dir" ${target:+"$target"} </dev/null >"$log" 2>&1; then
        grep -vE '^\[[0-9]+/[0-9]+\]' "$log" | head -n 60 >&2
        return 1
    fi
}

# Runs a command in mount, pid and network namespaces of its own with an empty /run: named
# network namespaces, processes and the xtables lock are its own and go when it ends. The shell in
# between is the namespace's init: it reaps what the command leaves.
isolated() {
    local inner
    # shellcheck disable=SC2016
    inner='mount -t tmpfs -o mode=755 tmpfs /run && ip link set lo up || exit 125; "$@" & wait $!'
    unshare --mount --pid --net --fork --kill-child --mount-proc --propagation private -- \
        bash -c "$inner" isolated "$@"
}

# The same, but in the pid namespace of the caller.
isolated_network() {
    local inner
    # shellcheck disable=SC2016
    inner='mount -t tmpfs -o mode=755 tmpfs /run && ip link set lo up || exit 125; exec "$@"'
    unshare --mount --net --propagation private -- bash -c "$inner" isolated_network "$@"
}

# until_true SECONDS COMMAND...: waits for a condition, and fails when it never comes.
until_true() {
    local limit=$((SECONDS + $1 + 1))
    shift
    until "$@"; do
        [ $SECONDS -lt $limit ] || return 1
        sleep 0.05
    done
}

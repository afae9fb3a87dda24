#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# image.sh - the container's image: builds the Containerfile with buildah, on a Debian of mmdebstrap's
# in place of one from a registry, and starts what is in it, with the two rights that it is to have, in
# a network namespace of its own. TAP. As root. It takes some minutes.
#
# Packages: buildah mmdebstrap; a mirror of Debian is asked.
set -u
# shellcheck source=tests/package/verdict.sh
. "$(dirname "$0")/verdict.sh"
need buildah mmdebstrap unshare setpriv
export HOME=$work BUILDAH_ISOLATION=chroot
storage=(--root "$work/storage" --runroot "$work/run")

base() {
    mkdir "$work/base" && mmdebstrap --quiet --variant=minbase bookworm "$work/base/debian.tar" &&
        printf 'FROM scratch\nADD debian.tar /\n' >"$work/base/Containerfile" &&
        buildah "${storage[@]}" bud -t base "$work/base"
}

build() {
    copy_tree "$work/tree" && buildah "${storage[@]}" bud --build-arg BASE=localhost/base \
        -f "$work/tree/conf/deploy/Containerfile" -t netshared "$work/tree"
}

# What it starts, and that no library of it is missing.
mounted() {
    container=$(buildah "${storage[@]}" from netshared) &&
        root=$(buildah "${storage[@]}" mount "$container") &&
        entry=$(buildah "${storage[@]}" inspect \
            --format '{{range .OCIv1.Config.Entrypoint}}{{.}} {{end}}' "$container") &&
        [ "$(chroot "$root" netshared --version)" = "netshared $version" ] &&
        chroot "$root" netshared check /etc/netshared/netshared.yaml
}

# Run by holds: in mount, network and process namespaces that end with it.
inside() {
    local daemon
    ip link set lo up && ip link add wan0 type veth peer name wan1 && ip link set wan1 up &&
        ip addr add 203.0.113.2/24 dev wan0 && ip link set wan0 up &&
        mount -t proc proc "$root/proc" || return
    # shellcheck disable=SC2086 # several words
    unshare --root "$root" --wd / setpriv --bounding-set=-all,+net_admin,+net_raw --no-new-privs \
        $entry &
    daemon=$!
    for _ in {1..100}; do
        ip route show proto 110 | grep -q '^10.20.0.0/16 via 203.0.113.1' && break
        sleep 0.1
    done
    chroot "$root" netshared status && ip route show proto 110 | grep . &&
        iptables-legacy -t nat -S | grep 'NETSHARED.*MASQUERADE' &&
        grep -x 1 /proc/sys/net/ipv4/ip_forward && kill $daemon && wait $daemon
}

holds() {
    cat >"$root/etc/netshared/netshared.yaml" <<'YAML'
version: 1
routes:
  - {to: 10.20.0.0/16, via: 203.0.113.1, dev: wan0}
masquerade:
  - {name: lan-out, from: [10.0.0.0/24], out: [wan0]}
YAML
    export root entry
    export -f inside
    unshare --mount --net --pid --fork --kill-child --propagation private bash -c inside
}

if verdict "there is a Debian to start from" base && verdict "is built" build; then
    verdict "starts, and has all its libraries" mounted &&
        verdict "holds a route and masquerading with two rights" holds
    buildah "${storage[@]}" rm --all >/dev/null
fi
finish

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD-DIR [CASE...] - the installed unit under a real systemd: installs the build into a folder of
# its own, boots a container (boot-systemd.sh) and runs cases.sh in it, all or the named cases. TAP.
set -u
build=$(cd "${1:?usage: run.sh BUILD-DIR [CASE...]}" && pwd) || exit 1
shift
here=$(cd "$(dirname "$0")" && pwd)

skip() {
    echo "1..1"
    echo "ok 1 - the unit under systemd # SKIP $*"
    exit 0
}

[ "$(id -u)" = 0 ] || skip "needs root"
command -v systemd-nspawn >/dev/null || skip "no systemd-nspawn here (package systemd-container)"

# Can a container run at all? What does not start here says nothing about netshared.
if ! out=$("$here/boot-systemd.sh" -t 60 -- true 2>&1); then
    reason=$(grep -v '^$' <<<"$out" | tail -n 1 | tr -d '#')
    skip "a container with systemd does not start here: $reason"
fi

tree=$(mktemp -d /tmp/netshared-tree.XXXXXX)
chmod 755 "$tree" # what it becomes inside is open to all, as / has to be
trap 'rm -rf "$tree"' EXIT
if ! out=$(DESTDIR=$tree meson install -C "$build" --no-rebuild 2>&1); then
    echo "1..1"
    echo "not ok 1 - meson install"
    tail -n 20 <<<"$out" | sed 's/^/# /'
    exit 1
fi
"$here/boot-systemd.sh" -t 300 -b "$tree:/tree" -b "$here/../..:/source" -- \
    /source/tests/system/cases.sh "$@"
code=$?
# 1: a case failed, and said so. Anything else broke off.
[ $code -le 1 ] || echo "Bail out! the container ended with $code"
exit $code

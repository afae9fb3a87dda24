#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [NAME...] - installs what is needed and tries all that netshared is delivered as: deb, rpm,
# image, deploy (the manifests and the Ansible role), or those of them that are named. It takes about a
# quarter of an hour, and asks a mirror of Debian. The last line is "N passed, N failed, N skipped".
set -u -o pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh
need_root

install_packages "${BUILD_PACKAGES[@]}" debhelper lintian mmdebstrap rpm buildah python3-kubernetes \
    python3-yaml yamllint ansible-core ansible-lint systemd systemd-container dbus iproute2 iptables
[ $# -gt 0 ] || set -- deb rpm image deploy

logs=$(mktemp -d /tmp/netshared-logs.XXXXXX)
trap 'rm -rf "$logs"' EXIT
# As meson's test log has it, for count.py.
log='import json, sys
name, code, out = sys.argv[1:]
print(json.dumps({"name": name, "result": "FAIL" if int(code) else "OK", "returncode": int(code),
                  "stdout": open(out, errors="replace").read()}))'
for name; do
    case $name in
    deb) arguments=(--fresh) ;;
    deploy)
        build build-plain || die "it does not build"
        arguments=(build-plain)
        ;;
    *) arguments=() ;;
    esac
    printf '%4ds  %s\n' "$SECONDS" "$name"
    "tests/package/$name.sh" ${arguments[@]+"${arguments[@]}"} >"$logs/$name.out" 2>&1
    python3 -c "$log" "$name" $? "$logs/$name.out" >"$logs/$name.json"
done
printf '%4ds  done\n' "$SECONDS"
python3 tests/support/count.py "$logs"/*.json

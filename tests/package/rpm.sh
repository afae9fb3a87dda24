#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# rpm.sh [-k DIR] - the RPM: builds it from the spec twice, as of this version and of the next, looks at
# what is in it, and in a container with a real systemd installs it, upgrades it under a running
# connection, and erases it. On Debian, so with macros of our own (macros.rpm) and without asking for
# the packages that it names. TAP. As root.
#
#   -k DIR    keeps the packages there
#
# Packages: rpm systemd-container, and what a build needs.
set -u
keep=''
case ${1:-} in
-k) keep=$2 ;;
?*) sed -n 3,11p "$0" >&2 && exit 2 ;;
esac
# shellcheck source=tests/package/verdict.sh
. "$(dirname "$0")/verdict.sh"
need rpmbuild rpmspec systemd-nspawn

spec=$top/conf/packaging/rpm/netshared.spec
unpacked=$work/tree

spec_is_sound() {
    rpmspec --load "$here/macros.rpm" -P "$spec" >"$work/spec" && ! grep '%{' "$work/spec" &&
        [ "$(rpmspec --load "$here/macros.rpm" -q --qf '%{version}\n' "$spec")" = "$version" ]
}

# build VERSION: rpmbuild itself fails on a file that no line of the spec lists, and on a line that
# no file is there for.
build() {
    local folder=$work/netshared-$1
    rm -rf "$folder" && cp -r "$unpacked" "$folder" &&
        sed -i "s/^  version: '.*',/  version: '$1',/" "$folder/meson.build" &&
        tar -C "$work" -czf "$work/netshared-$1.tar.gz" "netshared-$1" &&
        sed "s/^Version:.*/Version: $1/" "$spec" >"$work/netshared-$1.spec" &&
        rpmbuild --load "$here/macros.rpm" --nodeps -bb --define "_topdir $work/rpmbuild" \
            --define "_sourcedir $work" --define "_rpmdir $work/rpms" "$work/netshared-$1.spec" &&
        cp "$work"/rpms/*/"netshared-$1"-*.rpm "$work/packages/$2.rpm"
}

holds_all() {
    local path scriptlet
    rpm -qlp "$work/packages/old.rpm" >"$work/list" || return
    for path in bin/netshared lib/systemd/system/netshared.service lib/sysusers.d/netshared.conf \
        lib/tmpfiles.d/netshared.conf lib/systemd/catalog/netshared.catalog \
        share/netshared/netshared.schema.json share/man/man8/netshared.8; do
        grep -q "^/usr/$path" "$work/list" || { echo "missing: /usr/$path" && return 1; }
    done
    [ "$(rpm -qcp "$work/packages/old.rpm" | sort | tr '\n' ' ')" = \
        "/etc/iproute2/rt_protos.d/netshared.conf /etc/netshared.yaml " ] || return
    for scriptlet in prein postin preun postun; do
        rpm -qp --qf "%{$scriptlet}\n" "$work/packages/old.rpm" >"$work/scriptlet" &&
            ! grep -e '%' -e '^(none)$' "$work/scriptlet" && sh -n "$work/scriptlet" || return
    done
}

# The user that the package makes is the one of systemd/sysusers.conf.
same_user() {
    local name comment home
    read -r _ name _ comment < <(grep '^u ' "$top/systemd/sysusers.conf")
    home=${comment##* } comment=${comment% *}
    grep -q -- "-d $home .* -c $comment $name$" "$spec"
}

mkdir "$work/packages"
verdict "the spec is parsed" spec_is_sound
verdict "the user is that of sysusers" same_user
verdict "there is a tree to build" copy_tree "$unpacked" && verdict "builds" build "$version" old &&
    verdict "builds the next version" build "$next" new || finish
verdict "holds what it should" holds_all
[ -z "$keep" ] || cp "$work"/rpms/*/*.rpm "$keep"
in_systemd "$work/packages:/packages" -- /package/rpm-cases.sh "$version" "$next"
finish

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# deb.sh [-k DIR] [--fresh] - the Debian package: builds it twice, as of this version and of the next,
# has lintian judge it, and in a container with a real systemd installs it, upgrades it under a
# running connection, and purges it. TAP. As root.
#
#   -k DIR    keeps the packages there
#   --fresh   also installs it, with what it depends on, into an empty Debian (mmdebstrap, a mirror)
#
# Packages: debhelper lintian mmdebstrap systemd-container, and what a build needs.
set -u
keep='' fresh=''
while [ $# -gt 0 ]; do
    case $1 in
    -k) keep=$2 && shift ;;
    --fresh) fresh=1 ;;
    *) sed -n 3,11p "$0" >&2 && exit 2 ;;
    esac
    shift
done
# shellcheck source=tests/package/verdict.sh
. "$(dirname "$0")/verdict.sh"
need dpkg-buildpackage dh lintian systemd-nspawn

# A source tree with debian/ at its top, as Debian wants it.
tree=$work/netshared-$version
build() {
    copy_tree "$tree" && cp -r "$tree/conf/packaging/debian" "$tree/debian" &&
        sed -i "1s/(.*)/($version)/" "$tree/debian/changelog" &&
        (cd "$tree" && dpkg-buildpackage -us -uc)
}

# The same with another number, and what is compiled already.
build_next() {
    sed -i "s/^  version: '.*',/  version: '$next',/" "$tree/meson.build" &&
        sed -i "1s/(.*)/($next)/" "$tree/debian/changelog" &&
        rm -rf "$tree"/debian/{.debhelper,debhelper-build-stamp,files,netshared} &&
        (cd "$tree" && dpkg-buildpackage -us -uc -b -nc)
}

deb=$work/netshared_${version}_$(dpkg --print-architecture).deb
says_what_it_is() {
    dpkg-deb -I "$deb" conffiles | grep -qx /etc/netshared.yaml &&
        dpkg-deb -c "$deb" | grep -q ' ./lib/systemd/system/netshared.service\| ./usr/lib/systemd/system/netshared.service' &&
        dpkg-deb -f "$deb" Version | grep -qx "$version"
}

judge() {
    lintian --fail-on error,warning --info "$work/netshared_${version}"_*.changes
}

# Into a Debian that has nothing: what it depends on comes with it.
install_fresh() {
    local suite
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mmdebstrap --quiet --variant=minbase --include="$deb" \
        --customize-hook='chroot "$1" netshared check' \
        --customize-hook='chroot "$1" id netshared' \
        --customize-hook='chroot "$1" apt-get -y purge netshared' \
        --customize-hook='test ! -e "$1/etc/netshared.yaml"' \
        --hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount "$suite" /dev/null
}

verdict "builds" build && verdict "builds the next version" build_next || finish
verdict "holds what it should" says_what_it_is
verdict "lintian has nothing to say" judge
[ -z "$fresh" ] || verdict "goes into an empty Debian" install_fresh

mkdir "$work/debs"
cp "$work/netshared_${version}"_*.deb "$work/debs/old.deb"
cp "$work/netshared_${next}"_*.deb "$work/debs/new.deb"
[ -z "$keep" ] || cp "$work"/*.deb "$keep"
in_systemd "$work/debs:/debs" -- /package/deb-cases.sh "$version" "$next"
finish

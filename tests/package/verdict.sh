# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
# TAP for the scripts of this folder, and a place to work in. Sourced.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$top/tests/package system=$top/tests/system
n=0 failed=0
# Not mktemp's 0700: packages take their directories' modes from here.
work=$(mktemp -d /tmp/netshared-package.XXXXXX) && chmod 755 "$work" || exit 1
trap 'rm -rf "$work"' EXIT
umask 022

version=$(sed -n "s/^  version: '\(.*\)',/\1/p" "$top/meson.build")
next=${version%.*}.$((${version##*.} + 1))

# need TOOL...: without them nothing of the script can run.
need() {
    local tool
    for tool; do
        command -v "$tool" >/dev/null && continue
        echo "1..0 # SKIP no $tool here"
        exit 0
    done
}

# verdict NAME COMMAND...: its output is shown when it fails.
verdict() {
    local name=$1
    shift
    n=$((n + 1))
    if "$@" >"$work/log" 2>&1; then
        echo "ok $n - $name"
        return
    fi
    failed=1
    echo "not ok $n - $name"
    tail -n 40 "$work/log" | sed 's/^/#   /'
    return 1
}

skip() {
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

# with TOOL NAME COMMAND...: a verdict, skipped where the tool is not there.
with() {
    local tool=$1
    shift
    if command -v "$tool" >/dev/null; then
        verdict "$@"
    else
        skip "$1" "no $tool here"
    fi
}

# in_systemd FOLDER:TARGET... -- COMMAND...: runs it in a container with a real systemd, this folder
# at /package, and takes over the cases that it tells.
in_systemd() {
    local line binds=()
    while [ "$1" != -- ]; do
        binds+=(-b "$1")
        shift
    done
    shift
    while read -r line; do
        case $line in
        "ok "* | "not ok "*)
            n=$((n + 1))
            [ "${line#not }" = "$line" ] || failed=1
            echo "${line%%ok *}ok $n - ${line#*- }"
            ;;
        *) echo "$line" ;;
        esac
    done < <("$system/boot-systemd.sh" -t 200 "${binds[@]}" -b "$here:/package" -- "$@" ||
        echo "not ok - the container ended with $?")
}

finish() {
    echo "1..$n"
    exit $failed
}

# copy_tree DIRECTORY: what is in version control's place here, without builds.
copy_tree() {
    mkdir "$1" && tar -C "$top" --exclude=./build* --exclude=./.git -c . | tar -C "$1" -x
}

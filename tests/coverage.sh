#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# coverage.sh [-k] [-n N] - which lines of lib/ and daemon/ the suites unit and netns run through.
#
#   -k  keep: judge what earlier runs left in build-coverage, run nothing
#   -n  so many tests at once (default 3 for each processor)
#
# Prints the share of each file and of both directories, and fails below the shares that are asked
# for here. The lines that no test reaches, with their text, are in build-coverage/uncovered.txt;
# tests/coverage.md says why. As root; needs gcovr. What a program ran through that is killed with
# kill -9 is not counted.
set -u -o pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh

LIB_MIN=95 DAEMON_MIN=85 # percent
dir=build-coverage

usage() {
    sed -n 3,11p "$0" >&2
    exit 2
}

keep=no at_once=$((3 * $(nproc)))
while getopts kn: option; do
    case $option in
    k) keep=yes ;;
    n) at_once=$OPTARG ;;
    *) usage ;;
    esac
done
need_root
command -v gcovr >/dev/null || die "needs gcovr (package gcovr)"

# run LOG COMMAND...: meson test in a place of its own, or what else `wrap` says.
run() {
    local log=$1
    shift
    logs+=("$dir/meson-logs/$log.json")
    ${wrap:-isolated} meson test -C $dir --no-rebuild --num-processes "$at_once" --logbase "$log" \
        --timeout-multiplier 3 "$@" </dev/null >"$dir/meson-logs/$log.console" 2>&1
}

# share DIRECTORY MIN: the table of its files, false if it is below.
share() {
    gcovr --root . --add-tracefile $dir/coverage.json --filter "$1/" --txt --fail-under-line "$2"
}

logs=()
if [ $keep = no ]; then
    # Not optimized: each line is still there. Counters are atomic: the loader is a thread.
    build $dir --werror -Dtests=enabled -Dbuildtype=debug -Db_coverage=true \
        -Dc_args=-fprofile-update=atomic || die "it does not build"
    find $dir -name '*.gcda' -delete
    run unit --suite unit
    # Whatever user a test runs the program as: it adds to the files that are there.
    find $dir -name '*.gcda' -exec chmod a+rw {} +
    run netns --suite netns
    wrap=isolated_network run pids --suite pids
    NSH_STRIDE=31 run failures test-adapters-fail # more of them than usual
    python3 tests/support/count.py "${logs[@]}" || failed=1
fi
gcovr --root . --json $dir/coverage.json --filter lib/ --filter daemon/ -j "$(nproc)" \
    $dir/lib $dir/daemon || die "gcovr failed"
share lib $LIB_MIN || failed=1
share daemon $DAEMON_MIN || failed=1
python3 tests/support/uncovered.py $dir/coverage.json >$dir/uncovered.txt || exit 1
say "$(wc -l <$dir/uncovered.txt) lines that no test reaches: $dir/uncovered.txt"
exit "${failed:-0}"

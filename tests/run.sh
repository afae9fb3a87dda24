#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh - installs what is needed, builds with gcc, clang and the sanitizers, and runs all tests.
# Nothing of the machine's own network is touched. The last line is "N passed, N failed, N skipped".
set -u -o pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh
need_root

TEST_PACKAGES=(libcmocka-dev clang lld llvm clang-format clang-tidy shellcheck
    python3-yaml python3-jsonschema zsh fish ipset
    checksec iproute2 iptables nftables ufw conntrack keepalived iputils-ping procps util-linux
    systemd systemd-container dbus python3-prometheus-client)

step() {
    printf '%4ds  %s\n' "$SECONDS" "$*"
}

# A build that fails is a failed case, and there is nothing to run then.
must_build() {
    step "building: $1"
    shift
    build "$@" && return
    say "0 passed, 1 failed, 0 skipped"
    exit 1
}

# The tests in namespaces wait for packets and events most of their time: more of them than there
# are processors.
TESTS_AT_ONCE=$((3 * $(nproc)))

# Between them they call through every pointer that the program has: a wrong type ends it there.
CALLED=(skeleton commands reload rules policies policies-nft explain import explain_others-nft trial health)

# suites BUILD-DIR SUITE...: all of their tests, or those of $only; what failed is shown at the end, from
# the log.
suites() {
    local dir=$1 suite args=()
    shift
    for suite; do
        args+=(--suite "$suite")
    done
    step "testing: $*"
    logs+=("$top/$dir/meson-logs/$1.json")
    rm -f "$top/$dir/meson-logs/$1.json"
    ${wrap:-} meson test -C "$dir" --no-rebuild --num-processes "$TESTS_AT_ONCE" \
        --logbase "$1" "${args[@]}" ${only[@]+"${only[@]}"} </dev/null >"$dir/meson-logs/$1.console" 2>&1 ||
        grep -qE '^(Fail|Timeout|Ok):' "$dir/meson-logs/$1.console" ||
        tail -n 20 "$dir/meson-logs/$1.console" >&2
}

install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
fetch_promtool || say "packages: no promtool; its opinion is not asked"
step "packages are there"

logs=()
must_build "gcc" build-gcc --werror -Dtests=enabled
# What clang says of the sources, it says without optimizing.
CC=clang must_build "clang" build-clang --werror -Dtests=enabled -Dbuildtype=debug
must_build "gcc with AddressSanitizer and UBSan" build-asan --werror -Dtests=enabled \
    -Dbuildtype=debug -Doptimization=1 -Db_sanitize=address,undefined

target=daemon/netshared CC=clang CC_LD=lld must_build "clang with CFI" build-cfi --werror -Dtests=enabled \
    -Dcfi=true -Ddebug=false -Doptimization=2

# A report of a sanitizer goes to a file: the test whose daemon wrote it may not look.
rm -f build-asan/sanitizer.*
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:log_path=$top/build-asan/sanitizer
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:log_path=$top/build-asan/sanitizer
wrap=isolated suites build-asan unit netns
wrap=isolated_network suites build-asan pids
unset ASAN_OPTIONS UBSAN_OPTIONS
suites build-gcc system binary
only=("${CALLED[@]}")
wrap=isolated suites build-cfi netns
only=(hardening)
suites build-cfi binary
only=()
suites build-clang style

step "done"
shopt -s nullglob
reports=(build-asan/sanitizer.*)
if [ ${#reports[@]} -gt 0 ]; then
    head -n 60 "${reports[@]}"
    printf '{"name": "sanitizers", "result": "FAIL", "returncode": %d}\n' "${#reports[@]}" \
        >build-asan/meson-logs/sanitizers.json
    logs+=("$top/build-asan/meson-logs/sanitizers.json")
fi
exec python3 tests/support/count.py "${logs[@]}"

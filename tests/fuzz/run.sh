#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [SECONDS [TARGET...]] - fuzzes each target for so long (default 1200, all of them), in
# build-fuzz, starting from tests/fuzz/corpus; then keeps there the fewest inputs that reach as
# much. What goes wrong is left in build-fuzz/findings. Needs clang and its libFuzzer
# (libclang-rt-dev), and to be root where the control channel is to let it change something.
set -u -o pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
# shellcheck source=tests/support/setup.sh
. tests/support/setup.sh

INPUT_MAX=4096 # bytes

seconds=${1:-1200}
shift $(($# > 0))
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    mapfile -t targets < <(cd tests/fuzz/corpus && printf '%s\n' *)
fi

CC=clang build build-fuzz --werror -Dtests=enabled -Dfuzz=true -Dbuildtype=debug \
    -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false || die "it does not build"
mkdir -p build-fuzz/findings
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

# A process goes on for so many seconds: what libnftnl means to end the program for stays allocated.
TURN=100

# fuzz TARGET: false if there is a finding
fuzz() {
    local program=build-fuzz/tests/fuzz-$1 work=build-fuzz/corpus/$1 kept=tests/fuzz/corpus/$1 fewest left
    mkdir -p "$work" "$kept"
    : >"$work.log"
    for ((left = seconds; left > 0; left -= TURN)); do
        "$program" -max_total_time="$((left < TURN ? left : TURN))" -max_len=$INPUT_MAX -timeout=10 -rss_limit_mb=1024 \
            -print_final_stats=1 -artifact_prefix="build-fuzz/findings/$1-" "$work" "$kept" \
            >>"$work.log" 2>&1 || return 1
    done
    fewest=$(mktemp -d)
    "$program" -merge=1 -max_len=$INPUT_MAX "$fewest" "$kept" "$work" >>"$work.log" 2>&1 || return 1
    rm -rf "$kept" && mv "$fewest" "$kept" && chmod 755 "$kept"
}

failed=0
for target in "${targets[@]}"; do
    if fuzz "$target"; then
        say "$target: $(awk '/^stat::number_of_executed_units:/ { n += $2 } END { print n }' \
            "build-fuzz/corpus/$target.log") inputs in $seconds s, $(find "tests/fuzz/corpus/$target" -type f | wc -l) kept"
    else
        failed=1
        say "$target: see build-fuzz/corpus/$target.log and build-fuzz/findings"
    fi
done
exit $failed

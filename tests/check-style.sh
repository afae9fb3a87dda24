#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# check-style.sh BUILD-DIR - format, lint and house rules, one TAP case each. BUILD-DIR was set up
# with clang: its compile_commands.json is what clang-tidy reads.
set -u -o pipefail
build=${1:?usage: check-style.sh BUILD-DIR}
build=$(cd "$build" && pwd) || exit 1
cd "$(dirname "$0")/.." || exit 1

# Formats and lints differ between versions; the sources follow this one.
CLANG=14

mapfile -t sources < <(find lib daemon conf tests -name '*.c' | sort)
mapfile -t headers < <(find lib daemon tests -name '*.h' | sort)
mapfile -t scripts < <(grep -lE '^#!/bin/(ba)?sh|^# shellcheck shell=' -r tests conf .ci | sort)
mapfile -t pythons < <(find tests -name '*.py' | sort)

n=0 failed=0
# verdict NAME CODE OUTPUT
verdict() {
    n=$((n + 1))
    if [ "$2" = 0 ]; then
        echo "ok $n - $1"
    else
        failed=1
        echo "not ok $n - $1"
        head -n 40 <<<"$3" | sed 's/^/# /'
    fi
}

skip() {
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then verdict "$name" 0 ""; else verdict "$name" 1 "$out"; fi
}

# The tool of version $CLANG, under either of its names.
clang_tool() {
    local tool
    for tool in "$1-$CLANG" "$1"; do
        "$tool" --version 2>/dev/null | grep -q "version $CLANG\." && echo "$tool" && return
    done
    return 1
}

tidy() {
    printf '%s\0' "${sources[@]}" | grep -zE '^(lib|daemon|conf)/' |
        xargs -0 -n 1 -P "$(nproc)" "$1" -p "$build" --quiet 2>&1 |
        { ! grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header|^$'; }
}

# forbid PATTERN FILE...: shows the lines that have it
forbid() {
    local pattern=$1
    shift
    [ $# -eq 0 ] || ! grep -nE "$pattern" "$@"
}

# Files without the licence in their first three lines.
unlicensed() {
    local file bad=0
    for file; do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' && continue
        echo "$file"
        bad=1
    done
    return $bad
}

matching() {
    printf '%s\n' "${sources[@]}" "${headers[@]}" | grep -E "$1" | grep -vE "$2"
}

echo "1..9"
if tool=$(clang_tool clang-format); then
    check "clang-format" "$tool" --dry-run -Werror "${sources[@]}" "${headers[@]}"
else
    skip "clang-format" "only version $CLANG formats as the sources are"
fi
if tool=$(clang_tool clang-tidy); then
    check "clang-tidy" tidy "$tool"
else
    skip "clang-tidy" "only version $CLANG has the checks that the sources were read with"
fi
check "shellcheck" shellcheck -x -S warning "${scripts[@]}"
check "python compiles" python3 -c 'import ast, sys
for f in sys.argv[1:]: ast.parse(open(f, encoding="utf-8").read(), f)' "${pythons[@]}"
check "every file names its licence" unlicensed "${sources[@]}" "${headers[@]}" "${scripts[@]}" \
    "${pythons[@]}"
mapfile -t others < <(matching '^lib/|^daemon/' '^$')
check "no unbounded string function, no shell" \
    forbid '\b(sprintf|vsprintf|strcpy|strcat|gets|strtok|atoi|atol|atoll|system|popen|alloca|mktemp|tmpnam)[[:space:]]*\(' \
    "${others[@]}"
mapfile -t others < <(matching '^lib/|^daemon/' '^lib/(fib-netlink|netlink|conntrack)[^/]*$')
check "libnl stays in its adapter" forbid '#include <netlink/' "${others[@]}"
mapfile -t others < <(matching '^lib/|^daemon/' '^lib/firewall-iptc[^/]*$')
check "libiptc stays in its adapter" forbid '#include <libiptc/' "${others[@]}"
mapfile -t others < <(matching '^lib/' '^$')
check "the library has no event loop and no log" \
    forbid '#include <systemd/|\b(printf|perror|syslog)[[:space:]]*\(' "${others[@]}"
exit $failed

# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# What the unit's sandbox refuses, by trying it from inside. Sourced by cases.sh.

# probe [LINE]: sandbox.py as the unit's own program, with one more line in the unit.
probe() {
    fresh && install -m 644 "$here/sandbox.py" /run/sandbox.py &&
        drop_in "Type=oneshot
Restart=no
ExecStart=
ExecStart=/usr/bin/python3 /run/sandbox.py
${1:-}" && systemctl start $unit
}

sandbox_holds() {
    probe
    local code=$?
    [ $code = 0 ] || journalctl --no-pager -u $unit --after-cursor="$cursor" -o cat | grep refused
    return $code
}

# The probe itself notices when something is let through.
sandbox_is_judged() {
    ! probe "SystemCallFilter=
MemoryDenyWriteExecute=no
RestrictAddressFamilies=" 2>/dev/null &&
        wait_for entry 'MESSAGE=not refused: ptrace' && entry 'MESSAGE=not refused: AF_PACKET' &&
        entry 'MESSAGE=not refused: memory to write' && fresh
}

sandbox_cases=(sandbox_holds sandbox_is_judged)

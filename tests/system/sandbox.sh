# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# What the unit's sandbox refuses, by trying it from inside. Sourced by cases.sh.

# probe RIGHTS [LINES]: sandbox.py as the unit's own program, with more lines in the unit.
probe() {
    fresh && install -m 644 "$here/sandbox.py" /run/sandbox.py &&
        expect 0 python3 /run/sandbox.py outside &&
        drop_in "Type=oneshot
Restart=no
ExecStart=
ExecStart=/usr/bin/python3 /run/sandbox.py $1
${2:-}" && systemctl start $unit
}

# said_by_probe PATTERN: a line of it.
said_by_probe() {
    has "$1" journalctl --no-pager -u $unit --after-cursor="$cursor" -o cat
}

refuses() {
    probe "$@"
    local code=$?
    [ $code = 0 ] ||
        journalctl --no-pager -u $unit --after-cursor="$cursor" -o cat | grep -E 'refused|rights'
    return $code
}

sandbox_holds() {
    refuses 2000083000
}

sandbox_holds_with_two_rights() {
    refuses 3000 "$two_rights"
}

# The probe itself notices when something is let through. Other calls the container refuses by
# itself: that our own filter does too is not shown here.
sandbox_is_judged() {
    ! probe 3000 "SystemCallFilter=
MemoryDenyWriteExecute=no
RestrictAddressFamilies=
RestrictNamespaces=no
RestrictSUIDSGID=no
LockPersonality=no
ProtectSystem=no
ReadOnlyPaths=
ProtectHome=no
PrivateDevices=no" 2>/dev/null &&
        wait_for said_by_probe '^not refused: AF_PACKET' || return
    local what
    for what in ptrace process_vm_readv process_vm_writev kcmp mount chroot unshare setns \
        personality AF_PACKET 'memory to write' 'a set-user-id file' \
        'a file in /etc/sandbox-open' 'a file in /usr/sandbox-open' 'a file in /run/sandbox-open' \
        'a file in /var/sandbox-open' 'a file in /home/sandbox-open' 'to list /home' \
        'to write /proc/self/mem' 'to write /dev/sandbox-probe'; do
        said_by_probe "^not refused: $what " || return
    done
    said_by_probe '^other rights than 3000: CapBnd' && fresh
}

sandbox_cases=(sandbox_holds sandbox_holds_with_two_rights sandbox_is_judged)

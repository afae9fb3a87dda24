# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# A newcomer follows the README's first steps as they are written there, makes three mistakes that
# nearly everyone makes, and does what the messages say. Sourced by cases.sh.

# The file and the commands of the README's "First steps", with this machine's interfaces.
first_steps() { sed -n '/^## First steps/,/^## Two examples/p' "$here/../../README.md"; }
readme_file() { first_steps | sed -n '/^```yaml/,/^```$/{/^```/d;s/eth1/lan0/;s/eth0/wan0/;p}'; }
readme_commands() { first_steps | sed -n '/^    sudoedit/,/^$/s/^    //p'; }

sudo() { "$@"; }
sudoedit() { readme_file >"$1"; }

reaches() { ip netns exec client ping -c 1 -W 2 198.51.100.7; }
reaches_not() { ! ip netns exec client ping -c 1 -W 0.3 198.51.100.7; }

# What DHCP would have done, and a server out there.
connected() {
    fresh && cp "/tree$config" $config && expect 0 systemctl start $unit &&
        expect 0 systemctl enable $unit && ip route replace default via 203.0.113.1 proto dhcp &&
        ip -n server addr replace 198.51.100.7/32 dev lo && ip -n server link set lo up &&
        reaches_not
}

disconnected() {
    ip route del default
    iptables-legacy -w -P FORWARD ACCEPT
    iptables-legacy -w -F FORWARD
}

newcomer_follows_the_readme() {
    local command n=0 code
    connected || return
    while read -r command; do
        eval "$command"
        code=$?
        n=$((n + 1))
        # 3: plan shows something
        [ $code = 0 ] || [ $code-"${command##* }" = 3-plan ] || { echo "$code: $command" && return 1; }
    done < <(readme_commands)
    [ $n = 5 ] && has '^held +share +home \(ipv4\)' netshared status && expect 0 reaches &&
        expect 0 netshared explain 10.0.0.2 198.51.100.7 && expect 0 netshared doctor
}

newcomer_uses_tabs() {
    local hint='journalctl -xeu netshared' version
    version=$(systemctl --version | sed -nE '1s/^systemd ([0-9]+).*/\1/p')
    [ "$version" -gt 247 ] || hint='journalctl -xe"' # it names no unit yet
    connected && readme_file | unexpand --first-only -t 2 >$config && mark || return
    has "$hint" systemctl reload $unit && expect 1 systemctl reload $unit &&
        wait_for entry "MESSAGE=$config:4:1: error: a tab where YAML wants spaces" &&
        has "^$config:4:1: error: a tab where YAML wants spaces$" netshared check &&
        has '^  hint: use spaces, not tabs$' netshared check &&
        has 'to do: use spaces, not tabs$' netshared doctor && reaches_not || return
    expand -t 2 $config >$config.new && mv $config.new $config
    expect 0 netshared check && expect 0 systemctl reload $unit && expect 0 reaches
}

newcomer_names_a_wrong_interface() {
    connected && readme_file | sed s/wan0/eth7/ >$config || return
    has "warning: there is no interface 'eth7' now$" netshared check &&
        has '^  hint: write one that there is: wan0$' netshared check &&
        expect 0 systemctl reload $unit && entry "MESSAGE=.*there is no interface 'eth7' now" &&
        has "there is no interface 'eth7' now \($config:4\)" netshared doctor || return
    sed -i s/eth7/wan0/ $config
    lacks warning netshared check &&
        expect 0 systemctl reload $unit && expect 0 reaches && expect 0 netshared doctor
}

# dropped_by FIREWALL: whose FORWARD drops, as with a share and as with masquerade alone.
dropped_by() {
    local run
    connected && "$1" -w -P FORWARD DROP && readme_file >$config &&
        expect 0 systemctl reload $unit && expect 0 reaches && expect 0 netshared doctor || return
    write_config <<'YAML'
masquerade:
  - name: lan-out
    from: [10.0.0.0/24]
    out: [wan0]
YAML
    expect 0 systemctl reload $unit && reaches_not &&
        has 'FORWARD drops what is to be masqueraded; make it a share, or run: ' netshared status &&
        expect 3 netshared explain 10.0.0.2 198.51.100.7 &&
        has '^It is stopped at step 4' netshared explain 10.0.0.2 198.51.100.7 || return
    run=$(netshared doctor | sed -n '/^FOUND  forward/,/^ok/s/^ *run: //p')
    echo "run: $run"
    [ -n "$run" ] && eval "$run" && expect 0 reaches && wait_for expect 0 netshared doctor &&
        lacks 'drops what' netshared status
}

newcomer_has_a_forward_that_drops() {
    dropped_by iptables-legacy
    local code=$?
    disconnected
    [ $code = 0 ] || return $code
    dropped_by iptables-nft
    code=$?
    nft flush ruleset
    disconnected
    return $code
}

newcomer_cases=(newcomer_follows_the_readme newcomer_uses_tabs newcomer_names_a_wrong_interface
    newcomer_has_a_forward_that_drops)

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `explain` about packets that come to this machine itself, although a port-forward may
 * have been meant to take them; and about servers that answer past this machine.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "explain.h"

static bool is_forward(const struct explain *e, const struct nsh_chain *c)
{
    return c->kind == NSH_POLICY_PORT_FORWARD && c->family == e->first.family && c->hook &&
           strcmp(c->hook, "PREROUTING") == 0;
}

static bool has_hairpin(const struct nsh_chain *c)
{
    for (size_t i = 0; i < c->n_rules; i++)
        if (c->rules[i].local == NSH_LOCAL_FAR)
            return true;
    return false;
}

/* ---- port-forwards that don't apply ---- */

/*
 * Which of its rules would take the packet if it came in elsewhere, whoever sends it, or from
 * elsewhere by the same interface.
 */
static bool would_take(struct explain *e, const struct nsh_packet_rule *rule, bool elsewhere)
{
    struct nsh_packet_rule r = *rule;

    if (r.in[0] == '\0')
        return false;
    r.from = (struct nsh_prefix){.family = AF_UNSPEC};
    r.from_set[0] = '\0';
    if (!elsewhere)
        r.in[0] = '\0';
    return nsh_walk_matches(e->desired, &r, &e->first);
}

static const struct nsh_packet_rule *find_rule(
        struct explain *e, const struct nsh_chain *c, bool elsewhere)
{
    for (size_t i = 0; i < c->n_rules; i++)
        if (would_take(e, &c->rules[i], elsewhere))
            return &c->rules[i];
    return NULL;
}

static const char *devices_of(struct explain *e, const struct nsh_chain *c, char *buf, size_t size)
{
    const char *last = "";

    buf[0] = '\0';
    for (size_t i = 0; i < c->n_rules; i++) {
        const struct nsh_packet_rule *r = &c->rules[i];
        size_t n = strlen(buf);

        if (!would_take(e, r, false) || strcmp(r->in, last) == 0)
            continue;
        snprintf(buf + n, size - n, "%s%s", n > 0 ? " or " : "", r->in);
        last = r->in;
    }
    return buf;
}

/* What it takes for the packet to be led there all the same. */
static void advise(struct explain *e, const struct nsh_chain *c, const struct nsh_packet_rule *r)
{
    char policy[576], to[64], from[NSH_ADDR_TEXT];

    explain_policy(e, c, policy, sizeof policy);
    explain_end(&e->first, &r->nat.first,
            (uint16_t)(r->nat.ports.last > 0 ? r->nat.ports.first : e->first.destination_port), to,
            sizeof to);
    nsh_addr_format(e->first.family, &e->first.src, from);
    if (!e->first.far)
        snprintf(e->here_fix, sizeof e->here_fix,
                "ask %s itself; %s is for who comes in by %s or, with 'hairpin: true', asks for an "
                "address of another interface than his own",
                to, policy, r->in);
    else if (has_hairpin(c))
        snprintf(e->here_fix, sizeof e->here_fix, "%s among 'hairpin-from' in %s", from, policy);
    else
        snprintf(e->here_fix, sizeof e->here_fix, "'hairpin: true' in %s", policy);
}

static void tell_not_led(struct explain *e, const struct nsh_chain *c)
{
    const struct nsh_packet_rule *r = find_rule(e, c, false);
    char policy[576], devices[128], from[NSH_ADDR_TEXT];

    explain_policy(e, c, policy, sizeof policy);
    if (find_rule(e, c, true)) {
        nsh_addr_format(e->first.family, &e->first.src, from);
        explain_say(e, "%s does not apply: it is not for what comes from %s.", policy, from);
        snprintf(e->here_fix, sizeof e->here_fix, "%s among 'from' in %s", from, policy);
    } else if (r) {
        explain_say(e, "%s does not apply: it is for what comes in by %s, and this comes in by %s.",
                policy, devices_of(e, c, devices, sizeof devices), e->first.in);
        advise(e, c, r);
    }
}

void explain_not_led(struct explain *e)
{
    for (size_t i = 0; e->first.local && i < e->desired->n_chains; i++)
        if (is_forward(e, &e->desired->chains[i]) && !e->desired->chains[i].standby)
            tell_not_led(e, &e->desired->chains[i]);
}

/* ---- who takes it here ---- */

/* Rules of others may lead it elsewhere: then nothing is said for certain. */
static int take_foreign(void *userdata, const struct nsh_foreign_rule *f)
{
    struct explain *e = userdata;

    if (strcmp(f->hook, "PREROUTING") != 0 || f->needs.action == NSH_PACKET_ACCEPT ||
            f->needs.action == NSH_PACKET_RETURN ||
            !nsh_walk_matches(e->desired, &f->needs, &e->first))
        return 0;
    explain_say(e, "A rule of others may lead it elsewhere: %s (%s).", f->text, f->place);
    return 1;
}

static bool is_led_by_others(struct explain *e)
{
    struct nsh_firewall *const all[] = {e->firewalls.iptables, e->firewalls.nftables};

    for (size_t i = 0; e->in != 0 && i < NSH_ARRAY_SIZE(all); i++)
        if (all[i]->ops->foreign &&
                all[i]->ops->foreign(all[i], e->first.family, take_foreign, e) != 0)
            return true;
    return false;
}

/* An address as the kernel prints it, in words of the host's order; all zeros stand for any. */
static bool is_at(const char *text, int family, const union nsh_addr *addr)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t words = strlen(text) / 8, size = nsh_addr_size(family);
    uint8_t bytes[16] = {0}, none[16] = {0};

    for (size_t i = 0; i < words && i < 4; i++) {
        unsigned word;

        if (sscanf(text + i * 8, "%8x", &word) != 1)
            return false;
        memcpy(bytes + i * 4, &word, sizeof word);
    }
    if (memcmp(bytes, none, sizeof none) == 0)
        return true;
    if (words * 4 == size)
        return memcmp(bytes, addr->bytes, size) == 0;
    return words == 4 && memcmp(bytes, mapped, sizeof mapped) == 0 &&
           memcmp(bytes + sizeof mapped, addr->bytes, size) == 0;
}

/* Whether a socket in that list takes it; true also if that can't be known. */
static bool is_in_list(const char *path, const struct nsh_packet *p)
{
    NSH_CLEANUP(fclosep) FILE *f = fopen(path, "re");
    char line[512], address[33];
    unsigned port, state, listens = p->protocol == IPPROTO_TCP ? 0x0a : 0x07;

    if (!f)
        return errno != ENOENT;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, " %*u: %32[0-9A-F]:%4x %*[0-9A-F]:%*x %2x", address, &port, &state) == 3 &&
                port == p->destination_port && state == listens &&
                is_at(address, p->family, &p->dst))
            return true;
    return false;
}

static bool is_heard(const struct nsh_packet *p)
{
    bool tcp = p->protocol == IPPROTO_TCP;

    if (is_in_list(tcp ? "/proc/thread-self/net/tcp6" : "/proc/thread-self/net/udp6", p))
        return true;
    return p->family == AF_INET &&
           is_in_list(tcp ? "/proc/thread-self/net/tcp" : "/proc/thread-self/net/udp", p);
}

/* By a switch, and what is for all of a link by another, which only IPv4 has. */
static bool is_ping_answered(struct explain *e)
{
    bool six = e->now.family == AF_INET6, all = e->forth.answer.type != RTN_LOCAL;
    const char *key = six   ? "net/ipv6/icmp/echo_ignore_all"
                      : all ? "net/ipv4/icmp_echo_ignore_broadcasts"
                            : "net/ipv4/icmp_echo_ignore_all";
    char fix[128];
    int value;

    if (e->fib->ops->sysctl_get(e->fib, key, &value) < 0 || value == 0)
        return true;
    snprintf(fix, sizeof fix, "sysctl -w %s=0", key);
    explain_say(e, "%s is %d.", key, value);
    explain_stop(e, fix, "this machine does not answer %sping (%s)",
            all && !six ? "a broadcast " : "", key);
    return false;
}

void explain_here(struct explain *e)
{
    const char *name = e->now.protocol == IPPROTO_TCP ? "TCP" : "UDP";
    bool pings = !nsh_protocol_has_ports(e->now.protocol);

    explain_say(e, "It is not forwarded.");
    if (!explain_others(e, NSH_HOOK_INPUT, &e->now, &e->now, false, false))
        return;
    if (pings && !is_ping_answered(e))
        return;
    if (e->options->port == 0 || is_heard(&e->now) || is_led_by_others(e))
        return;
    explain_say(
            e, "No program of this machine listens on %s port %u.", name, e->now.destination_port);
    if (e->forth.answer.type != RTN_LOCAL)
        snprintf(e->here_fix, sizeof e->here_fix, "a program that listens");
    explain_stop(e, e->here_fix[0] ? e->here_fix : "a program that listens, or a port-forward",
            "it comes to this machine itself, where nobody listens on %s port %u", name,
            e->now.destination_port);
}

/* ---- who answers past this machine ---- */

bool explain_is_past(struct explain *e)
{
    char server[NSH_ADDR_TEXT], asker[NSH_ADDR_TEXT], policy[576], fix[768];

    if (!e->led_by || e->in == 0 || e->forth.ifindex != e->in ||
            nsh_addr_cmp(&e->now.src, &e->first.src) != 0 ||
            !explain_is_on_link(e, e->in, &e->now.src) ||
            !explain_is_on_link(e, e->in, &e->now.dst))
        return false;
    nsh_addr_format(e->first.family, &e->now.dst, server);
    nsh_addr_format(e->first.family, &e->first.src, asker);
    explain_policy(e, e->leader, policy, sizeof policy);
    if (e->leader->kind != NSH_POLICY_PORT_FORWARD)
        snprintf(fix, sizeof fix, "%s asks for %s itself", asker, server);
    else if (has_hairpin(e->leader))
        snprintf(fix, sizeof fix, "%s among 'hairpin-from' in %s", asker, policy);
    else
        snprintf(fix, sizeof fix, "'hairpin: true' in %s", policy);
    explain_say(e,
            "%s is on the link of %s as %s is, and answers it directly, past this machine: %s "
            "drops "
            "that, as it asked another address.",
            server, e->first.in, asker, asker);
    explain_stop(
            e, fix, "%s answers %s directly, from an address that was not asked", server, asker);
    return true;
}

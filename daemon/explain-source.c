/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The step of `explain` about how the packet appears.
 */
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "ipsec.h"
#include "text-json.h"

/* ---- the device's own address ---- */

/*
 * As inet_select_addr of the kernel: the first one whose subnet has the nexthop in it, else the
 * first one; none that is secondary, or only for this host.
 */
static const union nsh_addr *own_ipv4(const struct explain *e)
{
    const union nsh_addr *nexthop =
            e->forth.answer.via_family == AF_INET ? &e->forth.answer.via : &e->now.dst;
    const union nsh_addr *first = NULL;

    for (size_t i = 0; i < e->n_addresses; i++) {
        const struct nsh_fib_address *a = &e->addresses[i];

        if (a->family != AF_INET || a->ifindex != e->forth.ifindex || a->secondary ||
                a->scope != RT_SCOPE_UNIVERSE)
            continue;
        if (nsh_prefix_contains(&a->net, AF_INET, nexthop))
            return &a->address;
        first = first ? first : &a->address;
    }
    return first;
}

/* Of IPv6 the kernel chooses, and tells. */
static bool find_own(struct explain *e, union nsh_addr *ret)
{
    struct nsh_fib_question q = {
            .family = e->now.family, .to = e->now.dst, .oif = e->forth.ifindex};
    const union nsh_addr *own = e->now.family == AF_INET ? own_ipv4(e) : NULL;
    struct nsh_fib_answer answer;

    if (e->now.family == AF_INET) {
        if (own)
            *ret = *own;
        return own;
    }
    if (e->fib->ops->path(e->fib, &q, &answer) < 0 || !answer.has_source)
        return false;
    *ret = answer.source;
    return true;
}

/* ---- telling ---- */

static const char *exception_of(const struct nsh_packet_rule *r, char *buf, size_t size)
{
    char prefix[NSH_PREFIX_TEXT];

    if (r->from.family != AF_UNSPEC)
        snprintf(buf, size, "except-from: %s", nsh_prefix_format(&r->from, prefix));
    else if (r->to.family != AF_UNSPEC)
        snprintf(buf, size, "except-to: %s", nsh_prefix_format(&r->to, prefix));
    else if (r->out[0] != '\0')
        snprintf(buf, size, "except-out: %s", r->out);
    else
        snprintf(buf, size, "%s", r->from_set[0] ? "except-from" : "except-to");
    return buf;
}

static void tell_step(void *userdata, const struct nsh_walk_step *s)
{
    struct explain *e = userdata;
    char policy[576], text[320];

    explain_policy(e, s->chain, policy, sizeof policy);
    if (s->what == NSH_WALK_LACKS)
        explain_say(e, "%s would take it, but is not in force: %s.", policy,
                explain_lack(e, s->chain, text, sizeof text));
    else if (s->what == NSH_WALK_EXEMPTS)
        explain_say(e, "%s exempts it (%s).", policy, exception_of(s->rule, text, sizeof text));
    else if (s->what == NSH_WALK_LOGS)
        explain_say(e, "%s logs it.", policy);
}

/* Which port it gets then. */
static const char *ports_of(
        const struct nsh_packet_rule *r, const struct nsh_packet *p, char *buf, size_t size)
{
    buf[0] = '\0';
    if (!nsh_protocol_has_ports(p->protocol))
        return buf;
    if (r->nat.ports.last != 0)
        snprintf(buf, size, ", with a port of %u-%u", r->nat.ports.first, r->nat.ports.last);
    else if (r->nat.random != NSH_RANDOM_NONE)
        snprintf(buf, size, ", with a random port");
    else if (r->action != NSH_PACKET_NETMAP)
        snprintf(buf, size, ", with its own port if that is free");
    return buf;
}

static bool spares_ipsec(const struct nsh_chain *c)
{
    return c->n_rules > 0 && c->rules[0].ipsec && c->rules[0].action == NSH_PACKET_RETURN &&
           !nsh_ipsec_unused();
}

static const char *range_of(const struct nsh_packet_rule *r, int family, char *buf, size_t size)
{
    char last[NSH_ADDR_TEXT];

    buf[0] = '\0';
    if (r->action == NSH_PACKET_SNAT && nsh_addr_cmp(&r->nat.first, &r->nat.last) != 0)
        snprintf(buf, size, " or another address up to %s",
                nsh_addr_format(family, &r->nat.last, last));
    return buf;
}

static void translate(
        struct explain *e, const struct nsh_packet_rule *rule, const struct nsh_chain *chain)
{
    char policy[576], as[NSH_ADDR_TEXT], range[96], ports[64], fix[128];
    struct nsh_packet after = e->now;
    union nsh_addr own = {0};

    explain_policy(e, chain, policy, sizeof policy);
    explain_set(e, "policy", nsh_text_json(chain->policy));
    explain_set_place(e, chain->origin);
    if (rule->action == NSH_PACKET_MASQUERADE && !find_own(e, &own)) {
        explain_say(e, "%s takes it, but %s has no address that it could appear as.", policy,
                e->forth.dev);
        snprintf(fix, sizeof fix, "an address on %s", e->forth.dev);
        explain_stop(e, fix, "%s has no address to masquerade with", e->forth.dev);
        return;
    }
    nsh_walk_translate(rule, &own, &after);
    explain_set_address(e, "source", &after.src);
    explain_say(e, "%s takes it: it appears as %s%s%s.", policy,
            nsh_addr_format(after.family, &after.src, as),
            range_of(rule, after.family, range, sizeof range),
            ports_of(rule, &after, ports, sizeof ports));
    if (spares_ipsec(chain))
        explain_say(e, "(Not if an IPsec policy transforms it: that is not looked at.)");
    e->now.src = after.src;
}

/* True: a rule of others translates it, for certain, or lets it go as it is. */
static bool is_taken_before(struct explain *e, const struct nsh_chain *chain)
{
    const struct nsh_ahead_seen *a = explain_ahead(e, true, &e->now, chain);
    union nsh_addr own = {0};
    char source[NSH_ADDR_TEXT];

    if (!a)
        return false;
    explain_set(e, "ahead", nsh_text_json(a->text));
    explain_say(
            e, "A rule of others comes before%s: %s.", chain ? " the file's policy" : "", a->text);
    if (a->needs.action == NSH_PACKET_OTHER || a->needs.action == NSH_PACKET_RETURN ||
            (a->needs.action == NSH_PACKET_MASQUERADE && !find_own(e, &own))) {
        explain_say(e, "What it makes of the source can't be told for certain.");
        explain_set(e, "source", json_null());
        return true;
    }
    nsh_walk_translate(&a->needs, &own, &e->now);
    explain_set_address(e, "source", &e->now.src);
    explain_say(e, "So it appears as %s.", nsh_addr_format(e->now.family, &e->now.src, source));
    return true;
}

static void appear(struct explain *e)
{
    const struct nsh_chain *chain = NULL;
    const struct nsh_packet_rule *rule;
    char source[NSH_ADDR_TEXT];

    rule = nsh_walk(
            e->desired, NSH_TABLE_NAT, "POSTROUTING", &e->now, e->lacks, tell_step, e, &chain);
    if (is_taken_before(e, chain))
        return;
    if (rule) {
        translate(e, rule, chain);
        return;
    }
    explain_set_address(e, "source", &e->now.src);
    explain_say(e, "No policy of the file changes its source: it appears as %s.",
            nsh_addr_format(e->now.family, &e->now.src, source));
}

void explain_source(struct explain *e)
{
    struct nsh_packet before = e->now;

    if (e->here)
        return;
    explain_step(e, "source");
    appear(e);
    if (!e->stop)
        explain_others(e, NSH_HOOK_POSTROUTING, &before, &e->now, false, false);
}

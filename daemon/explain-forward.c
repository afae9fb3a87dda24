/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The step of `explain` that forwards: the kernel's switch, what policies let through or drop, and
 * what rules of others do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "text-json.h"
#include "text.h"

/* ---- the switch ---- */

/* A policy that would have it switched on, were its condition met; NULL: there is none. */
static const struct nsh_chain *find_standby(const struct explain *e)
{
    for (size_t i = 0; i < e->desired->n_chains; i++) {
        const struct nsh_chain *c = &e->desired->chains[i];

        if (c->family == e->now.family && c->policy[0] != '\0' && c->standby &&
                !nsh_desired_is_open(e->desired, c->when))
            return c;
    }
    return NULL;
}

/* It is off on purpose then: by hand it would be on without what the policy keeps out. */
static void stop_standby(struct explain *e, const char *key, const struct nsh_chain *standby)
{
    char policy[576], why[320], fix[1100];

    explain_policy(e, standby, policy, sizeof policy);
    explain_lack(e, standby, why, sizeof why);
    explain_say(e, "%s would switch it on, but is not in force: %s.", policy, why);
    snprintf(fix, sizeof fix, "the condition of %s, which is not met: %s", policy, why);
    explain_stop(e, fix, "forwarding is off (%s), as %s is on standby: %s", key, policy, why);
}

static void stop_off(struct explain *e, const char *key)
{
    const struct nsh_chain *standby = find_standby(e);
    char fix[256], word[2 * NSH_TEXT_DEVICE];

    nsh_text_word(key, word, sizeof word);
    explain_say(e, "Forwarding is off: %s is 0.", key);
    if (e->desired->config->settings.forwarding == NSH_FORWARDING_LEAVE) {
        snprintf(fix, sizeof fix, "sysctl -w %s=1, as the file says 'forwarding: leave'", word);
    } else if (e->desired->forwarding[nsh_family_index(e->now.family)]) {
        snprintf(fix, sizeof fix, "%s: the file's policies need it, and the daemon switches it on",
                e->idle ? "systemctl start netshared"
                        : "netshared status, which says why it is off");
    } else if (standby) {
        stop_standby(e, key, standby);
        return;
    } else {
        snprintf(fix, sizeof fix,
                "sysctl -w %s=1, or a share or masquerade in the file, which switches it on", word);
    }
    explain_stop(e, fix, "forwarding is off (%s)", key);
}

/* IPv4 asks the device it came in by; IPv6 the switch for all, or the device's own force. */
static bool is_forwarding(struct explain *e, const char *in)
{
    char key[64];
    int value;

    if (e->now.family == AF_INET) {
        value = explain_sysctl(e, "net/ipv4/conf/*/forwarding", in);
        snprintf(key, sizeof key, "net.ipv4.%s",
                explain_sysctl(e, "net/ipv4/conf/*/forwarding", "all") == 0 ? "ip_forward" : "");
        if (strcmp(key, "net.ipv4.") == 0)
            snprintf(key, sizeof key, "net/ipv4/conf/%s/forwarding", in);
    } else {
        value = explain_sysctl(e, "net/ipv6/conf/*/forwarding", "all");
        snprintf(key, sizeof key, "net.ipv6.conf.all.forwarding");
        if (value == 0 && explain_sysctl(e, "net/ipv6/conf/*/force_forwarding", in) > 0) {
            explain_say(e, "Forwarding is on for %s (force_forwarding).", in);
            return true;
        }
    }
    if (value != 0) {
        explain_say(e, "Forwarding is on.");
        return true;
    }
    stop_off(e, key);
    return false;
}

/* ---- rules ---- */

static void tell_policy(void *userdata, const struct nsh_walk_step *s)
{
    struct explain *e = userdata;
    char policy[576], why[320];

    explain_policy(e, s->chain, policy, sizeof policy);
    switch (s->what) {
    case NSH_WALK_LACKS:
        if (s->rule->action == NSH_PACKET_ACCEPT)
            e->lacking = s->chain;
        explain_say(e, "%s would %s, but is not in force: %s.", policy,
                s->rule->action == NSH_PACKET_DROP ? "drop it" : "let it through",
                explain_lack(e, s->chain, why, sizeof why));
        return;
    case NSH_WALK_TAKES:
        explain_say(e, "%s %s.", policy,
                s->rule->action == NSH_PACKET_DROP ? "drops it" : "lets it through");
        if (!json_object_get(e->step, "policy")) {
            explain_set(e, "policy", nsh_text_json(s->chain->policy));
            explain_set_place(e, s->chain->origin);
        }
        return;
    case NSH_WALK_EXEMPTS:
    case NSH_WALK_LOGS:
    case NSH_WALK_CLAMPS:
        return;
    }
}

static bool has_default(const struct explain *e, const char *dev)
{
    uint32_t ifindex;

    if (e->fib->ops->link_index(e->fib, dev, &ifindex) < 0)
        return false;
    for (size_t i = 0; i < e->ways.n_routes; i++)
        if (e->ways.routes[i].dst_length == 0 && e->ways.routes[i].family == e->now.family &&
                nsh_way_leaves_by(&e->ways.routes[i], ifindex))
            return true;
    return false;
}

/* The world is behind `in`, or, where no default route tells, it comes from there by its address.
 */
static bool is_inward(const struct explain *e, const char *in, const char *out, int family,
        const union nsh_addr *from, const union nsh_addr *to)
{
    bool behind_in = has_default(e, in), behind_out = has_default(e, out);

    if (behind_in || behind_out)
        return behind_in && !behind_out;
    return !nsh_addr_is_private(family, from) && nsh_addr_is_private(family, to);
}

bool explain_is_from_outside(const struct explain *e, const struct nsh_packet *p)
{
    return is_inward(e, p->in, p->out, p->family, &p->src, &p->dst);
}

/* What the share calls a LAN has the world behind it, and the other way round. */
static bool looks_swapped(const struct explain *e, const struct nsh_packet *p)
{
    return is_inward(e, p->out, p->in, p->family, &p->dst, &p->src);
}

static void fix_drop(const struct explain *e, const struct nsh_chain *c, const struct nsh_packet *p,
        char *buf, size_t size)
{
    char policy[576];

    explain_policy(e, c, policy, sizeof policy);
    buf[0] = '\0';
    if (c->kind != NSH_POLICY_SHARE || strcmp(p->in, p->out) == 0 || p->state != NSH_STATE_NEW)
        return;
    if (looks_swapped(e, p))
        snprintf(buf, size,
                "'lan' and 'wan' the other way round in %s: it calls %s its WAN and %s a LAN",
                policy, p->in, p->out);
    else
        snprintf(buf, size,
                "a port-forward for it, or 'allow-inbound: true' in %s; between LANs, no 'isolate: "
                "true'",
                policy);
}

bool explain_pass(struct explain *e, const struct nsh_packet *p, bool reply)
{
    const struct nsh_chain *chain = NULL;
    const struct nsh_packet_rule *rule =
            nsh_walk(e->desired, NSH_TABLE_FILTER, "FORWARD", p, e->lacks, tell_policy, e, &chain);
    char policy[576], fix[768];
    bool accepted = rule && rule->action == NSH_PACKET_ACCEPT;

    if (rule && !accepted) {
        fix_drop(e, chain, p, fix, sizeof fix);
        explain_stop(e, fix, "%s drops %s", explain_policy(e, chain, policy, sizeof policy),
                reply ? "the answer" : "it");
        return false;
    }
    if (!explain_others(e, NSH_HOOK_FORWARD, p, p, reply, accepted))
        return false;
    if (!rule)
        explain_say(e,
                "No policy of the file decides whether it is forwarded, and nothing drops it "
                "that can be seen.");
    return true;
}

static void explain_own(struct explain *e)
{
    explain_say(e, "It is not forwarded.");
    if (explain_others(e, NSH_HOOK_OUTPUT, &e->now, &e->now, false, false))
        explain_effects(e);
}

void explain_forwarding(struct explain *e)
{
    explain_step(e, "forwarding");
    if (e->here)
        explain_here(e);
    else if (e->in == 0)
        explain_own(e);
    else if (is_forwarding(e, e->first.in))
        explain_pass(e, &e->now, false);
}

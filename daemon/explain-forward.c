/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The step of `explain` that forwards: the kernel's switch, what policies let through or drop, and
 * what rules of others do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "text.h"

/* ---- the switch ---- */

static void stop_off(struct explain *e, const char *key)
{
    char fix[256], word[2 * NSH_TEXT_DEVICE];
    int f = nsh_family_index(e->now.family);

    nsh_text_word(key, word, sizeof word);
    if (e->desired->config->settings.forwarding == NSH_FORWARDING_LEAVE)
        snprintf(fix, sizeof fix, "sysctl -w %s=1, as the file says 'forwarding: leave'", word);
    else if (e->desired->forwarding[f])
        snprintf(fix, sizeof fix, "%s: the file's policies need it, and the daemon switches it on",
                e->idle ? "systemctl start netshared"
                        : "netshared status, which says why it is off");
    else
        snprintf(fix, sizeof fix,
                "sysctl -w %s=1, or a share or masquerade in the file, which switches it on", word);
    explain_say(e, "Forwarding is off: %s is 0.", key);
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
        explain_say(e, "%s would %s it, but is not in force: %s.", policy,
                s->rule->action == NSH_PACKET_DROP ? "drop" : "let through",
                explain_lack(e, s->chain, why, sizeof why));
        return;
    case NSH_WALK_TAKES:
        explain_say(e, "%s %s.", policy,
                s->rule->action == NSH_PACKET_DROP ? "drops it" : "lets it through");
        if (!json_object_get(e->step, "policy")) {
            explain_set(e, "policy", json_string(s->chain->policy));
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

/* What the share calls a LAN has the world behind it, and the other way round. */
static bool looks_swapped(const struct explain *e, const struct nsh_packet *p)
{
    bool in = has_default(e, p->in), out = has_default(e, p->out);

    if (in || out)
        return out && !in;
    return nsh_addr_is_private(p->family, &p->src) && !nsh_addr_is_private(p->family, &p->dst);
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

static struct nsh_prefix host(int family, const union nsh_addr *addr)
{
    return (struct nsh_prefix){
            .addr = *addr, .family = (uint8_t)family, .length = nsh_addr_bits(family)};
}

static struct nsh_forward_path path_of(const struct nsh_packet *p, bool reply)
{
    struct nsh_forward_path path = {
            .reply = reply,
            .translated = p->translated,
            .from = host(p->family, &p->src),
            .to = host(p->family, &p->dst),
            .protocol = p->protocol,
            .from_port = {p->source_port, p->source_port},
            .to_port = {p->destination_port, p->destination_port},
    };

    memcpy(path.in, p->in, sizeof path.in);
    memcpy(path.out, p->out, sizeof path.out);
    return path;
}

/* What somebody bans by name is no mistake to be mended: it is told of, and left to whoever did. */
static const char *fix_others(const struct explain *e, const struct nsh_packet *p,
        const struct nsh_forward_drop *drop, bool reply, bool accepted, char *buf, size_t size)
{
    char share[128] = "", policy[576];

    if (drop->named) {
        snprintf(buf, size,
                "nothing, if that is meant: the rule names what it drops; else whoever wrote it "
                "has "
                "to spare this packet");
        return buf;
    }
    if (e->lacking) {
        explain_policy(e, e->lacking, policy, sizeof policy);
        snprintf(buf, size, "%s is in the file, and would let it through: %s", policy,
                e->idle ? "systemctl start netshared"
                        : "netshared status, which says why it does not");
        return buf;
    }
    if (!accepted && !p->translated)
        snprintf(share, sizeof share,
                "a share between %s and %s in the file, which keeps it let through; or ",
                reply ? p->out : p->in, reply ? p->in : p->out);
    snprintf(buf, size, "%s%s", share, drop->fix);
    return buf;
}

static bool ask_others(struct explain *e, struct nsh_firewall *fw, const struct nsh_packet *p,
        bool reply, bool accepted)
{
    const struct nsh_forward_path path = path_of(p, reply);
    struct nsh_forward_drop drop;
    char fix[896], how[320];
    int r = fw->ops->drops ? fw->ops->drops(fw, p->family, &path, &drop) : 0;

    /* Who is not root sees what there is to be seen. */
    e->unsure = e->unsure || (r < 0 && r != -EPERM && r != -EACCES);
    if (r < 0)
        explain_say(e, "What rules of others in %s do with it can't be seen: %s.", fw->ops->name,
                strerror(-r));
    if (r <= 0)
        return true;
    snprintf(how, sizeof how, drop.rule[0] ? "by the rule %s" : "by its policy%s", drop.rule);
    explain_say(e, "%s drops it, %s.", drop.what, how);
    explain_set(e, "dropped_by", json_string(drop.rule[0] ? drop.rule : drop.what));
    explain_stop(e, fix_others(e, p, &drop, reply, accepted, fix, sizeof fix), "%s drops %s, %s",
            drop.what, reply ? "the answer" : "what is forwarded so", how);
    return false;
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
    if (!ask_others(e, e->firewalls.iptables, p, reply, accepted) ||
            !ask_others(e, e->firewalls.nftables, p, reply, accepted))
        return false;
    if (!rule)
        explain_say(e,
                "No policy of the file decides whether it is forwarded, and nothing drops it "
                "that can be seen.");
    return true;
}

void explain_forwarding(struct explain *e)
{
    explain_step(e, "forwarding");
    if (e->here)
        explain_here(e);
    else if (e->in == 0)
        explain_say(e, "It is not forwarded. What rules of OUTPUT do with it is not looked at.");
    else if (is_forwarding(e, e->first.in))
        explain_pass(e, &e->now, false);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `explain` about rules of others: at each hook that a packet passes both firewalls are
 * asked whether they drop it. What can't be judged is told of as what may.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "passage.h"
#include "text-json.h"

/* ---- the packet as rules see it ---- */

static struct nsh_prefix host(int family, const union nsh_addr *addr)
{
    return (struct nsh_prefix){
            .addr = *addr, .family = (uint8_t)family, .length = nsh_addr_bits(family)};
}

/* Whether a reverse-path filter of theirs lets it in; both families have such. */
static void find_back(struct explain *e, const struct nsh_packet *p, struct nsh_forward_path *path)
{
    struct nsh_fib_question q = {.family = p->family, .to = p->src, .mark = p->mark};
    struct nsh_fib_answer answer;
    uint32_t in;

    if (path->hook != NSH_HOOK_PREROUTING || e->fib->ops->link_index(e->fib, p->in, &in) < 0)
        return;
    path->back_known = true;
    path->back = e->fib->ops->path(e->fib, &q, &answer) == 0 && answer.ifindex == in;
}

/* A mark that was said is one that rules have given it on its way, nobody knows where. */
static bool is_marked(const struct explain *e, enum nsh_hook hook)
{
    return !e->effects[NSH_EFFECT_MARKS][0] &&
           (!e->options->mark || hook == NSH_HOOK_FORWARD || hook == NSH_HOOK_INPUT ||
                   hook == NSH_HOOK_POSTROUTING);
}

/* Who else is meant by what lets this one through: as the policy says it, or as the link does. */
static struct nsh_prefix net_of(const struct explain *e)
{
    struct nsh_prefix net = {.family = AF_UNSPEC};
    int family = e->first.family;

    if (nsh_exit_net(e->desired, family, &e->first.src, e->forth.dev, &net))
        return net;
    for (size_t i = 0; i < e->n_addresses; i++) {
        const struct nsh_fib_address *a = &e->addresses[i];

        if (a->ifindex == e->in && nsh_prefix_contains(&a->net, family, &e->first.src) &&
                (net.family == AF_UNSPEC || a->net.length > net.length))
            net = a->net;
    }
    return net;
}

static struct nsh_forward_path path_of(
        struct explain *e, enum nsh_hook hook, const struct nsh_packet *p, bool reply)
{
    struct nsh_forward_path path = {
            .hook = (uint8_t)hook,
            .opening = true,
            .marked = is_marked(e, hook),
            .mark = p->mark,
            .reply = reply,
            .translated = p->translated,
            .from = host(p->family, &p->src),
            .to = host(p->family, &p->dst),
            .net = p->translated ? (struct nsh_prefix){.family = AF_UNSPEC} : net_of(e),
            .protocol = p->protocol,
            .from_port = {p->source_port, p->source_port},
            .to_port = {p->destination_port, p->destination_port},
    };

    if (hook != NSH_HOOK_OUTPUT)
        memcpy(path.in, p->in, sizeof path.in);
    if (hook != NSH_HOOK_PREROUTING && hook != NSH_HOOK_INPUT)
        memcpy(path.out, p->out, sizeof path.out);
    find_back(e, p, &path);
    return path;
}

/* ---- what is told ---- */

/* What somebody bans by name is no mistake to be mended: it is told of, and left to whoever did. */
static const char *fix_others(const struct explain *e, const struct nsh_packet *p,
        const struct nsh_forward_drop *drop, bool reply, bool accepted, char *buf, size_t size)
{
    char share[128] = "", policy[576], why[320];

    if (drop->named) {
        snprintf(buf, size,
                "nothing, if that is meant: the rule names what it drops; else whoever wrote it "
                "has to spare this packet");
        return buf;
    }
    if (e->lacking && drop->hosts) {
        explain_policy(e, e->lacking, policy, sizeof policy);
        snprintf(buf, size, "%s is in the file, and would let it through: %s%s", policy,
                e->lacking->standby ? "it waits for its condition: "
                : e->idle           ? "systemctl start netshared"
                                    : "netshared status, which says why it does not",
                e->lacking->standby ? explain_lack(e, e->lacking, why, sizeof why) : "");
        return buf;
    }
    if (drop->hosts && !accepted && !p->translated && !reply && explain_is_from_outside(e, p)) {
        snprintf(buf, size,
                "nothing, if what is begun outside is not to come in; else a port-forward for it, "
                "or a share with 'allow-inbound: true'");
        return buf;
    }
    if (drop->hosts && !accepted && !p->translated && strcmp(p->in, p->out) != 0)
        snprintf(share, sizeof share,
                "a share between %s and %s in the file, which keeps it let through; or ",
                reply ? p->out : p->in, reply ? p->in : p->out);
    snprintf(buf, size, "%s%s", share, drop->fix);
    return buf;
}

static void doubt(struct explain *e, const struct nsh_forward_drop *drop, bool reply)
{
    const char *what = reply ? "the answer" : "it";
    char how[320];

    snprintf(how, sizeof how, drop->rule[0] ? "the rule %s" : "what can't be judged%s", drop->rule);
    explain_say(e, "%s may drop it, which can't be judged: %s.", drop->what, how);
    explain_doubt(e, "%s may drop %s: %s", drop->what, what, how);
}

/* Of what it meets on its way there: the answer is of the same connection. */
static void keep_effects(struct explain *e, const struct nsh_forward_drop *drop, bool reply)
{
    for (size_t i = 0; !reply && i < NSH_EFFECT_COUNT; i++)
        if (e->effects[i][0] == '\0')
            memcpy(e->effects[i], drop->effects[i], sizeof e->effects[i]);
}

static bool ask(struct explain *e, struct nsh_firewall *fw, const struct nsh_forward_path *before,
        const struct nsh_forward_path *after, const struct nsh_packet *p, bool accepted)
{
    struct nsh_forward_drop drop = {0};
    char fix[896], how[320];
    bool forward = before->hook == NSH_HOOK_FORWARD;
    bool is_main = before->hook != NSH_HOOK_PREROUTING && before->hook != NSH_HOOK_POSTROUTING;
    int r = fw->ops->drops ? fw->ops->drops(fw, p->family, before, after, &drop) : 0;

    e->unsure = e->unsure || r < 0;
    if (r < 0 && is_main)
        explain_say(e, "What rules of others in %s do with it can't be seen: %s.", fw->ops->name,
                strerror(-r));
    if (r < 0)
        return true;
    keep_effects(e, &drop, before->reply);
    if (r > 0 && drop.doubtful)
        doubt(e, &drop, before->reply);
    if (r == 0 || drop.doubtful)
        return true;
    snprintf(how, sizeof how, drop.rule[0] ? "by the rule %s" : "by its policy%s", drop.rule);
    explain_say(e, "%s drops it, %s.", drop.what, how);
    explain_set(e, "dropped_by", nsh_text_json(drop.rule[0] ? drop.rule : drop.what));
    explain_stop(e, fix_others(e, p, &drop, before->reply, accepted, fix, sizeof fix),
            "%s drops %s, %s", drop.what,
            before->reply ? "the answer"
            : forward     ? "what is forwarded so"
                          : "the packet",
            how);
    return false;
}

/* Which mark it has then decides on its way, and only who wrote the rule knows it. */
static void tell_mark(struct explain *e, const char *rule)
{
    bool asked = false;

    for (size_t i = 0; i < e->ways.n_rules; i++)
        asked = asked ||
                (e->ways.rules[i].family == e->first.family && e->ways.rules[i].mark.mask != 0);
    for (size_t i = 0; i < e->desired->n_chains; i++)
        for (size_t k = 0; k < e->desired->chains[i].n_rules; k++)
            asked = asked || e->desired->chains[i].rules[k].mark.mask != 0;
    if (!asked || e->options->mark)
        return;
    explain_say(e,
            "A rule of others may give it a mark: %s. What follows is for the mark 0: --mark says "
            "which one it has.",
            rule);
    explain_doubt(e, "a rule of others may give it a mark, which decides on its way: %s", rule);
}

static void tell_leading(struct explain *e, const char *rule)
{
    explain_say(e, "A rule of others may lead it elsewhere: %s.", rule);
    explain_doubt(e, "a rule of others may lead it elsewhere: %s", rule);
}

static void tell_untracking(struct explain *e, const char *rule)
{
    explain_say(e,
            "A rule of others may take it off connection tracking: %s. Then nothing translates it.",
            rule);
    explain_doubt(e, "a rule of others may take it off connection tracking: %s", rule);
}

void explain_effects(struct explain *e)
{
    static void (*const tell[NSH_EFFECT_COUNT])(struct explain * e, const char *rule) = {
            [NSH_EFFECT_MARKS] = tell_mark,
            [NSH_EFFECT_LEADS] = tell_leading,
            [NSH_EFFECT_UNTRACKS] = tell_untracking,
    };

    for (size_t i = 0; i < NSH_EFFECT_COUNT; i++)
        if (e->effects[i][0] != '\0')
            tell[i](e, e->effects[i]);
}

bool explain_others(struct explain *e, enum nsh_hook hook, const struct nsh_packet *before,
        const struct nsh_packet *after, bool reply, bool accepted)
{
    const struct nsh_forward_path first = path_of(e, hook, before, reply),
                                  then = path_of(e, hook, after, reply);

    return ask(e, e->firewalls.iptables, &first, &then, after, accepted) &&
           ask(e, e->firewalls.nftables, &first, &then, after, accepted);
}

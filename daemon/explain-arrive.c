/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first steps of `explain`: how the packet comes in, and where it is to go then.
 */
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "text-json.h"
#include "text.h"

/* ---- arrival ---- */

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* As the kernel takes it: of the device's value and that of all the larger one. */
static int effective(struct explain *e, const char *format, const char *dev)
{
    return larger(explain_sysctl(e, format, "all"), explain_sysctl(e, format, dev));
}

static void find_back(struct explain *e, const char *dev, const struct nsh_packet *p,
        const char *back_iif, struct nsh_way *ret)
{
    struct nsh_way_query q = {
            .family = p->family,
            .protocol = p->protocol,
            .to = &p->src,
            .from = &p->dst,
            .source_port = p->destination_port,
            .destination_port = p->source_port,
    };

    if (effective(e, "net/ipv4/conf/*/src_valid_mark", dev) > 0)
        q.mark = p->mark;
    snprintf(q.iif, sizeof q.iif, "%s", back_iif);
    nsh_way_find(&e->ways, &q, ret);
}

static const char *leaving(
        struct explain *e, const struct nsh_way *back, char name[static IFNAMSIZ])
{
    const struct nsh_route_props *props = back->route ? back->route->props : NULL;

    if (!props || props->n_nexthops == 0 ||
            e->fib->ops->link_name(e->fib, props->nexthops[0].ifindex, name) < 0)
        snprintf(name, IFNAMSIZ, "nothing");
    return name;
}

static void stop_strict(
        struct explain *e, const char *dev, const struct nsh_way *back, const char *source)
{
    char fix[256], other[IFNAMSIZ], word[NSH_TEXT_DEVICE];
    bool nowhere = !back->route || back->route->props->n_nexthops == 0;

    snprintf(fix, sizeof fix,
            "a route to %s by %s, or the loose filter: sysctl -w net/ipv4/conf/%s/rp_filter=2",
            source, dev, nsh_text_word(dev, word, sizeof word));
    if (nowhere)
        explain_stop(e, fix,
                "the reverse-path filter of %s is strict, and no route leads back to %s", dev,
                source);
    else
        explain_stop(e, fix,
                "the reverse-path filter of %s is strict, and the way back to %s leaves by %s, not "
                "by %s",
                dev, source, leaving(e, back, other), dev);
}

bool explain_reverse_path(struct explain *e, const char *dev, uint32_t ifindex,
        const struct nsh_packet *p, const char *back_iif)
{
    int filter = p->family == AF_INET ? effective(e, "net/ipv4/conf/*/rp_filter", dev) : 0;
    char source[NSH_ADDR_TEXT], fix[128];
    struct nsh_way back;
    bool unicast;

    if (p->family != AF_INET)
        return true;
    nsh_addr_format(p->family, &p->src, source);
    explain_set(e, "rp_filter", json_integer(filter));
    if (filter <= 0) {
        explain_say(e, "The reverse-path filter of %s is off.", dev);
        return true;
    }
    find_back(e, dev, p, back_iif, &back);
    unicast = back.route && back.route->props->type == RTN_UNICAST;
    if (unicast && nsh_way_leaves_by(back.route, ifindex)) {
        explain_say(e, "The reverse-path filter of %s is %s: the way back to %s leaves by %s, too.",
                dev, filter == 1 ? "strict" : "loose", source, dev);
        return true;
    }
    if (filter == 1) {
        stop_strict(e, dev, &back, source);
    } else if (!unicast) {
        snprintf(fix, sizeof fix, "a route to %s", source);
        explain_stop(e, fix,
                "the reverse-path filter of %s is loose, and no route leads back to %s", dev,
                source);
    } else {
        explain_say(e, "The reverse-path filter of %s is loose: there is a way back to %s.", dev,
                source);
        return true;
    }
    explain_say(e, "T%s.", json_string_value(json_object_get(e->stop, "reason")) + strlen("t"));
    return false;
}

/* An address of this machine as the source of what comes in. */
static bool is_martian(struct explain *e)
{
    char source[NSH_ADDR_TEXT];

    if (e->first.family != AF_INET || !explain_is_own(e, &e->first.src, 0) ||
            effective(e, "net/ipv4/conf/*/accept_local", e->first.in) > 0)
        return false;
    nsh_addr_format(e->first.family, &e->first.src, source);
    explain_say(e, "%s is an address of this machine itself.", source);
    explain_stop(e,
            "another address for the machine that sends so, or for this one, if it is no forgery",
            "what comes in by %s from %s, an address of this machine, is dropped", e->first.in,
            source);
    return true;
}

void explain_arrival(struct explain *e)
{
    char source[NSH_ADDR_TEXT];

    explain_step(e, "arrival");
    if (explain_is_senseless(e)) {
        explain_set(e, "interface", e->in ? nsh_text_json(e->first.in) : json_null());
        explain_stop_senseless(e);
        return;
    }
    if (e->in == 0) {
        explain_say(e, "It is this machine's own: %s is its address.",
                nsh_addr_format(e->first.family, &e->first.src, source));
        explain_set(e, "interface", json_null());
        return;
    }
    explain_set(e, "interface", nsh_text_json(e->first.in));
    explain_set(e, "assumed", json_boolean(e->in_assumed));
    if (e->in_down)
        explain_say(e, "It comes in by %s, as is assumed: %s is in its network.", e->first.in,
                nsh_addr_format(e->first.family, &e->first.src, source));
    else if (e->in_assumed)
        explain_say(e, "It comes in by %s, as is assumed: the way back to %s leaves by it.",
                e->first.in, nsh_addr_format(e->first.family, &e->first.src, source));
    else
        explain_say(e, "It comes in by %s.", e->first.in);
    if (explain_is_dead(e, e->in, e->first.in) || is_martian(e) || explain_is_direct(e) ||
            explain_is_homeless(e) || explain_never_comes(e) ||
            !explain_others(e, NSH_HOOK_PREROUTING, &e->first, &e->now, false, false))
        return;
    explain_effects(e);
    explain_reverse_path(
            e, e->first.in, e->in, &e->now, e->here || e->forth.ifindex == 0 ? "lo" : e->forth.dev);
}

/* ---- destination ---- */

static void look_where(struct explain *e, struct nsh_packet *p)
{
    p->local = explain_is_own(e, &p->dst, 0);
    p->far = p->local && !explain_is_own(e, &p->dst, e->in);
}

void explain_foresee(struct explain *e)
{
    look_where(e, &e->first);
    e->now = e->first;
    if (e->in == 0)
        return;
    e->led_by = nsh_walk(
            e->desired, NSH_TABLE_NAT, "PREROUTING", &e->first, e->lacks, NULL, NULL, &e->leader);
    if (e->led_by)
        nsh_walk_translate(e->led_by, NULL, &e->now);
}

static void tell_destination(void *userdata, const struct nsh_walk_step *s)
{
    struct explain *e = userdata;
    const struct nsh_ahead_seen *ahead;
    char policy[576], to[64], why[320];

    explain_policy(e, s->chain, policy, sizeof policy);
    if (s->what == NSH_WALK_LACKS)
        explain_say(e, "%s would take it, but is not in force: %s.", policy,
                explain_lack(e, s->chain, why, sizeof why));
    if (s->what != NSH_WALK_TAKES)
        return;
    ahead = explain_ahead(e, false, &e->first, s->chain);
    if (ahead)
        explain_say(e, "A rule of others may take it before: %s.", ahead->text);
    explain_set(e, "policy", nsh_text_json(s->chain->policy));
    explain_set_place(e, s->chain->origin);
    explain_say(e, "%s takes it: it goes on to %s.", policy,
            explain_end(&e->now, &e->now.dst, e->now.destination_port, to, sizeof to));
}

void explain_destination(struct explain *e)
{
    explain_step(e, "destination");
    if (e->blind) {
        explain_set(e, "unseen", json_true());
        explain_say(e, "Which policies are in force can't be seen, which takes root: %s.",
                e->status ? "what the daemon says of them is believed"
                          : "they are told of as if all were");
    }
    if (e->in == 0)
        explain_say(e, "Port-forwards and network-maps are for what comes in.");
    else
        nsh_walk(e->desired, NSH_TABLE_NAT, "PREROUTING", &e->first, e->lacks, tell_destination, e,
                NULL);
    if (e->in != 0 && !e->led_by)
        explain_not_led(e);
    if (e->in != 0 && !e->led_by)
        explain_say(e, "No port-forward and no network-map of the file changes its destination.");
    explain_set_address(e, "destination", &e->now.dst);
    if (nsh_protocol_has_ports(e->now.protocol))
        explain_set(e, "destination_port", json_integer(e->now.destination_port));
}

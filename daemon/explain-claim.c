/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `explain` about who answers for an address: on a link the neighbours ask for it, and
 * if nobody answers, nothing comes here that is sent to it.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "explain.h"
#include "text.h"

/* ---- who answers ---- */

/* Also where that can't be seen: before Linux 5.0 one of them can't be asked for. */
static bool may_be_proxied(
        struct explain *e, const struct explain_link *l, int family, const union nsh_addr *a)
{
    return e->fib->ops->proxied(e->fib, l->ifindex, family, a) != 0;
}

/*
 * By ARP: for what is local, and as a proxy for what is routed elsewhere; for what is on that link
 * itself by another switch.
 */
static bool is_claimed_ipv4(
        struct explain *e, const struct explain_link *l, const union nsh_addr *a)
{
    struct nsh_fib_question q = {.family = AF_INET, .to = *a};
    struct nsh_fib_answer answer;

    if (e->fib->ops->path(e->fib, &q, &answer) < 0)
        return false;
    if (answer.type == RTN_LOCAL)
        return true;
    if (answer.ifindex == l->ifindex)
        return explain_sysctl(e, "net/ipv4/conf/*/proxy_arp_pvlan", l->dev) > 0;
    return explain_sysctl(e, "net/ipv4/conf/*/forwarding", l->dev) > 0 &&
           (explain_sysctl(e, "net/ipv4/conf/*/proxy_arp", "all") > 0 ||
                   explain_sysctl(e, "net/ipv4/conf/*/proxy_arp", l->dev) > 0 ||
                   may_be_proxied(e, l, AF_INET, a));
}

/* By NDP: for addresses of that very interface, and as a proxy for those that are named. */
static bool is_claimed_ipv6(
        struct explain *e, const struct explain_link *l, const union nsh_addr *a)
{
    if (explain_is_own(e, a, l->ifindex))
        return true;
    return explain_sysctl(e, "net/ipv6/conf/*/forwarding", "all") > 0 &&
           (explain_sysctl(e, "net/ipv6/conf/*/proxy_ndp", "all") > 0 ||
                   explain_sysctl(e, "net/ipv6/conf/*/proxy_ndp", l->dev) > 0) &&
           may_be_proxied(e, l, AF_INET6, a);
}

static void see_link(void *userdata, const struct nsh_fib_link *link)
{
    struct nsh_fib_link *found = userdata;

    if (link->ifindex == found->ifindex)
        *found = *link;
}

/* False: it can't be seen. */
static bool find_link(struct explain *e, uint32_t ifindex, struct nsh_fib_link *ret)
{
    int q = -EAGAIN;

    *ret = (struct nsh_fib_link){.ifindex = ifindex};
    for (int i = 0; i < 5 && q == -EAGAIN; i++)
        q = e->fib->ops->links(e->fib, see_link, ret);
    return q == 0 && ret->name;
}

/* Neighbours ask there who has an address. */
static bool asks(struct explain *e, uint32_t ifindex)
{
    struct nsh_fib_link l;

    return find_link(e, ifindex, &l) && !l.noarp;
}

enum explain_state explain_link_state(struct explain *e, uint32_t ifindex)
{
    struct nsh_fib_link l;

    if (!find_link(e, ifindex, &l))
        return EXPLAIN_LINK_UP;
    if (!l.up)
        return EXPLAIN_LINK_DOWN;
    return l.carrier ? EXPLAIN_LINK_UP : EXPLAIN_LINK_DEAD;
}

uint32_t explain_down_link(struct explain *e, const union nsh_addr *addr)
{
    for (size_t i = 0; i < e->n_addresses; i++) {
        const struct nsh_fib_address *a = &e->addresses[i];

        if (a->family == e->first.family && nsh_prefix_contains(&a->net, a->family, addr) &&
                explain_link_state(e, a->ifindex) == EXPLAIN_LINK_DOWN)
            return a->ifindex;
    }
    return 0;
}

bool explain_is_on_link(const struct explain *e, uint32_t ifindex, const union nsh_addr *addr)
{
    for (size_t i = 0; i < e->n_addresses; i++)
        if (e->addresses[i].family == e->first.family && e->addresses[i].ifindex == ifindex &&
                nsh_prefix_contains(&e->addresses[i].net, e->first.family, addr))
            return true;
    return false;
}

/* It is in a subnet of the link, and nobody there is told that it is to be sent here. */
static bool is_unclaimed(struct explain *e, const struct explain_link *l, const union nsh_addr *a)
{
    if (!explain_is_on_link(e, l->ifindex, a) || !asks(e, l->ifindex))
        return false;
    return e->first.family == AF_INET ? !is_claimed_ipv4(e, l, a) : !is_claimed_ipv6(e, l, a);
}

/* ---- who is asked ---- */

/* That nobody answered is only known if it was tried; who is there answers before one can look. */
bool explain_is_silent(struct explain *e)
{
    const struct nsh_fib_answer *a = &e->forth.answer;
    bool gateway = a->via_family != AF_UNSPEC;
    int family = gateway ? a->via_family : e->now.family;
    const union nsh_addr *next = gateway ? &a->via : &e->now.dst;
    char text[NSH_ADDR_TEXT];
    int state = e->fib->ops->neighbour(e->fib, e->forth.ifindex, family, next);

    if (state < 0 || (state & (NUD_FAILED | NUD_INCOMPLETE)) == 0)
        return false;
    nsh_addr_format(family, next, text);
    explain_say(e, "%s %s was asked for last, and did not answer %s.",
            gateway ? "The gateway" : "The neighbour", text, family == AF_INET6 ? "NDP" : "ARP");
    explain_stop(e,
            gateway ? "the right gateway in the route, or that it is switched on and connected"
                    : "that it is switched on, has that address and is connected",
            "%s %s does not answer on the link of %s", gateway ? "the gateway" : "the neighbour",
            text, e->forth.dev);
    return true;
}

/* ---- telling ---- */

static void stop_unclaimed(struct explain *e, const struct explain_link *l,
        const union nsh_addr *addr, const char *consequence)
{
    char text[NSH_ADDR_TEXT], dev[NSH_TEXT_DEVICE], fix[640];
    bool six = e->first.family == AF_INET6;

    nsh_text_word(l->dev, dev, sizeof dev);
    nsh_addr_format(e->first.family, addr, text);
    if (six)
        snprintf(fix, sizeof fix,
                "run: ip -6 addr add %s/128 dev %s, or: sysctl -w net/ipv6/conf/%s/proxy_ndp=1 && "
                "ip "
                "-6 neigh add proxy %s dev %s; or a route to it by this machine, in the routers of "
                "that link",
                text, dev, dev, text, dev);
    else
        snprintf(fix, sizeof fix,
                "run: ip addr add %s/32 dev %s; or, also for a whole prefix, '{to: %s, type: "
                "local, "
                "dev: lo}' among the routes of the file; or a route to it by this machine, in the "
                "routers of that link",
                text, dev, text);
    explain_say(e,
            "%s is in the subnet of %s, but this machine does not answer %s for it there: %s.",
            text, l->dev, six ? "NDP" : "ARP", consequence);
    explain_stop(e, fix, "nobody on the link of %s is told that %s is here: %s", l->dev, text,
            consequence);
}

/*
 * A router on that link may have been told of it by a route, as providers do with single addresses:
 * whoever sends from behind one comes here then.
 */
static void doubt_unclaimed(struct explain *e, const struct explain_link *l,
        const union nsh_addr *addr, const char *consequence)
{
    char text[NSH_ADDR_TEXT];

    nsh_addr_format(e->first.family, addr, text);
    explain_say(e,
            "%s is in the subnet of %s, but this machine does not answer %s for it there: only if "
            "the router of that link has a route to it by this machine, which can't be seen from "
            "here, it is sent here.",
            text, l->dev, e->first.family == AF_INET6 ? "NDP" : "ARP");
    explain_doubt(e, "unless the router on the link of %s has a route to %s by this machine, %s",
            l->dev, text, consequence);
}

/* The packet would not come here in the first place. */
bool explain_never_comes(struct explain *e)
{
    struct explain_link l = {.ifindex = e->in};

    if (!e->led_by || e->first.local)
        return false;
    memcpy(l.dev, e->first.in, sizeof l.dev);
    if (!is_unclaimed(e, &l, &e->first.dst))
        return false;
    if (!explain_is_on_link(e, e->in, &e->first.src)) {
        doubt_unclaimed(e, &l, &e->first.dst, "the packet does not come here");
        return false;
    }
    stop_unclaimed(e, &l, &e->first.dst, "the packet does not come here");
    return true;
}

static void note_away(struct explain *e)
{
    char as[NSH_ADDR_TEXT], via[NSH_ADDR_TEXT];
    bool gateway = e->forth.answer.via_family == e->first.family;

    nsh_addr_format(e->first.family, &e->now.src, as);
    if (gateway)
        nsh_addr_format(e->first.family, &e->forth.answer.via, via);
    explain_note(e,
            "%s is in no subnet of %s: answers come back only if %s%s a route to it by this "
            "machine, "
            "which can't be seen from here",
            as, e->forth.dev, gateway ? via : "whoever gives them", " has");
}

/* A share masquerades IPv6 only where it says so. */
static const struct nsh_share *plain_share(const struct explain *e)
{
    const struct nsh_config *c = e->desired->config;

    for (size_t i = 0; e->first.family == AF_INET6 && i < c->n_shares; i++)
        if (!c->shares[i].masquerade_ipv6 && !c->shares[i].policy.disabled &&
                nsh_device_list_has(&c->shares[i].lan, e->first.in) &&
                nsh_device_list_has(&c->shares[i].wan, e->forth.dev))
            return &c->shares[i];
    return NULL;
}

static void note_private(struct explain *e)
{
    const struct nsh_share *share = plain_share(e);
    char source[NSH_ADDR_TEXT], place[512], fix[640];

    if (share)
        snprintf(fix, sizeof fix, "'ipv6: masquerade' in share %s%s, or a network-map,",
                share->policy.name, explain_place(e, share->policy.origin, place, sizeof place));
    else
        snprintf(fix, sizeof fix, "a share or masquerade out of %s", e->forth.dev);
    nsh_addr_format(e->first.family, &e->now.src, source);
    explain_note(e,
            "%s is a private address, and nothing changes it: answers come back only from who has "
            "a route to it by this machine; %s would give it another",
            source, fix);
}

bool explain_is_unanswered(struct explain *e)
{
    struct explain_link l = {.ifindex = e->forth.ifindex};
    const union nsh_addr *as = &e->now.src;

    memcpy(l.dev, e->forth.dev, sizeof l.dev);
    if (nsh_addr_cmp(as, &e->first.src) == 0) {
        if (e->in != 0 && nsh_addr_is_private(e->first.family, as) &&
                !nsh_addr_is_private(e->first.family, &e->now.dst))
            note_private(e);
        return false;
    }
    if (is_unclaimed(e, &l, as) && e->forth.answer.via_family != AF_UNSPEC) {
        doubt_unclaimed(e, &l, as, "no answer comes back");
        return false;
    }
    if (is_unclaimed(e, &l, as)) {
        stop_unclaimed(e, &l, as, "no answer comes back");
        return true;
    }
    if (!explain_is_on_link(e, l.ifindex, as) && !explain_is_own(e, as, l.ifindex))
        note_away(e);
    return false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `explain` about packets that never come here, or that no configuration would have
 * forwarded: by their addresses, by the state of the link, and what two hosts of one link send to
 * each other.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "explain.h"
#include "text.h"

/* ---- addresses ---- */

/* IPv4 has a whole network of them. */
static bool is_nobody(const struct explain *e, const union nsh_addr *a)
{
    static const union nsh_addr none;

    return e->first.family == AF_INET ? a->bytes[0] == 0 : nsh_addr_cmp(a, &none) == 0;
}

bool explain_is_multicast(int family, const union nsh_addr *addr)
{
    return family == AF_INET6 ? addr->bytes[0] == 0xff : (addr->bytes[0] & 0xf0) == 0xe0;
}

static bool is_multicast(const struct explain *e, const union nsh_addr *a)
{
    return explain_is_multicast(e->first.family, a);
}

/* To all of a link: of any one, or of one of this machine's. */
static bool is_broadcast(const struct explain *e, const union nsh_addr *a)
{
    static const uint8_t all[4] = {0xff, 0xff, 0xff, 0xff};
    struct nsh_fib_question q = {.family = AF_INET, .to = *a};
    struct nsh_fib_answer answer;

    if (e->first.family != AF_INET)
        return false;
    return memcmp(a->bytes, all, sizeof all) == 0 ||
           (e->fib->ops->path(e->fib, &q, &answer) == 0 && answer.type == RTN_BROADCAST);
}

static bool is_loopback(const struct explain *e, const union nsh_addr *a)
{
    static const union nsh_addr six = {.bytes = {[15] = 1}};

    return e->first.family == AF_INET ? a->bytes[0] == IN_LOOPBACKNET : nsh_addr_cmp(a, &six) == 0;
}

/* IPv4 forwards its own; only other machines do not. */
static bool is_link_local(const struct explain *e, const union nsh_addr *a)
{
    return e->first.family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

static const struct sense {
    bool (*is)(const struct explain *e, const union nsh_addr *a);
    bool source; /* of it; else of the destination */
    bool abroad; /* no matter if it is between this machine and its own */
    const char *reason, *fix;
} senses[] = {
        {is_nobody, true, false,
                "nobody's address: who sends from it has none yet, and that is not forwarded",
                "an address for who sends so, as by DHCP"},
        {is_multicast, true, false, "a multicast address, and no packet comes from one", ""},
        {is_broadcast, true, false, "a broadcast address, and no packet comes from one", ""},
        {is_loopback, true, true, "a loopback address, and what comes in from one is dropped", ""},
        {is_link_local, true, true,
                "a link-local address, and what comes from one is not forwarded",
                "an address of a network for who sends so"},
        {is_nobody, false, false, "nobody's address, and nothing is sent to it", ""},
        {is_loopback, false, true, "a loopback address, which is for what stays on one machine",
                ""},
        {is_link_local, false, true,
                "a link-local address, and what is sent to one is not forwarded",
                "an address of a network for whom it is sent to"},
};

/* What stays on this machine, or on its link. */
static bool is_at_home(const struct explain *e)
{
    if (is_loopback(e, &e->first.src) || is_loopback(e, &e->first.dst))
        return !e->options->in && explain_is_own(e, &e->first.src, 0);
    return explain_is_own(e, &e->first.dst, 0) || is_multicast(e, &e->first.dst) ||
           (!e->options->in && explain_is_own(e, &e->first.src, 0));
}

static const struct sense *find_sense(const struct explain *e)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(senses); i++) {
        const struct sense *s = &senses[i];

        if (s->is(e, s->source ? &e->first.src : &e->first.dst) && !(s->abroad && is_at_home(e)))
            return s;
    }
    return NULL;
}

bool explain_is_senseless(const struct explain *e)
{
    return find_sense(e);
}

bool explain_stop_senseless(struct explain *e)
{
    const struct sense *s = find_sense(e);
    char address[NSH_ADDR_TEXT];

    if (!s)
        return false;
    nsh_addr_format(e->first.family, s->source ? &e->first.src : &e->first.dst, address);
    explain_stop(e, s->fix, "%s is %s", address, s->reason);
    explain_say(e, "%s.", json_string_value(json_object_get(e->stop, "reason")));
    return true;
}

/* ---- links ---- */

bool explain_is_dead(struct explain *e, uint32_t ifindex, const char *dev)
{
    enum explain_state state = explain_link_state(e, ifindex);
    char fix[160], word[NSH_TEXT_DEVICE];

    if (state == EXPLAIN_LINK_UP)
        return false;
    if (state == EXPLAIN_LINK_DOWN)
        snprintf(fix, sizeof fix, "run: ip link set %s up", nsh_text_word(dev, word, sizeof word));
    else
        snprintf(fix, sizeof fix,
                "what %s is connected to: the cable, and that the other end is switched on", dev);
    explain_say(e, "%s %s.", dev,
            state == EXPLAIN_LINK_DOWN ? "is switched off" : "has no carrier (NO-CARRIER)");
    explain_stop(e, fix, "%s %s: nothing comes in or leaves by it", dev,
            state == EXPLAIN_LINK_DOWN ? "is switched off" : "has no carrier");
    return true;
}

/* ---- neighbours of each other ---- */

bool explain_is_direct(struct explain *e)
{
    char from[NSH_ADDR_TEXT], to[NSH_ADDR_TEXT], fix[160];

    if (!e->in_assumed || e->led_by || e->here || e->forth.ifindex != e->in ||
            e->forth.answer.via_family != AF_UNSPEC || explain_ahead(e, false, &e->first, NULL) ||
            !explain_is_on_link(e, e->in, &e->first.src) ||
            !explain_is_on_link(e, e->in, &e->first.dst))
        return false;
    nsh_addr_format(e->first.family, &e->first.src, from);
    nsh_addr_format(e->first.family, &e->first.dst, to);
    snprintf(fix, sizeof fix, "nothing here: what is between %s and %s, and their own firewalls",
            from, to);
    explain_say(e, "%s and %s are both on the link of %s, and talk to each other directly.", from,
            to, e->first.in);
    explain_stop(e, fix, "%s and %s are on one link: the packet does not come here", from, to);
    return true;
}

/* Which end it is: who is private is looked for here, the world is behind the default route. */
static bool is_source_lost(const struct explain *e)
{
    return nsh_addr_is_private(e->first.family, &e->first.src) ||
           !nsh_addr_is_private(e->first.family, &e->now.dst);
}

/* Its network is here, but switched off. */
static bool is_lost_with_link(struct explain *e, const union nsh_addr *lost, const char *text)
{
    char dev[IFNAMSIZ], fix[160], word[NSH_TEXT_DEVICE];
    uint32_t down = explain_down_link(e, lost);

    if (down == 0 || e->fib->ops->link_name(e->fib, down, dev) < 0)
        return false;
    snprintf(fix, sizeof fix, "run: ip link set %s up", nsh_text_word(dev, word, sizeof word));
    explain_say(e, "%s is in the network of %s, which is switched off: it would leave by %s again.",
            text, dev, e->first.in);
    explain_stop(e, fix, "%s, in whose network %s is, is switched off", dev, text);
    return true;
}

bool explain_is_homeless(struct explain *e)
{
    const union nsh_addr *lost = is_source_lost(e) ? &e->first.src : &e->now.dst;
    char text[NSH_ADDR_TEXT], fix[384], word[NSH_TEXT_DEVICE];

    if (!e->in_default || e->in_down || e->led_by || e->here || e->forth.ifindex != e->in ||
            explain_is_on_link(e, e->in, lost) || explain_ahead(e, false, &e->first, NULL))
        return false;
    nsh_addr_format(e->first.family, lost, text);
    if (is_lost_with_link(e, lost, text))
        return true;
    nsh_text_word(e->first.in, word, sizeof word);
    snprintf(fix, sizeof fix,
            "the right address, if %s is mistyped; else an address of its network on the interface "
            "by which it is connected, or a route to it; if it is behind %s indeed: --in %s",
            text, e->first.in, word);
    explain_say(e,
            "No link of this machine has %s in a network of its own, and no route but the default "
            "one leads to it: it would leave by %s again.",
            text, e->first.in);
    explain_stop(e, fix, "no network of this machine has %s", text);
    return true;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule of others in words, and what a packet needs for it: as much of it as is understood, which
 * is its header at least. A comment is no part of what it does.
 */
#include "firewall-iptc-part.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"

/* A jump to a chain of theirs may come back, so it is not told of. */
static bool ends_the_way(const char *target)
{
    static const char *const ends[] = {
            "ACCEPT", "DROP", "RETURN", "MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(ends); i++)
        if (strcmp(target, ends[i]) == 0)
            return true;
    return false;
}

static void set_u16(struct nsh_xt_entry *e, size_t at, size_t value)
{
    const uint16_t v = (uint16_t)value;

    memcpy(e->bytes + at, &v, sizeof v);
}

/* Without comments. False: it is larger than any of ours. */
static bool copy(const struct nsh_xt *xt, const void *rule, struct nsh_xt_entry *ret)
{
    size_t end = nsh_xt_target_offset(xt, rule), at = xt->entry_size, n;
    const struct xt_entry_match *m;

    ret->size = nsh_xt_next_offset(xt, rule);
    if (ret->size > sizeof ret->bytes)
        return false;
    memcpy(ret->bytes, rule, ret->size);
    while ((m = nsh_xt_match_at(ret, at, end))) {
        n = m->u.match_size;
        if (strncmp(m->u.user.name, "comment", sizeof m->u.user.name) != 0) {
            at += n;
            continue;
        }
        memmove(ret->bytes + at, ret->bytes + at + n, ret->size - at - n);
        ret->size -= n;
        end -= n;
    }
    set_u16(ret, xt->target_offset_at, end);
    set_u16(ret, xt->next_offset_at, ret->size);
    return true;
}

/* ---- in words ---- */

struct words {
    char *buf;
    size_t size, at;
};

static void put(struct words *w, const char *text)
{
    int n = snprintf(w->buf + w->at, w->size - w->at, " %s", text);

    w->at = n > 0 && (size_t)n < w->size - w->at ? w->at + (size_t)n : w->size - 1;
}

static void put_option(struct words *w, bool inverted, const char *option, const char *value)
{
    if (value[0] == '\0')
        return;
    if (inverted)
        put(w, "!");
    put(w, option);
    put(w, value);
}

static const char *prefix_text(const struct nsh_prefix *p, char buf[static NSH_PREFIX_TEXT])
{
    char addr[NSH_ADDR_TEXT];

    if (p->family == AF_UNSPEC)
        return "";
    snprintf(buf, NSH_PREFIX_TEXT, "%s/%u", nsh_addr_format(p->family, &p->addr, addr), p->length);
    return buf;
}

/* What a match says is left open. */
static void put_matches(struct words *w, const struct nsh_xt *xt, struct nsh_xt_entry *e)
{
    size_t end = nsh_xt_target_offset(xt, e->bytes);
    const struct xt_entry_match *m;

    for (size_t at = xt->entry_size; (m = nsh_xt_match_at(e, at, end)); at += m->u.match_size) {
        put(w, "-m");
        put(w, m->u.user.name);
        put(w, "...");
    }
}

static void put_header(struct words *w, const struct nsh_packet_rule *h, uint8_t inverted)
{
    char text[NSH_PREFIX_TEXT];

    put_option(w, inverted & IPT_INV_SRCIP, "-s", prefix_text(&h->from, text));
    put_option(w, inverted & IPT_INV_DSTIP, "-d", prefix_text(&h->to, text));
    put_option(w, inverted & IPT_INV_VIA_IN, "-i", h->in);
    put_option(w, inverted & IPT_INV_VIA_OUT, "-o", h->out);
    snprintf(text, sizeof text, "%u", h->protocol);
    put_option(w, inverted & IPT_INV_PROTO, "-p", h->protocol ? text : "");
}

/* ---- what it needs ---- */

static void move_device(char from[static IFNAMSIZ], char to[static IFNAMSIZ])
{
    memcpy(to, from, IFNAMSIZ);
    memset(from, 0, IFNAMSIZ);
}

static void sort_out(struct nsh_ahead_seen *a, uint8_t inverted)
{
    const struct nsh_prefix none = {.family = AF_UNSPEC};

    if (inverted & IPT_INV_SRCIP) {
        a->spares.from = a->needs.from;
        a->needs.from = none;
    }
    if (inverted & IPT_INV_DSTIP) {
        a->spares.to = a->needs.to;
        a->needs.to = none;
    }
    if (inverted & IPT_INV_VIA_IN)
        move_device(a->needs.in, a->spares.in);
    if (inverted & IPT_INV_VIA_OUT)
        move_device(a->needs.out, a->spares.out);
    if (inverted & IPT_INV_PROTO)
        a->needs.protocol = 0;
}

bool nsh_xt_describe(const struct nsh_xt *xt, struct nsh_xt_names *names, const char *hook,
        const void *rule, const char *target, struct nsh_ahead_seen *ret)
{
    struct words w = {.buf = ret->text, .size = sizeof ret->text};
    char text[NSH_PACKET_RULE_TEXT];
    struct nsh_xt_entry e;
    uint8_t inverted;

    if (!ends_the_way(target))
        return false;
    *ret = (struct nsh_ahead_seen){.first_helps = true};
    w.at = (size_t)snprintf(w.buf, w.size, "-A %.28s", hook);
    if (copy(xt, rule, &e)) {
        nsh_xt_decode(xt, names, e.bytes, target, &ret->needs);
    } else {
        memcpy(e.bytes, rule, xt->entry_size);
        e.size = xt->entry_size;
        ret->needs.action = NSH_PACKET_OTHER;
    }
    if (ret->needs.action != NSH_PACKET_OTHER) {
        put(&w, nsh_packet_rule_format(&ret->needs, text, sizeof text));
        return true;
    }
    ret->needs = (struct nsh_packet_rule){.action = NSH_PACKET_OTHER};
    inverted = nsh_xt_get_header(xt, &e, &ret->needs);
    put_header(&w, &ret->needs, inverted);
    if (e.size > xt->entry_size)
        put_matches(&w, xt, &e);
    else
        put(&w, "...");
    put(&w, "-j");
    put(&w, target);
    sort_out(ret, inverted);
    return true;
}

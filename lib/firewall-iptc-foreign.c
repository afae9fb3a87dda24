/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of others in the table nat as values. As in firewall-iptc-entry.c parts are guessed,
 * written again and compared, but each by itself: a rule may have them in another order than ours,
 * and some that ours never have.
 */
#include "firewall-iptc-part.h"

#include <errno.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_policy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "foreign.h"

#define HEADER sizeof(struct xt_entry_match)

/* ---- parts that ours have, too ---- */

/* The part with its header, as netshared would write it. False: it is too large. */
static bool make_part(const struct nsh_foreign_part *part, struct nsh_xt_entry *ret)
{
    ret->size = 0;
    if (part->size > sizeof ret->bytes - HEADER - XT_ALIGN(1))
        return false;
    memcpy(nsh_xt_put_part(ret, part->name, part->revision, part->size), part->data, part->size);
    return true;
}

static bool same(const struct nsh_xt_entry *a, const struct nsh_xt_entry *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* Without "-p tcp " before and " -j RETURN" behind: the words of the match alone. */
static void say_match(struct nsh_foreign_rule *f, const struct nsh_packet_rule *r)
{
    char text[NSH_PACKET_RULE_TEXT];
    const char *at = nsh_packet_rule_format(r, text, sizeof text);
    char *end = strstr(text, " -j RETURN");

    if (end)
        *end = '\0';
    if (strncmp(at, "-p ", 3) == 0 && strchr(at + 3, ' '))
        at = strchr(at + 3, ' ') + 1;
    nsh_foreign_say(f, "%s", at);
}

static void take(struct nsh_packet_rule *into, const struct nsh_packet_rule *r)
{
    if (r->source_port.last > 0)
        into->source_port = r->source_port;
    if (r->destination_port.last > 0)
        into->destination_port = r->destination_port;
    if (r->mark.mask != 0)
        into->mark = r->mark;
    into->states |= r->states;
    into->translated |= r->translated;
    into->ipsec |= r->ipsec;
    into->syn |= r->syn;
    if (r->local != NSH_LOCAL_ANY)
        into->local = r->local;
}

static bool get_ours(struct nsh_foreign_rule *f, const struct nsh_foreign_part *part,
        struct nsh_packet_rule *ret)
{
    struct nsh_xt_entry seen, again = {0};

    *ret = (struct nsh_packet_rule){.protocol = f->needs.protocol, .action = NSH_PACKET_RETURN};
    if (strcmp(part->name, "set") == 0 || !make_part(part, &seen))
        return false;
    nsh_xt_get_match(NULL, (const struct xt_entry_match *)seen.bytes, ret);
    return nsh_xt_put_matches(nsh_xt_of(f->family), NULL, ret, &again) >= 0 && same(&seen, &again);
}

/* ---- parts that only others have ---- */

static bool get_comment(struct nsh_foreign_rule *f, const struct nsh_foreign_part *part, bool said)
{
    char text[XT_MAX_COMMENT_LEN + 1] = "";
    size_t n = part->size < XT_MAX_COMMENT_LEN ? part->size : XT_MAX_COMMENT_LEN;

    memcpy(text, part->data, n);
    nsh_autofree char *quoted = nsh_foreign_quote(text);
    if (said && quoted)
        nsh_foreign_say(f, "-m comment --comment %s", quoted);
    return quoted != NULL;
}

static bool get_multiport(
        struct nsh_foreign_rule *f, const struct nsh_foreign_part *part, bool said)
{
    struct nsh_foreign_ports *ports;
    struct xt_multiport_v1 m;
    char text[XT_MULTI_PORTS * 6 + 1] = "";
    size_t at = 0;

    if (part->revision != 1 || part->size < sizeof m)
        return false;
    memcpy(&m, part->data, sizeof m);
    ports = m.flags == XT_MULTIPORT_SOURCE ? &f->source_ports : &f->destination_ports;
    if (m.invert || m.count > XT_MULTI_PORTS || m.flags == XT_MULTIPORT_EITHER || ports->n > 0)
        return false;
    for (unsigned i = 0; i < m.count; i++) {
        struct nsh_range *r = &ports->items[ports->n++];

        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", i > 0 ? "," : "", m.ports[i]);
        *r = (struct nsh_range){m.ports[i], m.ports[i]};
        if (m.pflags[i] && i + 1U < m.count) {
            r->last = m.ports[++i];
            at += (size_t)snprintf(text + at, sizeof text - at, ":%u", m.ports[i]);
        }
    }
    if (said)
        nsh_foreign_say(
                f, "-m multiport --%s %s", ports == &f->source_ports ? "sports" : "dports", text);
    return true;
}

static bool get_no_ipsec(struct nsh_foreign_rule *f, const struct nsh_foreign_part *part, bool said)
{
    struct xt_policy_info m;

    if (part->revision != 0 || part->size < sizeof m)
        return false;
    memcpy(&m, part->data, sizeof m);
    if (m.flags != (XT_POLICY_MATCH_OUT | XT_POLICY_MATCH_NONE) || m.len != 0)
        return false;
    f->spares_ipsec = true;
    if (said)
        nsh_foreign_say(f, "-m policy --dir out --pol none");
    return true;
}

static const struct {
    const char *name;
    bool (*get)(struct nsh_foreign_rule *f, const struct nsh_foreign_part *part, bool said);
} theirs[] = {
        {"comment", get_comment},
        {"multiport", get_multiport},
        {"policy", get_no_ipsec},
};

void nsh_foreign_xt_match(
        struct nsh_foreign_rule *f, const struct nsh_foreign_part *part, bool said)
{
    struct nsh_packet_rule r;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(theirs); i++)
        if (strcmp(theirs[i].name, part->name) == 0 && theirs[i].get(f, part, said))
            return;
    if (get_ours(f, part, &r)) {
        take(&f->needs, &r);
        if (said)
            say_match(f, &r);
        return;
    }
    if (said)
        nsh_foreign_say(f, "-m %.28s ...", part->name);
    nsh_foreign_doubt(f, "the match '%.28s'", part->name);
}

/* ---- targets ---- */

static bool is_translation(enum nsh_packet_action action)
{
    return action == NSH_PACKET_MASQUERADE || action == NSH_PACKET_SNAT ||
           action == NSH_PACKET_DNAT || action == NSH_PACKET_NETMAP;
}

void nsh_foreign_xt_target(
        struct nsh_foreign_rule *f, const struct nsh_foreign_part *part, bool said)
{
    struct nsh_packet_rule r = {.action = nsh_xt_guess_action(part->name)};
    struct nsh_packet_rule written;
    const struct nsh_xt *xt = nsh_xt_of(f->family);
    char text[NSH_PACKET_RULE_TEXT];
    struct nsh_xt_entry seen, again = {0};

    if (is_translation(r.action) && make_part(part, &seen)) {
        nsh_xt_get_target(xt, (const struct xt_entry_target *)seen.bytes, &r);
        written = r;
        written.protocol = f->needs.protocol;
        if (nsh_xt_put_target(xt, &written, &again) >= 0 && same(&seen, &again)) {
            f->needs.action = r.action;
            f->needs.nat = r.nat;
            f->needs.map = r.map;
            if (said)
                nsh_foreign_say(f, "%s", nsh_packet_rule_format(&r, text, sizeof text));
            return;
        }
    }
    if (said)
        nsh_foreign_say(f, "-j %.28s ...", part->name);
    nsh_foreign_doubt(f, "the target '%.28s'", part->name);
}

/* ---- a rule ---- */

/* The header's address, devices and protocol, written again. */
static bool header_is_exact(const struct nsh_xt *xt, const void *rule,
        const struct nsh_packet_rule *r, uint8_t inverted)
{
    const uint8_t known = IPT_INV_SRCIP | IPT_INV_DSTIP | IPT_INV_VIA_IN | IPT_INV_VIA_OUT;
    struct nsh_packet_rule header = {
            .from = r->from, .to = r->to, .protocol = r->protocol, .action = NSH_PACKET_RETURN};
    struct nsh_xt_entry seen, again;

    memcpy(header.in, r->in, sizeof header.in);
    memcpy(header.out, r->out, sizeof header.out);
    memcpy(seen.bytes, rule, xt->entry_size);
    if (xt->family == AF_INET)
        ((struct ipt_entry *)seen.bytes)->ip.invflags = 0;
    else
        ((struct ip6t_entry *)seen.bytes)->ipv6.invflags = 0;
    return (inverted & ~known) == 0 && nsh_xt_encode(xt, NULL, &header, &again) >= 0 &&
           memcmp(seen.bytes, again.bytes, xt->nfcache_at) == 0;
}

static void say_prefix(struct nsh_foreign_rule *f, const struct nsh_prefix *p, const char *option)
{
    char addr[NSH_ADDR_TEXT];

    if (p->family != AF_UNSPEC)
        nsh_foreign_say(
                f, "%s %s/%u", option, nsh_addr_format(p->family, &p->addr, addr), p->length);
}

static void say_device(struct nsh_foreign_rule *f, const char *device, const char *option)
{
    nsh_autofree char *quoted = nsh_foreign_quote(device);

    if (device[0] != '\0' && quoted)
        nsh_foreign_say(f, "%s %s", option, quoted);
}

static void say_header(struct nsh_foreign_rule *f)
{
    static const char *const names[] = {[IPPROTO_ICMP] = "icmp",
            [IPPROTO_TCP] = "tcp",
            [IPPROTO_UDP] = "udp",
            [IPPROTO_ICMPV6] = "ipv6-icmp",
            [IPPROTO_SCTP] = "sctp"};
    const char *name = f->needs.protocol < NSH_ARRAY_SIZE(names) ? names[f->needs.protocol] : NULL;

    say_prefix(f, &f->needs.from, "-s");
    say_prefix(f, &f->spares.from, "! -s");
    say_prefix(f, &f->needs.to, "-d");
    say_prefix(f, &f->spares.to, "! -d");
    say_device(f, f->needs.in, "-i");
    say_device(f, f->spares.in, "! -i");
    say_device(f, f->needs.out, "-o");
    say_device(f, f->spares.out, "! -o");
    if (name)
        nsh_foreign_say(f, "-p %s", name);
    else if (f->needs.protocol != 0)
        nsh_foreign_say(f, "-p %u", f->needs.protocol);
}

static void move(void *from, void *to, size_t size)
{
    memcpy(to, from, size);
    memset(from, 0, size);
}

static void get_header(struct nsh_foreign_rule *f, const struct nsh_xt *xt, const void *rule)
{
    struct nsh_packet_rule *n = &f->needs, *s = &f->spares;
    struct nsh_xt_entry e;
    uint8_t inverted;

    memcpy(e.bytes, rule, xt->entry_size);
    inverted = nsh_xt_get_header(xt, &e, n);
    if (!header_is_exact(xt, rule, n, inverted))
        nsh_foreign_doubt(f, "its first part");
    if (inverted & IPT_INV_SRCIP)
        move(&n->from, &s->from, sizeof n->from);
    if (inverted & IPT_INV_DSTIP)
        move(&n->to, &s->to, sizeof n->to);
    if (inverted & IPT_INV_VIA_IN)
        move(n->in, s->in, sizeof n->in);
    if (inverted & IPT_INV_VIA_OUT)
        move(n->out, s->out, sizeof n->out);
    if (inverted & IPT_INV_PROTO)
        n->protocol = 0;
    say_header(f);
}

static void get_matches(struct nsh_foreign_rule *f, const struct nsh_xt *xt, const void *rule)
{
    size_t end = nsh_xt_target_offset(xt, rule), at = xt->entry_size;

    while (at + HEADER <= end) {
        const struct xt_entry_match *m = (const void *)((const char *)rule + at);
        char name[sizeof m->u.user.name + 1] = "";

        if (m->u.match_size < HEADER || m->u.match_size > end - at)
            return;
        memcpy(name, m->u.user.name, sizeof m->u.user.name);
        nsh_foreign_xt_match(f,
                &(struct nsh_foreign_part){
                        name, m->u.user.revision, m->data, m->u.match_size - HEADER},
                true);
        at += m->u.match_size;
    }
}

static void get_target(struct nsh_foreign_rule *f, const struct nsh_xt *xt, const void *rule,
        const char *target, struct xtc_handle *h)
{
    const struct xt_entry_target *t =
            (const void *)((const char *)rule + nsh_xt_target_offset(xt, rule));
    enum nsh_packet_action action = nsh_xt_guess_action(target);

    if (xt->is_chain(target, h)) {
        (void)snprintf(f->leads, sizeof f->leads, "%s", target);
        nsh_foreign_say(f, "-j %s", target);
        nsh_foreign_doubt(f, "the chain that it leads to");
    } else if (nsh_xt_is_verdict(action)) {
        f->needs.action = action;
        nsh_foreign_say(f, "-j %s", target);
    } else {
        nsh_foreign_xt_target(f,
                &(struct nsh_foreign_part){
                        target, t->u.user.revision, t->data, t->u.target_size - sizeof *t},
                true);
    }
}

static void say_removal(struct nsh_foreign_rule *f, const char *program)
{
    int n = snprintf(f->remove, sizeof f->remove, "%s -w -t nat -D %s", program, f->text + 3);

    if (f->why[0] != '\0' || n < 0 || (size_t)n >= sizeof f->remove)
        f->remove[0] = '\0';
}

static void get_rule(struct nsh_foreign_rule *f, const struct nsh_xt *xt, const void *rule,
        const char *target, struct xtc_handle *h)
{
    const char *program = xt->family == AF_INET6 ? "ip6tables-legacy" : "iptables-legacy";

    f->family = xt->family;
    f->legacy = true;
    f->needs.action = NSH_PACKET_OTHER;
    (void)snprintf(f->place, sizeof f->place, "%s -t nat", program);
    nsh_foreign_say(f, "-A %s", f->hook);
    get_header(f, xt, rule);
    get_matches(f, xt, rule);
    get_target(f, xt, rule, target, h);
    say_removal(f, program);
}

void nsh_xt_rule_format(const struct nsh_xt *xt, struct xtc_handle *h, const char *chain,
        const void *rule, char *buf, size_t size)
{
    struct nsh_foreign_rule f = {.hook = chain};

    get_rule(&f, xt, rule, xt->target(rule, h), h);
    snprintf(buf, size, "%s", f.text);
}

static int get_rules(
        const struct nsh_xt *xt, struct xtc_handle *h, nsh_foreign_seen *seen, void *userdata)
{
    static const char *const hooks[] = {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"};
    int r = 0;

    for (uint32_t i = 0; i < NSH_ARRAY_SIZE(hooks); i++) {
        if (!xt->builtin(hooks[i], h))
            continue;
        for (const void *at = xt->first_rule(hooks[i], h); r == 0 && at;
                at = xt->next_rule(at, h)) {
            const char *target = xt->target(at, h);
            struct nsh_foreign_rule f = {.hook = hooks[i], .chain = i};

            if (nsh_chain_is_ours(target))
                continue;
            get_rule(&f, xt, at, target, h);
            r = seen(userdata, &f);
        }
    }
    return r;
}

int nsh_xt_foreign(struct nsh_firewall *fw, int family, nsh_foreign_seen *seen, void *userdata)
{
    const struct nsh_xt *xt = nsh_xt_of(family);
    int r = xt ? nsh_xt_table_listed(xt, NSH_TABLE_NAT) : -EAFNOSUPPORT;
    struct xtc_handle *h;

    (void)fw;
    if (r <= 0)
        return r;
    errno = 0;
    h = xt->init(nsh_table_name(NSH_TABLE_NAT));
    if (!h)
        return errno > 0 ? -errno : -EIO;
    r = get_rules(xt, h, seen, userdata);
    xt->free(h);
    return r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sections of policies. Rules of others can't be adopted in place: netshared's chains stand
 * beside them, do the same, and stay when they go. So for each rule that becomes a policy two
 * questions are asked.
 *
 * May it be taken? What rules before it spare or translate, ours must not take. In legacy iptables
 * they come before our chains as well, for as long as they stand; in nftables each base chain has
 * its own say, and an accept in one of others keeps nothing from ours. There all that comes before
 * and could concern the same packets must be said by the policy, too.
 *
 * May it go, then? Not while a rule that stays stands behind it that would take its packets now.
 */
#include "import-policies.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

NSH_DEFINE_CLEANUP(struct nsh_config *, nsh_config_free)

enum fate {
    LEFT,    /* as it is; `why` */
    OWNED,   /* as it is: of a program, `why` */
    TAKEN,   /* a policy says it */
    SPARING, /* the exceptions of policies behind it say it */
};

struct item {
    const struct nsh_foreign_rule *f;
    enum fate fate;
    enum nsh_policy_kind kind; /* of what it was taken for */
    bool written;              /* it has words of its own in the file: of a pair, one has */
    bool proposed;             /* it is left, and `yaml` comes close */
    bool needed;               /* where it stands: what it spares a policy behind it can't */
    bool goes;                 /* once netshared holds the policy */
    char *yaml;                /* an object of the section; malloc'd */
    char *why;                 /* malloc'd */
};

struct work {
    const struct nsh_import *m;
    struct item *items;
    size_t n;
    struct import_names names;
};

static void work_done(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->items[i].yaml);
        free(w->items[i].why);
    }
    free(w->items);
    free(w->names.items);
}

static const char *const sections[NSH_POLICY_KINDS] = {
        [NSH_POLICY_MASQUERADE] = "masquerade",
        [NSH_POLICY_PORT_FORWARD] = "port-forwards",
        [NSH_POLICY_NETWORK_MAP] = "network-map",
};

/* In the order of the file. */
static const enum nsh_policy_kind order[] = {
        NSH_POLICY_MASQUERADE, NSH_POLICY_PORT_FORWARD, NSH_POLICY_NETWORK_MAP};

__attribute__((format(printf, 2, 3))) static int leave(struct item *i, const char *format, ...)
{
    va_list ap;
    int n;

    free(i->why);
    va_start(ap, format);
    n = vasprintf(&i->why, format, ap);
    va_end(ap);
    i->fate = LEFT;
    if (n >= 0)
        return 0;
    i->why = NULL;
    return -ENOMEM;
}

/* ---- what stands before ---- */

static bool same_chain(const struct nsh_foreign_rule *a, const struct nsh_foreign_rule *b)
{
    return a->legacy == b->legacy && a->family == b->family && a->chain == b->chain;
}

static bool same_hook(const struct nsh_foreign_rule *a, const struct nsh_foreign_rule *b)
{
    return a->legacy == b->legacy && a->family == b->family && strcmp(a->hook, b->hook) == 0;
}

static bool spares(const struct nsh_foreign_rule *f)
{
    return f->needs.action == NSH_PACKET_ACCEPT || f->needs.action == NSH_PACKET_RETURN;
}

/*
 * Gathers what keeps packets from the rule. -EINVAL: that can't be said, and it would matter.
 */
static int look_before(
        struct work *w, size_t at, enum nsh_policy_kind kind, struct import_exempts *ret)
{
    const struct nsh_foreign_rule *f = w->items[at].f;
    void *items = ret->items;
    int q = 0;

    for (size_t i = 0; q == 0 && i < at; i++) {
        struct item *before = &w->items[i];
        const struct nsh_foreign_rule **room;

        if (!same_hook(before->f, f) || before->fate == OWNED || before->fate == TAKEN ||
                !nsh_foreign_meet(before->f, f))
            continue;
        if (spares(before->f) && !same_chain(before->f, f))
            continue;
        if (spares(before->f) && kind == NSH_POLICY_MASQUERADE && import_can_exempt(before->f)) {
            room = nsh_import_add(&items, &ret->n, &ret->max, sizeof(struct nsh_foreign_rule *));
            ret->items = items;
            if (!room)
                return -ENOMEM;
            *room = before->f;
            before->fate = SPARING;
        } else if (f->legacy) {
            before->needed = true;
        } else {
            q = -EINVAL;
            if (leave(&w->items[at],
                        "what stands before it and is not taken (%s) would come too late",
                        before->f->text) < 0)
                q = -ENOMEM;
        }
    }
    return q;
}

/* Port-forwards are asked first, then network-maps, whatever their order in the file. */
static int turn(const struct item *i)
{
    return i->kind == NSH_POLICY_PORT_FORWARD ? 0 : i->kind == NSH_POLICY_NETWORK_MAP ? 1 : 2;
}

/* True if one that is taken would have its turn on the other side of this one. */
static bool turns_round(const struct work *w, size_t at, enum nsh_policy_kind kind)
{
    const struct item as = {.kind = kind};

    for (size_t i = 0; i < w->n; i++) {
        const struct item *other = &w->items[i];

        if (i != at && other->fate == TAKEN && same_hook(other->f, w->items[at].f) &&
                (i < at ? turn(other) > turn(&as) : turn(other) < turn(&as)) &&
                nsh_foreign_meet(other->f, w->items[at].f))
            return true;
    }
    return false;
}

/* ---- taking ---- */

static int judge(struct work *w, struct item *i)
{
    NSH_CLEANUP(nsh_config_freep) struct nsh_config *c = NULL;
    nsh_autofree char *text = NULL, *why = NULL;
    int q;

    if (asprintf(&text, "%s:\n%s", sections[i->kind], i->yaml) < 0) {
        text = NULL;
        return -ENOMEM;
    }
    q = nsh_import_judge(w->m, text, &c, &why);
    if (q == 0)
        i->fate = TAKEN;
    if (q == -EINVAL)
        q = leave(i, "%s", why);
    return q;
}

static int put(struct work *w, struct item *i, const struct import_exempts *exempts, FILE *to)
{
    if (i->kind == NSH_POLICY_MASQUERADE)
        return import_put_masquerade(to, w->m, &w->names, i->f, exempts);
    if (i->kind == NSH_POLICY_PORT_FORWARD)
        return import_put_port_forwards(to, &w->names, i->f);
    return import_put_network_map(to, &w->names, i->f);
}

static const char turned[] =
        "netshared asks port-forwards first, then network-maps, then masquerade policies; another "
        "rule, which was taken, would be asked in another order";

static int take(struct work *w, size_t at, enum nsh_policy_kind kind)
{
    struct item *i = &w->items[at];
    struct import_exempts exempts = {0};
    size_t size, n_names = w->names.n;
    FILE *to;
    int q = look_before(w, at, kind, &exempts);

    i->kind = kind;
    if (q == 0 && turns_round(w, at, kind))
        q = leave(i, "%s", turned) < 0 ? -ENOMEM : -EINVAL;
    if (q < 0) {
        free(exempts.items);
        return q == -EINVAL ? 0 : q;
    }
    to = open_memstream(&i->yaml, &size);
    q = to ? put(w, i, &exempts, to) : -ENOMEM;
    if (to && fclose(to) != 0)
        q = -ENOMEM;
    free(exempts.items);
    if (q == 0)
        q = judge(w, i);
    if (i->fate == TAKEN)
        i->written = true;
    else
        w->names.n = n_names;
    return q;
}

/* The other direction, which is not taken yet. */
static struct item *find_other(struct work *w, const struct nsh_foreign_rule *source)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].fate == LEFT && w->items[i].f->why[0] == '\0' &&
                w->items[i].f->needs.action == NSH_PACKET_NETMAP &&
                strcmp(w->items[i].f->hook, "PREROUTING") == 0 &&
                w->items[i].f->legacy == source->legacy && import_is_map(source, w->items[i].f))
            return &w->items[i];
    return NULL;
}

static int take_map(struct work *w, size_t at)
{
    struct item *source = &w->items[at], *other = find_other(w, source->f);
    struct import_exempts none = {0};
    int q;

    if (!other)
        return leave(source, "a network-map goes both ways, and there is no rule for the other one "
                             "by the same device");
    q = look_before(w, (size_t)(other - w->items), NSH_POLICY_NETWORK_MAP, &none);
    if (q == 0 && turns_round(w, (size_t)(other - w->items), NSH_POLICY_NETWORK_MAP))
        q = leave(other, "%s", turned) < 0 ? -ENOMEM : -EINVAL;
    if (q < 0)
        return q == -EINVAL ? leave(source, "%s", other->why) : q;
    q = take(w, at, NSH_POLICY_NETWORK_MAP);
    if (q == 0 && source->fate == TAKEN) {
        other->fate = TAKEN;
        other->kind = NSH_POLICY_NETWORK_MAP;
    }
    return q;
}

/* What comes close, for the reader to decide. */
static int propose(struct work *w, struct item *i)
{
    struct nsh_foreign_rule wide;
    size_t size;
    FILE *to;
    int q;

    if (!import_widen(i->f, &wide))
        return 0;
    to = open_memstream(&i->yaml, &size);
    q = to ? import_put_port_forwards(to, &w->names, &wide) : -ENOMEM;
    if (to && fclose(to) != 0)
        q = -ENOMEM;
    if (q < 0)
        return q;
    i->kind = NSH_POLICY_PORT_FORWARD;
    i->proposed = true;
    return leave(i, "it is for one address, and a port-forward is for each that this machine has; "
                    "where that is as good, this will do:");
}

static const char no_policy[] = "no policy says this";

static enum nsh_policy_kind kind_of(const struct nsh_foreign_rule *f)
{
    bool source = strcmp(f->hook, "POSTROUTING") == 0;
    bool destination = strcmp(f->hook, "PREROUTING") == 0;

    switch (f->needs.action) {
    case NSH_PACKET_MASQUERADE:
    case NSH_PACKET_SNAT:
        return source ? NSH_POLICY_MASQUERADE : NSH_POLICY_NONE;
    case NSH_PACKET_DNAT:
        return destination ? NSH_POLICY_PORT_FORWARD : NSH_POLICY_NONE;
    case NSH_PACKET_NETMAP:
        return source || destination ? NSH_POLICY_NETWORK_MAP : NSH_POLICY_NONE;
    default:
        return NSH_POLICY_NONE;
    }
}

static int consider(struct work *w, size_t at)
{
    struct item *i = &w->items[at];
    const struct nsh_foreign_rule *f = i->f;
    enum nsh_policy_kind kind = kind_of(f);
    const char *refusal;

    if (i->fate != LEFT)
        return 0;
    if (f->why[0] != '\0')
        return leave(i, "%s is not understood", f->why);
    if (spares(f))
        return 0; /* those behind it say what becomes of it */
    if (kind == NSH_POLICY_NONE)
        return leave(i, "%s", no_policy);
    refusal = import_refusal(f, kind);
    if (refusal && leave(i, "%s", refusal) < 0)
        return -ENOMEM;
    if (refusal)
        return kind == NSH_POLICY_PORT_FORWARD ? propose(w, i) : 0;
    if (kind != NSH_POLICY_NETWORK_MAP)
        return take(w, at, kind);
    /* With the other direction; that comes when its turn is there. */
    return strcmp(f->hook, "POSTROUTING") == 0 ? take_map(w, at) : 0;
}

static int consider_all(struct work *w)
{
    int q = 0;

    for (size_t i = 0; q == 0 && i < w->n; i++) {
        const char *owner = nsh_foreign_owner(w->items[i].f);

        if (!owner)
            continue;
        q = leave(&w->items[i], "%s", owner);
        w->items[i].fate = OWNED;
    }
    for (size_t i = 0; q == 0 && i < w->n; i++)
        q = consider(w, i);
    for (size_t i = 0; q == 0 && i < w->n; i++) {
        struct item *item = &w->items[i];

        if (item->fate != LEFT || item->why)
            continue;
        q = !spares(item->f) ? leave(item, "a network-map goes both ways, and there is no rule for "
                                           "the other one by the same device")
            : item->f->legacy
                    ? leave(item, "it spares what comes behind it; leave it, it comes before "
                                  "netshared's chains, too")
                    : leave(item, "it spares what comes behind it");
    }
    return q;
}

/* True if it stays and would take packets: what leads to a program's chains is not known to. */
static bool would_take(const struct item *i)
{
    return !i->goes && (i->fate != OWNED || (i->f->why[0] == '\0' && !spares(i->f)));
}

/* One rule of an inet table is two here, one of each family. */
static bool is_same_rule(const struct nsh_foreign_rule *a, const struct nsh_foreign_rule *b)
{
    return a->family != b->family && strcmp(a->remove, b->remove) == 0;
}

static bool is_held(const struct work *w, size_t at)
{
    const struct nsh_foreign_rule *f = w->items[at].f;

    for (size_t k = 0; k < w->n; k++) {
        const struct item *other = &w->items[k];

        if (!other->goes && is_same_rule(other->f, f))
            return true;
        if (k > at && same_hook(f, other->f) && would_take(other) && nsh_foreign_meet(other->f, f))
            return true;
    }
    return false;
}

/* What stays holds what stands before it, and that the same rule of the other family. */
static void decide_removals(struct work *w)
{
    bool changed = true;

    for (size_t i = 0; i < w->n; i++) {
        struct item *item = &w->items[i];

        item->goes = (item->fate == TAKEN || item->fate == SPARING) && !item->needed &&
                     item->f->remove[0] != '\0';
    }
    while (changed) {
        changed = false;
        for (size_t i = w->n; i-- > 0;)
            if (w->items[i].goes && is_held(w, i)) {
                w->items[i].goes = false;
                changed = true;
            }
    }
}

/* ---- writing ---- */

static void write_kind(const struct work *w, enum nsh_policy_kind kind, FILE *to)
{
    bool any = false;

    for (size_t i = 0; i < w->n; i++) {
        if (!w->items[i].written || w->items[i].kind != kind)
            continue;
        if (!any)
            (void)fprintf(to, "\n%s:\n", sections[kind]);
        any = true;
        (void)fputs(w->items[i].yaml, to);
    }
}

/* True if the same rule was told for the other family. */
static bool is_told(const struct work *w, size_t at)
{
    for (size_t k = at + 1; k < w->n; k++)
        if (w->items[k].goes && is_same_rule(w->items[k].f, w->items[at].f))
            return true;
    return false;
}

/* The last rule first: what one of them spares no other takes then, not even for a moment. */
static void write_removals(const struct work *w, FILE *to)
{
    bool any = false;

    for (size_t i = w->n; i-- > 0;) {
        if (!w->items[i].goes || is_told(w, i))
            continue;
        if (!any)
            (void)fputs("\n# netshared's chains stand beside the rules that were there, and do the "
                        "same. Once it holds them\n# (netshared status), the old ones can go, in "
                        "this order:\n",
                    to);
        any = true;
        nsh_import_comment(to, "  %s", w->items[i].f->remove);
    }
}

static void write_proposal(const struct item *i, FILE *to)
{
    const char *line = i->yaml;

    nsh_import_comment(to, "  %s:", sections[i->kind]);
    while (*line) {
        size_t n = strcspn(line, "\n");

        if (strncmp(line, "  #", 3) != 0)
            nsh_import_comment(to, "  %.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static const char *why_it_stays(const struct item *item)
{
    if (item->needed)
        return "what it spares a policy below has no exception for";
    if (item->f->remove[0] == '\0')
        return "the name of its table or chain does not belong in a command; delete it by hand";
    return "a rule behind it, which was not taken, would take its packets";
}

static void write_left(const struct work *w, FILE *to)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct item *item = &w->items[i];

        if (item->fate == LEFT) {
            nsh_import_comment(
                    to, "not taken: %s: %s: %s", item->f->place, item->f->text, item->why);
            if (item->proposed)
                write_proposal(item, to);
        }
        if (item->fate != LEFT && item->fate != OWNED && !item->goes)
            nsh_import_comment(to, "to stay for now: %s: %s: %s", item->f->place, item->f->text,
                    why_it_stays(item));
    }
}

/* One line for each program. */
static void write_owned(const struct work *w, FILE *to)
{
    for (size_t i = 0; i < w->n; i++) {
        size_t n = 0;
        bool first = true;

        for (size_t k = 0; w->items[i].fate == OWNED && k < w->n; k++) {
            if (w->items[k].fate != OWNED || strcmp(w->items[k].why, w->items[i].why) != 0)
                continue;
            first = first && (n > 0 || k == i);
            n++;
        }
        if (n > 0 && first)
            nsh_import_comment(to, "left out: %zu rule%s of %s, which keeps them itself", n,
                    n == 1 ? "" : "s", w->items[i].why);
    }
}

/* The device that leads to the network; NULL: none is known. */
static const char *find_lan(const struct nsh_import *m, const struct nsh_prefix *network)
{
    for (size_t i = 0; i < m->n_routes; i++) {
        const struct nsh_route *r = &m->routes[i];
        const struct nsh_prefix p = {.addr = r->dst, .family = r->family, .length = r->dst_length};

        if (r->protocol == RTPROT_KERNEL && r->props->type == RTN_UNICAST &&
                r->props->n_nexthops == 1 && r->props->nexthops[0].link != NSH_NO_LINK &&
                nsh_prefix_cmp(&p, network) == 0)
            return m->links[r->props->nexthops[0].link].name;
    }
    return NULL;
}

/* Only to be thought about: a share has rules in FORWARD, too. */
static void suggest_share(const struct work *w, FILE *to)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct nsh_foreign_rule *f = w->items[i].f;
        const char *lan;

        if (w->items[i].fate != TAKEN || f->needs.action != NSH_PACKET_MASQUERADE ||
                import_says(f) != (SAYS_FROM | SAYS_OUT) || f->from.n + f->out.n > 0)
            continue;
        lan = find_lan(w->m, &f->needs.from);
        if (!lan)
            continue;
        nsh_import_comment(to,
                "to think about: a 'share' instead, with lan %s and wan %s, brings the FORWARD "
                "rules along, and keeps new connections from outside out: netshared.yaml(5)",
                lan, f->needs.out);
        return;
    }
}

static void note_forwards(const struct work *w, FILE *to)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].fate == TAKEN && w->items[i].kind == NSH_POLICY_PORT_FORWARD) {
            nsh_import_comment(to,
                    "to know: netshared accepts in FORWARD what its port-forwards lead on, "
                    "whatever is dropped there now, but for bans of what they name at its start");
            return;
        }
}

static void write_all(const struct work *w, FILE *to, unsigned *ret_families)
{
    *ret_families = 0;
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].fate == TAKEN)
            *ret_families |= w->items[i].f->family == AF_INET6 ? NSH_FAMILY_IPV6 : NSH_FAMILY_IPV4;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(order); i++)
        write_kind(w, order[i], to);
    write_removals(w, to);
    if (w->n > 0)
        (void)fputc('\n', to);
    write_left(w, to);
    write_owned(w, to);
    note_forwards(w, to);
    suggest_share(w, to);
}

int nsh_import_policies(const struct nsh_import *m, FILE *to, unsigned *ret_families)
{
    NSH_CLEANUP(work_done) struct work w = {.m = m, .n = m->n_foreign};
    int q;

    w.items = calloc(w.n + 1, sizeof(*w.items));
    if (!w.items)
        return -ENOMEM;
    for (size_t i = 0; i < w.n; i++)
        w.items[i].f = &m->foreign[i];
    q = consider_all(&w);
    if (q < 0)
        return q;
    decide_removals(&w);
    write_all(&w, to, ret_families);
    return ferror(to) ? -EIO : 0;
}

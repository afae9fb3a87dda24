/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `rules`. The kernel's own and those of routing daemons stay theirs. A rule can't be
 * adopted in place: netshared's stands beside the other, does the same, and stays when that goes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "import.h"

NSH_DEFINE_CLEANUP(struct nsh_config *, nsh_config_free)

static bool is_by_hand(const struct nsh_rule *r)
{
    return r->protocol == RTPROT_BOOT || r->protocol == RTPROT_STATIC ||
           r->protocol == RTPROT_UNSPEC;
}

/* What every namespace begins with, whoever put it back; `ip rule flush` and its like lose them. */
static bool is_of_kernel(const struct nsh_rule *r)
{
    static const struct {
        uint32_t priority, table;
    } defaults[] = {{0, RT_TABLE_LOCAL}, {32766, RT_TABLE_MAIN}, {32767, RT_TABLE_DEFAULT}};

    if (r->protocol == RTPROT_KERNEL)
        return true;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(defaults); i++)
        if (r->priority == defaults[i].priority && r->table == defaults[i].table &&
                r->action == FR_ACT_TO_TBL && nsh_rule_matches_all(r))
            return true;
    return false;
}

/* ---- a rule as YAML ---- */

struct pairs {
    FILE *to;
    const char *before;
};

static void begin_pair(struct pairs *p, const char *key)
{
    (void)fprintf(p->to, "%s%s: ", p->before, key);
    p->before = ", ";
}

static void put_prefix(struct pairs *p, const char *key, const struct nsh_prefix *prefix)
{
    char text[NSH_PREFIX_TEXT];

    if (prefix->family == AF_UNSPEC)
        return;
    begin_pair(p, key);
    (void)fprintf(
            p->to, prefix->family == AF_INET6 ? "\"%s\"" : "%s", nsh_prefix_format(prefix, text));
}

static void put_device(struct pairs *p, const char *key, const char *device)
{
    if (device[0] == '\0')
        return;
    begin_pair(p, key);
    nsh_import_text(p->to, device);
}

static void put_number(struct pairs *p, const char *key, uint32_t value)
{
    begin_pair(p, key);
    (void)fprintf(p->to, "%u", value);
}

static void put_range(struct pairs *p, const char *key, const struct nsh_range *r)
{
    begin_pair(p, key);
    (void)fprintf(p->to, r->first == r->last ? "%u" : "%u-%u", r->first, r->last);
}

static void put_word(struct pairs *p, const char *key, const char *word)
{
    begin_pair(p, key);
    (void)fputs(word, p->to);
}

static void put_packet(struct pairs *p, const struct nsh_rule *r)
{
    if (r->invert)
        put_word(p, "not", "true");
    put_prefix(p, "from", &r->from);
    put_prefix(p, "to", &r->to);
    put_device(p, "iif", r->iif);
    put_device(p, "oif", r->oif);
    if (r->mark.mask != 0) {
        begin_pair(p, "mark");
        (void)fprintf(p->to, "0x%x", r->mark.value);
        if (r->mark.mask != UINT32_MAX)
            (void)fprintf(p->to, "/0x%x", r->mark.mask);
    }
    if (r->tos != 0) {
        begin_pair(p, "tos");
        (void)fprintf(p->to, "0x%02x", r->tos);
    }
    if (r->ip_protocol != 0)
        put_number(p, "protocol", r->ip_protocol);
    if (r->source_port.last != 0)
        put_range(p, "source-port", &r->source_port);
    if (r->destination_port.last != 0)
        put_range(p, "destination-port", &r->destination_port);
    if (r->uids.first != 0 || r->uids.last != NSH_UID_ANY_LAST)
        put_range(p, "uid-range", &r->uids);
}

static void put_outcome(struct pairs *p, const struct nsh_rule *r)
{
    static const char *const actions[] = {[FR_ACT_GOTO] = "goto",
            [FR_ACT_BLACKHOLE] = "blackhole",
            [FR_ACT_UNREACHABLE] = "unreachable",
            [FR_ACT_PROHIBIT] = "prohibit"};
    const char *action = r->action < NSH_ARRAY_SIZE(actions) ? actions[r->action] : NULL;

    if (r->l3mdev)
        put_word(p, "l3mdev", "true");
    else if (r->action == FR_ACT_TO_TBL && r->table == RT_TABLE_MAIN)
        put_word(p, "table", "main");
    else if (r->action == FR_ACT_TO_TBL)
        put_number(p, "table", r->table);
    if (r->suppress_length != NSH_SUPPRESS_NONE)
        put_number(p, "suppress-prefix-length", (uint32_t)r->suppress_length);
    if (r->suppress_group != NSH_SUPPRESS_NONE)
        put_number(p, "suppress-interface-group", (uint32_t)r->suppress_group);
    if (r->action != FR_ACT_TO_TBL)
        put_word(p, "action", action ? action : "unknown");
    if (r->action == FR_ACT_GOTO)
        put_number(p, "target", r->target);
    put_number(p, "priority", r->priority);
}

static void put_rule(FILE *to, const struct nsh_rule *r)
{
    struct pairs p = {.to = to, .before = "  - {"};

    put_packet(&p, r);
    put_outcome(&p, r);
    if (r->from.family == AF_UNSPEC && r->to.family == AF_UNSPEC)
        put_word(&p, "family", r->family == AF_INET6 ? "ipv6" : "ipv4");
    (void)fputs("}\n", to);
}

/* ---- judged ---- */

/* Alone; what two of them are to each other comes later. -EINVAL: it can't be said. */
static int judge(const struct nsh_import *m, const struct nsh_rule *r, char **ret_why)
{
    NSH_CLEANUP(nsh_config_freep) struct nsh_config *c = NULL;
    nsh_autofree char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    int q;

    if (!to)
        return -ENOMEM;
    (void)fputs("rules:\n", to);
    put_rule(to, r);
    if (fclose(to) != 0)
        return -ENOMEM;
    q = nsh_import_judge(m, text, &c, ret_why);
    if (q < 0)
        return q;
    return c->n_rules == 1 && nsh_rule_equal(&c->rules[0], r) ? 0 : -EINVAL;
}

static bool same_turn(const struct nsh_rule *a, const struct nsh_rule *b)
{
    return a->family == b->family && a->priority == b->priority;
}

/* A file keeps no order among rules of one priority: where it matters, or one stands twice. */
static const char *conflict(const struct nsh_import *m, const bool *taken, size_t at)
{
    const struct nsh_rule *r = &m->rules[at];

    for (size_t i = at; i-- > 0 && same_turn(&m->rules[i], r);) {
        const struct nsh_rule *other = &m->rules[i];

        if (!taken[i])
            continue;
        if (nsh_rule_equal(other, r))
            return "it stands twice";
        if (!nsh_rule_same_outcome(other, r) && nsh_rule_may_overlap(other, r))
            return "another one of its priority can match the same packets; give one of them "
                   "another priority";
    }
    return NULL;
}

static int decide(const struct nsh_import *m, bool *taken, FILE *notes)
{
    char text[NSH_RULE_TEXT];
    int q = 0;

    for (size_t i = 0; q == 0 && i < m->n_rules; i++) {
        const struct nsh_rule *r = &m->rules[i];
        nsh_autofree char *why = NULL;
        const char *reason;

        if (is_of_kernel(r) || r->protocol == m->ours)
            continue;
        if (!is_by_hand(r)) {
            const char *keeper = nsh_route_protocol_name(r->protocol);

            nsh_import_comment(notes, "not taken: %s: %s keeps it",
                    nsh_rule_format_name(r, text, sizeof text), keeper ? keeper : "a program");
            continue;
        }
        reason = conflict(m, taken, i);
        q = reason ? -EINVAL : judge(m, r, &why);
        taken[i] = q == 0;
        if (q != -EINVAL)
            continue;
        q = 0;
        nsh_import_comment(notes, "not taken: %s: %s", nsh_rule_format_name(r, text, sizeof text),
                reason ? reason
                : why  ? why
                       : "there is more to it than this file can say");
    }
    return q;
}

static void write_rules(const struct nsh_import *m, const bool *taken, FILE *to)
{
    bool any = false;

    for (size_t i = 0; i < m->n_rules; i++) {
        if (!taken[i])
            continue;
        if (!any)
            (void)fputs("\nrules:\n", to);
        any = true;
        put_rule(to, &m->rules[i]);
    }
}

static int word(int family)
{
    return family == AF_INET6 ? 6 : 4;
}

/* The kernel takes any name of a device; so they come last, each as one word for a shell. */
static void write_removal(const struct nsh_rule *r, FILE *to)
{
    nsh_autofree char *iif = nsh_foreign_quote(r->iif), *oif = nsh_foreign_quote(r->oif);
    struct nsh_rule rest = *r;
    char text[NSH_RULE_TEXT], protocol[24] = "";

    if (!iif || !oif)
        return;
    rest.iif[0] = rest.oif[0] = '\0';
    nsh_rule_format(&rest, text, sizeof text);
    if (r->protocol != RTPROT_UNSPEC)
        (void)snprintf(protocol, sizeof protocol, " protocol %u", r->protocol);
    nsh_import_comment(to, "  ip -%d rule del %s%s%s%s%s%s", word(r->family), text, protocol,
            r->iif[0] ? " iif " : "", r->iif[0] ? iif : "", r->oif[0] ? " oif " : "",
            r->oif[0] ? oif : "");
}

static void write_removals(const struct nsh_import *m, const bool *taken, FILE *to)
{
    bool any = false;

    for (size_t i = 0; i < m->n_rules; i++) {
        const struct nsh_rule *r = &m->rules[i];

        if (!taken[i])
            continue;
        if (!any)
            (void)fputs(
                    "\n# netshared's rules stand beside those that were there, and do the same. "
                    "Once it holds them\n# (netshared status), the old ones can go:\n",
                    to);
        any = true;
        write_removal(r, to);
    }
}

int nsh_import_rules(const struct nsh_import *m, FILE *to)
{
    nsh_autofree bool *taken = calloc(m->n_rules + 1, sizeof(*taken));
    nsh_autofree char *text = NULL;
    size_t size, ours = 0;
    FILE *notes = taken ? open_memstream(&text, &size) : NULL;
    int q = notes ? decide(m, taken, notes) : -ENOMEM;

    if (!notes)
        return q;
    for (size_t i = 0; i < m->n_rules; i++)
        ours += m->rules[i].protocol == m->ours;
    if (ours > 0)
        nsh_import_comment(
                notes, "left out: what netshared holds already (%zu of the rules)", ours);
    if (fclose(notes) != 0 && q == 0)
        q = -ENOMEM;
    if (q < 0)
        return q;
    write_rules(m, taken, to);
    write_removals(m, taken, to);
    if (text[0] != '\0')
        (void)fprintf(to, "\n%s", text);
    return ferror(to) ? -EIO : 0;
}

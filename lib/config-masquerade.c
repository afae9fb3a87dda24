/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `masquerade`.
 *
 * A policy is for each family that its `from` and `to` leave possible. A list that was given but
 * holds nothing of such a family would match everything of it, which nobody wrote: an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"

enum masquerade_key {
    KEY_NAME,
    KEY_FROM,
    KEY_TO,
    KEY_EXCEPT_FROM,
    KEY_EXCEPT_TO,
    KEY_OUT,
    KEY_FAMILY,
    KEY_POSITION,
    KEY_WHEN,
    KEY_EXCEPT_OUT,
    KEY_PROTOCOL,
    KEY_SOURCE_PORT,
    KEY_DESTINATION_PORT,
    KEY_MARK,
    KEY_TO_PORTS,
    KEY_TO_SOURCE,
    KEY_RANDOM,
    KEY_IPSEC,
};

#define BOTH (NSH_FAMILY_IPV4 | NSH_FAMILY_IPV6)

struct masquerade_draft {
    struct nsh_draft draft;
    char name[NSH_POLICY_NAME];
    struct nsh_prefixes from, to, except_from, except_to;
    struct nsh_devices out;
    unsigned families, position;
};

static const struct nsh_word positions[] = {
        {"last", NSH_POSITION_LAST},
        {"first", NSH_POSITION_FIRST},
        {NULL, 0},
};

#define FIELD(member) .offset = offsetof(struct masquerade_draft, member)

static const struct nsh_key keys[] = {
        [KEY_NAME] = {"name", &nsh_type_policy, FIELD(name), .flags = NSH_KEY_REQUIRED,
                .missing = "write, say, name: lan-out", .known_as = "id label",
                .help = "what the journal and the status call it"},
        [KEY_FROM] = {"from", &nsh_type_prefix, FIELD(from), .flags = NSH_KEY_LIST,
                .known_as = "source src saddr", .help = "source prefixes; without it any"},
        [KEY_TO] = {"to", &nsh_type_prefix, FIELD(to), .flags = NSH_KEY_LIST,
                .known_as = "destination dst daddr",
                .help = "destination prefixes; without it any"},
        [KEY_EXCEPT_FROM] = {"except-from", &nsh_type_prefix, FIELD(except_from),
                .flags = NSH_KEY_LIST, .known_as = "not-from exclude-from",
                .help = "sources this policy leaves alone"},
        [KEY_EXCEPT_TO] = {"except-to", &nsh_type_prefix, FIELD(except_to), .flags = NSH_KEY_LIST,
                .known_as = "not-to exclude-to exclude except",
                .help = "destinations this policy leaves alone"},
        [KEY_OUT] = {"out", &nsh_type_out, FIELD(out), .flags = NSH_KEY_REQUIRED | NSH_KEY_LIST,
                .missing = "write, say, out: eth0, or out: any for every device",
                .known_as = "dev device interface iface out-interface oif oifname wan",
                .help = "devices the packet leaves by; wan+ is each that begins so, any is all"},
        [KEY_FAMILY] = {"family", &nsh_type_families, FIELD(families), .flags = NSH_KEY_LIST,
                .help = "ipv4, ipv6 or both; without it as the prefixes, or else ipv4"},
        [KEY_POSITION] = {"position", &nsh_type_word, FIELD(position), .words = positions,
                .help = "after the rules of others, or before them"},
        [KEY_WHEN] = {"when", &nsh_type_when, .known_as = "if condition only-if",
                .help = "only while an address is this machine's, or a device is up"},
        [KEY_EXCEPT_OUT] = {"except-out", .flags = NSH_KEY_LATER},
        [KEY_PROTOCOL] = {"protocol", .flags = NSH_KEY_LATER},
        [KEY_SOURCE_PORT] = {"source-port", .flags = NSH_KEY_LATER},
        [KEY_DESTINATION_PORT] = {"destination-port", .flags = NSH_KEY_LATER},
        [KEY_MARK] = {"mark", .flags = NSH_KEY_LATER},
        [KEY_TO_PORTS] = {"to-ports", .flags = NSH_KEY_LATER},
        [KEY_TO_SOURCE] = {"to-source", .flags = NSH_KEY_LATER},
        [KEY_RANDOM] = {"random", .flags = NSH_KEY_LATER},
        [KEY_IPSEC] = {"ipsec", .flags = NSH_KEY_LATER},
};

static const char *family_name(unsigned family)
{
    return family == NSH_FAMILY_IPV6 ? "IPv6" : "IPv4";
}

static unsigned family_bit(const struct nsh_prefix *p)
{
    return p->family == AF_INET6 ? NSH_FAMILY_IPV6 : NSH_FAMILY_IPV4;
}

static struct nsh_prefixes *prefixes(struct masquerade_draft *d, unsigned key)
{
    switch (key) {
    case KEY_FROM:
        return &d->from;
    case KEY_TO:
        return &d->to;
    case KEY_EXCEPT_FROM:
        return &d->except_from;
    default:
        return &d->except_to;
    }
}

static const struct nsh_prefix *find_family(const struct nsh_prefixes *list, unsigned family)
{
    for (size_t i = 0; i < list->n; i++)
        if (family_bit(&list->items[i]) == family)
            return &list->items[i];
    return NULL;
}

static unsigned families_of(const struct nsh_prefixes *list)
{
    return (find_family(list, NSH_FAMILY_IPV4) ? NSH_FAMILY_IPV4 : 0) |
           (find_family(list, NSH_FAMILY_IPV6) ? NSH_FAMILY_IPV6 : 0);
}

static bool lists_are_right(const struct masquerade_draft *d)
{
    return !(d->draft.bad & (1ULL << KEY_FROM | 1ULL << KEY_TO | 1ULL << KEY_EXCEPT_FROM |
                                    1ULL << KEY_EXCEPT_TO | 1ULL << KEY_FAMILY));
}

/* Where `from` and `to` have no family in common, no packet can match. */
static bool check_common(struct nsh_loader *l, struct masquerade_draft *d)
{
    if (d->from.n == 0 || d->to.n == 0 || families_of(&d->from) & families_of(&d->to))
        return true;
    nsh_loader_error(l, d->draft.marks[KEY_TO], "both want prefixes of one family",
            "'from' is %s and 'to' is %s: nothing can match both",
            family_name(families_of(&d->from)), family_name(families_of(&d->to)));
    return false;
}

/*
 * What the addresses say where `family` does not: all families that are mentioned, if anything is
 * from or to somewhere; exemptions alone say nothing of what they are exempt from, but IPv4.
 */
static unsigned choose_families(const struct masquerade_draft *d)
{
    unsigned families = families_of(&d->from) | families_of(&d->to);

    if (d->families != 0)
        return d->families;
    if (families == 0)
        families = families_of(&d->except_from) | families_of(&d->except_to);
    return families ? families : NSH_FAMILY_IPV4;
}

/* A given `from` or `to` has prefixes of each of the policy's families. */
static void check_covered(struct nsh_loader *l, struct masquerade_draft *d, unsigned key)
{
    const struct nsh_prefixes *list = prefixes(d, key);
    const char *name = keys[key].name;

    if (key != KEY_FROM && key != KEY_TO)
        return;
    for (unsigned family = NSH_FAMILY_IPV4; family <= NSH_FAMILY_IPV6; family <<= 1)
        if (list->n > 0 && d->families & family && !find_family(list, family))
            nsh_loader_error(l, d->draft.marks[key],
                    "add a prefix of this family, or make it two policies",
                    "the policy is for %s too, and '%s' has no %s prefix", family_name(family),
                    name, family_name(family));
}

/* No list has a prefix of a family the policy is not for. */
static bool check_reachable(struct nsh_loader *l, struct masquerade_draft *d, unsigned key)
{
    const struct nsh_prefix *p = NULL;
    char shown[NSH_PREFIX_TEXT];

    if (d->families == BOTH || !(p = find_family(prefixes(d, key), BOTH & ~d->families)))
        return true;
    nsh_loader_error(l, d->draft.marks[key], "leave it out, or say family: [ipv4, ipv6]",
            "the policy is for %s, and %s is %s", family_name(d->families),
            nsh_prefix_format(p, shown), family_name(family_bit(p)));
    return false;
}

static void settle_families(struct nsh_loader *l, struct masquerade_draft *d)
{
    if (!lists_are_right(d) || !check_common(l, d))
        return;
    d->families = choose_families(d);
    for (unsigned key = KEY_FROM; key <= KEY_EXCEPT_TO; key++)
        if (check_reachable(l, d, key))
            check_covered(l, d, key);
}

static int compare_prefixes(const void *a, const void *b)
{
    return nsh_prefix_cmp(a, b);
}

/* A prefix twice in a list would make a rule that nothing reaches. */
static void check_double_prefix(struct nsh_loader *l, struct masquerade_draft *d, unsigned key)
{
    const struct nsh_prefixes *list = prefixes(d, key);
    nsh_autofree struct nsh_prefix *sorted = NULL;
    char shown[NSH_PREFIX_TEXT];

    if (list->n < 2)
        return;
    sorted = reallocarray(NULL, list->n, sizeof(*sorted));
    if (!sorted) {
        nsh_loader_no_memory(l);
        return;
    }
    memcpy(sorted, list->items, list->n * sizeof(*sorted));
    qsort(sorted, list->n, sizeof(*sorted), compare_prefixes);
    for (size_t i = 1; i < list->n; i++)
        if (nsh_prefix_cmp(&sorted[i - 1], &sorted[i]) == 0) {
            nsh_loader_error(l, d->draft.marks[key], "leave one of them out", "%s is twice in '%s'",
                    nsh_prefix_format(&sorted[i], shown), keys[key].name);
            return;
        }
}

static void check_double_device(struct nsh_loader *l, struct masquerade_draft *d)
{
    for (size_t i = 1; i < d->out.n && d->out.n <= NSH_POLICY_RULES_MAX; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(d->out.items[i], d->out.items[j]) == 0) {
                nsh_loader_error(l, d->draft.marks[KEY_OUT], "leave one of them out",
                        "'%s' is twice in 'out'",
                        strcmp(d->out.items[i], "+") == 0 ? "any"
                                                          : nsh_loader_show(l, d->out.items[i]));
                return;
            }
}

static size_t count(const struct nsh_prefixes *list, unsigned family)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        n += family_bit(&list->items[i]) == family;
    return n;
}

static size_t at_least_one(size_t n)
{
    return n ? n : 1;
}

static void check_size(struct nsh_loader *l, struct masquerade_draft *d)
{
    for (unsigned family = NSH_FAMILY_IPV4; family <= NSH_FAMILY_IPV6; family <<= 1) {
        /* Each list is at most NSH_LIST_MAX long, so that the product can't overflow. */
        uint64_t rules = (uint64_t)at_least_one(count(&d->from, family)) *
                                 at_least_one(count(&d->to, family)) * at_least_one(d->out.n) +
                         count(&d->except_from, family) + count(&d->except_to, family);

        if (!(d->families & family) || rules <= NSH_POLICY_RULES_MAX)
            continue;
        nsh_loader_error(l, d->draft.at,
                "use wider prefixes or 'wan+', or make several policies of it",
                "the policy would need %llu %s rules, more than %u", (unsigned long long)rules,
                family_name(family), NSH_POLICY_RULES_MAX);
    }
}

static const struct nsh_prefix *keep_prefixes(
        struct nsh_loader *l, const struct nsh_prefixes *list, uint32_t *ret_n)
{
    struct nsh_prefix *copy;

    *ret_n = (uint32_t)list->n;
    if (list->n == 0)
        return NULL;
    copy = nsh_arena_alloc(l->config->arena, list->n * sizeof(*copy));
    if (!copy) {
        nsh_loader_no_memory(l);
        return NULL;
    }
    return memcpy(copy, list->items, list->n * sizeof(*copy));
}

static void keep(struct nsh_loader *l, struct masquerade_draft *d)
{
    struct nsh_masquerade m = {
            .families = d->families,
            .position = d->position,
            .origin = nsh_origins_at(l->config->origins, d->draft.at.line),
            .when = l->when,
            .n_out = (uint32_t)d->out.n,
    };
    char(*out)[IFNAMSIZ] = nsh_arena_alloc(l->config->arena, d->out.n * sizeof(*out));

    memcpy(m.name, d->name, sizeof(m.name));
    if (!out)
        nsh_loader_no_memory(l);
    else if (d->out.n > 0)
        memcpy(out, d->out.items, d->out.n * sizeof(*out));
    m.out = (const char(*)[IFNAMSIZ])out;
    m.from = keep_prefixes(l, &d->from, &m.n_from);
    m.to = keep_prefixes(l, &d->to, &m.n_to);
    m.except_from = keep_prefixes(l, &d->except_from, &m.n_except_from);
    m.except_to = keep_prefixes(l, &d->except_to, &m.n_except_to);
    if (nsh_loader_grow(l, &l->masquerades, l->n_masquerades, &l->masquerades_room,
                sizeof(*l->masquerades)))
        l->masquerades[l->n_masquerades++] = m;
}

static void begin_masquerade(struct nsh_loader *l, void *draft)
{
    (void)draft;
    l->when = NSH_NO_GATE;
}

static void finish_masquerade(struct nsh_loader *l, void *draft)
{
    struct masquerade_draft *d = draft;

    settle_families(l, d);
    for (unsigned key = KEY_FROM; key <= KEY_EXCEPT_TO; key++)
        check_double_prefix(l, d, key);
    check_double_device(l, d);
    check_size(l, d);
    /* With an error elsewhere too: its name may be given twice as well. */
    if (l->failure == 0 && nsh_given(&d->draft, KEY_NAME))
        keep(l, d);
}

static void clear_masquerade(void *draft)
{
    struct masquerade_draft *d = draft;

    free(d->from.items);
    free(d->to.items);
    free(d->except_from.items);
    free(d->except_to.items);
    free(d->out.items);
}

_Static_assert(NSH_ARRAY_SIZE(keys) <= NSH_KEYS_MAX, "a draft has room for every key");
_Static_assert(sizeof(struct masquerade_draft) <= NSH_DRAFT_MAX, "the draft fits");

const struct nsh_object nsh_object_masquerade = {
        .noun = "policy",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct masquerade_draft),
        .begin = begin_masquerade,
        .finish = finish_masquerade,
        .clear = clear_masquerade,
};

/* ---- the policies of all files together ---- */

static int compare_names(const void *a, const void *b)
{
    const struct nsh_masquerade *const *x = a, *const *y = b;
    int r = strcmp((*x)->name, (*y)->name);

    return r != 0 ? r : (*x > *y) - (*x < *y);
}

static void find_doubles(struct nsh_loader *l)
{
    nsh_autofree const struct nsh_masquerade **byname = NULL;
    const struct nsh_masquerade *first;
    char place[NSH_PLACE_TEXT], hint[NSH_HINT_TEXT];
    uint32_t line;

    if (l->n_masquerades < 2)
        return;
    byname = calloc(l->n_masquerades, sizeof(const struct nsh_masquerade *));
    if (!byname) {
        nsh_loader_no_memory(l);
        return;
    }
    for (size_t i = 0; i < l->n_masquerades; i++)
        byname[i] = &l->masquerades[i];
    qsort(byname, l->n_masquerades, sizeof(const struct nsh_masquerade *), compare_names);
    first = byname[0];
    for (size_t i = 1; i < l->n_masquerades; i++) {
        if (strcmp(first->name, byname[i]->name) != 0) {
            first = byname[i];
            continue;
        }
        l->path = nsh_origins_resolve(l->config->origins, byname[i]->origin, &line);
        (void)snprintf(hint, sizeof(hint), "the first is at %s",
                nsh_loader_place(l, first->origin, place, sizeof(place)));
        nsh_loader_error(l, (struct nsh_yaml_mark){.line = line}, hint,
                "two policies have the name '%s'", first->name);
    }
}

void nsh_finish_masquerades(struct nsh_loader *l)
{
    struct nsh_config *c = l->config;

    find_doubles(l);
    if (l->n_masquerades == 0)
        return;
    c->masquerades = nsh_arena_alloc(c->arena, l->n_masquerades * sizeof(*c->masquerades));
    if (!c->masquerades) {
        nsh_loader_no_memory(l);
        return;
    }
    memcpy(c->masquerades, l->masquerades, l->n_masquerades * sizeof(*c->masquerades));
    c->n_masquerades = l->n_masquerades;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `network-map`: a prefix that is another one outside, address by address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-policies.h"

enum map_key {
    KEY_DEV = POLICY_KEYS,
    KEY_INSIDE,
    KEY_OUTSIDE,
};

struct map_draft {
    struct policy_draft head;
    struct nsh_devices devices;
    struct nsh_prefix inside, outside;
};

#define FIELD(member) .offset = offsetof(struct map_draft, member)

static const struct nsh_key keys[] = {
        [KEY_NAME] = POLICY_KEY_NAME,
        [KEY_FAMILY] = POLICY_KEY_FAMILY,
        [KEY_ENABLED] = POLICY_KEY_ENABLED,
        [KEY_WHEN] = POLICY_KEY_WHEN,
        [KEY_DEV] = {"dev", &nsh_type_named, FIELD(devices),
                .flags = NSH_KEY_REQUIRED | NSH_KEY_LIST,
                .missing = "write, say, dev: eth0: the device behind which 'outside' is known",
                .known_as = "device out in wan interface",
                .help = "devices behind which the prefix is the outside one"},
        [KEY_INSIDE] = {"inside", &nsh_type_one_prefix, FIELD(inside), .flags = NSH_KEY_REQUIRED,
                .missing = "write, say, inside: 192.168.1.0/24",
                .known_as = "from internal local lan", .help = "the prefix as it is"},
        [KEY_OUTSIDE] = {"outside", &nsh_type_one_prefix, FIELD(outside), .flags = NSH_KEY_REQUIRED,
                .missing = "write, say, outside: 10.99.1.0/24", .known_as = "to external global",
                .help = "the prefix as it is known outside"},
};

static void check_prefixes(struct nsh_loader *l, struct map_draft *d)
{
    const struct nsh_draft *head = &d->head.draft;
    char hint[NSH_HINT_TEXT], shown[NSH_PREFIX_TEXT];

    if (!nsh_given(head, KEY_INSIDE) || !nsh_given(head, KEY_OUTSIDE) ||
            d->inside.family != d->outside.family)
        return;
    if (d->inside.length != d->outside.length) {
        (void)snprintf(hint, sizeof(hint), "write two prefixes of length %u", d->inside.length);
        nsh_loader_error(l, head->marks[KEY_OUTSIDE], hint,
                "'inside' and 'outside' are of different size: each address needs its own");
    } else if (d->inside.length == 0) {
        nsh_loader_error(l, head->marks[KEY_INSIDE], "write the network's prefix",
                "'inside' can't be all there is");
    } else if (nsh_prefix_cmp(&d->inside, &d->outside) == 0) {
        nsh_loader_error(l, head->marks[KEY_OUTSIDE], "write what it is outside",
                "'inside' and 'outside' are both %s", nsh_prefix_format(&d->inside, shown));
    }
}

static void complete_map(struct nsh_loader *l, void *draft)
{
    const struct map_draft *d = draft;
    struct nsh_network_map map = {
            .policy = d->head.policy,
            .devices = nsh_keep_devices(l, &d->devices),
            .inside = d->inside,
            .outside = d->outside,
    };

    if (nsh_policy_is_kept(l, &d->head))
        nsh_policy_keep(l, NSH_POLICY_NETWORK_MAP, &map);
}

static void finish_map(struct nsh_loader *l, void *draft)
{
    struct map_draft *d = draft;
    const struct nsh_prefixes inside = {.items = &d->inside, .n = 1};
    const struct nsh_prefixes outside = {.items = &d->outside, .n = 1};
    const struct policy_list lists[] = {
            {KEY_INSIDE, "inside", &inside, .single = true},
            {KEY_OUTSIDE, "outside", &outside, .single = true},
    };

    if (nsh_given(&d->head.draft, KEY_INSIDE) && nsh_given(&d->head.draft, KEY_OUTSIDE))
        (void)nsh_policy_families(l, &d->head, lists, NSH_ARRAY_SIZE(lists), 0);
    check_prefixes(l, d);
    nsh_policy_check_devices(l, &d->head, KEY_DEV, "dev", &d->devices);
    nsh_policy_finish(l, &nsh_object_network_map, draft, complete_map);
}

static void clear_map(void *draft)
{
    struct map_draft *d = draft;

    free(d->devices.items);
}

_Static_assert(sizeof(struct map_draft) <= NSH_DRAFT_MAX, "the draft fits");

const struct nsh_object nsh_object_network_map = {
        .noun = "network-map",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct map_draft),
        .begin = nsh_policy_begin,
        .finish = finish_map,
        .clear = clear_map,
};

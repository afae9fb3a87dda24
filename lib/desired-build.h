/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How policies become chains and sets: what desired-masquerade.c, desired-share.c,
 * desired-forward.c and desired-map.c share.
 *
 * Rules are made in groups. A group begins as one rule, and each list that it goes through
 * multiplies it: by as many rules as the list has entries, the last list varying fastest; by none,
 * where the list matches nothing.
 */
#pragma once

#include "desired.h"

struct nsh_builder {
    struct nsh_desired *d;
    size_t chains_room, sets_room;
    /* the policy being built */
    const struct nsh_policy *policy;
    enum nsh_policy_kind kind;
    const struct nsh_device_list *sides[NSH_CHAIN_SIDES];
    enum nsh_position position; /* of the jumps to the chains that follow */
    int family;
    /* the chain being built, and in it the group */
    struct nsh_packet_rule *rules;
    size_t n, room, first;
    struct nsh_packet_rule spare; /* what is written when memory is out */
    int error;                    /* -ENOMEM, and then nothing that was built counts */
};

enum nsh_end { NSH_END_FROM, NSH_END_TO };

/* Begins a group. The rule may be written until the next call. */
struct nsh_packet_rule *nsh_build_rule(struct nsh_builder *b, enum nsh_packet_action action);
/* Multiply the group. `code`: what a set made of the list is called behind the policy's name. */
void nsh_build_prefixes(struct nsh_builder *b, enum nsh_end end, const struct nsh_prefix_list *list,
        const char *code);
void nsh_build_in(struct nsh_builder *b, const struct nsh_device_list *devices);
void nsh_build_out(struct nsh_builder *b, const struct nsh_device_list *devices);
void nsh_build_protocols(struct nsh_builder *b, const struct nsh_protocols *protocols);
void nsh_build_source_ports(struct nsh_builder *b, const struct nsh_range_list *ports);
void nsh_build_destination_ports(struct nsh_builder *b, const struct nsh_range_list *ports);
/* Puts before each rule of the group one that logs the packet under the policy's name. */
void nsh_build_log(struct nsh_builder *b);
/* A rule that leaves alone what IPsec will transform on its way out. */
void nsh_build_ipsec(struct nsh_builder *b);
/* Makes a chain of the rules. `suffix`: of its name, or 0. */
void nsh_build_chain(struct nsh_builder *b, enum nsh_table table, char suffix, const char *hook);

/*
 * The prefixes of one family in a list, in desired-sets.c: any of them, or a few in `prefixes`, or
 * all in the set of that name, which is added to the wanted ones.
 */
struct nsh_choice {
    bool any;
    char set[NSH_SET_NAME]; /* "": none */
    struct nsh_prefix prefixes[NSH_POLICY_LIST_MAX];
    size_t n;
};
struct nsh_choice nsh_build_choice(
        struct nsh_builder *b, const struct nsh_prefix_list *list, const char *code);
void nsh_build_sort_sets(struct nsh_builder *b);

/* A policy's chains in the builder's family. */
void nsh_build_masquerade(struct nsh_builder *b, const struct nsh_masquerade *m);
void nsh_build_share(struct nsh_builder *b, const struct nsh_share *s);
void nsh_build_port_forward(struct nsh_builder *b, const struct nsh_port_forward *f);
void nsh_build_network_map(struct nsh_builder *b, const struct nsh_network_map *m);

/* A growing array, as the builder's are. false: no memory, noted. */
bool nsh_build_grow(struct nsh_builder *b, void *array, size_t n, size_t *room, size_t size);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* libiptc types its rules by family; these take any pointer. */
#define XT_WRAP(p, type)                                                                           \
    static const void *p##_first_rule_any(const char *chain, struct xtc_handle *h)                 \
    {                                                                                              \
        return p##_first_rule(chain, h);                                                           \
    }                                                                                              \
    static const void *p##_next_rule_any(const void *rule, struct xtc_handle *h)                   \
    {                                                                                              \
        return p##_next_rule((const type *)rule, h);                                               \
    }                                                                                              \
    static const char *p##_target_any(const void *rule, struct xtc_handle *h)                      \
    {                                                                                              \
        return p##_get_target((const type *)rule, h);                                              \
    }                                                                                              \
    static int p##_append_any(const xt_chainlabel chain, const void *rule, struct xtc_handle *h)   \
    {                                                                                              \
        return p##_append_entry(chain, (const type *)rule, h);                                     \
    }                                                                                              \
    static int p##_insert_any(                                                                     \
            const xt_chainlabel chain, const void *rule, unsigned int index, struct xtc_handle *h) \
    {                                                                                              \
        return p##_insert_entry(chain, (const type *)rule, index, h);                              \
    }

XT_WRAP(iptc, struct ipt_entry)
XT_WRAP(ip6tc, struct ip6t_entry)

#define XT_TABLE(p, type)                                                                         \
    .entry_size = sizeof(type), .nfcache_at = offsetof(type, nfcache),                            \
    .target_offset_at = offsetof(type, target_offset),                                            \
    .next_offset_at = offsetof(type, next_offset), .comefrom_at = offsetof(type, comefrom),       \
    .counters_at = offsetof(type, counters), .init = p##_init, .free = p##_free,                  \
    .commit = p##_commit, .strerror = p##_strerror, .first_chain = p##_first_chain,               \
    .next_chain = p##_next_chain, .builtin = p##_builtin, .policy = p##_get_policy,               \
    .is_chain = p##_is_chain, .create_chain = p##_create_chain, .delete_chain = p##_delete_chain, \
    .flush = p##_flush_entries, .references = p##_get_references,                                 \
    .delete_rule = p##_delete_num_entry, .first_rule = p##_first_rule_any,                        \
    .next_rule = p##_next_rule_any, .target = p##_target_any, .append = p##_append_any,           \
    .insert = p##_insert_any

static const struct nsh_xt families[2] = {
        {
                .family = AF_INET,
                .index = 0,
                .level = IPPROTO_IP,
                .title = "IPv4",
                .names_file = "ip_tables_names",
                .modules = "ip_tables",
                .table_module = "iptable_",
                XT_TABLE(iptc, struct ipt_entry),
        },
        {
                .family = AF_INET6,
                .index = 1,
                .level = IPPROTO_IPV6,
                .title = "IPv6",
                .names_file = "ip6_tables_names",
                .modules = "ip6_tables",
                .table_module = "ip6table_",
                XT_TABLE(ip6tc, struct ip6t_entry),
        },
};

/* One set of socket options serves both families. */
_Static_assert(IPT_SO_GET_INFO == 64 && IP6T_SO_GET_INFO == 64, "socket options differ");
_Static_assert(IPT_SO_GET_ENTRIES == 65 && IP6T_SO_GET_ENTRIES == 65, "socket options differ");
_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo), "getinfo differs");
_Static_assert(
        sizeof(struct ipt_get_entries) == sizeof(struct ip6t_get_entries), "get_entries differs");

const struct nsh_xt *nsh_xt_of(int family)
{
    for (size_t i = 0; i < 2; i++)
        if (families[i].family == family)
            return &families[i];
    return NULL;
}

void nsh_xt_words(const struct nsh_xt *xt, enum nsh_table table, const char *chain,
        enum nsh_xt_moment moment, int error, char *buf, size_t size)
{
    int e = error < 0 ? -error : error;
    /* Before anything else: it depends on which of its functions ran last. */
    const char *said = moment == NSH_XT_OPENING ? strerror(e) : xt->strerror(e);
    const char *name = nsh_table_name(table);

    if (!buf || size == 0)
        return;
    if (e == EPERM || e == EACCES)
        snprintf(buf, size,
                "%s table %s: not permitted; netshared needs CAP_NET_ADMIN and CAP_NET_RAW in this "
                "network namespace",
                xt->title, name);
    else if (moment == NSH_XT_OPENING && e == ENOPROTOOPT)
        snprintf(buf, size,
                "the kernel has no legacy iptables for %s: load the module %s, or say 'firewall: "
                "nftables'",
                xt->title, xt->modules);
    else if (moment == NSH_XT_OPENING && e == ENOENT)
        snprintf(buf, size, "the kernel has no legacy %s table %s; load the module %s%s", xt->title,
                name, xt->table_module, name);
    else if (moment == NSH_XT_OPENING && e == EFBIG)
        snprintf(buf, size, "%s table %s is larger than %u MiB", xt->title, name,
                NSH_XT_TABLE_MAX >> 20);
    else if (chain && *chain)
        snprintf(buf, size, "%s table %s, chain %s: %s", xt->title, name, chain, said);
    else
        snprintf(buf, size, "%s table %s: %s", xt->title, name, said);
}

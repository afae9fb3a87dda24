/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands in our table beside chains: sets of ours, which are counted, and sets, maps, objects
 * and flowtables that somebody else put there. The table is ours, and so these go, by the way that
 * a chain goes which nobody wants. What a rule of ours refers to, as somebody wrote it, waits for
 * that rule to be put right.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

/* Each has its table's name in the first attribute, and its own in the second. */
#define TABLE 1
#define NAME 2

static const struct kind {
    uint16_t get, del;
    uint16_t handle, type; /* attributes; 0: it has no type that matters */
} kinds[] = {
        [NSH_NFT_SET] = {NFT_MSG_GETSET, NFT_MSG_DELSET, NFTA_SET_HANDLE, 0},
        [NSH_NFT_OBJECT] = {NFT_MSG_GETOBJ, NFT_MSG_DELOBJ, NFTA_OBJ_HANDLE, NFTA_OBJ_TYPE},
        [NSH_NFT_FLOWTABLE] = {NFT_MSG_GETFLOWTABLE, NFT_MSG_DELFLOWTABLE, NFTA_FLOWTABLE_HANDLE,
                0},
};

_Static_assert(NFTA_SET_TABLE == TABLE && NFTA_OBJ_TABLE == TABLE &&
                       NFTA_FLOWTABLE_TABLE == TABLE && NFTA_SET_NAME == NAME &&
                       NFTA_OBJ_NAME == NAME && NFTA_FLOWTABLE_NAME == NAME,
        "names are in other attributes");

struct taking {
    struct nsh_nft_look *look;
    enum nsh_nft_thing thing;
};

/* An anonymous one belongs to a rule, and goes with it. */
static bool has_flag(
        enum nsh_nft_thing thing, uint16_t type, const struct nlattr *attr, uint32_t flag)
{
    return thing == NSH_NFT_SET && type == NFTA_SET_FLAGS &&
           mnl_attr_validate(attr, MNL_TYPE_U32) == 0 && (ntohl(mnl_attr_get_u32(attr)) & flag);
}

static bool is_elsewhere(uint16_t type, const struct nlattr *attr)
{
    return type == TABLE && (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0 ||
                                    strcmp(mnl_attr_get_str(attr), NSH_NFT_TABLE) != 0);
}

static int take_thing(const struct nlmsghdr *m, void *userdata)
{
    const struct taking *t = userdata;
    const struct kind *kind = &kinds[t->thing];
    const char *name = NULL;
    const struct nlattr *attr;
    struct nsh_nft_chain *c;
    uint64_t handle = 0;
    bool is_map = false;
    uint32_t type = 0;

    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        uint16_t at = mnl_attr_get_type(attr);

        /* Older kernels dump those of all tables. */
        if (has_flag(t->thing, at, attr, NFT_SET_ANONYMOUS) || is_elsewhere(at, attr))
            return 0;
        is_map = is_map || has_flag(t->thing, at, attr, NFT_SET_MAP | NFT_SET_OBJECT);
        if (at == NAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
            name = mnl_attr_get_str(attr);
        else if (at == kind->handle && mnl_attr_validate(attr, MNL_TYPE_U64) == 0)
            handle = be64toh(mnl_attr_get_u64(attr));
        else if (kind->type && at == kind->type && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
            type = ntohl(mnl_attr_get_u32(attr));
    }
    if (!name || handle == 0)
        return 0;
    if (t->thing == NSH_NFT_SET && nsh_set_is_ours(name)) {
        t->look->n_sets++;
        return 0;
    }
    c = nsh_nft_look_add_thing(t->look, t->thing, name, handle);
    if (!c)
        return -ENOMEM;
    c->type = type;
    c->is_map = is_map;
    return 0;
}

/* A kernel without flowtables, or objects, has none. */
static bool is_unknown(int error)
{
    return error == -EINVAL || error == -EOPNOTSUPP || error == -ENOENT;
}

int nsh_nft_look_take_things(struct nsh_nft_channel *c, struct nsh_nft_look *l)
{
    int r = 0;

    for (int thing = NSH_NFT_SET; r == 0 && thing <= NSH_NFT_FLOWTABLE; thing++) {
        struct taking t = {.look = l, .thing = (enum nsh_nft_thing)thing};
        char buf[256];
        struct nlmsghdr *m =
                nsh_nft_request(c, buf, l->family, kinds[thing].get, NLM_F_REQUEST | NLM_F_DUMP);

        mnl_attr_put_strz(m, TABLE, NSH_NFT_TABLE);
        r = nsh_nft_ask(c, m, take_thing, &t);
        r = thing != NSH_NFT_SET && is_unknown(r) ? 0 : r;
    }
    return r;
}

/* The name that an expression refers to by; "" for those that do not. */
static const char *referred(const struct nftnl_expr *x)
{
    const char *name = nsh_nft_text(x, NFTNL_EXPR_NAME);

    if (strcmp(name, "lookup") == 0)
        return nsh_nft_text(x, NFTNL_EXPR_LOOKUP_SET);
    if (strcmp(name, "dynset") == 0)
        return nsh_nft_text(x, NFTNL_EXPR_DYNSET_SET_NAME);
    if (strcmp(name, "flow_offload") == 0)
        return nsh_nft_text(x, NFTNL_EXPR_FLOW_TABLE_NAME);
    if (strcmp(name, "objref") != 0)
        return "";
    return nftnl_expr_is_set(x, NFTNL_EXPR_OBJREF_SET_NAME)
                   ? nsh_nft_text(x, NFTNL_EXPR_OBJREF_SET_NAME)
                   : nsh_nft_text(x, NFTNL_EXPR_OBJREF_IMM_NAME);
}

int nsh_nft_look_refer(struct nftnl_expr *x, void *look)
{
    const struct nsh_nft_look *l = look;
    const char *name = referred(x);

    for (size_t i = 0; name[0] != '\0' && i < l->n_chains; i++)
        if (l->chains[i]->thing != NSH_NFT_CHAIN && strcmp(l->chains[i]->name, name) == 0)
            l->chains[i]->references++;
    return 0;
}

int nsh_nft_put_thing_delete(struct nsh_nft_batch *b, int family, const struct nsh_nft_chain *c)
{
    const struct kind *kind = &kinds[c->thing];
    struct nlmsghdr *m = nsh_nft_batch_open(b, kind->del, family, NLM_F_REQUEST);

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, TABLE, NSH_NFT_TABLE);
    mnl_attr_put_strz(m, NAME, c->name);
    if (kind->type)
        mnl_attr_put_u32(m, kind->type, htonl(c->type));
    nsh_nft_batch_close(b, m);
    return 0;
}

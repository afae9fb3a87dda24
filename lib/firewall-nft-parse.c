/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages with expressions in them, for libnftnl, which takes it for granted that each expression
 * has a name (nftnl_expr_parse() in src/expr.c) and looks for one at NULL.
 */
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "firewall-nft.h"

/* Of Linux 5.11 on, for which the headers may be too old (linux/netfilter/nf_tables.h). */
#define DYNSET_EXPRESSIONS 10U
#define SET_EXPRESSIONS 18U
#define SET_ELEM_EXPRESSIONS 11U

/* Where in something an expression may be, and a list of some; 0: nowhere. */
struct where {
    uint16_t one, list;
};

static bool all_named(const struct nlattr *nest, struct where at, bool nested);

/* Only a dynset has further ones in it, and those have none. */
static bool is_named(const struct nlattr *expression, bool nested)
{
    static const struct where in_dynset = {NFTA_DYNSET_EXPR, DYNSET_EXPRESSIONS};
    const struct nlattr *attr, *data = NULL;
    const char *name = NULL;

    mnl_attr_for_each_nested(attr, expression)
    {
        if (mnl_attr_get_type(attr) == NFTA_EXPR_DATA)
            data = attr;
        if (mnl_attr_get_type(attr) != NFTA_EXPR_NAME)
            continue;
        if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
            return false;
        name = mnl_attr_get_str(attr);
    }
    if (!name || strcmp(name, "dynset") != 0 || !data)
        return name != NULL;
    return !nested && all_named(data, in_dynset, true);
}

static bool are_named(const struct nlattr *list, bool nested)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, list)
    {
        if (!is_named(attr, nested))
            return false;
    }
    return true;
}

static bool is_fine(const struct nlattr *attr, struct where at, bool nested)
{
    uint16_t type = mnl_attr_get_type(attr);

    if (type == 0)
        return true;
    if (type == at.one)
        return is_named(attr, nested);
    return type != at.list || are_named(attr, nested);
}

static bool all_named(const struct nlattr *nest, struct where at, bool nested)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, nest)
    {
        if (!is_fine(attr, at, nested))
            return false;
    }
    return true;
}

static bool message_is_fine(const struct nlmsghdr *m, struct where at)
{
    const struct nlattr *attr;

    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        if (!is_fine(attr, at, false))
            return false;
    }
    return true;
}

static bool elements_are_fine(const struct nlattr *list)
{
    static const struct where in_element = {NFTA_SET_ELEM_EXPR, SET_ELEM_EXPRESSIONS};
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, list)
    {
        if (!all_named(attr, in_element, false))
            return false;
    }
    return true;
}

int nsh_nft_parse_rule(const struct nlmsghdr *m, struct nftnl_rule *ret)
{
    static const struct where in_rule = {.list = NFTA_RULE_EXPRESSIONS};

    return message_is_fine(m, in_rule) && nftnl_rule_nlmsg_parse(m, ret) >= 0 ? 0 : -EPROTO;
}

int nsh_nft_parse_set(const struct nlmsghdr *m, struct nftnl_set *ret)
{
    static const struct where in_set = {NFTA_SET_EXPR, SET_EXPRESSIONS};

    return message_is_fine(m, in_set) && nftnl_set_nlmsg_parse(m, ret) >= 0 ? 0 : -EPROTO;
}

int nsh_nft_parse_elements(const struct nlmsghdr *m, struct nftnl_set *ret)
{
    const struct nlattr *attr;

    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_LIST_ELEMENTS && !elements_are_fine(attr))
            return -EPROTO;
    }
    return nftnl_set_elems_nlmsg_parse(m, ret) >= 0 ? 0 : -EPROTO;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firewall contract kept on nftables: our own table of each family, `ip netshared` and
 * `ip6 netshared`, written with libnftnl and libmnl.
 *
 * Why not libnftables, which is easier to call: it takes text and gives text or JSON, so that each
 * look at the table would be parsed twice and each rule compared as a string that changes with its
 * version; it tells of no event, of which the cause of a change is a part; it has no way to say
 * "only if nothing was written since"; and it brings jansson, gmp, libedit and libxtables along.
 * nft itself stands on libnftnl and libmnl, whose interface has not broken since 2014.
 *
 * How the contract is mapped. Everything of ours is in one table that is ours alone, and what is
 * foreign in it gets no consideration: a chain of a policy is a chain there ("nat-home" for
 * NETSHARED-home of the table nat), a hook of iptables is a base chain at its priority or just
 * behind it ("nat_postrouting"), and holds jumps, each with its policy's name as comment. "Before
 * every foreign rule" can't be had by a place in a chain here, since foreign rules are in chains of
 * their own: jumps of position first stand in a base chain of their own just before that priority
 * ("nat_postrouting_first"). The contract sees both as one built-in chain, the earlier one's rules
 * first, and the rest as behind the first foreign rule.
 *
 * A base chain that is of another kind than we made it, that holds a rule which is no jump to a
 * chain of ours, or whose table is switched off shows no jumps at all. So the plan adds them all,
 * and the commit, finding base chains that are not as they must be, makes them anew in the same
 * transaction. A table that is switched off is switched on first: the kernel does not take that
 * together with new base chains.
 *
 * No lock is held: the transaction names the generation that was looked at, and the kernel refuses
 * it when somebody has written since. If the events say that he wrote to tables of his own, it is
 * sent again as it is; else it is NSH_FIREWALL_RACED. A busy container engine costs a repeated
 * send, not a look.
 *
 * A reading session asks nothing while nf_tables is not in use (nsh_nft_in_use): to ask would load
 * its module.
 */
#include "firewall-nft-session.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the session ---- */

static void forget_looks(struct nsh_nft *f)
{
    nsh_nft_look_done(&f->looks[0]);
    nsh_nft_look_done(&f->looks[1]);
}

static int open_watch(struct nsh_nft *f)
{
    int r = nsh_nft_channel_open(&f->channel);

    if (r == 0)
        r = nsh_nft_channel_open(&f->aside.channel);
    if (r < 0)
        return r;
    return nsh_nft_watch_open(
            &f->watch, (const uint32_t[]){f->channel.port, f->aside.channel.port});
}

static int nft_open(struct nsh_firewall *fw, enum nsh_firewall_mode mode)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    int r = 0;

    if (f->open)
        return -EALREADY;
    if (mode == NSH_FIREWALL_WRITE)
        r = open_watch(f);
    if (r < 0)
        return r;
    f->mode = mode;
    f->open = true;
    return NSH_FIREWALL_OK;
}

static void nft_close(struct nsh_firewall *fw)
{
    struct nsh_nft *f = nsh_nft_of(fw);

    forget_looks(f);
    f->open = false;
}

/* ---- without a session ---- */

/* What was lost is taken for a change of everything. */
static bool nft_sets_told(struct nsh_firewall *fw)
{
    return nsh_nft_of(fw)->watch.fd >= 0;
}

static int nft_changed(struct nsh_firewall *fw, int family, enum nsh_table table)
{
    struct nsh_nft *f = nsh_nft_of(fw);

    if (!nsh_nft_is_place(family, table))
        return -EINVAL;
    nsh_nft_watch_take(&f->watch);
    return nsh_nft_watch_changed(&f->watch, family, table);
}

static bool nft_culprit(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret)
{
    const struct nsh_nft_watch *w = &nsh_nft_of(fw)->watch;

    if (!w->known || w->behind)
        return false;
    *ret = w->culprit;
    return true;
}

static int nft_hint_fd(struct nsh_firewall *fw)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    int r = open_watch(f);

    return r < 0 ? r : f->watch.fd;
}

static void nft_hint_take(struct nsh_firewall *fw)
{
    nsh_nft_watch_take(&nsh_nft_of(fw)->watch);
}

/* Asked of the kernel until it says yes. */
static int nft_probe(
        struct nsh_firewall *fw, int family, enum nsh_table table, char *ret_why, size_t size)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    struct nsh_nft_failure failure = {.step = NSH_NFT_NO_STEP};
    int r;

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (!nsh_nft_is_place(family, table))
        return -EAFNOSUPPORT;
    if (f->probed[nsh_nft_index(family)] & (1U << table))
        return 0;
    failure.error = r = nsh_nft_channel_open(&f->channel);
    if (r < 0)
        nsh_nft_words(family, NULL, &failure, ret_why, size);
    else
        r = nsh_nft_probe(&f->channel, family, table, ret_why, size);
    if (r == 0)
        f->probed[nsh_nft_index(family)] |= (uint8_t)(1U << table);
    return r;
}

static int hold_on(struct nsh_nft *f, int family)
{
    int r = f->holds_not ? -EOPNOTSUPP : nsh_nft_channel_open(&f->channel);

    if (r == 0)
        r = nsh_nft_hold(&f->channel, family);
    f->holds[nsh_nft_index(family)] = r == 0;
    f->holds_not = nsh_nft_is_absent(r);
    return r;
}

static int let_go(struct nsh_nft *f, int family)
{
    int r = nsh_nft_in_use() ? nsh_nft_channel_open(&f->channel) : 0;

    if (r == 0 && f->channel.fd >= 0)
        r = nsh_nft_let_go(&f->channel, family);
    if (r == 0)
        f->holds[nsh_nft_index(family)] = false;
    return nsh_nft_is_absent(r) ? 0 : r;
}

static int nft_hold(struct nsh_firewall *fw, int family, bool on)
{
    struct nsh_nft *f = nsh_nft_of(fw);

    if (!nsh_nft_is_family(family))
        return -EINVAL;
    if (!on)
        return let_go(f, family);
    return f->holds[nsh_nft_index(family)] ? 0 : hold_on(f, family);
}

static int nft_others_translate(struct nsh_firewall *fw)
{
    struct nsh_nft *f = nsh_nft_of(fw);

    return nsh_nft_in_use() ? nsh_nft_others_translate(&f->others, &f->channel) : 0;
}

static int nft_others_fd(struct nsh_firewall *fw)
{
    return nsh_nft_others_fd(&nsh_nft_of(fw)->others, &nsh_nft_of(fw)->channel);
}

static int nft_others_changed(struct nsh_firewall *fw)
{
    struct nsh_nft *f = nsh_nft_of(fw);

    return nsh_nft_in_use() ? nsh_nft_others_changed(&f->others, &f->channel) : 0;
}

static int nft_pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
        struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    int r;

    (void)holds; /* each base chain decides for itself, wherever the policies stand */
    f->judged = 0;
    for (size_t i = 0; i < n; i++)
        passages[i].dropped = passages[i].by_firewall = passages[i].hosted = false;
    if (!nsh_nft_in_use())
        return 0;
    r = nsh_nft_channel_open(&f->channel);
    if (r == 0)
        r = nsh_nft_pass(
                &f->channel, mode == NSH_FIREWALL_WRITE, passages, n, told, userdata, &f->judged);
    if (r < 0)
        f->judged = 0;
    nsh_nft_watch_take(&f->watch);
    if (!nsh_nft_watch_evictor(&f->watch, &f->evictor) || mode != NSH_FIREWALL_READ)
        f->evictor = (struct nsh_firewall_culprit){0};
    return r;
}

static int nft_drops(struct nsh_firewall *fw, int family, const struct nsh_forward_path *before,
        const struct nsh_forward_path *after, struct nsh_forward_drop *ret)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    int r = nsh_nft_in_use() ? nsh_nft_channel_open(&f->channel) : 0;

    *ret = (struct nsh_forward_drop){0};
    if (r < 0 || f->channel.fd < 0)
        return r;
    return nsh_nft_drops(&f->channel, family, before, after, ret);
}

static bool nft_pass_culprit(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret)
{
    *ret = nsh_nft_of(fw)->evictor;
    return ret->pid != 0;
}

static int is_past(struct nsh_nft *f, uint32_t judged)
{
    uint32_t generation;
    int r;

    if (f->channel.fd < 0)
        return nsh_nft_in_use();
    r = nsh_nft_generation(&f->channel, &generation);
    return r < 0 ? r : generation != judged;
}

static int nft_pass_changed(struct nsh_firewall *fw)
{
    return is_past(nsh_nft_of(fw), nsh_nft_of(fw)->judged);
}

/* In the other tables a rule of others takes nothing from ours: each chain has its own say. */
static int nft_ahead(struct nsh_firewall *fw, int family, enum nsh_table table, const char *hook,
        struct nsh_ahead_seen *ret)
{
    const struct nsh_nft_hook *h = nsh_nft_hook_find(table, hook);
    struct nsh_nft *f = nsh_nft_of(fw);
    int r;

    f->ahead_judged = 0;
    if (!nsh_nft_is_place(family, table) || !h)
        return -EINVAL;
    if (table != NSH_TABLE_NAT || !nsh_nft_in_use())
        return 0;
    r = nsh_nft_channel_open(&f->channel);
    if (r == 0)
        r = nsh_nft_generation(&f->channel, &f->ahead_judged);
    if (r == 0)
        r = nsh_nft_ahead(family, h, ret);
    if (r < 0)
        f->ahead_judged = 0;
    return r;
}

static int nft_ahead_changed(struct nsh_firewall *fw)
{
    return is_past(nsh_nft_of(fw), nsh_nft_of(fw)->ahead_judged);
}

static bool nft_in_use(struct nsh_firewall *fw)
{
    (void)fw;
    return nsh_nft_in_use();
}

static void nft_free(struct nsh_firewall *fw)
{
    struct nsh_nft *f = nsh_nft_of(fw);

    forget_looks(f);
    nsh_nft_aside_done(&f->aside);
    nsh_nft_watch_done(&f->watch);
    nsh_nft_others_done(&f->others);
    nsh_nft_channel_done(&f->channel);
    free(f);
}

static const struct nsh_firewall_ops nft_firewall = {
        .free = nft_free,
        .name = "nftables",
        .one_look = true,
        .probe = nft_probe,
        .open = nft_open,
        .observe = nsh_nft_observe,
        .commit = nsh_nft_commit,
        .close = nft_close,
        .changed = nft_changed,
        .sets = nsh_nft_see_sets,
        .set_read = nsh_nft_see_set,
        .set_write = nsh_nft_write_set,
        .set_drop = nsh_nft_drop_set,
        .set_changed = nsh_nft_changed_set,
        .sets_told = nft_sets_told,
        .culprit = nft_culprit,
        .hold = nft_hold,
        .set_culprit = nft_culprit,
        .others_translate = nft_others_translate,
        .others_fd = nft_others_fd,
        .others_changed = nft_others_changed,
        .pass = nft_pass,
        .pass_changed = nft_pass_changed,
        .pass_culprit = nft_pass_culprit,
        .drops = nft_drops,
        .in_use = nft_in_use,
        .ahead = nft_ahead,
        .ahead_changed = nft_ahead_changed,
        .foreign = nsh_nft_foreign,
        .hint_fd = nft_hint_fd,
        .hint_take = nft_hint_take,
};

int nsh_firewall_nft_new(struct nsh_firewall **ret)
{
    struct nsh_nft *f = calloc(1, sizeof *f);

    if (!f)
        return -ENOMEM;
    f->fw.ops = &nft_firewall;
    nsh_nft_channel_init(&f->channel);
    nsh_nft_aside_init(&f->aside);
    nsh_nft_watch_init(&f->watch);
    nsh_nft_others_init(&f->others);
    *ret = &f->fw;
    return 0;
}

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
#include "firewall-nft.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENDS 8 /* of one transaction, while others write to tables of their own */

struct nft {
    struct nsh_firewall fw;
    bool open;
    enum nsh_firewall_mode mode;
    struct nsh_nft_channel channel;
    struct nsh_nft_aside aside; /* with another socket */
    struct nsh_nft_watch watch;
    struct nsh_nft_others others;
    struct nsh_nft_look looks[2];        /* of this session */
    uint32_t touches[2];                 /* of the watch, when they were taken */
    uint8_t probed[2];                   /* bits of tables that the kernel can hold */
    bool holds[2];                       /* what stays over a flush is there */
    bool holds_not;                      /* this kernel has no such thing */
    uint32_t judged;                     /* generation at which others were judged; 0: not */
    uint32_t ahead_judged;               /* the same, for who translates first */
    struct nsh_firewall_culprit evictor; /* of what the last look missed there; pid 0: not known */
};

static struct nft *nft_of(struct nsh_firewall *fw)
{
    return (struct nft *)fw;
}

static bool is_family(int family)
{
    return family == AF_INET || family == AF_INET6;
}

static bool is_place(int family, enum nsh_table table)
{
    return is_family(family) && (unsigned int)table < NSH_TABLE_COUNT;
}

static void forget_looks(struct nft *f)
{
    nsh_nft_look_done(&f->looks[0]);
    nsh_nft_look_done(&f->looks[1]);
}

/* ---- the session ---- */

static int open_watch(struct nft *f)
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
    struct nft *f = nft_of(fw);
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
    struct nft *f = nft_of(fw);

    forget_looks(f);
    f->open = false;
}

/* ---- looking ---- */

/* A kernel without nf_tables holds nothing. */
static bool is_absent(int error)
{
    return error == -EOPNOTSUPP || error == -EINVAL || error == -EPROTONOSUPPORT;
}

/* The look of this session, if nobody has written since; else another. */
static int take_look(struct nft *f, int family, struct nsh_nft_look **ret)
{
    struct nsh_nft_look *l = &f->looks[nsh_nft_index(family)];
    uint32_t now = 0;
    int r = 0;

    *ret = l;
    if (l->valid)
        r = nsh_nft_generation(&f->channel, &now);
    if (r < 0 || (l->valid && now == l->generation))
        return r;
    f->touches[nsh_nft_index(family)] = f->watch.touches;
    return nsh_nft_look_take(&f->channel, family, l);
}

static int see_chain(
        const struct nsh_nft_chain *c, int family, nsh_chain_observed *observed, void *userdata)
{
    struct nsh_chain_seen seen = {
            .family = (uint8_t)family, .table = c->table, .name = c->contract};
    nsh_autofree struct nsh_packet_rule *rules = calloc(c->n_rules + 1, sizeof *rules);
    nsh_autofree struct nsh_traffic *traffic = calloc(c->n_rules + 1, sizeof *traffic);

    if (!rules || !traffic)
        return -ENOMEM;
    for (size_t i = 0; i < c->n_rules; i++) {
        rules[i] = c->rules[i].value;
        traffic[i] = c->rules[i].traffic;
    }
    seen.rules = rules;
    seen.traffic = traffic;
    seen.n_rules = c->n_rules;
    return observed(userdata, &seen);
}

static bool is_plain(const struct nsh_packet_rule *r)
{
    struct nsh_packet_rule plain = {.action = NSH_PACKET_JUMP};

    memcpy(plain.target, r->target, sizeof plain.target);
    return nsh_packet_rule_equal(r, &plain);
}

static void see_jumps(const struct nsh_nft_chain *c, enum nsh_table table,
        struct nsh_jump_seen *jumps, struct nsh_chain_seen *seen)
{
    for (size_t i = 0; c && i < c->n_rules; i++) {
        struct nsh_jump_seen *jump = &jumps[seen->n_jumps];
        enum nsh_table of;

        *jump = (struct nsh_jump_seen){.index = seen->n_total++};
        if (!nsh_nft_chain_parse(c->rules[i].refers, &of, jump->target) || of != table)
            continue;
        jump->first = c->place == 0;
        jump->kind = c->rules[i].kind;
        jump->plain = jump->kind != NSH_POLICY_NONE && is_plain(&c->rules[i].value);
        seen->n_jumps++;
    }
}

static int see_hook(const struct nsh_nft_look *l, const struct nsh_nft_hook *hook,
        nsh_chain_observed *observed, void *userdata)
{
    struct nsh_chain_seen seen = {.family = (uint8_t)l->family,
            .table = hook->table,
            .name = hook->name,
            .builtin = true};
    struct nsh_nft_chain *bases[NSH_NFT_PLACES];
    nsh_autofree struct nsh_jump_seen *jumps = NULL;

    nsh_nft_look_bases(l, hook, bases);
    if (!bases[0] && !bases[1])
        return 0;
    jumps = calloc((bases[0] ? bases[0]->n_rules : 0) + (bases[1] ? bases[1]->n_rules : 0) + 1,
            sizeof *jumps);
    if (!jumps)
        return -ENOMEM;
    see_jumps(bases[0], hook->table, jumps, &seen);
    seen.first_foreign = seen.n_total;
    see_jumps(bases[1], hook->table, jumps, &seen);
    seen.jumps = jumps;
    if (!nsh_nft_look_good(l, bases)) {
        seen.n_jumps = 0;
        seen.first_foreign = 0;
    }
    return observed(userdata, &seen);
}

static int see_table(const struct nsh_nft_look *l, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < nsh_nft_n_hooks; i++)
        if (nsh_nft_hooks[i].table == table)
            r = see_hook(l, &nsh_nft_hooks[i], observed, userdata);
    for (size_t i = 0; r == 0 && i < l->n_chains; i++)
        if (l->chains[i]->table == table && !l->chains[i]->hook)
            r = see_chain(l->chains[i], l->family, observed, userdata);
    return r;
}

/* Only a look: what changed since the last session of writing is still a change. */
static int look(struct nft *f, int family, struct nsh_nft_look **ret)
{
    int r;

    if (!nsh_nft_in_use())
        return 1;
    r = nsh_nft_channel_open(&f->channel);
    if (r == 0)
        r = take_look(f, family, ret);
    return is_absent(r) ? 1 : r;
}

static int nft_observe(struct nsh_firewall *fw, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    struct nft *f = nft_of(fw);
    struct nsh_nft_look *l;
    int r;

    if (!f->open || !is_place(family, table))
        return -EINVAL;
    if (f->mode == NSH_FIREWALL_READ) {
        r = look(f, family, &l);
        return r == 0 ? see_table(l, table, observed, userdata) : r < 0 ? r : 0;
    }
    /* The mark before the look: what changes in between makes a difference later. */
    nsh_nft_watch_take(&f->watch);
    nsh_nft_watch_mark(&f->watch, family, table, true);
    r = take_look(f, family, &l);
    if (r == 0)
        r = see_table(l, table, observed, userdata);
    if (r != 0)
        nsh_nft_watch_mark(&f->watch, family, table, false);
    return r;
}

/* ---- committing ---- */

/* Sends what was made from a look, again if it must be. */
static int send_batch(struct nft *f, struct nsh_nft_batch *b, const struct nsh_nft_look *l,
        struct nsh_nft_failure *failure)
{
    uint32_t generation = l->generation, touches = f->touches[nsh_nft_index(l->family)];
    int r = NSH_FIREWALL_RACED;

    for (int i = 0; i < SENDS && r == NSH_FIREWALL_RACED; i++) {
        r = nsh_nft_batch_send(&f->channel, b, generation, false, failure);
        if (r != NSH_FIREWALL_RACED)
            break;
        nsh_nft_watch_wait(&f->watch, generation);
        if (f->watch.touches != touches || (int32_t)(f->watch.generation - generation) <= 0)
            break;
        generation = f->watch.generation;
    }
    return r;
}

static void explain(int family, const struct nsh_firewall_op *ops, size_t n,
        const struct nsh_nft_failure *failure, char *ret_why, size_t size)
{
    char name[NSH_NFT_NAME] = "";

    if (failure->step < n)
        nsh_nft_chain_name(ops[failure->step].table, ops[failure->step].chain, name);
    nsh_nft_words(family, name, failure, ret_why, size);
}

/* The jump stands already. */
static bool is_done(const struct nsh_nft_look *l, const struct nsh_firewall_op *op)
{
    const struct nsh_nft_hook *hook = nsh_nft_hook_find(op->table, op->hook);
    struct nsh_nft_chain *bases[NSH_NFT_PLACES];
    char name[NSH_NFT_NAME];

    if (op->verb != NSH_JUMP_ADD || !hook)
        return false;
    nsh_nft_look_bases(l, hook, bases);
    if (!nsh_nft_look_good(l, bases))
        return false;
    nsh_nft_chain_name(op->table, op->chain, name);
    for (int place = 0; place < NSH_NFT_PLACES; place++)
        for (size_t i = 0; bases[place] && i < bases[place]->n_rules; i++)
            if (strcmp(bases[place]->rules[i].refers, name) == 0)
                return true;
    return false;
}

/* What is seen then is another thing; if nothing else was amiss, that was it. */
static int wake_table(struct nft *f, struct nsh_nft_look *l, const struct nsh_firewall_op *ops,
        size_t n, struct nsh_nft_failure *failure)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nlmsghdr *m;
    int r;

    nsh_nft_batch_init(&b);
    m = nsh_nft_batch_open(&b, NFT_MSG_NEWTABLE, l->family, NLM_F_REQUEST);
    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_TABLE);
    mnl_attr_put_u32(m, NFTA_TABLE_FLAGS, 0);
    nsh_nft_batch_close(&b, m);
    r = send_batch(f, &b, l, failure);
    if (r == NSH_FIREWALL_OK)
        r = take_look(f, l->family, &l);
    for (size_t i = 0; r == NSH_FIREWALL_OK && i < n; i++)
        if (!is_done(l, &ops[i]))
            r = NSH_FIREWALL_RACED;
    return r;
}

static int commit_ops(struct nft *f, struct nsh_nft_look *l, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nsh_nft_failure failure = {.step = NSH_NFT_NO_STEP};
    int r = NSH_FIREWALL_OK;

    nsh_nft_batch_init(&b);
    if (l->dormant) {
        r = wake_table(f, l, ops, n, &failure);
    } else {
        r = nsh_nft_edit(l, table, ops, n, &b, ret_why, size);
        if (r != NSH_FIREWALL_OK)
            return r;
        r = send_batch(f, &b, l, &failure);
    }
    if (r < 0)
        explain(l->family, ops, n, &failure, ret_why, size);
    return r;
}

/* The look of the last observe, or one of its own. */
static int prepare(struct nft *f, int family, enum nsh_table table, char *ret_why, size_t size)
{
    struct nsh_nft_look *l = &f->looks[nsh_nft_index(family)];
    struct nsh_nft_failure failure = {.step = NSH_NFT_NO_STEP};

    if (l->valid)
        return 0;
    nsh_nft_watch_take(&f->watch);
    nsh_nft_watch_mark(&f->watch, family, table, true);
    failure.error = take_look(f, family, &l);
    if (failure.error < 0)
        nsh_nft_words(family, NULL, &failure, ret_why, size);
    return failure.error;
}

static int nft_commit(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    struct nft *f = nft_of(fw);
    struct nsh_nft_look *l;
    int r;

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (!f->open || f->mode != NSH_FIREWALL_WRITE || !is_place(family, table))
        return -EINVAL;
    if (n == 0)
        return NSH_FIREWALL_OK;
    l = &f->looks[nsh_nft_index(family)];
    r = prepare(f, family, table, ret_why, size);
    if (r == 0)
        r = commit_ops(f, l, table, ops, n, ret_why, size);
    /* Sent or spoilt, the look is of no more use. */
    nsh_nft_look_done(l);
    if (r != NSH_FIREWALL_OK)
        nsh_nft_watch_mark(&f->watch, family, table, false);
    return r;
}

/* ---- sets ---- */

static int nft_sets(struct nsh_firewall *fw, int family, nsh_set_observed *observed, void *userdata)
{
    struct nft *f = nft_of(fw);
    int r;

    if (!f->open || !is_family(family))
        return -EINVAL;
    r = nsh_set_aside_settle(&f->aside.set);
    if (r < 0 || (f->mode == NSH_FIREWALL_READ && !nsh_nft_in_use()))
        return r;
    r = nsh_nft_channel_open(&f->channel);
    if (r == 0)
        r = nsh_nft_sets(&f->channel, family, observed, userdata);
    return is_absent(r) ? 0 : r;
}

static int nft_set_read(struct nsh_firewall *fw, int family, const char *name,
        nsh_set_element_observed *observed, void *userdata)
{
    struct nft *f = nft_of(fw);
    int r;

    if (!f->open || !is_family(family))
        return -EINVAL;
    if (f->mode == NSH_FIREWALL_WRITE)
        return nsh_nft_aside_read(&f->aside, &f->watch, family, name, observed, userdata);
    if (!nsh_nft_in_use())
        return -ENOENT;
    r = nsh_nft_channel_open(&f->channel);
    return r < 0 ? r : nsh_nft_set_read(&f->channel, family, name, NULL, observed, userdata);
}

/* With its last set an empty table goes. */
static void remove_empty_table(struct nft *f, int family)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nsh_nft_failure failure;
    struct nsh_nft_look *l;
    struct nlmsghdr *m;

    nsh_nft_batch_init(&b);
    if (take_look(f, family, &l) < 0 || !l->table || l->n_sets > 0 || l->n_chains > 0)
        return;
    m = nsh_nft_batch_open(&b, NFT_MSG_DELTABLE, family, NLM_F_REQUEST);
    if (!m)
        return;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_TABLE);
    nsh_nft_batch_close(&b, m);
    (void)send_batch(f, &b, l, &failure);
}

/* This takes no time; what is being written comes first. */
static int destroy_set(struct nft *f, const struct nsh_set_op *op, struct nsh_nft_failure *failure)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    int r = nsh_set_aside_settle(&f->aside.set);

    nsh_nft_batch_init(&b);
    if (r < 0)
        return r;
    failure->error = r = nsh_nft_set_edit(&b, op, false);
    if (r == 0)
        r = nsh_nft_batch_send(&f->channel, &b, 0, false, failure);
    (void)nsh_nft_watch_mark_set(&f->watch, op->family, op->name, false);
    if (r == 0)
        remove_empty_table(f, op->family);
    return r;
}

static void explain_set(const struct nsh_set_op *op, const struct nsh_nft_failure *failure,
        char *ret_why, size_t size)
{
    if (!ret_why || size == 0)
        return;
    if (failure->error == -EBUSY)
        snprintf(ret_why, size, "set %.31s: a rule refers to it", op->name);
    else if (failure->error == -ENOENT)
        snprintf(ret_why, size, "set %.31s: it, or an element of it, is not there", op->name);
    else if (failure->error == -EEXIST)
        snprintf(ret_why, size, "set %.31s: it, or an element of it, is there already", op->name);
    else
        nsh_nft_words(op->family, op->name, failure, ret_why, size);
}

static int nft_set_write(
        struct nsh_firewall *fw, const struct nsh_set_op *op, char *ret_why, size_t size)
{
    struct nft *f = nft_of(fw);
    struct nsh_nft_failure failure = {.step = NSH_NFT_NO_STEP};
    const char *words = nsh_nft_set_check(op);
    int r;

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (words && ret_why && size > 0)
        snprintf(ret_why, size, "set %.31s: %s", op->name, words);
    if (words || !f->open || f->mode != NSH_FIREWALL_WRITE || !is_family(op->family))
        return -EINVAL;
    r = op->verb == NSH_SET_DESTROY ? destroy_set(f, op, &failure)
                                    : nsh_nft_aside_write(&f->aside, &f->watch, op, &failure);
    if (r < 0 && r != -EINPROGRESS)
        explain_set(op, &failure, ret_why, size);
    return r;
}

static void nft_set_drop(struct nsh_firewall *fw)
{
    nsh_set_aside_drop(&nft_of(fw)->aside.set);
}

/* ---- without a session ---- */

static int nft_set_changed(struct nsh_firewall *fw, int family, const char *name)
{
    struct nft *f = nft_of(fw);

    if (!is_family(family))
        return -EINVAL;
    nsh_nft_watch_take(&f->watch);
    return nsh_nft_watch_set_changed(&f->watch, family, name);
}

/* What was lost is taken for a change of everything. */
static bool nft_sets_told(struct nsh_firewall *fw)
{
    return nft_of(fw)->watch.fd >= 0;
}

static int nft_changed(struct nsh_firewall *fw, int family, enum nsh_table table)
{
    struct nft *f = nft_of(fw);

    if (!is_place(family, table))
        return -EINVAL;
    nsh_nft_watch_take(&f->watch);
    return nsh_nft_watch_changed(&f->watch, family, table);
}

static bool nft_culprit(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret)
{
    const struct nft *f = nft_of(fw);

    if (f->watch.known)
        *ret = f->watch.culprit;
    return f->watch.known;
}

static int nft_hint_fd(struct nsh_firewall *fw)
{
    struct nft *f = nft_of(fw);
    int r = open_watch(f);

    return r < 0 ? r : f->watch.fd;
}

static void nft_hint_take(struct nsh_firewall *fw)
{
    nsh_nft_watch_take(&nft_of(fw)->watch);
}

/* Asked of the kernel until it says yes. */
static int nft_probe(
        struct nsh_firewall *fw, int family, enum nsh_table table, char *ret_why, size_t size)
{
    struct nft *f = nft_of(fw);
    struct nsh_nft_failure failure = {.step = NSH_NFT_NO_STEP};
    int r;

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (!is_place(family, table))
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

static int hold_on(struct nft *f, int family)
{
    int r = f->holds_not ? -EOPNOTSUPP : nsh_nft_channel_open(&f->channel);

    if (r == 0)
        r = nsh_nft_hold(&f->channel, family);
    f->holds[nsh_nft_index(family)] = r == 0;
    f->holds_not = is_absent(r);
    return r;
}

static int let_go(struct nft *f, int family)
{
    int r = nsh_nft_in_use() ? nsh_nft_channel_open(&f->channel) : 0;

    if (r == 0 && f->channel.fd >= 0)
        r = nsh_nft_let_go(&f->channel, family);
    if (r == 0)
        f->holds[nsh_nft_index(family)] = false;
    return is_absent(r) ? 0 : r;
}

static int nft_hold(struct nsh_firewall *fw, int family, bool on)
{
    struct nft *f = nft_of(fw);

    if (!is_family(family))
        return -EINVAL;
    if (!on)
        return let_go(f, family);
    return f->holds[nsh_nft_index(family)] ? 0 : hold_on(f, family);
}

static int nft_others_translate(struct nsh_firewall *fw)
{
    struct nft *f = nft_of(fw);

    return nsh_nft_in_use() ? nsh_nft_others_translate(&f->others, &f->channel) : 0;
}

static int nft_others_fd(struct nsh_firewall *fw)
{
    return nsh_nft_others_fd(&nft_of(fw)->others, &nft_of(fw)->channel);
}

static int nft_others_changed(struct nsh_firewall *fw)
{
    struct nft *f = nft_of(fw);

    return nsh_nft_in_use() ? nsh_nft_others_changed(&f->others, &f->channel) : 0;
}

static int nft_pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
        struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata)
{
    struct nft *f = nft_of(fw);
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

static int nft_drops(struct nsh_firewall *fw, int family, const struct nsh_forward_path *path,
        bool accepted, struct nsh_forward_drop *ret)
{
    struct nft *f = nft_of(fw);
    int r = nsh_nft_in_use() ? nsh_nft_channel_open(&f->channel) : 0;

    if (r < 0 || f->channel.fd < 0)
        return r;
    return nsh_nft_drops(&f->channel, family, path, accepted, ret);
}

static bool nft_pass_culprit(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret)
{
    *ret = nft_of(fw)->evictor;
    return ret->pid != 0;
}

static int is_past(struct nft *f, uint32_t judged)
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
    return is_past(nft_of(fw), nft_of(fw)->judged);
}

/* In the other tables a rule of others takes nothing from ours: each chain has its own say. */
static int nft_ahead(struct nsh_firewall *fw, int family, enum nsh_table table, const char *hook,
        struct nsh_ahead_seen *ret)
{
    const struct nsh_nft_hook *h = nsh_nft_hook_find(table, hook);
    struct nft *f = nft_of(fw);
    int r;

    f->ahead_judged = 0;
    if (!is_place(family, table) || !h)
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
    return is_past(nft_of(fw), nft_of(fw)->ahead_judged);
}

static bool nft_in_use(struct nsh_firewall *fw)
{
    (void)fw;
    return nsh_nft_in_use();
}

static void nft_free(struct nsh_firewall *fw)
{
    struct nft *f = nft_of(fw);

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
        .observe = nft_observe,
        .commit = nft_commit,
        .close = nft_close,
        .changed = nft_changed,
        .sets = nft_sets,
        .set_read = nft_set_read,
        .set_write = nft_set_write,
        .set_drop = nft_set_drop,
        .set_changed = nft_set_changed,
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
    struct nft *f = calloc(1, sizeof *f);

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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firewall contract kept with libiptc, as `iptables-legacy` itself works: copy the table, edit
 * the copy, send it back whole.
 *
 * What libiptc leaves open is closed here. It takes no lock: a writing session holds the lock of
 * all xtables programs. It notices a write by a program without the lock only when the number of
 * entries changed, and overwrites it otherwise: the table is hashed before it is copied and again
 * just before it is sent. It brings a table into being by looking at it: a reading session asks
 * /proc first.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/*
 * Scripts empty a table with two commands, -F and -X, and the second fails if a chain is full
 * again. From the end of the one to the end of the other it takes 1 to 2 ms, and several times as
 * long on a machine that has much else to do. More would be courteous to scripts, less to whoever
 * waits for the way out to be there again.
 */
#define HINT_REST_USEC 5000

struct table {
    struct xtc_handle *handle; /* of the last observe in this session */
    struct nsh_xt_mark mark;   /* how it looked when observed or committed last */
};

struct iptc {
    struct nsh_firewall fw;
    bool open;
    enum nsh_firewall_mode mode;
    int lock_fd;
    struct nsh_xt_poll poll;
    struct nsh_xt_hint hint;
    struct nsh_firewall_culprit culprit; /* pid 0: not known */
    struct nsh_xt_names names;
    struct nsh_xt_sets sets;
    struct table tables[2][NSH_TABLE_COUNT]; /* by nsh_xt.index */
    bool holds;                              /* the policies; as it was said last */
    struct nsh_xt_mark judged[2];            /* FORWARD's table, when others were judged */
};

static struct iptc *iptc_of(struct nsh_firewall *fw)
{
    return (struct iptc *)fw;
}

static void forget_handle(const struct nsh_xt *xt, struct table *t)
{
    if (t->handle)
        xt->free(t->handle);
    t->handle = NULL;
}

static int take_handle(const struct nsh_xt *xt, enum nsh_table table, struct table *t)
{
    forget_handle(xt, t);
    errno = 0;
    t->handle = xt->init(nsh_table_name(table));
    if (t->handle)
        return 0;
    return errno > 0 ? -errno : -EIO;
}

/* Family and table of a call; false if there are no such. */
static bool find(struct iptc *f, int family, enum nsh_table table, const struct nsh_xt **ret_xt,
        struct table **ret_table)
{
    const struct nsh_xt *xt = nsh_xt_of(family);

    if (!xt || (unsigned int)table >= NSH_TABLE_COUNT)
        return false;
    *ret_xt = xt;
    *ret_table = &f->tables[xt->index][table];
    return true;
}

/* ---- the session ---- */

static int iptc_open(struct nsh_firewall *fw, enum nsh_firewall_mode mode)
{
    struct iptc *f = iptc_of(fw);
    int fd = -1;

    if (f->open)
        return -EALREADY;
    if (mode == NSH_FIREWALL_WRITE) {
        fd = nsh_xt_lock();
        if (fd == -EWOULDBLOCK)
            return NSH_FIREWALL_BUSY;
        if (fd < 0)
            return fd;
    }
    f->lock_fd = fd;
    f->mode = mode;
    f->open = true;
    return NSH_FIREWALL_OK;
}

static void iptc_close(struct nsh_firewall *fw)
{
    struct iptc *f = iptc_of(fw);

    for (int family = 0; family < 2; family++)
        for (int t = 0; t < NSH_TABLE_COUNT; t++)
            forget_handle(nsh_xt_of(family ? AF_INET6 : AF_INET), &f->tables[family][t]);
    nsh_closep(&f->lock_fd);
    f->lock_fd = -1;
    f->open = false;
}

/* ---- observing ---- */

/* Arrays that are filled anew for each chain. */
struct seen {
    struct nsh_packet_rule *rules;
    struct nsh_traffic *traffic;
    struct nsh_jump_seen *jumps;
    struct nsh_ahead_seen *ahead;
    size_t rules_max, traffic_max, jumps_max, ahead_max;
    struct nsh_xt_names *names;
};

static void seen_done(struct seen *s)
{
    free(s->rules);
    free(s->traffic);
    free(s->jumps);
    free(s->ahead);
}

/* Room for one more in an array of `n`; what bounds it is the size of the table. */
static void *grow(void *array, size_t n, size_t *max, size_t size)
{
    size_t more = *max ? *max * 2 : 16;
    void *p;

    if (n < *max)
        return array;
    p = reallocarray(array, more, size);
    if (p)
        *max = more;
    return p;
}

static int see_ours(
        const struct nsh_xt *xt, struct xtc_handle *h, struct seen *s, struct nsh_chain_seen *chain)
{
    for (const void *r = xt->first_rule(chain->name, h); r; r = xt->next_rule(r, h)) {
        struct nsh_packet_rule *rules =
                grow(s->rules, chain->n_rules, &s->rules_max, sizeof *s->rules);
        struct xt_counters counters;

        s->rules = rules ? rules : s->rules;
        struct nsh_traffic *traffic =
                grow(s->traffic, chain->n_rules, &s->traffic_max, sizeof *s->traffic);
        s->traffic = traffic ? traffic : s->traffic;
        if (!rules || !traffic)
            return -ENOMEM;
        memcpy(&counters, (const char *)r + xt->counters_at, sizeof counters);
        traffic[chain->n_rules] = (struct nsh_traffic){counters.pcnt, counters.bcnt};
        nsh_xt_decode(xt, s->names, r, xt->target(r, h), &rules[chain->n_rules++]);
    }
    chain->rules = s->rules;
    chain->traffic = s->traffic;
    return 0;
}

/* With no match at all. */
static bool is_plain(const struct nsh_packet_rule *r)
{
    struct nsh_packet_rule plain = {.action = NSH_PACKET_JUMP};

    memcpy(plain.target, r->target, sizeof plain.target);
    return nsh_packet_rule_equal(r, &plain);
}

static int see_jump(const struct nsh_xt *xt, const void *rule, const char *target, struct seen *s,
        struct nsh_chain_seen *chain)
{
    struct nsh_jump_seen *jumps = grow(s->jumps, chain->n_jumps, &s->jumps_max, sizeof *s->jumps);
    struct nsh_packet_rule value;
    struct nsh_jump_seen jump = {.index = chain->n_total};

    if (!jumps)
        return -ENOMEM;
    s->jumps = jumps;
    nsh_xt_decode(xt, s->names, rule, target, &value);
    jump.plain = is_plain(&value);
    memcpy(jump.target, target, strlen(target));
    jumps[chain->n_jumps++] = jump;
    return 0;
}

static int see_foreign(const struct nsh_xt *xt, const void *rule, const char *target,
        struct seen *s, struct nsh_chain_seen *chain)
{
    struct nsh_ahead_seen *ahead;

    if (!target || chain->n_ahead == NSH_AHEAD_MAX)
        return 0;
    ahead = grow(s->ahead, chain->n_ahead, &s->ahead_max, sizeof *ahead);
    if (!ahead)
        return -ENOMEM;
    s->ahead = ahead;
    ahead += chain->n_ahead;
    if (!nsh_xt_describe(xt, s->names, chain->name, rule, target, ahead))
        return 0;
    ahead->index = chain->n_total;
    chain->n_ahead++;
    return 0;
}

/* What stands among bans is left there: it is neither in our way nor to be overtaken. */
static int see_builtin(
        const struct nsh_xt *xt, struct xtc_handle *h, struct seen *s, struct nsh_chain_seen *chain)
{
    bool foreign = false;
    int e = chain->table == NSH_TABLE_FILTER && strcmp(chain->name, "FORWARD") == 0
                    ? nsh_xt_bans(xt, h, chain->name, &chain->behind_bans)
                    : 0;

    if (e < 0)
        return e;
    for (const void *r = xt->first_rule(chain->name, h); r; r = xt->next_rule(r, h)) {
        const char *target = xt->target(r, h);
        bool ours = target && nsh_chain_is_ours(target) && strlen(target) < NSH_CHAIN_NAME;
        bool other = !ours && chain->n_total >= chain->behind_bans;

        if (ours)
            e = see_jump(xt, r, target, s, chain);
        else if (other)
            e = see_foreign(xt, r, target, s, chain);
        if (e < 0)
            return e;
        if (other && !foreign)
            chain->first_foreign = chain->n_total;
        foreign = foreign || other;
        chain->n_total++;
    }
    if (!foreign)
        chain->first_foreign = chain->n_total;
    chain->jumps = s->jumps;
    chain->ahead = s->ahead;
    return 0;
}

static int see_chains(const struct nsh_xt *xt, enum nsh_table table, struct xtc_handle *h,
        struct nsh_xt_names *names, nsh_chain_observed *observed, void *userdata)
{
    NSH_CLEANUP(seen_done) struct seen s = {.names = names};

    for (const char *name = xt->first_chain(h); name; name = xt->next_chain(h)) {
        struct nsh_chain_seen chain = {.family = xt->family, .table = table, .name = name};
        int r;

        chain.builtin = xt->builtin(name, h);
        if (!chain.builtin && (!nsh_chain_is_ours(name) || strlen(name) >= NSH_CHAIN_NAME))
            continue;
        r = chain.builtin ? see_builtin(xt, h, &s, &chain) : see_ours(xt, h, &s, &chain);
        if (r == 0)
            r = observed(userdata, &chain);
        if (r != 0)
            return r;
    }
    return 0;
}

/* Only a look: what changed since the last session under the lock is still a change. */
static int look(const struct nsh_xt *xt, enum nsh_table table, struct table *t,
        struct nsh_xt_names *names, nsh_chain_observed *observed, void *userdata)
{
    int r = nsh_xt_table_listed(xt, table);

    if (r <= 0)
        return r;
    r = take_handle(xt, table, t);
    if (r < 0)
        return r;
    r = see_chains(xt, table, t->handle, names, observed, userdata);
    forget_handle(xt, t);
    return r;
}

static int iptc_observe(struct nsh_firewall *fw, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    struct iptc *f = iptc_of(fw);
    const struct nsh_xt *xt;
    struct table *t;
    int r;

    if (!f->open || !find(f, family, table, &xt, &t))
        return -EINVAL;
    if (f->mode == NSH_FIREWALL_READ)
        return look(xt, table, t, &f->names, observed, userdata);
    /* The mark before the copy: what changes in between makes a difference later. */
    t->mark.state = NSH_XT_UNKNOWN;
    nsh_xt_audit_seen(&f->hint.audit, family, table);
    r = nsh_xt_mark_read(&f->poll, xt, table, &t->mark);
    if (r >= 0)
        r = take_handle(xt, table, t);
    if (r < 0)
        return r;
    r = see_chains(xt, table, t->handle, &f->names, observed, userdata);
    if (r != 0) {
        t->mark.state = NSH_XT_UNKNOWN;
        forget_handle(xt, t);
    }
    return r;
}

/* ---- committing ---- */

/* The copy the operations are for: that of the last observe, if the table is still so. */
static int prepare(struct iptc *f, const struct nsh_xt *xt, enum nsh_table table, struct table *t)
{
    int r;

    if (!t->handle) {
        r = nsh_xt_mark_read(&f->poll, xt, table, &t->mark);
        return r < 0 ? r : take_handle(xt, table, t);
    }
    r = nsh_xt_mark_compare(&f->poll, xt, table, &t->mark);
    return r == 1 ? NSH_FIREWALL_RACED : r;
}

static int send_table(struct iptc *f, const struct nsh_xt *xt, enum nsh_table table,
        struct table *t, char *ret_why, size_t size)
{
    int e;

    errno = 0;
    if (xt->commit(t->handle))
        return NSH_FIREWALL_OK;
    e = errno;
    if (e == EAGAIN)
        return NSH_FIREWALL_RACED;
    if (e == ENOENT)
        nsh_xt_missing(&f->poll, xt, table, ret_why, size);
    else
        nsh_xt_words(xt, table, NULL, NSH_XT_SENDING, e, ret_why, size);
    return e > 0 ? -e : -EIO;
}

static int iptc_commit_ops(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    struct iptc *f = iptc_of(fw);
    const struct nsh_xt *xt;
    struct table *t;
    bool changed = false;
    int r;

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (!f->open || f->mode != NSH_FIREWALL_WRITE || !find(f, family, table, &xt, &t))
        return -EINVAL;
    if (n == 0)
        return NSH_FIREWALL_OK;
    r = prepare(f, xt, table, t);
    if (r < 0)
        nsh_xt_words(xt, table, NULL, NSH_XT_OPENING, r, ret_why, size);
    if (r == NSH_FIREWALL_OK)
        r = nsh_xt_edit(xt, table, t->handle, &f->names, ops, n, &changed, ret_why, size);
    if (r == NSH_FIREWALL_OK && !changed)
        return r;
    if (r == NSH_FIREWALL_OK)
        r = send_table(f, xt, table, t, ret_why, size);
    /* Sent or spoilt, the copy is of no more use. */
    forget_handle(xt, t);
    t->mark.state = NSH_XT_UNKNOWN;
    nsh_xt_audit_seen(&f->hint.audit, family, table);
    if (r == NSH_FIREWALL_OK)
        (void)nsh_xt_mark_read(&f->poll, xt, table, &t->mark);
    return r;
}

/* ---- sets ---- */

static int iptc_sets(
        struct nsh_firewall *fw, int family, nsh_set_observed *observed, void *userdata)
{
    struct iptc *f = iptc_of(fw);

    return f->open ? nsh_xt_sets_list(&f->sets, &f->names, family, observed, userdata) : -EINVAL;
}

static int iptc_set_read(struct nsh_firewall *fw, int family, const char *name,
        nsh_set_element_observed *observed, void *userdata)
{
    struct iptc *f = iptc_of(fw);

    if (!f->open)
        return -EINVAL;
    return nsh_xt_set_read(
            &f->sets, &f->names, family, name, f->mode == NSH_FIREWALL_WRITE, observed, userdata);
}

static int iptc_set_write(
        struct nsh_firewall *fw, const struct nsh_set_op *op, char *ret_why, size_t size)
{
    struct iptc *f = iptc_of(fw);

    if (!f->open || f->mode != NSH_FIREWALL_WRITE)
        return -EINVAL;
    return nsh_xt_set_write(&f->sets, op, ret_why, size);
}

static void iptc_set_drop(struct nsh_firewall *fw)
{
    nsh_set_aside_drop(&iptc_of(fw)->sets.aside);
}

static int iptc_set_changed(struct nsh_firewall *fw, int family, const char *name)
{
    struct iptc *f = iptc_of(fw);

    return nsh_xt_set_compare(&f->sets, &f->names, family, name);
}

/* ---- without a session ---- */

static int iptc_changed(struct nsh_firewall *fw, int family, enum nsh_table table)
{
    struct iptc *f = iptc_of(fw);
    const struct nsh_xt *xt;
    struct table *t;
    int r;

    if (!find(f, family, table, &xt, &t))
        return -EINVAL;
    r = nsh_xt_mark_compare(&f->poll, xt, table, &t->mark);
    if (r == 1 && !nsh_xt_audit_who(&f->hint.audit, family, table, &f->culprit))
        f->culprit = (struct nsh_firewall_culprit){0};
    return r;
}

static bool iptc_culprit(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret)
{
    struct iptc *f = iptc_of(fw);

    if (f->culprit.pid == 0)
        return false;
    *ret = f->culprit;
    return true;
}

static int iptc_hint_fd(struct nsh_firewall *fw)
{
    return nsh_xt_hint_fd(&iptc_of(fw)->hint);
}

static void iptc_hint_take(struct nsh_firewall *fw)
{
    nsh_xt_hint_take(&iptc_of(fw)->hint);
}

static int iptc_probe(
        struct nsh_firewall *fw, int family, enum nsh_table table, char *ret_why, size_t size)
{
    const struct nsh_xt *xt = nsh_xt_of(family);

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (!xt || (unsigned int)table >= NSH_TABLE_COUNT)
        return -EAFNOSUPPORT;
    return nsh_xt_probe(&iptc_of(fw)->poll, xt, table, ret_why, size);
}

static void iptc_free_object(struct nsh_firewall *fw)
{
    struct iptc *f = iptc_of(fw);

    iptc_close(fw);
    nsh_xt_poll_done(&f->poll);
    nsh_xt_hint_done(&f->hint);
    nsh_xt_names_done(&f->names);
    nsh_xt_sets_done(&f->sets);
    free(f);
}

static int count_foreign(void *userdata, const struct nsh_chain_seen *seen)
{
    bool *found = userdata;

    if (seen->builtin && seen->n_total > seen->n_jumps)
        *found = true;
    return 0;
}

/* What only stands in chains that nothing leads to translates nothing. */
static int iptc_others_translate(struct nsh_firewall *fw)
{
    bool found = false;
    int r = iptc_open(fw, NSH_FIREWALL_READ);

    if (r != NSH_FIREWALL_OK)
        return r < 0 ? r : -EBUSY;
    r = iptc_observe(fw, AF_INET, NSH_TABLE_NAT, count_foreign, &found);
    if (r == 0)
        r = iptc_observe(fw, AF_INET6, NSH_TABLE_NAT, count_foreign, &found);
    iptc_close(fw);
    return r < 0 ? r : found;
}

/* ---- what others do with what passes ---- */

/* The commands are for all that it drops. */
static int judge_passage(const struct nsh_xt *xt, struct xtc_handle *h, struct nsh_passage *p)
{
    nsh_autofree struct nsh_forward_path *dropped = calloc(p->n_paths + 1, sizeof *dropped);
    size_t n = 0;

    if (!dropped)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_paths; i++)
        if (nsh_xt_judge(xt, h, &p->paths[i]) > 0)
            dropped[n++] = p->paths[i];
    if (n == 0)
        return 0;
    p->dropped = p->by_firewall = true;
    snprintf(p->drop.what, sizeof p->drop.what, "the legacy %s chain FORWARD",
            xt->family == AF_INET6 ? "ip6tables" : "iptables");
    nsh_forward_fix(NSH_FORWARD_IPTABLES,
            xt->family == AF_INET6 ? "ip6tables-legacy -I FORWARD" : "iptables-legacy -I FORWARD",
            dropped, n, p->drop.fix, sizeof p->drop.fix);
    return 0;
}

static int judge_family(
        struct iptc *f, const struct nsh_xt *xt, struct nsh_passage *passages, size_t n)
{
    struct nsh_xt_mark *mark = &f->judged[xt->index];
    struct table t = {0};
    int r = nsh_xt_table_listed(xt, NSH_TABLE_FILTER);

    mark->state = NSH_XT_UNKNOWN;
    if (r <= 0)
        return r;
    r = nsh_xt_mark_read(&f->poll, xt, NSH_TABLE_FILTER, mark);
    if (r >= 0)
        r = take_handle(xt, NSH_TABLE_FILTER, &t);
    for (size_t i = 0; r >= 0 && i < n; i++)
        if (passages[i].chain->family == xt->family)
            r = judge_passage(xt, t.handle, &passages[i]);
    forget_handle(xt, &t);
    return r < 0 ? r : 0;
}

/* Where the policies stand here, our jumps come before all other rules. */
static int iptc_pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
        struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata)
{
    struct iptc *f = iptc_of(fw);
    int r;

    (void)mode; /* a chain of ours comes about here as all others do */
    (void)told;
    (void)userdata;
    for (size_t i = 0; i < n; i++)
        passages[i].dropped = passages[i].by_firewall = false;
    f->holds = holds;
    if (holds)
        return 0;
    r = judge_family(f, nsh_xt_of(AF_INET), passages, n);
    return r < 0 ? r : judge_family(f, nsh_xt_of(AF_INET6), passages, n);
}

static int iptc_pass_changed(struct nsh_firewall *fw)
{
    struct iptc *f = iptc_of(fw);

    for (int i = 0; !f->holds && i < 2; i++) {
        const struct nsh_xt *xt = nsh_xt_of(i ? AF_INET6 : AF_INET);
        int listed = nsh_xt_table_listed(xt, NSH_TABLE_FILTER);

        if (listed < 0)
            return listed;
        if (listed ? nsh_xt_mark_compare(&f->poll, xt, NSH_TABLE_FILTER, &f->judged[i]) != 0
                   : f->judged[i].state != NSH_XT_UNKNOWN)
            return 1;
    }
    return 0;
}

static const struct nsh_firewall_ops iptc_firewall = {
        .free = iptc_free_object,
        .name = "iptables",
        .probe = iptc_probe,
        .open = iptc_open,
        .observe = iptc_observe,
        .commit = iptc_commit_ops,
        .close = iptc_close,
        .changed = iptc_changed,
        .sets = iptc_sets,
        .set_read = iptc_set_read,
        .set_write = iptc_set_write,
        .set_drop = iptc_set_drop,
        .set_changed = iptc_set_changed,
        .culprit = iptc_culprit,
        .others_translate = iptc_others_translate,
        .pass = iptc_pass,
        .pass_changed = iptc_pass_changed,
        .hint_fd = iptc_hint_fd,
        .hint_rest_usec = HINT_REST_USEC,
        .hint_take = iptc_hint_take,
};

int nsh_firewall_iptc_new(struct nsh_firewall **ret)
{
    struct iptc *f = calloc(1, sizeof *f);

    if (!f)
        return -ENOMEM;
    f->fw.ops = &iptc_firewall;
    f->lock_fd = -1;
    nsh_xt_poll_init(&f->poll);
    nsh_xt_hint_init(&f->hint);
    nsh_xt_names_init(&f->names);
    nsh_xt_sets_init(&f->sets);
    *ret = &f->fw;
    return 0;
}

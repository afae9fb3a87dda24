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
    struct nsh_firewall_culprit evictor; /* the same, of what the last look at FORWARD missed */
    struct nsh_xt_names names;
    struct nsh_xt_sets sets;
    struct table tables[2][NSH_TABLE_COUNT]; /* by nsh_xt.index */
    bool holds;                              /* the policies; as it was said last */
    bool judges;                             /* others, as it was asked last */
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
    r = nsh_xt_see(xt, table, t->handle, names, observed, userdata);
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
    r = nsh_xt_see(xt, table, t->handle, &f->names, observed, userdata);
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
    /* The counters are sent after the rules; who writes in between makes that fail. */
    if (e == EAGAIN || nsh_xt_mark_compare(&f->poll, xt, table, &t->mark) == 1)
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

/* All of it is seen before addresses are translated. */
static int iptc_drops(struct nsh_firewall *fw, int family, const struct nsh_forward_path *before,
        const struct nsh_forward_path *after, struct nsh_forward_drop *ret)
{
    (void)fw;
    (void)after;
    return nsh_xt_drops_anywhere(family, before, ret);
}

/* A filter table that is asked for passages. */
struct asking {
    const struct nsh_xt *xt;
    struct xtc_handle *h;
    bool holds;
    uint32_t n_bans; /* rules at the beginning of FORWARD */
};

/* By the bans that what is ours comes behind; also in `ret`, by which. */
static bool is_banned(const struct asking *a, const struct nsh_passage *p, size_t path,
        struct nsh_forward_drop *ret)
{
    const char *jump = a->holds ? p->chain->name : NSH_CHAIN_GUEST;

    return nsh_xt_judge_bans(a->xt, a->h, &p->paths[path], a->n_bans, jump, ret);
}

/* Of a pair the rule is kept only if both are dropped: else nothing is told of it. */
static void judge_bans(const struct asking *a, struct nsh_passage *p, bool *ret_dropped)
{
    struct nsh_forward_drop drop = {0};

    p->drop.rule[0] = '\0';
    for (size_t i = 0; i + 1 < p->n_paths; i += 2) {
        ret_dropped[i] = is_banned(a, p, i, &drop);
        ret_dropped[i + 1] = ret_dropped[i] && is_banned(a, p, i + 1, &drop);
        if (ret_dropped[i + 1] && p->drop.rule[0] == '\0')
            memcpy(p->drop.rule, drop.rule, sizeof p->drop.rule);
    }
}

/* The commands are for all that it drops. */
static void judge_passage(const struct asking *a, struct nsh_passage *p)
{
    struct nsh_forward_path told[NSH_PASSAGE_PATHS];
    bool dropped[NSH_PASSAGE_PATHS] = {false};
    bool behind_bans = p->ban && (a->holds || p[-1].by_firewall);
    size_t n;

    if (behind_bans)
        judge_bans(a, p, dropped);
    for (size_t i = 0; !behind_bans && i < p->n_paths; i++)
        dropped[i] = nsh_xt_judge(a->xt, a->h, &p->paths[i]);
    n = nsh_passage_dropped(p, dropped, told);
    if (n == 0)
        return;
    p->dropped = true;
    p->by_firewall = !p->exit;
    p->drop.hosts = true;
    nsh_xt_explain_drop(a->xt, told, n, &p->drop);
}

/* Where the policies stand here, our jumps come before all other rules but bans. */
static bool is_judged(const struct iptc *f, const struct nsh_passage *p)
{
    return p->exit ? p->ban || p->n_paths > 0 : !f->holds;
}

static int judge_family(
        struct iptc *f, const struct nsh_xt *xt, struct nsh_passage *passages, size_t n)
{
    struct nsh_xt_mark *mark = &f->judged[xt->index];
    struct asking a = {.xt = xt, .holds = f->holds};
    struct table t = {0};
    int r = nsh_xt_table_listed(xt, NSH_TABLE_FILTER);

    mark->state = NSH_XT_UNKNOWN;
    if (r <= 0)
        return r;
    r = nsh_xt_mark_read(&f->poll, xt, NSH_TABLE_FILTER, mark);
    if (r >= 0)
        r = take_handle(xt, NSH_TABLE_FILTER, &t);
    a.h = t.handle;
    if (r >= 0)
        r = nsh_xt_bans(xt, a.h, "FORWARD", &a.n_bans);
    for (size_t i = 0; r >= 0 && i < n; i++)
        if (passages[i].chain->family == xt->family && is_judged(f, &passages[i]))
            judge_passage(&a, &passages[i]);
    forget_handle(xt, &t);
    return r < 0 ? r : 0;
}

/* Before the tables are read: what comes meanwhile is for the next look. */
static void look_for_evictor(struct iptc *f, enum nsh_firewall_mode mode)
{
    nsh_xt_audit_take(&f->hint.audit);
    if (!nsh_xt_audit_who_of_either(&f->hint.audit, NSH_TABLE_FILTER, &f->evictor) ||
            mode != NSH_FIREWALL_READ)
        f->evictor = (struct nsh_firewall_culprit){0};
    nsh_xt_audit_seen(&f->hint.audit, AF_INET, NSH_TABLE_FILTER);
    nsh_xt_audit_seen(&f->hint.audit, AF_INET6, NSH_TABLE_FILTER);
}

static bool iptc_pass_culprit(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret)
{
    *ret = iptc_of(fw)->evictor;
    return ret->pid != 0;
}

static int iptc_pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
        struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata)
{
    struct iptc *f = iptc_of(fw);
    int r;

    (void)told; /* a chain of ours comes about here as all others do */
    (void)userdata;
    for (size_t i = 0; i < n; i++)
        passages[i].dropped = passages[i].by_firewall = passages[i].hosted = false;
    f->holds = holds;
    f->evictor = (struct nsh_firewall_culprit){0};
    f->judges = false;
    for (size_t i = 0; i < n; i++)
        f->judges = f->judges || is_judged(f, &passages[i]);
    if (!f->judges)
        return 0;
    if (!holds)
        look_for_evictor(f, mode);
    r = judge_family(f, nsh_xt_of(AF_INET), passages, n);
    return r < 0 ? r : judge_family(f, nsh_xt_of(AF_INET6), passages, n);
}

static int iptc_pass_changed(struct nsh_firewall *fw)
{
    struct iptc *f = iptc_of(fw);

    for (int i = 0; f->judges && i < 2; i++) {
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
        .pass_culprit = iptc_pass_culprit,
        .foreign = nsh_xt_foreign,
        .drops = iptc_drops,
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract itself, opened on fake tables and sets: sessions, looks, and what tests arrange.
 */
#include "firewall-fake.h"
#include "firewall-fake-table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void fake_say(char *ret_why, size_t size, const char *why)
{
    if (ret_why && size > 0)
        snprintf(ret_why, size, "%s", why);
}

int fake_remember(struct fake_handle *h, int family, enum nsh_table table)
{
    char **known = &h->known[nsh_family_index(family)][table];

    free(*known);
    *known = fake_table_save(fake_table_of(h->f, family, table), false);
    return *known ? 0 : -ENOMEM;
}

int fake_differs(struct fake_handle *h, int family, enum nsh_table table)
{
    const char *known = h->known[nsh_family_index(family)][table];
    nsh_autofree char *now = fake_table_save(fake_table_of(h->f, family, table), false);

    if (!now)
        return -ENOMEM;
    return !known || strcmp(known, now) != 0;
}

/* ---- the session ---- */

static int fake_probe(
        struct nsh_firewall *fw, int family, enum nsh_table table, char *ret_why, size_t size)
{
    const struct nsh_firewall_fake *f = fake_handle_of(fw)->f;
    const struct fake_refusal *no = &f->unsupported[nsh_family_index(family)][table];

    fake_handle_of(fw)->f->counts.probes++;
    if (no->error)
        fake_say(ret_why, size, no->why);
    return no->error;
}

static int fake_open(struct nsh_firewall *fw, enum nsh_firewall_mode mode)
{
    struct fake_handle *h = fake_handle_of(fw);

    if (h->open)
        return -EALREADY;
    if (mode == NSH_FIREWALL_WRITE) {
        if (h->f->locked_by)
            return NSH_FIREWALL_BUSY;
        if (h->f->busy > 0) {
            h->f->busy--;
            return NSH_FIREWALL_BUSY;
        }
        h->f->locked_by = h;
    }
    h->open = true;
    h->mode = mode;
    h->f->counts.opens++;
    return NSH_FIREWALL_OK;
}

static void fake_close(struct nsh_firewall *fw)
{
    struct fake_handle *h = fake_handle_of(fw);

    if (h->f->locked_by == h)
        h->f->locked_by = NULL;
    h->open = false;
}

/* ---- observing ---- */

static int observe_ours(const struct fake_chain *c, struct nsh_chain_seen *seen,
        nsh_chain_observed *observed, void *userdata)
{
    nsh_autofree struct nsh_packet_rule *rules = calloc(c->n_rules + 1, sizeof(*rules));
    nsh_autofree struct nsh_traffic *traffic = calloc(c->n_rules + 1, sizeof(*traffic));

    if (!rules || !traffic)
        return -ENOMEM;
    for (size_t n = 0; n < c->n_rules; n++) {
        rules[n] = c->rules[n].rule;
        traffic[n] = (struct nsh_traffic){c->rules[n].packets, c->rules[n].bytes};
    }
    seen->rules = rules;
    seen->traffic = traffic;
    seen->n_rules = c->n_rules;
    return observed(userdata, seen);
}

static bool is_plain(const struct nsh_packet_rule *r)
{
    struct nsh_packet_rule plain = {.action = NSH_PACKET_JUMP};

    memcpy(plain.target, r->target, sizeof(plain.target));
    return nsh_packet_rule_equal(r, &plain);
}

/* What is more than a jump, and understood, ends the way. */
static void see_foreign(const struct fake_chain *c, uint32_t n, struct nsh_ahead_seen *ahead,
        struct nsh_chain_seen *seen)
{
    const struct nsh_packet_rule *r = &c->rules[n].rule;
    struct nsh_ahead_seen *a = &ahead[seen->n_ahead];
    char text[NSH_PACKET_RULE_TEXT];

    if (r->action == NSH_PACKET_JUMP || r->action == NSH_PACKET_OTHER ||
            seen->n_ahead == NSH_AHEAD_MAX)
        return;
    *a = (struct nsh_ahead_seen){.index = n, .first_helps = true, .needs = *r};
    snprintf(a->text, sizeof a->text, "-A %s %.200s", c->name,
            nsh_packet_rule_format(r, text, sizeof text));
    seen->n_ahead++;
}

static bool is_ban(const struct nsh_packet_rule *r)
{
    return r->action == NSH_PACKET_DROP &&
           (r->from.family != AF_UNSPEC || r->to.family != AF_UNSPEC || r->from_set[0] ||
                   r->to_set[0] || r->source_port.last || r->destination_port.last || r->mark.mask);
}

/* Those with which FORWARD begins, jumps of ours aside. */
static void see_bans(const struct fake_chain *c, struct nsh_chain_seen *seen)
{
    for (uint32_t n = 0; n < c->n_rules; n++) {
        const struct nsh_packet_rule *r = &c->rules[n].rule;

        if (is_ban(r))
            seen->behind_bans = n + 1;
        else if (r->action != NSH_PACKET_JUMP || !nsh_chain_is_ours(r->target))
            break;
    }
}

static int observe_builtin(const struct fake_chain *c, struct nsh_chain_seen *seen,
        nsh_chain_observed *observed, void *userdata)
{
    nsh_autofree struct nsh_jump_seen *jumps = calloc(c->n_rules + 1, sizeof(*jumps));
    nsh_autofree struct nsh_ahead_seen *ahead = calloc(NSH_AHEAD_MAX, sizeof *ahead);

    if (!jumps || !ahead)
        return -ENOMEM;
    seen->jumps = jumps;
    seen->ahead = ahead;
    seen->n_total = seen->first_foreign = (uint32_t)c->n_rules;
    if (seen->table == NSH_TABLE_FILTER && strcmp(c->name, "FORWARD") == 0)
        see_bans(c, seen);
    for (uint32_t n = 0; n < c->n_rules; n++) {
        const struct nsh_packet_rule *r = &c->rules[n].rule;
        struct nsh_jump_seen *j = &jumps[seen->n_jumps];

        if (n < seen->behind_bans && is_ban(r))
            continue;
        if (r->action != NSH_PACKET_JUMP || !nsh_chain_is_ours(r->target)) {
            if (seen->first_foreign == seen->n_total)
                seen->first_foreign = n;
            see_foreign(c, n, ahead, seen);
            continue;
        }
        *j = (struct nsh_jump_seen){.index = n, .plain = is_plain(r)};
        memcpy(j->target, r->target, sizeof(j->target));
        seen->n_jumps++;
    }
    return observed(userdata, seen);
}

static int observe_chain(const struct fake_chain *c, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    struct nsh_chain_seen seen = {
            .family = (uint8_t)family, .table = table, .name = c->name, .builtin = c->builtin};

    if (c->builtin)
        return observe_builtin(c, &seen, observed, userdata);
    return nsh_chain_is_ours(c->name) ? observe_ours(c, &seen, observed, userdata) : 0;
}

static int fake_observe(struct nsh_firewall *fw, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    struct fake_handle *h = fake_handle_of(fw);
    struct fake_table *t = fake_table_of(h->f, family, table);
    int rc;

    if (!h->open)
        return -EBADF;
    if (h->f->unsupported[nsh_family_index(family)][table].error)
        return h->f->unsupported[nsh_family_index(family)][table].error;
    h->f->counts.observes++;
    rc = h->mode == NSH_FIREWALL_WRITE ? fake_table_use(t, table) : 0;
    if (rc == 0 && h->mode == NSH_FIREWALL_WRITE)
        rc = fake_remember(h, family, table);
    for (size_t i = 0; rc == 0 && i < t->n_chains; i++)
        rc = observe_chain(&t->chains[i], family, table, observed, userdata);
    return rc;
}

static int fake_changed(struct nsh_firewall *fw, int family, enum nsh_table table)
{
    return fake_differs(fake_handle_of(fw), family, table);
}

/* ---- opening ---- */

static void fake_free(struct nsh_firewall *fw)
{
    struct fake_handle *h = fake_handle_of(fw);

    fake_close(fw);
    for (int family = 0; family < NSH_FAMILIES; family++)
        for (int table = 0; table < NSH_TABLE_COUNT; table++)
            free(h->known[family][table]);
    free(h->known_sets);
    free(h);
}

/* Here somebody's work is found by the look alone. */
static int fake_hint_fd(struct nsh_firewall *fw)
{
    (void)fw;
    return -1;
}

static void fake_hint_take(struct nsh_firewall *fw)
{
    (void)fw;
}

static bool has_foreign(const struct fake_chain *c)
{
    for (size_t n = 0; c->builtin && n < c->n_rules; n++)
        if (c->rules[n].rule.action != NSH_PACKET_JUMP ||
                !nsh_chain_is_ours(c->rules[n].rule.target))
            return true;
    return false;
}

static int fake_others_translate(struct nsh_firewall *fw)
{
    const struct nsh_firewall_fake *f = fake_handle_of(fw)->f;

    for (int family = 0; family < NSH_FAMILIES; family++) {
        const struct fake_table *t = &f->tables[family][NSH_TABLE_NAT];

        for (size_t i = 0; i < t->n_chains; i++)
            if (has_foreign(&t->chains[i]))
                return 1;
    }
    return 0;
}

static bool fake_culprit(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret)
{
    const struct nsh_firewall_fake *f = fake_handle_of(fw)->f;

    if (!f->culprit.name[0])
        return false;
    *ret = f->culprit;
    return true;
}

static int fake_hold(struct nsh_firewall *fw, int family, bool on)
{
    fake_handle_of(fw)->f->holds[nsh_family_index(family)] = on;
    return 0;
}

static bool fake_sets_told(struct nsh_firewall *fw)
{
    return fake_handle_of(fw)->f->sets_told;
}

static const struct nsh_firewall_ops fake_ops = {
        .free = fake_free,
        .name = "fake",
        .probe = fake_probe,
        .open = fake_open,
        .observe = fake_observe,
        .commit = fake_commit,
        .close = fake_close,
        .changed = fake_changed,
        .sets = fake_sets,
        .set_read = fake_set_read,
        .set_write = fake_set_write,
        .set_drop = fake_set_drop,
        .set_changed = fake_set_changed,
        .sets_told = fake_sets_told,
        .culprit = fake_culprit,
        .hold = fake_hold,
        .set_culprit = fake_culprit,
        .others_translate = fake_others_translate,
        .pass = fake_pass,
        .pass_changed = fake_pass_changed,
        .pass_culprit = fake_culprit,
        .hint_fd = fake_hint_fd,
        .hint_take = fake_hint_take,
};

int nsh_firewall_fake_open(struct nsh_firewall_fake *f, struct nsh_firewall **ret)
{
    struct fake_handle *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->fw.ops = &fake_ops;
    h->f = f;
    *ret = &h->fw;
    return 0;
}

int nsh_firewall_fake_new(struct nsh_firewall_fake **ret)
{
    struct nsh_firewall_fake *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    *ret = f;
    return 0;
}

void nsh_firewall_fake_free(struct nsh_firewall_fake *f)
{
    if (!f)
        return;
    for (int family = 0; family < NSH_FAMILIES; family++)
        for (int table = 0; table < NSH_TABLE_COUNT; table++)
            fake_table_clear(&f->tables[family][table]);
    fake_sets_clear(f);
    free(f);
}

/* ---- what tests arrange and ask ---- */

char *nsh_firewall_fake_save(
        const struct nsh_firewall_fake *f, int family, enum nsh_table table, bool counters)
{
    return fake_table_save(&f->tables[nsh_family_index(family)][table], counters);
}

void nsh_firewall_fake_count_packet(struct nsh_firewall_fake *f)
{
    for (int i = 0; i < NSH_FAMILIES * NSH_TABLE_COUNT; i++) {
        struct fake_table *t = &f->tables[i / NSH_TABLE_COUNT][i % NSH_TABLE_COUNT];

        for (size_t c = 0; c < t->n_chains; c++)
            for (size_t n = 0; n < t->chains[c].n_rules; n++) {
                t->chains[c].rules[n].packets++;
                t->chains[c].rules[n].bytes += 100;
            }
    }
}

void nsh_firewall_fake_busy(struct nsh_firewall_fake *f, unsigned sessions)
{
    f->busy = sessions;
}

void nsh_firewall_fake_race(struct nsh_firewall_fake *f, unsigned commits,
        void (*meanwhile)(void *userdata), void *userdata)
{
    f->races = commits;
    f->meanwhile = meanwhile;
    f->meanwhile_userdata = userdata;
}

static void arrange_failure(struct fake_failure *f, unsigned nth, int error, const char *why)
{
    f->nth = nth;
    f->error = error < 0 ? error : -error;
    snprintf(f->why, sizeof(f->why), "%s", why);
}

void nsh_firewall_fake_fail_commit(
        struct nsh_firewall_fake *f, unsigned nth, int error, const char *why)
{
    arrange_failure(&f->commit_failure, nth, error, why);
}

void nsh_firewall_fake_fail_chain(struct nsh_firewall_fake *f, enum nsh_table table,
        const char *chain, int error, const char *why)
{
    f->refused_table = table;
    snprintf(f->refused_chain, sizeof(f->refused_chain), "%s", chain ? chain : "");
    f->refusal.error = error < 0 ? error : -error;
    snprintf(f->refusal.why, sizeof(f->refusal.why), "%s", why ? why : "");
}

void nsh_firewall_fake_tell_sets(struct nsh_firewall_fake *f)
{
    f->sets_told = true;
}

void nsh_firewall_fake_delay_sets(struct nsh_firewall_fake *f, unsigned int times)
{
    f->set_delay = f->set_delays = times;
}

void nsh_firewall_fake_fail_set_write(
        struct nsh_firewall_fake *f, unsigned nth, int error, const char *why)
{
    arrange_failure(&f->set_failure, nth, error, why);
}

void nsh_firewall_fake_fail_pass(struct nsh_firewall_fake *f, unsigned nth, int error)
{
    arrange_failure(&f->pass_failure, nth, error, "");
}

int fake_fail(struct fake_failure *f, char *ret_why, size_t size)
{
    if (f->nth == 0 || --f->nth > 0)
        return 0;
    fake_say(ret_why, size, f->why);
    return f->error;
}

void nsh_firewall_fake_no_table(
        struct nsh_firewall_fake *f, int family, enum nsh_table table, int error, const char *why)
{
    struct fake_refusal *no = &f->unsupported[nsh_family_index(family)][table];

    no->error = error < 0 ? error : -error;
    snprintf(no->why, sizeof(no->why), "%s", why ? why : "");
}

void nsh_firewall_fake_unsupported(
        struct nsh_firewall_fake *f, int family, int error, const char *why)
{
    for (int t = 0; t < NSH_TABLE_COUNT; t++)
        nsh_firewall_fake_no_table(f, family, (enum nsh_table)t, error, why);
}

bool nsh_firewall_fake_holds(const struct nsh_firewall_fake *f, int family)
{
    return f->holds[nsh_family_index(family)];
}

void nsh_firewall_fake_culprit(struct nsh_firewall_fake *f, uint32_t pid, const char *name)
{
    f->culprit.pid = pid;
    snprintf(f->culprit.name, sizeof(f->culprit.name), "%s", name);
}

const struct nsh_firewall_fake_counts *nsh_firewall_fake_counts(const struct nsh_firewall_fake *f)
{
    return &f->counts;
}

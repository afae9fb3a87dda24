/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `firewall: auto`. nftables where others keep their NAT there and the legacy tables hold nothing
 * but ours, or where the kernel has no legacy tables; iptables otherwise. What is asked first loads
 * no module; whether there are legacy tables is asked only when they would be used.
 */
#include "firewall-choice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"

int nsh_firewalls_open(struct nsh_firewalls *f)
{
    int q;

    *f = (struct nsh_firewalls){0};
    q = nsh_firewall_iptc_new(&f->iptables);
    if (q == 0)
        q = nsh_firewall_nft_new(&f->nftables);
    f->chosen = f->iptables;
    return q;
}

void nsh_firewalls_done(struct nsh_firewalls *f)
{
    nsh_firewall_free(f->iptables);
    nsh_firewall_free(f->nftables);
    *f = (struct nsh_firewalls){0};
}

struct nsh_firewall *nsh_firewalls_other(const struct nsh_firewalls *f)
{
    return f->chosen == f->iptables ? f->nftables : f->iptables;
}

static bool others_translate(struct nsh_firewall *fw)
{
    return fw->ops->others_translate && fw->ops->others_translate(fw) > 0;
}

/* A table that is wanted and that the legacy tables can't be had for; words in `why`. */
static bool legacy_is_missing(
        const struct nsh_firewalls *f, const struct nsh_desired *d, char *why, size_t size)
{
    bool asked[NSH_FAMILIES][NSH_TABLE_COUNT] = {0};

    for (size_t i = 0; i < d->n_chains; i++) {
        int family = d->chains[i].family, q;
        enum nsh_table t = d->chains[i].table;

        /* The raw table only helps. */
        if (t == NSH_TABLE_RAW || asked[nsh_family_index(family)][t])
            continue;
        asked[nsh_family_index(family)][t] = true;
        q = f->iptables->ops->probe(f->iptables, family, t, why, size);
        if (q < 0 && q != -EPERM && q != -EACCES && q != -ENOMEM)
            return true;
    }
    return false;
}

static bool nftables_can(const struct nsh_firewalls *f, const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (f->nftables->ops->probe(f->nftables, d->chains[i].family, d->chains[i].table, NULL, 0) <
                0)
            return false;
    return true;
}

static int find_ours(void *userdata, const struct nsh_chain_seen *seen)
{
    bool *found = userdata;
    bool guest = seen->table == NSH_TABLE_FILTER && strcmp(seen->name, NSH_CHAIN_GUEST) == 0;

    *found = *found || (!seen->builtin && !guest);
    return 0;
}

/* A chain of ours stands there, other than one that is a guest. */
static bool holds_ours(struct nsh_firewall *fw)
{
    bool found = false;

    if (fw->ops->open(fw, NSH_FIREWALL_READ) != NSH_FIREWALL_OK)
        return false;
    for (int f = 0; f < NSH_FAMILIES; f++)
        for (int t = 0; t < NSH_TABLE_COUNT; t++)
            fw->ops->observe(fw, nsh_family_of(f), (enum nsh_table)t, find_ours, &found);
    fw->ops->close(fw);
    return found;
}

static struct nsh_firewall *judge(
        struct nsh_firewalls *f, const struct nsh_desired *d, bool look, char *why, size_t size)
{
    char words[160] = "";

    if (f->judged && f->chosen == f->nftables) {
        snprintf(why, size, "%s", f->why);
        return f->nftables;
    }
    if (others_translate(f->nftables) && !others_translate(f->iptables)) {
        snprintf(why, size,
                "others keep their NAT there, and the legacy tables hold nothing of theirs");
        return f->nftables;
    }
    if (look) /* where it stands, it would be again */
        return holds_ours(f->nftables) && !holds_ours(f->iptables) ? f->nftables : f->iptables;
    if (legacy_is_missing(f, d, words, sizeof words) && nftables_can(f, d)) {
        snprintf(why, size, "the legacy tables can't be had: %s", words);
        return f->nftables;
    }
    snprintf(why, size, "nobody else keeps NAT in nftables alone");
    return f->iptables;
}

static bool wants_any(const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (!d->chains[i].standby || d->chains[i].blocked)
            return true;
    return false;
}

bool nsh_firewalls_choose(struct nsh_firewalls *f, const struct nsh_desired *d, bool look)
{
    enum nsh_firewall_choice setting = d->config->settings.firewall;
    struct nsh_firewall *before = f->chosen;
    char why[sizeof f->why] = "";
    bool first = !f->judged;

    f->wanted = wants_any(d);
    if (setting == NSH_FIREWALL_AUTO && !f->wanted)
        return false;
    if (setting == NSH_FIREWALL_AUTO)
        f->chosen = judge(f, d, look, why, sizeof why);
    else
        f->chosen = setting == NSH_FIREWALL_NFTABLES ? f->nftables : f->iptables;
    if (setting != NSH_FIREWALL_AUTO)
        snprintf(why, sizeof why, "as the configuration says");
    f->judged = f->wanted;
    memcpy(f->why, why, sizeof why);
    return f->chosen != before || (first && f->judged);
}

/* ---- NAT in both ---- */

const char *nsh_firewalls_both_what(const struct nsh_firewalls *f, char *buf, size_t size)
{
    const char *other = nsh_firewalls_other(f)->ops->name;

    snprintf(buf, size,
            "rules of others translate addresses in %s, and netshared's in %s: a packet passes "
            "both, and the first one that matches wins",
            other, f->chosen->ops->name);
    return buf;
}

const char *nsh_firewalls_both_fix(const struct nsh_firewalls *f, char *buf, size_t size)
{
    const char *other = nsh_firewalls_other(f)->ops->name;

    snprintf(buf, size,
            "keep NAT in one of them: 'iptables-legacy -w -t nat -S' and 'nft list ruleset' show "
            "which rules stand where, and 'firewall: %s' in the settings moves netshared's",
            other);
    return buf;
}

static void write_both(struct nsh_firewalls *f)
{
    char what[256], fix[256];

    snprintf(f->both, sizeof f->both, "%s; %s", nsh_firewalls_both_what(f, what, sizeof what),
            nsh_firewalls_both_fix(f, fix, sizeof fix));
}

enum nsh_both nsh_firewalls_look_at_both(struct nsh_firewalls *f)
{
    struct nsh_firewall *other = nsh_firewalls_other(f), *before = f->both_in;
    int q = f->wanted && other->ops->others_translate ? other->ops->others_translate(other) : 0;

    if (q < 0 && before == other)
        return NSH_BOTH_AS_BEFORE; /* it can't be seen now */
    f->both_in = q > 0 ? other : NULL;
    f->both[0] = '\0';
    if (f->both_in)
        write_both(f);
    if (f->both_in == before)
        return NSH_BOTH_AS_BEFORE;
    if (f->both_in)
        return NSH_BOTH_BEGUN;
    return f->wanted && before == other ? NSH_BOTH_ENDED : NSH_BOTH_AS_BEFORE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two firewalls of the kernel: NAT in both, a choice that can't be had, and rules of others
 * that drop what policies let through.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "doctor.h"
#include "passage.h"

static bool can_look(struct doctor *d)
{
    if (d->firewalls_error < 0)
        doctor_unseen_error(d, d->firewalls_error);
    return d->firewalls_error == 0;
}

/* ---- NAT in both ---- */

/* Negative errno: it can't be seen. */
static int others_translate(struct nsh_firewall *fw)
{
    return fw->ops->others_translate ? fw->ops->others_translate(fw) : 0;
}

static bool translates(const struct nsh_desired *d)
{
    for (size_t i = 0; d && i < d->n_chains; i++)
        if (d->chains[i].table == NSH_TABLE_NAT && !d->chains[i].standby)
            return true;
    return false;
}

void doctor_firewalls(struct doctor *d)
{
    char what[256], fix[256];
    int legacy, nft;

    if (!can_look(d))
        return;
    legacy = others_translate(d->firewalls.iptables);
    nft = others_translate(d->firewalls.nftables);
    if (legacy < 0 || nft < 0) {
        doctor_unseen_error(d, legacy < 0 ? legacy : nft);
        return;
    }
    if (legacy > 0 && nft > 0) {
        doctor_find(d, NSH_ORIGIN_NONE,
                "keep NAT in one of them: 'iptables-legacy -w -t nat -S' and 'nft list ruleset' "
                "show which rules stand where",
                "programs translate addresses in iptables' own tables, and others in nftables: a "
                "packet passes both, and the first rule that matches wins");
        return;
    }
    if (!translates(d->desired) || !d->firewalls.judged ||
            others_translate(nsh_firewalls_other(&d->firewalls)) <= 0)
        return;
    doctor_find(d, NSH_ORIGIN_NONE, nsh_firewalls_both_fix(&d->firewalls, fix, sizeof fix), "%s",
            nsh_firewalls_both_what(&d->firewalls, what, sizeof what));
}

/* ---- legacy tables that are not there ---- */

void doctor_legacy(struct doctor *d)
{
    static const char *const files[NSH_FAMILIES] = {"ip_tables_names", "ip6_tables_names"};

    if (!d->desired) {
        doctor_unseen(d, "the file is not right");
        return;
    }
    for (int f = 0; f < NSH_FAMILIES; f++) {
        char path[256];
        bool wanted = false;

        for (size_t i = 0; i < d->desired->n_chains; i++)
            wanted = wanted || (d->desired->chains[i].family == nsh_family_of(f) &&
                                       d->desired->chains[i].policy[0] != '\0');
        snprintf(path, sizeof path, "%s/proc/net/%s", d->root, files[f]);
        if (!wanted || d->desired->config->settings.firewall != NSH_FIREWALL_IPTABLES ||
                access(path, F_OK) == 0)
            continue;
        doctor_find(d, NSH_ORIGIN_NONE, "write 'firewall: auto' in the settings",
                "the settings ask for iptables, and this kernel has no legacy %s tables in use",
                f == NSH_V6 ? "IPv6" : "IPv4");
    }
}

/* ---- rules of others that drop ---- */

void doctor_forward(struct doctor *d)
{
    NSH_CLEANUP(nsh_passages_done) struct nsh_passages passages = {0};
    int q;

    if (!doctor_can_judge(d) || !can_look(d))
        return;
    q = nsh_passages_new(d->desired, d->fib, &passages);
    if (q == 0)
        q = nsh_passages_ask(&passages, d->firewalls.chosen, nsh_firewalls_other(&d->firewalls),
                NSH_FIREWALL_READ, NULL, NULL);
    if (q < 0) {
        doctor_unseen_error(d, q);
        return;
    }
    for (size_t i = 0; i < passages.n; i++) {
        const struct nsh_passage *one = &passages.items[i];

        if (one->dropped && (one->exit || !one->barred))
            doctor_find(d, one->chain->origin, one->drop.fix, "%s drops what %s %s lets through",
                    one->drop.what, nsh_policy_noun(one->chain->kind), one->chain->policy);
    }
}

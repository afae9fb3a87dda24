/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `plan`: what would change in the kernel, a line each. It only reads: no lock is taken and no
 * iptables table is brought into being.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cmd-plan.h"
#include "common.h"
#include "diag.h"
#include "firewall-choice.h"
#include "judge.h"
#include "offline.h"
#include "options.h"
#include "reload.h"
#include "resolve.h"
#include "state.h"

const char *plan_family(int family)
{
    return family == AF_INET6 ? "ipv6" : "ipv4";
}

/* ---- gates ---- */

/* Checks count as working: only a daemon can tell. */
static void take_judged(void *userdata, nsh_gate_id gate, bool holds, const char *why)
{
    struct planner *p = userdata;

    p->desired->gate_states[gate].open = holds;
    snprintf(p->reasons[gate], sizeof *p->reasons, "%s", why);
}

static void print_checks(struct planner *p)
{
    char text[NSH_GATE_TEXT];

    for (size_t i = 1; i < p->desired->n_gates; i++)
        if (p->held)
            plan_remark(p, "# condition %s counts as holding: only a machine can tell",
                    nsh_gate_format(&p->desired->gates[i], text, sizeof text));
        else if (p->desired->gates[i].kind == NSH_GATE_CHECK)
            plan_remark(p, "# check %s counts as working: only the daemon asks",
                    nsh_gate_format(&p->desired->gates[i], text, sizeof text));
}

static void open_gates(struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_gates; i++)
        d->gate_states[i].open = true;
}

int plan_judge(struct planner *p)
{
    int q = 0;

    p->reasons = calloc(p->desired->n_gates + 1, sizeof *p->reasons);
    p->altered = calloc(p->desired->n_chains + 1, sizeof *p->altered);
    if (!p->reasons || !p->altered)
        return -ENOMEM;
    if (p->held)
        open_gates(p->desired);
    else
        q = nsh_desired_judge(p->fib, p->desired, take_judged, p);
    if (q == 0 && !p->held)
        q = nsh_desired_resolve_devices(p->fib, p->desired, &(bool){false});
    nsh_desired_settle(p->desired);
    print_checks(p);
    return q;
}

void plan_standby(struct planner *p, const char *kind, const char *name, nsh_gate_id gate)
{
    plan_remark(p, "# %s %s is on standby: %s", kind, name, p->reasons[gate]);
}

/* ---- forwarding ---- */

static void plan_accept_ra(void *userdata, const char *name)
{
    struct planner *p = userdata;
    char key[128];
    int value;

    if (strcmp(name, "all") == 0 || strcmp(name, "default") == 0 || strcmp(name, "lo") == 0)
        return;
    snprintf(key, sizeof key, "net/ipv6/conf/%s/accept_ra", name);
    if (p->fib->ops->sysctl_get(p->fib, key, &value) == 0 && value == 1)
        plan_line(p, "~ accept-ra %s: 2", name);
}

/*
 * Of this policy all stands as the file has it: the daemon has put it up, and if its interface was
 * there by then, has switched forwarding on for it. NULL: there is none.
 */
static const char *left_waiting(const struct planner *p, int family)
{
    const struct nsh_chain *chains = p->desired->chains;
    size_t end;

    for (size_t i = 0; i < p->desired->n_chains; i = end) {
        bool away = false, altered = false;

        for (end = i;
                end < p->desired->n_chains && strcmp(chains[i].policy, chains[end].policy) == 0;
                end++)
            if (chains[end].family == family) {
                away = away || (chains[end].absent && !chains[end].standby);
                altered = altered || p->altered[end];
            }
        if (away && !altered)
            return chains[i].policy;
    }
    return NULL;
}

static void plan_no_forwarding(struct planner *p, int family)
{
    const char *policy = left_waiting(p, family), *word = plan_family(family);

    if (policy)
        plan_remark(p,
                "# forwarding %s stays on if what %s lacks was there since the file says so, and "
                "goes "
                "off if not",
                word, policy);
    else
        plan_line(p, "- forwarding %s", word);
}

static void plan_forwarding(struct planner *p)
{
    static const char *const keys[] = {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"};
    nsh_autofree struct nsh_sysctl_before *before = NULL;
    size_t n = 0;
    int value;

    for (int f = 0; f < NSH_FAMILIES; f++)
        if (p->desired->forwarding[f] && p->fib->ops->sysctl_get(p->fib, keys[f], &value) == 0 &&
                value == 0) {
            if (f == NSH_V6)
                p->fib->ops->sysctl_each_ipv6_conf(p->fib, plan_accept_ra, p);
            plan_line(p, "+ forwarding %s", plan_family(nsh_family_of(f)));
        }
    for (int f = 0; p->held && f < NSH_FAMILIES; f++)
        if (p->held->forwarding[f] && !p->desired->forwarding[f])
            plan_line(p, "- forwarding %s", plan_family(nsh_family_of(f)));
    if (!p->state || nsh_state_sysctls_load(p->state, &before, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        int f = strcmp(before[i].key, keys[NSH_V4]) == 0 ? NSH_V4 : NSH_V6;

        if (!p->desired->forwarding[f] && strcmp(before[i].key, keys[f]) == 0 &&
                p->fib->ops->sysctl_get(p->fib, keys[f], &value) == 0 && value == before[i].ours)
            plan_no_forwarding(p, nsh_family_of(f));
    }
}

int plan_resolve(struct nsh_fib *fib, struct nsh_desired *d)
{
    bool changed;
    int q = nsh_desired_resolve_vrfs(fib, d, &changed);

    if (q == 0 && changed)
        q = nsh_desired_place(d);
    return q < 0 ? q : nsh_desired_resolve(fib, d, &changed);
}

static int plan_all(struct planner *p)
{
    int q = plan_resolve(p->fib, p->desired);

    if (q < 0)
        return nsh_complain("cannot ask rtnetlink for links: %s", nsh_unreadable_why(q));
    q = plan_judge(p);
    if (q < 0)
        return nsh_complain(
                "cannot ask rtnetlink for addresses and links: %s", nsh_unreadable_why(q));
    plan_lacks(p);
    q = plan_drops(p);
    if (q == 0)
        q = plan_firewall(p, NSH_PHASE_UP);
    if (q == 0)
        q = plan_guests(p);
    if (q < 0)
        return nsh_unreadable("the iptables rules", q);
    plan_standby_chains(p);
    plan_forwarding(p);
    q = plan_learn(p);
    if (q == 0)
        q = plan_routes(p);
    if (q < 0)
        return nsh_complain("cannot read the routes: %s", nsh_unreadable_why(q));
    q = plan_rules(p);
    if (q < 0)
        return nsh_unreadable("the rules", q);
    q = plan_firewall(p, NSH_PHASE_DOWN);
    if (q < 0)
        return nsh_unreadable("the iptables rules", q);
    return p->changes > 0 ? NSH_EXIT_CHANGES : NSH_EXIT_OK;
}

static void load_before(struct planner *p)
{
    struct nsh_trial trial;

    nsh_load_archive(p->state, NSH_ARCHIVE_ACCEPTED, &p->before[0]);
    if (!p->state || nsh_state_trial_load(p->state, &trial) < 0)
        return;
    p->on_trial = !trial.reverted;
    nsh_load_archive(p->state, trial.archive, &p->before[1]);
}

static int plan_here(struct planner *p, const struct nsh_options *o)
{
    struct nsh_firewalls firewalls = {0};
    int code = NSH_EXIT_FAILED;

    /* Without it `plan` does not know what an earlier configuration switched on: fine. */
    if (nsh_state_open_reader(o->state_directory, &p->state) < 0)
        p->state = NULL;
    load_before(p);
    if (nsh_fib_netlink_new(&p->fib) < 0 || nsh_firewalls_open(&firewalls) < 0) {
        nsh_complain("cannot open rtnetlink, iptables and nftables");
    } else {
        nsh_firewalls_choose(&firewalls, p->desired, true);
        p->firewall = firewalls.chosen;
        p->other = nsh_firewalls_other(&firewalls);
        if (nsh_firewalls_look_at_both(&firewalls) == NSH_BOTH_BEGUN)
            plan_remark(p, "# %s", firewalls.both);
        code = plan_all(p);
    }
    nsh_firewalls_done(&firewalls);
    return code;
}

/* ---- against another file ---- */

/* All that it says holds. Twice, for gateways that are found by the devices of other routes. */
static int hold_all(struct planner *p)
{
    int q = 0;

    for (int i = 0; i < 2 && q == 0; i++)
        q = plan_resolve(p->fib, p->held);
    open_gates(p->held);
    nsh_desired_settle(p->held);
    return q;
}

static int plan_offline(struct planner *p, const char *path)
{
    NSH_CLEANUP(nsh_loaded_done) struct nsh_loaded loaded = {0};
    int q, code;

    nsh_load_now(path, NSH_TRUST_WARN, NULL, &loaded);
    if (loaded.diags)
        nsh_complain_of(loaded.diags);
    if (loaded.error != 0)
        return NSH_EXIT_FAILED;
    p->held = loaded.desired;
    q = nsh_offline_fib_new(p->held, p->desired->protocol, &p->fib);
    if (q == 0)
        q = nsh_offline_firewall_new(p->held, &p->firewall);
    if (q == 0)
        q = hold_all(p);
    code = q == 0 ? plan_all(p) : nsh_complain("cannot compare: %s", strerror(-q));
    nsh_firewall_free(p->firewall);
    return code;
}

static int print_plan(struct planner *p, const struct nsh_options *o)
{
    int q = plan_output_begin(&p->output, o->json), code = NSH_EXIT_FAILED;

    if (q == 0)
        code = o->offline ? plan_offline(p, o->offline) : plan_here(p, o);
    /* For people; who reads lines gets none. */
    if (code == NSH_EXIT_OK && !o->json && isatty(STDOUT_FILENO))
        puts("nothing to do");
    if (q == 0 && code != NSH_EXIT_FAILED)
        q = plan_output_end(&p->output);
    plan_output_done(&p->output);
    return q < 0 ? nsh_complain("cannot say the plan: %s", strerror(-q)) : code;
}

int nsh_command_plan(const struct nsh_options *o)
{
    struct planner p = {0};
    struct nsh_loaded loaded;
    int code = NSH_EXIT_FAILED;

    nsh_load_now(o->config, NSH_TRUST_WARN, NULL, &loaded);
    if (loaded.diags)
        nsh_complain_of(loaded.diags);
    p.desired = loaded.desired;
    if (loaded.error == 0)
        code = print_plan(&p, o);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(p.before); i++)
        nsh_loaded_done(&p.before[i]);
    free(p.reasons);
    free(p.altered);
    nsh_fib_free(p.fib);
    nsh_state_free(p.state);
    nsh_loaded_done(&loaded);
    return code;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether what is wanted stands, but for what can't: asked of the fakes anew, past all that the
 * reconciler believes.
 */
#pragma once

#include "apply.h"
#include "judge.h"
#include "plan.h"
#include "reconcile-internal.h"
#include "reconcile-world.h"
#include "resolve.h"

/* ---- what is ---- */

struct verdict {
    struct world *w;
    struct nsh_route_plan *plan;
    unsigned bad;
};

static inline int feed(void *userdata, const struct nsh_route *seen)
{
    struct verdict *v = userdata;
    const struct nsh_desired *d = v->w->r->desired;
    size_t wanted = nsh_desired_find_route(d, seen);

    if (seen->protocol == d->protocol && wanted != SIZE_MAX &&
            nsh_desired_standing(d, &d->routes[wanted], NULL) != NSH_STANDING_WANTED) {
        print_error("a route that is not wanted now stands\n");
        v->bad++;
    }
    return nsh_route_plan_observe(v->plan, seen);
}

/* A step is left only for what can't be done; that it can't is tried. */
static inline void on_written(void *userdata, const struct nsh_route_step *s,
        enum nsh_route_outcome outcome, int error, const char *why)
{
    struct verdict *v = userdata;
    char key[96];

    (void)error;
    if (s->wanted != SIZE_MAX && outcome == NSH_WRITE_PENDING &&
            v->w->r->route_states[s->wanted] == NSH_OBJECT_PENDING)
        return;
    nsh_route_format_key(&s->route, key, sizeof(key));
    print_error("left to do: action %d on %s: outcome %d, %s, state %d\n", s->action, key, outcome,
            why, s->wanted != SIZE_MAX ? v->w->r->route_states[s->wanted] : -1);
    v->bad++;
}

static inline enum nsh_standing expected_standing(const struct nsh_route *route, uint8_t state)
{
    if (state == NSH_OBJECT_PENDING)
        return route->table == NSH_NO_TABLE ? NSH_STANDING_UNPLACED : NSH_STANDING_UNLEARNED;
    return state == NSH_OBJECT_STANDBY ? NSH_STANDING_STANDBY : NSH_STANDING_WANTED;
}

struct look {
    struct nsh_learner *learner;
    uint8_t ours, also_ours; /* the mark from before, while something carries it */
};

static inline int see(void *userdata, const struct nsh_route *seen)
{
    struct look *look = userdata;

    if (seen->protocol == look->ours || seen->protocol == look->also_ours)
        return 0;
    return nsh_learner_see(look->learner, seen);
}

/* What was learned from events is what a look shows. */
static inline unsigned judge_learned(struct world *w)
{
    struct nsh_fib_filter everything = {0};
    const struct nsh_desired *d = w->r->desired;
    struct look look = {
            .ours = d->protocol,
            .also_ours = w->r->also_ours != 0 ? w->r->also_ours : d->protocol,
    };
    unsigned bad = 0;

    assert_int_equal(nsh_learner_new(&look.learner), 0);
    nsh_learner_begin(look.learner);
    assert_int_equal(nsh_fib_dump(w->fib, &everything, see, &look), 0);
    nsh_learner_end(look.learner);
    for (size_t i = 0; i < d->n_links; i++) {
        struct nsh_link now = d->links[i];

        if (now.learns == AF_UNSPEC)
            continue;
        nsh_learner_choose(look.learner, &now);
        if (now.learned == d->links[i].learned && nsh_addr_cmp(&now.via, &d->links[i].via) == 0)
            continue;
        print_error("on %s: learned %u, not %u\n", now.name, d->links[i].learned, now.learned);
        bad++;
    }
    nsh_learner_free(look.learner);
    return bad;
}

static inline unsigned judge_routes(struct world *w)
{
    struct nsh_fib_filter everything = {0};
    struct nsh_desired *d = w->r->desired;
    struct verdict v = {.w = w};
    bool moved;

    assert_int_equal(nsh_desired_resolve_vrfs(w->fib, d, &moved), 0);
    v.bad += moved;
    assert_int_equal(nsh_desired_resolve(w->fib, d, &moved), 0);
    v.bad += moved;
    assert_int_equal(nsh_route_plan_new(d, w->r->route_flags, 0, &v.plan), 0);
    assert_int_equal(nsh_route_plan_begin(v.plan, NSH_SCOPE_ALL, NULL, 0), 0);
    assert_int_equal(nsh_fib_dump(w->fib, &everything, feed, &v), 0);
    assert_int_equal(nsh_route_plan_finish(v.plan), 0);
    for (size_t i = 0; i < d->n_routes; i++) {
        enum nsh_route_verdict verdict = nsh_route_plan_verdict(v.plan, i);
        uint8_t state = w->r->route_states[i];
        char key[96];

        if (nsh_desired_standing(d, &d->routes[i], NULL) ==
                        expected_standing(&d->routes[i], state) &&
                w->r->route_flags[i] & NSH_ROUTE_WITHDRAWN)
            continue;
        /* What can't be written does not meet what stands there. */
        if (verdict == NSH_ROUTE_CONFLICT && state == NSH_OBJECT_PENDING)
            continue;
        if ((verdict == NSH_ROUTE_RIGHT) == (state == NSH_OBJECT_HELD) &&
                (verdict == NSH_ROUTE_CONFLICT) == (state == NSH_OBJECT_CONFLICTING))
            continue;
        nsh_route_format_key(&d->routes[i], key, sizeof(key));
        print_error("%s: verdict %d, state %d\n", key, verdict, state);
        v.bad++;
    }
    assert_int_equal(nsh_apply_routes(w->fib, d, v.plan, on_written, &v), 0);
    nsh_route_plan_free(v.plan);
    return v.bad;
}

/* Routes are in the tables that their VRFs have. */
static inline unsigned judge_places(struct world *w)
{
    const struct nsh_desired *d = w->r->desired;
    struct nsh_desired *again;
    unsigned bad = 0;

    assert_int_equal(nsh_desired_again(d, &again), 0);
    for (size_t i = 0; i < d->n_routes; i++)
        bad += nsh_route_id_cmp(&d->routes[i], &again->routes[i]) != 0 ||
               (i > 0 && nsh_route_id_cmp(&d->routes[i - 1], &d->routes[i]) >= 0);
    if (bad > 0)
        print_error("%u routes are not in their places\n", bad);
    nsh_desired_free(again);
    return bad;
}

static inline void judged(void *userdata, nsh_gate_id gate, bool holds, const char *why)
{
    struct verdict *v = userdata;

    if (v->w->r->desired->gate_states[gate].open == holds)
        return;
    print_error("gate %u is not as it was judged: %s\n", gate, why);
    v->bad++;
}

static inline unsigned judge_gates(struct world *w)
{
    struct verdict v = {.w = w};

    assert_int_equal(nsh_desired_judge(w->fib, w->r->desired, judged, &v), 0);
    return v.bad;
}

/* Those in force stand, each once, and none of the others. */
static inline unsigned judge_rules(struct world *w)
{
    const struct nsh_desired *d = w->r->desired;
    unsigned bad = 0;

    for (size_t i = 0; i < d->n_rules; i++) {
        nsh_autofree char *lines = nsh_fib_fake_show_rules(w->kernel, d->rules[i].family);
        char text[NSH_RULE_TEXT], line[NSH_RULE_TEXT + 32];
        bool open = nsh_desired_is_open(d, d->rules[i].when);
        uint8_t state = open ? NSH_OBJECT_HELD : NSH_OBJECT_STANDBY;

        nsh_rule_format(&d->rules[i], text, sizeof(text));
        snprintf(line, sizeof(line), "%s proto %u\n", text, d->protocol);
        if ((strstr(lines, line) != NULL) == open && w->r->rule_states[i] == state)
            continue;
        print_error("%s: state %d, not %d, among\n%s", text, w->r->rule_states[i], state, lines);
        bad++;
    }
    return bad;
}

static inline int observe(void *userdata, const struct nsh_chain_seen *seen)
{
    return nsh_firewall_plan_observe(userdata, seen);
}

static inline unsigned judge_table(struct world *w, int family, enum nsh_table table)
{
    static const enum nsh_firewall_phase phases[] = {NSH_PHASE_UP, NSH_PHASE_DOWN};
    struct nsh_firewall_plan *plan = NULL;
    unsigned bad = 0;
    size_t n;

    assert_int_equal(w->firewall->ops->open(w->firewall, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    assert_int_equal(nsh_firewall_plan_new(w->r->desired, family, table, &plan), 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(phases); i++) {
        nsh_firewall_plan_begin(plan);
        assert_int_equal(w->firewall->ops->observe(w->firewall, family, table, observe, plan), 0);
        assert_int_equal(nsh_firewall_plan_finish(plan, phases[i]), 0);
        nsh_firewall_plan_steps(plan, &n);
        if (n > 0)
            print_error("%zu steps left in table %d of %d\n", n, (int)table, family);
        bad += n > 0;
    }
    nsh_firewall_plan_free(plan);
    w->firewall->ops->close(w->firewall);
    return bad;
}

/* What nothing refuses any more is in force, or on standby for its own reasons. */
static inline unsigned judge_policies(struct world *w)
{
    const struct nsh_desired *d = w->r->desired;
    unsigned bad = 0;

    for (size_t i = 0; i < d->n_chains; i++) {
        const struct nsh_chain *c = &d->chains[i];

        if (c->policy[0] == '\0') /* for all of them, as long as there is one */
            continue;
        if (!c->blocked && c->standby == !nsh_desired_is_open(d, c->when))
            continue;
        print_error("%s in %s: blocked %d, standby %d\n", c->name, nsh_table_name(c->table),
                c->blocked, c->standby);
        bad++;
    }
    return bad;
}

static inline unsigned judge_set(struct world *w, const struct nsh_set *set)
{
    nsh_autofree char *found = nsh_firewall_fake_set(w->tables, set->name);
    nsh_autofree char *wanted = calloc(set->n + 1, NSH_PREFIX_TEXT + 1);
    char text[NSH_PREFIX_TEXT];

    for (size_t i = 0; !set->standby && i < set->n; i++)
        strcat(strcat(wanted, nsh_prefix_format(&set->prefixes[i], text)), "\n");
    if (set->standby ? !found : found && strcmp(found, wanted) == 0)
        return 0;
    print_error("set %s is\n%snot\n%s", set->name, found ? found : "missing\n", wanted);
    return 1;
}

static inline unsigned judge_sets(struct world *w)
{
    nsh_autofree char *names = nsh_firewall_fake_set_names(w->tables);
    const struct nsh_desired *d = w->r->desired;
    size_t n_ours = 0, n_wanted = 0;
    char *rest = names;
    unsigned bad = 0;

    for (size_t i = 0; i < d->n_sets; i++) {
        bad += judge_set(w, &d->sets[i]);
        n_wanted += !d->sets[i].standby;
    }
    for (char *name; (name = strsep(&rest, "\n"));)
        n_ours += nsh_set_is_ours(name);
    if (n_ours != n_wanted)
        print_error("%zu sets, not %zu\n", n_ours, n_wanted);
    return bad + (n_ours != n_wanted);
}

static inline unsigned judge_forwarding(struct world *w)
{
    static const char *const keys[] = {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"};
    unsigned bad = 0;

    for (int f = 0; f < NSH_FAMILIES; f++)
        if (w->r->desired->forwarding[f] && sysctl_value(w, keys[f]) != 1) {
            print_error("%s is off\n", keys[f]);
            bad++;
        }
    return bad;
}

/* What is otherwise than it should be, of all. */
static inline unsigned judge_all(struct world *w)
{
    unsigned bad = judge_gates(w) + judge_learned(w) + judge_routes(w) + judge_places(w) +
                   judge_rules(w) + judge_policies(w) + judge_sets(w) + judge_forwarding(w);

    for (int f = 0; f < NSH_FAMILIES; f++)
        for (int t = 0; t < NSH_TABLE_COUNT; t++)
            bad += judge_table(w, nsh_family_of(f), (enum nsh_table)t);
    return bad;
}

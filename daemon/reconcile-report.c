/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what the reconciler did to reports: names, places in the file, who was behind it; and a sum
 * instead of a thousand lines. Also the views that `status` shows.
 */
#include "reconcile-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "journal.h"
#include "probes.h"
#include "resolve.h"

#define NAME_SIZE 512
#define REMARKS_TEXT 4096
/* Of many that can't be written at once, so many are told singly as examples. */
#define EXAMPLES_MAX 5U

static const char *family_name(int family)
{
    return family == AF_INET6 ? "ipv6" : "ipv4";
}

static const char *route_noun(const struct nsh_reconciler *r, const struct nsh_route *route)
{
    return nsh_probes_route_is(r->desired->config, route) ? "probe route" : "route";
}

static const char *rule_noun(const struct nsh_reconciler *r, const struct nsh_rule *rule)
{
    return nsh_probes_rule_is(r->desired->config, rule) ? "probe rule" : "rule";
}

static unsigned family_bit(int family)
{
    return family == AF_INET6 ? NSH_REPORT_IPV6 : NSH_REPORT_IPV4;
}

const char *report_chain_name(
        const struct nsh_reconciler *r, const struct nsh_chain *chain, char *buf, size_t size)
{
    int other = chain->family == AF_INET6 ? AF_INET : AF_INET6;

    if (chain->policy[0] == '\0')
        snprintf(buf, size, "%s", family_name(chain->family));
    else if (nsh_chain_index_policy(&r->chain_index, other, chain->policy) != SIZE_MAX)
        snprintf(buf, size, "%s (%s)", chain->policy, family_name(chain->family));
    else
        snprintf(buf, size, "%s", chain->policy);
    return buf;
}

void report_begin(struct nsh_reconciler *r)
{
    r->account = (struct account){
            .trigger = r->trigger,
            .noticed = r->trigger.at ? r->trigger.at : reconcile_now(r),
    };
}

static void report_sums(struct nsh_reconciler *r, const struct tally *t, const char *object)
{
    for (int kind = 0; kind < NSH_REPORT_KINDS; kind++) {
        uint64_t total = t->untold[kind] + t->told[kind];
        struct nsh_report report = {
                .kind = NSH_REPORT_SUMMARY,
                .object = object,
                .detail = nsh_report_action((enum nsh_report_kind)kind),
                .cause = r->account.trigger.text[0] ? r->account.trigger.text : NULL,
                .duration_usec = reconcile_now(r) - r->account.noticed,
                .count = total,
                .untold = t->untold[kind],
        };

        if (t->untold[kind] > 0)
            r->hooks.report(r->hooks.userdata, &report);
    }
}

void report_end(struct nsh_reconciler *r)
{
    report_sums(r, &r->account.routes_told, "route");
    report_sums(r, &r->account.rules_told, "rule");
}

/* Whether one more line of this kind is to be written; else it goes into the sum. */
static bool tell_singly(struct tally *t, enum nsh_report_kind kind)
{
    uint32_t most = NSH_REPORT_SINGLE_MAX;

    switch (kind) {
    case NSH_REPORT_PENDING:
    case NSH_REPORT_CONFLICT:
    case NSH_REPORT_FAILED:
        most = t->many ? EXAMPLES_MAX : most;
        break;
    case NSH_REPORT_ADDED:
    case NSH_REPORT_REMOVED:
    case NSH_REPORT_CHANGED:
    case NSH_REPORT_ADOPTED:
    case NSH_REPORT_RESTORED:
        most = t->many ? 0 : most;
        break;
    default:
        break;
    }
    if (t->told[kind] < most) {
        t->told[kind]++;
        return true;
    }
    t->untold[kind]++;
    return false;
}

static void remember_repair(struct nsh_reconciler *r, const struct nsh_report *report)
{
    char *text = NULL;

    if (report->kind != NSH_REPORT_RESTORED)
        return;
    if (asprintf(&text, "%s %s", report->object, report->name ? report->name : "") < 0)
        return;
    free(r->last_repair);
    r->last_repair = text;
    r->last_repair_at = reconcile_now(r);
}

static const char *occasion_cause(const struct nsh_reconciler *r)
{
    static const char *const causes[] = {
            [NSH_OCCASION_START] = "start",
            [NSH_OCCASION_RELOAD] = "reload",
            [NSH_OCCASION_STOP] = "stop",
    };

    return r->settling                  ? causes[r->occasion]
           : r->account.trigger.text[0] ? r->account.trigger.text
                                        : NULL;
}

/* Fills what all reports have in common, and sends it. */
static void send_report(struct nsh_reconciler *r, struct nsh_report *report,
        const struct report_args *args, nsh_origin origin)
{
    uint64_t at = args->at ? args->at : r->account.noticed;

    report->kind = args->kind;
    report->cause = args->cause ? args->cause : occasion_cause(r);
    report->detail = args->detail;
    report->count = args->count;
    report->sender = args->sender;
    report->culprit = args->culprit;
    report->culprit_pid = args->culprit_pid;
    if (args->kind == NSH_REPORT_RESTORED)
        report->duration_usec = reconcile_now(r) - at;
    report->path = nsh_origins_resolve(r->desired->config->origins, origin, &report->line);
    r->work.failures += args->kind == NSH_REPORT_FAILED;
    remember_repair(r, report);
    r->hooks.report(r->hooks.userdata, report);
}

void report_route(
        struct nsh_reconciler *r, const struct nsh_route *route, const struct report_args *args)
{
    char name[NAME_SIZE];
    struct nsh_report report = {
            .object = route_noun(r, route), .name = name, .families = family_bit(route->family)};

    if (!tell_singly(&r->account.routes_told, args->kind))
        return;
    if (route->origin != NSH_ORIGIN_NONE)
        nsh_route_format(route, r->desired->links, name, sizeof name);
    else
        nsh_route_format_seen(r->fib, route, name, sizeof name);
    send_report(r, &report, args, route->origin);
}

void report_rule(
        struct nsh_reconciler *r, const struct nsh_rule *rule, const struct report_args *args)
{
    char name[NSH_RULE_TEXT];
    struct nsh_report report = {
            .object = rule_noun(r, rule), .name = name, .families = family_bit(rule->family)};

    if (!tell_singly(&r->account.rules_told, args->kind))
        return;
    nsh_rule_format_name(rule, name, sizeof name);
    send_report(r, &report, args, rule->origin);
}

void report_chain(
        struct nsh_reconciler *r, const struct nsh_chain *chain, const struct report_args *args)
{
    char name[64];
    bool policy = chain->policy[0] != '\0';
    struct nsh_report report = {
            .object = nsh_policy_noun(chain->kind),
            .name = args->both ? chain->policy : report_chain_name(r, chain, name, sizeof name),
            .policy = policy ? chain->policy : NULL,
            .families = args->both ? NSH_REPORT_IPV4 | NSH_REPORT_IPV6 : family_bit(chain->family),
            .drops = args->drops,
    };

    send_report(r, &report, args, chain->origin);
}

void report_set(struct nsh_reconciler *r, size_t set, const struct report_args *args)
{
    const struct nsh_set *s = &r->desired->sets[set];
    char name[96];
    struct nsh_report report = {
            .object = "set",
            .name = reconcile_set_name(r, set, name, sizeof name),
            .policy = s->policy,
            .families = family_bit(s->family),
    };

    send_report(r, &report, args, NSH_ORIGIN_NONE);
}

void report_gate(struct nsh_reconciler *r, const char *noun, const char *name,
        const struct report_args *args, nsh_origin origin)
{
    struct nsh_report report = {.object = noun, .name = name};

    send_report(r, &report, args, origin);
}

void report_forwarding(struct nsh_reconciler *r, int family, const struct report_args *args)
{
    struct nsh_report report = {
            .object = "forwarding", .name = family_name(family), .families = family_bit(family)};

    send_report(r, &report, args, NSH_ORIGIN_NONE);
}

void report_plain(struct nsh_reconciler *r, const char *object, const char *name,
        const struct report_args *args)
{
    struct nsh_report report = {.object = object, .name = name};

    send_report(r, &report, args, NSH_ORIGIN_NONE);
}

/* ---- status ---- */

static void count_disabled(
        void *userdata, enum nsh_policy_kind kind, const struct nsh_policy *policy)
{
    struct nsh_counts *counts = userdata;

    (void)kind;
    counts->policies[NSH_OBJECT_DISABLED] += policy->disabled;
}

void nsh_reconciler_count(const struct nsh_reconciler *r, struct nsh_counts *ret)
{
    memset(ret, 0, sizeof *ret);
    if (!r->desired)
        return;
    memcpy(ret->routes, r->route_counts, sizeof ret->routes);
    for (size_t i = 0; i < r->desired->n_probe_routes; i++) {
        enum nsh_object_state state = r->route_states[r->desired->probe_routes[i]];

        ret->routes[state]--;
        ret->probes[state]++;
    }
    for (size_t i = 0; i < r->desired->n_rules; i++) {
        bool probes = nsh_probes_rule_is(r->desired->config, &r->desired->rules[i]);

        (probes ? ret->probes : ret->rules)[r->rule_states[i]]++;
    }
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        enum nsh_object_state state;

        if (reconcile_whole_state(r, i, &state))
            ret->policies[state]++;
    }
    nsh_config_each_policy(r->desired->config, count_disabled, ret);
    for (size_t i = 0; i < r->desired->n_sets; i++)
        ret->sets[r->set_marks[i].state]++;
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (r->desired->forwarding[f])
            ret->forwarding[r->forwarding_states[f]]++;
}

struct viewer {
    const struct nsh_reconciler *r;
    size_t limit, shown, total;
    bool held; /* this round shows the held ones, the other the rest */
    void (*each)(void *userdata, const struct nsh_object_view *view);
    void *userdata;
};

/* True if the object belongs to this round and there is room for it. */
static bool wants(struct viewer *v, enum nsh_object_state state)
{
    if ((state == NSH_OBJECT_HELD) != v->held)
        return false;
    v->total++;
    return v->shown < v->limit;
}

/* `gate`: the closed one that an object on standby waits for. */
static void show(struct viewer *v, nsh_object_id id, nsh_origin origin, nsh_gate_id gate,
        struct nsh_object_view *view)
{
    char reason[NSH_GATE_TEXT + GATE_REASON_TEXT];

    if (!view->reason)
        view->reason = nsh_notes_reason(v->r->notes, id);
    if (view->state == NSH_OBJECT_STANDBY && gate != NSH_NO_GATE)
        view->reason = reconcile_gate_reason(v->r, gate, reason, sizeof reason);
    if (!view->repairs)
        view->repairs = nsh_notes_find_repairs(v->r->notes, id);
    view->path = nsh_origins_resolve(v->r->desired->config->origins, origin, &view->line);
    v->shown++;
    v->each(v->userdata, view);
}

/* Whether an address in its name says which family it is of. */
static bool tells_family(const struct nsh_route *r)
{
    for (uint32_t i = 0; i < r->props->n_nexthops; i++)
        if (r->props->nexthops[i].via_family != AF_UNSPEC && !r->props->nexthops[i].learned)
            return true;
    return r->dst_length > 0 || r->props->has_source;
}

static void route_name(const struct nsh_desired *d, size_t i, char *buf, size_t size)
{
    const struct nsh_route *route = &d->routes[i];
    size_t n;

    nsh_route_format(route, d->links, buf, size);
    n = strlen(buf);
    if (!tells_family(route))
        snprintf(buf + n, size - n, " (%s)", family_name(route->family));
}

static void show_routes(struct viewer *v)
{
    const struct nsh_desired *d = v->r->desired;
    char name[NAME_SIZE];

    for (size_t i = 0; i < d->n_routes; i++) {
        struct nsh_object_view view = {.kind = route_noun(v->r, &d->routes[i]), .name = name};
        struct nsh_hold hold = {0};

        view.state = v->r->route_states[i];
        if (!wants(v, view.state))
            continue;
        nsh_desired_standing(d, &d->routes[i], &hold);
        route_name(d, i, name, sizeof name);
        show(v, i, d->routes[i].origin, hold.gate, &view);
    }
}

static void show_rules(struct viewer *v)
{
    const struct nsh_desired *d = v->r->desired;
    char name[NSH_RULE_TEXT];

    for (size_t i = 0; i < d->n_rules; i++) {
        struct nsh_object_view view = {.kind = rule_noun(v->r, &d->rules[i]), .name = name};

        view.state = v->r->rule_states[i];
        if (!wants(v, view.state))
            continue;
        nsh_rule_format_name(&d->rules[i], name, sizeof name);
        show(v, NSH_OBJECT_RULE + i, d->rules[i].origin, d->rules[i].when, &view);
    }
}

static void show_policies(struct viewer *v)
{
    const struct nsh_desired *d = v->r->desired;
    char name[64];

    for (size_t i = 0; i < d->n_chains; i++) {
        const struct nsh_chain *c = &d->chains[i];
        struct nsh_object_view view = {.kind = nsh_policy_noun(c->kind),
                .name = name,
                .policy = c->policy,
                .family = c->family};
        struct nsh_repairs repairs;
        char remarks[REMARKS_TEXT];
        size_t why;

        if (c->policy[0] == '\0' || !reconcile_is_lead(v->r, i))
            continue;
        view.state = reconcile_policy_state(v->r, i, &why);
        if (!wants(v, view.state))
            continue;
        report_chain_name(v->r, c, name, sizeof name);
        repairs = reconcile_policy_repairs(v->r, i);
        view.repairs = &repairs;
        view.reason = reconcile_policy_remarks(v->r, i, why, view.state, remarks, sizeof remarks);
        show(v, NSH_OBJECT_NONE, c->origin, c->when, &view);
    }
}

static void show_disabled(
        void *userdata, enum nsh_policy_kind kind, const struct nsh_policy *policy)
{
    struct viewer *v = userdata;
    struct nsh_object_view view = {.kind = nsh_policy_noun(kind),
            .name = policy->name,
            .policy = policy->name,
            .state = NSH_OBJECT_DISABLED};

    if (policy->disabled && wants(v, view.state))
        show(v, NSH_OBJECT_NONE, policy->origin, NSH_NO_GATE, &view);
}

static void show_sets(struct viewer *v)
{
    char name[96];

    for (size_t i = 0; i < v->r->desired->n_sets; i++) {
        struct nsh_object_view view = {.kind = "set", .name = name};

        view.state = v->r->set_marks[i].state;
        if (!wants(v, view.state))
            continue;
        reconcile_set_name(v->r, i, name, sizeof name);
        show(v, NSH_OBJECT_SET + i, NSH_ORIGIN_NONE, v->r->desired->sets[i].when, &view);
    }
}

static void show_forwarding(struct viewer *v)
{
    for (int f = 0; f < NSH_FAMILIES; f++) {
        struct nsh_object_view view = {.kind = "forwarding"};

        view.state = v->r->forwarding_states[f];
        view.name = family_name(nsh_family_of(f));
        if (v->r->desired->forwarding[f] && wants(v, view.state))
            show(v, NSH_OBJECT_FORWARDING + (unsigned)f, NSH_ORIGIN_NONE, NSH_NO_GATE, &view);
    }
}

size_t nsh_reconciler_each(const struct nsh_reconciler *r, size_t limit,
        void (*each)(void *userdata, const struct nsh_object_view *view), void *userdata)
{
    struct viewer v = {.r = r, .limit = limit, .each = each, .userdata = userdata};

    if (!r->desired)
        return 0;
    for (int round = 0; round < 2; round++) {
        v.held = round == 1;
        show_policies(&v);
        nsh_config_each_policy(r->desired->config, show_disabled, &v);
        show_sets(&v);
        show_forwarding(&v);
        show_rules(&v);
        show_routes(&v);
    }
    return v.total;
}

const char *nsh_reconciler_last_repair(const struct nsh_reconciler *r, uint64_t *ret_at)
{
    *ret_at = r->last_repair_at;
    return r->last_repair;
}

void nsh_reconciler_work(const struct nsh_reconciler *r, struct nsh_work *ret)
{
    *ret = r->work;
}

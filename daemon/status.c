/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "status.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "diag.h"
#include "text-json.h"
#include "text.h"
#include "version.h"

static size_t sum(const struct nsh_counts *c, enum nsh_object_state state)
{
    return c->routes[state] + c->rules[state] + c->policies[state] + c->sets[state] +
           c->forwarding[state] + c->probes[state];
}

/* Whatever is not, is to be looked at. */
static bool is_as_wanted(const struct nsh_counts *c)
{
    for (int state = 0; state < NSH_OBJECT_STATES; state++)
        if (state != NSH_OBJECT_HELD && state != NSH_OBJECT_STANDBY &&
                state != NSH_OBJECT_DISABLED && sum(c, (enum nsh_object_state)state) > 0)
            return false;
    return true;
}

const char *nsh_status_counts(const struct nsh_reconciler *r, char *buf, size_t size)
{
    static const enum nsh_object_state others[] = {NSH_OBJECT_STANDBY, NSH_OBJECT_PENDING,
            NSH_OBJECT_CONFLICTING, NSH_OBJECT_WRONG, NSH_OBJECT_DISABLED};
    struct nsh_counts c;
    size_t routes, rules, policies, n;
    char between[40] = " and";

    nsh_reconciler_count(r, &c);
    routes = c.routes[NSH_OBJECT_HELD];
    rules = c.rules[NSH_OBJECT_HELD];
    policies = c.policies[NSH_OBJECT_HELD];
    if (rules > 0)
        snprintf(between, sizeof between, ", %zu rule%s and", rules, rules == 1 ? "" : "s");
    n = (size_t)snprintf(buf, size, "%zu route%s%s %zu polic%s held", routes,
            routes == 1 ? "" : "s", between, policies, policies == 1 ? "y" : "ies");
    for (size_t i = 0; i < sizeof others / sizeof others[0] && n < size; i++)
        if (sum(&c, others[i]) > 0)
            n += (size_t)snprintf(buf + n, size - n, ", %zu %s", sum(&c, others[i]),
                    nsh_object_state_name(others[i]));
    return buf;
}

/* "running the configuration of 14:02; the reload of 14:07 was refused: …"; "": none was. */
static const char *refusal(const struct nsh_status *s, char *buf, size_t size)
{
    char taken[NSH_CLOCK_TEXT], refused[NSH_CLOCK_TEXT];
    const char *why = s->refused ? s->refused : "out of memory";
    size_t n;

    buf[0] = '\0';
    if (s->refused_at == 0)
        return buf;
    nsh_clock_format(s->refused_at, refused);
    if (s->refused_at_start)
        n = (size_t)snprintf(buf, size, "the file was refused at the start, %s: ", refused);
    else
        n = (size_t)snprintf(buf, size,
                "running the configuration of %s; the reload of %s was refused: ",
                nsh_clock_format(s->taken_at, taken), refused);
    if (n < size)
        nsh_printable(why, strlen(why), buf + n, size - n);
    return buf;
}

const char *nsh_status_line(const struct nsh_status *s, char *buf, size_t size)
{
    char counts[128], clock[16] = "", refused[320];
    uint64_t at;
    const char *repair = nsh_reconciler_last_repair(s->reconciler, &at);
    time_t when = time(NULL) - (time_t)((s->now - at) / 1000000);
    nsh_autofree char *line = NULL;
    struct tm tm;

    nsh_status_counts(s->reconciler, counts, sizeof counts);
    if (repair && localtime_r(&when, &tm))
        strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    refusal(s, refused, sizeof refused);
    if (asprintf(&line, "%s%s%s%s%s%s%s%s%s", s->problem ? s->problem : "", s->problem ? "; " : "",
                refused, refused[0] ? "; " : "", counts, repair ? "; last repair " : "", clock,
                repair ? ": " : "", repair ? repair : "") < 0)
        line = NULL;
    /* systemd ignores a line that ends within a character. */
    return nsh_printable(line ? line : counts, strlen(line ? line : counts), buf, size);
}

struct lister {
    json_t *objects;
    const struct nsh_traffic_table *traffic;
    uint64_t now;
};

static void put_traffic(json_t *o, const struct nsh_policy_traffic *t)
{
    for (int k = 0; k < NSH_TRAFFIC_KINDS; k++) {
        json_t *counted = json_object();

        json_object_set_new(counted, "packets", json_integer((json_int_t)t->by[k].packets));
        json_object_set_new(counted, "bytes", json_integer((json_int_t)t->by[k].bytes));
        json_object_set_new(o, nsh_traffic_kind_name((enum nsh_traffic_kind)k), counted);
    }
}

static void put_policy(json_t *o, const struct nsh_object_view *v)
{
    json_object_set_new(o, "policy", json_string(v->policy));
    json_object_set_new(o, "family", json_string(v->family == AF_INET6 ? "ipv6" : "ipv4"));
}

static void list_object(void *userdata, const struct nsh_object_view *v)
{
    struct lister *l = userdata;
    const struct nsh_policy_traffic *traffic =
            v->policy && l->traffic ? nsh_traffic_find(l->traffic, v->policy, v->family) : NULL;
    json_t *o = json_object();

    json_object_set_new(o, "kind", json_string(v->kind));
    nsh_text_put(o, "name", v->name);
    if (v->policy)
        put_policy(o, v);
    json_object_set_new(o, "state", json_string(nsh_object_state_name(v->state)));
    nsh_text_put(o, "reason", v->reason);
    json_object_set_new(o, "repairs", json_integer(v->repairs ? (json_int_t)v->repairs->count : 0));
    if (v->repairs && v->repairs->count > 0)
        json_object_set_new(
                o, "last_repair_ago_usec", json_integer((json_int_t)(l->now - v->repairs->last)));
    if (v->repairs && v->repairs->culprit[0] != '\0')
        nsh_text_put(o, "culprit", v->repairs->culprit);
    if (v->path) {
        nsh_text_put(o, "file", v->path);
        json_object_set_new(o, "line", json_integer(v->line));
    }
    if (traffic)
        put_traffic(o, traffic);
    json_array_append_new(l->objects, o);
}

static json_t *counts_json(const struct nsh_reconciler *r)
{
    struct nsh_counts c;
    json_t *o = json_object();

    nsh_reconciler_count(r, &c);
    for (int s = NSH_OBJECT_HELD; s < NSH_OBJECT_STATES; s++)
        json_object_set_new(o, nsh_object_state_name((enum nsh_object_state)s),
                json_integer((json_int_t)sum(&c, (enum nsh_object_state)s)));
    return o;
}

static json_t *last_repair_json(const struct nsh_status *s)
{
    uint64_t at;
    const char *text = nsh_reconciler_last_repair(s->reconciler, &at);
    json_t *o;

    if (!text)
        return json_null();
    o = json_object();
    json_object_set_new(o, "ago_usec", json_integer((json_int_t)(s->now - at)));
    nsh_text_put(o, "text", text);
    return o;
}

static json_t *work_json(const struct nsh_status *s)
{
    struct nsh_work w;
    json_t *o = json_object();

    nsh_reconciler_work(s->reconciler, &w);
    json_object_set_new(o, "passes", json_integer((json_int_t)w.passes));
    json_object_set_new(o, "full_comparisons", json_integer((json_int_t)w.full));
    json_object_set_new(o, "route_messages", json_integer((json_int_t)w.writes));
    json_object_set_new(o, "rule_messages", json_integer((json_int_t)w.rules));
    json_object_set_new(o, "firewall_commits", json_integer((json_int_t)w.commits));
    json_object_set_new(o, "sets_read", json_integer((json_int_t)w.sets_read));
    json_object_set_new(o, "sets_written", json_integer((json_int_t)w.sets_written));
    json_object_set_new(o, "overruns", json_integer((json_int_t)w.overruns));
    json_object_set_new(o, "longest_dispatch_usec", json_integer((json_int_t)s->longest));
    json_object_set_new(o, "longest_dispatch_cpu_usec", json_integer((json_int_t)s->longest_cpu));
    return o;
}

char *nsh_status_json(const struct nsh_status *s)
{
    struct lister l = {.objects = json_array(), .traffic = s->traffic, .now = s->now};
    json_t *root = json_object();
    struct nsh_counts c;
    size_t total, shown;
    char *text, refused[1024];

    total = nsh_reconciler_each(s->reconciler, NSH_STATUS_OBJECTS_MAX, list_object, &l);
    shown = json_array_size(l.objects);
    nsh_reconciler_count(s->reconciler, &c);
    json_object_set_new(root, "version", json_string(NSH_VERSION));
    json_object_set_new(root, "pid", json_integer(getpid()));
    nsh_text_put(root, "config", s->config);
    json_object_set_new(root, "trust_files", json_boolean(s->trust_files));
    nsh_text_put(root, "running_file", s->running);
    nsh_text_put(root, "other_file", s->other);
    json_object_set_new(root, "firewall", json_string(s->firewall));
    nsh_text_put(root, "both_firewalls", s->both);
    json_object_set_new(root, "state",
            json_string(s->problem || s->refused_at != 0 || !is_as_wanted(&c) ? "degraded"
                                                                              : "running"));
    nsh_text_put(root, "problem", s->problem);
    if (s->refused_at != 0)
        nsh_text_put(root, "reload_refused", refusal(s, refused, sizeof refused));
    if (s->trial_left > 0)
        json_object_set_new(root, "trial_left_usec", json_integer((json_int_t)s->trial_left));
    json_object_set_new(root, "last_repair", last_repair_json(s));
    json_object_set_new(root, "counts", counts_json(s->reconciler));
    json_object_set_new(root, "work", work_json(s));
    if (total > shown)
        json_object_set_new(root, "truncated", json_integer((json_int_t)(total - shown)));
    json_object_set_new(root, "objects", l.objects);
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

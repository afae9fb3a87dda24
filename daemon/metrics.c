/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "version.h"

/* The last of each stands for all others. */
static const char *const objects[NSH_METRICS_OBJECTS] = {"route", "rule", "masquerade", "share",
        "port-forward", "network-map", "set", "forwarding", "other"};
static const char *const causes[NSH_METRICS_CAUSES] = {"removed", "replaced", "changed", "flushed",
        "missing", "switched off", "out of order", "jump", "link", "other"};

/* Upper bounds in microseconds, and as OpenMetrics writes them in seconds. */
static const struct {
    uint64_t usec;
    const char *seconds;
} bounds[NSH_METRICS_BUCKETS] = {{100, "0.0001"}, {250, "0.00025"}, {500, "0.0005"},
        {1000, "0.001"}, {2500, "0.0025"}, {5000, "0.005"}, {10000, "0.01"}, {50000, "0.05"},
        {100000, "0.1"}, {500000, "0.5"}, {1000000, "1.0"}, {10000000, "10.0"}};

/* ---- counting ---- */

/* Words of the reconciler that mean the same to who looks at a curve. */
static const struct {
    const char *start, *cause;
} meanings[] = {{"deleted", "removed"}, {"altered", "changed"}, {"gone", "missing"},
        {"lacked ", "changed"}, {"held ", "changed"}, {"jump ", "jump"}, {"link ", "link"},
        {"address ", "link"}, {"device ", "link"}, {"interface ", "link"}};

static size_t index_of(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return n - 1;
}

/* What had happened is in the cause, or where that says when it was found, in the detail. */
static size_t cause_of(const struct nsh_report *r)
{
    const char *const words[] = {r->cause, r->detail};

    for (size_t w = 0; w < NSH_ARRAY_SIZE(words); w++) {
        size_t at = index_of(causes, NSH_METRICS_CAUSES, words[w]);

        if (at < NSH_METRICS_CAUSES - 1)
            return at;
        for (size_t i = 0; words[w] && i < NSH_ARRAY_SIZE(meanings); i++)
            if (strncmp(words[w], meanings[i].start, strlen(meanings[i].start)) == 0)
                return index_of(causes, NSH_METRICS_CAUSES, meanings[i].cause);
        if (words[w] && *words[w] >= '0' && *words[w] <= '9') /* "2 of 5 rules changed" */
            return index_of(causes, NSH_METRICS_CAUSES, "changed");
    }
    return NSH_METRICS_CAUSES - 1;
}

static void count_repairs(struct nsh_metrics *m, const struct nsh_report *r, uint64_t n)
{
    size_t at = 0;

    m->repairs[index_of(objects, NSH_METRICS_OBJECTS, r->object)][cause_of(r)] += n;
    if (r->duration_usec == 0)
        return;
    while (at < NSH_METRICS_BUCKETS && r->duration_usec > bounds[at].usec)
        at++;
    m->buckets[at] += n;
    m->repair_usec += n * r->duration_usec;
}

void nsh_metrics_report(struct nsh_metrics *m, const struct nsh_report *r)
{
    switch (r->kind) {
    case NSH_REPORT_RESTORED:
        count_repairs(m, r, 1);
        break;
    case NSH_REPORT_SUMMARY:
        if (r->detail && strcmp(r->detail, "restored") == 0)
            count_repairs(m, r, r->untold);
        break;
    case NSH_REPORT_FIGHT:
        m->fights[index_of(objects, NSH_METRICS_OBJECTS, r->object)]++;
        break;
    case NSH_REPORT_FLOWS:
        m->flows += r->count;
        break;
    case NSH_REPORT_RELOADED:
        m->reloads_good++;
        m->last_bad = false;
        break;
    case NSH_REPORT_RELOAD_BAD:
        m->reloads_bad++;
        m->last_bad = true;
        break;
    case NSH_REPORT_START_BAD:
        m->last_bad = true;
        break;
    default:
        break;
    }
}

/* ---- the text ---- */

struct writer {
    FILE *to;
    enum nsh_metrics_format format;
};

/* `suffix`: "_total" of counters, which OpenMetrics leaves out where a family is described. */
static void describe(const struct writer *w, const char *name, const char *type, const char *help)
{
    const char *suffix =
            w->format == NSH_METRICS_PROMETHEUS && strcmp(type, "counter") == 0 ? "_total" : "";

    fprintf(w->to, "# TYPE netshared_%s%s %s\n# HELP netshared_%s%s %s\n", name, suffix, type, name,
            suffix, help);
}

static void put_single(const struct writer *w, const char *name, const char *type, uint64_t value,
        const char *help)
{
    describe(w, name, type, help);
    fprintf(w->to, "netshared_%s%s %" PRIu64 "\n", name,
            strcmp(type, "counter") == 0 ? "_total" : "", value);
}

static void put_seconds(const struct writer *w, const char *name, uint64_t usec)
{
    fprintf(w->to, "netshared_%s %" PRIu64 ".%06" PRIu64 "\n", name, usec / 1000000,
            usec % 1000000);
}

/* Causes that never were are left out; every kind shows at least one. */
static void put_repairs(const struct writer *w, const struct nsh_metrics *m)
{
    describe(w, "repairs", "counter",
            "Drift that was put right, by kind of object and what had happened.");
    for (size_t o = 0; o < NSH_METRICS_OBJECTS; o++)
        for (size_t c = 0; c < NSH_METRICS_CAUSES; c++)
            if (m->repairs[o][c] > 0 || c == 0)
                fprintf(w->to, "netshared_repairs_total{kind=\"%s\",cause=\"%s\"} %" PRIu64 "\n",
                        objects[o], causes[c], m->repairs[o][c]);
    describe(w, "fights", "counter", "Times something kept undoing repairs, by kind of object.");
    for (size_t o = 0; o < NSH_METRICS_OBJECTS; o++)
        fprintf(w->to, "netshared_fights_total{kind=\"%s\"} %" PRIu64 "\n", objects[o],
                m->fights[o]);
}

static void put_histogram(const struct writer *w, const struct nsh_metrics *m)
{
    uint64_t total = 0;

    describe(w, "repair_duration_seconds", "histogram",
            "From the moment drift was noticed until it was put right.");
    for (size_t i = 0; i < NSH_METRICS_BUCKETS; i++) {
        total += m->buckets[i];
        fprintf(w->to, "netshared_repair_duration_seconds_bucket{le=\"%s\"} %" PRIu64 "\n",
                bounds[i].seconds, total);
    }
    total += m->buckets[NSH_METRICS_BUCKETS];
    fprintf(w->to, "netshared_repair_duration_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", total);
    put_seconds(w, "repair_duration_seconds_sum", m->repair_usec);
    fprintf(w->to, "netshared_repair_duration_seconds_count %" PRIu64 "\n", total);
}

static void put_objects(const struct writer *w, const struct nsh_status *s)
{
    struct nsh_counts c;

    nsh_reconciler_count(s->reconciler, &c);
    const struct {
        const char *kind;
        const size_t *n;
    } rows[] = {{"route", c.routes}, {"rule", c.rules}, {"policy", c.policies}, {"set", c.sets},
            {"forwarding", c.forwarding}, {"probe", c.probes}};

    describe(w, "objects", "gauge", "Objects of the configuration, by kind and state.");
    for (size_t k = 0; k < NSH_ARRAY_SIZE(rows); k++)
        for (int state = NSH_OBJECT_HELD; state < NSH_OBJECT_STATES; state++)
            fprintf(w->to, "netshared_objects{kind=\"%s\",state=\"%s\"} %zu\n", rows[k].kind,
                    nsh_object_state_name((enum nsh_object_state)state), rows[k].n[state]);
}

static void put_work(
        const struct writer *w, const struct nsh_metrics *m, const struct nsh_status *s)
{
    struct nsh_work work;

    nsh_reconciler_work(s->reconciler, &work);
    describe(w, "configuration_loads", "counter", "Reloads, by how they ended.");
    fprintf(w->to,
            "netshared_configuration_loads_total{result=\"good\"} %" PRIu64
            "\nnetshared_configuration_loads_total{result=\"bad\"} %" PRIu64 "\n",
            m->reloads_good, m->reloads_bad);
    put_single(w, "configuration_in_force", "gauge", !m->last_bad,
            "1: what was loaded last is in force; 0: it was bad, an earlier one is.");
    put_single(w, "netlink_overruns", "counter", work.overruns,
            "Times the kernel dropped events, and everything was compared.");
    put_single(
            w, "full_comparisons", "counter", work.full, "Dumps of the kernel's routes compared.");
    put_single(w, "refused_operations", "counter", work.failures,
            "Operations that the kernel refused and that were reported.");
    put_single(w, "deleted_flows", "counter", m->flows,
            "Connections untranslated because of a gap, deleted after it.");
    describe(w, "event_loop_held_seconds_max", "gauge",
            "The longest time that one callback held the event loop.");
    put_seconds(w, "event_loop_held_seconds_max", s->longest);
    describe(w, "start_time_seconds", "gauge", "When the daemon started, since 1970.");
    put_seconds(w, "start_time_seconds", m->started);
}

static void put_traffic_line(
        const struct writer *w, const struct nsh_policy_traffic *t, int kind, bool bytes)
{
    fprintf(w->to,
            "netshared_policy_%s_total{policy=\"%s\",family=\"%s\",verdict=\"%s\"} %" PRIu64 "\n",
            bytes ? "bytes" : "packets", t->policy, t->family == AF_INET6 ? "ipv6" : "ipv4",
            nsh_traffic_kind_name((enum nsh_traffic_kind)kind),
            bytes ? t->by[kind].bytes : t->by[kind].packets);
}

/* Names of policies hold nothing that would have to be escaped; what else is there is not ours. */
static bool is_policy_name(const char *name)
{
    return name[0] != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static void put_traffic(const struct writer *w, const struct nsh_traffic_table *t)
{
    static const char *const helps[] = {
            "Packets that the rules of a policy matched; translated: the first of each connection.",
            "The same in bytes."};

    for (int bytes = 0; bytes < 2; bytes++) {
        describe(w, bytes ? "policy_bytes" : "policy_packets", "counter", helps[bytes]);
        for (size_t i = 0; t && i < t->n; i++)
            for (int k = 0; k < NSH_TRAFFIC_KINDS && is_policy_name(t->items[i].policy); k++)
                put_traffic_line(w, &t->items[i], k, bytes);
    }
}

char *nsh_metrics_text(
        const struct nsh_metrics *m, const struct nsh_status *s, enum nsh_metrics_format format)
{
    char *text = NULL;
    size_t size;
    struct writer w = {open_memstream(&text, &size), format};

    if (!w.to)
        return NULL;
    describe(&w, format == NSH_METRICS_PROMETHEUS ? "build_info" : "build",
            format == NSH_METRICS_PROMETHEUS ? "gauge" : "info", "Which netshared this is.");
    fprintf(w.to, "netshared_build_info{version=\"%s\",firewall=\"%s\"} 1\n", NSH_VERSION,
            s->firewall);
    put_objects(&w, s);
    put_repairs(&w, m);
    put_histogram(&w, m);
    put_work(&w, m, s);
    put_traffic(&w, s->traffic);
    if (format == NSH_METRICS_OPENMETRICS)
        fputs("# EOF\n", w.to);
    int failed = ferror(w.to);
    if (fclose(w.to) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

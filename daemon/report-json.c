/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report for other programs: the journal's fields by the names that `status` uses for them.
 */
#include <jansson.h>

#include "journal-internal.h"
#include "journal.h"
#include "report-json.h"
#include "text-json.h"

static const char *const priorities[] = {
        "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"};

static void put_number(json_t *o, const char *key, uint64_t number)
{
    if (number > 0)
        json_object_set_new(o, key, json_integer((json_int_t)number));
}

static void put_families(json_t *o, unsigned families)
{
    json_t *list = json_array();

    if (families & NSH_REPORT_IPV4)
        json_array_append_new(list, json_string("ipv4"));
    if (families & NSH_REPORT_IPV6)
        json_array_append_new(list, json_string("ipv6"));
    if (families)
        json_object_set(o, "families", list);
    json_decref(list);
}

char *nsh_report_json(const struct nsh_report *r, uint64_t at)
{
    char *message = nsh_report_text(r), *text;
    json_t *o = json_object();

    put_number(o, "time_usec", at);
    nsh_text_put(o, "priority", priorities[nsh_report_priority(r->kind)]);
    nsh_text_put(o, "message", message);
    nsh_text_put(o, "action", nsh_report_action(r->kind));
    nsh_text_put(o, "kind", r->object);
    nsh_text_put(o, "name", r->name);
    nsh_text_put(o, "policy", r->policy);
    put_families(o, r->families);
    nsh_text_put(o, "cause", r->cause);
    nsh_text_put(o, "detail", r->detail);
    nsh_text_put(o, "culprit", r->culprit);
    put_number(o, "culprit_pid", r->culprit_pid > 0 ? (uint64_t)r->culprit_pid : 0);
    put_number(o, "sender", r->sender);
    put_number(o, "duration_usec", r->duration_usec);
    put_number(o, "count", r->count);
    nsh_text_put(o, "file", r->path);
    put_number(o, "line", r->path ? r->line : 0);
    text = message ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    free(message);
    return text;
}

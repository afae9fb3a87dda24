/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report as a sentence for the administrator.
 *
 * A sentence is about a subject ("route 10.0.0.0/8 via 192.0.2.1"), and each kind has its way to
 * go on from there; the table at the end says which. RESTORED is the one that tells a story: what
 * had happened (from the words in `cause` and `detail`), who did it, and how long it took.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "cleanup.h"
#include "journal-ids.h"
#include "journal-internal.h"
#include "journal.h"
#include "text.h"

static void put(FILE *to, const char *text)
{
    nsh_autofree char *line = nsh_text_line(text);

    if (line)
        fputs(line, to);
}

/* "PREFIX text", or "PREFIX" and the lines below it. */
static void put_detail(FILE *to, const char *detail)
{
    nsh_autofree char *lines = detail ? nsh_text_lines(detail) : NULL;

    if (lines && *lines)
        fprintf(to, ":%c%s", strchr(lines, '\n') ? '\n' : ' ', lines);
}

static void put_subject(FILE *to, const struct nsh_report *r)
{
    if (r->drops)
        fputs("the drops of ", to);
    if (r->object && strcmp(r->object, "conntrack") == 0) {
        fprintf(to, "the rule that keeps connection tracking in use (%s)", r->name ? r->name : "");
    } else {
        if (r->object)
            put(to, r->object);
        if (r->object && r->name)
            fputc(' ', to);
        if (r->name)
            put(to, r->name);
    }
    if (!r->object && !r->name)
        fputs("something", to);
    if (r->drops)
        fputs(", which is pending,", to);
}

static void put_culprit(FILE *to, const struct nsh_report *r, const char *before, const char *after)
{
    if (r->culprit) {
        fprintf(to, "%sby ", before);
        put(to, r->culprit);
        if (r->culprit_pid > 0)
            fprintf(to, "[%d]", (int)r->culprit_pid);
        fputs(after, to);
    } else if (r->sender != 0) {
        fprintf(to, "%sby an unknown process (netlink port %" PRIu32 ")%s", before, r->sender,
                after);
    }
}

static void put_duration(FILE *to, const struct nsh_report *r)
{
    char text[NSH_DURATION_TEXT];

    if (r->duration_usec > 0)
        fprintf(to, " in %s", nsh_duration_format(r->duration_usec, text));
}

static void put_aside(FILE *to, const char *text)
{
    if (!text || !*text)
        return;
    fputs(" (", to);
    put(to, text);
    fputc(')', to);
}

/* ---- what had happened ---- */

/* Causes that say when something was found, not what it was. */
static const struct {
    const char *word, *said;
} findings[] = {
        {"start", "found at start"}, {"reload", "found at reload"}, {"stop", ""},
        {"resync", "found by the resync"}, {"overrun", "found after lost events"},
        {"poll", ""}, /* how it is always found where the kernel gives no event */
};

/* Words for what happened. `agent`: "by whom" can follow at once. */
static const struct {
    const char *word, *said;
    bool agent;
} happenings[] = {
        {"removed", "was removed", true},
        {"deleted", "was removed", true},
        {"replaced", "was replaced", true},
        {"changed", "was changed", true},
        {"altered", "was changed", true},
        {"flushed", "was flushed", true},
        {"switched off", "was switched off", true},
        {"missing", "was missing", false},
        {"gone", "was gone", false},
        {"out of order", "was out of order", false},
        {"doubled", "was there twice", false},
        {"jump missing", "had lost its jump", false},
        {"jump doubled", "had its jump doubled", false},
        {"jump altered", "had its jump altered", false},
        {"jump behind a rule of others", "had a rule of others put before its jump", true},
        {"behind a rule of others", "had a rule of others put before it", true},
        {"base chain changed", "had the base chain of its jump changed", true},
};

static const char *finding_said(const char *word)
{
    for (size_t i = 0; word && i < NSH_ARRAY_SIZE(findings); i++)
        if (strcmp(word, findings[i].word) == 0)
            return findings[i].said;
    return NULL;
}

static bool is_network_event(const char *what)
{
    static const char *const starts[] = {"link ", "address ", "device ", "interface "};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(starts); i++)
        if (strncmp(what, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

/* A number of rules, or what a set lacked or held. */
static bool is_said(const char *what)
{
    return (*what >= '0' && *what <= '9') || strncmp(what, "lacked ", 7) == 0 ||
           strncmp(what, "held ", 5) == 0;
}

/* Of one thing, or of several: "was removed", "were removed". */
static void put_said(FILE *to, const char *said, bool several)
{
    if (several && strncmp(said, "was ", 4) == 0)
        fprintf(to, " were %s", said + 4);
    else
        fprintf(to, " %s", said);
}

/* " was removed", " had 2 of 5 rules changed", " was lost (link eth0 went down)". */
static void put_happening(FILE *to, const char *what, bool several, bool *ret_agent)
{
    *ret_agent = false;
    for (size_t i = 0; what && i < NSH_ARRAY_SIZE(happenings); i++) {
        if (strcmp(what, happenings[i].word) == 0) {
            put_said(to, happenings[i].said, several);
            *ret_agent = happenings[i].agent;
            return;
        }
    }
    if (!what) {
        fputs(" was not as wanted", to);
    } else if (is_said(what)) {
        fputs(*what >= '0' && *what <= '9' ? " had " : " ", to);
        put(to, what);
    } else {
        fputs(is_network_event(what) ? " was lost" : " was wrong", to);
        put_aside(to, what);
    }
}

static void say_restored(FILE *to, const struct nsh_report *r)
{
    const char *found = finding_said(r->cause);
    const char *what = found || !r->cause ? r->detail : r->cause;
    bool agent;

    put_subject(to, r);
    put_happening(to, what, r->drops, &agent);
    if (agent)
        put_culprit(to, r, " ", "");
    else
        put_culprit(to, r, " (", ")");
    put_aside(to, found);
    if (what != r->detail)
        put_aside(to, finding_said(r->detail) ? finding_said(r->detail) : r->detail);
    fputs("; restored", to);
    put_duration(to, r);
}

/* ---- the other kinds ---- */

/* "fails: no answer 3 times; 2 routes withdrawn", "works again after 14 s; 2 routes back". */
static void say_gate(FILE *to, const struct nsh_report *r)
{
    bool check = r->object && strcmp(r->object, "check") == 0;
    bool open = r->kind == NSH_REPORT_OPENED;
    const char *detail = r->detail ? r->detail : "";
    const char *between = !open ? ": " : strncmp(detail, "after ", 6) == 0 ? " " : "; ";

    put_subject(to, r);
    if (check)
        fputs(open ? " works again" : " fails", to);
    else
        fputs(open ? " holds" : " does not hold", to);
    if (detail[0] == '\0')
        return;
    fputs(between, to);
    put(to, detail);
}

static void say_learned(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" is ", to);
    put(to, r->detail ? r->detail : "another");
}

static void say_state(FILE *to, const struct nsh_report *r)
{
    fputs(nsh_report_action(r->kind), to);
    put_duration(to, r);
    put_detail(to, r->detail);
}

static void say_reload_bad(FILE *to, const struct nsh_report *r)
{
    fputs("reload refused, the configuration in force stays", to);
    put_detail(to, r->detail);
}

static void say_start_bad(FILE *to, const struct nsh_report *r)
{
    fputs("the configuration is bad, the last accepted one runs", to);
    put_detail(to, r->detail);
}

static void say_warning(FILE *to, const struct nsh_report *r)
{
    nsh_autofree char *lines = r->detail ? nsh_text_lines(r->detail) : NULL;

    if (r->name) {
        put_subject(to, r);
        fputs(": ", to);
    }
    fputs(lines ? lines : "no more is known", to);
}

/* A switch is not added but set. */
static const char *done_word(const struct nsh_report *r)
{
    bool on = r->kind == NSH_REPORT_ADDED;

    if (r->object && strcmp(r->object, "forwarding") == 0)
        return on ? "switched on" : "switched off again";
    if (r->object && strcmp(r->object, "accept-ra") == 0)
        return on ? "raised" : "set back";
    if (r->object && strcmp(r->object, "firewall") == 0)
        return "is used";
    if (r->object && strcmp(r->object, "NAT of others in") == 0)
        return "is gone";
    return nsh_report_action(r->kind);
}

/* A cause is told where it says more than "you asked for it". */
static void say_done(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fprintf(to, " %s", done_word(r));
    put_duration(to, r);
    if (r->cause && !finding_said(r->cause))
        put_aside(to, r->cause);
    put_aside(to, r->detail);
}

static void say_adopted(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" adopted: it was there and carries our mark now", to);
    put_aside(to, r->detail);
}

static void say_pending(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" is pending", to);
    put_detail(to, r->detail ? r->detail : r->cause);
    if (r->detail && r->cause && !finding_said(r->cause))
        put_aside(to, r->cause);
}

static void say_conflict(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" is held by another", to);
    put_detail(to, r->detail);
    fputs("; left alone (on-conflict: replace takes it)", to);
}

static void say_shadowed(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" is held, but another comes before it", to);
    put_detail(to, r->detail);
    fputs("; left alone", to);
}

static void say_behind(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" is held, but a rule of others takes packets before it", to);
    put_detail(to, r->detail);
}

static void say_fight(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(r->drops ? " keep being undone" : " keeps being undone", to);
    put_culprit(to, r, " ", "");
    put_detail(to, r->detail);
    fputs("; repairs wait longer from now on", to);
}

static void put_counted(FILE *to, uint64_t n, const char *object)
{
    static const struct {
        const char *object, *one, *many;
    } nouns[] = {
            {"masquerade", "masquerade policy", "masquerade policies"},
            {"forwarding", "forwarding switch", "forwarding switches"},
            {"accept-ra", "accept-ra switch", "accept-ra switches"},
    };

    fprintf(to, "%" PRIu64 " ", n);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(nouns); i++) {
        if (strcmp(object, nouns[i].object) == 0) {
            fputs(n == 1 ? nouns[i].one : nouns[i].many, to);
            return;
        }
    }
    put(to, object);
    if (n != 1)
        fputc('s', to);
}

static void say_summary(FILE *to, const struct nsh_report *r)
{
    put_counted(to, r->count, r->object ? r->object : "object");
    fputc(' ', to);
    put(to, r->detail ? r->detail : "changed");
    put_duration(to, r);
    if (r->cause && !finding_said(r->cause))
        put_aside(to, r->cause);
}

static void say_overrun(FILE *to, const struct nsh_report *r)
{
    fputs("netlink events were lost; everything is compared with the kernel", to);
    put_aside(to, r->detail);
}

static void say_failed(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" could not be applied", to);
    put_detail(to, r->detail ? r->detail : r->cause);
}

static void say_flows(FILE *to, const struct nsh_report *r)
{
    put_counted(to, r->count, "untranslated flow");
    fputs(" deleted after ", to);
    put_subject(to, r);
    fputs(" was restored", to);
}

static void say_dropped(FILE *to, const struct nsh_report *r)
{
    put_counted(to, r->count, "flow");
    fputs(" of ", to);
    put_subject(to, r);
    fputs(" dropped from conntrack, to be translated otherwise from now on", to);
}

static void say_trial(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" is on trial", to);
    put_detail(to, r->detail);
}

static void say_confirmed(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" was confirmed", to);
}

static void say_reverted(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" was not confirmed, the last accepted one runs", to);
    put_detail(to, r->detail);
}

static void say_withdrawn(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" was withdrawn as asked, the last accepted one runs", to);
}

static void say_superseded(FILE *to, const struct nsh_report *r)
{
    put_subject(to, r);
    fputs(" is on trial no more", to);
    put_detail(to, r->detail);
}

/* ---- the table ---- */

static const struct kind {
    const char *action;
    const char *message_id;
    int priority;
    bool place; /* the sentence ends with where it is configured */
    void (*say)(FILE *to, const struct nsh_report *r);
} kinds[NSH_REPORT_KINDS] = {
        [NSH_REPORT_STARTED] = {"started", NSH_ID_STARTED, LOG_INFO, false, say_state},
        [NSH_REPORT_STOPPED] = {"stopped", NSH_ID_STOPPED, LOG_INFO, false, say_state},
        [NSH_REPORT_RELOADED] = {"reloaded", NSH_ID_RELOADED, LOG_INFO, false, say_state},
        [NSH_REPORT_RELOAD_BAD] = {"reload-bad", NSH_ID_RELOAD_BAD, LOG_ERR, false, say_reload_bad},
        [NSH_REPORT_START_BAD] = {"start-bad", NSH_ID_START_BAD, LOG_ERR, false, say_start_bad},
        [NSH_REPORT_WARNING] = {"warning", NSH_ID_WARNING, LOG_WARNING, true, say_warning},
        [NSH_REPORT_ADDED] = {"added", NSH_ID_ADDED, LOG_INFO, false, say_done},
        [NSH_REPORT_REMOVED] = {"removed", NSH_ID_REMOVED, LOG_INFO, false, say_done},
        [NSH_REPORT_CHANGED] = {"changed", NSH_ID_CHANGED, LOG_INFO, false, say_done},
        [NSH_REPORT_ADOPTED] = {"adopted", NSH_ID_ADOPTED, LOG_NOTICE, false, say_adopted},
        [NSH_REPORT_RESTORED] = {"restored", NSH_ID_RESTORED, LOG_NOTICE, false, say_restored},
        [NSH_REPORT_PENDING] = {"pending", NSH_ID_PENDING, LOG_WARNING, true, say_pending},
        [NSH_REPORT_CONFLICT] = {"conflict", NSH_ID_CONFLICT, LOG_WARNING, true, say_conflict},
        [NSH_REPORT_SHADOWED] = {"shadowed", NSH_ID_SHADOWED, LOG_NOTICE, true, say_shadowed},
        [NSH_REPORT_BEHIND] = {"behind", NSH_ID_BEHIND, LOG_WARNING, true, say_behind},
        [NSH_REPORT_FIGHT] = {"fight", NSH_ID_FIGHT, LOG_ERR, false, say_fight},
        [NSH_REPORT_SUMMARY] = {"summary", NSH_ID_SUMMARY, LOG_INFO, false, say_summary},
        [NSH_REPORT_OVERRUN] = {"overrun", NSH_ID_OVERRUN, LOG_WARNING, false, say_overrun},
        [NSH_REPORT_FAILED] = {"failed", NSH_ID_FAILED, LOG_ERR, true, say_failed},
        [NSH_REPORT_CLOSED] = {"closed", NSH_ID_CLOSED, LOG_NOTICE, true, say_gate},
        [NSH_REPORT_OPENED] = {"opened", NSH_ID_OPENED, LOG_NOTICE, false, say_gate},
        [NSH_REPORT_LEARNED] = {"learned", NSH_ID_LEARNED, LOG_NOTICE, false, say_learned},
        [NSH_REPORT_TRIAL] = {"trial", NSH_ID_TRIAL, LOG_NOTICE, false, say_trial},
        [NSH_REPORT_CONFIRMED] = {"confirmed", NSH_ID_CONFIRMED, LOG_NOTICE, false, say_confirmed},
        [NSH_REPORT_REVERTED] = {"reverted", NSH_ID_REVERTED, LOG_ERR, false, say_reverted},
        [NSH_REPORT_WITHDRAWN] = {"withdrawn", NSH_ID_WITHDRAWN, LOG_NOTICE, false, say_withdrawn},
        [NSH_REPORT_SUPERSEDED] = {"superseded", NSH_ID_SUPERSEDED, LOG_NOTICE, false,
                say_superseded},
        [NSH_REPORT_FLOWS] = {"flows", NSH_ID_FLOWS, LOG_NOTICE, false, say_flows},
        [NSH_REPORT_DROPPED] = {"dropped", NSH_ID_DROPPED, LOG_NOTICE, false, say_dropped},
};

static void put_place(FILE *to, const struct nsh_report *r)
{
    fputs(" (", to);
    put(to, r->path);
    if (r->line > 0)
        fprintf(to, ":%" PRIu32, r->line);
    fputc(')', to);
}

char *nsh_report_text(const struct nsh_report *r)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    kinds[r->kind].say(to, r);
    if (kinds[r->kind].place && r->path)
        put_place(to, r);
    int failed = ferror(to);
    if (fclose(to) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}

const char *nsh_report_action(enum nsh_report_kind kind)
{
    return kinds[kind].action;
}

int nsh_report_priority(enum nsh_report_kind kind)
{
    return kinds[kind].priority;
}

const char *nsh_report_message_id(enum nsh_report_kind kind)
{
    return kinds[kind].message_id;
}

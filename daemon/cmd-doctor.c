/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `doctor`: the table of what it looks for, and how it says what it found.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "control.h"
#include "doctor.h"
#include "lock.h"
#include "source.h"
#include "text.h"

#define STATUS_TIMEOUT_USEC 10000000ULL

const struct doctor_check doctor_checks[] = {
        {"daemon", "whether it runs, and does after the next boot", .look = doctor_daemon},
        {"file", "whether it is right, and in force", .look = doctor_file},
        {"trial", "a configuration on trial", .look = doctor_trial},
        {"sandbox", "what the running daemon may do", .look = doctor_sandbox},
        {"interfaces", "those that the file names", true, doctor_interfaces},
        {"gateways", "whether each is on a link", true, doctor_gateways},
        {"routes", "others' routes in the place of ours", true, doctor_rivals},
        {"ways-out", "routes where policies have their way out", true, doctor_ways_out},
        {"subnets", "the two sides of shares", true, doctor_subnets},
        {"segment-size", "narrow links without clamp-mss", true, doctor_segments},
        {"network-maps", "who answers for outside addresses", true, doctor_network_maps},
        {"port-forwards", "whether they lead to another machine", true, doctor_port_forwards},
        {"forwarding", "the kernel's switches", true, doctor_forwarding},
        {"reverse-path", "filters that drop replies", true, doctor_reverse_path},
        {"advertisements", "whether IPv6's routers are heard", true, doctor_advertisements},
        {"firewalls", "NAT in iptables and in nftables", .look = doctor_firewalls},
        {"legacy-tables", "whether the chosen firewall is there", .look = doctor_legacy},
        {"forward", "others' rules that drop what passes", .look = doctor_forward},
        {"networkd", "whether it removes foreign routes", .look = doctor_networkd},
        {"conntrack", "room for new connections", .look = doctor_conntrack},
        {"ports", "room for translated connections", .look = doctor_ports},
        {"objects", "what is pending, conflicting or wrong", .look = doctor_objects},
        {"fights", "repairs that something keeps undoing", .look = doctor_fights},
        {NULL, NULL, false, NULL},
};

/* ---- what is known before ---- */

/* What an earlier configuration marked ours with; 0: the same as now. */
static uint8_t earlier_protocol(const struct nsh_options *o)
{
    struct nsh_state *state = NULL;
    uint8_t before = 0;

    if (nsh_state_open_reader(o->state_directory, &state) == 0)
        (void)nsh_state_protocol_load(state, &before);
    nsh_state_free(state);
    return before;
}

static void prepare(struct doctor *d, const struct nsh_loaded *loaded)
{
    d->loaded = loaded;
    d->desired = loaded->error == 0 ? loaded->desired : NULL;
    d->survey_error = nsh_fib_netlink_new(&d->fib);
    if (d->survey_error == 0 && d->desired)
        d->survey_error =
                nsh_survey_take(d->fib, d->desired, earlier_protocol(d->options), &d->survey);
}

static void prepare_firewalls(struct doctor *d)
{
    d->firewalls_error = nsh_firewalls_open(&d->firewalls);
    if (d->firewalls_error == 0 && d->desired)
        (void)nsh_firewalls_choose(&d->firewalls, d->desired, true);
}

static void done(struct doctor *d)
{
    nsh_firewalls_done(&d->firewalls);
    nsh_survey_done(&d->survey);
    nsh_fib_free(d->fib);
    json_decref(d->status);
}

/* ---- text ---- */

static void print_finding(const json_t *finding, const char *before)
{
    const char *file = doctor_text_of(finding, "file"), *fix = doctor_text_of(finding, "fix");
    json_int_t line = json_integer_value(json_object_get(finding, "line"));

    printf("       %s%s", before, doctor_text_of(finding, "what"));
    if (*file && line > 0)
        printf(" (%s:%lld)", file, (long long)line);
    else if (*file)
        printf(" (%s)", file);
    putchar('\n');
    if (*fix)
        printf("         %s%s\n", strncmp(fix, "run: ", 5) == 0 ? "" : "to do: ", fix);
}

static void print_result(const json_t *result, bool colour)
{
    static const struct {
        const char *state, *word, *colour;
    } states[] = {
            {"ok", "ok", "\x1b[2m"},
            {"idle", "-", "\x1b[2m"},
            {"unseen", "?", "\x1b[33m"},
            {"found", "FOUND", "\x1b[31m"},
    };
    const char *why = doctor_text_of(result, "why");
    const json_t *finding;
    size_t i, k = 0;

    while (k + 1 < NSH_ARRAY_SIZE(states) &&
            strcmp(states[k].state, doctor_text_of(result, "state")) != 0)
        k++;
    printf("%s%-6s %-15s %s%s%s%s%s\n", colour ? states[k].colour : "", states[k].word,
            doctor_text_of(result, "name"), doctor_text_of(result, "about"), *why ? " (" : "", why,
            *why ? ")" : "", colour ? "\x1b[0m" : "");
    json_array_foreach(json_object_get(result, "findings"), i, finding) print_finding(finding, "");
    json_array_foreach(json_object_get(result, "notes"), i, finding)
            print_finding(finding, "note: ");
}

/* ---- all of them ---- */

struct sums {
    size_t looked, found, unseen;
};

static void count(struct sums *sums, const json_t *result)
{
    sums->looked++;
    sums->found += strcmp(doctor_text_of(result, "state"), "found") == 0;
    sums->unseen +=
            json_object_get(result, "why") && strcmp(doctor_text_of(result, "state"), "idle") != 0;
}

static void print_text(const json_t *results, const struct sums *sums)
{
    bool colour = nsh_wants_colour();
    const json_t *result;
    size_t i;

    json_array_foreach(results, i, result) print_result(result, colour);
    printf("%zu things looked at, ", sums->looked);
    if (sums->found > 0)
        printf("%zu found", sums->found);
    else
        printf("nothing found");
    if (sums->unseen > 0)
        printf(", %zu not seen", sums->unseen);
    putchar('\n');
}

static void print_json(json_t *results, const struct sums *sums)
{
    json_t *root = json_pack("{s:I, s:I, s:I, s:O}", "looked_at", (json_int_t)sums->looked, "found",
            (json_int_t)sums->found, "unseen", (json_int_t)sums->unseen, "checks", results);

    if (root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0)
        putchar('\n');
    json_decref(root);
}

static int look_at_all(struct doctor *d)
{
    NSH_CLEANUP(json_decrefp) json_t *results = json_array();
    struct sums sums = {0};

    for (const struct doctor_check *c = doctor_checks; c->name; c++) {
        json_t *result = doctor_look(d, c);

        if (!result)
            return nsh_complain("%s", strerror(ENOMEM));
        count(&sums, result);
        json_array_append_new(results, result);
    }
    if (d->options->json)
        print_json(results, &sums);
    else
        print_text(results, &sums);
    return sums.found > 0 ? NSH_EXIT_CHANGES : NSH_EXIT_OK;
}

int nsh_command_doctor(const struct nsh_options *o)
{
    struct doctor d = {.options = o, .root = ""};
    struct nsh_loaded loaded;
    int code;

    nsh_load_now(o->config, NSH_TRUST_WARN, NULL, &loaded);
    d.status_error =
            nsh_control_call_status(d.options->runtime_directory, STATUS_TIMEOUT_USEC, &d.status);
    prepare(&d, &loaded);
    prepare_firewalls(&d);
    code = d.fib ? look_at_all(&d)
                 : nsh_complain("cannot open rtnetlink: %s", strerror(-d.survey_error));
    done(&d);
    nsh_loaded_done(&loaded);
    return code;
}

/* ---- for `check` ---- */

/* From the line on that begins what it is about. */
struct place {
    uint32_t from, line, column; /* column 0: not found */
    size_t indent;               /* of that line; what belongs to it has more */
    const char *word;
    size_t length;
};

static bool ends_word(const char *text, size_t n, size_t at)
{
    /* strchr() would find the NUL, too. */
    return at >= n || text[at] == '\0' ||
           !(isalnum((unsigned char)text[at]) || strchr("-_.", text[at]));
}

/* A policy may be named as its device is. */
static bool is_name(const char *text, size_t at)
{
    static const char key[] = "name: ";
    size_t n = sizeof key - 1;

    return at >= n && memcmp(text + at - n, key, n) == 0;
}

/* False: that was all of it. */
static bool goes_on(struct place *p, uint32_t line, const char *text, size_t n)
{
    size_t indent = 0;

    while (indent < n && text[indent] == ' ')
        indent++;
    if (line == p->from)
        p->indent = indent;
    return line == p->from || indent > p->indent || indent == n;
}

static bool find_word(void *userdata, uint32_t line, const char *text, size_t n)
{
    struct place *p = userdata;
    uint32_t column = 1;

    if (line < p->from)
        return true;
    if (!goes_on(p, line, text, n))
        return false;
    for (size_t i = 0; i + p->length <= n && text[i] != '#'; i++) {
        if (memcmp(text + i, p->word, p->length) == 0 && (i == 0 || ends_word(text, n, i - 1)) &&
                ends_word(text, n, i + p->length) && !is_name(text, i)) {
            p->line = line;
            p->column = column;
            return false;
        }
        column += i + 1 < n && ((unsigned char)text[i + 1] & 0xc0) != 0x80;
    }
    return true;
}

/* Where the file has, from that line on, what the warning names first, in quotes. */
static struct place find_place(int fd, uint32_t line, const char *what)
{
    const struct nsh_source source = {.fd = fd, .length = NSH_SOURCE_TO_END};
    const char *word = strchr(what, '\'');
    struct place place = {.from = line, .line = line};

    while (word && word > what && word[-1] != ' ') /* an apostrophe */
        word = strchr(word + 1, '\'');
    place.word = word ? word + 1 : "";
    place.length = strcspn(place.word, "'");
    if (place.length > 0)
        (void)nsh_source_lines(&source, find_word, &place);
    return place;
}

static void add_warning(struct nsh_diags *diags, const json_t *finding)
{
    const char *path = doctor_text_of(finding, "file"), *fix = doctor_text_of(finding, "fix");
    const char *what = doctor_text_of(finding, "what");
    struct place place = {.line = (uint32_t)doctor_number_of(finding, "line")};
    nsh_autoclose int fd = -1;

    if (*path && place.line > 0)
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0)
        place = find_place(fd, place.line, what);
    nsh_diag_add(diags, NSH_DIAG_WARNING, *path ? path : NULL, place.line, place.column,
            *fix ? fix : NULL, "%s", what);
    if (fd >= 0)
        nsh_diags_attach_source(diags, path, fd);
}

void nsh_doctor_advise(const struct nsh_options *o, struct nsh_loaded *loaded)
{
    struct doctor d = {.options = o, .root = ""};

    prepare(&d, loaded);
    for (const struct doctor_check *c = doctor_checks; d.survey_error == 0 && c->name; c++) {
        NSH_CLEANUP(json_decrefp) json_t *result = c->file ? doctor_look(&d, c) : NULL;
        const json_t *told;
        size_t i;

        json_array_foreach(json_object_get(result, "findings"), i, told)
                add_warning(loaded->diags, told);
        json_array_foreach(json_object_get(result, "notes"), i, told)
                add_warning(loaded->diags, told);
    }
    done(&d);
}

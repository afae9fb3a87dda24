/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds log entries and sends them. systemd.exec(5): JOURNAL_STREAM holds device and inode of the
 * stream that stdout or stderr was connected to; only if stderr still is that stream do we speak
 * to the journal ourselves, so that `netshared run 2>log` and containers get plain text.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "cleanup.h"
#include "journal-internal.h"
#include "text.h"

struct nsh_journal {
    bool native;
};

/* ---- fields ---- */

/* Takes `field`; NULL is memory that was out. */
static int take_field(struct nsh_journal_fields *f, char *field)
{
    if (!field)
        return -ENOMEM;
    f->fields[f->n++] = (struct iovec){.iov_base = field, .iov_len = strlen(field)};
    return 0;
}

static int add_text(struct nsh_journal_fields *f, const char *key, const char *text)
{
    char *field;

    if (!text)
        return 0;
    nsh_autofree char *clean = nsh_text_lines(text);
    if (!clean || asprintf(&field, "%s=%s", key, clean) < 0)
        return -ENOMEM;
    return take_field(f, field);
}

static int add_number(struct nsh_journal_fields *f, const char *key, uint64_t number)
{
    char *field;

    if (number == 0)
        return 0;
    if (asprintf(&field, "%s=%" PRIu64, key, number) < 0)
        return -ENOMEM;
    return take_field(f, field);
}

static int add_texts(struct nsh_journal_fields *f, const struct nsh_report *r)
{
    const struct {
        const char *key, *text;
    } texts[] = {
            {"MESSAGE_ID", nsh_report_message_id(r->kind)},
            {"NETSHARED_ACTION", nsh_report_action(r->kind)},
            {"NETSHARED_OBJECT", r->object},
            {"NETSHARED_NAME", r->name},
            {"NETSHARED_POLICY", r->policy},
            {"NETSHARED_CAUSE", r->cause},
            {"NETSHARED_DETAIL", r->detail},
            {"NETSHARED_CULPRIT", r->culprit},
            {"NETSHARED_CONFIG_FILE", r->path},
    };
    int e = 0;

    for (size_t i = 0; e == 0 && i < NSH_ARRAY_SIZE(texts); i++)
        e = add_text(f, texts[i].key, texts[i].text);
    return e;
}

static int add_numbers(struct nsh_journal_fields *f, const struct nsh_report *r)
{
    const struct {
        const char *key;
        uint64_t number;
    } numbers[] = {
            {"PRIORITY", (uint64_t)nsh_report_priority(r->kind)}, /* never 0 (emerg) */
            {"NETSHARED_CULPRIT_PID", r->culprit_pid > 0 ? (uint64_t)r->culprit_pid : 0},
            {"NETSHARED_SENDER", r->sender},
            {"NETSHARED_DURATION_USEC", r->duration_usec},
            {"NETSHARED_CONFIG_LINE", r->line},
            {"NETSHARED_COUNT", r->count},
    };
    int e = 0;

    for (size_t i = 0; e == 0 && i < NSH_ARRAY_SIZE(numbers); i++)
        e = add_number(f, numbers[i].key, numbers[i].number);
    return e;
}

void nsh_journal_fields_free(struct nsh_journal_fields *f)
{
    while (f->n > 0)
        free(f->fields[--f->n].iov_base);
}

int nsh_journal_fields_build(const struct nsh_report *r, struct nsh_journal_fields *ret)
{
    NSH_CLEANUP(nsh_journal_fields_free) struct nsh_journal_fields f = {.n = 0};
    nsh_autofree char *message = nsh_report_text(r);

    if (!message)
        return -ENOMEM;
    int e = add_text(&f, "MESSAGE", message);
    if (e == 0)
        e = add_texts(&f, r);
    if (e == 0)
        e = add_numbers(&f, r);
    if (e < 0)
        return e;
    *ret = f;
    f.n = 0;
    return 0;
}

/* ---- plain text ---- */

char *nsh_journal_plain(const struct nsh_report *r)
{
    static const char *const words[] = {
            [LOG_ERR] = "error",
            [LOG_WARNING] = "warning",
            [LOG_NOTICE] = "notice",
            [LOG_INFO] = "info",
    };
    nsh_autofree char *message = nsh_report_text(r);
    char *plain = NULL;
    size_t size;
    FILE *to = message ? open_memstream(&plain, &size) : NULL;

    if (!to)
        return NULL;
    fprintf(to, "netshared: %s: ", words[nsh_report_priority(r->kind)]);
    for (const char *p = message; *p; p++) {
        fputc(*p, to);
        if (*p == '\n' && p[1] != '\n')
            fputs("    ", to);
    }
    fputc('\n', to);
    int failed = ferror(to);
    if (fclose(to) != 0 || failed) {
        free(plain);
        return NULL;
    }
    return plain;
}

/* A log that can't be written can't be complained about either: what is left is dropped. */
static void write_stderr(const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(STDERR_FILENO, text, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        left -= (size_t)n;
    }
}

/* ---- sending ---- */

bool nsh_journal_stream_is(const char *stream, int fd)
{
    uintmax_t device, inode;
    struct stat st;
    char more;

    if (!stream || *stream < '0' || *stream > '9' ||
            sscanf(stream, "%ju:%ju%c", &device, &inode, &more) != 2)
        return false;
    return fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

int nsh_journal_new(struct nsh_journal **ret)
{
    struct nsh_journal *j = calloc(1, sizeof(*j));

    if (!j)
        return -ENOMEM;
    j->native = nsh_journal_stream_is(getenv("JOURNAL_STREAM"), STDERR_FILENO);
    *ret = j;
    return 0;
}

void nsh_journal_free(struct nsh_journal *j)
{
    free(j);
}

static bool send_native(const struct nsh_report *r)
{
    NSH_CLEANUP(nsh_journal_fields_free) struct nsh_journal_fields f = {.n = 0};

    return nsh_journal_fields_build(r, &f) == 0 && sd_journal_sendv(f.fields, f.n) >= 0;
}

void nsh_journal_report(struct nsh_journal *j, const struct nsh_report *r)
{
    if (j->native && send_native(r))
        return;
    nsh_autofree char *plain = nsh_journal_plain(r);
    write_stderr(plain ? plain : "netshared: error: no memory for a report\n");
}

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
#include <stddef.h>
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

static int put_text(struct nsh_journal_fields *f, const char *key, const char *text)
{
    char *field;

    if (!text)
        return 0;
    nsh_autofree char *clean = nsh_text_lines(text);
    if (!clean || asprintf(&field, "%s=%s", key, clean) < 0)
        return -ENOMEM;
    return take_field(f, field);
}

static int put_number(struct nsh_journal_fields *f, const char *key, uint64_t number)
{
    char *field;

    if (number == 0)
        return 0;
    if (asprintf(&field, "%s=%" PRIu64, key, number) < 0)
        return -ENOMEM;
    return take_field(f, field);
}

/* A field: its name, how it is made, and for most what member of the report it is. */
struct field {
    const char *key;
    int (*put)(struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r);
    size_t member;
};

static const void *member_of(const struct field *field, const struct nsh_report *r)
{
    return (const char *)r + field->member;
}

static int text(struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    return put_text(f, field->key, *(const char *const *)member_of(field, r));
}

static int number32(
        struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    return put_number(f, field->key, *(const uint32_t *)member_of(field, r));
}

static int number64(
        struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    return put_number(f, field->key, *(const uint64_t *)member_of(field, r));
}

static int pid(struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    pid_t pid = *(const pid_t *)member_of(field, r);

    return put_number(f, field->key, pid > 0 ? (uint64_t)pid : 0);
}

static int message(
        struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    nsh_autofree char *said = nsh_report_text(r);

    return said ? put_text(f, field->key, said) : -ENOMEM;
}

static int message_id(
        struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    return put_text(f, field->key, nsh_report_message_id(r->kind));
}

/* Never 0 (emerg). */
static int priority(
        struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    return put_number(f, field->key, (uint64_t)nsh_report_priority(r->kind));
}

static int action(
        struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    return put_text(f, field->key, nsh_report_action(r->kind));
}

/* One for each: the journal finds an entry by any of several values. */
static int family(
        struct nsh_journal_fields *f, const struct field *field, const struct nsh_report *r)
{
    int e = r->families & NSH_REPORT_IPV4 ? put_text(f, field->key, "ipv4") : 0;

    return e == 0 && r->families & NSH_REPORT_IPV6 ? put_text(f, field->key, "ipv6") : e;
}

#define MEMBER(name) offsetof(struct nsh_report, name)

/* Each is described in netshared.journal-fields(7). What is not set is left out. */
static const struct field fields[] = {
        {"MESSAGE", message, 0},
        {"MESSAGE_ID", message_id, 0},
        {"PRIORITY", priority, 0},
        {"NETSHARED_ACTION", action, 0},
        {"NETSHARED_OBJECT", text, MEMBER(object)},
        {"NETSHARED_NAME", text, MEMBER(name)},
        {"NETSHARED_POLICY", text, MEMBER(policy)},
        {"NETSHARED_FAMILY", family, 0},
        {"NETSHARED_CAUSE", text, MEMBER(cause)},
        {"NETSHARED_DETAIL", text, MEMBER(detail)},
        {"NETSHARED_CULPRIT", text, MEMBER(culprit)},
        {"NETSHARED_CULPRIT_PID", pid, MEMBER(culprit_pid)},
        {"NETSHARED_SENDER", number32, MEMBER(sender)},
        {"NETSHARED_DURATION_USEC", number64, MEMBER(duration_usec)},
        {"NETSHARED_COUNT", number64, MEMBER(count)},
        {"NETSHARED_CONFIG_FILE", text, MEMBER(path)},
        {"NETSHARED_CONFIG_LINE", number32, MEMBER(line)},
};

_Static_assert(NSH_ARRAY_SIZE(fields) + 1 == NSH_JOURNAL_FIELDS_MAX, "the family may come twice");

void nsh_journal_fields_free(struct nsh_journal_fields *f)
{
    while (f->n > 0)
        free(f->fields[--f->n].iov_base);
}

int nsh_journal_fields_build(const struct nsh_report *r, struct nsh_journal_fields *ret)
{
    NSH_CLEANUP(nsh_journal_fields_free) struct nsh_journal_fields f = {.n = 0};
    int e = 0;

    for (size_t i = 0; e == 0 && i < NSH_ARRAY_SIZE(fields); i++)
        e = fields[i].put(&f, &fields[i], r);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a table is as it was. Nothing tells of a change in legacy iptables, so this is asked
 * about once a second, and is cheap: first the table's size and hook offsets (a microsecond), and
 * only if those are the same its entries, as a 64-bit hash. In the hash the packet counters and
 * the kernel's scratch field are zero; all else in an entry changes by a commit alone, for what
 * matches and targets count for themselves the kernel shows as zero.
 *
 * The hash guards against accidents, not against somebody who builds a collision: that needs the
 * right to write the table, and wins nothing but a rule that stands until the next full comparison.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

/* A buffer up to this size is kept from one look to the next. */
#define KEEP_MAX (64U << 10)

void nsh_xt_poll_init(struct nsh_xt_poll *p)
{
    *p = (struct nsh_xt_poll){.fd = {-1, -1}};
}

void nsh_xt_poll_done(struct nsh_xt_poll *p)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(p->fd); i++)
        nsh_closep(&p->fd[i]);
    free(p->buf);
    nsh_xt_poll_init(p);
}

/*
 * The list is root's: the unit's tmpfiles entry gives it to the service's group, but one that came
 * later, with its module, is not ours to read. Then a table may be there if its module is: to look
 * loads nothing, and at the worst makes an empty one.
 */
static int may_be_there(const struct nsh_xt *xt, const char *table)
{
    char path[64];

    snprintf(path, sizeof path, "/sys/module/%s%s", xt->table_module, table);
    return access("/proc/modules", F_OK) < 0 || access(path, F_OK) == 0;
}

/* /proc/net belongs to the main thread; a thread may be in another network namespace. */
int nsh_xt_name_listed(const struct nsh_xt *xt, const char *table)
{
    NSH_CLEANUP(fclosep) FILE *f = NULL;
    char path[64], line[64];

    snprintf(path, sizeof path, "/proc/thread-self/net/%s", xt->names_file);
    f = fopen(path, "re");
    if (!f && errno == EACCES)
        return may_be_there(xt, table);
    if (!f)
        return errno == ENOENT ? 0 : -errno;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, table) == 0)
            return 1;
    }
    return ferror(f) ? -EIO : 0;
}

int nsh_xt_table_listed(const struct nsh_xt *xt, enum nsh_table table)
{
    return nsh_xt_name_listed(xt, nsh_table_name(table));
}

int nsh_xt_ask(struct nsh_xt_poll *p, const struct nsh_xt *xt, int option, void *value, size_t size)
{
    int *fd = &p->fd[xt->index];
    socklen_t length = (socklen_t)size;

    if (*fd < 0)
        *fd = socket(xt->family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (*fd < 0)
        return errno == EAFNOSUPPORT ? -ENOPROTOOPT : -errno;
    if (getsockopt(*fd, xt->level, option, value, &length) < 0)
        return -errno;
    return length == size ? 0 : -EPROTO;
}

int nsh_xt_get_info(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        struct ipt_getinfo *ret)
{
    struct ipt_getinfo info = {0};
    int r;

    snprintf(info.name, sizeof info.name, "%s", nsh_table_name(table));
    r = nsh_xt_ask(p, xt, IPT_SO_GET_INFO, &info, sizeof info);
    if (r < 0)
        return r;
    if (info.size > NSH_XT_TABLE_MAX)
        return -EFBIG;
    *ret = info;
    return 0;
}

/* ---- the hash ---- */

static int blank_traffic(const struct nsh_xt *xt, uint8_t *entries, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint8_t *e = entries + at;
        size_t next;

        if (size - at < xt->entry_size)
            return -EPROTO;
        next = nsh_xt_next_offset(xt, e);
        if (next < xt->entry_size || next > size - at)
            return -EPROTO;
        memset(e + xt->comefrom_at, 0, sizeof(unsigned int));
        memset(e + xt->counters_at, 0, sizeof(struct xt_counters));
        at += next;
    }
    return 0;
}

/* Words, each mixed in by a multiplication that no other word can undo, as in FNV-1a. */
static uint64_t hash_words(const uint8_t *data, size_t size)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        size_t left = size - at;
        uint64_t w = 0;

        memcpy(&w, data + at, left < sizeof w ? left : sizeof w);
        h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

static int reserve(struct nsh_xt_poll *p, size_t size)
{
    uint8_t *buf;

    if (p->buf_size >= size)
        return 0;
    buf = realloc(p->buf, size);
    if (!buf)
        return -ENOMEM;
    p->buf = buf;
    p->buf_size = size;
    return 0;
}

static int hash_entries(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        uint32_t size, uint64_t *ret)
{
    size_t total = sizeof(struct ipt_get_entries) + size;
    struct ipt_get_entries *get;
    uint8_t *entries;
    int r;

    r = reserve(p, total);
    if (r < 0)
        return r;
    get = (struct ipt_get_entries *)p->buf;
    entries = p->buf + sizeof *get;
    /* All of it: names are written up to their NUL, and what follows them is hashed too. */
    memset(get, 0, total);
    snprintf(get->name, sizeof get->name, "%s", nsh_table_name(table));
    get->size = size;
    r = nsh_xt_ask(p, xt, IPT_SO_GET_ENTRIES, get, total);
    if (r >= 0)
        r = blank_traffic(xt, entries, size);
    if (r >= 0)
        *ret = hash_words(entries, size);
    if (p->buf_size > KEEP_MAX) {
        free(p->buf);
        p->buf = NULL;
        p->buf_size = 0;
    }
    return r;
}

/* ---- marks ---- */

int nsh_xt_mark_read(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        struct nsh_xt_mark *ret)
{
    struct nsh_xt_mark mark = {.state = NSH_XT_SEEN};
    int r = -EAGAIN;

    /* EAGAIN: the size changed between the two questions. */
    for (int i = 0; i < 10 && r == -EAGAIN; i++) {
        r = nsh_xt_get_info(p, xt, table, &mark.info);
        if (r >= 0)
            r = hash_entries(p, xt, table, mark.info.size, &mark.hash);
    }
    if (r >= 0)
        *ret = mark;
    return r;
}

int nsh_xt_mark_compare(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        const struct nsh_xt_mark *mark)
{
    struct ipt_getinfo info;
    uint64_t hash;
    int r;

    if (mark->state == NSH_XT_UNKNOWN)
        return 1;
    r = nsh_xt_get_info(p, xt, table, &info);
    if (r >= 0) {
        if (memcmp(&info, &mark->info, sizeof info) != 0)
            return 1;
        r = hash_entries(p, xt, table, info.size, &hash);
    }
    if (r == -EAGAIN || r == -ENOENT || r == -ENOPROTOOPT || r == -EFBIG)
        return 1; /* it was different when it was marked */
    return r < 0 ? r : hash != mark->hash;
}

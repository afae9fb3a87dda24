/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who changed a legacy table: where auditing is on, the kernel writes a record of every change,
 * with the process that made it. We listen to a copy, if we may (CAP_AUDIT_READ, in the initial
 * network namespace); where auditing is off nothing ever comes. A filter in the kernel keeps all
 * other records away from us.
 *
 * A record does not say in which network namespace the change was. But every change of ours has
 * one: if a table has changed and all records of a table of that name since it was last seen are
 * of one process, it was that one. Of several, nobody is named. A record may come late, when the
 * change it tells of was seen long ago: its time shows that.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>

#include "cleanup.h"
#include "netlink.h"

#define RECORD_MAX 2048
#define RECORDS_AT_ONCE 64

void nsh_xt_audit_init(struct nsh_xt_audit *a)
{
    *a = (struct nsh_xt_audit){.fd = -1};
}

void nsh_xt_audit_done(struct nsh_xt_audit *a)
{
    nsh_closep(&a->fd);
    nsh_xt_audit_init(a);
}

/* Only records of this type: nlmsg_type stands at byte 4, in the byte order of the machine. */
static int filter(int fd)
{
    uint16_t type = AUDIT_NETFILTER_CFG;
    uint8_t bytes[2];
    struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
            BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = NSH_ARRAY_SIZE(code), .filter = code};

    memcpy(bytes, &type, sizeof bytes);
    code[1].k = (uint32_t)(bytes[0] << 8 | bytes[1]);
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

int nsh_xt_audit_fd(struct nsh_xt_audit *a)
{
    struct sockaddr_nl address = {
            .nl_family = AF_NETLINK, .nl_groups = 1U << (AUDIT_NLGRP_READLOG - 1)};
    nsh_autoclose int fd = -1;
    int r;

    if (a->fd >= 0)
        return a->fd;
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_AUDIT);
    if (fd < 0 || filter(fd) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    r = nsh_netlink_connect(fd);
    if (r < 0)
        return r;
    a->fd = NSH_TAKE_FD(fd);
    return a->fd;
}

/* ---- one record ---- */

/* The value of " key=value"; NULL: there is none. */
static const char *value_of(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *at = text; (at = strstr(at, key)); at += n)
        if (at > text && at[-1] == ' ' && at[n] == '=')
            return at + n + 1;
    return NULL;
}

static bool is_value(const char *value, const char *expected)
{
    size_t n = strlen(expected);

    return value && strncmp(value, expected, n) == 0 && (value[n] == ' ' || value[n] == '\0');
}

static int hex(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* A name is the process's own choice: what is not plain text is not passed on. */
static char plain(int c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' ? (char)c : '?';
}

/* In quotes, or in hexadecimal where it has a character that would not go into them. */
static void get_name(const char *value, char ret[static 16])
{
    bool quoted = value && *value == '"';
    size_t n = 0;

    memset(ret, 0, 16);
    if (quoted)
        value++;
    while (value && n < 15) {
        int c = quoted ? (unsigned char)*value : hex(value[0]);

        if (quoted ? c == '"' || c == '\0' : c < 0 || hex(value[1]) < 0)
            return;
        if (!quoted)
            c = c * 16 + hex(value[1]);
        ret[n++] = plain(c);
        value += quoted ? 1 : 2;
    }
}

/* "audit(1700000000.123:456): ..." in milliseconds. */
static uint64_t time_of(const char *text)
{
    unsigned long long seconds;
    unsigned int milliseconds;

    if (sscanf(text, "audit(%llu.%3u:", &seconds, &milliseconds) != 2)
        return 0;
    return (uint64_t)seconds * 1000 + milliseconds;
}

static int table_of(const char *value)
{
    for (int t = 0; t < NSH_TABLE_COUNT; t++)
        if (is_value(value, nsh_table_name((enum nsh_table)t)))
            return t;
    return -1;
}

bool nsh_xt_audit_parse(const char *text, struct nsh_xt_record *ret)
{
    const char *op = value_of(text, "op"), *pid = value_of(text, "pid");
    int table = table_of(value_of(text, "table"));
    struct nsh_xt_record r = {.at = time_of(text)};

    if (!op || strncmp(op, "xt_", 3) != 0 || !pid || table < 0)
        return false;
    r.table = (enum nsh_table)table;
    if (is_value(value_of(text, "family"), "2"))
        r.family = AF_INET;
    else if (is_value(value_of(text, "family"), "10"))
        r.family = AF_INET6;
    else
        return false;
    r.who.pid = (uint32_t)strtoul(pid, NULL, 10);
    get_name(value_of(text, "comm"), r.who.name);
    *ret = r;
    return r.who.pid > 0;
}

/* ---- what they come to ---- */

static struct nsh_xt_suspect *suspect(struct nsh_xt_audit *a, int family, enum nsh_table table)
{
    return &a->suspects[family == AF_INET6][table];
}

void nsh_xt_audit_note(struct nsh_xt_audit *a, const struct nsh_xt_record *r)
{
    struct nsh_xt_suspect *s = suspect(a, r->family, r->table);

    if (r->at < s->since || r->who.pid == (uint32_t)getpid())
        return;
    if (s->n == 0 || s->who.pid != r->who.pid)
        s->n++;
    s->who = r->who;
}

/* Some were lost: of what happens until the tables are seen again nobody is named. */
static void lose(struct nsh_xt_audit *a)
{
    for (int family = 0; family < 2; family++)
        for (int table = 0; table < NSH_TABLE_COUNT; table++)
            a->suspects[family][table].n = 2;
}

void nsh_xt_audit_take(struct nsh_xt_audit *a)
{
    union {
        struct nlmsghdr header;
        char bytes[RECORD_MAX];
    } m;

    for (int i = 0; a->fd >= 0 && i < RECORDS_AT_ONCE; i++) {
        ssize_t n = nsh_netlink_receive(a->fd, m.bytes, sizeof m.bytes - 1, 0);
        struct nsh_xt_record record;

        if (n < 0 && n != -ENOBUFS && n != -EMSGSIZE) {
            if (a->lost)
                lose(a);
            a->lost = false;
            return;
        }
        a->lost = a->lost || n < 0;
        if (n < (ssize_t)NLMSG_HDRLEN)
            continue;
        m.bytes[n] = '\0';
        if (nsh_xt_audit_parse(m.bytes + NLMSG_HDRLEN, &record))
            nsh_xt_audit_note(a, &record);
    }
    if (a->lost)
        lose(a);
}

void nsh_xt_audit_seen(struct nsh_xt_audit *a, int family, enum nsh_table table)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    *suspect(a, family, table) = (struct nsh_xt_suspect){
            .since = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000};
}

bool nsh_xt_audit_who_of_either(
        struct nsh_xt_audit *a, enum nsh_table table, struct nsh_firewall_culprit *ret)
{
    const struct nsh_xt_suspect *s4 = suspect(a, AF_INET, table);
    const struct nsh_xt_suspect *s6 = suspect(a, AF_INET6, table);

    if (s4->n > 1 || s6->n > 1 || s4->n + s6->n == 0 ||
            (s4->n == s6->n && s4->who.pid != s6->who.pid))
        return false;
    *ret = s4->n ? s4->who : s6->who;
    return true;
}

bool nsh_xt_audit_who(
        struct nsh_xt_audit *a, int family, enum nsh_table table, struct nsh_firewall_culprit *ret)
{
    const struct nsh_xt_suspect *s = suspect(a, family, table);

    if (s->n != 1)
        return false;
    *ret = s->who;
    return true;
}

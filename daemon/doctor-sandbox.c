/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the running daemon may do, against what it has to: a drop-in of its unit, a container or
 * another service manager may leave it too little.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cleanup.h"
#include "doctor.h"
#include "text.h"

struct rights {
    uint64_t capabilities;
    uid_t uid;
    gid_t gid, groups[64];
    size_t n_groups;
};

static bool may(const struct rights *r, unsigned capability)
{
    return r->capabilities >> capability & 1;
}

/* ---- /proc/PID/status ---- */

static void read_groups(const char *text, struct rights *ret)
{
    char *end;

    for (; ret->n_groups < NSH_ARRAY_SIZE(ret->groups); text = end) {
        unsigned long group = strtoul(text, &end, 10);

        if (end == text)
            return;
        ret->groups[ret->n_groups++] = (gid_t)group;
    }
}

static bool read_rights(FILE *f, struct rights *ret)
{
    unsigned fsuid = 0, fsgid = 0;
    bool found = false;
    char line[1024];

    *ret = (struct rights){0};
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "CapEff: %" SCNx64, &ret->capabilities) == 1)
            found = true;
        if (sscanf(line, "Uid: %*u %*u %*u %u", &fsuid) == 1)
            ret->uid = fsuid;
        if (sscanf(line, "Gid: %*u %*u %*u %u", &fsgid) == 1)
            ret->gid = fsgid;
        if (strncmp(line, "Groups:", strlen("Groups:")) == 0)
            read_groups(line + strlen("Groups:"), ret);
    }
    return found;
}

/* ---- /proc/PID/mountinfo ---- */

static bool is_below(const char *path, const char *mount)
{
    size_t n = strlen(mount);

    if (strcmp(mount, "/") == 0)
        return true;
    return strncmp(path, mount, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool has_option(const char *options, const char *option)
{
    size_t n = strlen(option);

    for (const char *p = options; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, option, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

/* The innermost mount counts, of several at one place the last. */
bool doctor_mountinfo_writable(FILE *mountinfo, const char *path)
{
    char line[4096], mount[1024], options[512];
    size_t longest = 0;
    bool writable = true;

    while (fgets(line, sizeof line, mountinfo)) {
        if (sscanf(line, "%*u %*u %*s %*s %1023s %511s", mount, options) != 2 ||
                !is_below(path, mount) || strlen(mount) < longest)
            continue;
        longest = strlen(mount);
        writable = !has_option(options, "ro");
    }
    return writable;
}

/* ---- what it needs ---- */

#define UNIT_FIX                                                                         \
    "write %s below [Service] with 'systemctl edit netshared', then 'systemctl restart " \
    "netshared'; 'systemctl cat netshared' shows what takes it away"

static void look_at_capabilities(struct doctor *d, const struct rights *r)
{
    static const struct {
        unsigned capability;
        const char *name, *what;
    } needed[] = {
            {CAP_NET_ADMIN, "CAP_NET_ADMIN", "change routes, rules and the firewall"},
            {CAP_NET_RAW, "CAP_NET_RAW", "use iptables and send probes"},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(needed); i++) {
        char words[128], fix[512];

        if (may(r, needed[i].capability))
            continue;
        snprintf(words, sizeof words, "'CapabilityBoundingSet=%s'%s%s%s", needed[i].name,
                r->uid != 0 ? " and 'AmbientCapabilities=" : "", r->uid != 0 ? needed[i].name : "",
                r->uid != 0 ? "'" : "");
        snprintf(fix, sizeof fix, UNIT_FIX, words);
        doctor_find(d, NSH_ORIGIN_NONE, fix, "the daemon lacks %s: it can't %s", needed[i].name,
                needed[i].what);
    }
}

static bool in_group(const struct rights *r, gid_t group)
{
    for (size_t i = 0; i < r->n_groups; i++)
        if (r->groups[i] == group)
            return true;
    return r->gid == group;
}

struct list {
    struct posix_acl_xattr_header header;
    struct posix_acl_xattr_entry entries[64];
};

/* What an entry of that kind, and of that user, lets one do; `otherwise`: there is none. */
static unsigned permissions(
        const struct list *l, size_t n, uint16_t tag, uid_t uid, unsigned otherwise)
{
    for (size_t i = 0; i < n; i++)
        if (le16toh(l->entries[i].e_tag) == tag &&
                (tag != ACL_USER || le32toh(l->entries[i].e_id) == uid))
            return le16toh(l->entries[i].e_perm);
    return otherwise;
}

/* Whether a list beside the mode (acl(5), as the kernel gives it) lets a user read. */
static bool is_listed(const char *path, uid_t uid)
{
    struct list l;
    ssize_t size = getxattr(path, XATTR_NAME_POSIX_ACL_ACCESS, &l, sizeof l);
    size_t n;

    if (size < (ssize_t)sizeof l.header)
        return size < 0 && errno == ERANGE; /* a long one: nobody knows */
    n = ((size_t)size - sizeof l.header) / sizeof l.entries[0];
    return permissions(&l, n, ACL_USER, uid, 0) & permissions(&l, n, ACL_MASK, 0, ACL_READ) &
           ACL_READ;
}

/* True as well of what is not there. */
static bool can_read(const struct rights *r, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || may(r, CAP_DAC_OVERRIDE) || may(r, CAP_DAC_READ_SEARCH))
        return true;
    if (r->uid == st.st_uid)
        return st.st_mode & S_IRUSR;
    if (is_listed(path, r->uid))
        return true;
    return st.st_mode & (in_group(r, st.st_gid) ? S_IRGRP : S_IROTH);
}

/* What is delivered says whose these are; elsewhere a list has to. */
static const char *reading_fix(
        const struct doctor *d, const struct rights *r, const char *path, char *buf, size_t size)
{
    char word[512];

    snprintf(buf, size, "%s/usr/lib/tmpfiles.d/netshared.conf", d->root);
    if (access(buf, F_OK) == 0)
        return "run: systemd-tmpfiles --create netshared.conf";
    snprintf(
            buf, size, "run: setfacl -m u:%u:r %s", r->uid, nsh_text_word(path, word, sizeof word));
    return buf;
}

/* The lock, as the daemon sees it; one that is not there root's daemon makes. */
static void look_at_lock(struct doctor *d, unsigned pid, const struct rights *r)
{
    const char *path = secure_getenv("XTABLES_LOCKFILE");
    char full[512], fix[640];

    path = path && *path ? path : "/run/xtables.lock";
    snprintf(full, sizeof full, "%s/proc/%u/root%s", d->root, pid, path);
    if (!can_read(r, full))
        doctor_find(d, NSH_ORIGIN_NONE, reading_fix(d, r, path, fix, sizeof fix),
                "the daemon (user %u) can't open %s, the lock that users of iptables share", r->uid,
                path);
}

static bool needs_sysctls(const struct nsh_desired *d)
{
    return d && (d->forwarding[NSH_V4] || d->forwarding[NSH_V6]);
}

static void look_at_sysctls(struct doctor *d, unsigned pid)
{
    char path[512], fix[512];

    snprintf(path, sizeof path, "%s/proc/%u/mountinfo", d->root, pid);
    NSH_CLEANUP(fclosep) FILE *f = fopen(path, "re");
    if (!f || doctor_mountinfo_writable(f, "/proc/sys/net"))
        return;
    snprintf(fix, sizeof fix, UNIT_FIX, "'ReadWritePaths=/proc/sys/net'");
    doctor_find(d, NSH_ORIGIN_NONE, fix,
            "/proc/sys/net is read-only for the daemon: it can't switch forwarding on");
}

void doctor_sandbox(struct doctor *d)
{
    unsigned pid = (unsigned)json_integer_value(json_object_get(d->status, "pid"));
    const char *firewall = json_string_value(json_object_get(d->status, "firewall"));
    struct rights r;
    char path[512];

    if (!doctor_has_status(d))
        return;
    snprintf(path, sizeof path, "%s/proc/%u/status", d->root, pid);
    NSH_CLEANUP(fclosep) FILE *f = fopen(path, "re");
    if (!f || !read_rights(f, &r)) {
        doctor_unseen(d, "process %u of the daemon can't be looked at from here", pid);
        return;
    }
    look_at_capabilities(d, &r);
    if (firewall && strcmp(firewall, "iptables") == 0)
        look_at_lock(d, pid, &r);
    if (needs_sysctls(d->desired))
        look_at_sysctls(d, pid);
}

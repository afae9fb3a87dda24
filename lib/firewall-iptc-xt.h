/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of firewall-iptc share; nothing else includes this. The two libraries, libip4tc
 * and libip6tc, are the same code compiled twice: here they are one table of functions each, with
 * the layout of their rules, so that everything above is written once.
 */
#pragma once

#include "firewall.h"
#include "ipset.h"
#include "set-aside.h"

#include <libiptc/libip6tc.h>
#include <libiptc/libiptc.h>
#include <stdalign.h>

/* A table that is larger than this is refused rather than read into memory. */
#define NSH_XT_TABLE_MAX (64U << 20)

struct nsh_xt {
    uint8_t family;
    uint8_t index;          /* 0: IPv4, 1: IPv6 */
    int level;              /* of its socket options, which have the same numbers in both */
    const char *title;      /* "IPv4" */
    const char *names_file; /* below /proc/thread-self/net: tables that are in being */
    const char *modules;    /* "ip_tables" */
    const char *table_module;

    /* The layout of a rule: sizes and places of what is common to both. */
    size_t entry_size, nfcache_at, target_offset_at, next_offset_at, comefrom_at, counters_at;

    struct xtc_handle *(*init)(const char *table);
    void (*free)(struct xtc_handle *h);
    int (*commit)(struct xtc_handle *h);
    const char *(*strerror)(int error);
    const char *(*first_chain)(struct xtc_handle *h);
    const char *(*next_chain)(struct xtc_handle *h);
    int (*builtin)(const char *chain, struct xtc_handle *h);
    const char *(*policy)(
            const char *chain, struct xt_counters *ret_counters, struct xtc_handle *h);
    int (*is_chain)(const char *chain, struct xtc_handle *h);
    int (*create_chain)(const xt_chainlabel chain, struct xtc_handle *h);
    int (*delete_chain)(const xt_chainlabel chain, struct xtc_handle *h);
    int (*flush)(const xt_chainlabel chain, struct xtc_handle *h);
    int (*references)(unsigned int *ret, const xt_chainlabel chain, struct xtc_handle *h);
    int (*delete_rule)(const xt_chainlabel chain, unsigned int index, struct xtc_handle *h);
    /* Those that take or give a rule. */
    const void *(*first_rule)(const char *chain, struct xtc_handle *h);
    const void *(*next_rule)(const void *rule, struct xtc_handle *h);
    const char *(*target)(const void *rule, struct xtc_handle *h);
    int (*append)(const xt_chainlabel chain, const void *rule, struct xtc_handle *h);
    int (*insert)(
            const xt_chainlabel chain, const void *rule, unsigned int index, struct xtc_handle *h);
};

/* NULL for a family that is neither AF_INET nor AF_INET6. */
const struct nsh_xt *nsh_xt_of(int family);

/* When something failed: the same errno means different things. */
enum nsh_xt_moment {
    NSH_XT_OPENING, /* reaching the table at all */
    NSH_XT_EDITING, /* in the copy that is being changed */
    NSH_XT_SENDING, /* the kernel judged the whole */
};

/* Why, and what to do. Reads libiptc's state: to be called at once. `chain`, `buf` may be NULL. */
void nsh_xt_words(const struct nsh_xt *xt, enum nsh_table table, const char *chain,
        enum nsh_xt_moment moment, int error, char *buf, size_t size);

/* ---- sets by number (firewall-iptc-names.c) ---- */

struct nsh_xt_names {
    int fd; /* -1 until needed */
};

void nsh_xt_names_init(struct nsh_xt_names *n);
void nsh_xt_names_done(struct nsh_xt_names *n);
/* 1: the kernel has sets at all; 0: not, or not loaded; negative errno. Loads nothing. */
int nsh_xt_sets_exist(struct nsh_xt_names *n);
/* -ENOENT: there is no such set. */
int nsh_xt_set_index(struct nsh_xt_names *n, const char *name, uint16_t *ret);
/* `ret` is zeroed before. */
int nsh_xt_set_name(struct nsh_xt_names *n, uint16_t index, char ret[static NSH_SET_NAME]);

/* ---- rules (firewall-iptc-entry.c) ---- */

/* The largest rule netshared writes: IPv6, every match a rule can have, and DNAT. */
#define NSH_XT_ENTRY_MAX 2048

struct nsh_xt_entry {
    alignas(8) uint8_t bytes[NSH_XT_ENTRY_MAX];
    size_t size;
};

uint16_t nsh_xt_target_offset(const struct nsh_xt *xt, const void *rule);
uint16_t nsh_xt_next_offset(const struct nsh_xt *xt, const void *rule);

/*
 * As iptables itself would write it. -EINVAL for a rule that can't be written, -ENOENT for one
 * with a set that does not exist; `ret` is spoilt then.
 */
int nsh_xt_encode(const struct nsh_xt *xt, struct nsh_xt_names *names,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *ret);
/* `target` is what libiptc says of the rule: a target's or a chain's name. */
void nsh_xt_decode(const struct nsh_xt *xt, struct nsh_xt_names *names, const void *rule,
        const char *target, struct nsh_packet_rule *ret);

/* ---- what others do with a packet (firewall-iptc-forward.c, firewall-iptc-ban.c) ---- */

/* The filter table's FORWARD drops a packet of the path; our own jumps are passed over. */
bool nsh_xt_judge(
        const struct nsh_xt *xt, struct xtc_handle *h, const struct nsh_forward_path *path);
/* By the `n` rules alone with which FORWARD begins, as nsh_xt_bans has it, and which come before
 * the jump to `chain`, if that is there already; and by which. */
bool nsh_xt_judge_bans(const struct nsh_xt *xt, struct xtc_handle *h,
        const struct nsh_forward_path *path, uint32_t n, const char *chain,
        struct nsh_forward_drop *ret);
/* The same of a built-in chain of any table as things stand, our own chains among them, or may, if
 * `ret` is doubtful; then it has the rule. */
bool nsh_xt_drops(const struct nsh_xt *xt, struct xtc_handle *h, const char *builtin,
        const struct nsh_forward_path *path, struct nsh_forward_drop *ret);
/* As drops() of the contract (firewall-iptc-drops.c). */
int nsh_xt_drops_anywhere(
        int family, const struct nsh_forward_path *path, struct nsh_forward_drop *ret);
/* What is told of FORWARD. */
void nsh_xt_explain_drop(const struct nsh_xt *xt, const struct nsh_forward_path *paths, size_t n,
        struct nsh_forward_drop *ret);

/*
 * Bans: rules of others that drop or reject what they name by address, set, port or mark, or by a
 * protocol without ports; also as a chain of such rules that others lead to. In `ret` the index
 * behind the last of those with which the built-in chain begins, jumps to ours aside. 0 or -ENOMEM.
 */
int nsh_xt_bans(const struct nsh_xt *xt, struct xtc_handle *h, const char *hook, uint32_t *ret);

/* ---- a table (firewall-iptc-see.c) ---- */

/* Tells of all its chains; a non-zero return of `observed` ends it with that. Or -ENOMEM. */
int nsh_xt_see(const struct nsh_xt *xt, enum nsh_table table, struct xtc_handle *h,
        struct nsh_xt_names *names, nsh_chain_observed *observed, void *userdata);

/* ---- rules of others (firewall-iptc-ahead.c) ---- */

/* False: it does not end the way of what it matches. */
bool nsh_xt_describe(const struct nsh_xt *xt, struct nsh_xt_names *names, const char *hook,
        const void *rule, const char *target, struct nsh_ahead_seen *ret);

/* As foreign() of the contract (firewall-iptc-foreign.c). */
int nsh_xt_foreign(struct nsh_firewall *fw, int family, nsh_foreign_seen *seen, void *userdata);
/* A rule of a chain as `iptables -S` shows it, as far as is known here. */
void nsh_xt_rule_format(const struct nsh_xt *xt, struct xtc_handle *h, const char *chain,
        const void *rule, char *buf, size_t size);

/* ---- what a table looked like (firewall-iptc-poll.c) ---- */

enum nsh_xt_mark_state {
    NSH_XT_UNKNOWN,
    NSH_XT_SEEN,
};

struct nsh_xt_mark {
    enum nsh_xt_mark_state state;
    struct ipt_getinfo info;
    uint64_t hash; /* of all entries, without what traffic changes in them */
};

struct nsh_xt_poll {
    int fd[2]; /* by nsh_xt.index; -1 until needed */
    uint8_t *buf;
    size_t buf_size;
};

void nsh_xt_poll_init(struct nsh_xt_poll *p);
void nsh_xt_poll_done(struct nsh_xt_poll *p);
/* 1: the table is in being in this network namespace; 0: not; negative errno: can't tell. */
int nsh_xt_table_listed(const struct nsh_xt *xt, enum nsh_table table);
/* The same of any table. */
int nsh_xt_name_listed(const struct nsh_xt *xt, const char *table);
/* Brings the table into being. */
int nsh_xt_mark_read(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        struct nsh_xt_mark *ret);
/* 0: the table still looks so; 1: it does not, or that can't be known; negative errno. */
int nsh_xt_mark_compare(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        const struct nsh_xt_mark *mark);
/* The questions behind it: a socket option, and what the kernel says of a table. */
int nsh_xt_ask(
        struct nsh_xt_poll *p, const struct nsh_xt *xt, int option, void *value, size_t size);
int nsh_xt_get_info(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        struct ipt_getinfo *ret);

/* ---- what the kernel can do (firewall-iptc-probe.c) ---- */

/* 0 if the kernel can hold the table and what nearly all of netshared's rules in it use. */
int nsh_xt_probe(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        char *ret_why, size_t size);
/* When the kernel has not found what the rules use: everything of it that is missing, by name. */
void nsh_xt_missing(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table, char *buf,
        size_t size);

/* ---- the lock (firewall-iptc-lock.c) ---- */

const char *nsh_xt_lock_path(void);
/* The file, made if need be, without the lock on it. */
int nsh_xt_lock_file(void);
/* The lock all xtables programs share, as a descriptor that holds it; -EWOULDBLOCK: taken. */
int nsh_xt_lock(void);

/* ---- sets (firewall-iptc-set.c) ---- */

struct nsh_xt_sets {
    struct nsh_ipset ipset;
    struct nsh_ipset_header *marks; /* how sets looked when read or written last; by name */
    size_t n_marks, marks_size;
    struct nsh_set_aside aside;
    /* The thread's own until it ends. */
    struct nsh_ipset apart;
    struct nsh_ipset_header left; /* of what was written */
};

void nsh_xt_sets_init(struct nsh_xt_sets *s);
void nsh_xt_sets_done(struct nsh_xt_sets *s);
/* As firewall.h has them. `remembered`: the set is marked, and read in a thread. */
int nsh_xt_sets_list(struct nsh_xt_sets *s, struct nsh_xt_names *names, int family,
        nsh_set_observed *observed, void *userdata);
int nsh_xt_set_read(struct nsh_xt_sets *s, struct nsh_xt_names *names, int family, const char *name,
        bool remembered, nsh_set_element_observed *observed, void *userdata);
int nsh_xt_set_write(
        struct nsh_xt_sets *s, const struct nsh_set_op *op, char *ret_why, size_t size);
/* 0: the set still looks as marked; 1: it does not; negative errno. */
int nsh_xt_set_compare(
        struct nsh_xt_sets *s, struct nsh_xt_names *names, int family, const char *name);

/* ---- writing a set (firewall-iptc-set-write.c) ---- */

/* What is wrong with the step itself, or NULL. */
const char *nsh_xt_set_check(const struct nsh_set_op *op);
/* One that passes the check. Errors as in ipset.h. */
int nsh_xt_set_run(struct nsh_ipset *s, const struct nsh_set_op *op);

/* ---- who changed a table (firewall-iptc-audit.c) ---- */

/* What a record of the kernel's says. */
struct nsh_xt_record {
    uint64_t at; /* milliseconds of the wall clock */
    int family;
    enum nsh_table table;
    struct nsh_firewall_culprit who;
};

struct nsh_xt_suspect {
    unsigned int n; /* processes, one after the other; 1: it was `who` */
    struct nsh_firewall_culprit who;
    uint64_t since; /* the table was seen last */
};

struct nsh_xt_audit {
    int fd;    /* -1: not to be had */
    bool lost; /* records were, since the queue was empty: until then all that come are dropped */
    struct nsh_xt_suspect suspects[2][NSH_TABLE_COUNT]; /* by nsh_xt.index */
};

void nsh_xt_audit_init(struct nsh_xt_audit *a);
void nsh_xt_audit_done(struct nsh_xt_audit *a);
/* Negative errno: we may not listen, or there is no auditing. */
int nsh_xt_audit_fd(struct nsh_xt_audit *a);
/* Reads what has come. */
void nsh_xt_audit_take(struct nsh_xt_audit *a);
/* The table was looked at, and what comes from now on is another change. */
void nsh_xt_audit_seen(struct nsh_xt_audit *a, int family, enum nsh_table table);
/* Who has changed the table since; false: not known for sure. */
bool nsh_xt_audit_who(
        struct nsh_xt_audit *a, int family, enum nsh_table table, struct nsh_firewall_culprit *ret);
/* The same of the two families' tables of that kind together. */
bool nsh_xt_audit_who_of_either(
        struct nsh_xt_audit *a, enum nsh_table table, struct nsh_firewall_culprit *ret);
/* The parts of nsh_xt_audit_take. */
bool nsh_xt_audit_parse(const char *text, struct nsh_xt_record *ret);
void nsh_xt_audit_note(struct nsh_xt_audit *a, const struct nsh_xt_record *record);

/* ---- a hint that tables may have changed (firewall-iptc-hint.c) ---- */

struct nsh_xt_hint {
    int fd;    /* inotify; -1 until needed */
    int watch; /* on the lock file; -1: not to be had at present */
    int both;  /* epoll, of inotify and audit; -1 until needed */
    struct nsh_xt_audit audit;
};

void nsh_xt_hint_init(struct nsh_xt_hint *h);
void nsh_xt_hint_done(struct nsh_xt_hint *h);
/* Readable when somebody has used the lock file, or changed a table; negative errno: can't be had.
 */
int nsh_xt_hint_fd(struct nsh_xt_hint *h);
void nsh_xt_hint_take(struct nsh_xt_hint *h);

/* ---- operations (firewall-iptc-commit.c) ---- */

/*
 * Runs the operations on the copy in `h`, which is spoilt unless the outcome is OK. `ret_changed`
 * tells whether there is anything to send.
 */
int nsh_xt_edit(const struct nsh_xt *xt, enum nsh_table table, struct xtc_handle *h,
        struct nsh_xt_names *names, const struct nsh_firewall_op *ops, size_t n, bool *ret_changed,
        char *ret_why, size_t size);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel contract for packet rules and the sets they refer to. firewall-iptc.c keeps it with
 * libiptc, firewall-nft.c on nftables; tests/support/firewall-fake.c keeps it in memory.
 *
 * A session is what is done under one lock: observe, decide, commit. Between sessions nothing is
 * held. Errors are negative errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ahead.h"
#include "foreign.h"
#include "forward-drop.h"
#include "packet.h"

struct nsh_firewall;

/* Expected outcomes; the caller handles each. */
enum nsh_firewall_outcome {
    NSH_FIREWALL_OK = 0,
    NSH_FIREWALL_BUSY,  /* another program holds the lock: try again by timer */
    NSH_FIREWALL_RACED, /* a program without the lock wrote in between: observe again */
};

enum nsh_firewall_mode {
    NSH_FIREWALL_READ,  /* no lock, and no table is brought into being by looking at it */
    NSH_FIREWALL_WRITE, /* the xtables lock is held from open to close */
};

/* A rule that leads from a built-in chain to one of ours. */
struct nsh_jump_seen {
    char target[NSH_CHAIN_NAME];
    uint32_t index; /* in the built-in chain, from 0 */
    bool plain;     /* matches everything, as netshared writes it; else somebody altered it */
    bool first;     /* stands where only jumps of position first are put */
    enum nsh_policy_kind kind; /* what it says its chain is for; NSH_POLICY_NONE: nothing */
};

/* What a rule has counted. */
struct nsh_traffic {
    uint64_t packets, bytes;
};

/*
 * One observed chain: one of ours with all its rules, or a built-in one with its jumps to ours.
 */
struct nsh_chain_seen {
    uint8_t family;
    enum nsh_table table;
    const char *name;
    const char *stray; /* it is none of ours: what it is, and its own name; NULL: ours */
    bool builtin;
    const struct nsh_packet_rule *rules; /* ours */
    size_t n_rules;
    const struct nsh_traffic *traffic; /* of each rule; NULL: not known */
    const struct nsh_jump_seen *jumps; /* built-in */
    size_t n_jumps;
    uint32_t n_total;       /* built-in: all rules, foreign ones included */
    uint32_t first_foreign; /* built-in: index of the first rule that is no jump to ours, nor one of
                               the bans; n_total: none */
    uint32_t behind_bans;   /* built-in: index behind the last of the leading rules of others which
                               only drop what they name; 0: there are none */
    const struct nsh_ahead_seen *ahead; /* built-in: foreign rules that end the way of packets
                                           before they come to a jump behind */
    size_t n_ahead;
    bool hidden; /* built-in: somebody changed what is ours alone, and its jumps are not shown */
};

typedef int nsh_chain_observed(void *userdata, const struct nsh_chain_seen *chain);

enum nsh_firewall_verb {
    NSH_CHAIN_ADD,    /* create `chain` with all rules of `want` */
    NSH_CHAIN_CHANGE, /* keep the first keep_head and the last keep_tail rules, replace the rest */
    NSH_CHAIN_DELETE, /* flush and delete; only flush while a foreign rule refers to it */
    NSH_JUMP_ADD,     /* in `hook`, to `chain`, at `index` (0-based; UINT32_MAX: appended) */
    NSH_JUMP_DELETE,  /* in `hook`, the rule at `index` */
};

/*
 * One step of a commit. Indexes are those of the moment the step runs; the plan orders steps so
 * that they hold.
 */
struct nsh_firewall_op {
    enum nsh_firewall_verb verb;
    uint8_t family;
    enum nsh_table table;
    char chain[NSH_CHAIN_NAME];
    const char *stray; /* DELETE: what is none of ours, in words; "": ours. The plan's */
    char hook[NSH_CHAIN_NAME];
    uint32_t index;
    enum nsh_position position; /* JUMP_ADD: of the chain it leads to */
    enum nsh_policy_kind kind;  /* JUMP_ADD: what that chain is for */
    uint32_t keep_head, keep_tail;
    uint32_t n_observed;          /* CHANGE: rules that stand there now */
    const struct nsh_chain *want; /* ADD, CHANGE; outlives the call */
};

/* A set of ours; what is in it can take long to count. Non-zero ends the look with that. */
typedef int nsh_set_observed(void *userdata, const char *name);
/*
 * One element of a set, in the kernel's order; one of length 0 is something that no prefix says,
 * such as an exception or what times out. Non-zero ends the look with that.
 */
typedef int nsh_set_element_observed(void *userdata, const struct nsh_prefix *element);

enum nsh_set_verb {
    NSH_SET_CREATE,  /* with all of `want` in it */
    NSH_SET_UPDATE,  /* `add` and `remove`, all or nothing where the firewall can */
    NSH_SET_REPLACE, /* by `want`, in one step for a packet */
    NSH_SET_DESTROY, /* -EBUSY while a rule refers to it */
};

struct nsh_set_op {
    enum nsh_set_verb verb;
    uint8_t family;
    char name[NSH_SET_NAME];
    const struct nsh_set *want; /* CREATE, REPLACE */
    const struct nsh_prefix *add, *remove;
    size_t n_add, n_remove;
};

/*
 * What a policy lets through, and what becomes of it in rules of others.
 */
struct nsh_passage {
    const struct nsh_chain *chain; /* its filter chain, with the rules that accept */
    const struct nsh_forward_path *paths;
    size_t n_paths;
    bool barred; /* it is not let through anywhere now, and only judged */
    bool exit;   /* of a masquerade policy, barred: nothing is put up for it anywhere, and it is
                    `dropped` only where that is certain of its paths two by two */
    bool ban;    /* an exit, of the share that is the one before it: it is `dropped` by bans alone
                    where what is ours comes behind these */
    /* The outcome. */
    bool dropped;
    bool by_firewall; /* in the built-in chain of iptables, where a chain of ours can stand */
    bool hosted;      /* a jump of ours in a chain that drops it takes it through, or is to */
    struct nsh_forward_drop drop;
};

/* Most paths of one. */
#define NSH_PASSAGE_PATHS 64U
/*
 * By which of its paths are dropped: what there is to tell of, in `ret`, which has room for all
 * paths. Returns how many; 0: it is not dropped.
 */
size_t nsh_passage_dropped(
        const struct nsh_passage *p, const bool *dropped, struct nsh_forward_path *ret);

enum nsh_guest_verb {
    NSH_GUEST_STANDS, /* as it is to be */
    NSH_GUEST_ADD,
    NSH_GUEST_CHANGE,
    NSH_GUEST_REMOVE,
    NSH_GUEST_UNJUDGED, /* in that chain not all was looked at, for it is too much */
};

/* What becomes of a jump of ours in a chain of others, or with NSH_FIREWALL_READ would. */
/* Names of nftables tables and chains have up to 255 characters, and tell them apart. */
#define NSH_GUEST_WHERE 576

struct nsh_guest_seen {
    enum nsh_guest_verb verb;
    const char *where;  /* "nftables chain ip filter FORWARD" */
    const char *reason; /* CHANGE: "jump missing" */
};
typedef void nsh_guest_told(void *userdata, const struct nsh_guest_seen *seen);

/* Who made a change, as far as the firewall itself tells. */
struct nsh_firewall_culprit {
    uint32_t pid; /* in the initial pid namespace; 0: not known */
    char name[16];
};

struct nsh_firewall_ops {
    void (*free)(struct nsh_firewall *fw);
    /* "iptables", "nftables": what the journal calls it. */
    const char *name;
    /* A look at one table of a family is one at all of them, until something is written. */
    bool one_look;
    /*
     * 0 if this firewall can hold rules of `family` in `table`, else negative errno and why, in
     * words with what to do, in `ret_why` (may be NULL). May bring the table into being.
     */
    int (*probe)(
            struct nsh_firewall *fw, int family, enum nsh_table table, char *ret_why, size_t size);
    /* Opens a session; enum nsh_firewall_outcome (OK, BUSY) or negative errno. Never waits. */
    int (*open)(struct nsh_firewall *fw, enum nsh_firewall_mode mode);
    /*
     * Every chain of ours and every built-in chain of one table. In NSH_FIREWALL_READ a table that
     * is not instantiated shows nothing. A non-zero return of `observed` ends it with that.
     */
    int (*observe)(struct nsh_firewall *fw, int family, enum nsh_table table,
            nsh_chain_observed *observed, void *userdata);
    /*
     * All steps for one table in one atomic commit. OK, RACED, or negative errno with words in
     * `ret_why`; on anything but OK the table is as it was.
     */
    int (*commit)(struct nsh_firewall *fw, int family, enum nsh_table table,
            const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size);
    void (*close)(struct nsh_firewall *fw);
    /*
     * The cheap check, without a lock: 0 if the table is as it was when last observed or committed
     * in a session of NSH_FIREWALL_WRITE, 1 if it changed, or negative errno.
     */
    int (*changed)(struct nsh_firewall *fw, int family, enum nsh_table table);
    /*
     * Sets, in any session; writing wants NSH_FIREWALL_WRITE. A set is written before the rules
     * that refer to it, and destroyed after them. 0 or negative errno, with words in `ret_why`.
     * Listing and destroying say -EINPROGRESS while a set is being written: what there is shows
     * after that.
     */
    int (*sets)(struct nsh_firewall *fw, int family, nsh_set_observed *observed, void *userdata);
    /*
     * -ENOENT: there is no such set. In a session of NSH_FIREWALL_WRITE reading and writing may
     * take long; then they say -EINPROGRESS, and are called again with the same, in this session
     * or another one, until they say what came of it.
     */
    int (*set_read)(struct nsh_firewall *fw, int family, const char *name,
            nsh_set_element_observed *observed, void *userdata);
    int (*set_write)(
            struct nsh_firewall *fw, const struct nsh_set_op *op, char *ret_why, size_t size);
    /* What is in progress goes on to its end, but nobody will ask for it. NULL: nothing ever is. */
    void (*set_drop)(struct nsh_firewall *fw);
    /*
     * The cheap check of a set, without a session: 0 if it looks as it did when it was last read or
     * written in a session of NSH_FIREWALL_WRITE, 1 if not, or negative errno. What it can't see is
     * found by reading.
     */
    int (*set_changed)(struct nsh_firewall *fw, int family, const char *name);
    /*
     * True if set_changed has been told of every change until now, so that a set which looks as it
     * did is as it was. NULL: nobody tells.
     */
    bool (*sets_told)(struct nsh_firewall *fw);
    /*
     * Who made the last change that `changed` told of; false: this firewall can't tell. Taken at
     * hint_take.
     */
    bool (*culprit)(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret);
    /* The same of a set. NULL: it can't tell. */
    bool (*set_culprit)(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret);
    /*
     * From now on, for as long as this object lives, connections that run stay translated while the
     * rules of `family` are gone, or no longer. Cheap when it is so already. 0; negative errno
     * where that can't be had. NULL: it is so by itself.
     */
    int (*hold)(struct nsh_firewall *fw, int family, bool on);
    /*
     * Whether others translate addresses with this firewall: 1 or 0; negative errno if that can't
     * be seen. Nothing comes into use by asking. NULL: it can't tell.
     */
    int (*others_translate)(struct nsh_firewall *fw);
    /*
     * A descriptor, the firewall's own, that becomes readable when others may have begun to, and
     * not for whatever else they do. To be asked for when in_use. NULL, or negative: there is none.
     */
    int (*others_fd)(struct nsh_firewall *fw);
    /*
     * 1: the answer may be another one than when it was asked last; cheap, and takes what is queued
     * at the descriptor, which has to be there. NULL: it can't tell.
     */
    int (*others_changed)(struct nsh_firewall *fw);
    /*
     * Passages through rules of others. An accept holds only in the rule set, on nftables in the
     * base chain, in which it stands: where a chain of others drops a passage, one jump in it leads
     * to a chain of ours in the same table afterwards, which accepts it, and jumps and chains that
     * are not needed any more are gone. The rest of that table stays as it is. Where no jump can
     * stand the passage comes back as dropped. In a session or without. 0; negative errno: it can't
     * be seen, or done. `holds`: the policies stand in this firewall. Nothing comes into use by
     * asking. NULL: it can't tell.
     */
    int (*pass)(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
            struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata);
    /* 1: the answer may be another one than when it was asked last; cheap. */
    int (*pass_changed)(struct nsh_firewall *fw);
    /*
     * Whether rules of others drop a packet at the hook of the paths, as things stand: 1, with what
     * drops it and what helps, or what only may, if `ret` is doubtful; or 0. The paths are what
     * rules see of it before addresses are translated there, and after. Chains of ours among them
     * have their say. In a session or without. Negative errno: it can't be seen. Nothing comes into
     * use by asking. NULL: it can't tell.
     */
    int (*drops)(struct nsh_firewall *fw, int family, const struct nsh_forward_path *before,
            const struct nsh_forward_path *after, struct nsh_forward_drop *ret);
    /*
     * Who took away what the last pass() of NSH_FIREWALL_READ missed of ours in chains of others.
     * false, or NULL: it can't tell.
     */
    bool (*pass_culprit)(struct nsh_firewall *fw, struct nsh_firewall_culprit *ret);
    /* False: to ask for the descriptor below could bring it into use. NULL: never. */
    bool (*in_use)(struct nsh_firewall *fw);
    /*
     * Rules of others that translate what comes to a hook before it comes to ours, in the order of
     * packets, NSH_AHEAD_MAX at most. Returns how many, or negative errno. Nothing comes into use
     * by asking. NULL: others' rules are in the built-in chains, and `observe` shows them.
     */
    int (*ahead)(struct nsh_firewall *fw, int family, enum nsh_table table, const char *hook,
            struct nsh_ahead_seen *ret);
    /* 1: the answer may be another one than when it was asked last; cheap. */
    int (*ahead_changed)(struct nsh_firewall *fw);
    /*
     * The rules of others where addresses are translated, in the order of packets for each hook;
     * not those in chains that they lead to. Nothing comes into use by asking. -EAGAIN: they
     * changed meanwhile, once more. NULL: it can't tell.
     */
    int (*foreign)(struct nsh_firewall *fw, int family, nsh_foreign_seen *seen, void *userdata);
    /*
     * A descriptor that becomes readable when somebody may have changed something, which makes it
     * worth asking `changed`; it misses changes, and tells of some that are none. The firewall's
     * own, the same at every call. Negative: there is none.
     */
    int (*hint_fd)(struct nsh_firewall *fw);
    /*
     * A look is to wait until so long after the last hint. For who uses the firewall may be in the
     * middle of something; 0: what is told of is whole.
     */
    uint64_t hint_rest_usec;
    /* Takes what is queued there. Also to be called before a regular look: a lost source of hints
     * is sought again. */
    void (*hint_take)(struct nsh_firewall *fw);
};

struct nsh_firewall {
    const struct nsh_firewall_ops *ops;
};

/* iptables through libiptc, in the caller's network namespace. */
int nsh_firewall_iptc_new(struct nsh_firewall **ret);
/* Whether the lock that its users share can be had: 0 or negative errno. */
int nsh_firewall_iptc_lockable(void);
/* nftables through netlink, in the caller's network namespace. */
int nsh_firewall_nft_new(struct nsh_firewall **ret);

static inline void nsh_firewall_free(struct nsh_firewall *fw)
{
    if (fw)
        fw->ops->free(fw);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the reconciler keeps of the work that is to be done or under way: marks, which say what is
 * wrong and who did it, what set a pass off and how much was told of it, and what goes on across
 * passes.
 */
#pragma once

#include "culprit.h"
#include "plan.h"
#include "reconcile.h"

#define NSH_NEVER UINT64_MAX

/* Drift that an event told of one wanted route. */
struct key_mark {
    size_t wanted;
    uint32_t sequence;
    uint32_t sender;
    uint64_t at;
    pid_t culprit_pid; /* 0: not looked up, or not certain */
    char culprit[NSH_COMM_LEN * 4];
    bool gone;             /* nothing of it stands there any more */
    struct nsh_route seen; /* else: what stands there; in mark_arena */
};
/* A wanted rule that an event told was removed. */
struct rule_mark {
    size_t wanted;
    uint32_t sender;
    uint64_t at;
    pid_t culprit_pid; /* 0: not looked up, or not certain */
    char culprit[NSH_COMM_LEN * 4];
};
#define RULE_MARKS_MAX 32

/* Longest reason why a gate is open or closed, with its NUL. */
#define GATE_REASON_TEXT 320
/* What a probe told of a check's gate. */
struct gate_mark {
    bool marked, open;
    char reason[GATE_REASON_TEXT];
};

/* Of the reports of one pass about one kind of object. */
struct tally {
    bool many;                         /* so many at once that they are told as a sum */
    uint32_t told[NSH_REPORT_KINDS];   /* single lines so far */
    uint64_t untold[NSH_REPORT_KINDS]; /* left to the sum */
};
/* Up to so many objects of one pass get a line each; more are told as a sum. */
#define NSH_REPORT_SINGLE_MAX 20U
/* Programs behind an event end quickly: the first few are looked up when it is read. */
#define CULPRITS_MAX 4U
/* Bits of route_flags of our own. That another route shadows it was told: */
#define ROUTE_SHADOW_TOLD 0x80U
/* What is wanted of it has changed by a gate: what is written because of that is no repair. */
#define ROUTE_OWN_CHANGE 0x20U
/* It was in force before the change that is being carried out. */
#define ROUTE_WAS_WANTED 0x10U
/* It is pending because nobody has learned its gateway, or its VRF has no table for it. */
#define ROUTE_UNLEARNED 0x08U
/* A bit of chain_news: its policy was blocked, and is tried again in this pass. */
#define CHAIN_RETRIED 0x80U
/* More than this many single keys are not cheaper than one dump. */
#define KEY_MARKS_MAX 1024

#define NEW_LINKS_MAX 16
#define GUARD_WHY 160

/* While somebody else has the xtables lock it is asked for again after that. */
#define LOCK_RETRY_USEC 50000ULL

/* Of the interfaces of policies: what they lack is to be told; those marked, or all, looked for. */
enum device_mark { DEVICES_CLEAN, DEVICES_TELL, DEVICES_MARKED, DEVICES_ALL };

enum filter_look { FILTER_UNSEEN, FILTER_LACKS, FILTER_STANDS };

enum route_mark { ROUTES_CLEAN, ROUTES_KEYS, ROUTES_OURS, ROUTES_ALL };

/* What set off the present pass, for the journal. */
struct trigger {
    char text[64]; /* "link eth0 went down", "resync"; "" for a key's own event */
    uint64_t at;
    uint32_t sender;
    uint32_t ifindex; /* of the link that it is about; 0: none */
};

/* What set off the work at hand and how much was told of it. A comparison has one of its own. */
struct account {
    struct trigger trigger;
    uint64_t noticed; /* when what is being repaired was noticed */
    struct tally routes_told, rules_told;
};

/*
 * The configuration before, kept until all that is known of its routes was carried over. Both are
 * sorted by identity: one merge does it, `at` and `to` are how far it is.
 */
struct previous {
    struct nsh_desired *desired; /* NULL: nothing is left to carry over */
    uint8_t *flags, *states;
    struct nsh_notes *notes;
    size_t at, to;
    /*
     * The kernel holds what was wanted before, as far as is known: the first comparison of the new
     * configuration is with that, and one with the kernel follows.
     */
    bool delta;
    /* The pair of properties that was compared last: a million routes share a few. */
    const struct nsh_route_props *was, *is;
    bool equal;
};

/* A comparison of all routes, in slices: these one after the other. */
enum job_phase {
    JOB_NONE,
    JOB_CARRY, /* over from the configuration before */
    JOB_SKIP,  /* which can't or may not be written now */
    JOB_DUMP,
    JOB_JUDGE,
    JOB_WRITE,
    JOB_WAIT,   /* for unwanted rules to go, which may lead to unwanted routes */
    JOB_DELETE, /* these */
};

struct job {
    enum job_phase phase;
    enum route_mark scope;
    bool delta;
    bool fresh;   /* in its first slice: marks from before are what it is about */
    bool earlier; /* the dump under way is of the protocol from before */
    int tries;    /* dumps that were disturbed */
    int rounds;   /* comparisons that followed from the one before */
    size_t at;
    size_t seen;     /* by its dump */
    size_t wrong;    /* routes that will be written */
    bool learned;    /* its look at all routes has changed what is wanted */
    bool occupied;   /* an addition met a route that was not observed */
    uint64_t writes; /* counter when it began */
    struct account account;
};

/* What is known of a wanted set. */
struct set_mark {
    uint8_t state; /* enum nsh_object_state */
    bool urgent;   /* to be seen to before the rules that refer to it */
    bool dirty;    /* to be compared with the kernel */
    size_t before; /* the same set of the configuration before, which the kernel holds */
    uint64_t wait; /* backing off until then; 0: not */
};

/* A chain of others in which a jump of ours stands. */
struct guest_mark {
    char where[NSH_GUEST_WHERE];
    bool seen;         /* by the look that is being taken */
    bool wrong;        /* it stood there, and does not as it should any more */
    bool was_wrong;    /* in the look before, too */
    pid_t culprit_pid; /* who did that; 0: not certain */
    char culprit[NSH_COMM_LEN * 4];
    struct nsh_backoff backoff; /* of one that something keeps undoing */
};

/* Others' chain of which it is told that not all of it is judged. */
struct unjudged_mark {
    char where[NSH_GUEST_WHERE];
    bool seen; /* by the look that is being taken */
};

/* The set that is being read or written, across passes. */
struct set_work {
    struct nsh_set_plan *plan; /* NULL: there is none */
    size_t set;
    bool writing;
    bool delta; /* it is compared with what was wanted before, not with what stands there */
    bool drift; /* what is written is a repair */
    /* Of the pass in which it was begun. */
    bool resync;
    uint64_t noticed;
    pid_t culprit_pid; /* 0: not certain */
    char culprit[NSH_COMM_LEN * 4];
};

/* What kind a policy's name stood for. */
struct known_policy {
    char name[NSH_POLICY_NAME];
    enum nsh_policy_kind kind;
};

/* The sysctls we switched, as the state directory remembers them. */
struct before_list {
    struct nsh_sysctl_before *items;
    size_t n;
    bool loaded;
    bool lost;         /* it could not be read, which was told: what was in it is not given back */
    bool kept_from_us; /* it could not be read, and is not to be written over */
    bool changed;
};

/* Interfaces whose accept_ra was looked at, in order of their numbers. */
struct guarded {
    uint32_t ifindex;
    char name[IFNAMSIZ];
    char next[IFNAMSIZ]; /* it is being renamed; "": it is not */
    bool raised;         /* by us, while it is */
    bool there;          /* the sweep under way has found it */
};

struct guards {
    struct guarded *seen;
    size_t n, room;
    uint32_t fresh[NEW_LINKS_MAX]; /* came since */
    size_t n_fresh;
    bool sweep;           /* all are to be gone through: one that came may be unknown */
    char told[GUARD_WHY]; /* what could not be done, as it was told last; "": all could */
};

/* Looks for flows that are to come after one that found something. */
struct follow_up {
    uint64_t at;   /* the next is due then; 0: none */
    uint8_t left;  /* to come after the next one */
    uint8_t looks; /* since the first */
};

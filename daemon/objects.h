/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is remembered of single objects beyond a state: why one is not held, and how its repairs
 * went. Most objects never need any of it, so it is kept sparsely, by object number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backoff.h"
#include "culprit.h"

enum nsh_object_state {
    NSH_OBJECT_UNKNOWN, /* not compared yet */
    NSH_OBJECT_HELD,
    NSH_OBJECT_PENDING,     /* can't be in the kernel yet */
    NSH_OBJECT_CONFLICTING, /* something foreign stands there */
    NSH_OBJECT_WRONG,       /* known to be wrong: backing off, or the kernel refused */
    NSH_OBJECT_STANDBY,     /* a gate is closed: not wanted now, and not there */
    NSH_OBJECT_DISABLED,    /* the file says that it is not to be there */
    NSH_OBJECT_STATES,
};

/* "held", "pending", … */
const char *nsh_object_state_name(enum nsh_object_state s);

/* Routes are numbered by their index; other kinds follow from these bases. */
typedef uint64_t nsh_object_id;
#define NSH_OBJECT_NONE (UINT64_MAX - 1) /* of which nothing is remembered */
#define NSH_OBJECT_CHAIN (1ULL << 62)
#define NSH_OBJECT_FORWARDING (1ULL << 61)
#define NSH_OBJECT_TABLE (1ULL << 60)
#define NSH_OBJECT_RULE (1ULL << 59)
#define NSH_OBJECT_GATE (1ULL << 58)
#define NSH_OBJECT_SET (1ULL << 57)
/* Of a policy's first chain: rules of others that drop what it lets through. */
#define NSH_OBJECT_DROP (1ULL << 56)
/* Of a policy's first chain: what it needs and is not there. */
#define NSH_OBJECT_ABSENT (1ULL << 55)
/* Of a policy's first chain: which of its interfaces are not there while it does something. */
#define NSH_OBJECT_PARTLY (1ULL << 51)
/* Of a policy's first chain: that jumps which it needs are not there. */
#define NSH_OBJECT_UNHOSTED (1ULL << 53)
/* Of a policy's first chain: a ban of others that takes all of a LAN. */
#define NSH_OBJECT_BAN (1ULL << 52)
/* Of a chain: a rule of others that takes packets before it. */
#define NSH_OBJECT_AHEAD (1ULL << 54)

struct nsh_repairs {
    struct nsh_backoff backoff;
    uint64_t count;
    uint64_t last;                  /* when the newest was made, as the clock hook counts */
    char culprit[NSH_CULPRIT_TEXT]; /* who had undone it, the last time that was certain; "": never
                                     */
};

struct nsh_notes;

int nsh_notes_new(struct nsh_notes **ret);
void nsh_notes_free(struct nsh_notes *n);

/* Why it is not held; the notes' own copy, NULL: no reason. 1 when that is news, 0, -ENOMEM. */
int nsh_notes_set_reason(struct nsh_notes *n, nsh_object_id id, const char *reason);
const char *nsh_notes_reason(const struct nsh_notes *n, nsh_object_id id);
/* Its repairs, made on demand; NULL: no memory. */
struct nsh_repairs *nsh_notes_repairs(struct nsh_notes *n, nsh_object_id id);
/* The same, NULL when there were none. */
struct nsh_repairs *nsh_notes_find_repairs(const struct nsh_notes *n, nsh_object_id id);
/*
 * Where a great many were repaired, as after a flush of everything: forgets the repairs that
 * nothing has undone. To be called now and then; it costs nothing while there are few.
 */
void nsh_notes_trim(struct nsh_notes *n, uint64_t now);
/* Every object with a note. */
void nsh_notes_each(const struct nsh_notes *n,
        void (*each)(void *userdata, nsh_object_id id, const char *reason,
                const struct nsh_repairs *repairs),
        void *userdata);
/* Moves repairs of `id` in `from` to `to_id` in `to`: an object that a reload renumbered. */
int nsh_notes_move(
        struct nsh_notes *from, nsh_object_id id, struct nsh_notes *to, nsh_object_id to_id);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "intern.h"

/* Each base is a bit that no other has: only then is their sum what they have together. */
#define BASES(with)                                                                              \
    (NSH_OBJECT_CHAIN with NSH_OBJECT_FORWARDING with NSH_OBJECT_TABLE with NSH_OBJECT_RULE with \
                    NSH_OBJECT_GATE with NSH_OBJECT_SET with NSH_OBJECT_DROP with                \
                            NSH_OBJECT_ABSENT with NSH_OBJECT_UNHOSTED with NSH_OBJECT_BAN with  \
                                    NSH_OBJECT_AHEAD)
_Static_assert(BASES(+) == BASES(|), "two kinds of objects have the same numbers");

/*
 * Open addressing with linear probing; a slot without reason and repairs is still a slot, so that
 * probing needs no tombstones. Reasons are interned: a thousand routes that wait for one device
 * share the sentence.
 */
struct slot {
    nsh_object_id id; /* plus one; 0: free */
    const char *reason;
    struct nsh_repairs *repairs;
};

struct nsh_notes {
    struct slot *slots;
    size_t size; /* a power of two */
    size_t used;
    size_t n_repairs;
    size_t trim_at; /* so many of them are too many */
    struct nsh_arena *reasons;
};

/* So many repairs are remembered whatever became of them. */
#define REPAIRS_KEPT 16384U

static const char *const state_names[NSH_OBJECT_STATES] = {
        [NSH_OBJECT_UNKNOWN] = "unknown",
        [NSH_OBJECT_HELD] = "held",
        [NSH_OBJECT_PENDING] = "pending",
        [NSH_OBJECT_CONFLICTING] = "conflicting",
        [NSH_OBJECT_WRONG] = "wrong",
        [NSH_OBJECT_STANDBY] = "standby",
        [NSH_OBJECT_DISABLED] = "disabled",
};

const char *nsh_object_state_name(enum nsh_object_state s)
{
    return s < NSH_OBJECT_STATES ? state_names[s] : "unknown";
}

int nsh_notes_new(struct nsh_notes **ret)
{
    struct nsh_notes *n = calloc(1, sizeof *n);

    if (!n)
        return -ENOMEM;
    n->trim_at = REPAIRS_KEPT;
    n->reasons = nsh_arena_new();
    if (!n->reasons) {
        free(n);
        return -ENOMEM;
    }
    *ret = n;
    return 0;
}

void nsh_notes_free(struct nsh_notes *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->size; i++)
        free(n->slots[i].repairs);
    free(n->slots);
    nsh_arena_free(n->reasons);
    free(n);
}

static size_t hash(nsh_object_id id)
{
    id *= 0x9e3779b97f4a7c15ULL; /* Fibonacci hashing (Knuth, TAOCP 3, 6.4) */
    return (size_t)(id >> 20);
}

static struct slot *probe(struct slot *slots, size_t size, nsh_object_id id)
{
    size_t i = hash(id) & (size - 1);

    while (slots[i].id != 0 && slots[i].id != id + 1)
        i = (i + 1) & (size - 1);
    return &slots[i];
}

static int grow(struct nsh_notes *n)
{
    size_t size = n->size ? n->size * 2 : 16;
    struct slot *slots = calloc(size, sizeof *slots);

    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < n->size; i++)
        if (n->slots[i].id != 0)
            *probe(slots, size, n->slots[i].id - 1) = n->slots[i];
    free(n->slots);
    n->slots = slots;
    n->size = size;
    return 0;
}

static struct slot *find(const struct nsh_notes *n, nsh_object_id id)
{
    struct slot *s;

    if (n->size == 0)
        return NULL;
    s = probe(n->slots, n->size, id);
    return s->id != 0 ? s : NULL;
}

static struct slot *obtain(struct nsh_notes *n, nsh_object_id id)
{
    struct slot *s = find(n, id);

    if (s)
        return s;
    if (n->used * 4 >= n->size * 3 && grow(n) < 0)
        return NULL;
    s = probe(n->slots, n->size, id);
    s->id = id + 1;
    n->used++;
    return s;
}

int nsh_notes_set_reason(struct nsh_notes *n, nsh_object_id id, const char *reason)
{
    struct slot *s = reason ? obtain(n, id) : find(n, id);
    const char *copy = NULL;
    int news;

    if (!s)
        return reason ? -ENOMEM : 0;
    if (reason) {
        copy = nsh_arena_intern(n->reasons, reason, strlen(reason) + 1);
        if (!copy)
            return -ENOMEM;
    }
    news = s->reason != copy; /* interned: the same text is the same pointer */
    s->reason = copy;
    return news;
}

const char *nsh_notes_reason(const struct nsh_notes *n, nsh_object_id id)
{
    const struct slot *s = find(n, id);

    return s ? s->reason : NULL;
}

struct nsh_repairs *nsh_notes_find_repairs(const struct nsh_notes *n, nsh_object_id id)
{
    const struct slot *s = find(n, id);

    return s ? s->repairs : NULL;
}

struct nsh_repairs *nsh_notes_repairs(struct nsh_notes *n, nsh_object_id id)
{
    struct slot *s = obtain(n, id);

    if (s && !s->repairs) {
        s->repairs = calloc(1, sizeof *s->repairs);
        n->n_repairs += s->repairs != NULL;
    }
    return s ? s->repairs : NULL;
}

/* Moves what is still of use into a table that fits it. */
static void rebuild(struct nsh_notes *n)
{
    size_t used = 0, size = 16;
    struct slot *slots;

    for (size_t i = 0; i < n->size; i++)
        used += n->slots[i].reason || n->slots[i].repairs;
    while (used * 4 >= size * 3)
        size *= 2;
    slots = calloc(size, sizeof *slots);
    if (!slots)
        return; /* the old one serves as well */
    for (size_t i = 0; i < n->size; i++)
        if (n->slots[i].reason || n->slots[i].repairs)
            *probe(slots, size, n->slots[i].id - 1) = n->slots[i];
    free(n->slots);
    n->slots = slots;
    n->size = size;
    n->used = used;
}

void nsh_notes_trim(struct nsh_notes *n, uint64_t now)
{
    if (n->n_repairs < n->trim_at)
        return;
    for (size_t i = 0; i < n->size; i++) {
        struct nsh_repairs *repairs = n->slots[i].repairs;

        if (!repairs || !nsh_backoff_settled(&repairs->backoff, now))
            continue;
        free(NSH_TAKE_PTR(n->slots[i].repairs));
        n->n_repairs--;
    }
    rebuild(n);
    /* Those that are left are looked at again when there are twice as many. */
    n->trim_at = n->n_repairs < REPAIRS_KEPT / 2 ? REPAIRS_KEPT : n->n_repairs * 2;
}

void nsh_notes_each(const struct nsh_notes *n,
        void (*each)(void *userdata, nsh_object_id id, const char *reason,
                const struct nsh_repairs *repairs),
        void *userdata)
{
    for (size_t i = 0; i < n->size; i++)
        if (n->slots[i].id != 0)
            each(userdata, n->slots[i].id - 1, n->slots[i].reason, n->slots[i].repairs);
}

int nsh_notes_move(
        struct nsh_notes *from, nsh_object_id id, struct nsh_notes *to, nsh_object_id to_id)
{
    struct slot *old = find(from, id), *slot;

    if (!old || (!old->repairs && !old->reason))
        return 0;
    slot = obtain(to, to_id);
    if (!slot)
        return -ENOMEM;
    if (slot->repairs)
        to->n_repairs--;
    free(slot->repairs);
    from->n_repairs -= old->repairs != NULL;
    to->n_repairs += old->repairs != NULL;
    slot->repairs = NSH_TAKE_PTR(old->repairs);
    return nsh_notes_set_reason(to, to_id, old->reason) < 0 ? -ENOMEM : 0;
}

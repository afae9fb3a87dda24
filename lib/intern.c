/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks that grow from BLOCK_FIRST to BLOCK_MAX, so that a small configuration takes a page and a
 * large one few system calls; what is larger than a block has one of its own. Interned values are
 * found through a table with open addressing that is at most half full.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "intern.h"

#define BLOCK_FIRST 2048UL
#define BLOCK_MAX (256UL * 1024)
#define SLOTS_FIRST 32U
#define ALIGNMENT _Alignof(max_align_t)

struct block {
    struct block *older;
    size_t size; /* of data */
    size_t used;
    _Alignas(max_align_t) unsigned char data[];
};

struct slot {
    const void *data; /* NULL: free */
    uint32_t size;
    uint32_t hash;
};

struct nsh_arena {
    struct block *newest;
    struct slot *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t n_interned;
};

struct nsh_arena *nsh_arena_new(void)
{
    return calloc(1, sizeof(struct nsh_arena));
}

void nsh_arena_free(struct nsh_arena *a)
{
    if (!a)
        return;
    for (struct block *b = a->newest, *older; b; b = older) {
        older = b->older;
        free(b);
    }
    free(a->slots);
    free(a);
}

static struct block *add_block(struct nsh_arena *a, size_t at_least)
{
    size_t size = a->newest ? a->newest->size * 2 : BLOCK_FIRST - sizeof(struct block);
    struct block *b;

    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < at_least)
        size = at_least;
    if (size > SIZE_MAX - sizeof(*b))
        return NULL;
    b = malloc(sizeof(*b) + size);
    if (!b)
        return NULL;
    *b = (struct block){.older = a->newest, .size = size};
    a->newest = b;
    return b;
}

void *nsh_arena_alloc(struct nsh_arena *a, size_t size)
{
    struct block *b = a->newest;
    void *p;

    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (size == 0)
        size = ALIGNMENT;
    if (!b || b->size - b->used < size)
        b = add_block(a, size);
    if (!b)
        return NULL;
    p = b->data + b->used;
    b->used += size;
    return memset(p, 0, size);
}

char *nsh_arena_strdup(struct nsh_arena *a, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = nsh_arena_alloc(a, n);

    return copy ? memcpy(copy, text, n) : NULL;
}

/* Multiply and fold, eight bytes at a time. */
static uint32_t hash_bytes(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t h = size * 0x9e3779b97f4a7c15ULL, word;

    for (; size > 0; p += sizeof(word)) {
        size_t n = size < sizeof(word) ? size : sizeof(word);

        word = 0;
        memcpy(&word, p, n);
        h = (h ^ word) * 0xff51afd7ed558ccdULL;
        h ^= h >> 32;
        size -= n;
    }
    return (uint32_t)(h ^ (h >> 29));
}

/* The slot that holds these bytes, or the free one where they belong. */
static struct slot *find_slot(
        struct slot *slots, size_t n_slots, const void *data, uint32_t size, uint32_t hash)
{
    for (size_t i = hash & (n_slots - 1);; i = (i + 1) & (n_slots - 1)) {
        struct slot *s = &slots[i];

        if (!s->data || (s->hash == hash && s->size == size && memcmp(s->data, data, size) == 0))
            return s;
    }
}

static int grow_slots(struct nsh_arena *a)
{
    size_t n = a->n_slots ? a->n_slots * 2 : SLOTS_FIRST;
    struct slot *slots = calloc(n, sizeof(*slots));

    if (!slots)
        return -1;
    for (size_t i = 0; i < a->n_slots; i++) {
        const struct slot *s = &a->slots[i];

        if (s->data)
            *find_slot(slots, n, s->data, s->size, s->hash) = *s;
    }
    free(a->slots);
    a->slots = slots;
    a->n_slots = n;
    return 0;
}

const void *nsh_arena_intern(struct nsh_arena *a, const void *data, size_t size)
{
    uint32_t hash;
    struct slot *s;
    void *copy;

    if (size == 0 || size > UINT32_MAX)
        return size == 0 ? nsh_arena_alloc(a, 0) : NULL;
    if (a->n_interned * 2 >= a->n_slots && grow_slots(a) < 0)
        return NULL;
    hash = hash_bytes(data, size);
    s = find_slot(a->slots, a->n_slots, data, (uint32_t)size, hash);
    if (s->data)
        return s->data;

    copy = nsh_arena_alloc(a, size);
    if (!copy)
        return NULL;
    memcpy(copy, data, size);
    *s = (struct slot){.data = copy, .size = (uint32_t)size, .hash = hash};
    a->n_interned++;
    return copy;
}

void nsh_arena_reset(struct nsh_arena *a)
{
    struct block *keep = NULL;

    /* The largest of ordinary size; one made to measure would stay large for ever. */
    for (struct block *b = a->newest, *older; b; b = older) {
        older = b->older;
        if (b->size <= BLOCK_MAX && (!keep || b->size > keep->size)) {
            free(keep);
            keep = b;
        } else {
            free(b);
        }
    }
    if (keep) {
        keep->older = NULL;
        keep->used = 0;
    }
    a->newest = keep;
    free(a->slots);
    a->slots = NULL;
    a->n_slots = 0;
    a->n_interned = 0;
}

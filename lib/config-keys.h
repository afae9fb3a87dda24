/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables that say which keys a file may hold: an object has keys, a key has a type. A new key
 * is a line in a table; whatever else wants to know the keys (a schema, completions) reads the
 * same tables from nsh_config_root on.
 *
 * An object is read into a draft, a struct that begins with struct nsh_draft, zeroed. The engine
 * (config-read.c) finds the key, refuses doubles and wrong shapes, and calls the type for each
 * scalar with the address of the field; when the object is complete, its `finish` judges the whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "yaml-stream.h"

struct nsh_loader;
struct nsh_object;

enum nsh_key_flags {
    NSH_KEY_REQUIRED = 1U << 0,
    NSH_KEY_LIST = 1U << 1,  /* one value or a list of them; the type is called for each */
    NSH_KEY_ALIAS = 1U << 2, /* another name for the key `same_as` */
    NSH_KEY_EMPTY = 1U << 3, /* may be null or empty, and then holds nothing */
};

/* How a scalar is written, for whoever checks a file without the parser: by a schema. Bits. */
enum nsh_form {
    NSH_FORM_TEXT = 1U << 0, /* that `pattern` matches */
    NSH_FORM_BOOL = 1U << 1,
    NSH_FORM_INTEGER = 1U << 2, /* min..max of the key */
    NSH_FORM_SECONDS = 1U << 3, /* a number alone; min..max of the key are microseconds */
    NSH_FORM_WORD = 1U << 4,    /* one of the words of the key, or else of the type */
};

enum nsh_shape {
    NSH_SHAPE_SCALAR,
    NSH_SHAPE_MAPPING, /* one object */
    NSH_SHAPE_OBJECTS, /* a list of objects */
};

/* A word that stands for a value. A table of them ends with a NULL text. */
struct nsh_word {
    const char *text;
    unsigned value;
};

struct nsh_key;

struct nsh_key_type {
    enum nsh_shape shape;
    const char *what; /* "an address": completes "'via' wants ..." */
    const char *hint; /* an example: "write, say, via: 192.168.1.1" */
    /* Of a scalar: parses `value` into `field`, reporting what is wrong. */
    void (*read)(struct nsh_loader *l, const struct nsh_key *key, void *field,
            const struct nsh_yaml_event *value);
    size_t size; /* of the field; 0: it is not in the draft */
    unsigned forms;
    const char *pattern;          /* a regular expression of ECMA 262; NULL: any text */
    const struct nsh_word *words; /* what can be written in place of the other forms */
    /* Of the other shapes; of a scalar: a mapping may stand in its place. */
    const struct nsh_object *object;
};

struct nsh_key {
    const char *name;
    const struct nsh_key_type *type; /* NULL: alias */
    size_t offset;                   /* of the field in the draft */
    unsigned flags;
    unsigned same_as;             /* index of the key this is an alias of */
    const struct nsh_word *words; /* of types that take words */
    uint64_t min, max;            /* of types that take numbers */
    const char *missing;          /* hint when a required key is */
    const char *known_as;         /* other programs' names for it, separated by spaces */
    const char *help;             /* one line: what it is */
    const char *otherwise;        /* the value that its absence means, as it is written */
};

struct nsh_object {
    const char *noun; /* "route" */
    const struct nsh_key *keys;
    size_t n_keys;
    size_t size; /* of the draft, at most NSH_DRAFT_MAX */
    void (*begin)(struct nsh_loader *l, void *draft);
    void (*finish)(struct nsh_loader *l, void *draft);
    void (*clear)(void *draft); /* frees what the draft holds; called whatever happened */
};

#define NSH_KEYS_MAX 40
#define NSH_DRAFT_MAX 1024

/* The head of every draft; keys by their index in the object's table. */
struct nsh_draft {
    struct nsh_yaml_mark at;                  /* where the object begins */
    uint64_t seen;                            /* bit: the key was there */
    uint64_t bad;                             /* bit: and had an error */
    struct nsh_yaml_mark marks[NSH_KEYS_MAX]; /* where its value begins */
};

/* There, and right. */
static inline bool nsh_given(const struct nsh_draft *d, unsigned key)
{
    return (d->seen & ~d->bad) >> key & 1;
}

/* Not there at all. A key with an error is neither given nor absent. */
static inline bool nsh_absent(const struct nsh_draft *d, unsigned key)
{
    return !(d->seen >> key & 1);
}

extern const struct nsh_object nsh_config_root;
extern const struct nsh_object nsh_object_settings;
extern const struct nsh_object nsh_object_route;
extern const struct nsh_object nsh_object_rule;
extern const struct nsh_object nsh_object_masquerade;
extern const struct nsh_object nsh_object_share;
extern const struct nsh_object nsh_object_port_forward;
extern const struct nsh_object nsh_object_network_map;
extern const struct nsh_object nsh_object_when;

/* The types of scalars (config-scalars.c). Fields: */
extern const struct nsh_key_type nsh_type_bool;          /* bool */
extern const struct nsh_key_type nsh_type_integer;       /* uint32_t, min..max */
extern const struct nsh_key_type nsh_type_word;          /* unsigned, words */
extern const struct nsh_key_type nsh_type_families;      /* unsigned, NSH_FAMILY_* bits are added */
extern const struct nsh_key_type nsh_type_duration;      /* uint64_t, microseconds, min..max */
extern const struct nsh_key_type nsh_type_unit_duration; /* the same, never without a unit */
extern const struct nsh_key_type nsh_type_table;         /* uint32_t */
extern const struct nsh_key_type nsh_type_scope;         /* uint32_t, words or a number */
extern const struct nsh_key_type nsh_type_flags;         /* unsigned, the words' bits are added */
extern const struct nsh_key_type nsh_type_tos;           /* uint32_t */
/* char[NSH_CONGESTION_CONTROL_TEXT] */
extern const struct nsh_key_type nsh_type_congestion_control;
extern const struct nsh_key_type nsh_type_address; /* struct nsh_prefix of full length */
/* The same, or what is learned (config-routes-hop.c): then the field is left alone. */
extern const struct nsh_key_type nsh_type_gateway;
extern const struct nsh_key_type nsh_type_prefix; /* struct nsh_prefixes, appended */
/* The same, or a file of them, whose prefixes come when the file that names it is through. */
extern const struct nsh_key_type nsh_type_prefixes;
extern const struct nsh_key_type nsh_type_one_prefix;    /* struct nsh_prefix */
extern const struct nsh_key_type nsh_type_address_range; /* struct nsh_address_range */
extern const struct nsh_key_type nsh_type_device;        /* char[IFNAMSIZ] */
extern const struct nsh_key_type nsh_type_out;           /* struct nsh_devices, appended */
extern const struct nsh_key_type nsh_type_named;         /* the same, and no "any" */
extern const struct nsh_key_type nsh_type_policy;        /* char[NSH_POLICY_NAME] */
extern const struct nsh_key_type nsh_type_to;            /* routes, appended to the loader's */

/* A condition (config-gates.c); what was read is in the loader's `when`. */
extern const struct nsh_key_type nsh_type_when;
/* A check (config-checks.c); what was read is in the loader's `check`. */
extern const struct nsh_key_type nsh_type_check;

/* What packets are told apart by (config-packets.c). */
extern const struct nsh_key_type nsh_type_mark;        /* struct nsh_mark */
extern const struct nsh_key_type nsh_type_range;       /* struct nsh_range, min..max */
extern const struct nsh_key_type nsh_type_ranges;      /* struct nsh_ranges, appended */
extern const struct nsh_key_type nsh_type_ip_protocol; /* uint32_t, 1..255 */
extern const struct nsh_key_type nsh_type_protocols;   /* struct nsh_protocols, appended */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the loader share while a configuration is built.
 */
#pragma once

#include <limits.h>
#include <net/if.h>

#include "addr.h"
#include "config-keys.h"
#include "config-names.h"
#include "config.h"
#include "diag.h"
#include "intern.h"
#include "source.h"

#define NSH_DROP_INS_MAX 4096
#define NSH_LIST_FILES_MAX 4096
#define NSH_LIST_MAX 65536 /* entries of one list of a policy, but for prefixes */
#define NSH_RANGES_MAX 256

/* Growing lists of a draft. */
struct nsh_prefixes {
    struct nsh_prefix *items;
    size_t n, room;
    bool in_files; /* some of them stand in files, if there are any */
    bool wrong;    /* and what stands there is not all right */
};

struct nsh_devices {
    char (*items)[IFNAMSIZ];
    size_t n, room;
};

struct nsh_ranges {
    struct nsh_range *items;
    size_t n, room;
};

struct nsh_link_table {
    struct nsh_link *links;
    size_t n, room;
    uint32_t *slots; /* index + 1; 0: free */
    size_t n_slots;  /* a power of two, or 0 */
};

struct nsh_hop;
struct nsh_list_entry;

/* The nexthops of the route being read (config-routes.h). */
struct nsh_hops {
    struct nsh_hop *items;
    size_t n, room;
};

/* A prefix file that was read once. */
struct nsh_list_file {
    char *path;
    struct nsh_source source; /* its copy in an archive; fd -1: none, read it again */
};

struct nsh_lists {
    struct nsh_list_entry *entries; /* named in the file being read */
    size_t n_entries, entries_room;
    struct nsh_list_file *files;
    size_t n_files, files_room;
};

/* A check as it is written: without the nexthop that it is about. */
struct nsh_written_check {
    struct nsh_check check;
    struct nsh_yaml_mark at, target_at, dev_at;
};

/* Policies of one kind, each of which begins with struct nsh_policy. */
struct nsh_policies {
    void *items;
    size_t n, room;
};

/* A policy's draft that waits for the prefixes that stand in its files. */
struct nsh_waiting;

#define NSH_SETTINGS_KEYS 11

struct nsh_loader {
    struct nsh_config *config;
    struct nsh_diags *diags;
    int failure; /* negative errno that ends the load */

    /* the file being read */
    struct nsh_yaml *yaml;
    const char *path;
    bool main_file;
    bool follows; /* the object to be read next is not the first of its list */

    size_t routes_room;
    const struct nsh_route_props *props; /* interned last */
    size_t props_size;
    struct nsh_link_table links;
    struct nsh_hops hops;
    struct nsh_lists lists;
    size_t n_object_lists; /* of the entries, those of the object being read */
    void *list_field;      /* into which the mapping being read goes */
    struct nsh_policies policies[NSH_POLICY_KINDS];
    struct nsh_waiting *waiting;
    size_t n_waiting, waiting_room;
    bool advise; /* what is right but unwise is said */
    struct nsh_rule *rules;
    size_t n_rules, rules_room;
    struct nsh_gate *gates;
    size_t n_gates, gates_room;
    struct nsh_vrf *vrfs;
    size_t n_vrfs, vrfs_room;
    char learned_on[IFNAMSIZ];      /* of the nexthop being read; "": nothing is learned */
    nsh_gate_id when;               /* of the object being read */
    struct nsh_written_check check; /* of the route or nexthop being read */
    nsh_origin settings_at[NSH_SETTINGS_KEYS]; /* where each was given first */

    struct nsh_names tables, protocols;
    bool tables_read;
    /* names of tables that were used, in `tables`, to go into the archive */
    struct nsh_names used_tables;
    char shown[72];
};

/* ---- reporting (config-read.c) ---- */

__attribute__((format(printf, 4, 5))) void nsh_loader_error(
        struct nsh_loader *l, struct nsh_yaml_mark at, const char *hint, const char *format, ...);
__attribute__((format(printf, 4, 5))) void nsh_loader_warning(
        struct nsh_loader *l, struct nsh_yaml_mark at, const char *hint, const char *format, ...);
/* The value as it may be shown, in quotes not included; valid until the next call. */
const char *nsh_loader_show(struct nsh_loader *l, const char *text);
/* Notes that memory is out, which ends the load. */
void nsh_loader_no_memory(struct nsh_loader *l);
/* "FILE:LINE" of an origin. */
const char *nsh_loader_place(struct nsh_loader *l, nsh_origin at, char *buf, size_t size);
#define NSH_PLACE_TEXT 320
#define NSH_HINT_TEXT 384

/*
 * Reads one object into a draft of its kind and finishes it; its MAPPING event was just read.
 */
void nsh_read_object(
        struct nsh_loader *l, const struct nsh_object *object, struct nsh_yaml_mark at);
/* Reports it if the file was written to since the stamp: who knows which half was read. */
void nsh_loader_check_stamp(
        struct nsh_loader *l, const char *path, int fd, const struct nsh_stamp *stamp);
/* One file, read to its end. */
void nsh_read_file(struct nsh_loader *l, const struct nsh_source *source, const char *path,
        bool main_file, int archive_fd);

/* ---- hints (config-hint.c) ---- */

/*
 * "did you mean 'via'?", or what the object's keys are. Returns the index of the key that may have
 * been meant, or n_keys.
 */
size_t nsh_hint_key(const struct nsh_object *object, const char *text, char *buf, size_t size);
/* The key that `text` begins with, and `between` behind it; or n_keys. */
size_t nsh_hint_glued(const struct nsh_object *object, const char *text, char between);
/* Commas in one value: how a list is written, or that it takes one; false: there are none. */
bool nsh_hint_several(const struct nsh_key *key, const char *text, char *buf, size_t size);
/* "did you mean 'blackhole'?", or "one of: ...". */
void nsh_hint_word(const struct nsh_word *words, const char *text, char *buf, size_t size);

/* ---- scalars (config-scalars.c) ---- */

/* A whole number without sign, leading 0 or other base; reports what is wrong. */
bool nsh_parse_integer(struct nsh_loader *l, const struct nsh_key *key,
        const struct nsh_yaml_event *value, uint64_t *ret);

/* ---- growing ---- */

/* Makes room for one more of `size` bytes in an array. false: no memory, reported. */
bool nsh_loader_grow(struct nsh_loader *l, void *array, size_t n, size_t *room, size_t size);
/* The index of the link, added if it is new; NSH_NO_LINK: no memory. */
uint32_t nsh_loader_link(struct nsh_loader *l, const struct nsh_link *link);
/*
 * The gate, added if it is new; its `origin` is kept from the first time. NSH_NO_GATE: no memory,
 * or too many of them, which is reported as an error `at`.
 */
nsh_gate_id nsh_loader_gate(
        struct nsh_loader *l, struct nsh_yaml_mark at, const struct nsh_gate *gate);
/* ---- prefix files (config-lists.c) ---- */

/*
 * Reads what the configuration file just read has named. 0, or why one could not be archived;
 * l->failure ends the load.
 */
int nsh_read_lists(struct nsh_loader *l, const struct nsh_config_source *from);
bool nsh_lists_has(const struct nsh_lists *lists, const char *path);
int nsh_lists_add(struct nsh_loader *l, const char *path, const struct nsh_source *source);
void nsh_lists_done(struct nsh_lists *lists);

/* ---- policies (config-policies.c) ---- */

/* Completes those that have been waiting for their prefix files. */
void nsh_policies_complete(struct nsh_loader *l);
void nsh_policies_done(struct nsh_loader *l);

/* ---- results ---- */

/* Sorts routes, and keeps the first of each identity; returns how many are left. */
size_t nsh_routes_unite(struct nsh_route *routes, size_t n);
/* Each judges what no single file shows, and moves it into the configuration. */
void nsh_finish_routes(struct nsh_loader *l);
/* Before routes and rules: it adds those by which probes leave. */
void nsh_finish_checks(struct nsh_loader *l);
void nsh_finish_rules(struct nsh_loader *l);
void nsh_finish_policies(struct nsh_loader *l);
void nsh_finish_gates(struct nsh_loader *l);
void nsh_finish_settings(struct nsh_loader *l);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A YAML file as a stream of events, never as a tree, restricted to what a configuration needs:
 * mappings, sequences and scalars of one document. Anchors, aliases, tags and further documents
 * are reported by that word; so are the limits on size, line length and depth. The values come
 * with their place and are valid until the next event.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "source.h"

struct nsh_yaml;

enum nsh_yaml_type {
    NSH_YAML_SCALAR,
    NSH_YAML_MAPPING,
    NSH_YAML_MAPPING_END,
    NSH_YAML_SEQUENCE,
    NSH_YAML_SEQUENCE_END,
    NSH_YAML_END, /* of the document or, after an error, of what can be read; comes again and again
                   */
};

/* From 1; the column in characters. */
struct nsh_yaml_mark {
    uint32_t line;
    uint32_t column;
};

struct nsh_yaml_event {
    enum nsh_yaml_type type;
    struct nsh_yaml_mark mark;
    const char *text; /* of a scalar, no NUL inside */
    size_t length;
    bool plain;   /* the scalar is neither quoted nor a block */
    bool refused; /* it was reported already: an alias, or text with a NUL */
};

/*
 * `diags` and `path` outlive it. The bytes read are copied to `archive_fd` unless that is -1.
 * 0 or -ENOMEM.
 */
int nsh_yaml_new(const struct nsh_source *source, const char *path, int archive_fd,
        struct nsh_diags *diags, struct nsh_yaml **ret);
void nsh_yaml_free(struct nsh_yaml *y);

/* The next event. Errors are in the diags. */
void nsh_yaml_next(struct nsh_yaml *y, struct nsh_yaml_event *ret);
/*
 * True if there is no next event because of an error. What is held by the last event goes, so this
 * is for after an end. A block whose end is followed by an error may not really be at its end.
 */
bool nsh_yaml_breaks(struct nsh_yaml *y);
/* Reads on to the end of the value that begins with `event`. */
void nsh_yaml_skip(struct nsh_yaml *y, const struct nsh_yaml_event *event);
/* True when an error ended the stream. */
bool nsh_yaml_failed(const struct nsh_yaml *y);
/* Why it could not be read or copied: negative errno; 0 when that was no problem. */
int nsh_yaml_errno(const struct nsh_yaml *y);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of the kernel's ip_set, of the type hash:net, over netlink. Any set can be looked at and
 * changed here: whose it is, is for the caller to know.
 *
 * The protocol is spoken by hand, over libmnl: it is small, and the same since Linux 3.19, while
 * libipset's interface changes from release to release and is made for a program that reads
 * commands.
 *
 * Errors are negative errno, or negative numbers of ip_set's own above them: nsh_ipset_errno makes
 * an errno of either, and nsh_ipset_words says it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

struct mnl_socket;

struct nsh_ipset {
    struct mnl_socket *socket; /* NULL until needed */
    uint32_t seq;
    uint8_t revision; /* of the set type; 0 until asked */
};

/* What is known of a set without its elements. */
struct nsh_ipset_header {
    char name[NSH_SET_NAME];
    uint8_t family;
    bool plain; /* hash:net, without time-outs or other extras */
    uint32_t n_elements, memory, hash_size, maximum;
    uint32_t seed; /* of its hash, by chance for each set; 0: the kernel keeps it to itself */
};

typedef int nsh_ipset_header_seen(void *userdata, const struct nsh_ipset_header *header);
typedef int nsh_ipset_element_seen(void *userdata, const struct nsh_prefix *element);

void nsh_ipset_init(struct nsh_ipset *s);
void nsh_ipset_done(struct nsh_ipset *s);

/* Of one set (-ENOENT: there is none) or, with NULL, of all. Non-zero of `seen` ends it. */
int nsh_ipset_headers(
        struct nsh_ipset *s, const char *name, nsh_ipset_header_seen *seen, void *userdata);
/* One with more to it than its prefix, such as an exception (nomatch), is told of by length 0. */
int nsh_ipset_elements(
        struct nsh_ipset *s, const char *name, nsh_ipset_element_seen *seen, void *userdata);
/* With room for `n` elements without growing first. */
int nsh_ipset_create(struct nsh_ipset *s, int family, const char *name, size_t n);
/* Those already there, or not there, are no error. Not atomic. */
int nsh_ipset_add(
        struct nsh_ipset *s, const char *name, const struct nsh_prefix *elements, size_t n);
int nsh_ipset_remove(
        struct nsh_ipset *s, const char *name, const struct nsh_prefix *elements, size_t n);
/* Exchanges what is behind two names, in one step. */
int nsh_ipset_swap(struct nsh_ipset *s, const char *name, const char *other);
/* One that is not there is no error. */
int nsh_ipset_destroy(struct nsh_ipset *s, const char *name);

int nsh_ipset_errno(int error);
const char *nsh_ipset_words(int error);

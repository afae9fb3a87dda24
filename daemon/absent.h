/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces that policies name and this machine does not have. Rules for them hold, and nothing
 * ever passes them: a name that is mistyped looks the same as one that is yet to come.
 */
#pragma once

#include "desired.h"
#include "diag.h"
#include "survey.h"

/*
 * A warning for each name, with the one that may have been meant. What waits for a condition, or is
 * disabled, is left out, and so are names that end in '+'. Asks the kernel, in this thread's
 * network namespace.
 */
void nsh_advise_absent_devices(
        const struct nsh_desired *d, struct nsh_fib *fib, struct nsh_diags *to);

/* Where the name stands. */
struct nsh_absent_place {
    /* A policy's list; NULL: it is a route's or a rule's, which know alternative names as well. */
    const struct nsh_device_list *list;
    const struct nsh_device_list *other; /* the other side of a share; NULL: there is none */
};
/*
 * What to write in place of a name that is not there: "write 'eth0', if that is the one", or all
 * that would do. Returns buf.
 */
const char *nsh_absent_hint(const struct nsh_survey *s, const struct nsh_config *c,
        const char *name, const struct nsh_absent_place *in, char *buf, size_t size);

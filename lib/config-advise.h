/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is right in policies and routes but unwise: each may stand by itself, and together they
 * can't be meant. Said by `check` alone.
 */
#pragma once

#include "config-loader.h"

/* Warns at the policy. */
void nsh_advise(
        struct nsh_loader *l, const struct nsh_policy *p, const char *hint, const char *text);
/* Warns at the second, with the place of the first. `what`: to do about it. */
void nsh_advise_of_two(struct nsh_loader *l, const struct nsh_policy *first,
        const struct nsh_policy *second, const char *what, const char *text);

/* ---- judging ---- */

/* There is a family for which both are. */
bool nsh_advise_meet(const struct nsh_policy *a, const struct nsh_policy *b);
/* Whenever `b` is in force, `a` is: of two with conditions of their own one may stand in. */
bool nsh_advise_holds_with(const struct nsh_policy *a, const struct nsh_policy *b);
/* The narrower of two devices that overlap; NULL: none do. */
const char *nsh_advise_common_device(
        const struct nsh_device_list *a, const struct nsh_device_list *b);
/* Each device of `b` is one of `a`: "wan+" holds wan0, and "wan0+"; an exact name holds itself. */
bool nsh_advise_devices_hold(const struct nsh_device_list *a, const struct nsh_device_list *b);
bool nsh_advise_prefixes_overlap(const struct nsh_prefix *a, const struct nsh_prefix *b);
/* Each prefix of `b` lies in one of `a`. A list that was not given holds everything. */
bool nsh_advise_list_holds(const struct nsh_prefix_list *a, const struct nsh_prefix_list *b);
bool nsh_advise_lists_overlap(const struct nsh_prefix_list *a, const struct nsh_prefix_list *b);

/* ---- config-routes-advise.c ---- */

/* Routes that another one hides, when all are there and sorted. */
void nsh_advise_routes(struct nsh_loader *l);

/* ---- config-advise-sides.c ---- */

/* Policies of different kinds that stand in each other's way, or on the wrong side of a share. */
void nsh_advise_sides(struct nsh_loader *l);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two kernel contracts kept by a configuration, for looking only: a machine that holds just
 * what a file says. Interfaces are there when they are asked for, each gateway is on the link that
 * the file gives it, and nothing foreign is in the way.
 */
#pragma once

#include "desired.h"
#include "fib.h"
#include "firewall.h"

/*
 * `held` outlives them, its gates are judged and its links are resolved by this fib. What it holds
 * carries the mark `protocol`. Operations that change something are not there. 0 or -ENOMEM.
 */
int nsh_offline_fib_new(struct nsh_desired *held, uint8_t protocol, struct nsh_fib **ret);
int nsh_offline_firewall_new(const struct nsh_desired *held, struct nsh_firewall **ret);

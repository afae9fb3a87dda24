/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a check works, from one probe to the next: so many misses in a row and it fails, so many
 * answers in a row and it works again. Pure.
 */
#pragma once

#include "gate.h"

struct nsh_probe_state {
    bool works;
    uint32_t row;   /* misses in a row while it works, answers while it does not */
    uint64_t since; /* it has failed since then */
};

enum nsh_probe_turn {
    NSH_PROBE_STAYS,
    NSH_PROBE_FAILS,
    NSH_PROBE_RECOVERS,
};

/* One probe is through: it was answered, or missed. */
enum nsh_probe_turn nsh_probe_state_take(
        struct nsh_probe_state *s, const struct nsh_check *check, bool answered, uint64_t now);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gates: what is wanted only while a condition holds or a check succeeds.
 */
#include "reconcile-internal.h"

void nsh_reconciler_gate(struct nsh_reconciler *r, nsh_gate_id gate, bool open, const char *reason)
{
    if (!r->desired || gate == NSH_NO_GATE || gate >= r->desired->n_gates ||
            r->desired->gate_states[gate].open == open)
        return;
    r->desired->gate_states[gate].open = open;
    nsh_notes_set_reason(r->notes, NSH_OBJECT_GATE + gate, reason);
    reconcile_mark_everything(r);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe-state.h"

enum nsh_probe_turn nsh_probe_state_take(
        struct nsh_probe_state *s, const struct nsh_check *check, bool answered, uint64_t now)
{
    if (answered == s->works) {
        s->row = 0;
        return NSH_PROBE_STAYS;
    }
    s->row++;
    if (s->row < (s->works ? check->fail : check->recover))
        return NSH_PROBE_STAYS;
    s->works = answered;
    s->row = 0;
    if (!answered)
        s->since = now;
    return answered ? NSH_PROBE_RECOVERS : NSH_PROBE_FAILS;
}

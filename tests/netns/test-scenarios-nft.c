/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scenarios against the real kernel with ours on nftables, each in a network namespace of its
 * own. Without the right to make one this is skipped, as 77 tells the test runner.
 */
#include "scenario.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    if (unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "skipped: no network namespace can be made: %s\n", strerror(errno));
        return 77;
    }
    return nsh_scenarios_main(nsh_world_nft_new);
}

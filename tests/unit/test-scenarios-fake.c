/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scenarios against the fakes.
 */
#include "scenario.h"

int main(void)
{
    return nsh_scenarios_main(nsh_world_fake_new);
}

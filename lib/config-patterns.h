/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How what several types read is written, as regular expressions of ECMA 262 for a schema. They let
 * through all that is right, and little else: what they miss `netshared check` finds.
 */
#pragma once

#define NSH_OCTET_PATTERN "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define NSH_IPV4_PATTERN NSH_OCTET_PATTERN "(\\." NSH_OCTET_PATTERN "){3}"
#define NSH_IPV6_PATTERN "[0-9A-Fa-f]*:[0-9A-Fa-f:.]*"
#define NSH_ADDRESS_PATTERN "(" NSH_IPV4_PATTERN "|" NSH_IPV6_PATTERN ")"
#define NSH_PREFIX_PATTERN                                           \
    "(" NSH_IPV4_PATTERN "(/(3[0-2]|[12]?[0-9]))?|" NSH_IPV6_PATTERN \
    "(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)"

#define NSH_RANGE_PATTERN "^(0|[1-9][0-9]*)(-(0|[1-9][0-9]*))?$"

#define NSH_DURATION_PATTERN                                                                  \
    "([0-9]+(\\.[0-9]+)? *"                                                                   \
    "([u\xc2\xb5\xce\xbc]s|usec|ms|msec|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|" \
    "weeks?)?"                                                                                \
    " *)+"

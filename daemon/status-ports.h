/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ports in use of each address that connections are translated to, for `status`: counted by
 * who asks, so that a daemon with a million connections is not held up by the question.
 */
#pragma once

#include <jansson.h>

/* With more than that they are not gone through. */
#define NSH_STATUS_CONNECTIONS_MAX 250000UL

/*
 * An array with an object for each address: "address", "connections" (of protocols with ports), and
 * "fullest", the place to which most of its ports are in use: "protocol" (a name or number), "to",
 * "port", "ports". Sorted by connections, the most first. NULL: it can't be
 * seen, or would take long.
 */
json_t *nsh_status_ports(void);

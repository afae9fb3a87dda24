/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the names of devices and the gateways without a device stand for at this moment.
 */
#pragma once

#include "desired.h"
#include "fib.h"

/*
 * Asks the kernel for each link the wanted routes refer to, and fills its ifindex (0: not there,
 * or no way to the gateway). *ret_changed: one of them differs from before. 0 or -errno.
 */
int nsh_desired_resolve(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed);
/* The same for the VRFs; *ret_changed: one's table is not that by which routes are arranged. */
int nsh_desired_resolve_vrfs(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed);
/*
 * Which interfaces of policies are there, and whether the kernel has IPv6. 0 or -errno (-EAGAIN:
 * they change all the time, once more when it is quieter); *ret_changed then tells of those that
 * were found before. However many they are, it is a few requests.
 */
int nsh_desired_resolve_devices(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed);
/* Of those alone that are marked; they are no longer. */
int nsh_desired_resolve_marked(struct nsh_fib *fib, struct nsh_desired *d, bool *ret_changed);
/* The sysctl that switches it on. */
const char *nsh_forwarding_key(int family);
/*
 * Whether the family is forwarded, and will be: for a policy, or because somebody has switched it
 * on. `ours`: who did that is netshared, which gives it back.
 */
bool nsh_desired_is_forwarded(
        struct nsh_fib *fib, const struct nsh_desired *d, int family, bool ours);
/*
 * The way to a gateway, as the kernel looks for it: in the table of the route's VRF ("": none) if
 * it is on the link there, else where everything is looked for.
 */
int nsh_desired_look_up(struct nsh_fib *fib, const struct nsh_desired *d, const char *vrf,
        int family, const union nsh_addr *gateway, struct nsh_fib_path *ret);
/*
 * The name of a device without which the route can't be written, and that is not there; NULL: it
 * can. One of several nexthops may be absent.
 */
const char *nsh_desired_missing_link(const struct nsh_desired *d, const struct nsh_route *r);

/*
 * As nsh_route_format, for a route that was observed: devices by the name they have now, or
 * "dev #3" when it is gone.
 */
const char *nsh_route_format_seen(
        struct nsh_fib *fib, const struct nsh_route *r, char *buf, size_t size);

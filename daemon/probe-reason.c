/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a check fails, in words that help.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "probe-internal.h"

/* The device of the nexthop, or NULL: it is left to the kernel and not known. */
static const struct nsh_link *link_of(const struct probe *p)
{
    uint32_t link = p->gate.check.link;

    return link < p->prober->n_links ? &p->prober->links[link] : NULL;
}

/* What keeps probes from leaving at all. */
static const char *way_reason(const struct probe *p, char *buf, size_t size)
{
    const struct nsh_link *link = link_of(p);

    if (link && link->name[0] != '\0' && link->ifindex == 0)
        snprintf(buf, size, "interface %s does not exist", link->name);
    else if (p->gate.check.learned && link && link->learned < NSH_LEARNED_DEVICE)
        snprintf(buf, size, "no gateway is learned on %s", link->name);
    else
        snprintf(buf, size, "its nexthop can't be used");
    return buf;
}

/*
 * While routes lead elsewhere, a strict rp_filter drops what comes back by this device: a check
 * that has failed would never work again.
 */
static void add_rp_filter(const struct probe *p, char *buf, size_t size)
{
    const struct nsh_link *link = link_of(p);
    struct nsh_fib *fib = p->prober->fib;
    char name[IFNAMSIZ], key[64];
    int all = 0, own = 0;
    size_t used = strlen(buf);

    if (p->gate.check.family != AF_INET || !link || link->ifindex == 0 ||
            fib->ops->link_name(fib, link->ifindex, name) < 0)
        return;
    snprintf(key, sizeof key, "net/ipv4/conf/%s/rp_filter", name);
    if (fib->ops->sysctl_get(fib, key, &own) < 0 ||
            fib->ops->sysctl_get(fib, "net/ipv4/conf/all/rp_filter", &all) < 0)
        return;
    /* The kernel takes the larger one; 2 is the loose kind, which lets answers in. */
    if ((own > all ? own : all) == 1)
        snprintf(buf + used, size - used,
                " (rp_filter of %s is strict and drops answers while routes lead elsewhere; set "
                "net.ipv4.conf.%s.rp_filter=2)",
                name, name);
}

static const char *said(int error, bool sent)
{
    switch (-error) {
    case 0:
    case ETIMEDOUT:
        return "no answer";
    case ECONNREFUSED:
        return "connection refused";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return sent ? "unreachable" : NULL;
    case ENETDOWN:
    case ENODEV:
    case EINVAL: /* a link-local target without an interface */
        return sent ? strerror(-error) : NULL;
    case ENOLINK:
        return "the rule that leads its probes is not there";
    case EPERM:
    case EACCES:
        return "the firewall of this machine refuses its probes";
    default:
        return strerror(-error);
    }
}

const char *probe_reason(const struct probe *p, int error, bool sent, char *buf, size_t size)
{
    const char *text = said(error, sent);
    uint32_t times = p->gate.check.fail;

    if (!text)
        return way_reason(p, buf, size);
    if (times > 1 && sent)
        snprintf(buf, size, "%s %u times", text, times);
    else
        snprintf(buf, size, "%s", text);
    if (error == 0 || error == -ETIMEDOUT)
        add_rp_filter(p, buf, size);
    return buf;
}

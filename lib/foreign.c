/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ahead.h"
#include "cleanup.h"
#include "desired.h"

/* ---- whose it is ---- */

/* How the chains of programs begin that write rules of their own, and keep them themselves. */
static const struct {
    const char *prefix, *owner;
} chains[] = {
        {"DOCKER", "Docker"},
        {"LIBVIRT_", "libvirt"},
        {"KUBE-", "Kubernetes"},
        {"cali-", "Calico"},
        {"CILIUM_", "Cilium"},
        {"FLANNEL-", "flannel"},
        {"CNI-", "a container engine (CNI)"},
        {"NETAVARK", "Podman (netavark)"},
        {"nv_", "Podman (netavark)"},
        {"ufw-", "ufw"},
        {"ufw6-", "ufw"},
        {"f2b-", "fail2ban"},
        {"MINIUPNPD", "miniupnpd"},
        {"ts-", "Tailscale"},
        {"nixos-", "NixOS"},
};

/* The same of tables of nftables, as nsh_foreign_rule.place writes them. */
static const struct {
    const char *name, *owner;
} tables[] = {
        {" firewalld ", "firewalld"},
        {" kube-proxy ", "Kubernetes"},
        {" docker-bridges ", "Docker"},
        {" libvirt_network ", "libvirt"},
        {" netavark ", "Podman (netavark)"},
        {" miniupnpd ", "miniupnpd"},
        {" lxd ", "LXD"},
        {" incus ", "Incus"},
        {" lxc ", "LXC"},
        {" fw4 ", "OpenWrt's firewall"},
};

/* "br-" and twelve digits is how Docker calls its bridges. */
static bool is_of_docker(const char *device)
{
    return strcmp(device, "docker0") == 0 ||
           (strncmp(device, "br-", 3) == 0 && strlen(device) == 15 &&
                   strspn(device + 3, "0123456789abcdef") == 12);
}

const char *nsh_foreign_owner(const struct nsh_foreign_rule *f)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(chains); i++)
        if (strncmp(f->leads, chains[i].prefix, strlen(chains[i].prefix)) == 0)
            return chains[i].owner;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(tables); i++)
        if (strstr(f->place, tables[i].name))
            return tables[i].owner;
    if (is_of_docker(f->spares.out) || is_of_docker(f->spares.in))
        return "Docker";
    return NULL;
}

/* ---- which packets ---- */

bool nsh_foreign_meet(const struct nsh_foreign_rule *a, const struct nsh_foreign_rule *b)
{
    const struct nsh_ahead_seen seen = {.needs = a->needs, .spares = a->spares};
    struct nsh_packet_rule rule = b->needs;
    const struct nsh_chain chain = {.family = b->family, .rules = &rule, .n_rules = 1};
    const struct nsh_desired nothing = {0};

    rule.action = NSH_PACKET_ACCEPT;
    return nsh_ahead_takes(&seen, &chain, &nothing);
}

/* ---- texts ---- */

void nsh_foreign_say(struct nsh_foreign_rule *f, const char *format, ...)
{
    size_t at = strlen(f->text), room = sizeof f->text - at;
    va_list ap;
    int n;

    if (at > 0 && room > 1) {
        f->text[at++] = ' ';
        f->text[at] = '\0';
        room--;
    }
    va_start(ap, format);
    n = vsnprintf(f->text + at, room, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room)
        nsh_foreign_doubt(f, "its length");
}

void nsh_foreign_doubt(struct nsh_foreign_rule *f, const char *format, ...)
{
    va_list ap;

    if (f->why[0] != '\0')
        return;
    va_start(ap, format);
    (void)vsnprintf(f->why, sizeof f->why, format, ap);
    va_end(ap);
}

static bool is_plain(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_-+.,:/@%", *p))
            return false;
    return text[0] != '\0';
}

static bool is_shown(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p < ' ' || *p > '~' || *p == '\'')
            return false;
    return true;
}

/* Of a byte 4 at most, and $''. */
char *nsh_foreign_quote(const char *text)
{
    size_t size = strlen(text) * 4 + 4, at;
    char *quoted = malloc(size);

    if (!quoted || is_plain(text)) {
        if (quoted)
            memcpy(quoted, text, strlen(text) + 1);
        return quoted;
    }
    if (is_shown(text)) {
        (void)snprintf(quoted, size, "'%s'", text);
        return quoted;
    }
    at = (size_t)snprintf(quoted, size, "$'");
    for (const char *p = text; *p; p++)
        at += (size_t)snprintf(quoted + at, size - at,
                *p < ' ' || *p > '~' || *p == '\'' || *p == '\\' ? "\\x%02x" : "%c",
                (unsigned char)*p);
    (void)snprintf(quoted + at, size - at, "'");
    return quoted;
}

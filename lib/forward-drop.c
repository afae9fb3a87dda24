/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "forward-drop.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One word in one command, or nothing if it does not fit. */
static void put(char *buf, size_t size, const char *between, const char *text)
{
    size_t at = strlen(buf);

    if (at + strlen(text) + strlen(between) < size)
        snprintf(buf + at, size - at, "%s%s", at > 0 ? between : "", text);
}

/* nft's names of several devices end in '*'. */
static const char *nft_name(const char *name, char buf[static IFNAMSIZ])
{
    size_t n = strlen(name);

    snprintf(buf, IFNAMSIZ, "%s", name);
    if (n > 0 && buf[n - 1] == '+')
        buf[n - 1] = '*';
    return buf;
}

/* ---- the commands ---- */

static bool is_seen_before(const struct nsh_forward_path *paths, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!paths[k].reply && strcmp(paths[k].in, paths[i].in) == 0)
            return true;
    return false;
}

static const char *protocol_name(const struct nsh_forward_path *p)
{
    return nsh_forward_protocol(p) == IPPROTO_UDP ? "udp" : "tcp";
}

/* What of a port-forward comes in from several devices is let through by one rule. */
static bool is_alike(const struct nsh_forward_path *a, const struct nsh_forward_path *b)
{
    return a->translated && b->translated && a->reply == b->reply && a->protocol == b->protocol &&
           nsh_prefix_cmp(&a->from, &b->from) == 0 && nsh_prefix_cmp(&a->to, &b->to) == 0;
}

static bool is_said_before(const struct nsh_forward_path *paths, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (is_alike(&paths[k], &paths[i]))
            return true;
    return false;
}

static const char *range_text(const struct nsh_range *r, char *buf, size_t size)
{
    if (r->first == r->last)
        snprintf(buf, size, "%u", r->first);
    else
        snprintf(buf, size, "%u-%u", r->first, r->last);
    return buf;
}

/* A zone that accepts all knows interfaces, and lets the answers back in by itself. */
static void firewalld_devices(
        const struct nsh_forward_path *paths, size_t n, char *buf, size_t size)
{
    char one[64], from[NSH_PREFIX_TEXT];

    put(buf, size, "", "firewall-cmd --permanent --zone=trusted");
    for (size_t i = 0; i < n; i++) {
        if (paths[i].reply || is_seen_before(paths, i))
            continue;
        if (paths[i].in[0] != '\0')
            snprintf(one, sizeof one, "--add-interface=%s", paths[i].in);
        else if (paths[i].from.family != AF_UNSPEC)
            snprintf(one, sizeof one, "--add-source=%s", nsh_prefix_format(&paths[i].from, from));
        else
            snprintf(one, sizeof one, "--add-interface=INTERFACE");
        put(buf, size, " ", one);
    }
}

/* What is led elsewhere needs a rule of its own: the devices it comes in by are not to be trusted.
 */
static void firewalld_translated(
        const struct nsh_forward_path *paths, size_t n, char *buf, size_t size)
{
    char one[224], to[NSH_PREFIX_TEXT], ports[16];

    put(buf, size, "",
            "firewall-cmd --permanent --new-policy netshared && firewall-cmd --permanent --policy "
            "netshared --add-ingress-zone ANY --add-egress-zone ANY");
    for (size_t i = 0; i < n; i++) {
        const struct nsh_forward_path *p = &paths[i];

        if (p->reply || is_said_before(paths, i))
            continue;
        snprintf(one, sizeof one,
                "--add-rich-rule 'rule family=%s destination address=%s port port=%s protocol=%s "
                "accept'",
                p->to.family == AF_INET6 ? "ipv6" : "ipv4", nsh_prefix_format(&p->to, to),
                range_text(&p->to_port, ports, sizeof ports), protocol_name(p));
        put(buf, size, " ", one);
    }
}

static void fix_firewalld(const struct nsh_forward_path *paths, size_t n, char *buf, size_t size)
{
    static const char reload[] = " && firewall-cmd --reload";

    if (size <= sizeof reload || n == 0)
        return;
    if (paths[0].translated)
        firewalld_translated(paths, n, buf, size - sizeof reload);
    else
        firewalld_devices(paths, n, buf, size - sizeof reload);
    put(buf, size, "", reload);
}

static __attribute__((format(printf, 3, 4))) void append(
        char *buf, size_t size, const char *format, ...)
{
    size_t at = strlen(buf);
    va_list args;

    va_start(args, format);
    vsnprintf(buf + at, size - at, format, args);
    va_end(args);
}

/* The matches of a rule of nft's, and what it does. */
static void nft_rule(const struct nsh_forward_path *p, char *buf, size_t size)
{
    char name[IFNAMSIZ], prefix[NSH_PREFIX_TEXT], ports[16];
    const char *ip = p->to.family == AF_INET6 || p->from.family == AF_INET6 ? "ip6" : "ip";

    buf[0] = '\0';
    if (!p->translated && p->in[0] != '\0')
        append(buf, size, "iifname \"%s\" ", nft_name(p->in, name));
    if (!p->translated && p->out[0] != '\0')
        append(buf, size, "oifname \"%s\" ", nft_name(p->out, name));
    if (p->from.family != AF_UNSPEC)
        append(buf, size, "%s saddr %s ", ip, nsh_prefix_format(&p->from, prefix));
    if (p->to.family != AF_UNSPEC)
        append(buf, size, "%s daddr %s ", ip, nsh_prefix_format(&p->to, prefix));
    if (p->from_port.last > 0)
        append(buf, size, "%s sport %s ", protocol_name(p),
                range_text(&p->from_port, ports, sizeof ports));
    if (p->to_port.last > 0)
        append(buf, size, "%s dport %s ", protocol_name(p),
                range_text(&p->to_port, ports, sizeof ports));
    if (p->reply)
        append(buf, size, "ct state established,related ");
    else if (p->translated)
        append(buf, size, "ct status dnat ");
    append(buf, size, "accept");
}

static void iptables_rule(const struct nsh_forward_path *p, char *buf, size_t size)
{
    struct nsh_packet_rule r = {.from = p->from,
            .to = p->to,
            .protocol = p->protocol,
            .source_port = p->from_port,
            .destination_port = p->to_port,
            .translated = p->translated && !p->reply,
            .states = p->reply ? NSH_STATE_ESTABLISHED | NSH_STATE_RELATED : 0,
            .action = NSH_PACKET_ACCEPT};

    if (!p->translated) {
        memcpy(r.in, p->in, sizeof r.in);
        memcpy(r.out, p->out, sizeof r.out);
    }
    nsh_packet_rule_format(&r, buf, size);
}

static void one_fix(enum nsh_forward_tool tool, const char *where, const struct nsh_forward_path *p,
        char *buf, size_t size)
{
    char rule[NSH_PACKET_RULE_TEXT];

    if (tool == NSH_FORWARD_IPTABLES)
        iptables_rule(p, rule, sizeof rule);
    else
        nft_rule(p, rule, sizeof rule);
    if (tool == NSH_FORWARD_IPTABLES)
        snprintf(buf, size, "%s %s", where, rule);
    else if (tool == NSH_FORWARD_NFT)
        snprintf(buf, size, "nft 'insert rule %s %s'", where, rule);
    else
        snprintf(buf, size, "'%s'", rule);
}

bool nsh_forward_is_plain(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_./:@+-";

    return name[0] != '-' && name[strspn(name, plain)] == '\0';
}

static bool are_plain(const struct nsh_forward_path *paths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!nsh_forward_is_plain(paths[i].in) || !nsh_forward_is_plain(paths[i].out))
            return false;
    return true;
}

void nsh_forward_fix(enum nsh_forward_tool tool, const char *where,
        const struct nsh_forward_path *paths, size_t n, char *buf, size_t size)
{
    bool owner = tool == NSH_FORWARD_OWNER;
    char one[1024];

    if (tool == NSH_FORWARD_BY_HAND || !are_plain(paths, n)) {
        snprintf(buf, size,
                "accept it there by hand: a name has characters that do not belong in a command");
        return;
    }
    if (owner)
        snprintf(buf, size, "only %s can change it, which has to add", where);
    else
        snprintf(buf, size, "run:");
    if (size <= strlen(buf) + 1)
        return;
    size -= strlen(buf) + 1;
    buf += strlen(buf);
    snprintf(buf, 2, " ");
    buf++;
    if (tool == NSH_FORWARD_FIREWALLD) {
        fix_firewalld(paths, n, buf, size);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_said_before(paths, i))
            continue;
        one_fix(tool, where, &paths[i], one, sizeof one);
        put(buf, size, owner ? " and " : " && ", one);
    }
}

const char *nsh_forward_exit_text(
        const struct nsh_forward_drop *drop, bool ban, char *buf, size_t size)
{
    if (ban) {
        snprintf(buf, size, "%s drops all of a LAN%s%s%s; delete that rule%s, or %s", drop->what,
                drop->rule[0] ? " (" : "", drop->rule, drop->rule[0] ? ")" : "",
                drop->rule[0] ? "" : " ('netshared explain' names it)", drop->fix);
        return buf;
    }
    snprintf(buf, size, "%s drops what is to be masqueraded; %s%s", drop->what,
            drop->hosts ? "make it a share, or " : "", drop->fix);
    return buf;
}

/* ---- what a chain lets through ---- */

/* Who may begin connections from outside is another question than whether any come about. */
static bool is_answered(const struct nsh_forward_path *paths, size_t n, const char *in)
{
    for (size_t i = 0; i < n; i++)
        if (paths[i].reply && strcmp(paths[i].in, in) == 0)
            return true;
    return false;
}

/* Also of one that only guards now. */
static size_t share_paths(const struct nsh_chain *chain, struct nsh_forward_path *ret, size_t max)
{
    const struct nsh_packet_rule *rules = chain->whole ? chain->whole : chain->rules;
    size_t n = 0;

    for (size_t i = 0; i < chain->n_rules && n < max; i++) {
        const struct nsh_packet_rule *r = &rules[i];
        bool reply = r->states & NSH_STATE_ESTABLISHED;

        if (r->action != NSH_PACKET_ACCEPT || r->in[0] == '\0' || r->out[0] == '\0' ||
                strcmp(r->in, r->out) == 0 || r->translated || (r->states && !reply) ||
                (!reply && is_answered(ret, n, r->in)))
            continue;
        ret[n] = (struct nsh_forward_path){.reply = reply};
        memcpy(ret[n].in, r->in, sizeof ret[n].in);
        memcpy(ret[n].out, r->out, sizeof ret[n].out);
        n++;
    }
    return n;
}

static struct nsh_forward_path led_path(const struct nsh_packet_rule *r, const char *device)
{
    bool reply = r->to.family == AF_UNSPEC;
    struct nsh_forward_path p = {.reply = reply,
            .translated = true,
            .from = r->from,
            .to = r->to,
            .protocol = r->protocol,
            .from_port = r->source_port,
            .to_port = r->destination_port};

    memcpy(reply ? p.out : p.in, device, IFNAMSIZ);
    return p;
}

static bool enters_before(const struct nsh_chain *entry, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(entry->rules[k].in, entry->rules[i].in) == 0)
            return true;
    return false;
}

static size_t led_paths(const struct nsh_chain *chain, const struct nsh_chain *entry,
        struct nsh_forward_path *ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; entry && i < entry->n_rules; i++) {
        if (entry->rules[i].in[0] == '\0' || enters_before(entry, i))
            continue;
        for (size_t k = 0; k < chain->n_rules && n < max; k++)
            if (chain->rules[k].action == NSH_PACKET_ACCEPT && chain->rules[k].translated)
                ret[n++] = led_path(&chain->rules[k], entry->rules[i].in);
    }
    return n;
}

size_t nsh_forward_paths(const struct nsh_chain *chain, const struct nsh_chain *entry,
        struct nsh_forward_path *ret, size_t max)
{
    if (chain->kind == NSH_POLICY_PORT_FORWARD)
        return led_paths(chain, entry, ret, max);
    return share_paths(chain, ret, max);
}

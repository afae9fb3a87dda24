/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "forward-drop.h"

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

static bool is_seen_before(const struct nsh_forward_path *paths, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!paths[k].reply && strcmp(paths[k].in, paths[i].in) == 0)
            return true;
    return false;
}

/* A zone that accepts all knows interfaces, and lets the answers back in by itself. */
static void fix_firewalld(const struct nsh_forward_path *paths, size_t n, char *buf, size_t size)
{
    static const char reload[] = " && firewall-cmd --reload";
    char one[64];

    if (size <= sizeof reload)
        return;
    put(buf, size - sizeof reload, "", "firewall-cmd --permanent --zone=trusted");
    for (size_t i = 0; i < n; i++) {
        if (paths[i].reply || is_seen_before(paths, i))
            continue;
        snprintf(one, sizeof one, "--add-interface=%s", paths[i].in);
        put(buf, size - sizeof reload, " ", one);
    }
    put(buf, size, "", reload);
}

void nsh_forward_fix(enum nsh_forward_tool tool, const char *where,
        const struct nsh_forward_path *paths, size_t n, char *buf, size_t size)
{
    char one[320], in[IFNAMSIZ], out[IFNAMSIZ];

    buf[0] = '\0';
    if (tool == NSH_FORWARD_FIREWALLD) {
        fix_firewalld(paths, n, buf, size);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct nsh_forward_path *p = &paths[i];

        if (tool == NSH_FORWARD_NFT)
            snprintf(one, sizeof one, "nft 'insert rule %s iifname \"%s\" oifname \"%s\"%s accept'",
                    where, nft_name(p->in, in), nft_name(p->out, out),
                    p->reply ? " ct state established,related" : "");
        else
            snprintf(one, sizeof one, "%s -i %s -o %s%s -j ACCEPT", where, p->in, p->out,
                    p->reply ? " -m conntrack --ctstate RELATED,ESTABLISHED" : "");
        put(buf, size, " && ", one);
    }
}

/* Who may begin connections from outside is another question than whether any come about. */
static bool is_answered(const struct nsh_forward_path *paths, size_t n, const char *in)
{
    for (size_t i = 0; i < n; i++)
        if (paths[i].reply && strcmp(paths[i].in, in) == 0)
            return true;
    return false;
}

size_t nsh_forward_paths(const struct nsh_chain *chain, struct nsh_forward_path *ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < chain->n_rules && n < max; i++) {
        const struct nsh_packet_rule *r = &chain->rules[i];
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

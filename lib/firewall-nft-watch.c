/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel tells of every transaction: what it changed, piece by piece, and then its end with the
 * new generation, and the process that made it. A change counts from that end on, and only what
 * touched a table of ours counts at all; a table of our name that goes takes all with it. Foreign
 * transactions cost their reading, never a look at our table.
 *
 * There is a filter for our own transactions only. One receive holds many messages of one
 * transaction, of which a filter sees the first: it can't tell that none of them is of ours.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "netlink.h"

#define RECEIVE 65536
/* A foreign program may load some 100,000 elements at once; it is only room, not memory in use. */
#define QUEUE (8 << 20)
#define AT_ONCE 256
#define WAIT_MS 100
#define ALL_TABLES ((1U << NSH_TABLE_COUNT) - 1)

void nsh_nft_watch_init(struct nsh_nft_watch *w)
{
    *w = (struct nsh_nft_watch){.fd = -1};
}

void nsh_nft_watch_done(struct nsh_nft_watch *w)
{
    nsh_closep(&w->fd);
    free(w->buf);
    free(w->sets);
    nsh_nft_watch_init(w);
}

/* What this very process wrote it knows: of a receive all messages are of one sender. */
static int drop_own(int fd, const uint32_t own_ports[static NSH_NFT_SOCKETS])
{
    struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(own_ports[0]), 1, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(own_ports[1]), 0, 1),
            BPF_STMT(BPF_RET | BPF_K, 0),
            BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = NSH_ARRAY_SIZE(code), .filter = code};

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
        return -errno;
    return 0;
}

int nsh_nft_watch_open(struct nsh_nft_watch *w, const uint32_t own_ports[static NSH_NFT_SOCKETS])
{
    const int group = NFNLGRP_NFTABLES, size = QUEUE;
    nsh_autoclose int fd = -1;
    uint32_t port;
    int r;

    if (w->fd >= 0)
        return 0;
    if (!w->buf)
        w->buf = malloc(RECEIVE);
    if (!w->buf)
        return -ENOMEM;
    fd = nsh_nft_socket(SOCK_NONBLOCK, &port);
    if (fd < 0)
        return fd;
    r = drop_own(fd, own_ports);
    if (r < 0)
        return r;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
        return -errno;
    memcpy(w->own_ports, own_ports, sizeof w->own_ports);
    w->fd = NSH_TAKE_FD(fd);
    return 0;
}

/* ---- what is touched ---- */

/* Somebody else's is seen where chains of others are. */
static void touch_thing(struct nsh_nft_watch *w, uint8_t family)
{
    w->pending[nsh_nft_index(family)] |= (uint8_t)(1U << NSH_TABLE_MANGLE);
}

static void touch_sets(struct nsh_nft_watch *w, uint8_t family, const char *name)
{
    if (name && !nsh_set_is_ours(name))
        touch_thing(w, family);
    for (size_t i = 0; i < w->n_sets; i++)
        if (w->sets[i].family == family && (!name || strcmp(w->sets[i].name, name) == 0))
            w->sets[i].pending = true;
}

static void touch_everything(struct nsh_nft_watch *w, uint8_t family)
{
    w->pending[nsh_nft_index(family)] = ALL_TABLES;
    touch_sets(w, family, NULL);
}

/* A chain that was given another name tells that one only. */
static void touch_chain(struct nsh_nft_watch *w, uint8_t family, const char *name)
{
    char contract[NSH_CHAIN_NAME];
    enum nsh_table table;
    int place;
    const struct nsh_nft_hook *hook = name ? nsh_nft_hook_of_chain(name, &place) : NULL;

    if (hook)
        w->pending[nsh_nft_index(family)] |= (uint8_t)(1U << hook->table);
    else if (name && nsh_nft_chain_parse(name, &table, contract))
        w->pending[nsh_nft_index(family)] |= (uint8_t)(1U << table);
    else
        w->pending[nsh_nft_index(family)] = ALL_TABLES;
}

/* What a message is about: its table and, for some, the attribute with a further name. */
static const struct {
    uint16_t type;
    uint16_t name_attr; /* 0: all of the table */
    enum { ALL, CHAIN, SET, THING } what;
} kinds[] = {
        {NFT_MSG_NEWTABLE, 0, ALL},
        {NFT_MSG_DELTABLE, 0, ALL},
        {NFT_MSG_NEWCHAIN, NFTA_CHAIN_NAME, CHAIN},
        {NFT_MSG_DELCHAIN, NFTA_CHAIN_NAME, CHAIN},
        {NFT_MSG_NEWRULE, NFTA_RULE_CHAIN, CHAIN},
        {NFT_MSG_DELRULE, NFTA_RULE_CHAIN, CHAIN},
        {NFT_MSG_NEWSET, NFTA_SET_NAME, SET},
        {NFT_MSG_DELSET, NFTA_SET_NAME, SET},
        {NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_SET, SET},
        {NFT_MSG_DELSETELEM, NFTA_SET_ELEM_LIST_SET, SET},
        {NFT_MSG_NEWOBJ, NFTA_OBJ_NAME, THING},
        {NFT_MSG_NEWFLOWTABLE, NFTA_FLOWTABLE_NAME, THING},
};

_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                       NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1,
        "a table's name is everywhere the first attribute");

static void take_change(struct nsh_nft_watch *w, const struct nlmsghdr *m, uint8_t family)
{
    const char *table = NULL, *name = NULL;
    const struct nlattr *attr;
    size_t kind = 0;

    while (kind < NSH_ARRAY_SIZE(kinds) && kinds[kind].type != (m->nlmsg_type & 0xff))
        kind++;
    if (kind == NSH_ARRAY_SIZE(kinds))
        return;
    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        uint16_t type = mnl_attr_get_type(attr);

        if (type != 1 && type != kinds[kind].name_attr)
            continue;
        if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
            return;
        *(type == 1 ? &table : &name) = mnl_attr_get_str(attr);
        if (table && (name || kinds[kind].name_attr == 0 || strcmp(table, NSH_NFT_TABLE) != 0))
            break;
    }
    if (!table || strcmp(table, NSH_NFT_TABLE) != 0)
        return;
    w->ours = true;
    switch (kinds[kind].what) {
    case ALL:
        touch_everything(w, family);
        break;
    case CHAIN:
        touch_chain(w, family, name);
        break;
    case SET:
        touch_sets(w, family, name);
        break;
    case THING:
        touch_thing(w, family);
        break;
    }
}

static bool names_guest(const struct nlmsghdr *m)
{
    return memmem(mnl_nlmsg_get_payload(m), mnl_nlmsg_get_payload_len(m), NSH_CHAIN_GUEST,
            sizeof NSH_CHAIN_GUEST);
}

static bool is_in_our_table(const struct nlmsghdr *m)
{
    const struct nlattr *attr;

    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(attr) == NFTA_RULE_TABLE)
            return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0 &&
                   strcmp(mnl_attr_get_str(attr), NSH_NFT_TABLE) == 0;
    }
    return false;
}

/*
 * What goes of our jumps in tables of others, or of the chain they lead to, has its name in it. A
 * rule that comes may be one before our jump, and a table that goes take it along: then it is that
 * process or another one, and nobody is certain.
 */
static void take_guest(struct nsh_nft_watch *w, const struct nlmsghdr *m)
{
    switch (m->nlmsg_type & 0xff) {
    case NFT_MSG_DELRULE:
    case NFT_MSG_DELCHAIN:
        w->guest = w->guest || names_guest(m);
        break;
    case NFT_MSG_NEWRULE:
    case NFT_MSG_DELTABLE:
        w->guest = w->guest || !is_in_our_table(m);
        break;
    default:
        break;
    }
}

static void note_evictor(struct nsh_nft_watch *w, const struct nsh_firewall_culprit *who)
{
    if (w->n_evictors == 0 || w->evictor.pid != who->pid)
        w->n_evictors++;
    if (who->pid == 0)
        w->n_evictors = 2; /* nobody is certain */
    w->evictor = *who;
    w->guest = false;
}

bool nsh_nft_watch_evictor(struct nsh_nft_watch *w, struct nsh_firewall_culprit *ret)
{
    bool certain = w->n_evictors == 1 && !w->behind;

    if (certain)
        *ret = w->evictor;
    w->n_evictors = 0;
    return certain;
}

/* ---- the end of a transaction ---- */

static void settle(struct nsh_nft_watch *w)
{
    w->touches++;
    w->ours = false;
    for (int f = 0; f < 2; f++) {
        w->clean[f] &= (uint8_t)~w->pending[f];
        w->pending[f] = 0;
    }
    for (size_t i = 0; i < w->n_sets; i++) {
        w->sets[i].clean = w->sets[i].clean && !w->sets[i].pending;
        w->sets[i].pending = false;
    }
}

/* It goes into the journal: what is no plain letter of a name becomes a '?'. */
static void take_name(char ret[static 16], const struct nlattr *attr)
{
    const char *name = mnl_attr_get_payload(attr);
    size_t n = strnlen(name, mnl_attr_get_payload_len(attr));

    n = n < 15 ? n : 15;
    for (size_t i = 0; i < n; i++)
        ret[i] = isgraph((unsigned char)name[i]) && (unsigned char)name[i] < 0x80 ? name[i] : '?';
    ret[n] = '\0';
}

static void take_end(struct nsh_nft_watch *w, const struct nlmsghdr *m)
{
    struct nsh_firewall_culprit culprit = {0};
    const struct nlattr *attr;

    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        uint16_t type = mnl_attr_get_type(attr);
        bool is_u32 = mnl_attr_validate(attr, MNL_TYPE_U32) == 0;

        if (type == NFTA_GEN_ID && is_u32)
            w->generation = ntohl(mnl_attr_get_u32(attr));
        if (type == NFTA_GEN_PROC_PID && is_u32)
            culprit.pid = ntohl(mnl_attr_get_u32(attr));
        if (type == NFTA_GEN_PROC_NAME)
            take_name(culprit.name, attr);
    }
    if (w->guest)
        note_evictor(w, &culprit);
    if (!w->ours)
        return;
    w->known = culprit.pid != 0;
    w->culprit = culprit;
    settle(w);
}

/* Nobody knows what was lost, or who did it. */
static void take_loss(struct nsh_nft_watch *w)
{
    touch_everything(w, AF_INET);
    touch_everything(w, AF_INET6);
    w->known = false;
    w->guest = false;
    w->n_evictors = 2;
    settle(w);
}

static bool is_own(const struct nsh_nft_watch *w, uint32_t port)
{
    for (size_t i = 0; i < NSH_NFT_SOCKETS; i++)
        if (w->own_ports[i] == port)
            return true;
    return false;
}

static void take_message(struct nsh_nft_watch *w, const struct nlmsghdr *m)
{
    const struct nfgenmsg *g = mnl_nlmsg_get_payload(m);

    if (m->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || is_own(w, m->nlmsg_pid) ||
            mnl_nlmsg_get_payload_len(m) < sizeof *g)
        return;
    if ((m->nlmsg_type & 0xff) == NFT_MSG_NEWGEN) {
        take_end(w, m);
        return;
    }
    take_guest(w, m);
    if (g->nfgen_family == AF_INET || g->nfgen_family == AF_INET6)
        take_change(w, m, g->nfgen_family);
}

/*
 * Whoever writes as fast as this reads does not keep it here. Once some are lost the kernel drops
 * all the others as well, without saying so again, until what is queued has been read: what happens
 * until then is lost, too.
 */
bool nsh_nft_watch_take(struct nsh_nft_watch *w)
{
    for (int i = 0; w->fd >= 0 && i < AT_ONCE; i++) {
        ssize_t n = nsh_netlink_receive(w->fd, w->buf, RECEIVE, 0);
        const struct nlmsghdr *m = (const struct nlmsghdr *)w->buf;
        int left = (int)n;

        if (n < 0 && n != -ENOBUFS && n != -EMSGSIZE) {
            if (w->lost)
                take_loss(w);
            w->lost = w->behind = false;
            return true;
        }
        w->lost = w->lost || n < 0;
        for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
            take_message(w, m);
    }
    if (w->lost)
        take_loss(w);
    w->behind = w->fd >= 0;
    return !w->behind;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void nsh_nft_watch_wait(struct nsh_nft_watch *w, uint32_t generation)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    int64_t rest = WAIT_MS, end = now_ms() + rest;

    nsh_nft_watch_take(w);
    while ((int32_t)(w->generation - generation) <= 0 && rest > 0 && poll(&p, 1, (int)rest) > 0) {
        nsh_nft_watch_take(w);
        rest = end - now_ms();
    }
}

/* ---- marks ---- */

void nsh_nft_watch_mark(struct nsh_nft_watch *w, int family, enum nsh_table table, bool clean)
{
    uint8_t bit = (uint8_t)(1U << table);

    if (clean)
        w->clean[nsh_nft_index(family)] |= bit;
    else
        w->clean[nsh_nft_index(family)] &= (uint8_t)~bit;
}

bool nsh_nft_watch_changed(const struct nsh_nft_watch *w, int family, enum nsh_table table)
{
    return !(w->clean[nsh_nft_index(family)] & (1U << table));
}

static struct nsh_nft_set_mark *find_set(
        const struct nsh_nft_watch *w, int family, const char *name)
{
    for (size_t i = 0; i < w->n_sets; i++)
        if (w->sets[i].family == family && strcmp(w->sets[i].name, name) == 0)
            return &w->sets[i];
    return NULL;
}

int nsh_nft_watch_mark_set(struct nsh_nft_watch *w, int family, const char *name, bool clean)
{
    struct nsh_nft_set_mark *s = find_set(w, family, name);

    if (!s && w->n_sets == w->max_sets) {
        size_t max = w->max_sets ? w->max_sets * 2 : 8;
        struct nsh_nft_set_mark *sets = reallocarray(w->sets, max, sizeof *sets);

        if (!sets)
            return -ENOMEM;
        w->sets = sets;
        w->max_sets = max;
    }
    if (!s) {
        s = &w->sets[w->n_sets++];
        *s = (struct nsh_nft_set_mark){.family = (uint8_t)family};
        snprintf(s->name, sizeof s->name, "%s", name);
    }
    s->clean = clean;
    return 0;
}

bool nsh_nft_watch_set_changed(const struct nsh_nft_watch *w, int family, const char *name)
{
    const struct nsh_nft_set_mark *s = find_set(w, family, name);

    return !s || !s->clean;
}

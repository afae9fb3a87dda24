/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The search for flows that a change of policies translates otherwise. Each flow costs as much as
 * there are rules that may be about it, so a step ends when it has looked at so many, in the middle
 * of a piece if need be.
 */
#include "conntrack-netlink.h"

#include <errno.h>
#include <netlink/msg.h>

#include "conntrack-change.h"
#include "ipsec.h"

/* Of one step, in rules; a look-up of the way counts as many. */
#define WORK_MAX 50000
#define WORK_LOOKUP 100

int nsh_conntrack_begin_changed(struct nsh_conntrack *ct, int family)
{
    return nsh_ct_begin(ct, family, true);
}

static void see_address(void *userdata, const struct nsh_fib_address *a)
{
    struct nsh_conntrack *ct = userdata;

    if (a->family != ct->family || a->secondary || nsh_ct_addr_stays(a->family, &a->address) ||
            ct->n_addresses == NSH_CT_ADDRESSES_MAX)
        return;
    ct->addresses[ct->n_addresses].ifindex = a->ifindex;
    ct->addresses[ct->n_addresses++].address = a->address;
}

/* What is asked once in a pass. */
static int survey(struct nsh_conntrack *ct, struct nsh_fib *fib)
{
    int r;

    ct->n_addresses = 0;
    ct->plain = nsh_ipsec_unused();
    r = fib->ops->addresses(fib, see_address, ct);
    ct->surveyed = r == 0;
    return r;
}

static const struct nsh_chain *judge_changed(struct nsh_conntrack *ct, struct nsh_fib *fib,
        struct nsh_change *change, const struct nsh_ct_entry *e)
{
    union nsh_addr of_device[NSH_CT_ADDRESSES_MAX];
    struct nsh_ct_way way = {.addresses = of_device, .plain = ct->plain};
    const struct nsh_ct_answer *a;

    if (e->dying || e->related || !nsh_change_concerns(change, e, ct->plain))
        return NULL;
    change->work += WORK_LOOKUP;
    a = nsh_ct_way_out(ct, fib, e);
    way.out = a->out;
    for (size_t i = 0; i < ct->n_addresses; i++)
        if (ct->addresses[i].ifindex == a->ifindex)
            of_device[way.n_addresses++] = ct->addresses[i].address;
    return nsh_change_judge(change, e, &way);
}

static int look_at_changed(struct nsh_conntrack *ct, struct nsh_fib *fib, struct nsh_change *change,
        struct nlmsghdr *h)
{
    struct nsh_ct_memory *memory = nsh_ct_memory(ct);
    const struct nsh_chain *whose = NULL;
    struct nsh_ct_entry e;
    int r = nsh_ct_message(h);

    if (r <= 0 || !nsh_ct_entry_parse(h, ct->family, &e))
        return r;
    if (!nsh_ct_memory_has(memory, &e.began)) {
        whose = change ? judge_changed(ct, fib, change, &e) : NULL;
        if (!whose)
            return 1;
        nsh_ct_memory_add(memory, &e.answers);
    }
    r = nsh_ct_delete(ct, &e, whose);
    return r < 0 ? r : 1;
}

/* A piece may take several steps: where there are many rules, each entry takes its time. */
int nsh_conntrack_step_changed(struct nsh_conntrack *ct, struct nsh_fib *fib,
        struct nsh_change *change, nsh_flow_dropped *dropped, void *userdata)
{
    int r = 1, flushed;

    if (!ct->running)
        return -EINVAL;
    ct->dropped = dropped;
    ct->userdata = userdata;
    if (!ct->surveyed)
        r = survey(ct, fib);
    if (r == -EAGAIN)
        return 1;
    if (r < 0)
        return nsh_ct_finish(ct, r);
    if (ct->piece_at == ct->piece_size) {
        ct->piece_size = nsh_ct_receive(ct);
        ct->piece_at = 0;
        if (ct->piece_size < 0)
            return nsh_ct_finish(ct, ct->piece_size);
    }
    if (change)
        change->work = 0;
    for (r = 1; r == 1 && (!change || change->work < WORK_MAX);) {
        struct nlmsghdr *h = (struct nlmsghdr *)(ct->piece + ct->piece_at);

        if (!nlmsg_ok(h, ct->piece_size - ct->piece_at)) {
            ct->piece_at = ct->piece_size;
            break;
        }
        ct->piece_at += (int)NLMSG_ALIGN(h->nlmsg_len);
        if (h->nlmsg_seq == ct->dump_seq)
            r = look_at_changed(ct, fib, change, h);
    }
    flushed = nsh_ct_delete_flush(ct);
    if (flushed < 0)
        r = flushed;
    return r == 1 ? 1 : nsh_ct_finish(ct, r);
}

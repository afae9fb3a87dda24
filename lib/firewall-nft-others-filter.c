/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter, run by the kernel, of what tells that others begin to translate: programs that change
 * rules all the time do not wake this process.
 *
 * One receive holds many messages of a transaction, and a filter has no loops: so the program has
 * a piece for each message that fits into what the kernel puts together, a page at most, or for as
 * many as there is room for. Whatever has more of them passes. A load behind the end of the packet
 * drops it, which is how the walk ends.
 *
 * What passes: a new chain of type "nat"; a new rule in a chain whose name, and that of its table,
 * have a key that is asked for. It is made of their first letters, so that another rule passes now
 * and then.
 *
 * Words are loaded as big-endian, hence the htons of fields in the host's order.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* Of the shortest, which have 56 bytes, in a page of 4 KiB without what the kernel puts there. */
#define MESSAGES 68
/* Instructions of a piece, at most. */
#define PIECE_MAX (51 + NSH_NFT_OTHERS_KEYS)
#define ATTRIBUTES (NLMSG_HDRLEN + sizeof(struct nfgenmsg))
#define MIXER 0x9e3779b1U
#define TYPE(message) htons(NFNL_SUBSYS_NFTABLES << 8 | (message))
/* BPF_K is 0, as BPF_ADD is. */
#define ADD (BPF_ALU | BPF_K)
/* "nat" with its NUL. */
#define NAT 0x6e617400U

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum { LENGTH_LOW, LENGTH_HIGH };
#else
enum { LENGTH_HIGH = 2, LENGTH_LOW };
#endif

/* Cells of the filter's memory. */
enum { AT, ATTRIBUTES_AT, SCRATCH };

_Static_assert(MESSAGES *PIECE_MAX + 3 <= BPF_MAXINSNS, "the kernel takes programs of that size");

struct program {
    struct sock_filter code[BPF_MAXINSNS];
    size_t n;
    size_t to_next[8]; /* jumps to where the next message begins */
    size_t n_to_next;
};

static size_t put(struct program *p, struct sock_filter insn)
{
    p->code[p->n] = insn;
    return p->n++;
}

static void op(struct program *p, uint16_t code, uint32_t k)
{
    put(p, (struct sock_filter)BPF_STMT(code, k));
}

static void leave_unless(struct program *p, uint32_t k)
{
    p->to_next[p->n_to_next++] =
            put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 0));
}

static void pass(struct program *p)
{
    op(p, BPF_RET | BPF_K, UINT32_MAX);
}

/* ---- pieces ---- */

/* X becomes the place of an attribute of this message. It has one, or the next message begins. */
static void find_attribute(struct program *p, uint32_t type)
{
    op(p, BPF_LD | BPF_MEM, ATTRIBUTES_AT);
    op(p, BPF_LDX | BPF_IMM, type);
    op(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR));
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
    p->to_next[p->n_to_next++] = put(p, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
    op(p, BPF_MISC | BPF_TAX, 0);
}

static void begin_message(struct program *p)
{
    op(p, BPF_LDX | BPF_MEM, AT);
    op(p, BPF_MISC | BPF_TXA, 0);
    op(p, ADD, ATTRIBUTES);
    op(p, BPF_ST, ATTRIBUTES_AT);
    op(p, BPF_LD | BPF_H | BPF_IND, offsetof(struct nlmsghdr, nlmsg_type));
}

/* A length of more than 64 KiB, which no message has, would be cut. */
static void end_message(struct program *p)
{
    for (size_t i = 0; i < p->n_to_next; i++) {
        struct sock_filter *jump = &p->code[p->to_next[i]];
        size_t over = p->n - p->to_next[i] - 1;

        if (BPF_OP(jump->code) == BPF_JA)
            jump->k = (uint32_t)over;
        else
            jump->jf = (uint8_t)over;
    }
    p->n_to_next = 0;
    op(p, BPF_LDX | BPF_MEM, AT);
    op(p, BPF_LD | BPF_B | BPF_IND, LENGTH_HIGH);
    op(p, BPF_ALU | BPF_LSH | BPF_K, 8);
    op(p, BPF_ST, SCRATCH);
    op(p, BPF_LD | BPF_B | BPF_IND, LENGTH_LOW);
    op(p, BPF_LDX | BPF_MEM, SCRATCH);
    op(p, BPF_ALU | BPF_OR | BPF_X, 0);
    op(p, ADD, NLMSG_ALIGNTO - 1);
    op(p, BPF_ALU | BPF_AND | BPF_K, ~(NLMSG_ALIGNTO - 1));
    op(p, BPF_LDX | BPF_MEM, AT);
    op(p, BPF_ALU | BPF_ADD | BPF_X, 0);
    op(p, BPF_ST, AT);
}

/* The type is in the accumulator before and, where it is no new chain, after. */
static void judge_chain(struct program *p)
{
    size_t other = put(p,
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TYPE(NFT_MSG_NEWCHAIN), 0, 0));

    find_attribute(p, NFTA_CHAIN_TYPE);
    op(p, BPF_LD | BPF_W | BPF_IND, NLA_HDRLEN);
    leave_unless(p, NAT);
    pass(p);
    p->code[other].jf = (uint8_t)(p->n - other - 1);
}

/* As nsh_nft_others_key does. */
static void load_key(struct program *p)
{
    find_attribute(p, NFTA_RULE_TABLE);
    op(p, BPF_LD | BPF_W | BPF_IND, NLA_HDRLEN);
    op(p, BPF_ALU | BPF_MUL | BPF_K, MIXER);
    op(p, BPF_ST, SCRATCH);
    find_attribute(p, NFTA_RULE_CHAIN);
    op(p, BPF_LD | BPF_H | BPF_IND, offsetof(struct nlattr, nla_len));
    op(p, BPF_ST, SCRATCH + 1);
    op(p, BPF_LD | BPF_W | BPF_IND, NLA_HDRLEN);
    op(p, BPF_LDX | BPF_MEM, SCRATCH);
    op(p, BPF_ALU | BPF_ADD | BPF_X, 0);
    op(p, BPF_LDX | BPF_MEM, SCRATCH + 1);
    op(p, BPF_ALU | BPF_ADD | BPF_X, 0);
}

static void judge_rule(struct program *p, const struct nsh_nft_others *o)
{
    if (o->n_empty == 0)
        return;
    leave_unless(p, TYPE(NFT_MSG_NEWRULE));
    if (o->n_empty <= NSH_NFT_OTHERS_KEYS)
        load_key(p);
    for (size_t i = 0; o->n_empty <= NSH_NFT_OTHERS_KEYS && i + 1 < o->n_empty; i++)
        put(p, (struct sock_filter)BPF_JUMP(
                       BPF_JMP | BPF_JEQ | BPF_K, o->empty[i], (uint8_t)(o->n_empty - i - 1), 0));
    if (o->n_empty <= NSH_NFT_OTHERS_KEYS)
        leave_unless(p, o->empty[o->n_empty - 1]);
    pass(p);
}

/* ---- the whole ---- */

static uint32_t first_letters(const char *name)
{
    uint32_t word = 0;

    for (size_t i = 0; i < sizeof word && name[i]; i++)
        word |= (uint32_t)(uint8_t)name[i] << (24 - 8 * i);
    return word;
}

uint32_t nsh_nft_others_key(const char *table, const char *chain)
{
    return first_letters(table) * MIXER + first_letters(chain) +
           htons((uint16_t)(NLA_HDRLEN + strlen(chain) + 1));
}

static int attach(int fd, const struct nsh_nft_others *o, int messages)
{
    struct program p = {.n = 0};
    struct sock_fprog program = {.filter = p.code};

    op(&p, BPF_LD | BPF_IMM, 0);
    op(&p, BPF_ST, AT);
    for (int i = 0; i < messages; i++) {
        begin_message(&p);
        judge_chain(&p);
        judge_rule(&p, o);
        end_message(&p);
    }
    pass(&p);
    program.len = (unsigned short)p.n;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

/*
 * A socket has little room for filters (net.core.optmem_max, 20 KiB before Linux 6.7), and none for
 * an old one and a new one. Until the new one is there all passes, which does no harm.
 */
int nsh_nft_others_filter(int fd, const struct nsh_nft_others *o)
{
    int messages = MESSAGES, r;

    (void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &messages, sizeof messages);
    do
        r = attach(fd, o, messages);
    while (r == -ENOMEM && (messages /= 2) > 0);
    return r;
}

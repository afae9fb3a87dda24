/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chains of others that drop what is forwarded. An accept holds only in the rule set, and on
 * nftables in the base chain, in which it stands: a packet that a policy lets through may be
 * dropped elsewhere.
 *
 * What can't be judged, such as a match of addresses, is taken to be in the policy's favour:
 * nothing is said unless it is certain that connections can't come about.
 */
#pragma once

#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>

#include "packet.h"

/* Whether a rule of others matches a packet of a path. */
enum nsh_certainty {
    NSH_NO,
    NSH_MAYBE, /* it depends on what is not known of the packet, or of the rule */
    NSH_YES,
};

/* Where rules see a packet. */
enum nsh_hook {
    NSH_HOOK_FORWARD,
    NSH_HOOK_PREROUTING,
    NSH_HOOK_INPUT,
    NSH_HOOK_OUTPUT,
    NSH_HOOK_POSTROUTING,
};

/* A connection's packets in one direction; a name that ends in '+' stands for several devices. */
struct nsh_forward_path {
    uint8_t hook;   /* enum nsh_hook */
    bool opening;   /* the first packet, or the first answer: a SYN */
    bool untracked; /* nothing is known of its connection yet */
    bool marked;    /* its mark is known */
    uint32_t mark;
    bool back_known, back;            /* the way back to its source leaves by `in` */
    char in[IFNAMSIZ], out[IFNAMSIZ]; /* "": not known */
    bool reply;                       /* of a connection that the other side began */
    bool translated;                  /* its destination was led elsewhere */
    bool vague;                       /* its ports may be any */
    struct nsh_prefix from, to;       /* one address; AF_UNSPEC: not known */
    struct nsh_prefix net;            /* with all that is like who began it; AF_UNSPEC: anybody */
    uint8_t protocol;                 /* 0: TCP as well as others */
    struct nsh_range from_port, to_port; /* 0-0: one that no rule is about */
};

/* What rules do to a packet that goes on. */
enum nsh_effect {
    NSH_EFFECT_MARKS,
    NSH_EFFECT_LEADS,    /* elsewhere: it gets another destination */
    NSH_EFFECT_UNTRACKS, /* its connection is not known, and nothing translates it */
    NSH_EFFECT_COUNT,
};
#define NSH_EFFECT(effect) (1U << (effect))

/* What becomes of a rule that may match. */
enum nsh_mood {
    NSH_MOOD_BELIEVES, /* it accepts, or does nothing */
    NSH_MOOD_HOPES,    /* whatever is best for the packet */
    NSH_MOOD_DOUBTS,   /* whatever is worst for it */
};

struct nsh_forward_drop {
    bool hosts;     /* a jump of ours can stand there, which a share would have */
    bool named;     /* drops() alone: the rule names what it drops, so somebody means it */
    char what[160]; /* "nftables chain ip filter FORWARD"; plain words alone */
    char fix[768];  /* "run: " and the commands that let it through, or who has to */
    char rule[256]; /* drops() alone: as its program shows it; "": it is the chain's policy */
    bool doubtful;  /* drops() alone: it may, which depends on what is not known */
    /* drops() alone, whatever it says: rules that may have one; "": none has. */
    char effects[NSH_EFFECT_COUNT][256];
};

/* How what accepts a path is written. */
enum nsh_forward_tool {
    NSH_FORWARD_FIREWALLD,
    NSH_FORWARD_NFT,
    NSH_FORWARD_IPTABLES,
    NSH_FORWARD_OWNER,   /* nobody else can: the rules alone */
    NSH_FORWARD_BY_HAND, /* its name is no plain word: no command */
};

/*
 * Whether a name of the kernel's, which is anybody's bytes, may stand in a command that somebody is
 * told to run as root: letters, digits and "_./:@+-", and no "-" at its beginning. No shell reads
 * anything else in that, and nft takes nothing else for the name of a table or chain.
 */
bool nsh_forward_is_plain(const char *name);

/*
 * What helps for all the paths, as much as there is room for. `where`: for nft family, table and
 * chain, for iptables program and chain, as "iptables-nft -I FORWARD"; for an owner who it is.
 * Where a device's name is no plain word no command is told, but what to do.
 */
void nsh_forward_fix(enum nsh_forward_tool tool, const char *where,
        const struct nsh_forward_path *paths, size_t n, char *buf, size_t size);
/* What is told of a masquerade policy; `ban`: of a share. */
const char *nsh_forward_exit_text(
        const struct nsh_forward_drop *drop, bool ban, char *buf, size_t size);
/*
 * What a policy's filter chain accepts, as paths, `max` at most. Of a share those rules that let
 * all through between two devices, without what may be begun from outside; of a port-forward the
 * way there and back, for each device by which connections come in: these are what `entry`, its
 * chain in PREROUTING, names. `entry` may be NULL. Returns how many.
 */
size_t nsh_forward_paths(const struct nsh_chain *chain, const struct nsh_chain *entry,
        struct nsh_forward_path *ret, size_t max);

/*
 * All that passes between the devices of a path, and the answers; of what was led elsewhere only
 * what leads there. For nsh_forward_fix. Returns how many (forward-general.c).
 */
size_t nsh_forward_general(const struct nsh_forward_path *path, struct nsh_forward_path ret[2]);
/* The same, begun from its network alone: what is to be let through. */
size_t nsh_forward_like(const struct nsh_forward_path *path, struct nsh_forward_path ret[2]);

/* The port of a packet that no rule is about, and those of a path. */
#define NSH_FORWARD_PORT 64999U
static inline uint16_t nsh_forward_port(const struct nsh_range *ports)
{
    return (uint16_t)(ports->last > 0 ? ports->first : NSH_FORWARD_PORT);
}
static inline uint8_t nsh_forward_protocol(const struct nsh_forward_path *p)
{
    return p->protocol ? p->protocol : IPPROTO_TCP;
}
/* Of an opening one: SYN, and ACK in the answer. */
static inline uint8_t nsh_forward_tcp_flags(const struct nsh_forward_path *p)
{
    return p->reply ? TH_SYN | TH_ACK : TH_SYN;
}
/* Of a path of ICMP: what ping sends, or the answer to that. */
static inline uint8_t nsh_forward_icmp_type(const struct nsh_forward_path *p)
{
    if (p->protocol == IPPROTO_ICMPV6)
        return p->reply ? ICMP6_ECHO_REPLY : ICMP6_ECHO_REQUEST;
    return p->reply ? ICMP_ECHOREPLY : ICMP_ECHO;
}

/* "PREROUTING" */
const char *nsh_forward_hook_name(enum nsh_hook hook);
/* This packet alone, as what accepts it at its hook can say it. */
struct nsh_forward_path nsh_forward_alone(const struct nsh_forward_path *path);
/*
 * What is kept of one chain after another: `found` that it drops, or may, and how, or only which
 * rules have effects. True: it does for certain, and there is nothing more to ask.
 */
bool nsh_forward_found(
        struct nsh_forward_drop *all, bool found, const struct nsh_forward_drop *one);

/* ---- rules of iptables, in its own tables or in nftables' (forward-xt*.c) ---- */

/* What a match says of the first, or of a later, packet. */
enum nsh_certainty nsh_forward_xt_match(const char *name, unsigned revision, const void *info,
        size_t size, const struct nsh_forward_path *path);
/* DROP and REJECT. */
bool nsh_forward_xt_drops(const char *target);
/* The packet goes on, or to where it is led: a target that is neither may do anything with it. */
bool nsh_forward_xt_spares(const char *target);
/* It gives the packet another address, which ends the way through its table. */
bool nsh_forward_xt_translates(const char *target);
/* NSH_EFFECT()s that it may have. */
unsigned int nsh_forward_xt_effects(
        const char *target, unsigned int revision, const void *info, size_t size);
/* It names what it takes: an address, a port or a mark, and not all but that. */
bool nsh_forward_xt_names(const char *name, unsigned revision, const void *info, size_t size);

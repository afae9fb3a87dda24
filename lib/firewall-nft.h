/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the nftables adapter share. Only they know libnftnl and libmnl.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "firewall.h"
#include "set-aside.h"

#define NSH_NFT_TABLE "netshared"
/* Longest name of a chain of ours, with its NUL: "mangle-", a policy, a suffix. */
#define NSH_NFT_NAME 32
/* Room for the comment of a jump: what a policy is, and its name. */
#define NSH_NFT_COMMENT 64

NSH_DEFINE_CLEANUP(struct nftnl_rule *, nftnl_rule_free)
NSH_DEFINE_CLEANUP(struct nftnl_chain *, nftnl_chain_free)

static inline int nsh_nft_index(int family)
{
    return family == AF_INET6;
}

/* ---- names (firewall-nft-names.c) ---- */

/* Base chains of one hook: what has position first, and the rest. */
#define NSH_NFT_PLACES 2

struct nsh_nft_hook {
    enum nsh_table table;
    const char *name;                   /* as iptables calls it: "POSTROUTING" */
    const char *chains[NSH_NFT_PLACES]; /* of the base chains, the first one first */
    const char *type;                   /* "nat", "filter", "route" */
    uint32_t number;                    /* NF_INET_* */
    int32_t priorities[NSH_NFT_PLACES];
};

extern const struct nsh_nft_hook nsh_nft_hooks[];
extern const size_t nsh_nft_n_hooks;

const struct nsh_nft_hook *nsh_nft_hook_find(enum nsh_table table, const char *name);
/* The hook and the place a base chain of ours is for; NULL: it is none. */
const struct nsh_nft_hook *nsh_nft_hook_of_chain(const char *chain, int *ret_place);
/* "NETSHARED-home" of the table nat is "nat-home" here, and back. */
void nsh_nft_chain_name(enum nsh_table table, const char *chain, char ret[static NSH_NFT_NAME]);
bool nsh_nft_chain_parse(
        const char *name, enum nsh_table *ret_table, char ret_chain[static NSH_CHAIN_NAME]);
/* Of the jump to a chain of the contract: the policy's name, and what it is: "masquerade home". */
void nsh_nft_comment_make(enum nsh_policy_kind kind, const char *chain, char *ret, size_t size);
/* NSH_POLICY_NONE: it says something else. */
enum nsh_policy_kind nsh_nft_comment_parse(const char *comment, const char *chain);
/* "IPv4", "IPv6"; "ip", "ip6". */
const char *nsh_nft_title(int family);
const char *nsh_nft_family_name(int family);

/* ---- the socket (firewall-nft-channel.c) ---- */

struct nsh_nft_channel {
    int fd; /* -1: not open */
    uint32_t port, seq;
    uint8_t *buf; /* of one receive */
    bool stops;   /* -E2BIG from who takes an answer closes it: else the rest of it is read */
};

void nsh_nft_channel_init(struct nsh_nft_channel *c);
void nsh_nft_channel_done(struct nsh_nft_channel *c);
int nsh_nft_channel_open(struct nsh_nft_channel *c);
/* Netlink of this kind, made and bound. */
int nsh_nft_socket(int flags, uint32_t *ret_port);

/* A message into `buf` (of MNL_SOCKET_BUFFER_SIZE at least); then attributes, then it is sent. */
struct nlmsghdr *nsh_nft_request(
        struct nsh_nft_channel *c, void *buf, int family, uint16_t type, uint16_t flags);
/*
 * Sends it and hands every answer to `seen`, until the last. 0, negative errno, or what `seen`
 * returned other than 0. -EINTR: the kernel's table changed while it was dumped.
 */
int nsh_nft_ask(struct nsh_nft_channel *c, const struct nlmsghdr *request,
        int (*seen)(const struct nlmsghdr *answer, void *userdata), void *userdata);
/* The kernel's generation: it counts the transactions of all programs in this network namespace. */
int nsh_nft_generation(struct nsh_nft_channel *c, uint32_t *ret);

/* ---- answers with expressions in them (firewall-nft-parse.c) ---- */

/* 0, or -EPROTO: no such message, or one that libnftnl can't be trusted with. */
int nsh_nft_parse_rule(const struct nlmsghdr *m, struct nftnl_rule *ret);
int nsh_nft_parse_set(const struct nlmsghdr *m, struct nftnl_set *ret);
/* Adds those of the message to the set. */
int nsh_nft_parse_elements(const struct nlmsghdr *m, struct nftnl_set *ret);

/* ---- one transaction (firewall-nft-batch.c) ---- */

/* Step of messages that belong to none. */
#define NSH_NFT_NO_STEP UINT32_MAX

struct nsh_nft_message {
    size_t at;
    uint32_t step;
};

struct nsh_nft_batch {
    uint8_t *bytes;
    size_t size, max;
    struct nsh_nft_message *messages; /* by sequence number - 1 */
    size_t n_messages, messages_max;
    uint32_t step; /* of what is put in from now on */
    int error;     /* no memory: nothing is put in any more */
};

struct nsh_nft_failure {
    int error; /* negative errno */
    uint32_t step;
    uint16_t type;       /* NFT_MSG_*: of the message that was refused */
    char expression[24]; /* the expression the kernel points at, or "" */
    char said[96];       /* the kernel's own words, or "" */
};

void nsh_nft_batch_init(struct nsh_nft_batch *b);
void nsh_nft_batch_done(struct nsh_nft_batch *b);
/* Room for a message with attributes of up to 64 KiB. NULL: no memory. */
struct nlmsghdr *nsh_nft_batch_open(
        struct nsh_nft_batch *b, uint16_t type, int family, uint16_t flags);
void nsh_nft_batch_close(struct nsh_nft_batch *b, const struct nlmsghdr *message);
/*
 * All of it or nothing. `generation` 0: whatever was written meanwhile. OK, RACED, or negative
 * errno with the first message that was refused. With `check` the kernel only says what it would
 * do.
 */
int nsh_nft_batch_send(struct nsh_nft_channel *c, struct nsh_nft_batch *b, uint32_t generation,
        bool check, struct nsh_nft_failure *ret);

/* ---- rules (firewall-nft-encode.c, firewall-nft-decode.c) ---- */

/* Adds the expressions to an empty rule. `source`: a NETMAP is of the source address. -EINVAL: a
 * rule that can't be written. */
int nsh_nft_encode(int family, enum nsh_table table, const struct nsh_packet_rule *rule,
        bool source, struct nftnl_rule *into);
/* The same for a rule that is a guest in a table of the family `table`, NFPROTO_*. */
struct nsh_nft_guest_style {
    uint32_t table;
    bool iptables; /* iptables-nft reads it */
};
int nsh_nft_encode_guest(const struct nsh_nft_guest_style *style, int family,
        const struct nsh_packet_rule *rule, struct nftnl_rule *into);
/* As nft writes it; the text is shown behind the rule. */
int nsh_nft_set_comment(struct nftnl_rule *rule, const char *comment);
/* They say the same, counters and comments aside. */
bool nsh_nft_rule_same(const struct nftnl_rule *a, const struct nftnl_rule *b);
/*
 * `ret_refers` is the chain a verdict leads to, whatever else the rule says; "": none, or one whose
 * name is too long to be ours.
 */
void nsh_nft_decode(int family, enum nsh_table table, const struct nftnl_rule *seen,
        struct nsh_packet_rule *ret, char ret_refers[static NSH_NFT_NAME]);

/* ---- what stands in our table (firewall-nft-look.c) ---- */

struct nsh_nft_rule {
    uint64_t handle; /* 0: put in by the transaction that is being made, which calls it: */
    uint32_t id;
    struct nsh_packet_rule value;
    struct nsh_traffic traffic;
    char refers[NSH_NFT_NAME];
    enum nsh_policy_kind kind; /* of a jump's policy, as its comment says; NONE: it does not */
};

/* What is kept in our table, in the place of a chain if it is not ours. */
enum nsh_nft_thing { NSH_NFT_CHAIN, NSH_NFT_SET, NSH_NFT_OBJECT, NSH_NFT_FLOWTABLE };

struct nsh_nft_chain {
    char *name;
    enum nsh_table table;
    char contract[NSH_CHAIN_NAME];   /* the name in the contract; "" for base chains */
    const struct nsh_nft_hook *hook; /* of base chains */
    int place;
    bool whole;          /* base chains: hook, type, priority and policy are as they must be */
    bool gone;           /* by the transaction that is being made */
    uint32_t references; /* from rules and maps */
    enum nsh_nft_thing thing;
    bool is_map;   /* of a set */
    uint32_t type; /* of an object */
    struct nsh_nft_rule *rules;
    size_t n_rules, max_rules;
};

struct nsh_nft_look {
    bool valid;
    int family;
    uint32_t generation;
    bool table;                    /* there is one */
    bool dormant;                  /* it is switched off */
    bool obscure;                  /* a rule that could not be read may refer to anything */
    size_t n_sets;                 /* of ours */
    struct nsh_nft_chain **chains; /* of ours, in the kernel's order */
    size_t n_chains, max_chains;
    void *index; /* of tsearch(3), by name */
};

void nsh_nft_look_done(struct nsh_nft_look *l);
/* -EAGAIN: somebody writes all the time. */
int nsh_nft_look_take(struct nsh_nft_channel *c, int family, struct nsh_nft_look *ret);
struct nsh_nft_chain *nsh_nft_look_find(const struct nsh_nft_look *l, const char *name);
/* NULL: no memory. */
struct nsh_nft_chain *nsh_nft_look_add(struct nsh_nft_look *l, const char *name);
/* Somebody else's, which goes as a chain without a wanted name does. NULL: no memory. */
struct nsh_nft_chain *nsh_nft_look_add_thing(
        struct nsh_nft_look *l, enum nsh_nft_thing thing, const char *name, uint64_t handle);
struct nsh_nft_rule *nsh_nft_chain_insert(struct nsh_nft_chain *c, size_t at);
void nsh_nft_chain_remove(struct nsh_nft_chain *c, size_t at);
/* The base chains of a hook, NULL where there is none. */
void nsh_nft_look_bases(const struct nsh_nft_look *l, const struct nsh_nft_hook *hook,
        struct nsh_nft_chain *ret[static NSH_NFT_PLACES]);
/*
 * False: they are not as they must be (of another kind, with a rule of somebody else, switched
 * off), and are to be made anew. It goes through all their rules.
 */
bool nsh_nft_look_good(
        const struct nsh_nft_look *l, struct nsh_nft_chain *const bases[static NSH_NFT_PLACES]);

/* ---- what is in our table beside chains (firewall-nft-things.c) ---- */

int nsh_nft_look_take_things(struct nsh_nft_channel *c, struct nsh_nft_look *l);
/* An expression of a rule that stays: what it refers to can't go. For nftnl_expr_foreach. */
int nsh_nft_look_refer(struct nftnl_expr *x, void *look);
int nsh_nft_put_thing_delete(struct nsh_nft_batch *b, int family, const struct nsh_nft_chain *c);

/* ---- operations (firewall-nft-commit.c) ---- */

/*
 * The messages for the steps, made from `l`, which is spoilt by it. OK, RACED, or negative errno
 * with words.
 */
int nsh_nft_edit(struct nsh_nft_look *l, enum nsh_table table, const struct nsh_firewall_op *ops,
        size_t n, struct nsh_nft_batch *b, char *ret_why, size_t size);

/* ---- words (firewall-nft-words.c) ---- */

/* Why, and what to do. `chain` may be NULL. */
void nsh_nft_words(
        int family, const char *chain, const struct nsh_nft_failure *f, char *buf, size_t size);
int nsh_nft_probe(
        struct nsh_nft_channel *c, int family, enum nsh_table table, char *ret_why, size_t size);
/* False: asking nf_tables now could load its module. */
bool nsh_nft_in_use(void);

/* ---- what stays over a flush (firewall-nft-hold.c) ---- */

#define NSH_NFT_HOLD_TABLE NSH_NFT_TABLE "-hold"

/* Makes the table, owned by this socket. -EPERM: another socket has it. */
int nsh_nft_hold(struct nsh_nft_channel *c, int family);
/* Deletes it, whether it is owned by this socket or by none. */
int nsh_nft_let_go(struct nsh_nft_channel *c, int family);

/* ---- others (firewall-nft-others.c) ---- */

/* More empty chains than this are not told apart. */
#define NSH_NFT_OTHERS_KEYS 8

struct nsh_nft_others {
    int fd;
    bool heard;                          /* something that may count, since they were looked at */
    bool lost;                           /* messages were, since the queue was empty */
    bool found;                          /* then */
    uint32_t judged;                     /* the generation then; 0: never */
    uint32_t empty[NSH_NFT_OTHERS_KEYS]; /* keys of NAT chains without a rule */
    size_t n_empty;                      /* as many as there are */
    uint32_t asked[NSH_NFT_OTHERS_KEYS]; /* the same, of the filter */
    size_t n_asked;
};

void nsh_nft_others_init(struct nsh_nft_others *o);
void nsh_nft_others_done(struct nsh_nft_others *o);
/* 1 if they have rules in NAT chains of their own, 0, -errno. */
int nsh_nft_others_translate(struct nsh_nft_others *o, struct nsh_nft_channel *c);
/* As others_fd() and others_changed() of the contract. */
int nsh_nft_others_fd(struct nsh_nft_others *o, struct nsh_nft_channel *c);
int nsh_nft_others_changed(struct nsh_nft_others *o, struct nsh_nft_channel *c);

/* ---- what of others is heard (firewall-nft-others-filter.c) ---- */

/* Of a chain by the names of its table and of itself. Two may have the same. */
uint32_t nsh_nft_others_key(const char *table, const char *chain);
/* Lets through new chains of type nat, and new rules in those that are empty. */
int nsh_nft_others_filter(int fd, const struct nsh_nft_others *o);

/* ---- who translates first (firewall-nft-ahead.c, firewall-nft-describe.c) ---- */

/* As ahead() of the contract. */
int nsh_nft_ahead(int family, const struct nsh_nft_hook *hook, struct nsh_ahead_seen *ret);
/* Of others', a look goes no further; it is kept under 20 milliseconds. */
#define NSH_NFT_RULES_MAX 4096U
/* Ranges that a set of one field has in it. */
#define NSH_NFT_RANGES_MAX 16
struct nsh_nft_range {
    uint8_t first[16], last[16];
};
/* How many are in the set (firewall-nft-ranges.c); negative: it can't be told, or there are more
 * than NSH_NFT_RANGES_MAX. */
int nsh_nft_set_ranges(
        uint32_t family, const char *table, const char *set, struct nsh_nft_range *ret);
/* The device's name, or what ends in '+' for all that begin so; false: neither. */
bool nsh_nft_range_device(const struct nsh_nft_range *r, char ret[static IFNAMSIZ]);
/* How many there are; negative: it can't be told, or more than NSH_NFT_RANGES_MAX. */
typedef int nsh_nft_read_set(void *userdata, const char *set, struct nsh_nft_range *ret);
/* False: a rule as the kernel lists it translates nothing, and leads to no other chain. */
bool nsh_nft_may_translate(const struct nlmsghdr *rule);
/* All of it as nft(8) lists it, as far as is known here. */
void nsh_nft_rule_format(const struct nftnl_rule *rule, int family, char *buf, size_t size);
/*
 * How many ways there are into the rule, `max` at most: a set in it makes some. 0: it translates
 * nothing of that family. `ret_chain`: where it leads instead, with what is needed for that in
 * `ret`; or "".
 */
size_t nsh_nft_describe(const struct nftnl_rule *rule, int family, nsh_nft_read_set *read_set,
        void *userdata, struct nsh_ahead_seen *ret, size_t max,
        char ret_chain[static NFT_NAME_MAXLEN]);

/* ---- expressions of others (firewall-nft-expression.c) ---- */

/* Those of 16 bytes, of which rules that translate need no others. */
#define NSH_NFT_REGISTERS 4
/* 0, "" where it is not set. */
uint32_t nsh_nft_number(const struct nftnl_expr *x, uint16_t attr);
const char *nsh_nft_text(const struct nftnl_expr *x, uint16_t attr);
uint32_t nsh_nft_bytes(const struct nftnl_expr *x, uint16_t attr, void *ret, uint32_t size);
/*
 * What `loaded` loaded last, of a packet or about it, is all that is looked up: a key of several
 * fields begins in the register of the first.
 */
bool nsh_nft_is_whole_key(const struct nftnl_expr *loaded, const struct nftnl_expr *lookup);

/* ---- rules of others as values (firewall-nft-foreign*.c) ---- */

/* As foreign() of the contract. */
int nsh_nft_foreign(struct nsh_firewall *fw, int family, nsh_foreign_seen *seen, void *userdata);
/* What a rule says, into *f, whose family is set. False: it is not for that family. */
bool nsh_nft_foreign_rule(const struct nftnl_rule *rule, nsh_nft_read_set *read_set, void *userdata,
        struct nsh_foreign_rule *f);

/* ---- what a rule of others does with a packet (firewall-nft-packet.c) ---- */

enum nsh_nft_verdict {
    NSH_NFT_CONTINUE,
    NSH_NFT_ACCEPT,
    NSH_NFT_DROP,
    NSH_NFT_RETURN,
    NSH_NFT_JUMP,
    NSH_NFT_GOTO,
};

/* What a rule does with a packet, if it matches. */
struct nsh_nft_judgement {
    enum nsh_certainty matches;
    enum nsh_nft_verdict verdict;
    bool any;                    /* or it may be another one */
    unsigned int effects;        /* NSH_EFFECT()s that it may have */
    char chain[NFT_NAME_MAXLEN]; /* JUMP, GOTO */
};

/* The kernel's NF_* and NFT_* number. */
enum nsh_nft_verdict nsh_nft_verdict_of(int code);
/*
 * The element that a rule looks for; of its key so much is known. Whether it is there, and for a
 * `map` what verdict it has.
 */
typedef int nsh_nft_find(void *userdata, const char *set, bool map, const uint8_t *key, size_t size,
        struct nsh_nft_judgement *ret);

/* `family`: AF_INET, AF_INET6, of the packet. */
int nsh_nft_judge(const struct nftnl_rule *rule, int family, const struct nsh_forward_path *path,
        nsh_nft_find *find, void *userdata, struct nsh_nft_judgement *ret);

/* ---- base chains of others (firewall-nft-bases.c) ---- */

#define NSH_NFT_DEVICES 16 /* a chain of more is taken for one of all */

struct nsh_nft_base {
    uint32_t family; /* NFPROTO_*, of its table */
    enum nsh_hook hook;
    int32_t priority;
    bool nat;                                /* only the first packet of a connection comes there */
    char devices[NSH_NFT_DEVICES][IFNAMSIZ]; /* at the hooks of these; none: at all of them */
    char table[NFT_NAME_MAXLEN], name[NFT_NAME_MAXLEN];
    bool drops;     /* its policy */
    bool dormant;   /* its table is switched off */
    uint32_t owner; /* port id of the program that alone can change it; 0: anybody can */
    uint32_t uses;  /* rules in it and ways to it */
};

struct nsh_nft_bases {
    struct nsh_nft_base *items;
    size_t n;
    struct nsh_nft_base *guests; /* chains of ours in tables of others */
    size_t n_guests;
};

/* Those at the hook forward, or at all hooks. */
int nsh_nft_bases_take(struct nsh_nft_channel *channel, bool all, struct nsh_nft_bases *ret);
void nsh_nft_bases_done(struct nsh_nft_bases *b);
/* "nftables chain ip filter FORWARD", with whole names where there is NSH_GUEST_WHERE for it */
const char *nsh_nft_base_format(const struct nsh_nft_base *b, char *buf, size_t size);
/* What stands there iptables-nft wrote, and has to be able to read. */
bool nsh_nft_base_is_iptables(const struct nsh_nft_base *b);
bool nsh_nft_base_is_firewalld(const struct nsh_nft_base *b);
void nsh_nft_base_explain(const struct nsh_nft_base *b, const struct nsh_forward_path *paths,
        size_t n, struct nsh_forward_drop *ret);

/* ---- what is in sets of others (firewall-nft-find.c) ---- */

/*
 * What a look may take, of all base chains together: rules that are read, some 8 microseconds each,
 * how often one is judged, some 0.3, and what is asked of sets, some 25 each.
 */
struct nsh_nft_work {
    size_t rules, steps, questions;
};
#define NSH_NFT_WORK ((struct nsh_nft_work){.rules = 2048, .steps = 98304, .questions = 512})

struct nsh_nft_finder {
    struct nsh_nft_channel *channel;
    const struct nsh_nft_base *base; /* any of the table */
    struct nsh_nft_work *work;
    void *buf;     /* of a request */
    void *answers; /* of tsearch(3) */
    bool cut;      /* that was not enough: what is not known may be there */
};

void nsh_nft_finder_done(struct nsh_nft_finder *f);
/* An nsh_nft_find, of a finder. */
int nsh_nft_find_element(void *userdata, const char *set, bool map, const uint8_t *key, size_t size,
        struct nsh_nft_judgement *ret);

/* ---- what a base chain of others does with a packet (firewall-nft-forward.c) ---- */

/* Keeps what it has read of the base chain's table. */
struct nsh_nft_judge;

enum nsh_nft_ban {
    NSH_NFT_NO_BAN,
    NSH_NFT_NEUTRAL, /* lets everything go on, and may belong to the ban behind it */
    NSH_NFT_BAN,
    NSH_NFT_NAMED_BAN, /* it says what it drops: addresses, ports, a mark, what is in a set */
};

int nsh_nft_judge_new(
        const struct nsh_nft_base *base, struct nsh_nft_work *work, struct nsh_nft_judge **ret);
/* That was not enough: what is left is taken to accept. */
bool nsh_nft_judge_is_cut(const struct nsh_nft_judge *j);
void nsh_nft_judge_free(struct nsh_nft_judge *j);
NSH_DEFINE_CLEANUP(struct nsh_nft_judge *, nsh_nft_judge_free)
/* What our jump in a base chain of others is taken for. */
enum nsh_nft_guest_view {
    NSH_NFT_GUEST_ABSENT,
    NSH_NFT_GUEST_ACCEPTS, /* all */
    NSH_NFT_GUEST_STANDS,  /* what its chain does with the path, as it stands */
};

/* 1: the base chain drops it, 0, negative errno. `behind_bans`: what named bans at its beginning
 * drop is not looked at. */
int nsh_nft_judge_path(struct nsh_nft_judge *j, int family, const struct nsh_forward_path *path,
        enum nsh_nft_guest_view guest, bool behind_bans);
/* The rule that was judged last, or one in the path, is our jump. */
bool nsh_nft_judge_met(const struct nsh_nft_judge *j);
/* The rule that did, kept by the judge; NULL: the chain's policy. */
const struct nftnl_rule *nsh_nft_judge_dropper(const struct nsh_nft_judge *j);
/* Without this it believes. */
void nsh_nft_judge_set_mood(struct nsh_nft_judge *j, enum nsh_mood mood);
/* The first of the rules that were judged that may have the effect; NULL: none has. */
const struct nftnl_rule *nsh_nft_judge_effect(
        const struct nsh_nft_judge *j, enum nsh_effect effect);
/* What kinds of rules the base chain begins with; the judge keeps them. Up to the first that is no
 * ban. */
int nsh_nft_judge_bans(struct nsh_nft_judge *j, const enum nsh_nft_ban **ret, size_t *ret_n);
/* 1: this rule alone, with the chain that it may lead to, drops it for certain. */
int nsh_nft_judge_rule(struct nsh_nft_judge *j, int family, const struct nsh_forward_path *path,
        const struct nftnl_rule *rule);
/* Of a chain in the base chain's table; the judge keeps them. 1: it has more than were read. */
int nsh_nft_judge_rules(
        struct nsh_nft_judge *j, const char *chain, struct nftnl_rule *const **ret, size_t *ret_n);

/* ---- rules that can only drop (firewall-nft-ban.c) ---- */

/* Of a rule in the base chain; a jump of ours is neutral. `left`: rules that may be looked at yet.
 */
enum nsh_nft_ban nsh_nft_ban_of(
        struct nsh_nft_judge *j, const struct nftnl_rule *rule, size_t *left);

/* As drops() of the contract (firewall-nft-drops.c). */
int nsh_nft_drops(struct nsh_nft_channel *c, int family, const struct nsh_forward_path *before,
        const struct nsh_forward_path *after, struct nsh_forward_drop *ret);

/* ---- chains of ours in tables of others (firewall-nft-guest.c) ---- */

/* As pass() of the contract. `ret_generation`: until the next one it is true; 0: it may be so no
 * longer at any time. */
int nsh_nft_pass(struct nsh_nft_channel *c, bool write, struct nsh_passage *passages, size_t n,
        nsh_guest_told *told, void *userdata, uint32_t *ret_generation);

/* ---- events (firewall-nft-watch.c) ---- */

/* Sets that were read or written, and whether they still look so. */
struct nsh_nft_set_mark {
    uint8_t family;
    bool clean, pending;
    char name[NSH_SET_NAME];
};

/* On which we write. */
#define NSH_NFT_SOCKETS 2

struct nsh_nft_watch {
    int fd; /* -1: not open */
    uint32_t own_ports[NSH_NFT_SOCKETS];
    uint8_t *buf;
    /* By family: bits of enum nsh_table. */
    uint8_t clean[2];   /* as they were when marked */
    uint8_t pending[2]; /* touched by the transaction whose end has not come yet */
    struct nsh_nft_set_mark *sets;
    size_t n_sets, max_sets;
    bool lost;           /* messages were, since the queue was empty */
    bool behind;         /* when it was read last, not all of it was */
    bool ours;           /* the pending transaction touched something of ours */
    uint32_t touches;    /* transactions that did */
    uint32_t generation; /* of the last transaction seen; 0: none */
    bool known;          /* the culprit */
    struct nsh_firewall_culprit culprit;
    bool guest; /* the pending transaction took something of ours out of other tables */
    unsigned int n_evictors; /* processes that did, one after the other */
    struct nsh_firewall_culprit evictor;
};

void nsh_nft_watch_init(struct nsh_nft_watch *w);
void nsh_nft_watch_done(struct nsh_nft_watch *w);
/* Transactions from the sockets with these ports do not count. May load nf_tables. */
int nsh_nft_watch_open(struct nsh_nft_watch *w, const uint32_t own_ports[static NSH_NFT_SOCKETS]);
/* Reads what is queued, some hundreds of messages; false: there may be more. */
bool nsh_nft_watch_take(struct nsh_nft_watch *w);
/* Waits a moment for the end of a transaction later than `generation`. */
void nsh_nft_watch_wait(struct nsh_nft_watch *w, uint32_t generation);
/* Who has taken something of ours out of tables of others since it was asked last; false: nobody
 * has, or it is not certain. */
bool nsh_nft_watch_evictor(struct nsh_nft_watch *w, struct nsh_firewall_culprit *ret);
/* From now on it is as it was; to be called before it is looked at. */
void nsh_nft_watch_mark(struct nsh_nft_watch *w, int family, enum nsh_table table, bool clean);
bool nsh_nft_watch_changed(const struct nsh_nft_watch *w, int family, enum nsh_table table);
int nsh_nft_watch_mark_set(struct nsh_nft_watch *w, int family, const char *name, bool clean);
bool nsh_nft_watch_set_changed(const struct nsh_nft_watch *w, int family, const char *name);

/* ---- sets (firewall-nft-set.c, firewall-nft-elements.c) ---- */

int nsh_nft_sets(struct nsh_nft_channel *c, int family, nsh_set_observed *observed, void *userdata);
/*
 * -ENOENT: there is none, or it is of another kind and can't hold prefixes. `ret_torn`: somebody
 * wrote meanwhile, if only to another set; NULL: then it is read again.
 */
int nsh_nft_set_read(struct nsh_nft_channel *c, int family, const char *name, bool *ret_torn,
        nsh_set_element_observed *observed, void *userdata);
/* `ret_another`: it is of another kind. */
int nsh_nft_set_find(struct nsh_nft_channel *c, int family, const char *name, bool *ret_another);
/* What is wrong with a step, in words; NULL: nothing. */
const char *nsh_nft_set_check(const struct nsh_set_op *op);
/* The messages of one step; `another`: there is one of the name that is of another kind. */
int nsh_nft_set_edit(struct nsh_nft_batch *b, const struct nsh_set_op *op, bool another);

/* ---- sets, in a thread (firewall-nft-aside.c) ---- */

struct nsh_nft_aside {
    struct nsh_set_aside set;
    /* The thread's own until it ends. */
    struct nsh_nft_channel channel;
    bool torn; /* somebody wrote while it was read */
    struct nsh_nft_failure failure;
    int n_torn; /* in a row, and to this set */
};

void nsh_nft_aside_init(struct nsh_nft_aside *a);
void nsh_nft_aside_done(struct nsh_nft_aside *a);
/* -EINPROGRESS: to be called again. The set counts as it was from when it is begun. */
int nsh_nft_aside_read(struct nsh_nft_aside *a, struct nsh_nft_watch *w, int family,
        const char *name, nsh_set_element_observed *observed, void *userdata);
int nsh_nft_aside_write(struct nsh_nft_aside *a, struct nsh_nft_watch *w,
        const struct nsh_set_op *op, struct nsh_nft_failure *failure);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of `explain` share. Everything is looked at first (explain-look.c); then the
 * packet is followed step by step, each told as it is taken, until one stops it.
 */
#pragma once

#include <jansson.h>

#include "firewall-choice.h"
#include "forward-drop.h"
#include "judge.h"
#include "options.h"
#include "reload.h"
#include "walk.h"
#include "way.h"

/* Whether a wanted chain stands in the kernel. */
struct explain_chain {
    uint32_t jump; /* on iptables: where its jump stands */
    char reason[128];
};

/* A rule of others that translates before ours do. */
struct explain_ahead {
    bool out; /* in POSTROUTING; else in PREROUTING */
    struct nsh_ahead_seen rule;
};

/* One way of a packet: as the kernel says, and as the rules and routes that were seen do. */
struct explain_way {
    struct nsh_fib_question asked;
    int error; /* of the kernel; 0: it would take it */
    struct nsh_fib_answer answer;
    struct nsh_way found;
    uint32_t ifindex; /* by which it leaves; 0: it does not */
    char dev[IFNAMSIZ];
};

struct explain {
    const struct nsh_options *options;
    struct nsh_fib *fib;
    struct nsh_firewalls firewalls;
    struct nsh_desired *desired;
    char (*reasons)[NSH_JUDGED_TEXT]; /* why each gate is closed */
    json_t *status;                   /* what a daemon says; NULL: nothing */
    bool idle;                        /* none runs */
    /* The packet: as it comes, and as it is now. */
    struct nsh_packet first, now;
    uint32_t in; /* its device; 0: it is this machine's own */
    bool in_assumed;
    bool in_down;    /* as the source is in the network of a link that is switched off */
    bool in_default; /* as the default route leads back to the source, and no other does */
    struct nsh_fib_address *addresses;
    size_t n_addresses;
    struct nsh_ways ways;
    bool *lacks; /* of each wanted chain: it is not in force */
    struct explain_chain *chains;
    const struct nsh_chain *lacking;     /* one that would let it through */
    bool blind;                          /* what stands of them can't be seen */
    bool unsure;                         /* rules of others can't be seen: they may drop it */
    char effects[NSH_EFFECT_COUNT][256]; /* rules of others that may have one; "": none */
    struct explain_ahead *ahead;         /* room for NSH_AHEAD_MAX */
    size_t n_ahead;
    /* What decides before it is routed; NULL: nothing does. */
    const struct nsh_packet_rule *led_by;
    const struct nsh_chain *leader; /* its chain */
    struct explain_way forth, back;
    bool here;          /* it is for this machine */
    char here_fix[896]; /* what would have led it on; "": nothing */
    /* What is told. */
    json_t *steps, *step;
    json_t *notes; /* what is to be known beside */
    json_t *stop;  /* the verdict, if a step stops it */
    json_t *doubt; /* what may stop it, which can't be known; NULL: nothing */
};

/* ---- explain-config.c ---- */

/* Asks the daemon, and loads what is in force, or the file; nsh_exit. */
int explain_configure(struct explain *e, struct nsh_loaded *ret);

/* ---- explain-look.c ---- */

/* 0 or negative errno; with words on stderr. */
int explain_look(struct explain *e);
void explain_done(struct explain *e);
/* Asks the kernel, and goes through what was seen. */
void explain_ask(
        struct explain *e, const struct nsh_packet *p, uint32_t iif, struct explain_way *ret);
/* What was asked, to be asked of what was seen; it points into the way. */
void explain_query(
        const struct explain *e, const struct explain_way *way, struct nsh_way_query *ret);
/* An address of this machine; `ifindex` 0: of any device. */
bool explain_is_own(const struct explain *e, const union nsh_addr *addr, uint32_t ifindex);
/* The same, answered. */
struct nsh_packet explain_answer(const struct nsh_packet *p);
/* The integer; -1: there is none. */
int explain_sysctl(struct explain *e, const char *format, const char *dev);
/* Why the policy of a chain is not in force; returns buf. */
const char *explain_lack(
        const struct explain *e, const struct nsh_chain *c, char *buf, size_t size);

/* ---- explain-ahead.c ---- */

/* Notes what an observed chain shows of others, or what the firewall says of a hook. */
void explain_ahead_see(struct explain *e, const struct nsh_chain_seen *seen);
void explain_ahead_ask(struct explain *e, const char *hook);
/*
 * The first rule of others that takes the packet before the chain does, as far as can be told;
 * `chain` NULL: none of ours takes it. NULL: there is none.
 */
const struct nsh_ahead_seen *explain_ahead(const struct explain *e, bool out,
        const struct nsh_packet *p, const struct nsh_chain *chain);

/* ---- explain-others.c ---- */

/*
 * What rules of others do with it at a hook, as they see it before addresses are translated there,
 * and after: false if one stops it. `accepted`: a policy lets it through.
 */
bool explain_others(struct explain *e, enum nsh_hook hook, const struct nsh_packet *before,
        const struct nsh_packet *after, bool reply, bool accepted);

/* What they may have made of it, where that matters. */
void explain_effects(struct explain *e);

/* ---- explain-forward.c ---- */

/* It comes from where the world is, and goes to where it is not. */
bool explain_is_from_outside(const struct explain *e, const struct nsh_packet *p);

/* ---- explain-tell.c ---- */

/* From now on all is told of this step. */
void explain_step(struct explain *e, const char *name);
__attribute__((format(printf, 2, 3))) void explain_say(struct explain *e, const char *format, ...);
/* Of no step. */
__attribute__((format(printf, 2, 3))) void explain_note(struct explain *e, const char *format, ...);
/* Takes the value. */
void explain_set(struct explain *e, const char *key, json_t *value);
void explain_set_address(struct explain *e, const char *key, const union nsh_addr *addr);
/* "FILE" and "LINE" of the step. */
void explain_set_place(struct explain *e, nsh_origin origin);
/* " (/etc/netshared.yaml:3)", or "" where there is none; returns buf. */
const char *explain_place(const struct explain *e, nsh_origin origin, char *buf, size_t size);
/* The step stops it. `fix` "": nothing is known to help. */
__attribute__((format(printf, 3, 4))) void explain_stop(
        struct explain *e, const char *fix, const char *format, ...);
/* The first of what may stop it, which can't be known: it does not pass for certain. */
__attribute__((format(printf, 2, 3))) void explain_doubt(
        struct explain *e, const char *format, ...);
/* "share home (/etc/netshared.yaml:8)"; returns buf. */
const char *explain_policy(
        const struct explain *e, const struct nsh_chain *c, char *buf, size_t size);
/* "10.0.0.2 port 40000"; returns buf. */
const char *explain_end(const struct nsh_packet *p, const union nsh_addr *addr, uint16_t port,
        char *buf, size_t size);
/* All of it; nsh_exit. */
int explain_print(struct explain *e);

/* ---- explain-claim.c ---- */

struct explain_link {
    uint32_t ifindex;
    char dev[IFNAMSIZ];
};

/* In a subnet of that device. */
bool explain_is_on_link(const struct explain *e, uint32_t ifindex, const union nsh_addr *addr);
enum explain_state {
    EXPLAIN_LINK_UP, /* or that can't be seen */
    EXPLAIN_LINK_DOWN,
    EXPLAIN_LINK_DEAD, /* no carrier, or not that of the link below */
};
enum explain_state explain_link_state(struct explain *e, uint32_t ifindex);
/* The link that is switched off and has it in a subnet, the routes of which went with it; 0: none.
 */
uint32_t explain_down_link(struct explain *e, const union nsh_addr *addr);
/* True: who it is sent to next was asked for in vain. */
bool explain_is_silent(struct explain *e);
/* True: what it was sent to is nobody's on the link by which it is to come. */
bool explain_never_comes(struct explain *e);
/* True: the same of the source it has got, so no answer comes. Else what is to be known of that. */
bool explain_is_unanswered(struct explain *e);

/* ---- explain-sense.c ---- */

bool explain_is_multicast(int family, const union nsh_addr *addr);
/* No packet like that is forwarded, whatever is configured. */
bool explain_is_senseless(const struct explain *e);
/* True, and the step stops it: it is so. */
bool explain_stop_senseless(struct explain *e);
/* The same if nothing passes by the link. */
bool explain_is_dead(struct explain *e, uint32_t ifindex, const char *dev);
/* The same if its ends talk to each other without this machine. */
bool explain_is_direct(struct explain *e);
/* The same if it would leave where it is assumed to come in: one end of it is nowhere behind here.
 */
bool explain_is_homeless(struct explain *e);

/* ---- explain-route.c ---- */

/* What helps where the way does not lead there; returns buf. */
const char *explain_fix_route(
        struct explain *e, const struct explain_way *way, char *buf, size_t size);

/* ---- explain-lacking.c ---- */

/* Rules and routes of the file that would decide on the way, but are not there. */
void explain_lacking(struct explain *e, const struct explain_way *way);
/* The first such route that leads to somebody; NULL: there is none. */
const struct nsh_route *explain_lacking_route(
        const struct explain *e, const struct explain_way *way);

/* ---- explain-here.c ---- */

/* Port-forwards that almost take it. */
void explain_not_led(struct explain *e);
/* It is not forwarded: whether anybody takes it. */
void explain_here(struct explain *e);
/* True: who was asked answers the asker directly. */
bool explain_is_past(struct explain *e);

/* ---- the steps ---- */

void explain_arrival(struct explain *e);     /* explain-arrive.c */
void explain_destination(struct explain *e); /* explain-arrive.c */
void explain_route(struct explain *e);       /* explain-route.c */
void explain_forwarding(struct explain *e);  /* explain-forward.c */
void explain_source(struct explain *e);      /* explain-source.c */
void explain_return(struct explain *e);      /* explain-return.c */
/* Before all of them: what is not told of but needed by the first. */
void explain_foresee(struct explain *e); /* explain-arrive.c */
/* The reverse-path filter of IPv4 on `dev` for a packet whose way back is `back`: true if it
 * passes. */
bool explain_reverse_path(struct explain *e, const char *dev, uint32_t ifindex,
        const struct nsh_packet *p, const char *back_iif);
/* FORWARD lets it through: ours and others. */
bool explain_pass(struct explain *e, const struct nsh_packet *p, bool reply);

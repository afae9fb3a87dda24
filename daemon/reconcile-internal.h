/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the reconciler share: reconcile.c (the order of a pass), reconcile-marks.c,
 * reconcile-set.c (a new configuration), reconcile-routes.c (single routes), reconcile-job.c (all
 * of them), reconcile-gates.c, reconcile-devices.c, reconcile-learn.c, reconcile-vrfs.c,
 * reconcile-rules.c, reconcile-firewall.c (packet rules on the way up), reconcile-fight.c (when
 * they may be repaired), reconcile-firewall-down.c, reconcile-policy.c, reconcile-news.c,
 * reconcile-sets.c, reconcile-other.c, reconcile-drops.c, reconcile-guests.c, reconcile-ahead.c,
 * reconcile-flows.c, reconcile-flows-changed.c, reconcile-forwarding.c, reconcile-before.c (what
 * was switched on), reconcile-accept-ra.c, reconcile-report.c.
 */
#pragma once

#include "backoff.h"
#include "chain-index.h"
#include "conntrack.h"
#include "intern.h"
#include "learn.h"
#include "passage.h"
#include "plan-rule.h"
#include "reconcile-news.h"
#include "reconcile-work.h"

struct nsh_reconciler {
    struct nsh_fib *fib;
    struct nsh_firewall *firewall;
    struct nsh_firewall *other; /* which does not hold the policies; NULL: there is none */
    bool other_dirty;           /* something of ours may stand there */
    struct nsh_state *state;
    struct nsh_reconciler_hooks hooks;
    bool earlier_run; /* netshared kept this machine before: what is missing at start is a gap */

    struct nsh_desired *desired;
    uint8_t *route_flags;  /* NSH_ROUTE_*, for the plan */
    uint8_t *route_states; /* enum nsh_object_state */
    uint8_t *rule_flags;   /* NSH_RULE_SKIP for the plan, and those of reconcile-rules.c */
    uint8_t *rule_states;
    struct nsh_rule_plan *rule_plan; /* made anew with the configuration */
    size_t route_counts[NSH_OBJECT_STATES];
    struct nsh_chain_index chain_index; /* of the wanted chains */
    uint8_t *chain_states;
    uint8_t *chain_news;  /* enum nsh_report_kind to be told of it, 0: nothing; CHAIN_RETRIED */
    bool news;            /* of one of these */
    struct drifts drifts; /* of the session under way */
    struct set_mark *set_marks; /* one for each set */
    struct set_work set_work;
    struct known_policy *known; /* of the configuration before, sorted by name */
    size_t n_known;
    struct nsh_route_plan *route_plan; /* of all routes; made anew with the configuration */
    struct nsh_route_plan *key_plan;   /* of single ones, also while the other is at work */
    const struct nsh_route_plan *plan; /* whose steps are being written */
    struct previous previous;
    struct job job;
    uint8_t forwarding_states[NSH_FAMILIES];
    bool forwarding_was_on[NSH_FAMILIES];    /* since it is wanted */
    bool forwarding_was_ready[NSH_FAMILIES]; /* and the family's policies held then */
    struct before_list before;
    struct nsh_notes *notes;
    uint8_t also_ours;  /* protocol from before, until nothing carries it any more; 0: none */
    bool earlier_seen;  /* the last dump showed routes with it */
    bool earlier_rules; /* the last dump showed rules with it */

    bool sources; /* an IPv6 route has a preferred source */

    /* marks */
    uint64_t waiting_due, waiting_last, waiting_delay; /* foreign routes appeared; 0: none due */
    size_t all_seen;        /* by the last dump of all routes, ours and foreign */
    uint64_t overrun_quiet; /* until then it is not told once more */
    uint32_t resyncs;
    struct guards guards;
    bool links_dirty;
    enum device_mark devices_dirty;
    bool gates_dirty;             /* conditions are to be judged */
    bool gates_marked;            /* one of these is */
    struct gate_mark *gate_marks; /* one for each gate */
    enum route_mark routes_dirty;
    struct key_mark *keys;
    size_t n_keys;
    bool many_keys; /* so many at once that they are mended a part at a time, and told as a sum */
    struct nsh_arena *mark_arena;
    bool rules_dirty;
    struct rule_mark rule_marks[RULE_MARKS_MAX];
    size_t n_rule_marks;
    uint64_t rules_wait; /* a rule is backing off until then; NSH_NEVER: none */
    bool firewall_dirty[NSH_FAMILIES];
    bool guards_dirty[NSH_FAMILIES];  /* of a policy that is blocked now, its guard is to stand */
    bool firewall_told[NSH_FAMILIES]; /* that is because a look has shown a change */
    bool drops_dirty;                 /* others' rules are to be looked at */
    bool guests_dirty;                /* jumps of ours in them are to be written */
    bool ahead_dirty;                 /* for those that take packets before ours */
    uint8_t unjudged[NSH_FAMILIES];   /* not all of those were: bits of a hook, told */
    uint64_t firewall_again[NSH_FAMILIES];   /* it failed and is tried again then; 0: it did not */
    uint8_t firewall_failures[NSH_FAMILIES]; /* in a row */
    bool firewall_retried[NSH_FAMILIES];     /* what had failed is tried again in this pass */
    pid_t firewall_culprit_pid;              /* who changed the rules; 0: not certain */
    char firewall_culprit[NSH_COMM_LEN * 4];
    struct nsh_guests guests; /* wanted of the firewall that does not hold the policies */
    struct guest_mark *guest_marks;
    size_t n_guest_marks;
    struct unjudged_mark *unjudged_marks;
    size_t n_unjudged_marks;
    size_t *hosted; /* policies, by their first chains, whose packets need one */
    size_t n_hosted;
    uint64_t hosted_print, hosted_put; /* tell them apart: now, and when the jumps were written */
    int guests_failure;      /* why they could not be written, as it was told; 0: they could */
    uint8_t guests_failures; /* in a row */
    uint64_t guests_again;   /* they are tried again then; 0: they did not fail */
    bool sets_dirty;         /* a set is to be compared now */
    bool sets_urgent;        /* before the rules */
    uint64_t sets_wait;      /* one is backing off until then; NSH_NEVER: none */
    bool forwarding_dirty;
    uint64_t forwarding_wait[NSH_FAMILIES];    /* backing off until then; 0: not */
    uint64_t forwarding_again[NSH_FAMILIES];   /* it is tried again then; 0: it did not fail */
    uint8_t forwarding_failures[NSH_FAMILIES]; /* in a row */
    /* Bits of tables where this pass has seen that nothing unwanted of ours stands. */
    uint8_t tidy[NSH_FAMILIES];
    uint8_t filter[NSH_FAMILIES]; /* enum filter_look: what this pass has seen of the filter table
                                   */
    bool unwanted_dirty;          /* chains and sysctls that are no longer wanted may stand */
    struct trigger trigger;
    uint32_t told_link; /* of which the last event of a link was, and its name then */
    char told_name[IFNAMSIZ];
    uint64_t routes_wait; /* a route is backing off until then; NSH_NEVER: none */

    /* the present pass */
    bool settling; /* start, reload or stop: what is written is no repair */
    enum nsh_occasion occasion;
    bool occupied; /* an addition met a route that was not observed */
    /* The comparison with the kernel that is to follow the one with what was wanted before. */
    enum route_mark behind;
    struct account account;

    uint64_t retry;      /* something asked to be run again then */
    uint64_t pause;      /* the kernel could not be asked: nothing is due before then */
    int failure;         /* why, as it was told; 0: it could */
    bool disturbed;      /* others wrote while the last pass looked, or right before it wrote */
    uint64_t lock_since; /* the xtables lock is not to be had since then; 0: it is */
    uint64_t firewall_wait[NSH_FAMILIES]; /* backing off until then */
    bool firewall_ready[NSH_FAMILIES];    /* the family's policies hold: forwarding may go on */

    /* flows to forget after a repair */
    struct nsh_conntrack *conntrack;
    int flows_family; /* AF_UNSPEC: no look in progress */
    bool flows_wanted[NSH_FAMILIES];
    struct follow_up flows_again[NSH_FAMILIES];
    struct flow_changes *flow_changes; /* NULL: there is nothing to be dropped after a change */

    enum nsh_fib_foreign foreign; /* what events are told of */
    size_t n_unlearned;           /* routes with ROUTE_UNLEARNED */

    bool learns; /* a wanted route's gateway is learned */
    bool learned_dirty;
    struct nsh_learner *learner;

    char *last_repair;
    uint64_t last_repair_at;
    struct nsh_work work;
};

static inline uint64_t reconcile_now(const struct nsh_reconciler *r)
{
    return r->hooks.now(r->hooks.userdata);
}
void reconcile_retry_at(struct nsh_reconciler *r, uint64_t when);

static inline void reconcile_mark_devices(struct nsh_reconciler *r, enum device_mark scope)
{
    if (scope > r->devices_dirty)
        r->devices_dirty = scope;
}

static inline void reconcile_mark_routes(struct nsh_reconciler *r, enum route_mark scope)
{
    if (scope > r->routes_dirty)
        r->routes_dirty = scope;
}
/* reconcile-marks.c */
/* What set off the next pass, if nothing has before. */
void reconcile_set_trigger(struct nsh_reconciler *r, uint32_t sender, const char *text);
void reconcile_mark_everything(struct nsh_reconciler *r);
/* Opens or closes the filter for foreign routes. */
void reconcile_follow_foreign(struct nsh_reconciler *r);

/* Of a route with what stands there as far as is known, now that this is about to be unwanted. */
void reconcile_mark_own(struct nsh_reconciler *r, size_t wanted);
/* Marks what is pending once foreign routes that may help it have been gathered for long enough. */
void reconcile_take_waiting(struct nsh_reconciler *r, uint64_t now);

/* reconcile-learn.c */
void reconcile_learn_route(struct nsh_reconciler *r, const struct nsh_fib_event *e);
/* One of ours was written in the place of another's. */
void reconcile_learn_written(struct nsh_reconciler *r, const struct nsh_route *ours);
void reconcile_learn_link(struct nsh_reconciler *r, const struct nsh_fib_event *e);
void reconcile_learn_address(struct nsh_reconciler *r, const struct nsh_fib_event *e);
/* Takes over what events have told. */
int reconcile_learned(struct nsh_reconciler *r);
/* A gateway is to be learned, and nobody has looked for it yet. */
bool reconcile_wants_look(const struct nsh_reconciler *r);
/* Around a dump of all routes. */
void reconcile_look_begin(struct nsh_reconciler *r);
int reconcile_look_see(struct nsh_reconciler *r, const struct nsh_route *seen);
void reconcile_look_end(struct nsh_reconciler *r);
/* A new configuration: whether anything is to be learned. */
void reconcile_learn_what(struct nsh_reconciler *r);

/* reconcile-vrfs.c */
/* Asks for the tables of VRFs; where one differs, what is wanted is arranged anew. */
int reconcile_vrfs(struct nsh_reconciler *r);
/* Whether the link is, or may be, a VRF that routes name. */
bool reconcile_names_vrf(const struct nsh_reconciler *r, uint32_t ifindex, const char *name);

/* reconcile-gates.c */
/* What has become of those that depend on something. */
struct gate_effect {
    size_t withdrawn, back; /* routes */
    size_t changed;         /* routes that go on otherwise */
    size_t rules, policies;
};
/*
 * Before what a route depends on changes, and when it has. `own`: what is written then is told with
 * that, not by itself. `in_job`: at the end of the dump of the comparison under way, which has no
 * more to say of it.
 */
void reconcile_prepare(struct nsh_reconciler *r, size_t wanted, bool own, bool in_job);
void reconcile_changed(struct nsh_reconciler *r, size_t wanted, struct gate_effect *e);
/* An event about a link or an address; `text` is what it says. */
void reconcile_gate_event(
        struct nsh_reconciler *r, const struct nsh_fib_event *e, const char *text);
/* Judges conditions if they are marked, and takes over what is known of the others. */
int reconcile_gates(struct nsh_reconciler *r);
/* Why what names the gate is on standby. */
const char *reconcile_gate_reason(
        const struct nsh_reconciler *r, nsh_gate_id gate, char *buf, size_t size);
/* Chains that are on standby are not there, or about to go. */
void reconcile_settle_chains(struct nsh_reconciler *r);
/* Carries over what is known of gates that stay. 0 or -ENOMEM. */
int reconcile_carry_gates(
        const struct nsh_reconciler *r, struct nsh_desired *to, struct nsh_notes *notes);

/* reconcile-devices.c */
/*
 * At a start, when all tables of a family are up. A run before has left all chains of a policy as
 * they are wanted: where that run forwarded, it may have been for that policy, which has only lost
 * its interface since.
 */
void reconcile_take_over(struct nsh_reconciler *r, int f);
/* An event about a link or an address; `text` is what it says. */
void reconcile_device_event(
        struct nsh_reconciler *r, const struct nsh_fib_event *e, const char *text);
/* Looks for the interfaces of policies if they are marked, and tells which policies lack one. */
int reconcile_devices(struct nsh_reconciler *r);
/* What the policy needs and is not there; NULL: nothing. */
const char *reconcile_lack(const struct nsh_reconciler *r, size_t lead);
/* Where the interfaces were: the next look finds what was renamed since. */
void reconcile_carry_devices(const struct nsh_desired *before, struct nsh_desired *now);
/* Whether that was there, for the same policy of the configuration before. */
bool reconcile_came_before(const struct nsh_chain *before, const struct nsh_chain *now);

/* reconcile-set.c */
/* nsh_reconciler_set, for one whose VRFs have been asked for. */
int reconcile_set(struct nsh_reconciler *r, struct nsh_desired *desired, enum nsh_occasion why);
/* The route as the kernel shows it if it was written as it is wanted now and nobody changed it. */
struct nsh_route reconcile_seen_as(
        const struct nsh_desired *d, size_t wanted, union nsh_route_room *room);
/* Carries over what is known of up to `most` routes: 1 when there is more. */
int reconcile_carry(struct nsh_reconciler *r, size_t most);
/* Of this one now, if its turn has not come yet. */
int reconcile_carry_one(struct nsh_reconciler *r, size_t wanted);
void reconcile_previous_done(struct nsh_reconciler *r);

/*
 * reconcile-job.c: compares and writes routes in the marked scope for a few milliseconds. 1: there
 * is more to do; 0 also when it waits for the rules.
 */
int reconcile_routes(struct nsh_reconciler *r);
/* For the rules that lead there to go first. */
bool reconcile_job_waits(const struct nsh_reconciler *r);
/* Asks what the names of devices stand for. */
int reconcile_resolve(struct nsh_reconciler *r);
/* Gives up the comparison under way, if there is one; it stays marked. */
void reconcile_job_cancel(struct nsh_reconciler *r);

/* reconcile-routes.c */
/* Index of the mark of a wanted route, or NULL. */
const struct key_mark *reconcile_find_mark(const struct nsh_reconciler *r, size_t wanted);
void reconcile_set_state(struct nsh_reconciler *r, size_t wanted, enum nsh_object_state state);
/* The routes that were marked one by one. */
int reconcile_keys(struct nsh_reconciler *r);
/* The first `n` marks are seen to. */
void reconcile_drop_keys(struct nsh_reconciler *r, size_t n);
/* Sets or clears NSH_ROUTE_SKIP. */
void reconcile_skip(struct nsh_reconciler *r, size_t wanted, uint64_t now);
/* Takes over the plan's verdict on one; true if it is going to be written. */
bool reconcile_take_verdict(
        struct nsh_reconciler *r, const struct nsh_route_plan *plan, size_t wanted);
/* Writes the steps of a plan, and remembers and tells what became of them. */
int reconcile_write(struct nsh_reconciler *r, const struct nsh_route_plan *plan);
/* Foreign routes that come before ours, as a comparison of all has shown. */
void reconcile_take_shadows(struct nsh_reconciler *r);
/* A route just written may be the way to a gateway: *ret_moved, to compare again. */
int reconcile_ways(struct nsh_reconciler *r, enum route_mark scope, bool *ret_moved);

/* reconcile-rules.c */
/*
 * Compares and writes the rules if they are marked, or one of them has waited long enough. They
 * stay marked when there is more to write than fits one pass.
 */
int reconcile_rules(struct nsh_reconciler *r);
/* An event about a rule with our mark. */
void reconcile_rule_event(struct nsh_reconciler *r, const struct nsh_fib_event *e);
/* Carries over what is known of rules that stay wanted. 0 or -ENOMEM. */
int reconcile_carry_rules(struct nsh_reconciler *r, const struct nsh_desired *to, uint8_t *flags,
        uint8_t *states, struct nsh_notes *notes);

/* reconcile-fight.c */

/* A table as the object of repairs: of what nobody wants in it. */
nsh_object_id reconcile_table_id(int family, enum nsh_table table);
/*
 * The plan changes something of this wanted chain. A guard that comes to stand belongs to what
 * blocked its policy, and of that was told.
 */
bool reconcile_touches(const struct nsh_reconciler *r, const struct nsh_firewall_plan *plan,
        int family, enum nsh_table table, size_t chain);
/* Of any; else it is about chains that nobody wants, or new guards. */
bool reconcile_touches_some(const struct nsh_reconciler *r, const struct nsh_firewall_plan *plan,
        int family, enum nsh_table table);
/* Drift found in a table, once in a look: true if all of it has to wait. */
bool reconcile_hold_back(struct nsh_reconciler *r, const struct nsh_firewall_plan *plan, int family,
        enum nsh_table table);

/* reconcile-firewall.c */

/* Who changed the family's rules, for what is told of this look; nobody if that is not certain. */
void reconcile_look_for_culprit(struct nsh_reconciler *r, int family);
/* Policies of this family are wanted. */
bool reconcile_has_chains(const struct nsh_reconciler *r, int family);
bool reconcile_uses_table(const struct nsh_reconciler *r, int family, enum nsh_table table);
/*
 * true in *ret_wait: another program holds the lock, the pass is to wait for it. 1: what comes
 * before the rules is not done yet.
 */
int reconcile_firewall_up(struct nsh_reconciler *r, bool *ret_wait);
/*
 * Whether all that the family is to drop is known to be dropped; false as well while somebody else
 * has the lock. It is looked at now unless this pass has done so; what it lacks is marked.
 */
bool reconcile_filter_stands(struct nsh_reconciler *r, int f);
/* Something of a family failed in this pass: there is another try, the later the more often. */
void reconcile_failed(struct nsh_reconciler *r, int f);
void reconcile_open_failed(struct nsh_reconciler *r, int error);
/* What is to be done in one table, without doing it: 1 something, 0 nothing, -errno. */
int reconcile_look(struct nsh_reconciler *r, struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, enum nsh_firewall_phase phase);
/* reconcile-firewall-down.c */
int reconcile_firewall_down(struct nsh_reconciler *r);
/* Of families without a policy; after the rules. */
void reconcile_let_go(struct nsh_reconciler *r);

/* reconcile-drops.c */
/* Others' rules are looked at if they may have changed. */
void reconcile_poll_drops(struct nsh_reconciler *r);
/* In the pass, before anything is put up: what rules of others drop, and which jumps are wrong. */
void reconcile_drops(struct nsh_reconciler *r);
/* Why what a policy lets through is dropped all the same; NULL: it is not. */
const char *reconcile_drop_reason(const struct nsh_reconciler *r, size_t lead);

/* reconcile-guests.c */
/* Judges the passages, and marks the jumps that are not as they should be. */
int reconcile_guests_look(struct nsh_reconciler *r, struct nsh_passages *p);
/* Writes these, once the policies hold. */
void reconcile_guests(struct nsh_reconciler *r);
/* The chain of others there that a jump of ours may stand in, in words. */
const char *reconcile_place_in_iptables(int family);
/* Why a jump that a policy's packets need is not there; NULL: it is, or none is needed. */
const char *reconcile_guest_reason(const struct nsh_reconciler *r, size_t lead);

/* reconcile-ahead.c */
/* Of a chain, the first rule of others that could take what it is for; NULL: there is none. */
void reconcile_ahead_take(
        struct nsh_reconciler *r, size_t chain, const struct nsh_ahead_seen *ahead);
/* Where these are asked for: in the pass, or if they may have changed. */
void reconcile_poll_ahead(struct nsh_reconciler *r);
void reconcile_ahead(struct nsh_reconciler *r);
/* "behind -A POSTROUTING -j ACCEPT"; NULL: none is known. */
const char *reconcile_ahead_reason(const struct nsh_reconciler *r, size_t chain);

/* reconcile-policy.c */
/* The first chain behind `chain` that is not of its policy, in whichever family. */
size_t reconcile_policy_end(const struct nsh_reconciler *r, size_t chain);
size_t reconcile_lead(const struct nsh_reconciler *r, size_t chain);
/* The first chain of its policy and family, which speaks for all of them. */
bool reconcile_is_lead(const struct nsh_reconciler *r, size_t chain);
/* The next chain of the same policy and family behind `chain`; SIZE_MAX: there is none. */
size_t reconcile_next_of_policy(const struct nsh_reconciler *r, size_t chain);
/* The worst of its chains' states, and which chain can say why. */
enum nsh_object_state reconcile_policy_state(
        const struct nsh_reconciler *r, size_t lead, size_t *ret_why);
/* Of a policy whose first chain it is: the worst state in both families. False: it is another. */
bool reconcile_whole_state(
        const struct nsh_reconciler *r, size_t chain, enum nsh_object_state *ret);
/* Why its state is that, and what else there is to know; `why` as above. NULL: nothing. */
const char *reconcile_policy_remarks(const struct nsh_reconciler *r, size_t lead, size_t why,
        enum nsh_object_state state, char *buf, size_t size);
struct nsh_repairs reconcile_policy_repairs(const struct nsh_reconciler *r, size_t lead);
/* Whether a failure at this chain takes its policy out until the next try. */
bool reconcile_may_block(const struct nsh_reconciler *r, size_t chain);
/* All its chains were there as far as is known, whatever they are now. */
bool reconcile_was_complete(const struct nsh_reconciler *r, size_t chain);
/* Out without a word, or in again. */
void reconcile_set_blocked(struct nsh_reconciler *r, size_t chain, bool blocked);
void reconcile_block(struct nsh_reconciler *r, size_t chain, const char *why);
/* Blocked, and not even its guard can be. */
void reconcile_strip(struct nsh_reconciler *r, size_t chain);
/* What blocked it is over. */
void reconcile_admit(struct nsh_reconciler *r, size_t chain);
/* Forwarding can't be switched on: neither is what it is switched on for. */
bool reconcile_forwarding_failed(struct nsh_reconciler *r, int f, const char *why);
/* All policies of the family are wanted again; true if one had been blocked. */
bool reconcile_unblock(struct nsh_reconciler *r, int family);
/* The kind of a policy of the configuration before, by name; NSH_POLICY_NONE: not known. */
enum nsh_policy_kind reconcile_kind_before(const struct nsh_reconciler *r, const char *policy);
/* Notes them down. 0 or -ENOMEM. */
int reconcile_remember_kinds(struct nsh_reconciler *r);

/* reconcile-sets.c */
/* Carries over what is known of sets that stay wanted. 0 or -ENOMEM. */
int reconcile_carry_sets(struct nsh_reconciler *r, const struct nsh_desired *to,
        struct set_mark *marks, struct nsh_notes *notes, enum nsh_occasion why);
/* All of them are to be compared. */
void reconcile_mark_sets(struct nsh_reconciler *r);
/* The cheap look: true if one of the family changed, which is marked. */
bool reconcile_poll_sets(struct nsh_reconciler *r, int family);
/*
 * Under the lock: compares and writes the family's sets, those that are urgent or all that are
 * marked, for a few milliseconds. 1: there is more to do.
 */
int reconcile_sets_up(struct nsh_reconciler *r, int family, bool urgent);
/* What is in progress there is forgotten: another configuration or another firewall is to be. */
void reconcile_drop_set_work(struct nsh_reconciler *r);
/* Some of the family are to be compared now. */
bool reconcile_sets_due(const struct nsh_reconciler *r, int family);
/* Those that failed are to be tried again. */
void reconcile_retry_sets(struct nsh_reconciler *r, int family);
/* Those that are known to be as they were need not be compared this time. */
void reconcile_spare_sets(struct nsh_reconciler *r);
/* Those on standby are not there, or about to go; what is back is to come. */
void reconcile_settle_sets(struct nsh_reconciler *r);
/* sets_dirty, sets_urgent and sets_wait follow from the marks. */
void reconcile_count_set_marks(struct nsh_reconciler *r);
/* True if sets of ours that are not wanted stand there, in any session; they go. */
bool reconcile_sets_unwanted(struct nsh_reconciler *r, int family);
/* 1: not yet, while one is being written. */
int reconcile_sets_down(struct nsh_reconciler *r, int family);
/* All of ours go, in a session; 1: as above. */
int reconcile_sets_clear(struct nsh_firewall *fw, int family);
/* "netshared-home_f4 of masquerade home" */
const char *reconcile_set_name(const struct nsh_reconciler *r, size_t set, char *buf, size_t size);

/* reconcile-other.c */
/* When what is wanted holds: 0, 1 once more later, because the lock is held. */
int reconcile_other_down(struct nsh_reconciler *r);

/* reconcile-flows.c */
/* Connections that run stay translated while somebody takes a family's rules away, or no longer. */
void reconcile_hold(struct nsh_firewall *fw, int family, bool on);
/* After a gap in a family's translation: flows born in it are looked for. */
void reconcile_flows_want(struct nsh_reconciler *r, int f);
/* A piece of the search, if there is one to be done now. */
void reconcile_flows(struct nsh_reconciler *r);
/* After a look: whether another one is to come. */
bool reconcile_follow_up(const struct nsh_reconciler *r, struct follow_up *f, bool found);

/* reconcile-flows-changed.c */
/* Before what is wanted changes. The settings are those of the time after; NULL: nothing is
 * flushed. */
void reconcile_flows_change(struct nsh_reconciler *r, const struct nsh_settings *settings);
/* A piece of the search, if there is one to be done now. */
void reconcile_flows_changed(struct nsh_reconciler *r);
bool reconcile_flows_changed_due(const struct nsh_reconciler *r);
uint64_t reconcile_flows_changed_next(const struct nsh_reconciler *r);
void reconcile_flow_changes_free(struct flow_changes *c);

/* reconcile-forwarding.c, reconcile-before.c, reconcile-accept-ra.c */
int reconcile_forwarding_on(struct nsh_reconciler *r);
/* Whatever becomes of a policy that lacks an interface. */
bool reconcile_is_forwarded(struct nsh_reconciler *r, int f);
/* It is on, and it was us, or a run before, who switched it on. */
bool reconcile_switched_on(struct nsh_reconciler *r, int f);
int reconcile_forwarding_off(struct nsh_reconciler *r);
void reconcile_forwarding_forget(struct nsh_reconciler *r, int f, bool all);
/* A link came, went or changed: if it is new, router advertisements on it need their guard too. */
void reconcile_guard_link(struct nsh_reconciler *r, const struct nsh_fib_event *e);
/* One has an address: so it speaks IPv6, if no link event has told. */
void reconcile_guard_address(struct nsh_reconciler *r, const struct nsh_fib_event *e);
/* None was looked at. */
void reconcile_guards_begin(struct guards *g);
void reconcile_guards_free(struct guards *g);

/* reconcile-report.c */
void report_begin(struct nsh_reconciler *r);
void report_end(struct nsh_reconciler *r);
struct report_args {
    enum nsh_report_kind kind;
    const char *cause;
    const char *detail;
    uint32_t sender;
    uint64_t at;         /* of the event, 0: the pass */
    const char *culprit; /* NULL: not certain */
    pid_t culprit_pid;
    uint64_t count;
    bool both;  /* of a policy: in both families */
    bool drops; /* what stands of a policy that is pending */
};
void report_route(
        struct nsh_reconciler *r, const struct nsh_route *route, const struct report_args *args);
void report_rule(
        struct nsh_reconciler *r, const struct nsh_rule *rule, const struct report_args *args);
void report_chain(
        struct nsh_reconciler *r, const struct nsh_chain *chain, const struct report_args *args);
void report_set(struct nsh_reconciler *r, size_t set, const struct report_args *args);
void report_forwarding(struct nsh_reconciler *r, int family, const struct report_args *args);
void report_plain(struct nsh_reconciler *r, const char *object, const char *name,
        const struct report_args *args);
void report_gate(struct nsh_reconciler *r, const char *noun, const char *name,
        const struct report_args *args, nsh_origin origin);
/* The name of a chain's policy as it is shown: "home"; "home (ipv4)" if it is there for IPv6 too.
 */
const char *report_chain_name(
        const struct nsh_reconciler *r, const struct nsh_chain *chain, char *buf, size_t size);

/*
 * An object that was held is wrong: may it be repaired now? Tells a fight once. When not, the pass
 * is asked for again at the right time.
 */
bool reconcile_may_repair(
        struct nsh_reconciler *r, nsh_object_id id, uint64_t *ret_until, bool *ret_fight);
/* It was repaired. `pid`: of who had undone it; 0: that is not certain. */
void reconcile_repaired(struct nsh_reconciler *r, nsh_object_id id, const char *culprit, pid_t pid);
/* How often and how fast something undoes it: "8 times in 2.1 s; next try in 1 s". */
const char *reconcile_fight_text(
        const struct nsh_reconciler *r, nsh_object_id id, char *buf, size_t size);
const char *reconcile_backoff_text(
        const struct nsh_reconciler *r, const struct nsh_backoff *b, char *buf, size_t size);

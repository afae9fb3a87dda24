/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happened, as a value: the reconciler makes it, the journal writes it, `status` remembers it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One kind has one MESSAGE_ID and one catalog entry; the table is in journal.c. */
enum nsh_report_kind {
    NSH_REPORT_STARTED,    /* the daemon is up; first reconcile done: `detail` counts */
    NSH_REPORT_STOPPED,    /* `detail`: what was kept or removed */
    NSH_REPORT_RELOADED,   /* a new configuration is in force; `detail` counts */
    NSH_REPORT_RELOAD_BAD, /* a reload was refused; `detail` is the whole list of errors */
    NSH_REPORT_START_BAD,  /* bad file at start, the last accepted configuration runs */
    NSH_REPORT_WARNING,    /* a warning about the file or the machine */
    NSH_REPORT_ADDED,      /* newly wanted and now in the kernel */
    NSH_REPORT_REMOVED,    /* no longer wanted and now gone */
    NSH_REPORT_CHANGED,    /* wanted otherwise than before, and now so */
    NSH_REPORT_ADOPTED,    /* a foreign route equal to ours carries our mark now */
    NSH_REPORT_RESTORED,   /* drift was repaired; `cause` says what had happened */
    NSH_REPORT_PENDING,    /* can't be in the kernel yet; `detail` is why */
    NSH_REPORT_CONFLICT,   /* a foreign route holds the key; `detail` is that route */
    NSH_REPORT_SHADOWED,   /* a foreign route takes its traffic; `detail` is that route */
    NSH_REPORT_BEHIND,     /* a rule of others takes a policy's packets; `detail` is that rule */
    NSH_REPORT_FIGHT,      /* something keeps undoing a repair; `detail` says how often */
    NSH_REPORT_SUMMARY,    /* many of one kind at once; `count`, `detail` */
    NSH_REPORT_OVERRUN,    /* netlink events were lost; everything is compared */
    NSH_REPORT_FAILED,     /* an operation the kernel refused; `detail` */
    NSH_REPORT_CLOSED,     /* a condition or check fails; `detail` is why, and what is withdrawn */
    NSH_REPORT_OPENED,     /* it holds again; `detail` is what is back */
    NSH_REPORT_LEARNED,    /* the gateway that others learned changed; `detail` is what to */
    NSH_REPORT_FLOWS,      /* untranslated flows deleted after a repair; `count` */
    NSH_REPORT_DROPPED,    /* flows that are to be translated otherwise now; `count` */
    NSH_REPORT_TRIAL, /* a configuration is in force until it is confirmed; `detail` says when */
    NSH_REPORT_CONFIRMED,  /* it was */
    NSH_REPORT_REVERTED,   /* it was not, the accepted one is back; `detail` is why */
    NSH_REPORT_WITHDRAWN,  /* somebody asked for the accepted one, and it is back */
    NSH_REPORT_SUPERSEDED, /* another was loaded meanwhile; `detail` is what took its place */
    NSH_REPORT_KINDS,
};

enum { NSH_REPORT_IPV4 = 1, NSH_REPORT_IPV6 = 2 };

struct nsh_report {
    enum nsh_report_kind kind;
    const char *object;  /* "route", "rule", a policy's noun, "set", "forwarding", "accept-ra",
                          "condition", "check", "probe route", "probe rule", "gateway",
                          "configuration" */
    const char *name;    /* "10.20.0.0/16 via 192.168.1.1", "lan-out", "ipv6"; may be NULL. Of a
                            policy that has both families and is told of in one: "home (ipv4)" */
    const char *policy;  /* the policy's name alone: NETSHARED_POLICY; may be NULL */
    bool drops;          /* of a policy that is pending: what it drops meanwhile */
    unsigned families;   /* bits of NSH_REPORT_IPV4, …; 0: of none */
    const char *cause;   /* "start", "reload", "removed", "replaced", "link eth0 went down",
                            "resync", "poll", …; may be NULL */
    const char *detail;  /* may be NULL; may hold several lines for *_BAD */
    const char *culprit; /* program name when certain (design section 7); NULL: not known */
    pid_t culprit_pid;
    uint32_t sender;        /* netlink port id, when a culprit is not certain; 0: none */
    uint64_t duration_usec; /* from noticing to done; 0: not told */
    const char *path;       /* where the object is configured; NULL: nowhere */
    uint32_t line;
    uint64_t count;
    uint64_t untold; /* SUMMARY: so many of these got no line of their own */
};

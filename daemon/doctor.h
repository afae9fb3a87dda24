/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of `doctor` share. It looks for the usual culprits one by one; those that a file
 * has to be changed for are told by `check` as well, when it looks at this machine's own file.
 *
 * Nothing is written, no module loaded, no table brought into being. What can't be seen, for want
 * of rights or of a daemon, is said to be unseen; and nothing is said to be wrong unless it
 * certainly is.
 */
#pragma once

#include <jansson.h>

#include "conntrack-ports.h"
#include "firewall-choice.h"
#include "options.h"
#include "reload.h"
#include "survey.h"

struct doctor {
    const struct nsh_options *options;
    const char *root; /* before /etc, /proc and /run; "" but in tests */
    struct nsh_fib *fib;
    struct nsh_firewalls firewalls;
    int firewalls_error;
    const struct nsh_loaded *loaded; /* the file; NULL: there is none */
    struct nsh_desired *desired;     /* what it wants; NULL: it is bad */
    struct nsh_survey survey;
    int survey_error;
    json_t *status; /* what the daemon says; NULL: it does not */
    int status_error;
    json_t *result; /* of the check that is looking */
};

struct doctor_check {
    const char *name;
    const char *about; /* what is looked at */
    bool file;         /* of what the file says, so that `check` tells it too */
    void (*look)(struct doctor *d);
};
/* Up to one without a name. */
extern const struct doctor_check doctor_checks[];

/* Whether there is a file that is right, and the machine could be looked at; else it is unseen. */
bool doctor_can_judge(struct doctor *d);
/* Whether the daemon said how it is; else that is unseen, or there is nothing to see. */
bool doctor_has_status(struct doctor *d);
/* Looks for one of them: {"name", "state", "why", "findings": [...]}. */
json_t *doctor_look(struct doctor *d, const struct doctor_check *check);

/*
 * Adds what is wrong with the file on this machine to the file's own diagnoses, as warnings. Where
 * the machine can't be looked at there are none.
 */
void nsh_doctor_advise(const struct nsh_options *o, struct nsh_loaded *loaded);

/* ---- what a check tells (doctor-tell.c) ---- */

/*
 * Something is wrong. `fix`: what to do; "run: " and a command, or words. `at`: the line that it
 * is about; NSH_ORIGIN_NONE: none.
 */
__attribute__((format(printf, 4, 5))) void doctor_find(
        struct doctor *d, nsh_origin at, const char *fix, const char *format, ...);
/* The same at another place. */
__attribute__((format(printf, 5, 6))) void doctor_find_at(struct doctor *d, const char *path,
        uint32_t line, const char *fix, const char *format, ...);
/* All is well, and this is worth knowing all the same. */
__attribute__((format(printf, 2, 3))) void doctor_note(struct doctor *d, const char *format, ...);
__attribute__((format(printf, 4, 5))) void doctor_note_at(
        struct doctor *d, nsh_origin at, const char *fix, const char *format, ...);
/* It can't be seen. */
__attribute__((format(printf, 2, 3))) void doctor_unseen(struct doctor *d, const char *format, ...);
/* There is nothing to look at. */
void doctor_idle(struct doctor *d, const char *why);
/* "only root may see it", or what else the error says. */
void doctor_unseen_error(struct doctor *d, int error);

/* What the daemon says of an object; NULL: it does not, or holds none of the kind and name. */
const json_t *doctor_object(const struct doctor *d, const char *kind, const char *name);
/* Of what the daemon says: "" for a text that is not there, 0 for a number. */
const char *doctor_text_of(const json_t *o, const char *key);
uint64_t doctor_number_of(const json_t *o, const char *key);
/* It waits before it repairs the object again. */
bool doctor_is_undone(const json_t *object);

/* "run: netshared WORDS", with this command's options; returns buf. */
const char *doctor_command(const struct doctor *d, const char *words, char *buf, size_t size);
#define DOCTOR_KEY 96
/* "net/ipv4/conf/eth0/rp_filter"; returns buf. */
const char *doctor_key(int family, const char *dev, const char *leaf, char *buf, size_t size);
/* Its value; -1: there is none. */
int doctor_sysctl(const struct doctor *d, const char *key);
int doctor_sysctl_of(const struct doctor *d, int family, const char *dev, const char *leaf);
/* "run: sysctl -w net.ipv4.conf.eth0.rp_filter=2"; returns buf. */
const char *doctor_sysctl_fix(const char *key, int value, char *buf, size_t size);

/* ---- the checks ---- */

void doctor_daemon(struct doctor *d);  /* doctor-daemon.c */
void doctor_file(struct doctor *d);    /* doctor-daemon.c */
void doctor_trial(struct doctor *d);   /* doctor-daemon.c */
void doctor_objects(struct doctor *d); /* doctor-daemon.c */
void doctor_fights(struct doctor *d);  /* doctor-daemon.c */
void doctor_sandbox(struct doctor *d); /* doctor-sandbox.c */

void doctor_interfaces(struct doctor *d);    /* doctor-file.c */
void doctor_gateways(struct doctor *d);      /* doctor-file.c */
void doctor_rivals(struct doctor *d);        /* doctor-file.c */
void doctor_ways_out(struct doctor *d);      /* doctor-policies.c */
void doctor_subnets(struct doctor *d);       /* doctor-policies.c */
void doctor_segments(struct doctor *d);      /* doctor-policies.c */
void doctor_network_maps(struct doctor *d);  /* doctor-network-maps.c */
void doctor_port_forwards(struct doctor *d); /* doctor-port-forwards.c */

void doctor_forwarding(struct doctor *d);     /* doctor-sysctls.c */
void doctor_reverse_path(struct doctor *d);   /* doctor-reverse-path.c */
void doctor_advertisements(struct doctor *d); /* doctor-sysctls.c */

void doctor_firewalls(struct doctor *d); /* doctor-firewall.c */
void doctor_legacy(struct doctor *d);    /* doctor-firewall.c */
void doctor_forward(struct doctor *d);   /* doctor-firewall.c */
void doctor_networkd(struct doctor *d);  /* doctor-networkd.c */
void doctor_conntrack(struct doctor *d); /* doctor-conntrack.c */
void doctor_ports(struct doctor *d);     /* doctor-conntrack.c */

/* ---- judging, apart from looking ---- */

bool doctor_in_force(const struct doctor *d, const struct nsh_policy *p);
bool doctor_overlap(const struct nsh_prefix *a, const struct nsh_prefix *b);
/* The device is one of the list's, under one of its names. */
bool doctor_is_side(
        const struct nsh_survey *s, const struct nsh_device_list *side, uint32_t ifindex);

/* What systemd-networkd's files below `root` say of a switch of [Network]; `otherwise`: nothing. */
bool doctor_networkd_says(const char *root, const char *key, bool otherwise);
/* Whether a process of that name runs, as /proc below `root` shows it (its first 15 characters). */
bool doctor_process_runs(const char *root, const char *name);
/* Whether /proc/sys/net can be written, by the text of a process's mountinfo. */
bool doctor_mountinfo_writable(FILE *mountinfo, const char *path);
/* How many ports the policies leave to `use`'s address, and the policy that does; NULL: none. */
const struct nsh_masquerade *doctor_port_range(const struct nsh_config *c,
        const struct nsh_survey *s, const struct nsh_port_use *use, uint32_t *ret);

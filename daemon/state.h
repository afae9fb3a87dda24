/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state directory: what the kernel can't remember for us. Every file is written aside, synced
 * and renamed; a reader sees the old or the new, never half.
 *
 *     accepted   the archive of the last accepted configuration (config.h)
 *     tried-a, tried-b
 *                the archive of one that is on trial, or was tried and not confirmed
 *     trial      how that stands: "running" or "reverted", until when, how long it was to be,
 *                and which archive it is
 *     sysctls    "KEY BEFORE OURS" a line: what we switched and what it was; of this boot and this
 *                network namespace alone, as its first line says
 *     protocol   the route protocol in use
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nsh_state;

struct nsh_sysctl_before {
    char key[128]; /* below /proc/sys: "net/ipv4/ip_forward" */
    int before;
    int ours;
    bool told; /* that it could not be given back; not stored */
};
#define NSH_SYSCTLS_MAX 4096

/*
 * Opens (and makes, 0700) the directory for the one process that writes in it. -EBUSY: there is one
 * already; a directory that others may write is -EPERM; other -errno.
 */
int nsh_state_open(const char *directory, struct nsh_state **ret);
/* Only to load from what is there, beside a writer. */
int nsh_state_open_reader(const char *directory, struct nsh_state **ret);
void nsh_state_free(struct nsh_state *s);

enum nsh_archive_name {
    NSH_ARCHIVE_ACCEPTED,
    NSH_ARCHIVE_TRIED_A, /* by turns, so that a trial that can't begin takes nothing from another */
    NSH_ARCHIVE_TRIED_B,
};

/* A descriptor for a new archive, to be given to nsh_config_load; -errno. Thread-safe. */
int nsh_state_archive_begin(struct nsh_state *s);
/* Gives `fd` this name. Does not close it. 0 or -errno; then what had the name keeps it. */
int nsh_state_archive_store(struct nsh_state *s, enum nsh_archive_name name, int fd);
/* Opens it for reading: descriptor, or -ENOENT. */
int nsh_state_archive_open(struct nsh_state *s, enum nsh_archive_name name);
/* True if `fd` holds the same bytes as the archive of that name. */
bool nsh_state_archive_same(struct nsh_state *s, enum nsh_archive_name name, int fd);

/* ---- state-trial.c ---- */

struct nsh_trial {
    bool reverted;                 /* it is over, and was not confirmed */
    uint64_t until;                /* CLOCK_REALTIME, microseconds */
    uint64_t timeout;              /* microseconds it was to last */
    enum nsh_archive_name archive; /* what is tried */
};

/* -ENOENT: there is none. */
int nsh_state_trial_load(struct nsh_state *s, struct nsh_trial *ret);
int nsh_state_trial_save(struct nsh_state *s, const struct nsh_trial *trial);
/* What is tried becomes accepted; the trial is over. */
int nsh_state_trial_confirm(struct nsh_state *s, const struct nsh_trial *trial);
/* It is over, and counts no more. */
int nsh_state_trial_forget(struct nsh_state *s);

/* All remembered sysctls: an array, the caller's to free, empty when there are none. */
int nsh_state_sysctls_load(struct nsh_state *s, struct nsh_sysctl_before **ret, size_t *ret_n);
/* Whether the list can hold the key: a plain path below net/, without blanks or control bytes. */
bool nsh_state_key_is_safe(const char *key);
/* Replaces the list. */
int nsh_state_sysctls_save(struct nsh_state *s, const struct nsh_sysctl_before *list, size_t n);

/* The protocol that marks what stands in the kernel; -ENOENT when never saved. */
int nsh_state_protocol_load(struct nsh_state *s, uint8_t *ret);
int nsh_state_protocol_save(struct nsh_state *s, uint8_t protocol);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Switches of the kernel that policies depend on.
 */
#include <string.h>

#include "doctor.h"

/* ---- forwarding ---- */

static const char *const forwarding_keys[NSH_FAMILIES] = {
        [NSH_V4] = "net/ipv4/ip_forward",
        [NSH_V6] = "net/ipv6/conf/all/forwarding",
};

/* What came and went again is the daemon's to know: it has forwarding among what it wants. */
static bool daemon_wants(const struct doctor *d, int family)
{
    return d->status && doctor_object(d, "forwarding", family == AF_INET6 ? "ipv6" : "ipv4");
}

static bool needs(const struct nsh_desired *d, int family)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].family == family && d->chains[i].policy[0] != '\0' &&
                !d->chains[i].standby && !d->chains[i].absent)
            return true;
    return false;
}

/* With `auto` a daemon switches it on; one that runs and could not is in need of help, too. */
static bool is_missing(const struct doctor *d, int family)
{
    bool left = d->desired->config->settings.forwarding == NSH_FORWARDING_LEAVE;

    return (left || d->status) && doctor_sysctl(d, forwarding_keys[nsh_family_index(family)]) == 0;
}

/* The daemon has policies of the family, and none of them is as it should be. */
static bool has_no_policy(const struct doctor *d, const char *family)
{
    const json_t *o;
    size_t i, n = 0;

    json_array_foreach(json_object_get(d->status, "objects"), i, o)
    {
        if (!json_object_get(o, "policy") || strcmp(doctor_text_of(o, "family"), family) != 0)
            continue;
        if (strcmp(doctor_text_of(o, "state"), "held") == 0)
            return false;
        n++;
    }
    return n > 0;
}

/*
 * What keeps the daemon from switching it on, and what helps: it has another file, it waits for the
 * policies, somebody switches it off again; or it may not write, and then who may has to.
 */
static const char *judge_auto(const struct doctor *d, int family, char *fix, size_t size)
{
    const char *name = family == AF_INET6 ? "ipv6" : "ipv4";
    const json_t *o = doctor_object(d, "forwarding", name);
    const char *reason = doctor_text_of(o, "reason");

    if (!o && has_no_policy(d, name))
        reason = "the daemon waits until the policies hold";
    if (*reason == '\0') {
        doctor_command(d, "reload", fix, size);
        return o ? "the daemon is about to" : "the daemon does as soon as it has this file";
    }
    if (doctor_is_undone(o))
        snprintf(fix, size, "stop what switches it off (see 'fights')");
    else if (!o || strcmp(doctor_text_of(o, "state"), "pending") == 0)
        snprintf(fix, size, "do what is said of the policies (see 'objects')");
    else
        doctor_sysctl_fix(forwarding_keys[nsh_family_index(family)], 1, fix, size);
    return reason;
}

static void look_for_forwarding(struct doctor *d, int family)
{
    const char *name = family == AF_INET6 ? "IPv6" : "IPv4", *why;
    const struct nsh_config *c = d->desired->config;
    char fix[1024];

    if (c->settings.forwarding == NSH_FORWARDING_LEAVE) {
        why = "the settings say 'forwarding: leave'";
        doctor_sysctl_fix(forwarding_keys[nsh_family_index(family)], 1, fix, sizeof fix);
    } else {
        why = judge_auto(d, family, fix, sizeof fix);
    }
    doctor_find(d, c->forwarding_at, fix,
            "policies need %s to be forwarded, and the kernel does not: %s", name, why);
}

/* IPv4 has a switch for each device, too, which the common one sets only when it changes. */
static void look_at_device(struct doctor *d, const struct nsh_survey_link *l, nsh_origin at)
{
    char key[DOCTOR_KEY], fix[256];

    doctor_key(AF_INET, l->name, "forwarding", key, sizeof key);
    if (doctor_sysctl(d, key) == 0)
        doctor_find(d, at, doctor_sysctl_fix(key, 1, fix, sizeof fix),
                "forwarding of IPv4 is on, but not for what comes in by '%s'", l->name);
}

static bool names(const struct nsh_device_list *list, const struct nsh_survey_link *l)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (nsh_survey_matches(list->items[i], l))
            return true;
    return false;
}

/* The first policy whose packets come in by it; NULL: none. */
static const struct nsh_policy *user_of(const struct doctor *d, const struct nsh_survey_link *l)
{
    const struct nsh_config *c = d->desired->config;

    for (size_t i = 0; i < c->n_shares; i++)
        if (names(&c->shares[i].lan, l) || names(&c->shares[i].wan, l))
            return &c->shares[i].policy;
    for (size_t i = 0; i < c->n_masquerades; i++)
        if (names(&c->masquerades[i].out, l))
            return &c->masquerades[i].policy;
    for (size_t i = 0; i < c->n_port_forwards; i++)
        if (names(&c->port_forwards[i].in, l))
            return &c->port_forwards[i].policy;
    return NULL;
}

static void look_at_devices(struct doctor *d)
{
    for (size_t i = 0; i < d->survey.n_links; i++) {
        const struct nsh_survey_link *l = &d->survey.links[i];
        const struct nsh_policy *p = l->alias || strcmp(l->name, "lo") == 0 ? NULL : user_of(d, l);

        if (p && !p->disabled && (p->families & NSH_FAMILY_IPV4) &&
                nsh_desired_is_open(d->desired, p->when))
            look_at_device(d, l, p->origin);
    }
}

void doctor_forwarding(struct doctor *d)
{
    if (!doctor_can_judge(d))
        return;
    for (int f = 0; f < NSH_FAMILIES; f++)
        if ((needs(d->desired, nsh_family_of(f)) || daemon_wants(d, nsh_family_of(f))) &&
                is_missing(d, nsh_family_of(f)))
            look_for_forwarding(d, nsh_family_of(f));
    if (needs(d->desired, AF_INET) && doctor_sysctl(d, forwarding_keys[NSH_V4]) == 1)
        look_at_devices(d);
}

/* ---- router advertisements ---- */

/*
 * A device that forwards hears them with accept_ra=2 only. That matters where the way out is
 * learned so: on a device that leads outside and has no default route.
 */
static bool is_deaf(const struct doctor *d, const struct nsh_survey_link *l)
{
    return !l->alias && l->up && !l->leads_out[NSH_V6] &&
           doctor_sysctl_of(d, AF_INET6, l->name, "forwarding") == 1 &&
           doctor_sysctl_of(d, AF_INET6, l->name, "accept_ra") == 1;
}

static bool is_outside(const struct nsh_policy *p, const struct nsh_device_list *out,
        const struct nsh_survey_link *l)
{
    return !p->disabled && (p->families & NSH_FAMILY_IPV6) && names(out, l);
}

static const struct nsh_policy *outside_of(const struct doctor *d, const struct nsh_survey_link *l)
{
    const struct nsh_config *c = d->desired->config;

    for (size_t i = 0; i < c->n_shares; i++)
        if (is_outside(&c->shares[i].policy, &c->shares[i].wan, l))
            return &c->shares[i].policy;
    for (size_t i = 0; i < c->n_masquerades; i++)
        if (is_outside(&c->masquerades[i].policy, &c->masquerades[i].out, l))
            return &c->masquerades[i].policy;
    return NULL;
}

void doctor_advertisements(struct doctor *d)
{
    char key[DOCTOR_KEY], fix[256];

    if (!doctor_can_judge(d))
        return;
    for (size_t i = 0; i < d->survey.n_links; i++) {
        const struct nsh_survey_link *l = &d->survey.links[i];
        const struct nsh_policy *p = outside_of(d, l);

        if (!p || !is_deaf(d, l))
            continue;
        doctor_key(AF_INET6, l->name, "accept_ra", key, sizeof key);
        doctor_find(d, p->origin, doctor_sysctl_fix(key, 2, fix, sizeof fix),
                "'%s' forwards IPv6, and so does not hear router advertisements, and no default "
                "route leads out of it",
                l->name);
    }
}

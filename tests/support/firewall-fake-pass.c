/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Others that drop what is forwarded, of all alike, and the jump of ours among their rules.
 */
#include "firewall-fake-table.h"

#include <stdio.h>
#include <string.h>

static void drop_passage(const struct nsh_firewall_fake *f, struct nsh_passage *p)
{
    if (p->ban)
        return;
    p->dropped = p->exit ? p->n_paths > 0 : f->drop != NSH_FAKE_DROP_HOSTS;
    p->by_firewall = !p->exit && f->drop == NSH_FAKE_DROP_OURS;
    p->drop.hosts = f->drop != NSH_FAKE_DROP_REFUSES;
    snprintf(p->drop.what, sizeof(p->drop.what), "%s", f->dropper);
    snprintf(p->drop.fix, sizeof(p->drop.fix), "run: let-through %s", p->chain->policy);
}

static void add_guest(char *buf, size_t size, const struct nsh_chain *c)
{
    size_t at = strlen(buf);

    snprintf(buf + at, size - at, "%s%s %d", at > 0 ? ", " : "", c->policy,
            c->family == AF_INET6 ? 6 : 4);
}

static void tell(
        const struct nsh_firewall_fake *f, const char *want, nsh_guest_told *told, void *userdata)
{
    struct nsh_guest_seen seen = {.where = f->dropper[0] ? f->dropper : "its chain"};

    if (strcmp(f->guest, want) == 0)
        seen.verb = NSH_GUEST_STANDS;
    else if (want[0] == '\0')
        seen.verb = NSH_GUEST_REMOVE;
    else
        seen.verb = f->guest[0] ? NSH_GUEST_CHANGE : NSH_GUEST_ADD;
    seen.reason = seen.verb == NSH_GUEST_ADD ? "missing" : "changed";
    if (told && (want[0] || f->guest[0]))
        told(userdata, &seen);
}

static void tell_unjudged(const struct nsh_firewall_fake *f, nsh_guest_told *told, void *userdata)
{
    for (size_t i = 0; told && i < NSH_ARRAY_SIZE(f->unjudged) && f->unjudged[i]; i++)
        told(userdata, &(struct nsh_guest_seen){.verb = NSH_GUEST_UNJUDGED,
                               .where = f->unjudged[i],
                               .reason = "too many rules"});
}

int fake_pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
        struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata)
{
    struct fake_handle *h = fake_handle_of(fw);
    struct nsh_firewall_fake *f = h->f;
    char want[sizeof(f->guest)] = "";
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        passages[i].dropped = passages[i].by_firewall = passages[i].hosted = false;
        if (!f->dropper[0] || (holds && f->drop == NSH_FAKE_DROP_OURS))
            continue;
        drop_passage(f, &passages[i]);
        passages[i].hosted = f->drop == NSH_FAKE_DROP_HOSTS;
        if (f->drop == NSH_FAKE_DROP_HOSTS && !passages[i].barred)
            add_guest(want, sizeof(want), passages[i].chain);
    }
    if (mode == NSH_FIREWALL_WRITE && strcmp(f->guest, want) != 0)
        rc = fake_fail(&f->pass_failure, NULL, 0);
    if (rc < 0)
        return rc;
    tell(f, want, told, userdata);
    tell_unjudged(f, told, userdata);
    if (mode == NSH_FIREWALL_WRITE)
        snprintf(f->guest, sizeof(f->guest), "%s", want);
    h->drops_known = f->drops;
    return 0;
}

int fake_pass_changed(struct nsh_firewall *fw)
{
    return fake_handle_of(fw)->drops_known != fake_handle_of(fw)->f->drops;
}

void nsh_firewall_fake_drop(
        struct nsh_firewall_fake *f, const char *where, enum nsh_firewall_fake_drop how)
{
    snprintf(f->dropper, sizeof(f->dropper), "%s", where);
    f->drop = how;
    if (where[0] == '\0')
        f->guest[0] = '\0'; /* it went with it */
    f->drops++;
}

void nsh_firewall_fake_unjudged(struct nsh_firewall_fake *f, const char *one, const char *another)
{
    f->unjudged[0] = one;
    f->unjudged[1] = another;
    f->drops++;
}

const char *nsh_firewall_fake_guest(const struct nsh_firewall_fake *f)
{
    return f->guest;
}

void nsh_firewall_fake_take_guest(struct nsh_firewall_fake *f)
{
    f->guest[0] = '\0';
    f->drops++;
}

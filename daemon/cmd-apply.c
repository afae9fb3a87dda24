/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `apply` and `remove`: the reconciler once, without an event loop. Where a daemon runs, `apply`
 * is a reload of it and `remove` is refused: two writers would fight.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "common.h"
#include "converge.h"
#include "default-routes.h"
#include "firewall-choice.h"
#include "journal.h"
#include "lock.h"
#include "options.h"
#include "reload.h"
#include "status.h"

#define WAIT_MSEC 20

struct once {
    struct nsh_journal *journal;
    struct nsh_state *state;
    struct nsh_fib *fib;
    struct nsh_firewalls firewalls;
    struct nsh_reconciler *reconciler;
    struct nsh_writer writer;
};

static void on_report(void *userdata, const struct nsh_report *report)
{
    struct once *o = userdata;

    nsh_journal_report(o->journal, report);
}

static void once_done(struct once *o)
{
    nsh_reconciler_free(o->reconciler);
    nsh_firewalls_done(&o->firewalls);
    nsh_fib_free(o->fib);
    nsh_state_free(o->state);
    nsh_journal_free(o->journal);
    nsh_writer_done(&o->writer);
}

static int once_open(struct once *o, const struct nsh_options *options)
{
    struct nsh_reconciler_hooks hooks = {.userdata = o, .now = nsh_clock, .report = on_report};
    int q;

    if (nsh_writer_state(options, &o->state) != 0)
        return NSH_EXIT_FAILED;
    q = nsh_journal_new(&o->journal);
    if (q == 0)
        q = nsh_fib_netlink_new(&o->fib);
    if (q == 0)
        q = nsh_firewalls_open(&o->firewalls);
    if (q == 0)
        q = nsh_reconciler_new(o->fib, o->firewalls.chosen, o->state, &hooks, &o->reconciler);
    return q == 0 ? 0 : nsh_complain("cannot open the kernel's interfaces: %s", strerror(-q));
}

/* flock has no event to wait for. */
static void wait_a_moment(void *userdata)
{
    (void)userdata;
    poll(NULL, 0, WAIT_MSEC);
}

/* Runs until all is compared and written, or what holds it up has held it up for too long. */
static int converge(struct once *o)
{
    static const struct nsh_converge_hooks hooks = {.now = nsh_clock, .wait = wait_a_moment};
    static const char *const held_up[] = {
            [NSH_OBSTACLE_NONE] = "not all could be done: see above",
            [NSH_OBSTACLE_LOCK] = "another program holds the xtables lock; try again",
            [NSH_OBSTACLE_CHANGES] = "others keep changing what is to be compared; try again",
    };
    enum nsh_obstacle why;
    int q = nsh_converge(o->reconciler, &hooks, &why);

    if (q > 0)
        return nsh_complain("%s", held_up[why]);
    return q < 0 ? nsh_complain("cannot compare with the kernel: %s", strerror(-q)) : 0;
}

/* Fails when something could not be made so, pending ones excepted: they may come yet. */
static int verdict(const struct once *o)
{
    struct nsh_counts c;
    char text[128];
    size_t wrong;

    nsh_reconciler_count(o->reconciler, &c);
    printf("%s\n", nsh_status_counts(o->reconciler, text, sizeof text));
    wrong = c.routes[NSH_OBJECT_WRONG] + c.rules[NSH_OBJECT_WRONG] + c.policies[NSH_OBJECT_WRONG] +
            c.sets[NSH_OBJECT_WRONG] + c.forwarding[NSH_OBJECT_WRONG] + c.probes[NSH_OBJECT_WRONG];
    return wrong == 0 && nsh_reconciler_gave_back(o->reconciler) ? NSH_EXIT_OK : NSH_EXIT_FAILED;
}

/* Nobody knows what was wanted before: whether a default route of ours goes, the kernel tells. */
static void advise(const struct once *o, const struct nsh_loaded *loaded)
{
    static const bool any[NSH_FAMILIES] = {true, true};
    uint8_t before = 0;

    (void)nsh_state_protocol_load(o->state, &before);
    if (loaded->error == 0)
        nsh_advise_default_routes(loaded->desired, any, before, loaded->diags);
    if (loaded->diags)
        nsh_diags_print(loaded->diags, stderr);
}

static int apply_once(struct once *o, const struct nsh_options *options)
{
    struct nsh_loaded loaded;
    int code = NSH_EXIT_FAILED;

    if (once_open(o, options) != 0)
        return NSH_EXIT_FAILED;
    nsh_load_now(options->config, NSH_TRUST_REQUIRED, o->state, &loaded);
    advise(o, &loaded);
    if (loaded.error == 0) {
        nsh_firewalls_choose(&o->firewalls, loaded.desired, false);
        nsh_reconciler_use(o->reconciler, o->firewalls.chosen, nsh_firewalls_other(&o->firewalls));
        loaded.error = nsh_reconciler_set(o->reconciler, loaded.desired, NSH_OCCASION_START);
    }
    if (loaded.error == 0) {
        loaded.desired = NULL;
        code = converge(o) == 0 ? verdict(o) : NSH_EXIT_FAILED;
    }
    nsh_loaded_done(&loaded);
    return code;
}

int nsh_command_apply(const struct nsh_options *options)
{
    struct once o = {.writer = NSH_WRITER_NONE};
    pid_t holder;
    int code = nsh_writer_take(options, &o.writer, &holder);

    if (code == -EBUSY) {
        fprintf(stderr, "netshared: the daemon (process %d) runs: asking it to reload\n",
                (int)holder);
        return nsh_command_reload(options);
    }
    if (code != NSH_EXIT_OK)
        return code;
    code = apply_once(&o, options);
    once_done(&o);
    return code;
}

/*
 * The mark of what is to be removed: the protocol of the last run, else what the file says, else
 * the default. A bad or missing file is no reason to refuse.
 */
static void settings_for_removal(
        const struct nsh_options *options, struct nsh_state *state, struct nsh_settings *ret)
{
    struct nsh_loaded loaded;
    uint8_t protocol;

    nsh_settings_default(ret);
    if (nsh_state_protocol_load(state, &protocol) == 0) {
        ret->route_protocol = protocol;
        return;
    }
    nsh_load_now(options->config, NSH_TRUST_WARN, NULL, &loaded);
    if (loaded.error == 0)
        *ret = loaded.desired->config->settings;
    nsh_loaded_done(&loaded);
}

static int remove_once(struct once *o, const struct nsh_options *options)
{
    struct nsh_settings settings;
    struct nsh_config *config = NULL;
    struct nsh_desired *empty = NULL;
    struct nsh_work work;

    if (once_open(o, options) != 0)
        return NSH_EXIT_FAILED;
    settings_for_removal(options, o->state, &settings);
    if (nsh_config_new_empty(&settings, &config) < 0)
        return nsh_complain("%s", strerror(ENOMEM));
    if (nsh_desired_new(config, &empty) < 0) {
        nsh_config_free(config);
        return nsh_complain("%s", strerror(ENOMEM));
    }
    nsh_reconciler_use(o->reconciler, o->firewalls.chosen, nsh_firewalls_other(&o->firewalls));
    if (nsh_reconciler_set(o->reconciler, empty, NSH_OCCASION_STOP) < 0) {
        nsh_desired_free(empty);
        return nsh_complain("%s", strerror(ENOMEM));
    }
    if (converge(o) != 0)
        return NSH_EXIT_FAILED;
    nsh_reconciler_work(o->reconciler, &work);
    return work.failures == 0 ? NSH_EXIT_OK : NSH_EXIT_FAILED;
}

int nsh_command_remove(const struct nsh_options *options)
{
    struct once o = {.writer = NSH_WRITER_NONE};
    pid_t holder;
    int code = nsh_writer_take(options, &o.writer, &holder);

    if (code == -EBUSY)
        return nsh_complain("the daemon (process %d) runs and would put everything back; stop it "
                            "first: systemctl stop netshared",
                (int)holder);
    if (code != NSH_EXIT_OK)
        return code;
    code = remove_once(&o, options);
    once_done(&o);
    return code;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check-json.h"
#include "cleanup.h"
#include "common.h"
#include "doctor.h"
#include "firewall-choice.h"
#include "options.h"
#include "probes.h"
#include "reload.h"
#include "text.h"

/* ---- standard input ---- */

/* A write to a memfd is never short but for want of memory. */
static int copy(int from, int to)
{
    static char chunk[64UL * 1024];
    uint64_t sum = 0;

    for (;;) {
        ssize_t n = read(from, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        sum += (uint64_t)n;
        if (sum > NSH_CONFIG_FILE_MAX)
            return -EFBIG;
        if (write(to, chunk, (size_t)n) != n)
            return -ENOMEM;
    }
}

/* What an editor has in its buffer: read as if it stood in the file, drop-ins and all. */
static void load_input(const char *path, struct nsh_loaded *ret)
{
    nsh_autoclose int fd = memfd_create("netshared-check", MFD_CLOEXEC);
    int q = fd < 0 ? -errno : copy(STDIN_FILENO, fd);

    if (q == 0)
        nsh_load_text(path, fd, NSH_TRUST_ADVISE, ret);
    else
        *ret = (struct nsh_loaded){.diags = nsh_diags_new(), .error = q};
}

/* ---- this machine ---- */

/* Which firewall is in use here can be seen without touching anything, by who may look. */
static void look_at_firewalls(const char *path, const struct nsh_loaded *loaded)
{
    struct nsh_firewalls f = {0};
    char what[256], fix[256];

    if (nsh_firewalls_open(&f) < 0) {
        nsh_firewalls_done(&f);
        return;
    }
    nsh_firewalls_choose(&f, loaded->desired, true);
    if (nsh_firewalls_look_at_both(&f) == NSH_BOTH_BEGUN)
        nsh_diag_add(loaded->diags, NSH_DIAG_WARNING, path, 0, 0,
                nsh_firewalls_both_fix(&f, fix, sizeof fix), "%s",
                nsh_firewalls_both_what(&f, what, sizeof what));
    nsh_firewalls_done(&f);
}

/* ---- the verdict ---- */

/* What is there for probes alone is not in the file. */
static size_t count_rules(const struct nsh_desired *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_rules; i++)
        n += !nsh_probes_rule_is(d->config, &d->rules[i]);
    return n;
}

struct policies {
    size_t n, disabled;
};

static void count_policy(void *userdata, enum nsh_policy_kind kind, const struct nsh_policy *policy)
{
    struct policies *count = userdata;

    (void)kind;
    count->n++;
    count->disabled += policy->disabled;
}

static void print_contents(const char *path, const struct nsh_desired *d)
{
    struct policies count = {0};
    size_t n_routes = d->n_routes - d->n_probe_routes, n_rules = count_rules(d);

    printf("%s: ok, %zu route%s, ", path, n_routes, n_routes == 1 ? "" : "s");
    if (n_rules > 0)
        printf("%zu rule%s, ", n_rules, n_rules == 1 ? "" : "s");
    nsh_config_each_policy(d->config, count_policy, &count);
    printf("%zu polic%s", count.n, count.n == 1 ? "y" : "ies");
    if (count.disabled > 0)
        printf(" (%zu disabled)", count.disabled);
    putchar('\n');
}

/* Who gives a file may well mean it for this machine. */
static void print_unlooked(const char *path)
{
    char word[512];

    printf("  the file alone was read; whether this machine has what it needs tells: "
           "netshared check --config %s\n",
            nsh_text_word(path, word, sizeof word));
}

static int print_text(
        const char *path, const struct nsh_loaded *loaded, const struct nsh_options *o)
{
    size_t warnings = nsh_diags_warnings(loaded->diags);

    nsh_diags_print(loaded->diags, stderr);
    if (loaded->error != 0)
        return NSH_EXIT_FAILED;
    if (o->strict && warnings > 0)
        return nsh_complain("%s: %zu warning%s, and --strict takes none", path, warnings,
                warnings == 1 ? "" : "s");
    print_contents(path, loaded->desired);
    if (o->operands[0] == path)
        print_unlooked(path);
    return NSH_EXIT_OK;
}

static int print_json(const char *path, const struct nsh_loaded *loaded, bool strict)
{
    bool ok = loaded->error == 0 && !(strict && nsh_diags_warnings(loaded->diags) > 0);

    /* What could not be written nsh_answer_end() tells. */
    return nsh_check_json(stdout, path, loaded->diags, ok) == 0 && ok ? NSH_EXIT_OK
                                                                      : NSH_EXIT_FAILED;
}

int nsh_command_check(const struct nsh_options *o)
{
    bool input = o->operands[0] && strcmp(o->operands[0], "-") == 0;
    const char *path = o->operands[0] && !input ? o->operands[0] : o->config;
    struct nsh_loaded loaded;
    int code;

    if (input)
        load_input(path, &loaded);
    else
        nsh_load_now(path, NSH_TRUST_ADVISE, NULL, &loaded);
    if (!loaded.diags)
        return nsh_complain("%s: %s", path, strerror(ENOMEM));
    if (loaded.error != 0 && nsh_diags_errors(loaded.diags) == 0)
        nsh_diag_add(loaded.diags, NSH_DIAG_ERROR, path, 0, 0, NULL, "can't be read: %s",
                strerror(-loaded.error));
    /* The machine's own file; another one may be for another machine. */
    if (!o->operands[0] && loaded.error == 0) {
        look_at_firewalls(path, &loaded);
        nsh_doctor_advise(o, &loaded);
    }
    code = o->json ? print_json(path, &loaded, o->strict) : print_text(path, &loaded, o);
    nsh_loaded_done(&loaded);
    return code;
}

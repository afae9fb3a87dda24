/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A configuration that is changed while it is loaded: one whole version is taken, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"

#define LOADS 400
#define NOBODY 65534

static char scratch[] = "/tmp/nsh-test-race-XXXXXX";

/* So many routes that it takes some reads. */
static void put_version(const char *path, unsigned routes)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs("version: 1\nroutes:\n", f);
    for (unsigned i = 0; i < routes; i++)
        fprintf(f, "  - {to: 10.%u.%u.0/24, via: 192.0.2.2}\n", i / 256, i % 256);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

/* Links to the versions and the versions themselves, one after the other in the same place. */
__attribute__((noreturn)) static void swap(void)
{
    static const char *const versions[] = {"one", "strange", "two"};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0;; i = (i + 1) % NSH_ARRAY_SIZE(versions)) {
        (void)unlink("next");
        if (symlink(versions[i], "next") == 0)
            (void)rename("next", "config.yaml");
        (void)unlink("next");
        if (link(versions[i], "next") == 0)
            (void)rename("next", "config.yaml");
    }
}

static void test_swapped(void **state)
{
    unsigned taken = 0;
    pid_t child;

    (void)state;
    put_version("one", 100);
    put_version("two", 900);
    put_version("strange", 300);
    /* Of another user, or if we can't give it away, such that others can write it. */
    assert_int_equal(geteuid() == 0 ? chown("strange", NOBODY, NOBODY) : chmod("strange", 0666), 0);
    assert_int_equal(link("one", "config.yaml"), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        swap();
    for (int i = 0; i < LOADS; i++) {
        struct nsh_config_source source = {
                .path = "config.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
        struct nsh_diags *d = nsh_diags_new();
        struct nsh_config *c = NULL;
        int r = nsh_config_load(&source, d, &c);

        if (r == 0) {
            assert_true(c->n_routes == 100 || c->n_routes == 900);
            taken++;
        } else {
            assert_true(r == -EPERM || r == -ENOENT || r == -ELOOP);
        }
        nsh_config_free(c);
        nsh_diags_free(d);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(taken > 0);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {"one", "two", "strange", "next", "config.yaml"};

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        (void)unlink(names[i]);
    return chdir("/") | rmdir(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_swapped)};

    return cmocka_run_group_tests(tests, setup, teardown);
}

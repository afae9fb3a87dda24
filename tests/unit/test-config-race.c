/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A configuration that is changed while it is loaded. Put in its place by a rename, one whole
 * version is taken, or none, and never one that somebody else could have written; written to while
 * it is read, none is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"

#define LOADS 400
#define LOADS_MORE 100 /* of what goes the same way */
#define NOBODY 65534

static char scratch[] = "/tmp/nsh-test-race-XXXXXX";

ssize_t __real_pread64(int fd, void *buf, size_t size, off64_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off64_t at);

/* ---- others in the same place ---- */

/* What is swapped; the configuration that is loaded all the while, and what else belongs to it. */
static const struct scene {
    const char *what, *config;
    const char *place;     /* what is swapped */
    bool directory;        /* it is one, or a link to one, as a whole */
    const char *main_text; /* of `config`, where that is not it; NULL */
    const char *line;      /* of each route: the middle of its address goes between */
    const char *line_end;
} scenes[] = {
        {"file", "config.yaml", "config.yaml", false, NULL, "  - {via: 192.0.2.2, to: ", "}"},
        {"list", "config.yaml", "list", false,
                "version: 1\nroutes: [{to: {file: list}, via: 192.0.2.2}]\n", "", ""},
        {"drop-in", "config.yaml", "config.d/a.yaml", false, "version: 1\n",
                "  - {via: 192.0.2.2, to: ", "}"},
        {"directory", "place/config.yaml", "place", true, NULL, "  - {via: 192.0.2.2, to: ", "}"},
        {"drop-in directory", "config.yaml", "config.d", true, "version: 1\n",
                "  - {via: 192.0.2.2, to: ", "}"},
};

static void put_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* So many routes that it takes some reads. */
static void put_version(const struct scene *s, const char *path, unsigned routes)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    if (s->line[0] != '\0')
        fputs("version: 1\nroutes:\n", f);
    for (unsigned i = 0; i < routes; i++)
        fprintf(f, "%s10.%u.%u.0/24%s\n", s->line, i / 256, i % 256, s->line_end);
    assert_int_equal(fclose(f), 0);
}

/* To another user, or if we can't give it away, such that others can write to it. */
static void make_strange(const char *path)
{
    assert_int_equal(geteuid() == 0 ? chown(path, NOBODY, NOBODY) : chmod(path, 0777), 0);
}

static void put_files(const struct scene *s)
{
    char in[64];

    if (!s->directory) {
        put_version(s, "one", 100);
        put_version(s, "two", 900);
        put_version(s, "strange", 300);
        make_strange("strange");
        (void)mkdir("config.d", 0755);
        assert_int_equal(link("one", s->place), 0);
    } else {
        assert_int_equal(mkdir(s->place, 0755) | mkdir("strange", 0755), 0);
        (void)snprintf(in, sizeof in, "%s/config.yaml", s->place);
        put_version(s, in, 100);
        put_version(s, "strange/config.yaml", 300);
        make_strange("strange");
        assert_int_equal(symlink("strange", "next"), 0);
    }
    if (s->main_text)
        put_text(s->config, s->main_text);
}

/* Links to the versions and the versions themselves, one after the other in the same place. */
__attribute__((noreturn)) static void swap_files(const char *place)
{
    static const char *const versions[] = {"one", "strange", "two"};
    char target[64];

    for (size_t i = 0;; i = (i + 1) % NSH_ARRAY_SIZE(versions)) {
        (void)unlink("next");
        (void)snprintf(target, sizeof target, "%s%s", strchr(place, '/') ? "../" : "", versions[i]);
        if (symlink(target, "next") == 0)
            (void)rename("next", place);
        (void)unlink("next");
        if (link(versions[i], "next") == 0)
            (void)rename("next", place);
    }
}

/* The directory, and in its place a link to that of another user. */
__attribute__((noreturn)) static void swap_directories(const char *place)
{
    for (;;)
        if (syscall(SYS_renameat2, AT_FDCWD, "next", AT_FDCWD, place, RENAME_EXCHANGE) < 0)
            abort();
}

static pid_t begin_swapping(const struct scene *s)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child > 0)
        return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (s->directory)
        swap_directories(s->place);
    swap_files(s->place);
}

static int load(const char *path, struct nsh_diags *d, unsigned *ret_routes)
{
    struct nsh_config_source source = {.path = path, .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
    struct nsh_config *c = NULL;
    int r = nsh_config_load(&source, d, &c);

    if (r == 0)
        *ret_routes = (unsigned)c->n_routes;
    nsh_config_free(c);
    return r;
}

static bool is_said(const struct nsh_diags *d, const char *text)
{
    for (size_t i = 0; i < nsh_diags_count(d); i++)
        if (strstr(nsh_diags_get(d, i)->text, text))
            return true;
    return false;
}

/* Whether it was refused for the owner or the mode; there is no other reason but a link that went.
 */
static bool is_distrusted(const struct nsh_diags *d)
{
    bool distrusted = is_said(d, geteuid() == 0 ? "belongs to user 65534" : "written by others");

    assert_true(distrusted || is_said(d, "can't be opened: ") || is_said(d, "changed while"));
    return distrusted;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    return ftw->level == 0 ? 0 : remove(path);
}

static void clear(void)
{
    assert_int_equal(nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void race(const struct scene *s)
{
    unsigned taken = 0, refused = 0;
    pid_t child;

    put_files(s);
    child = begin_swapping(s);
    for (int i = 0; i < (s == scenes ? LOADS : LOADS_MORE) || taken == 0 || refused == 0; i++) {
        struct nsh_diags *d = nsh_diags_new();
        unsigned routes = 0;
        int r = load(s->config, d, &routes);

        if (r == 0) {
            assert_true(routes == 100 || routes == 900);
            taken++;
        } else if (is_distrusted(d)) {
            refused++;
        }
        nsh_diags_free(d);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    print_message("%s: %u taken, %u refused\n", s->what, taken, refused);
    clear();
}

static void test_swapped(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(scenes); i++)
        race(&scenes[i]);
}

/* ---- written to ---- */

typedef void change_file(const char *path);

/* What happens to the file behind the first bytes that are read of it. */
static struct {
    const char *path;
    ino_t inode;
    change_file *change;
} planned;

ssize_t __wrap_pread64(int fd, void *buf, size_t size, off64_t at)
{
    ssize_t n = __real_pread64(fd, buf, size, at);
    change_file *now = planned.change;
    struct stat st;

    if (now && fstat(fd, &st) == 0 && st.st_ino == planned.inode) {
        planned.change = NULL;
        now(planned.path);
    }
    return n;
}

static void cut(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
}

static void add(const char *path)
{
    FILE *f = fopen(path, "ae");

    assert_non_null(f);
    assert_true(fputs("# more\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Another byte, in a comment. */
static void overwrite(const char *path)
{
    nsh_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "3\n", 2, lseek(fd, 0, SEEK_END) - 2), 2);
}

/* And nobody is to see it from the time: the clock of older kernels goes by ticks. */
static void overwrite_unseen(const char *path)
{
    struct stat before, now;

    assert_int_equal(stat(path, &before), 0);
    do {
        overwrite(path);
        assert_int_equal(
                utimensat(AT_FDCWD, path, (struct timespec[]){before.st_atim, before.st_mtim}, 0),
                0);
        assert_int_equal(stat(path, &now), 0);
    } while (now.st_ctim.tv_sec == before.st_ctim.tv_sec &&
             now.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
    assert_int_equal(now.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

static void replace(const char *path)
{
    put_text("other", "");
    assert_int_equal(rename("other", path), 0);
}

/* With times such that a change is one, whatever the clock's ticks. */
static void plan(const char *path, change_file *change)
{
    static const struct timespec long_ago[] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct stat st;

    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    assert_int_equal(stat(path, &st), 0);
    planned.path = path;
    planned.inode = st.st_ino;
    planned.change = change;
}

static void assert_refused(const char *path, change_file *change)
{
    struct nsh_diags *d = nsh_diags_new();
    unsigned routes;

    plan(path, change);
    assert_int_equal(load("config.yaml", d, &routes), -EINVAL);
    assert_null(planned.change);
    assert_int_equal(nsh_diags_errors(d), 1);
    assert_string_equal(nsh_diags_get(d, 0)->path, path);
    assert_string_equal(nsh_diags_get(d, 0)->text, "the file was changed while it was read");
    nsh_diags_free(d);
}

static void assert_taken(const char *path, change_file *change)
{
    struct nsh_diags *d = nsh_diags_new();
    unsigned routes = 0;

    plan(path, change);
    assert_int_equal(load("config.yaml", d, &routes), 0);
    assert_null(planned.change);
    assert_int_equal(routes, 3);
    nsh_diags_free(d);
}

static void test_written_to(void **state)
{
    static const char *const files[] = {"config.yaml", "config.d/a.yaml", "list"};
    static change_file *const changes[] = {cut, add, overwrite, overwrite_unseen};

    (void)state;
    for (size_t f = 0; f < NSH_ARRAY_SIZE(files); f++) {
        for (size_t i = 0; i <= NSH_ARRAY_SIZE(changes); i++) {
            assert_int_equal(mkdir("config.d", 0755), 0);
            put_text("list", "10.1.0.0/16\n# 2\n");
            put_text("config.yaml", "version: 1\nroutes: [{to: {file: list}, via: 192.0.2.2}, "
                                    "{to: 10.2.0.0/16, via: 192.0.2.2}]\n# 2\n");
            put_text("config.d/a.yaml", "routes: [{to: 10.3.0.0/16, via: 192.0.2.2}]\n# 2\n");
            if (i < NSH_ARRAY_SIZE(changes))
                assert_refused(files[f], changes[i]);
            else
                assert_taken(files[f], replace);
            clear();
        }
    }
}

static int setup(void **state)
{
    (void)state;
    (void)umask(022);
    return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    clear();
    return chdir("/") | rmdir(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_swapped),
            cmocka_unit_test(test_written_to),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

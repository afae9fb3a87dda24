/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading as a whole: which files, in which order, into one configuration.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "config-archive.h"
#include "config-loader.h"
#include "config-open.h"

#define SUFFIX ".yaml"

void nsh_settings_default(struct nsh_settings *ret)
{
    *ret = (struct nsh_settings){
            .firewall = NSH_FIREWALL_AUTO,
            .forwarding = NSH_FORWARDING_AUTO,
            .on_stop = NSH_ON_STOP_KEEP,
            .flush_conntrack = NSH_FLUSH_CONNTRACK_NEVER,
            .route_protocol = NSH_ROUTE_PROTOCOL_DEFAULT,
            .resync_usec = 60000000,
            .check_mark = NSH_CHECK_MARK_DEFAULT,
            .check_table = NSH_CHECK_TABLE_DEFAULT,
            .check_priority = NSH_CHECK_PRIORITY_DEFAULT,
    };
}

void nsh_config_free(struct nsh_config *c)
{
    if (!c || c->others-- > 0)
        return;
    free(c->routes);
    nsh_arena_free(c->arena);
    nsh_origins_free(c->origins);
    free(c);
}

struct nsh_config *nsh_config_share(struct nsh_config *c)
{
    c->others++;
    return c;
}

NSH_DEFINE_CLEANUP(struct nsh_config *, nsh_config_free)

int nsh_config_new_empty(const struct nsh_settings *settings, struct nsh_config **ret)
{
    NSH_CLEANUP(nsh_config_freep) struct nsh_config *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->settings = *settings;
    c->origins = nsh_origins_new();
    c->arena = nsh_arena_new();
    if (!c->origins || !c->arena)
        return -ENOMEM;
    *ret = NSH_TAKE_PTR(c);
    return 0;
}

/* ---- the loader ---- */

static void loader_done(struct nsh_loader *l)
{
    nsh_config_free(l->config);
    free(l->links.links);
    free(l->links.slots);
    free(l->hops.items);
    nsh_lists_done(&l->lists);
    nsh_policies_done(l);
    free(l->rules);
    free(l->gates);
    free(l->vrfs);
    nsh_names_free(&l->tables);
    nsh_names_free(&l->protocols);
    nsh_names_free(&l->used_tables);
}

static int loader_init(struct nsh_loader *l, struct nsh_diags *diags)
{
    struct nsh_settings settings;

    l->diags = diags;
    nsh_settings_default(&settings);
    return nsh_config_new_empty(&settings, &l->config);
}

/* Judges what no single file shows. The verdict: 0 or negative errno. */
static int finish(struct nsh_loader *l, size_t errors_before)
{
    if (l->failure == 0)
        nsh_finish_settings(l);
    if (l->failure == 0)
        nsh_finish_checks(l);
    if (l->failure == 0)
        nsh_finish_routes(l);
    if (l->failure == 0)
        nsh_finish_rules(l);
    if (l->failure == 0)
        nsh_finish_policies(l);
    if (l->failure == 0)
        nsh_finish_gates(l);
    if (l->failure != 0)
        return l->failure;
    return nsh_diags_errors(l->diags) > errors_before ? -EINVAL : 0;
}

/* Remembers the first reason why a file could not be read; the others are read all the same. */
static void note(int *failure, int r)
{
    if (*failure == 0 && r < 0)
        *failure = r;
}

/* ---- from the files ---- */

static int report_archive(struct nsh_loader *l, const char *path, int r)
{
    if (r < 0)
        nsh_diag_add(l->diags, NSH_DIAG_ERROR, path, 0, 0, NULL,
                "can't be copied to the state directory: %s", strerror(-r));
    return r;
}

/* For who begins. */
static const char *absent_hint(const char *path)
{
    return access(path, F_OK) < 0 && errno == ENOENT
                   ? "'netshared import --output FILE' writes one from what is set up by hand"
                   : NULL;
}

static int load_file(struct nsh_loader *l, const struct nsh_config_source *source, const char *path,
        bool main_file)
{
    bool is_open = main_file && source->is_open;
    nsh_autoclose int opened = is_open ? -1
                                       : nsh_open_file(path, source->trust,
                                                 main_file ? absent_hint(path) : NULL, l->diags);
    off_t header = 0, begin = 0, end;
    int fd = is_open ? source->fd : opened, archive = source->archive_fd, r = 0;
    struct nsh_stamp stamp;

    if (fd < 0)
        return fd;
    r = nsh_stamp_take(fd, &stamp);
    if (r < 0)
        return r;
    if (archive >= 0) {
        r = nsh_archive_begin_file(archive, NSH_ARCHIVE_CONFIG, path, &header);
        begin = r < 0 ? 0 : lseek(archive, 0, SEEK_CUR);
        if (r < 0)
            return report_archive(l, path, r);
    }
    nsh_read_file(l, &(struct nsh_source){.fd = fd, .length = NSH_SOURCE_TO_END}, path, main_file,
            archive);
    nsh_loader_check_stamp(l, path, fd, &stamp);
    if (l->failure != 0)
        return 0;
    if (archive >= 0) {
        end = lseek(archive, 0, SEEK_CUR);
        r = report_archive(l, path, nsh_archive_end_file(archive, header, (uint64_t)(end - begin)));
    }
    return r < 0 ? r : nsh_read_lists(l, source);
}

char *nsh_config_drop_ins(const char *path)
{
    size_t n = strlen(path), suffix = strlen(SUFFIX);
    char *directory = NULL;

    if (n > suffix && strcmp(path + n - suffix, SUFFIX) == 0)
        n -= suffix;
    return asprintf(&directory, "%.*s.d", (int)n, path) < 0 ? NULL : directory;
}

static bool is_drop_in(const char *name)
{
    size_t n = strlen(name), suffix = strlen(SUFFIX);

    return name[0] != '.' && n > suffix && strcmp(name + n - suffix, SUFFIX) == 0;
}

/* It looks like one, and whoever wrote it thinks that it counts. */
static void warn_of_suffix(struct nsh_loader *l, const char *directory, const char *name)
{
    const char *dot = strrchr(name, '.');
    nsh_autofree char *path = NULL;
    char hint[NSH_HINT_TEXT], shown[256];

    if (name[0] == '.' || !dot || (strcasecmp(dot, ".yml") != 0 && strcasecmp(dot, SUFFIX) != 0))
        return;
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        path = NULL;
    (void)snprintf(hint, sizeof(hint), "name it %s" SUFFIX,
            nsh_printable(name, (size_t)(dot - name), shown, sizeof(shown)));
    nsh_diag_add(l->diags, NSH_DIAG_WARNING, path, 0, 0, hint,
            "this file is not read: the name of a drop-in ends in " SUFFIX);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct list {
    char **names;
    size_t n, room;
};

static void list_done(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    free(list->names);
}

static int list_drop_ins(struct nsh_loader *l, int fd, const char *directory, struct list *list)
{
    NSH_CLEANUP(closedirp) DIR *dir = fdopendir(fd);
    const struct dirent *e;

    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    while ((errno = 0, e = readdir(dir))) {
        if (!is_drop_in(e->d_name)) {
            warn_of_suffix(l, directory, e->d_name);
            continue;
        }
        if (list->n >= NSH_DROP_INS_MAX) {
            nsh_diag_add(l->diags, NSH_DIAG_ERROR, directory, 0, 0, NULL,
                    "it holds more than %d drop-ins", NSH_DROP_INS_MAX);
            return 0;
        }
        if (!nsh_loader_grow(l, &list->names, list->n, &list->room, sizeof(*list->names)))
            return -ENOMEM;
        list->names[list->n] = strdup(e->d_name);
        if (!list->names[list->n])
            return -ENOMEM;
        list->n++;
    }
    if (errno != 0)
        return -errno;
    if (list->n > 0)
        qsort(list->names, list->n, sizeof(*list->names), compare_names);
    return 0;
}

static int load_drop_ins(struct nsh_loader *l, const struct nsh_config_source *source)
{
    nsh_autofree char *directory = nsh_config_drop_ins(source->path);
    NSH_CLEANUP(list_done) struct list list = {0};
    int fd, r, failure = 0;

    if (!directory)
        return -ENOMEM;
    fd = nsh_open_directory(directory, source->trust, l->diags);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    r = list_drop_ins(l, fd, directory, &list);
    if (r < 0) {
        nsh_diag_add(
                l->diags, NSH_DIAG_ERROR, directory, 0, 0, NULL, "can't be read: %s", strerror(-r));
        return r;
    }
    for (size_t i = 0; i < list.n && l->failure == 0; i++) {
        nsh_autofree char *path = NULL;

        if (asprintf(&path, "%s/%s", directory, list.names[i]) < 0)
            return -ENOMEM;
        note(&failure, load_file(l, source, path, false));
    }
    return failure;
}

/*
 * What was found when all files had been read and closed is shown with its line as well; but what
 * stands in prefix files is not.
 */
static void attach_again(const struct nsh_loader *l, const struct nsh_config_source *source)
{
    struct nsh_diags *d = l->diags;

    for (size_t i = 0; i < nsh_diags_count(d); i++) {
        const struct nsh_diag *diag = nsh_diags_get(d, i);
        nsh_autoclose int fd = -1;
        struct stat st;

        if (!diag->path || diag->line == 0 || diag->source || nsh_lists_has(&l->lists, diag->path))
            continue;
        if (source->is_open && strcmp(diag->path, source->path) == 0) {
            nsh_diags_attach_source(d, diag->path, source->fd);
            continue;
        }
        fd = open(diag->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
            nsh_diags_attach_source(d, diag->path, fd);
    }
}

int nsh_config_load(
        const struct nsh_config_source *source, struct nsh_diags *diags, struct nsh_config **ret)
{
    NSH_CLEANUP(loader_done) struct nsh_loader l = {0};
    size_t errors = nsh_diags_errors(diags);
    int r = loader_init(&l, diags), failure = 0;

    if (r < 0)
        return r;
    l.advise = source->trust == NSH_TRUST_ADVISE;
    if (source->archive_fd >= 0)
        failure = report_archive(&l, source->path, nsh_archive_begin(source->archive_fd));
    if (failure == 0)
        failure = load_file(&l, source, source->path, true);
    if (failure < 0)
        return failure;
    if (l.failure == 0)
        failure = load_drop_ins(&l, source);
    r = finish(&l, errors);
    attach_again(&l, source);
    if (r == 0 && source->archive_fd >= 0)
        r = report_archive(&l, source->path, nsh_archive_end(source->archive_fd, &l.used_tables));
    if (failure < 0)
        return failure;
    if (r < 0)
        return r;
    *ret = NSH_TAKE_PTR(l.config);
    return 0;
}

/* ---- from an archive ---- */

static void load_archived(struct nsh_loader *l, const struct nsh_archive *a)
{
    /* Should one be named that is not in the archive, it is read; it has to be safe, too. */
    static const struct nsh_config_source outside = {.trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
    int r = 0;

    for (size_t i = 0; i < a->n_files && r == 0; i++)
        if (a->files[i].kind == NSH_ARCHIVE_LIST)
            r = nsh_lists_add(l, a->files[i].path, &a->files[i].source);
    for (size_t i = 0; i < a->n_files && l->failure == 0 && r == 0; i++) {
        if (a->files[i].kind != NSH_ARCHIVE_CONFIG)
            continue;
        nsh_read_file(l, &a->files[i].source, a->files[i].path, i == 0, -1);
        if (l->failure == 0)
            (void)nsh_read_lists(l, &outside);
    }
    if (r < 0)
        nsh_loader_no_memory(l);
}

int nsh_config_load_archive(int fd, struct nsh_diags *diags, struct nsh_config **ret)
{
    NSH_CLEANUP(nsh_archive_free) struct nsh_archive archive = {0};
    NSH_CLEANUP(loader_done) struct nsh_loader l = {0};
    size_t errors = nsh_diags_errors(diags);
    int r = loader_init(&l, diags);

    if (r < 0)
        return r;
    r = nsh_archive_read(fd, &archive);
    if (r < 0) {
        nsh_diag_add(diags, NSH_DIAG_ERROR, NULL, 0, 0, NULL,
                "the stored configuration can't be used: %s",
                r == -EBADMSG ? "it is damaged" : strerror(-r));
        return r;
    }
    /* Names of tables mean what they meant then. */
    l.used_tables = archive.tables;
    archive.tables = (struct nsh_names){0};
    load_archived(&l, &archive);
    r = finish(&l, errors);
    for (size_t i = 0; i < archive.n_files; i++)
        if (archive.files[i].kind == NSH_ARCHIVE_CONFIG)
            nsh_diags_attach_range(diags, archive.files[i].path, &archive.files[i].source);
    if (r < 0)
        return r;
    *ret = NSH_TAKE_PTR(l.config);
    return 0;
}

bool nsh_device_is_pattern(const char *name)
{
    return *name == '\0' || name[strlen(name) - 1] == '+';
}

bool nsh_device_list_has(const struct nsh_device_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

void nsh_config_each_policy(const struct nsh_config *c, nsh_config_policy *each, void *userdata)
{
    for (size_t i = 0; i < c->n_masquerades; i++)
        each(userdata, NSH_POLICY_MASQUERADE, &c->masquerades[i].policy);
    for (size_t i = 0; i < c->n_shares; i++)
        each(userdata, NSH_POLICY_SHARE, &c->shares[i].policy);
    for (size_t i = 0; i < c->n_port_forwards; i++)
        each(userdata, NSH_POLICY_PORT_FORWARD, &c->port_forwards[i].policy);
    for (size_t i = 0; i < c->n_network_maps; i++)
        each(userdata, NSH_POLICY_NETWORK_MAP, &c->network_maps[i].policy);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prefixes in files of their own: `to: {file: PATH}`, of routes and of policies.
 *
 * The files a configuration file names are read when that one is through, so that their lines are
 * numbered, and their bytes archived, one file after the other. What is parsed is the archive's
 * copy where there is one: a start from the archive finds the very same prefixes, and a file that
 * is named twice is the same both times.
 *
 * Anyone may have published such a list, and any file may be named by mistake: errors tell the
 * place, never what stands there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "config-archive.h"
#include "config-lists.h"
#include "config-open.h"

/* ---- the object ---- */

enum list_key {
    KEY_FILE,
};

struct list_draft {
    struct nsh_draft draft;
    const char *path; /* in the configuration's arena */
};

/* Relative to the file that says it. */
static void read_path(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    const char *slash = strrchr(l->path, '/');
    int n = value->text[0] == '/' || !slash ? 0 : (int)(slash - l->path) + 1;
    char path[PATH_MAX];

    (void)key;
    if ((size_t)snprintf(path, sizeof(path), "%.*s%s", n, l->path, value->text) >= sizeof(path)) {
        nsh_loader_error(l, value->mark, NULL, "the path is too long");
        return;
    }
    *(const char **)field = nsh_arena_strdup(l->config->arena, path);
    if (!*(const char **)field)
        nsh_loader_no_memory(l);
}

static const struct nsh_key_type type_path = {.what = "the path of a file",
        .hint = "write, say, file: /etc/netshared.lists/bogons.txt",
        .read = read_path,
        .forms = NSH_FORM_TEXT,
        .size = sizeof(const char *)};

static const struct nsh_key keys[] = {
        [KEY_FILE] = {"file", &type_path, .offset = offsetof(struct list_draft, path),
                .flags = NSH_KEY_REQUIRED,
                .missing = "write {file: PATH}: a file with a prefix on each line",
                .known_as = "path list", .help = "a file with a prefix on each line"},
};

static void finish_list(struct nsh_loader *l, void *draft)
{
    const struct list_draft *d = draft;
    struct nsh_lists *lists = &l->lists;

    if (!nsh_given(&d->draft, KEY_FILE) || !nsh_loader_grow(l, &lists->entries, lists->n_entries,
                                                   &lists->entries_room, sizeof(*lists->entries)))
        return;
    lists->entries[lists->n_entries++] = (struct nsh_list_entry){.path = d->path,
            .named_in = l->path,
            .named_at = d->draft.at.line,
            .field = l->list_field};
    l->n_object_lists++;
}

const struct nsh_object nsh_object_list = {
        .noun = "prefix file",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct list_draft),
        .finish = finish_list,
};

/* ---- one line ---- */

struct reader {
    struct nsh_loader *l;
    const struct nsh_list_entry *entry;
    bool any; /* a prefix was there, if only one that is left out */
};

static void refuse_prefix(struct nsh_loader *l, struct nsh_yaml_mark at, enum nsh_prefix_error e)
{
    switch (e) {
    case NSH_PREFIX_HOST_BITS:
        nsh_loader_error(l, at, "write the network's own address", "this prefix has host bits set");
        break;
    case NSH_PREFIX_LENGTH:
        nsh_loader_error(l, at, "it can be 0 to 32 in IPv4, 0 to 128 in IPv6",
                "this prefix has no valid length");
        break;
    case NSH_PREFIX_BAD:
    case NSH_PREFIX_OK:
    default:
        nsh_loader_error(l, at, "a line holds one prefix, and a comment behind '#' or ';'",
                "this is not an address or prefix");
        break;
    }
}

static void refuse_family(struct reader *r, struct nsh_yaml_mark at, int family, const char *why)
{
    char hint[NSH_HINT_TEXT], in[256];
    const struct nsh_list_entry *e = r->entry;

    (void)snprintf(hint, sizeof(hint), "with family: %s at %s:%u the others are left out",
            family == AF_INET ? "ipv6" : "ipv4",
            nsh_printable(e->named_in, strlen(e->named_in), in, sizeof(in)), e->named_at);
    nsh_loader_error(r->l, at, hint, "this prefix is %s, and %s", nsh_family_name(family), why);
}

/* Of the list of a policy. */
static void take_listed(struct reader *r, struct nsh_yaml_mark at, const struct nsh_prefix *p)
{
    struct nsh_prefixes *list = r->entry->prefixes;

    if (!(r->entry->families & nsh_family_bit(p->family)))
        return;
    if (list->n >= NSH_PREFIXES_MAX)
        nsh_loader_error(r->l, at, NULL, "more than %u prefixes in one list", NSH_PREFIXES_MAX);
    else if (nsh_loader_grow(r->l, &list->items, list->n, &list->room, sizeof(*list->items)))
        list->items[list->n++] = *p;
}

static void take_routed(struct reader *r, struct nsh_yaml_mark at, const struct nsh_prefix *p)
{
    const struct nsh_list_use *use = &r->entry->use[p->family == AF_INET6];
    struct nsh_loader *l = r->l;
    struct nsh_config *c = l->config;
    struct nsh_route *route;

    if (!use->route.props) {
        if (use->why)
            refuse_family(r, at, p->family, use->why);
        return;
    }
    if (!nsh_loader_grow(l, &c->routes, c->n_routes, &l->routes_room, sizeof(*c->routes)))
        return;
    route = &c->routes[c->n_routes++];
    *route = use->route;
    route->dst = p->addr;
    route->dst_length = p->length;
    route->origin = nsh_origins_at(c->origins, at.line);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\v';
}

static bool read_line(void *userdata, uint32_t line, const char *text, size_t n)
{
    struct reader *r = userdata;
    struct nsh_yaml_mark at = {.line = line};
    char word[NSH_PREFIX_TEXT];
    struct nsh_prefix p;
    enum nsh_prefix_error e = NSH_PREFIX_BAD;
    size_t from = 0, to = 0;

    while (from < n && is_blank(text[from]))
        from++;
    for (size_t i = from; i < n && text[i] != '#' && text[i] != ';'; i++)
        if (!is_blank(text[i]))
            to = i + 1;
    if (to == 0)
        return true;
    r->any = true;
    at.column = (uint32_t)from + 1;
    if (to - from < sizeof(word)) {
        memcpy(word, text + from, to - from);
        word[to - from] = '\0';
        if (word[strcspn(word, " \t")] == '\0' && strlen(word) == to - from)
            e = nsh_prefix_parse(word, &p);
    }
    if (e == NSH_PREFIX_OK && r->entry->prefixes)
        take_listed(r, at, &p);
    else if (e == NSH_PREFIX_OK)
        take_routed(r, at, &p);
    else
        refuse_prefix(r->l, at, e);
    return r->l->failure == 0;
}

/* ---- the file ---- */

static struct nsh_list_file *find_file(struct nsh_lists *lists, const char *path)
{
    for (size_t i = 0; i < lists->n_files; i++)
        if (strcmp(lists->files[i].path, path) == 0)
            return &lists->files[i];
    return NULL;
}

bool nsh_lists_has(const struct nsh_lists *lists, const char *path)
{
    return find_file((struct nsh_lists *)lists, path) != NULL;
}

int nsh_lists_add(struct nsh_loader *l, const char *path, const struct nsh_source *source)
{
    struct nsh_lists *lists = &l->lists;
    nsh_autofree char *copy = strdup(path);

    if (!copy || !nsh_loader_grow(l, &lists->files, lists->n_files, &lists->files_room,
                         sizeof(*lists->files)))
        return -ENOMEM;
    lists->files[lists->n_files++] =
            (struct nsh_list_file){.path = NSH_TAKE_PTR(copy), .source = *source};
    return 0;
}

void nsh_lists_done(struct nsh_lists *lists)
{
    for (size_t i = 0; i < lists->n_files; i++)
        free(lists->files[i].path);
    free(lists->files);
    free(lists->entries);
}

/* Copies the file into the archive, and makes that copy the source. */
static int archive_file(
        struct nsh_loader *l, const char *path, int fd, int archive, struct nsh_source *ret)
{
    const struct nsh_source from = {.fd = fd, .length = NSH_CONFIG_FILE_MAX};
    char chunk[16 * 1024];
    uint64_t size = 0;
    off_t header, begin;
    ssize_t n;
    int r = nsh_archive_begin_file(archive, NSH_ARCHIVE_LIST, path, &header);

    (void)l;
    if (r < 0)
        return r;
    begin = lseek(archive, 0, SEEK_CUR);
    if (begin < 0)
        return -errno;
    while ((n = nsh_source_read(&from, size, chunk, sizeof(chunk))) > 0) {
        r = nsh_archive_write(archive, chunk, (size_t)n);
        if (r < 0)
            return r;
        size += (uint64_t)n;
    }
    if (n < 0)
        return (int)n;
    r = nsh_archive_end_file(archive, header, size);
    if (r == 0)
        *ret = (struct nsh_source){.fd = archive, .start = (uint64_t)begin, .length = size};
    return r;
}

/*
 * Opens a file that was not read before. *ret_fd is to be closed. A file that can't be read is an
 * error of the configuration, an archive that can't be written is one of its own.
 */
static int open_list(struct nsh_loader *l, const struct nsh_list_entry *e,
        const struct nsh_config_source *from, int *ret_fd, struct nsh_stamp *ret_stamp,
        struct nsh_source *ret)
{
    char hint[NSH_HINT_TEXT], in[256];
    int fd, r = 0;

    (void)snprintf(hint, sizeof(hint), "it is named at %s:%u",
            nsh_printable(e->named_in, strlen(e->named_in), in, sizeof(in)), e->named_at);
    if (l->lists.n_files >= NSH_LIST_FILES_MAX) {
        nsh_diag_add(l->diags, NSH_DIAG_ERROR, e->path, 0, 0, hint, "more than %d prefix files",
                NSH_LIST_FILES_MAX);
        return 0;
    }
    fd = nsh_open_file(e->path, from->trust, hint, l->diags);
    if (fd < 0)
        return 0;
    *ret_fd = fd;
    r = nsh_stamp_take(fd, ret_stamp);
    if (r < 0)
        return r;
    *ret = (struct nsh_source){.fd = fd, .length = NSH_CONFIG_FILE_MAX};
    if (from->archive_fd >= 0) {
        r = archive_file(l, e->path, fd, from->archive_fd, ret);
        if (r < 0)
            nsh_diag_add(l->diags, NSH_DIAG_ERROR, e->path, 0, 0, hint,
                    "can't be copied to the state directory: %s", strerror(-r));
    }
    return r;
}

/* Whether prefixes of the family would have been taken. */
static bool wants(const struct nsh_list_entry *e, int family)
{
    if (e->prefixes)
        return e->families & nsh_family_bit(family);
    return e->use[family == AF_INET6].route.props != NULL;
}

static void warn_empty(struct reader *r)
{
    bool v4 = wants(r->entry, AF_INET), v6 = wants(r->entry, AF_INET6);
    char hint[NSH_HINT_TEXT], in[256];

    if (!v4 && !v6)
        return;
    (void)snprintf(hint, sizeof(hint), "the %s at %s:%u holds nothing because of that",
            r->entry->prefixes ? "list" : "route",
            nsh_printable(r->entry->named_in, strlen(r->entry->named_in), in, sizeof(in)),
            r->entry->named_at);
    nsh_loader_warning(r->l, (struct nsh_yaml_mark){0}, hint, "the file holds no %sprefixes",
            !r->any ? ""
            : !v6   ? "IPv4 "
            : !v4   ? "IPv6 "
                    : "");
}

static size_t taken(const struct nsh_loader *l, const struct nsh_list_entry *e)
{
    return e->prefixes ? e->prefixes->n : l->config->n_routes;
}

static void read_entry(
        struct nsh_loader *l, const struct nsh_list_entry *e, const struct nsh_source *source)
{
    struct reader reader = {.l = l, .entry = e};
    size_t routes = l->config->n_routes, first = taken(l, e), errors = nsh_diags_errors(l->diags);
    int r = nsh_origins_add_file(l->config->origins, e->path);

    l->path = e->path;
    if (r == 0)
        r = nsh_source_lines(source, read_line, &reader);
    if (r == -ENOMEM) {
        nsh_loader_no_memory(l);
    } else if (r < 0) {
        nsh_loader_error(l, (struct nsh_yaml_mark){0}, NULL, "%s",
                r == -E2BIG ? "too many lines in all files" : strerror(-r));
        l->failure = r;
    } else if (taken(l, e) == first && nsh_diags_errors(l->diags) == errors) {
        warn_empty(&reader);
    }
    l->config->n_routes =
            routes + nsh_routes_unite(l->config->routes + routes, l->config->n_routes - routes);
    l->path = NULL;
}

/* One file of one object; negative errno: why it could not be archived. */
static int read_list(
        struct nsh_loader *l, const struct nsh_list_entry *e, const struct nsh_config_source *from)
{
    const struct nsh_list_file *known = find_file(&l->lists, e->path);
    struct nsh_source source = {.fd = -1};
    nsh_autoclose int fd = -1;
    struct nsh_stamp stamp = {0};
    int r = 0;

    if (known && known->source.fd >= 0)
        source = known->source;
    else
        r = open_list(l, e, from, &fd, &stamp, &source);
    if (r == 0 && !known && source.fd >= 0)
        r = nsh_lists_add(
                l, e->path, from->archive_fd >= 0 ? &source : &(struct nsh_source){.fd = -1});
    if (r == 0 && source.fd >= 0)
        read_entry(l, e, &source);
    if (fd >= 0)
        nsh_loader_check_stamp(l, e->path, fd, &stamp);
    return r;
}

int nsh_read_lists(struct nsh_loader *l, const struct nsh_config_source *from)
{
    int failure = 0;

    for (size_t i = 0; i < l->lists.n_entries && l->failure == 0; i++) {
        const struct nsh_list_entry *e = &l->lists.entries[i];
        size_t errors = nsh_diags_errors(l->diags);
        int r = read_list(l, e, from);

        if (r < 0)
            failure = r;
        if (e->prefixes && nsh_diags_errors(l->diags) != errors)
            e->prefixes->wrong = true;
    }
    l->lists.n_entries = 0;
    nsh_policies_complete(l);
    return failure;
}

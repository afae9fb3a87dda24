/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "import.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "text.h"

/* Beside it there are no drop-ins. */
#define NOWHERE "/netshared-import.yaml"

void nsh_import_done(struct nsh_import *m)
{
    free(m->routes);
    free(m->links);
    free(m->rules);
    free(m->foreign);
    nsh_arena_free(m->arena);
    *m = (struct nsh_import){0};
}

void *nsh_import_add(void **items, size_t *n, size_t *max, size_t size)
{
    if (*n == *max) {
        size_t more = *max ? *max * 2 : 16;
        void *grown = reallocarray(*items, more, size);

        if (!grown)
            return NULL;
        *items = grown;
        *max = more;
    }
    return (char *)*items + (*n)++ * size;
}

/* ---- scalars and comments ---- */

static bool is_plain(const char *text)
{
    static const char *const words[] = {
            "true", "false", "yes", "no", "on", "off", "null", "y", "n"};

    if (!isalpha((unsigned char)text[0]))
        return false;
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_-+.", *p))
            return false;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        if (strcasecmp(words[i], text) == 0)
            return false;
    return true;
}

/* Bytes above 0x7f are part of UTF-8 characters, or the parser says that they are not. */
void nsh_import_text(FILE *to, const char *text)
{
    if (is_plain(text)) {
        (void)fputs(text, to);
        return;
    }
    (void)fputc('"', to);
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;

        if (c < ' ' || c == 0x7f)
            (void)fprintf(to, "\\x%02x", c);
        else
            (void)fprintf(to, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
    }
    (void)fputc('"', to);
}

void nsh_import_comment(FILE *to, const char *format, ...)
{
    nsh_autofree char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0) {
        text = NULL;
        return;
    }
    nsh_autofree char *line = nsh_text_line(text);
    (void)fprintf(to, "# %s\n", line ? line : "(no memory)");
}

/* ---- the judge ---- */

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(fd, text, left);

        if (n < 0)
            return -errno;
        text += n;
        left -= (size_t)n;
    }
    return 0;
}

static char *first_error(const struct nsh_diags *diags)
{
    for (size_t i = 0; i < nsh_diags_count(diags); i++)
        if (nsh_diags_get(diags, i)->severity == NSH_DIAG_ERROR)
            return strdup(nsh_diags_get(diags, i)->text);
    return strdup("it would be refused");
}

static void find_devices(const struct nsh_import *m, struct nsh_config *c)
{
    for (size_t i = 0; i < c->n_links; i++)
        for (size_t k = 0; k < m->n_links; k++)
            if (c->links[i].gateway_family == AF_UNSPEC &&
                    strcmp(c->links[i].name, m->links[k].name) == 0)
                c->links[i].ifindex = m->links[k].ifindex;
}

int nsh_import_judge(
        const struct nsh_import *m, const char *sections, struct nsh_config **ret, char **ret_why)
{
    nsh_autoclose int fd = memfd_create("netshared-import", MFD_CLOEXEC);
    struct nsh_config_source source = {
            .path = NOWHERE, .trust = NSH_TRUST_WARN, .archive_fd = -1, .is_open = true, .fd = fd};
    struct nsh_diags *diags = nsh_diags_new();
    int q = fd < 0 ? -errno : !diags ? -ENOMEM : write_all(fd, "version: 1\n");

    if (q == 0)
        q = write_all(fd, sections);
    if (q == 0)
        q = nsh_config_load(&source, diags, ret);
    if (q == 0)
        find_devices(m, *ret);
    if (q == -EINVAL) {
        *ret_why = first_error(diags);
        q = *ret_why ? q : -ENOMEM;
    }
    nsh_diags_free(diags);
    return q;
}

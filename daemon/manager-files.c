/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `settings: watch: true`: the files of the configuration are followed, and a change is a reload.
 * Which they are is known when one was read: the main file, its drop-ins and their directory, and
 * the prefix files that they name. After a bad one those of the last good one are watched on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "manager.h"
#include "origin.h"

static void on_change(void *userdata, const char *path)
{
    struct manager *m = userdata;
    struct nsh_report report = {
            .kind = NSH_REPORT_CHANGED,
            .object = "file",
            .name = path,
            .detail = "the configuration is read again",
    };

    manager_tell(m, &report);
    manager_request_load(m, NULL);
}

static void watch_all(struct manager *m, const struct nsh_config *c)
{
    const char *main_file = m->options->config;
    nsh_autofree char *drop_ins = nsh_config_drop_ins(main_file);

    nsh_file_watch_begin(m->files);
    nsh_file_watch_add(m->files, main_file);
    if (drop_ins)
        nsh_file_watch_add_names(m->files, drop_ins, ".yaml");
    for (size_t i = 0; i < nsh_origins_files(c->origins); i++)
        nsh_file_watch_add(m->files, nsh_origins_file(c->origins, i));
}

void manager_watch_files(struct manager *m)
{
    const struct nsh_config *c = nsh_reconciler_desired(m->reconciler)->config;
    nsh_autofree char *text = NULL;
    int q = 0;

    if (!c->settings.watch) {
        nsh_file_watch_free(m->files);
        m->files = NULL;
        return;
    }
    if (!m->files)
        q = nsh_file_watch_new(m->event, on_change, m, &m->files);
    if (q >= 0) {
        watch_all(m, c);
        q = nsh_file_watch_end(m->files, m->load_began);
    }
    if (q < 0 && asprintf(&text, "not every file of the configuration can be watched: %s",
                         q == -E2BIG ? "they are too many" : strerror(-q)) >= 0)
        manager_report(m, NSH_REPORT_WARNING, text);
}

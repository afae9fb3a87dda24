/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file of prefixes that a route and a policy name. It comes from an archive, so that no file has
 * to be made for each.
 */
#include "fuzz.h"

#include <unistd.h>

#include "config-archive.h"
#include "config.h"
#include "desired.h"

static const char yaml[] =
        "version: 1\n"
        "routes:\n"
        "  - {to: {file: /list}, type: blackhole}\n"
        "masquerade:\n"
        "  - {name: a, out: [eth0], family: [ipv4, ipv6], from: {file: /list}}\n";

static void put_file(
        int fd, enum nsh_archive_kind kind, const char *path, const void *data, size_t size)
{
    off_t at;

    FUZZ_MUST(nsh_archive_begin_file(fd, kind, path, &at) == 0);
    FUZZ_MUST(size == 0 || nsh_archive_write(fd, data, size) == 0);
    FUZZ_MUST(nsh_archive_end_file(fd, at, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nsh_autoclose int fd = fuzz_file(NULL, 0);
    const struct nsh_names none = {0};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;
    struct nsh_desired *desired = NULL;

    FUZZ_MUST(diags && nsh_archive_begin(fd) == 0);
    put_file(fd, NSH_ARCHIVE_CONFIG, "/fuzz.yaml", yaml, sizeof(yaml) - 1);
    put_file(fd, NSH_ARCHIVE_LIST, "/list", data, size);
    FUZZ_MUST(nsh_archive_end(fd, &none) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    if (nsh_config_load_archive(fd, diags, &config) == 0) {
        FUZZ_MUST(nsh_desired_new(config, &desired) == 0);
        nsh_desired_free(desired);
    }
    nsh_diags_free(diags);
    return 0;
}

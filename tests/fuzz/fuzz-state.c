/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of the state directory, as a disk that went bad may give them back: the first byte says
 * which.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "state.h"

static const char *const names[] = {"accepted", "sysctls", "protocol", "trial", "tried-a"};

static char directory[] = "/tmp/nsh-fuzz-state-XXXXXX";

static void clean_up(void)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

static struct nsh_state *open_state(void)
{
    static struct nsh_state *state;

    if (!state) {
        FUZZ_MUST(mkdtemp(directory));
        FUZZ_MUST(atexit(clean_up) == 0);
        FUZZ_MUST(nsh_state_open_reader(directory, &state) == 0);
    }
    return state;
}

static void put(const char *name, const struct fuzz_input *in)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    nsh_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_MUST(fd >= 0);
    FUZZ_MUST(in->size == 0 || write(fd, in->data, in->size) == (ssize_t)in->size);
}

static void load_archive(struct nsh_state *state)
{
    nsh_autoclose int fd = nsh_state_archive_open(state, NSH_ARCHIVE_ACCEPTED);
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;

    FUZZ_MUST(fd >= 0 && diags);
    (void)nsh_config_load_archive(fd, diags, &config);
    nsh_config_free(config);
    nsh_diags_free(diags);
}

static void load_sysctls(struct nsh_state *state)
{
    nsh_autofree struct nsh_sysctl_before *list = NULL;
    size_t n = 0;

    if (nsh_state_sysctls_load(state, &list, &n) < 0)
        return;
    FUZZ_MUST(n <= NSH_SYSCTLS_MAX);
    for (size_t i = 0; i < n; i++)
        FUZZ_MUST(nsh_state_key_is_safe(list[i].key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct nsh_state *state = open_state();
    uint8_t which = fuzz_byte(&in) % NSH_ARRAY_SIZE(names);
    struct nsh_trial trial;
    uint8_t protocol;

    put(names[which], &in);
    if (which == 0)
        load_archive(state);
    load_sysctls(state);
    (void)nsh_state_protocol_load(state, &protocol);
    (void)nsh_state_trial_load(state, &trial);
    return 0;
}

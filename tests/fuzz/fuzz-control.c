/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client says on the control channel: any bytes or, when the first byte is odd, those that
 * come after the greeting that sd-bus wants. The second bit makes it one who may only read.
 *
 * However it ends, the peer is gone, every call got its reply, and nothing that needs root was done
 * for who may only read.
 */
#include "fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "control-internal.h"

#define ROUNDS_MAX 10000

static unsigned int changes;

static void change(void *userdata, struct nsh_control_reply *reply)
{
    (void)userdata;
    changes++;
    nsh_control_reply_reload(reply, true, "text");
}

static void try(void *userdata, int fd, uint64_t timeout, struct nsh_control_reply *reply)
{
    (void)timeout;
    close(fd);
    change(userdata, reply);
}

static void ask(void *userdata, enum nsh_control_question question, struct nsh_control_reply *reply)
{
    (void)userdata;
    FUZZ_MUST(question < NSH_CONTROL_QUESTIONS);
    nsh_control_reply_text(reply, "{}");
}

static struct nsh_control *control(void)
{
    static const struct nsh_control_handler handler = {NULL, change, try, change, change, ask};
    static struct nsh_control *c;
    char folder[] = "/tmp/nsh-fuzz-control-XXXXXX", path[64], alias[64];
    sd_event *event = NULL;

    if (c)
        return c;
    FUZZ_MUST(mkdtemp(folder) && sd_event_new(&event) >= 0);
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    (void)snprintf(alias, sizeof(alias), "%s/control", folder);
    FUZZ_MUST(nsh_control_new(event, path, &handler, &c) == 0);
    /* Nobody else is to come. */
    FUZZ_MUST(unlink(path) == 0 && unlink(alias) == 0 && rmdir(folder) == 0);
    return c;
}

static void greet(int fd)
{
    char uid[16], hello[96];
    int n = snprintf(uid, sizeof(uid), "%u", (unsigned int)getuid()), at;

    hello[0] = '\0';
    at = 1 + snprintf(hello + 1, sizeof(hello) - 1, "AUTH EXTERNAL ");
    for (int i = 0; i < n; i++)
        at += snprintf(hello + at, sizeof(hello) - (size_t)at, "%02x", (unsigned int)uid[i]);
    at += snprintf(hello + at, sizeof(hello) - (size_t)at, "\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n");
    FUZZ_MUST(write(fd, hello, (size_t)at) == at);
}

static void drain(int fd)
{
    char bytes[65536];

    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

static void serve(struct nsh_control *c, int client)
{
    for (int i = 0; c->peers; i++) {
        FUZZ_MUST(i < ROUNDS_MAX);
        FUZZ_MUST(sd_event_run(c->event, 0) >= 0);
        drain(client);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint8_t first = fuzz_byte(&in);
    struct nsh_control *c = control();
    enum nsh_local_access access = first & 2U ? NSH_LOCAL_READ : NSH_LOCAL_CHANGE;
    int fds[2];

    FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    changes = 0;
    if (first & 1U)
        greet(fds[1]);
    (void)!write(fds[1], in.data, in.size); /* what has no room in the socket is left out */
    (void)shutdown(fds[1], SHUT_WR);
    if (nsh_control_peer_new(c, &fds[0], access, &c->peers) == 0) {
        c->n_peers++;
        serve(c, fds[1]);
    }
    FUZZ_MUST(c->n_peers == 0 && (access == NSH_LOCAL_CHANGE || changes == 0));
    nsh_closep(&fds[0]);
    close(fds[1]);
    return 0;
}

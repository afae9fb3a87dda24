/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows born untranslated, with packets: two clients behind a router, a server in front of it that
 * has a way back to them, so that what it sees is their address before and the router's after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "conntrack.h"

extern char **environ;

#define PORT 5000
#define MANY 300

enum place { CLIENT, OTHER, SERVER, ROUTER, PLACES };

/* The namespaces have no names, and go with these descriptors. */
static int places[PLACES] = {-1, -1, -1, -1};
static char lock_file[] = "/tmp/nsh-conntrack-XXXXXX";

struct world {
    int family;
    const char *client, *other, *server, *exempt, *silent, *wan;
    const char *iptables, *host_bits;
};

static const struct world worlds[] = {
        {AF_INET, "10.0.0.2", "10.0.1.2", "192.0.2.2", "192.0.2.3", "192.0.2.9", "192.0.2.1",
                "iptables-legacy", "/32"},
        {AF_INET6, "fd00:0:0:1::2", "fd00:0:0:2::2", "2001:db8::2", "2001:db8::3", "2001:db8::9",
                "2001:db8::1", "ip6tables-legacy", "/128"},
};

/* ---- surroundings ---- */

static void enter(enum place p)
{
    assert_int_equal(setns(places[p], CLONE_NEWNET), 0);
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
    char words[512], copy[512], *argv[48], *save = NULL;
    posix_spawn_file_actions_t quiet;
    int argc = 0, status;
    va_list ap;
    pid_t pid;

    va_start(ap, format);
    vsnprintf(words, sizeof words, format, ap);
    va_end(ap);
    memcpy(copy, words, sizeof copy);
    for (char *w = strtok_r(copy, " ", &save); w && argc < 47; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&quiet);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s", words);
}

/* A link from the router to another place, with addresses of both families on both ends. */
static void link_to(enum place to, const char *name, const char *net4, const char *net6)
{
    enter(ROUTER);
    run("ip link add %s type veth peer name eth0 netns /proc/%d/fd/%d", name, (int)getpid(),
            places[to]);
    run("ip address add %s.1/24 dev %s", net4, name);
    run("ip address add %s::1/64 dev %s nodad", net6, name);
    run("ip link set %s up", name);
    enter(to);
    run("ip link set lo up");
    run("ip address add %s.2/24 dev eth0", net4);
    run("ip address add %s::2/64 dev eth0 nodad", net6);
    run("ip link set eth0 up");
    run("ip route add default via %s.1", net4);
    run("ip route add default via %s::1", net6);
}

static void write_sysctl(const char *path)
{
    nsh_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "1", 1), 1);
}

static int setup(void **state)
{
    int fd = mkstemp(lock_file);

    (void)state;
    if (fd < 0)
        return -1;
    close(fd);
    setenv("XTABLES_LOCKFILE", lock_file, 1);
    for (int i = 0; i < PLACES; i++) {
        if (unshare(CLONE_NEWNET) < 0)
            return -1;
        places[i] = open("/proc/thread-self/ns/net", O_RDONLY); /* inherited by ip */
        if (places[i] < 0)
            return -1;
    }
    link_to(CLIENT, "lan", "10.0.0", "fd00:0:0:1");
    link_to(OTHER, "lan2", "10.0.1", "fd00:0:0:2");
    link_to(SERVER, "wan", "192.0.2", "2001:db8");
    run("ip address add 192.0.2.3/24 dev eth0");
    run("ip address add 2001:db8::3/64 dev eth0 nodad");
    enter(ROUTER);
    run("ip link set lo up");
    write_sysctl("/proc/sys/net/ipv4/ip_forward");
    write_sysctl("/proc/sys/net/ipv6/conf/all/forwarding");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(worlds); i++) {
        const char *ipt = worlds[i].iptables;

        /* What keeps conntrack in use: an inert rule in a chain that nothing leads to. */
        run("%s -t raw -N NETSHARED-conntrack", ipt);
        run("%s -t raw -A NETSHARED-conntrack -m conntrack --ctstate INVALID -j RETURN", ipt);
        run("%s -t nat -S", ipt);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < PLACES; i++)
        nsh_closep(&places[i]);
    return unlink(lock_file);
}

/* ---- sockets ---- */

static socklen_t address(
        const struct world *w, const char *text, uint16_t port, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->ss_family = (sa_family_t)w->family;
    if (w->family == AF_INET) {
        struct sockaddr_in *a = (struct sockaddr_in *)ret;

        a->sin_port = htons(port);
        assert_int_equal(inet_pton(AF_INET, text, &a->sin_addr), 1);
        return sizeof *a;
    }
    struct sockaddr_in6 *a = (struct sockaddr_in6 *)ret;

    a->sin6_port = htons(port);
    assert_int_equal(inet_pton(AF_INET6, text, &a->sin6_addr), 1);
    return sizeof *a;
}

static int open_at(const struct world *w, enum place p, int type, const char *bound)
{
    struct sockaddr_storage a;
    int fd, one = 1;

    enter(p);
    fd = socket(w->family, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (bound) {
        socklen_t n = address(w, bound, PORT, &a);

        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    }
    enter(ROUTER);
    return fd;
}

static void wait_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (poll(&p, 1, 10000) != 1)
        fail_msg("nothing arrived");
}

static const char *peer_text(const struct sockaddr_storage *a)
{
    static char text[INET6_ADDRSTRLEN];
    const void *src = a->ss_family == AF_INET
                              ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                              : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;

    return inet_ntop(a->ss_family, src, text, sizeof text);
}

/* One datagram there, and one back: the address `receiver` saw. */
static const char *exchange(const struct world *w, int sender, const char *to, int receiver)
{
    struct sockaddr_storage a, from;
    socklen_t n = address(w, to, PORT, &a), m = sizeof from;
    char c;

    assert_int_equal(sendto(sender, "x", 1, 0, (struct sockaddr *)&a, n), 1);
    wait_for(receiver);
    assert_int_equal(recvfrom(receiver, &c, 1, 0, (struct sockaddr *)&from, &m), 1);
    assert_int_equal(sendto(receiver, "y", 1, 0, (struct sockaddr *)&from, m), 1);
    wait_for(sender);
    assert_int_equal(recv(sender, &c, 1, 0), 1);
    return peer_text(&from);
}

static void echo(int a, int b)
{
    char c;

    assert_int_equal(send(a, "x", 1, MSG_NOSIGNAL), 1);
    wait_for(b);
    assert_int_equal(recv(b, &c, 1, 0), 1);
    assert_int_equal(send(b, "y", 1, MSG_NOSIGNAL), 1);
    wait_for(a);
    assert_int_equal(recv(a, &c, 1, 0), 1);
}

/* ---- the pass ---- */

/* The policy: all that goes out by wan, but for one destination. */
static size_t pass_with(struct nsh_conntrack *ct, const struct world *w, const char *out)
{
    struct nsh_packet_rule rules[2] = {
            {.action = NSH_PACKET_RETURN}, {.action = NSH_PACKET_MASQUERADE}};
    struct nsh_chain chain = {
            .family = (uint8_t)w->family, .hook = "POSTROUTING", .rules = rules, .n_rules = 2};
    const struct nsh_chain *chains[] = {&chain};
    const struct nsh_translations wanted = {.chains = chains, .n_chains = 1};
    struct nsh_fib *fib = NULL;
    int r;

    assert_int_equal(nsh_prefix_parse(w->exempt, &rules[0].to), NSH_PREFIX_OK);
    snprintf(rules[1].out, sizeof rules[1].out, "%s", out);
    assert_int_equal(nsh_fib_netlink_new(&fib), 0);
    assert_int_equal(nsh_conntrack_begin(ct, w->family), 0);
    do
        r = nsh_conntrack_step(ct, fib, &wanted);
    while (r == 1);
    assert_int_equal(r, 0);
    nsh_fib_free(fib);
    return nsh_conntrack_deleted(ct);
}

static size_t pass(const struct world *w, const char *out)
{
    struct nsh_conntrack *ct = NULL;
    size_t deleted;

    assert_int_equal(nsh_conntrack_new(&ct), 0);
    deleted = pass_with(ct, w, out);
    nsh_conntrack_free(ct);
    return deleted;
}

static void repair(const struct world *w)
{
    run("%s -t nat -A POSTROUTING -d %s%s -j RETURN", w->iptables, w->exempt, w->host_bits);
    run("%s -t nat -A POSTROUTING -o wan -j MASQUERADE", w->iptables);
}

static void forget(const struct world *w)
{
    run("%s -t nat -F", w->iptables);
    run("conntrack -F");
}

static void check_gap(const struct world *w)
{
    int client = open_at(w, CLIENT, SOCK_DGRAM, w->client);
    int other = open_at(w, OTHER, SOCK_DGRAM, w->other);
    int server = open_at(w, SERVER, SOCK_DGRAM, w->server);
    int exempt = open_at(w, SERVER, SOCK_DGRAM, w->exempt);
    int router = open_at(w, ROUTER, SOCK_DGRAM, NULL);
    int listener = open_at(w, SERVER, SOCK_STREAM, w->server);
    int tcp = open_at(w, CLIENT, SOCK_STREAM, NULL);
    struct sockaddr_storage a;
    socklen_t n = address(w, w->server, PORT, &a);

    /* In the gap. */
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect(tcp, (struct sockaddr *)&a, n), 0);
    wait_for(listener);
    int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    echo(tcp, accepted);
    assert_string_equal(exchange(w, client, w->server, server), w->client);
    assert_string_equal(exchange(w, client, w->exempt, exempt), w->client);
    assert_string_equal(exchange(w, client, w->other, other), w->client);
    assert_string_equal(exchange(w, router, w->server, server), w->wan);

    /* The policy is there again, and does nothing for what is tracked already. */
    repair(w);
    assert_string_equal(exchange(w, client, w->server, server), w->client);

    /* One entry goes, and none that is not to. */
    assert_int_equal(pass(w, "eth+"), 0);
    assert_int_equal(pass(w, "wan"), 1);
    assert_int_equal(pass(w, "wan"), 0);
    assert_string_equal(exchange(w, client, w->server, server), w->wan);
    assert_string_equal(exchange(w, client, w->exempt, exempt), w->client);
    assert_string_equal(exchange(w, client, w->other, other), w->client);
    assert_string_equal(exchange(w, router, w->server, server), w->wan);
    echo(tcp, accepted);
    /* What is translated stays too. */
    assert_int_equal(pass(w, "wan"), 0);
    /* "Any" is out of the router, not into it. */
    assert_int_equal(pass(w, "lan2"), 1);

    int fds[] = {client, other, server, exempt, router, listener, tcp, accepted};
    for (size_t i = 0; i < NSH_ARRAY_SIZE(fds); i++)
        close(fds[i]);
    forget(w);
}

static void test_gap(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(worlds); i++)
        check_gap(&worlds[i]);
}

static void answer(const struct world *w, int server, const char *to, int client)
{
    struct sockaddr_storage a;
    socklen_t n = address(w, to, PORT, &a);
    char c;

    assert_int_equal(sendto(server, "y", 1, 0, (struct sockaddr *)&a, n), 1);
    wait_for(client);
    assert_int_equal(recv(client, &c, 1, 0), 1);
}

/*
 * An answer that was under way while the entry was deleted turns the flow around. Only who
 * remembers what was deleted knows it from a flow that somebody out there began.
 */
static void check_turned_around(const struct world *w)
{
    int client = open_at(w, CLIENT, SOCK_DGRAM, w->client);
    int other = open_at(w, OTHER, SOCK_DGRAM, w->other);
    int server = open_at(w, SERVER, SOCK_DGRAM, w->server);
    struct nsh_conntrack *ct = NULL;

    assert_int_equal(nsh_conntrack_new(&ct), 0);
    assert_string_equal(exchange(w, client, w->server, server), w->client);
    answer(w, server, w->other, other); /* began over there, and is to stay so */
    repair(w);
    assert_int_equal(pass_with(ct, w, "wan"), 1);
    answer(w, server, w->client, client);
    assert_string_equal(exchange(w, client, w->server, server), w->client);
    assert_int_equal(pass(w, "wan"), 0);
    assert_int_equal(pass_with(ct, w, "wan"), 1);
    /* It may happen again. */
    answer(w, server, w->client, client);
    assert_int_equal(pass_with(ct, w, "wan"), 1);
    assert_string_equal(exchange(w, client, w->server, server), w->wan);
    assert_string_equal(exchange(w, other, w->server, server), w->other);
    assert_int_equal(pass_with(ct, w, "wan"), 0);
    nsh_conntrack_free(ct);
    close(client);
    close(other);
    close(server);
    forget(w);
}

static void test_turned_around(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(worlds); i++)
        check_turned_around(&worlds[i]);
}

/* Once it is forgotten, a flow from out there is a flow of its own. */
static void test_forgotten(void **state)
{
    const struct world *w = &worlds[0];
    int client = open_at(w, CLIENT, SOCK_DGRAM, w->client);
    int server = open_at(w, SERVER, SOCK_DGRAM, w->server);
    struct nsh_conntrack *ct = NULL;

    (void)state;
    assert_int_equal(nsh_conntrack_new(&ct), 0);
    assert_string_equal(exchange(w, client, w->server, server), w->client);
    repair(w);
    assert_int_equal(pass_with(ct, w, "wan"), 1);
    answer(w, server, w->client, client);
    nsh_conntrack_forget(ct, AF_INET6); /* another family's */
    nsh_conntrack_forget(ct, AF_INET);
    assert_int_equal(pass_with(ct, w, "wan"), 0);
    nsh_conntrack_free(ct);
    close(client);
    close(server);
    forget(w);
}

/* A connection that nobody has answered is none yet. */
static void test_unanswered_tcp(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(worlds); i++) {
        const struct world *w = &worlds[i];
        int tcp = open_at(w, CLIENT, SOCK_STREAM | SOCK_NONBLOCK, NULL);
        struct sockaddr_storage a;
        socklen_t n = address(w, w->silent, PORT, &a);

        assert_int_equal(connect(tcp, (struct sockaddr *)&a, n), -1);
        assert_int_equal(errno, EINPROGRESS);
        repair(w);
        assert_int_equal(pass(w, "wan"), 1);
        close(tcp);
        forget(w);
    }
}

/* A flow to the router itself leaves by no device, whatever the policy says. */
static void test_to_the_router(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(worlds); i++) {
        const struct world *w = &worlds[i];
        int client = open_at(w, CLIENT, SOCK_DGRAM, w->client);
        int router = open_at(w, ROUTER, SOCK_DGRAM, w->wan);

        assert_string_equal(exchange(w, client, w->wan, router), w->client);
        assert_int_equal(pass(w, "+"), 0);
        assert_int_equal(pass(w, ""), 0);
        close(client);
        close(router);
        forget(w);
    }
}

/* Behind a destination translation it is the real destination that counts. */
static void test_translated_destination(void **state)
{
    const struct world *w = &worlds[0];
    int client = open_at(w, CLIENT, SOCK_DGRAM, w->client);
    int server = open_at(w, SERVER, SOCK_DGRAM, w->server);

    (void)state;
    run("%s -t nat -A PREROUTING -d 10.0.0.1 -p udp -j DNAT --to-destination %s", w->iptables,
            w->server);
    assert_string_equal(exchange(w, client, "10.0.0.1", server), w->client);
    assert_int_equal(pass(w, "lan+"), 0);
    assert_int_equal(pass(w, "wan"), 1);
    close(client);
    close(server);
    forget(w);
}

/* More than one piece and one batch. */
static void test_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(worlds); i++) {
        const struct world *w = &worlds[i];
        int server = open_at(w, SERVER, SOCK_DGRAM, w->server), clients[MANY];

        /* Closed at the end: no port is given twice. */
        for (int k = 0; k < MANY; k++) {
            clients[k] = open_at(w, CLIENT, SOCK_DGRAM, NULL);
            assert_string_equal(exchange(w, clients[k], w->server, server), w->client);
        }
        assert_int_equal(pass(w, "wan"), MANY);
        assert_int_equal(pass(w, "wan"), 0);
        for (int k = 0; k < MANY; k++)
            close(clients[k]);
        close(server);
        forget(w);
    }
}

/* A pass can be given up in the middle, and the next starts anew. */
static void test_begin_again(void **state)
{
    const struct world *w = &worlds[0];
    struct nsh_conntrack *ct = NULL;
    struct nsh_fib *fib = NULL;
    int r;

    (void)state;
    assert_int_equal(nsh_fib_netlink_new(&fib), 0);
    assert_int_equal(nsh_conntrack_new(&ct), 0);
    assert_int_equal(nsh_conntrack_step(ct, fib, &(struct nsh_translations){0}), -EINVAL);
    assert_int_equal(nsh_conntrack_begin(ct, AF_UNSPEC), -EAFNOSUPPORT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(nsh_conntrack_begin(ct, w->family), 0);
    while ((r = nsh_conntrack_step(ct, fib, &(struct nsh_translations){0})) == 1)
        ;
    assert_int_equal(r, 0);
    assert_int_equal(nsh_conntrack_deleted(ct), 0);
    nsh_conntrack_free(ct);
    nsh_conntrack_free(NULL);
    nsh_fib_free(fib);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_gap),
            cmocka_unit_test(test_turned_around),
            cmocka_unit_test(test_forgotten),
            cmocka_unit_test(test_unanswered_tcp),
            cmocka_unit_test(test_to_the_router),
            cmocka_unit_test(test_translated_destination),
            cmocka_unit_test(test_many),
            cmocka_unit_test(test_begin_again),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

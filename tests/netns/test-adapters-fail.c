/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The adapters on the real kernel, while one allocation or one call of the kernel fails, each in
 * turn: a start, a repair, a look of every kind, and a stop. Whichever it was, nothing crashes and
 * nothing leaks, what is somebody else's stays as it is, and with nothing wrong any more all is as
 * wanted, and then gone.
 *
 * Each 307th is tried; NSH_STRIDE=1 tries all.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <libiptc/libip6tc.h>
#include <libiptc/libiptc.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <netlink/msg.h>

#include "config.h"
#include "reconcile.h"
#include "scenario-kernel.h"

#define SECOND 1000000ULL
#define STRIDE 307
#define SPREAD 23 /* each errno begins with another call */
#define RUNS_MAX 300

/* ---- what fails ---- */

enum what { ALLOCATION, CALL };

static struct {
    bool on;
    enum what what;
    unsigned long nth; /* from now; 0: it was */
    int error;
    bool failed;
} arranged;

static bool fails(enum what what)
{
    if (!arranged.on || arranged.what != what || arranged.nth == 0 || --arranged.nth > 0)
        return false;
    arranged.failed = true;
    errno = what == ALLOCATION ? ENOMEM : arranged.error;
    return true;
}

/* NAME is linked to __wrap_NAME: it fails when it is its turn. */
#define WRAP(what, type, failure, name, params, args)      \
    type __real_##name params;                             \
    type __wrap_##name params;                             \
    type __wrap_##name params                              \
    {                                                      \
        return fails(what) ? failure : __real_##name args; \
    }

WRAP(ALLOCATION, void *, NULL, malloc, (size_t size), (size))
WRAP(ALLOCATION, void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(ALLOCATION, void *, NULL, realloc, (void *p, size_t size), (p, size))
WRAP(ALLOCATION, void *, NULL, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP(ALLOCATION, char *, NULL, strdup, (const char *text), (text))
WRAP(ALLOCATION, char *, NULL, strndup, (const char *text, size_t n), (text, n))
WRAP(ALLOCATION, FILE *, NULL, open_memstream, (char **ret, size_t *ret_size), (ret, ret_size))
WRAP(ALLOCATION, struct nftnl_table *, NULL, nftnl_table_alloc, (void), ())
WRAP(ALLOCATION, struct nftnl_chain *, NULL, nftnl_chain_alloc, (void), ())
WRAP(ALLOCATION, struct nftnl_rule *, NULL, nftnl_rule_alloc, (void), ())
WRAP(ALLOCATION, struct nftnl_set *, NULL, nftnl_set_alloc, (void), ())
WRAP(ALLOCATION, struct nftnl_set_elem *, NULL, nftnl_set_elem_alloc, (void), ())
WRAP(ALLOCATION, struct nftnl_expr *, NULL, nftnl_expr_alloc, (const char *name), (name))
WRAP(ALLOCATION, struct nftnl_udata_buf *, NULL, nftnl_udata_buf_alloc, (uint32_t size), (size))
WRAP(ALLOCATION, struct nl_sock *, NULL, nl_socket_alloc, (void), ())
WRAP(ALLOCATION, struct nl_msg *, NULL, nlmsg_alloc_size, (size_t size), (size))
WRAP(CALL, int, -1, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(CALL, int, -1, connect, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size))
WRAP(CALL, int, -1, bind, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size))
WRAP(CALL, int, -1, getsockname, (int fd, struct sockaddr *ret, socklen_t *size), (fd, ret, size))
WRAP(CALL, int, -1, getsockopt, (int fd, int level, int name, void *ret, socklen_t *size),
        (fd, level, name, ret, size))
WRAP(CALL, int, -1, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
        (fd, level, name, value, size))
WRAP(CALL, ssize_t, -1, sendto,
        (int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t n),
        (fd, data, size, flags, to, n))
WRAP(CALL, ssize_t, -1, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))
WRAP(CALL, ssize_t, -1, recv, (int fd, void *ret, size_t size, int flags), (fd, ret, size, flags))
WRAP(CALL, int, -1, flock, (int fd, int what), (fd, what))
WRAP(CALL, int, -1, inotify_init1, (int flags), (flags))
WRAP(CALL, int, -1, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(CALL, FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
WRAP(CALL, FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode))
WRAP(CALL, int, -1, open, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAP(CALL, int, -1, open64, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAP(CALL, int, -1, openat, (int at, const char *path, int flags, mode_t mode),
        (at, path, flags, mode))
WRAP(CALL, int, -1, openat64, (int at, const char *path, int flags, mode_t mode),
        (at, path, flags, mode))
WRAP(CALL, ssize_t, -1, read, (int fd, void *ret, size_t size), (fd, ret, size))
WRAP(CALL, ssize_t, -1, write, (int fd, const void *data, size_t size), (fd, data, size))
WRAP(CALL, int, -1, epoll_create1, (int flags), (flags))
WRAP(CALL, int, -1, epoll_ctl, (int fd, int what, int of, struct epoll_event *event),
        (fd, what, of, event))
WRAP(CALL, int, -1, nl_connect, (struct nl_sock * s, int protocol), (s, protocol))
WRAP(CALL, int, -1, mnl_socket_bind, (struct mnl_socket * s, unsigned int groups, pid_t port),
        (s, groups, port))
WRAP(CALL, struct mnl_socket *, NULL, mnl_socket_open2, (int bus, int flags), (bus, flags))
WRAP(CALL, ssize_t, -1, mnl_socket_sendto, (const struct mnl_socket *s, const void *data, size_t n),
        (s, data, n))
WRAP(CALL, struct xtc_handle *, NULL, iptc_init, (const char *table), (table))
WRAP(CALL, struct xtc_handle *, NULL, ip6tc_init, (const char *table), (table))
WRAP(CALL, int, 0, iptc_commit, (struct xtc_handle * h), (h))
WRAP(CALL, int, 0, ip6tc_commit, (struct xtc_handle * h), (h))

static unsigned long stride(void)
{
    const char *text = getenv("NSH_STRIDE");
    unsigned long n = text ? strtoul(text, NULL, 10) : STRIDE;

    return n > 0 ? n : 1;
}

/* ---- the world ---- */

static const char yaml[] =
        "version: 1\n"
        "routes:\n"
        "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, when: {address: 10.0.0.1}}\n"
        "  - {to: 10.21.0.0/16, nexthops: [{via: 192.168.1.1}, {via: 10.0.0.9, weight: 2}]}\n"
        "  - {to: \"fd00:9::/48\", via: \"fd00:1::9\", dev: eth0, mtu: 1400}\n"
        "  - {to: 10.30.0.0/16, via: {learned-on: eth0}, table: 100}\n"
        "rules:\n"
        "  - {from: 10.7.0.0/16, table: 100, priority: 1000}\n"
        "masquerade:\n"
        "  - name: many\n"
        "    out: [eth0]\n"
        "    from: [10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24, 10.4.0.0/24, 10.5.0.0/24,\n"
        "           10.6.0.0/24, 10.7.0.0/24, 10.8.0.0/24, 10.9.0.0/24]\n"
        "  - {name: one, out: [eth0], from: [10.0.0.0/24], protocol: udp, to-ports: 2000-3000,\n"
        "     mark: 0x1/0xf, position: first}\n"
        "share:\n"
        "  - {name: home, lan: eth1, wan: eth0}\n"
        "port-forwards:\n"
        "  - {name: web, in: eth0, protocol: tcp, port: 80, to: 10.0.0.5, to-port: 8080}\n";

static const char *const before[] = {
        "ip link add eth0",
        "ip link add eth1",
        "ip link set eth0 up",
        "ip link set eth1 up",
        "ip addr add 192.168.1.2/24 dev eth0",
        "ip addr add fd00:1::2/64 dev eth0",
        "ip addr add 10.0.0.1/24 dev eth1",
        "ip addr add fd00:2::1/64 dev eth1",
        "ip route add default via 192.168.1.1 dev eth0 proto 16 metric 100",
        "ip route add 10.90.0.0/16 via 192.168.1.3 dev eth0 proto 4",
        "ip rule add from 10.9.0.0/16 lookup 9 priority 900",
        "iptables -t nat -A POSTROUTING -s 10.66.0.0/16 -o eth7 -j MASQUERADE",
        "iptables -A FORWARD -s 10.66.0.1 -j DROP",
        "iptables -A FORWARD -i eth7 -p tcp -m multiport --dports 22,23 -j ACCEPT",
        "nft add table ip theirs",
        "nft add set ip theirs some { type ipv4_addr ; flags interval ; }",
        "nft add element ip theirs some { 10.66.0.0/24, 10.67.0.0/24 }",
        "nft add chain ip theirs forward { type filter hook forward priority 0 ; policy drop ; }",
        "nft add rule ip theirs forward ip saddr @some tcp dport { 22, 23 } accept",
        "nft add rule ip theirs forward ct state established counter accept",
        "nft add chain ip theirs post { type nat hook postrouting priority 90 ; }",
        "nft add rule ip theirs post ip saddr 10.66.0.0/16 ip daddr != @some masquerade random",
        "nft add chain ip theirs pre { type nat hook prerouting priority -110 ; }",
        "nft add rule ip theirs pre iifname eth7 tcp dport 22 dnat to 10.66.0.2:2222",
};

static const char *const damages[] = {
        "ip route del 10.20.0.0/16",
        "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 110",
        "ip rule del priority 1000",
        "sysctl net/ipv4/ip_forward=0",
};

static struct nsh_world *machine;
static int (*firewall_new)(struct nsh_firewall **ret);
static const char *flush; /* what is done to chains of ours */
static char *theirs;      /* all there was before */
static uint64_t now = 1000 * SECOND;

static int shell(const char *command)
{
    if (strncmp(command, "nft ", 4) == 0)
        return nsh_kernel_run(command, "");
    return machine->ops->run(machine, command);
}

/* Without the comments that say when it was, and the addresses of a router. */
static void put(FILE *to, char *text)
{
    char *rest = text;

    assert_non_null(text);
    for (char *line; (line = strsep(&rest, "\n"));)
        if (line[0] != '#' && !strstr(line, " table 255 "))
            fprintf(to, "%s\n", line);
    free(text);
}

/* All there is. Counters don't count. */
static char *standing(void)
{
    static const char *const commands[] = {"ip -4 -N -o route show table all",
            "ip -6 -N -o route show table all", "ip -N rule show", "nft -s list ruleset",
            "iptables-legacy-save -t nat", "iptables-legacy-save -t filter"};
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++)
        put(to, nsh_kernel_capture(commands[i]));
    fclose(to);
    return text;
}

static void prepare(int (*new)(struct nsh_firewall **), const char *command)
{
    firewall_new = new;
    flush = command;
    assert_int_equal(nsh_world_kernel_new(&machine), 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(before); i++)
        if (shell(before[i]) != 0)
            fail_msg("%s", before[i]);
    theirs = standing();
}

static int done(void **state)
{
    (void)state;
    free(theirs);
    nsh_world_free(machine);
    theirs = NULL;
    machine = NULL;
    return 0;
}

static struct nsh_desired *load(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    const struct nsh_config_source source = {.path = "/nonexistent/a.yaml",
            .trust = NSH_TRUST_ADVISE,
            .is_open = true,
            .fd = fd,
            .archive_fd = -1};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;
    struct nsh_desired *d = NULL;

    assert_true(diags && fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    if (nsh_config_load(&source, diags, &config) < 0) {
        nsh_diags_print(diags, stderr);
        fail_msg("the test's own configuration does not load");
    }
    nsh_diags_free(diags);
    close(fd);
    assert_int_equal(nsh_desired_new(config, &d), 0);
    return d;
}

/* ---- one process's life ---- */

struct life {
    struct nsh_fib *fib;
    struct nsh_firewall *firewall;
    struct nsh_reconciler *r;
};

static uint64_t clock_now(void *userdata)
{
    (void)userdata;
    return now;
}

static void hear(void *userdata, const struct nsh_report *report)
{
    (void)userdata;
    (void)report;
}

/* Takes `want` in any case. */
static int begin(struct life *l, struct nsh_desired *want)
{
    const struct nsh_reconciler_hooks hooks = {.now = clock_now, .report = hear};
    int rc = nsh_fib_netlink_new(&l->fib);

    if (rc == 0)
        rc = firewall_new(&l->firewall);
    if (rc == 0)
        rc = nsh_reconciler_new(l->fib, l->firewall, NULL, &hooks, &l->r);
    if (rc == 0 && (rc = l->fib->ops->events_open(l->fib, want->protocol)) > 0)
        rc = 0;
    if (rc == 0)
        rc = nsh_reconciler_set(l->r, want, NSH_OCCASION_START);
    if (rc < 0)
        nsh_desired_free(want);
    return rc;
}

static void end(struct life *l)
{
    nsh_reconciler_free(l->r);
    nsh_firewall_free(l->firewall);
    nsh_fib_free(l->fib);
}

static void take_event(void *userdata, const struct nsh_fib_event *event)
{
    nsh_reconciler_event(userdata, event);
}

static void work(struct life *l)
{
    for (unsigned int n = 0; n < RUNS_MAX; n++) {
        l->fib->ops->events_read(l->fib, take_event, l->r);
        if (!nsh_reconciler_due(l->r))
            return;
        nsh_reconciler_run(l->r);
    }
}

static void pass_a_minute(struct life *l)
{
    uint64_t later = now + 60 * SECOND;

    while (nsh_reconciler_next(l->r) <= later) {
        now = nsh_reconciler_next(l->r);
        work(l);
    }
    now = later;
    work(l);
}

static void shut_down(struct life *l)
{
    assert_int_equal(nsh_reconciler_set(l->r, load("version: 1\n"), NSH_OCCASION_STOP), 0);
    work(l);
}

static void damage(void)
{
    arranged.on = false;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(damages); i++)
        (void)shell(damages[i]);
    (void)shell(flush);
    arranged.on = true;
}

/* ---- looks that a reconcile does not take ---- */

static int see_chain(void *userdata, const struct nsh_chain_seen *chain)
{
    (void)userdata;
    (void)chain;
    return 0;
}

static int see_set(void *userdata, const char *name)
{
    (void)userdata;
    (void)name;
    return 0;
}

static int see_element(void *userdata, const struct nsh_prefix *element)
{
    (void)userdata;
    (void)element;
    return 0;
}

static int see_foreign(void *userdata, const struct nsh_foreign_rule *rule)
{
    (void)userdata;
    (void)rule;
    return 0;
}

static void look_at_tables(struct nsh_firewall *fw, int family)
{
    static const char *const hooks[] = {"PREROUTING", "POSTROUTING"};
    static struct nsh_ahead_seen ahead[NSH_AHEAD_MAX];
    struct nsh_firewall_culprit culprit;

    for (int t = 0; t < NSH_TABLE_COUNT; t++) {
        (void)fw->ops->probe(fw, family, (enum nsh_table)t, NULL, 0);
        (void)fw->ops->changed(fw, family, (enum nsh_table)t);
        if (fw->ops->open(fw, NSH_FIREWALL_READ) == NSH_FIREWALL_OK)
            (void)fw->ops->observe(fw, family, (enum nsh_table)t, see_chain, NULL);
        fw->ops->close(fw);
    }
    for (size_t i = 0; fw->ops->ahead && i < NSH_ARRAY_SIZE(hooks); i++)
        (void)fw->ops->ahead(fw, family, NSH_TABLE_NAT, hooks[i], ahead);
    if (fw->ops->ahead_changed)
        (void)fw->ops->ahead_changed(fw);
    (void)fw->ops->culprit(fw, &culprit);
}

static void look_at_sets(struct nsh_firewall *fw)
{
    if (fw->ops->open(fw, NSH_FIREWALL_READ) == NSH_FIREWALL_OK) {
        (void)fw->ops->sets(fw, AF_INET, see_set, NULL);
        (void)fw->ops->set_read(fw, AF_INET, "netshared-many_f4", see_element, NULL);
    }
    fw->ops->close(fw);
    (void)fw->ops->set_changed(fw, AF_INET, "netshared-many_f4");
}

static void look_at_others(struct nsh_firewall *fw, int family)
{
    struct nsh_forward_path path = {.in = "eth1", .out = "eth0", .protocol = IPPROTO_TCP};
    struct nsh_forward_drop drop;

    (void)fw->ops->others_translate(fw);
    if (fw->ops->foreign)
        (void)fw->ops->foreign(fw, family, see_foreign, NULL);
    if (fw->ops->drops)
        (void)fw->ops->drops(fw, family, &path, &path, &drop);
    (void)fw->ops->pass_changed(fw);
    (void)fw->ops->hint_fd(fw);
    fw->ops->hint_take(fw);
    if (fw->ops->others_fd && fw->ops->others_fd(fw) >= 0 && fw->ops->others_changed)
        (void)fw->ops->others_changed(fw);
}

static int see_route(void *userdata, const struct nsh_route *route)
{
    (void)userdata;
    (void)route;
    return 0;
}

static void look_at_routes(struct nsh_fib *fib)
{
    struct nsh_fib_question q = {.family = AF_INET, .to = {.bytes = {10, 90, 0, 1}}};
    struct nsh_fib_answer answer = {0};
    struct nsh_fib_path path;
    char name[IFNAMSIZ];
    uint32_t index = 0, table;
    int value;

    (void)fib->ops->link_index(fib, "eth0", &index);
    (void)fib->ops->link_name(fib, index, name);
    (void)fib->ops->vrf(fib, "eth0", &index, &table);
    (void)fib->ops->lookup(fib, AF_INET, &q.to, 0, NULL, &path);
    (void)fib->ops->path(fib, &q, &answer);
    (void)fib->ops->entry(fib, &q, see_route, NULL);
    (void)fib->ops->proxied(fib, index, AF_INET, &q.to);
    (void)fib->ops->neighbour(fib, index, AF_INET, &q.to);
    (void)fib->ops->sysctl_get(fib, "net/ipv4/ip_forward", &value);
}

static void look_around(struct life *l)
{
    for (int f = 0; f < NSH_FAMILIES; f++) {
        look_at_tables(l->firewall, nsh_family_of(f));
        look_at_others(l->firewall, nsh_family_of(f));
    }
    look_at_sets(l->firewall);
    look_at_routes(l->fib);
}

/* ---- one failure ---- */

static void live(enum what what, unsigned long nth, int error)
{
    struct life l = {0};
    struct nsh_desired *want = load(yaml);

    arranged.what = what;
    arranged.nth = nth;
    arranged.error = error;
    arranged.failed = false;
    arranged.on = true;
    if (begin(&l, want) == 0) {
        work(&l);
        damage();
        nsh_reconciler_poll(l.r);
        work(&l);
        nsh_reconciler_resync(l.r);
        pass_a_minute(&l);
        look_around(&l);
    }
    arranged.on = false;
    end(&l);
}

/* With nothing wrong any more. */
static void recover(unsigned long nth)
{
    struct life l = {0};

    assert_int_equal(begin(&l, load(yaml)), 0);
    work(&l);
    pass_a_minute(&l);
    nsh_reconciler_poll(l.r);
    work(&l);
    if (!nsh_reconciler_complete(l.r))
        fail_msg("after failure %lu it does not come to rest", nth);
    shut_down(&l);
    if (!nsh_reconciler_complete(l.r))
        fail_msg("after failure %lu it does not go", nth);
    end(&l);
}

static void assert_theirs(void)
{
    nsh_autofree char *is = standing();

    nsh_assert_same(is, theirs, "all there is");
}

/* Returns how many were tried. */
static size_t fail_each(enum what what, int error, unsigned long first, unsigned long step)
{
    size_t n = 0;

    for (unsigned long nth = first;; nth += step, n++) {
        live(what, nth, error);
        recover(nth);
        if (!arranged.failed)
            break;
    }
    assert_theirs();
    return n;
}

static void fail_all(void)
{
    static const int errors[] = {ENOBUFS, EINTR, EPERM, EAGAIN, ENOMEM, EINVAL, EOPNOTSUPP, EBUSY,
            ENOENT, EEXIST, ENODEV, EMFILE, ENOSPC, EIO};
    size_t n = fail_each(ALLOCATION, ENOMEM, 1, stride());

    for (size_t e = 0; e < NSH_ARRAY_SIZE(errors); e++)
        n += fail_each(CALL, errors[e], 1 + e * SPREAD % stride(), stride());
    print_message("# %zu failures\n", n);
    assert_true(n > 0);
}

static void test_with_iptables(void **state)
{
    (void)state;
    prepare(nsh_firewall_iptc_new, "iptables -t nat -F NETSHARED-many");
    fail_all();
}

static void test_with_nftables(void **state)
{
    (void)state;
    prepare(nsh_firewall_nft_new, "nft delete table ip netshared");
    fail_all();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(test_with_iptables, done),
            cmocka_unit_test_teardown(test_with_nftables, done),
    };

    if (unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "skipped: no network namespace can be made: %s\n", strerror(errno));
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

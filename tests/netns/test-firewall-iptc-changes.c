/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The iptables adapter against the kernel and against iptables itself: the lock, who writes without
 * it, how a change is noticed, and what the kernel refuses.
 */
#include "xtables-chains.h"

#include <libiptc/libiptc.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* ---- the lock, and those without it ---- */

static void test_lock(void **state)
{
    int fd;

    (void)state;
    ipt("-t nat -S");
    fd = open(lock_file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_BUSY);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    open_write();
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), -EALREADY);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    fw->ops->close(fw);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    setenv("XTABLES_LOCKFILE", "/nonexistent/lock", 1);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), -ENOENT);
}

static void test_reader_writes_nothing(void **state)
{
    struct nsh_firewall_op del = op_of(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    observe(AF_INET, NSH_TABLE_NAT);
    commit(&del, 1, -EINVAL);
    fw->ops->close(fw);
    commit(&del, 1, -EINVAL);
    assert_lists("-t nat -S", "-N " CHAIN);
}

static void race(const char *foreign, const char *line)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op add = op_of(NSH_CHAIN_ADD, CHAIN);

    add.want = &want;
    open_write();
    observe(AF_INET, NSH_TABLE_NAT);
    ipt_unlocked(foreign);
    commit(&add, 1, NSH_FIREWALL_RACED);
    fw->ops->close(fw);
    assert_lists("-t nat -S", line);
    assert_lists_not("-t nat -S", CHAIN);
}

static void test_race(void **state)
{
    (void)state;
    ipt("-t nat -A POSTROUTING -s 10.0.0.1 -j ACCEPT");
    race("-t nat -A POSTROUTING -s 10.0.0.2 -j ACCEPT", "10.0.0.2");
    /* libiptc itself would not notice this one: the number of entries is the same. */
    race("-t nat -R POSTROUTING 1 -s 10.0.0.3 -j ACCEPT", "10.0.0.3");
    /* The whole again succeeds. */
    install(&masquerade_all, 1);
    assert_lists("-t nat -S", "-s 10.0.0.3/32 -j ACCEPT");
}

/* ---- one without the lock who writes all the time ---- */

static const xt_chainlabel theirs = "THEIRS";
#define RACES 5
#define ROUNDS 50

/* Shared with the other writer. NULL: there is none. */
static struct race {
    atomic_uint n_written;
    atomic_bool over;
} * other;
static unsigned int n_refused; /* by the kernel: the table has another size than the copy */

int __real_iptc_commit(struct xtc_handle *h);
int __wrap_iptc_commit(struct xtc_handle *h);

/* One commit of four waits until the other has written, after all that was looked at before. */
int __wrap_iptc_commit(struct xtc_handle *h)
{
    static unsigned int n;
    int ok;

    if (other && n++ % 4 == 0)
        for (unsigned int before = other->n_written; other->n_written == before;)
            sched_yield();
    ok = __real_iptc_commit(h);
    n_refused += !ok && errno == EAGAIN;
    return ok;
}

/*
 * Its chain comes or goes. A commit that has failed may have been made: the counters are sent after
 * the rules, and for them it may be too late.
 */
static void write_theirs(bool *ret_there)
{
    struct xtc_handle *h = iptc_init("nat");
    bool there = h && iptc_is_chain(theirs, h);
    bool ok = h && (there ? iptc_delete_chain(theirs, h) : iptc_create_chain(theirs, h)) &&
              __real_iptc_commit(h);

    if (h)
        iptc_free(h);
    other->n_written += ok;
    *ret_there = ok && !there;
}

/* It ends with the chain there. */
static void write_all_the_time(void)
{
    bool there = false;

    while (!other->over || !there)
        write_theirs(&there);
}

static void start_other(pid_t *ret)
{
    void *p = mmap(NULL, sizeof *other, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    other = p;
    *ret = fork();
    assert_true(*ret >= 0);
    if (*ret == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        write_all_the_time();
        _exit(0);
    }
}

static void stop_other(pid_t child)
{
    int status = -1;

    other->over = true;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    munmap(other, sizeof *other);
    other = NULL;
}

/* As often as it takes until the chain is there, or gone. */
static void write_ours(const struct nsh_firewall_op *ops, size_t n, bool there)
{
    char why[WHY] = "";
    int r = NSH_FIREWALL_RACED;

    while (r == NSH_FIREWALL_RACED) {
        open_write();
        observe(AF_INET, NSH_TABLE_NAT);
        r = !!seen_chain(CHAIN) == there
                    ? NSH_FIREWALL_OK
                    : fw->ops->commit(fw, AF_INET, NSH_TABLE_NAT, ops, n, why, sizeof why);
        fw->ops->close(fw);
    }
    if (r != NSH_FIREWALL_OK)
        fail_msg("commit gave %d (%s)", r, why);
}

/* What it loses is tried again; what it wins costs the other nothing but a try. */
static void test_race_without_end(void **state)
{
    struct nsh_chain want = {.family = AF_INET, .rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op add[] = {op_of(NSH_CHAIN_ADD, CHAIN), op_of(NSH_JUMP_ADD, CHAIN)};
    struct nsh_firewall_op del[] = {op_of(NSH_JUMP_DELETE, CHAIN), op_of(NSH_CHAIN_DELETE, CHAIN)};
    unsigned int rounds = 0;
    pid_t child;

    (void)state;
    add[0].want = &want;
    del[0].index = 1;
    ipt("-t nat -A POSTROUTING -s 10.66.0.1 -j ACCEPT");
    n_refused = 0;
    start_other(&child);
    for (; rounds < ROUNDS || n_refused < RACES; rounds++) {
        write_ours(add, 2, true);
        write_ours(del, 2, false);
    }
    write_ours(add, 2, true);
    stop_other(child);
    print_message("# %u rounds, %u commits refused\n", rounds, n_refused);
    assert_lists("-t nat -S", "-A POSTROUTING -s 10.66.0.1/32 -j ACCEPT");
    assert_lists("-t nat -S", "-N THEIRS");
    assert_lists("-t nat -S", "-A POSTROUTING -j " CHAIN);
    assert_lists("-t nat -S", "-A " CHAIN " ");
}

/* ---- one who writes after the rules and before their counters, which libiptc sends apart ---- */

static bool write_between;

/* libiptc's own calls come here, too. */
__attribute__((visibility("default"))) int setsockopt(
        int fd, int level, int name, const void *value, socklen_t size)
{
    if (level == IPPROTO_IP && name == IPT_SO_SET_ADD_COUNTERS && write_between) {
        write_between = false;
        ipt_unlocked("-t nat -A POSTROUTING -s 10.0.0.9 -j ACCEPT");
    }
    return (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}

/* The rules are in, so it is not said that they could not be applied. */
static void test_race_for_the_counters(void **state)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op add = op_of(NSH_CHAIN_ADD, CHAIN);

    (void)state;
    add.want = &want;
    open_write();
    observe(AF_INET, NSH_TABLE_NAT);
    write_between = true;
    commit(&add, 1, NSH_FIREWALL_RACED);
    assert_false(write_between);
    observe(AF_INET, NSH_TABLE_NAT);
    assert_non_null(seen_chain(CHAIN));
    fw->ops->close(fw);
    assert_lists("-t nat -S", "-A POSTROUTING -s 10.0.0.9/32 -j ACCEPT");
}

/* ---- the cheap check ---- */

static size_t tables_in_being(void)
{
    FILE *f = fopen("/proc/thread-self/net/ip_tables_names", "re");
    char line[64];
    size_t n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        n++;
    fclose(f);
    return n;
}

static void test_reading_brings_nothing_into_being(void **state)
{
    (void)state;
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    for (int t = 0; t < NSH_TABLE_COUNT; t++) {
        observe(AF_INET, (enum nsh_table)t);
        assert_int_equal(n_seen, 0);
        observe(AF_INET6, (enum nsh_table)t);
        assert_int_equal(n_seen, 0);
    }
    fw->ops->close(fw);
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_NAT), 1); /* a look tells nothing */
    assert_int_equal(fw->ops->changed(fw, AF_INET6, NSH_TABLE_RAW), 1);
    assert_int_equal(tables_in_being(), 0);
    ipt("-t nat -S");
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_NAT), 1);
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_RAW), 1);
    assert_int_equal(tables_in_being(), 1);
}

/* Packets through the loopback, so that counters move. */
static void traffic(void)
{
    struct sockaddr_in to = {
            .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
    close(fd);
}

static int changed(enum nsh_table table)
{
    return fw->ops->changed(fw, AF_INET, table);
}

/* `words` makes a change that is seen, once. */
static void assert_noticed(const char *words)
{
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    ipt(words);
    if (changed(NSH_TABLE_RAW) != 1)
        fail_msg("not noticed: %s", words);
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
}

static void test_changed(void **state)
{
    (void)state;
    assert_int_equal(changed(NSH_TABLE_RAW), 1); /* never looked at */
    ipt("-t raw -A OUTPUT -d 127.0.0.0/8 -j ACCEPT");
    ipt("-t raw -A OUTPUT -m limit --limit 5/s -j ACCEPT");
    ipt("-t raw -A PREROUTING -m statistic --mode nth --every 3 --packet 0 -j ACCEPT");
    ipt("-t raw -A PREROUTING -m quota --quota 1000 -j ACCEPT");
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    assert_lists("-t raw -v -S OUTPUT", "-d 127.0.0.0/8 -c 0 0 -j ACCEPT");
    traffic();
    assert_lists_not("-t raw -v -S OUTPUT", "-d 127.0.0.0/8 -c 0 0 -j ACCEPT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    assert_noticed("-t raw -R OUTPUT 1 -d 127.0.0.0/9 -j ACCEPT");
    assert_noticed("-t raw -R OUTPUT 1 -d 127.0.0.0/9 -j DROP");
    assert_noticed("-t raw -A OUTPUT -s 10.0.0.1 -j ACCEPT");
    assert_noticed("-t raw -D OUTPUT 1");
    assert_noticed("-t raw -P PREROUTING DROP");
    assert_noticed("-t raw -N A");
    assert_noticed("-t raw -E A B");
    assert_noticed("-t raw -F");
    assert_noticed("-t raw -X");
}

/* Two rules change places: the same entries, the same sizes. */
static void test_changed_by_order(void **state)
{
    (void)state;
    ipt("-t raw -A OUTPUT -s 10.0.0.1 -j ACCEPT");
    ipt("-t raw -A OUTPUT -s 10.0.0.2 -j ACCEPT");
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    ipt("-t raw -D OUTPUT 1");
    ipt("-t raw -A OUTPUT -s 10.0.0.1 -j ACCEPT");
    assert_int_equal(changed(NSH_TABLE_RAW), 1);
    ipt("-t raw -D OUTPUT 1");
    ipt("-t raw -A OUTPUT -s 10.0.0.2 -j ACCEPT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0); /* as it was */
}

/* To look without the lock is not to have judged: the change is still to be found. */
static void test_a_look_hides_no_change(void **state)
{
    (void)state;
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    ipt("-t raw -A OUTPUT -s 10.0.0.1 -j ACCEPT");
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    observe(AF_INET, NSH_TABLE_RAW);
    fw->ops->close(fw);
    assert_int_equal(changed(NSH_TABLE_RAW), 1);
}

/*
 * The kernel leaves bytes behind a name unwritten; what another table left there in the buffer is
 * no change.
 */
static void test_changed_of_two_tables(void **state)
{
    static const char comment[] = "-m comment --comment "
                                  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-"
                                  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-"
                                  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-"
                                  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz";
    char words[384];

    (void)state;
    for (int i = 0; i < 8; i++) {
        snprintf(words, sizeof words, "-t nat -A PREROUTING %s -j ACCEPT", comment);
        ipt(words);
        ipt("-t raw -A PREROUTING -m conntrack --ctstate INVALID -j CT --notrack");
    }
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    (void)look(AF_INET, NSH_TABLE_NAT, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    assert_int_equal(changed(NSH_TABLE_NAT), 0);
}

static void test_changed_after_commit(void **state)
{
    struct nsh_firewall_op jump = op_of(NSH_JUMP_ADD, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    assert_int_equal(changed(NSH_TABLE_NAT), 0);
    ipt("-t nat -F " CHAIN);
    assert_int_equal(changed(NSH_TABLE_NAT), 1);
    /* Also within a session, and other tables are apart. */
    open_write();
    observe(AF_INET, NSH_TABLE_NAT);
    assert_int_equal(changed(NSH_TABLE_NAT), 0);
    assert_int_equal(changed(NSH_TABLE_RAW), 1);
    commit(&jump, 1, NSH_FIREWALL_OK);
    assert_int_equal(changed(NSH_TABLE_NAT), 0);
    fw->ops->close(fw);
    ipt("-t nat -F");
    assert_int_equal(changed(NSH_TABLE_NAT), 1);
}

/* ---- what the kernel allows ---- */

static void test_probe(void **state)
{
    char why[WHY];
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(fw->ops->probe(fw, AF_INET, NSH_TABLE_NAT, why, sizeof why), 0);
    assert_int_equal(fw->ops->probe(fw, AF_INET6, NSH_TABLE_NAT, NULL, 0), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* without capabilities */
        bool ok = setresuid(65534, 65534, 65534) == 0;

        nsh_firewall_free(fw);
        ok = ok && nsh_firewall_iptc_new(&fw) == 0 &&
             fw->ops->probe(fw, AF_INET, NSH_TABLE_NAT, why, sizeof why) == -EPERM &&
             strstr(why, "CAP_NET_RAW");
        nsh_firewall_free(fw);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* MASQUERADE outside nat: the kernel refuses the table as a whole, and it is as it was. */
static void test_refused_by_kernel(void **state)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op ops[] = {op_of(NSH_CHAIN_ADD, CHAIN), op_of(NSH_JUMP_ADD, CHAIN)};
    char why[WHY];

    (void)state;
    ops[0].want = &want;
    ops[0].table = ops[1].table = NSH_TABLE_RAW;
    snprintf(ops[1].hook, sizeof ops[1].hook, "OUTPUT");
    open_write();
    observe(AF_INET, NSH_TABLE_RAW);
    assert_int_equal(fw->ops->commit(fw, AF_INET, NSH_TABLE_RAW, ops, 2, why, sizeof why), -EINVAL);
    assert_ptr_equal(strstr(why, "IPv4 table raw: "), why);
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_RAW), 1);
    fw->ops->close(fw);
    assert_lists_not("-t raw -S", "NETSHARED");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_lock),
            TEST(test_reader_writes_nothing),
            TEST(test_race),
            TEST(test_race_without_end),
            TEST(test_race_for_the_counters),
            TEST(test_reading_brings_nothing_into_being),
            TEST(test_changed),
            TEST(test_changed_by_order),
            TEST(test_a_look_hides_no_change),
            TEST(test_changed_of_two_tables),
            TEST(test_changed_after_commit),
            TEST(test_probe),
            TEST(test_refused_by_kernel),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

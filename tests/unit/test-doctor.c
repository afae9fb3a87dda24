/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What doctor judges by, with files, sysctls and addresses made for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <ftw.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "doctor.h"
#include "text.h"

/* ---- a machine's files ---- */

static char root[] = "/tmp/nsh-doctor-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return strcmp(path, root) == 0 ? 0 : remove(path);
}

static int clear(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    return clear(state) == 0 ? rmdir(root) : -1;
}

/* With the directories above it. */
static void put(const char *path, const char *text)
{
    char full[512];
    FILE *f;

    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
        *p = '/';
    }
    f = fopen(full, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* ---- systemd-networkd ---- */

#define ROUTES "ManageForeignRoutes"

static bool says(void)
{
    return doctor_networkd_says(root, ROUTES, true);
}

static void test_networkd_main(void **state)
{
    (void)state;
    assert_true(says());
    put("/usr/lib/systemd/networkd.conf", "[Network]\n" ROUTES "=no\n");
    assert_false(says());
    put("/etc/systemd/networkd.conf", "# " ROUTES "=no\n[Other]\n" ROUTES "=no\n[Network]\n");
    assert_true(says()); /* it stands for the whole of the other */
    put("/etc/systemd/networkd.conf", "[Network]\n  " ROUTES " =  off \t\n");
    assert_false(says());
    assert_true(doctor_networkd_says(root, "ManageForeignRoutingPolicyRules", true));
}

static void test_networkd_drop_ins(void **state)
{
    (void)state;
    put("/etc/systemd/networkd.conf", "[Network]\n" ROUTES "=no\n");
    put("/run/systemd/networkd.conf.d/50-b.conf", "[Network]\n" ROUTES "=yes\n");
    assert_true(says());
    put("/usr/lib/systemd/networkd.conf.d/60-c.conf", "[Network]\n" ROUTES "=0\n");
    assert_false(says());
    put("/etc/systemd/networkd.conf.d/70-d.conf.off", "[Network]\n" ROUTES "=yes\n");
    assert_false(says());
    put("/etc/systemd/networkd.conf.d/60-c.conf", "[Network]\n"); /* in its place */
    assert_true(says());
    put("/etc/systemd/networkd.conf.d/80-e.conf", "[Network]\n" ROUTES "=nonsense\n");
    assert_true(says());
    put("/etc/systemd/networkd.conf.d/90-f.conf", "[Network]\n" ROUTES "=f\n" ROUTES "=\n");
    assert_true(says());
}

/* By their names, wherever they are. */
static void test_networkd_order(void **state)
{
    (void)state;
    put("/etc/systemd/networkd.conf.d/20-a.conf", "[Network]\n" ROUTES "=yes\n");
    put("/run/systemd/networkd.conf.d/10-b.conf", "[Network]\n" ROUTES "=no\n");
    assert_true(says());
}

static void test_process(void **state)
{
    (void)state;
    assert_false(doctor_process_runs(root, "systemd-networkd"));
    put("/proc/self/comm", "systemd-network\n");
    put("/proc/7/comm", "systemd-resolve\n");
    assert_false(doctor_process_runs(root, "systemd-networkd"));
    put("/proc/12/comm", "systemd-network\n");
    assert_true(doctor_process_runs(root, "systemd-networkd"));
}

/* ---- a sandbox ---- */

static bool is_writable(const char *text)
{
    FILE *f = fmemopen((void *)text, strlen(text), "r");
    bool writable;

    assert_non_null(f);
    writable = doctor_mountinfo_writable(f, "/proc/sys/net");
    fclose(f);
    return writable;
}

static void test_mountinfo(void **state)
{
    static const char open[] = "21 20 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw\n"
                               "22 21 0:5 / /proc rw,nosuid shared:2 - proc proc rw\n";
    char text[1024];

    (void)state;
    assert_true(is_writable(open));
    snprintf(text, sizeof text, "%s%s", open,
            "23 22 0:5 /sys /proc/sys ro,nosuid - proc proc rw\n"
            "24 22 0:5 /sys/network /proc/sys/network rw - proc proc rw\n");
    assert_false(is_writable(text));
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s",
            "25 23 0:5 /sys/net /proc/sys/net nosuid,rw - proc proc rw\n");
    assert_true(is_writable(text));
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s",
            "26 25 0:5 /sys/net /proc/sys/net nosuid,ro - proc proc rw\n");
    assert_false(is_writable(text));
}

static const char *state_of(const json_t *result)
{
    return json_string_value(json_object_get(result, "state"));
}

static const char *first(const json_t *result, const char *key)
{
    return json_string_value(
            json_object_get(json_array_get(json_object_get(result, "findings"), 0), key));
}

/* What is said of a daemon with pid 7, whose /proc/7/status is this. */
static json_t *look_at_sandbox(const char *status, const char *firewall)
{
    const struct doctor_check check = {.name = "it", .about = "it", .look = doctor_sandbox};
    struct doctor d = {.root = root};
    json_t *result;

    put("/proc/7/status", status);
    d.status = json_pack("{s:i, s:s}", "pid", 7, "firewall", firewall);
    result = doctor_look(&d, &check);
    json_decref(d.status);
    return result;
}

static void test_rights(void **state)
{
    static const char all[] = "Name:\tnetshared\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0 \n"
                              "CapEff:\t0000000000003000\n";
    static const char some[] = "Uid:\t990\t990\t990\t990\nGid:\t990\t990\t990\t990\nGroups:\t5 7 \n"
                               "CapEff:\t0000000000001000\n";
    json_t *result;

    (void)state;
    put("/proc/7/root/run/xtables.lock", "");
    result = look_at_sandbox(all, "nftables");
    assert_string_equal(state_of(result), "ok");
    json_decref(result);
    result = look_at_sandbox(some, "nftables");
    assert_string_equal(first(result, "what"),
            "the daemon lacks CAP_NET_RAW: it can't use iptables and send probes");
    assert_non_null(strstr(first(result, "fix"), "'AmbientCapabilities=CAP_NET_RAW'"));
    json_decref(result);
}

/* User 990 may read it; false: files here can't have such a list. */
static bool set_list(const char *path)
{
    const struct {
        struct posix_acl_xattr_header header;
        struct posix_acl_xattr_entry entries[5];
    } acl = {{htole32(POSIX_ACL_XATTR_VERSION)},
            {{htole16(ACL_USER_OBJ), htole16(6), UINT32_MAX},
                    {htole16(ACL_USER), htole16(4), htole32(990)},
                    {htole16(ACL_GROUP_OBJ), 0, UINT32_MAX},
                    {htole16(ACL_MASK), htole16(4), UINT32_MAX},
                    {htole16(ACL_OTHER), 0, UINT32_MAX}}};

    if (setxattr(path, XATTR_NAME_POSIX_ACL_ACCESS, &acl, sizeof acl, 0) == 0)
        return true;
    assert_int_equal(errno, ENOTSUP);
    return false;
}

static void test_lock(void **state)
{
    static const char others[] = "Uid:\t990\t990\t990\t990\nGid:\t990\t990\t990\t990\nGroups:\t5 7 "
                                 "\nCapEff:\t0000000000003000\n";
    char path[512];
    json_t *result;

    (void)state;
    unsetenv("XTABLES_LOCKFILE");
    put("/proc/7/root/run/xtables.lock", "");
    snprintf(path, sizeof path, "%s/proc/7/root/run/xtables.lock", root);
    assert_int_equal(chmod(path, 0600), 0);
    result = look_at_sandbox(others, "iptables");
    assert_string_equal(first(result, "command"), "setfacl -m u:990:r /run/xtables.lock");
    json_decref(result);
    put("/usr/lib/tmpfiles.d/netshared.conf", "");
    result = look_at_sandbox(others, "iptables");
    assert_string_equal(first(result, "command"), "systemd-tmpfiles --create netshared.conf");
    json_decref(result);
    if (set_list(path)) {
        result = look_at_sandbox(others, "iptables");
        assert_string_equal(state_of(result), "ok");
        json_decref(result);
        assert_int_equal(chmod(path, 0600), 0); /* the middle digit limits the list */
        result = look_at_sandbox(others, "iptables");
        assert_string_equal(state_of(result), "found");
        json_decref(result);
    }
    assert_int_equal(chmod(path, 0644), 0);
    result = look_at_sandbox(others, "iptables");
    assert_string_equal(state_of(result), "ok");
    json_decref(result);
}

/* ---- conntrack ---- */

static int count, limit;

static int fake_sysctl_get(struct nsh_fib *fib, const char *key, int *ret)
{
    (void)fib;
    *ret = strcmp(key, "net/netfilter/nf_conntrack_count") == 0 ? count : limit;
    return *ret < 0 ? -ENOENT : 0;
}

static json_t *look_at_conntrack(int n, int max)
{
    static const struct nsh_fib_ops ops = {.sysctl_get = fake_sysctl_get};
    const struct doctor_check check = {.name = "it", .about = "it", .look = doctor_conntrack};
    struct nsh_fib fib = {.ops = &ops};
    struct doctor d = {.fib = &fib};

    count = n;
    limit = max;
    return doctor_look(&d, &check);
}

static void test_conntrack(void **state)
{
    static const struct {
        int n, max;
        const char *state;
    } cases[] = {{-1, -1, "ok"}, {0, 65536, "ok"}, {79, 100, "ok"}, {80, 100, "found"},
            {65536, 65536, "found"}, {5, 0, "ok"}};
    json_t *result;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        result = look_at_conntrack(cases[i].n, cases[i].max);
        assert_string_equal(state_of(result), cases[i].state);
        json_decref(result);
    }
    result = look_at_conntrack(60000, 65536);
    assert_memory_equal(first(result, "command"), "sysctl -w net.netfilter.nf_conntrack_max=131072",
            strlen("sysctl -w net.netfilter.nf_conntrack_max=131072"));
    json_decref(result);
}

static struct nsh_port_use use_of(unsigned from, unsigned to)
{
    struct nsh_port_use u = {.family = AF_INET, .protocol = IPPROTO_UDP, .to_port = 53};

    u.from.words[0] = from;
    u.to.words[0] = to;
    return u;
}

static void test_port_uses(void **state)
{
    struct nsh_port_uses uses = {0};
    size_t flows = 0, of_three = 0;

    (void)state;
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 5000; i += 1 + round) {
            const struct nsh_port_use u = use_of(7, i);

            assert_int_equal(nsh_port_uses_add(&uses, &u), 0);
            flows++;
        }
    assert_int_equal(uses.n, 5000);
    for (size_t i = 0; i < uses.size; i++) {
        flows -= uses.items[i].n;
        of_three += uses.items[i].n == 3;
    }
    assert_int_equal(flows, 0);
    assert_int_equal(of_three, 5000 / 6 + 1);
    nsh_port_uses_done(&uses);
}

static void test_port_range(void **state)
{
    static const char wan[1][IFNAMSIZ] = {"eth+"}, other[1][IFNAMSIZ] = {"ppp0"};
    struct nsh_masquerade list[] = {
            {.out = {other, 1}},
            {.out = {wan, 1}, .to_ports = {40000, 40009}},
            {.out = {wan, 1}, .to_ports = {50000, 50099}},
            {.to_source = {.family = AF_INET}, .out = {other, 1}, .to_ports = {1, 7}},
    };
    struct nsh_config c = {.masquerades = list, .n_masquerades = 4};
    struct nsh_survey_link links[] = {{.name = "eth1", .ifindex = 3}};
    struct nsh_survey_address addresses[] = {{.ifindex = 3, .family = AF_INET}};
    struct nsh_survey s = {.links = links, .n_links = 1, .addresses = addresses, .n_addresses = 1};
    struct nsh_port_use mine = use_of(5, 6), fixed = use_of(9, 6), nobodys = use_of(8, 6);
    uint32_t n;

    (void)state;
    addresses[0].address = mine.from;
    list[3].to_source.first = list[3].to_source.last = fixed.from;
    assert_ptr_equal(doctor_port_range(&c, &s, &mine, &n), &list[2]);
    assert_int_equal(n, 100);
    assert_ptr_equal(doctor_port_range(&c, &s, &fixed, &n), &list[3]);
    assert_int_equal(n, 7);
    assert_null(doctor_port_range(&c, &s, &nobodys, &n));
    assert_int_equal(n, 64512);
    list[2].policy.disabled = true;
    assert_ptr_equal(doctor_port_range(&c, &s, &mine, &n), &list[1]);
    list[1].to_ports = (struct nsh_range){0};
    assert_ptr_equal(doctor_port_range(&c, &s, &mine, &n), &list[1]);
    assert_int_equal(n, 64512);
}

/* ---- what the daemon says ---- */

static json_t *look_with(struct doctor *d, void (*look)(struct doctor *d))
{
    const struct doctor_check check = {.name = "it", .about = "it", .look = look};

    return doctor_look(d, &check);
}

static void assert_told(const json_t *result, const char *what, const char *fix)
{
    const json_t *told = json_array_get(json_object_get(result, "findings"), 0);

    assert_string_equal(json_string_value(json_object_get(told, "what")), what);
    assert_string_equal(json_string_value(json_object_get(told, "fix")), fix);
}

/* A route that was repaired so often, so long ago. */
static json_t *look_at_fight(
        int repairs, int seconds, const char *state, const char *reason, const char *culprit)
{
    struct doctor d = {.root = root};
    json_t *result;

    d.status = json_pack("{s:[{s:s, s:s, s:s, s:s, s:i, s:I, s:s?}]}", "objects", "kind", "route",
            "name", "default", "state", state, "reason", reason, "repairs", repairs,
            "last_repair_ago_usec", (json_int_t)seconds * 1000000, "culprit", culprit);
    result = look_with(&d, doctor_fights);
    json_decref(d.status);
    return result;
}

static void test_fights(void **state)
{
    static const char waits[] = "something keeps undoing the repair; backing off";
    static const struct {
        int repairs, seconds;
        const char *state, *reason, *told;
        size_t notes;
    } cases[] = {
            {7, 1, "held", "", "ok", 0},
            {8, 59, "held", "", "found", 0},
            {8, 61, "held", "", "ok", 1},
            {8, 3599, "held", "", "ok", 1},
            {8, 3601, "held", "", "ok", 0},
            {9, 290, "wrong", waits, "found", 0}, /* it is undone, and waits for its turn */
            {9, 290, "wrong", "cannot write", "ok", 0},
    };
    json_t *result;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        result = look_at_fight(
                cases[i].repairs, cases[i].seconds, cases[i].state, cases[i].reason, NULL);
        assert_string_equal(state_of(result), cases[i].told);
        assert_int_equal(json_array_size(json_object_get(result, "notes")), cases[i].notes);
        json_decref(result);
    }
    result = look_at_fight(8, 1, "held", "", NULL);
    assert_told(result,
            "route default was repaired 8 times, the last time 1.0 s ago, and something "
            "undoes it again",
            "find out who it is ('netshared watch' says it where that is certain), and stop that "
            "program from changing it, or take it out of the file");
    json_decref(result);
    result = look_at_fight(8, 1, "held", "", "ip[4455]");
    assert_told(result,
            "route default was repaired 8 times, the last time 1.0 s ago, and ip[4455] undoes it "
            "again",
            "see what starts it, and stop that program from changing it, or take it out of the "
            "file");
    json_decref(result);
    result = look_at_fight(12, 125, "held", "", NULL);
    assert_string_equal(json_string_value(json_object_get(
                                json_array_get(json_object_get(result, "notes"), 0), "what")),
            "route default was repaired 12 times, the last time 2 min 5 s ago; it stands since");
    json_decref(result);
}

/* Others may call a chain what looks like a command; what root is told to run is ours alone. */
static void test_commands_of_objects(void **state)
{
    static const struct {
        const char *reason, *command;
    } cases[] = {
            {"nftables chain ip a b drops forwarded packets; run: nft 'x'", "nft 'x'"},
            {"the legacy iptables chain FORWARD drops forwarded packets; run: y", "y"},
            {"nftables chain ip a b drops forwarded packets; accept it there by hand", NULL},
            {"not in force: nftables chain ip a x; run: id # drops what it forwards", NULL},
            {"behind x; run: id # drops forwarded packets; run: id", NULL},
    };
    struct doctor d = {.root = root};
    json_t *result;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        d.status = json_pack("{s:[{s:s, s:s, s:s, s:s}]}", "objects", "kind", "share", "name",
                "home", "state", "pending", "reason", cases[i].reason);
        result = look_with(&d, doctor_objects);
        assert_string_equal(state_of(result), "found");
        if (cases[i].command)
            assert_string_equal(first(result, "command"), cases[i].command);
        else
            assert_null(first(result, "command"));
        json_decref(result);
        json_decref(d.status);
    }
}

static void test_no_daemon(void **state)
{
    static const struct nsh_options options = {.config = "/etc/netshared.yaml",
            .runtime_directory = "/run/netshared",
            .state_directory = "/var/lib/netshared"};
    struct nsh_desired nothing = {0}, something = {.n_rules = 1};
    struct nsh_loaded absent = {.error = -ENOENT}, bad = {.error = -EINVAL};
    struct doctor d = {
            .options = &options, .root = root, .status_error = -ENOENT, .loaded = &absent};
    const struct nsh_settings settings = {0};
    json_t *result = look_with(&d, doctor_daemon);

    (void)state;
    assert_int_equal(nsh_config_new_empty(&settings, &something.config), 0);
    assert_string_equal(
            first(result, "what"), "no daemon runs for this network namespace: nothing is kept");
    assert_string_equal(
            first(result, "fix"), "write the file (see below), then run: netshared run");
    json_decref(result);
    d.loaded = &bad;
    put("/run/systemd/system/x", "");
    put("/usr/lib/systemd/system/netshared.service", "");
    result = look_with(&d, doctor_daemon);
    assert_string_equal(first(result, "fix"),
            "mend the file (see below), then run: systemctl enable --now netshared");
    json_decref(result);
    d.desired = &something;
    result = look_with(&d, doctor_daemon);
    assert_string_equal(first(result, "command"), "systemctl enable --now netshared");
    json_decref(result);
    d.desired = &nothing;
    result = look_with(&d, doctor_daemon);
    assert_string_equal(state_of(result), "idle");
    assert_string_equal(json_string_value(json_object_get(result, "why")),
            "none runs, and the file wants nothing; to have one, run: systemctl enable --now "
            "netshared");
    json_decref(result);
    nsh_config_free(something.config);
}

/* ---- commands ---- */

static void test_quote(void **state)
{
    static const struct {
        const char *text, *word;
    } cases[] = {{"eth0", "eth0"}, {"eth0.7@x", "eth0.7@x"}, {"a b", "'a b'"},
            {"it's", "'it'\\''s'"}, {"$(x)", "'$(x)'"}, {"", "''"}};
    char buf[NSH_TEXT_DEVICE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(nsh_text_word(cases[i].text, buf, sizeof buf), cases[i].word);
    assert_true(strlen(nsh_text_word("'''''''''''''''", buf, sizeof buf)) < NSH_TEXT_DEVICE);
    assert_true(strlen(nsh_text_word("aaaaaaaa aaaaaaaaaaaaaaaaaaaa", buf, 12)) < 12);
}

static void test_sysctl_names(void **state)
{
    char key[DOCTOR_KEY], fix[256];

    (void)state;
    doctor_key(AF_INET, "eth0", "rp_filter", key, sizeof key);
    assert_memory_equal(doctor_sysctl_fix(key, 2, fix, sizeof fix),
            "run: sysctl -w net.ipv4.conf.eth0.rp_filter=2 ", 46);
    doctor_key(AF_INET6, "eth0.7", "accept_ra", key, sizeof key);
    assert_memory_equal(doctor_sysctl_fix(key, 2, fix, sizeof fix),
            "run: sysctl -w net/ipv6/conf/eth0.7/accept_ra=2 ", 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(test_networkd_main, clear),
            cmocka_unit_test_teardown(test_networkd_drop_ins, clear),
            cmocka_unit_test_teardown(test_networkd_order, clear),
            cmocka_unit_test_teardown(test_process, clear),
            cmocka_unit_test(test_mountinfo),
            cmocka_unit_test_teardown(test_rights, clear),
            cmocka_unit_test_teardown(test_lock, clear),
            cmocka_unit_test(test_conntrack),
            cmocka_unit_test(test_port_uses),
            cmocka_unit_test(test_port_range),
            cmocka_unit_test(test_fights),
            cmocka_unit_test(test_commands_of_objects),
            cmocka_unit_test_teardown(test_no_daemon, clear),
            cmocka_unit_test(test_quote),
            cmocka_unit_test(test_sysctl_names),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fake firewall itself: its words, its contract, its sets.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "firewall-fake.h"

struct walls {
    struct nsh_firewall_fake *f;
    struct nsh_firewall *fw;
};

static int walls_setup(void **state)
{
    struct walls *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    assert_int_equal(nsh_firewall_fake_new(&w->f), 0);
    assert_int_equal(nsh_firewall_fake_open(w->f, &w->fw), 0);
    *state = w;
    return 0;
}

static int walls_teardown(void **state)
{
    struct walls *w = *state;

    nsh_firewall_free(w->fw);
    nsh_firewall_fake_free(w->f);
    free(w);
    return 0;
}

static void iptables(struct walls *w, const char *words)
{
    int rc = nsh_firewall_fake_iptables(w->f, words);

    if (rc != 0)
        fail_msg("%s: %s", words, strerror(-rc));
}

static void assert_saved(struct walls *w, bool counters, const char *expected)
{
    nsh_autofree char *text = nsh_firewall_fake_save(w->f, AF_INET, NSH_TABLE_NAT, counters);
    const char *rules;

    assert_non_null(text);
    rules = strstr(text, counters ? "[" : "-A");
    assert_string_equal(rules ? rules : "", expected);
}

static void test_iptables_words(void **state)
{
    struct walls *w = *state;

    iptables(w, "iptables -N NETSHARED-x");
    iptables(w, "iptables -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT");
    iptables(w, "iptables -A NETSHARED-x -d 10.0.0.0/8 -j RETURN -c 5 700");
    iptables(w, "iptables -I POSTROUTING 1 -j NETSHARED-x");
    assert_saved(w, true,
            "[0:0] -A POSTROUTING -j NETSHARED-x\n"
            "[0:0] -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT\n"
            "[5:700] -A NETSHARED-x -d 10.0.0.0/8 -j RETURN\n");
    assert_int_equal(
            nsh_firewall_fake_iptables(w->f, "iptables -A POSTROUTING -j NETSHARED-y"), -ENOENT);
    assert_int_equal(nsh_firewall_fake_iptables(w->f, "iptables -X"), -ENOTEMPTY);
    assert_int_equal(nsh_firewall_fake_iptables(w->f, "iptables -D POSTROUTING 3"), -E2BIG);
    iptables(w, "iptables -F NETSHARED-x");
    assert_int_equal(nsh_firewall_fake_iptables(w->f, "iptables -X NETSHARED-x"), -EMLINK);
    iptables(w, "iptables -F");
    iptables(w, "iptables -X");
    assert_saved(w, false, "");
}

static int note_post(void *userdata, const struct nsh_chain_seen *chain)
{
    struct nsh_chain_seen *seen = userdata;

    if (strcmp(chain->name, "POSTROUTING") == 0) {
        *seen = *chain;
        assert_int_equal(chain->n_jumps, 2);
        assert_true(chain->jumps[0].plain);
        assert_false(chain->jumps[1].plain);
        assert_int_equal(chain->jumps[1].index, 2);
    }
    return 0;
}

static int note_any(void *userdata, const struct nsh_chain_seen *chain)
{
    (void)chain;
    ++*(size_t *)userdata;
    return 0;
}

static void test_observe(void **state)
{
    struct walls *w = *state;
    struct nsh_chain_seen seen = {0};
    size_t n = 0;

    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    assert_int_equal(w->fw->ops->observe(w->fw, AF_INET, NSH_TABLE_NAT, note_any, &n), 0);
    assert_int_equal(n, 0); /* not brought into being by looking */
    iptables(w, "iptables -N NETSHARED-x");
    iptables(w, "iptables -A POSTROUTING -j NETSHARED-x");
    iptables(w, "iptables -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT");
    iptables(w, "iptables -A POSTROUTING -o eth0 -j NETSHARED-x");
    assert_int_equal(w->fw->ops->observe(w->fw, AF_INET, NSH_TABLE_NAT, note_post, &seen), 0);
    assert_int_equal(seen.n_total, 3);
    assert_int_equal(seen.first_foreign, 1);
    w->fw->ops->close(w->fw);
}

static const struct nsh_packet_rule two_rules[] = {
        {.action = NSH_PACKET_RETURN, .out = "eth1"},
        {.action = NSH_PACKET_MASQUERADE, .out = "eth0"},
};
static const struct nsh_chain wanted = {.family = AF_INET,
        .name = "NETSHARED-x",
        .hook = "POSTROUTING",
        .rules = two_rules,
        .n_rules = 2};

static int commit(struct walls *w, const struct nsh_firewall_op *ops, size_t n, char *why)
{
    size_t ignored = 0;
    int rc;

    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(w->fw->ops->observe(w->fw, AF_INET, NSH_TABLE_NAT, note_any, &ignored), 0);
    rc = w->fw->ops->commit(w->fw, AF_INET, NSH_TABLE_NAT, ops, n, why, 64);
    w->fw->ops->close(w->fw);
    return rc;
}

#define OP .family = AF_INET, .table = NSH_TABLE_NAT, .chain = "NETSHARED-x"

static void test_commit(void **state)
{
    struct walls *w = *state;
    const struct nsh_firewall_op make[] = {
            {OP, .verb = NSH_CHAIN_ADD, .want = &wanted},
            {OP, .verb = NSH_JUMP_ADD, .hook = "POSTROUTING", .index = UINT32_MAX},
    };
    const struct nsh_firewall_op bad[] = {
            {OP, .verb = NSH_JUMP_DELETE, .hook = "POSTROUTING", .index = 1},
            {OP, .verb = NSH_JUMP_DELETE, .hook = "POSTROUTING", .index = 0},
    };
    const struct nsh_firewall_op change = {OP, .verb = NSH_CHAIN_CHANGE, .keep_head = 1,
            .keep_tail = 1, .n_observed = 3, .want = &wanted};
    const struct nsh_firewall_op drop = {OP, .verb = NSH_CHAIN_DELETE};
    char why[64] = "";

    iptables(w, "iptables -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT");
    assert_int_equal(commit(w, make, 2, why), NSH_FIREWALL_OK);
    iptables(w, "iptables -I NETSHARED-x 2 -j RETURN");
    nsh_firewall_fake_count_packet(w->f);
    assert_int_equal(commit(w, &change, 1, why), NSH_FIREWALL_OK);
    assert_saved(w, true,
            "[1:100] -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT\n"
            "[1:100] -A POSTROUTING -j NETSHARED-x\n"
            "[1:100] -A NETSHARED-x -o eth1 -j RETURN\n"
            "[1:100] -A NETSHARED-x -o eth0 -j MASQUERADE\n");
    /* The second step would take a foreign rule: none is done. */
    assert_int_equal(commit(w, bad, 2, why), -EPERM);
    assert_string_equal(why, "step 1: Operation not permitted");
    assert_int_equal(commit(w, &drop, 1, why), NSH_FIREWALL_OK); /* referred to: only flushed */
    assert_saved(
            w, false, "-A POSTROUTING -s 10.5.0.0/16 -j ACCEPT\n-A POSTROUTING -j NETSHARED-x\n");
    assert_int_equal(nsh_firewall_fake_counts(w->f)->commits, 3);
}

static void flush(void *userdata)
{
    iptables(userdata, "iptables -F");
}

static void test_faults(void **state)
{
    struct walls *w = *state;
    const struct nsh_firewall_op make = {OP, .verb = NSH_CHAIN_ADD, .want = &wanted};
    char why[64] = "";
    struct nsh_firewall *other;

    assert_int_equal(w->fw->ops->changed(w->fw, AF_INET, NSH_TABLE_NAT), 1);
    nsh_firewall_fake_busy(w->f, 1);
    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_BUSY);
    nsh_firewall_fake_race(w->f, 1, flush, w);
    assert_int_equal(commit(w, &make, 1, why), NSH_FIREWALL_RACED);
    nsh_firewall_fake_fail_commit(w->f, 1, ENOENT, "no such target");
    assert_int_equal(commit(w, &make, 1, why), -ENOENT);
    assert_string_equal(why, "no such target");
    assert_int_equal(commit(w, &make, 1, why), NSH_FIREWALL_OK);
    assert_int_equal(w->fw->ops->changed(w->fw, AF_INET, NSH_TABLE_NAT), 0);
    nsh_firewall_fake_count_packet(w->f);
    assert_int_equal(w->fw->ops->changed(w->fw, AF_INET, NSH_TABLE_NAT), 0);
    iptables(w, "iptables -F");
    assert_int_equal(w->fw->ops->changed(w->fw, AF_INET, NSH_TABLE_NAT), 1);
    assert_int_equal(nsh_firewall_fake_open(w->f, &other), 0);
    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(other->ops->open(other, NSH_FIREWALL_WRITE), NSH_FIREWALL_BUSY);
    assert_int_equal(other->ops->open(other, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    nsh_firewall_free(other);
    nsh_firewall_fake_unsupported(w->f, AF_INET6, ENOENT, "no table");
    assert_int_equal(w->fw->ops->probe(w->fw, AF_INET6, NSH_TABLE_NAT, why, sizeof(why)), -ENOENT);
    assert_string_equal(why, "no table");
    assert_int_equal(w->fw->ops->probe(w->fw, AF_INET, NSH_TABLE_NAT, why, sizeof(why)), 0);
}

/* ---- every rule a value can say ---- */

static const struct nsh_packet_rule *seen_rule;
static struct nsh_packet_rule seen_copy;

static int note_ours(void *userdata, const struct nsh_chain_seen *chain)
{
    (void)userdata;
    if (chain->builtin || chain->n_rules != 1)
        return 0;
    seen_copy = chain->rules[0];
    seen_rule = &seen_copy;
    return 0;
}

/* What iptables-save would print of a rule is read back as that rule. */
static void test_words_and_values(void **state)
{
    static const char *const lines[] = {
            "-s 10.0.0.0/8 -d 192.168.0.0/16 -i eth0 -o wan+ -j ACCEPT",
            "-p tcp -m tcp --sport 1024:65535 --dport 80 --tcp-flags SYN,RST SYN -j TCPMSS "
            "--clamp-mss-to-pmtu",
            "-p udplite -m multiport --dports 7 -j DROP",
            "-p 99 -m mark --mark 0x1/0xff -j RETURN",
            "-m mark --mark 0x7 -j RETURN",
            "-m set --match-set netshared-a_f4 src -m set --match-set netshared-b dst -j "
            "MASQUERADE --random-fully",
            "-m policy --dir out --pol ipsec -j RETURN",
            "-p udp -m udp --dport 53 -m addrtype --dst-type LOCAL -m addrtype ! --dst-type LOCAL "
            "--limit-iface-in -j DNAT --to-destination 10.0.0.9:5353",
            "-m addrtype --dst-type LOCAL -j RETURN",
            "-m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctstate DNAT -j ACCEPT",
            "-m conntrack --ctstate DNAT -j ACCEPT",
            "-p tcp -j MASQUERADE --to-ports 4000-5000 --random",
            "-p tcp -j SNAT --to-source 192.0.2.1-192.0.2.9:4000-5000 --random --persistent",
            "-s 10.0.0.0/24 -j NETMAP --to 192.0.2.0/24",
            "-m limit --limit 1/sec --limit-burst 10 -j LOG --log-prefix \"web: \"",
            "-p tcp -j DNAT --to-destination [fd00::1]:80",
            "-j SNAT --to-source fd00::1-fd00::9",
            "-j NETSHARED-x",
    };
    struct walls *w = *state;
    char command[512], text[NSH_PACKET_RULE_TEXT];

    iptables(w, "iptables -N NETSHARED-x");
    iptables(w, "iptables -N NETSHARED-y");
    assert_int_equal(nsh_firewall_fake_ipset(w->f, "ipset create netshared-a_f4 hash:net"), 0);
    assert_int_equal(nsh_firewall_fake_ipset(w->f, "ipset create netshared-b hash:net"), 0);
    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(lines); i++) {
        seen_rule = NULL;
        snprintf(command, sizeof(command), "iptables -A NETSHARED-y %s", lines[i]);
        iptables(w, command);
        assert_int_equal(w->fw->ops->observe(w->fw, AF_INET, NSH_TABLE_NAT, note_ours, NULL), 0);
        assert_non_null(seen_rule);
        assert_int_not_equal(seen_rule->action, NSH_PACKET_OTHER);
        assert_string_equal(nsh_packet_rule_format(seen_rule, text, sizeof(text)), lines[i]);
        iptables(w, "iptables -F NETSHARED-y");
    }
    w->fw->ops->close(w->fw);
}

/* With one word more than a value can say it is kept as it was said. */
static void test_words_that_are_no_value(void **state)
{
    static const char *const lines[] = {
            "-m comment --comment mine -j RETURN",
            "-m limit --limit 5/min -j RETURN",
            "-m limit --limit 1/sec -j RETURN",
            "! -s 10.0.0.0/8 -j RETURN",
            "-m policy --dir in --pol ipsec -j RETURN",
            "-j LOG --log-prefix mine",
            "-j CONNMARK --save-mark",
            "-p tcp",
    };
    struct walls *w = *state;
    char command[512];

    iptables(w, "iptables -N NETSHARED-y");
    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(lines); i++) {
        nsh_autofree char *text = NULL;

        seen_rule = NULL;
        snprintf(command, sizeof(command), "iptables -A NETSHARED-y %s", lines[i]);
        iptables(w, command);
        assert_int_equal(w->fw->ops->observe(w->fw, AF_INET, NSH_TABLE_NAT, note_ours, NULL), 0);
        assert_non_null(seen_rule);
        assert_int_equal(seen_rule->action, NSH_PACKET_OTHER);
        text = nsh_firewall_fake_save(w->f, AF_INET, NSH_TABLE_NAT, false);
        assert_non_null(strstr(text, lines[i]));
        iptables(w, "iptables -F NETSHARED-y");
    }
    w->fw->ops->close(w->fw);
}

static void test_tables_of_their_own(void **state)
{
    struct walls *w = *state;
    nsh_autofree char *filter = NULL, *mangle = NULL;

    iptables(w, "iptables -t filter -A FORWARD -j DROP");
    iptables(w, "iptables -t mangle -A FORWARD -j ACCEPT");
    filter = nsh_firewall_fake_save(w->f, AF_INET, NSH_TABLE_FILTER, false);
    mangle = nsh_firewall_fake_save(w->f, AF_INET, NSH_TABLE_MANGLE, false);
    assert_non_null(strstr(filter, "-A FORWARD -j DROP"));
    assert_non_null(strstr(mangle, "-A FORWARD -j ACCEPT"));
    assert_int_equal(nsh_firewall_fake_iptables(w->f, "iptables -t broute -F"), -EINVAL);
}

/* ---- sets ---- */

static struct nsh_prefix net(const char *text)
{
    struct nsh_prefix p;

    assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p;
}

static int note_element(void *userdata, const struct nsh_prefix *p)
{
    char buf[NSH_PREFIX_TEXT], *text = userdata;

    strcat(strcat(text, nsh_prefix_format(p, buf)), " ");
    return 0;
}

static int note_set(void *userdata, const char *name)
{
    char *text = userdata;

    sprintf(text + strlen(text), "%s ", name);
    return 0;
}

static int ipset(struct walls *w, const char *words)
{
    return nsh_firewall_fake_ipset(w->f, words);
}

static void assert_set(struct walls *w, const char *name, const char *expected)
{
    nsh_autofree char *text = nsh_firewall_fake_set(w->f, name);

    if (!text)
        assert_null(expected);
    else
        assert_string_equal(text, expected);
}

#define SET "netshared-a_f4"

static void test_sets(void **state)
{
    struct walls *w = *state;
    const struct nsh_prefix nets[] = {net("10.0.0.0/8"), net("172.16.0.0/12"), net("192.0.2.1")};
    const struct nsh_set want = {.family = AF_INET, .name = SET, .prefixes = nets, .n = 3};
    struct nsh_set_op op = {.verb = NSH_SET_CREATE, .family = AF_INET, .name = SET, .want = &want};
    char why[64] = "", text[256] = "";

    assert_int_equal(ipset(w, "ipset create other hash:net"), 0);
    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, why, sizeof(why)), 0);
    assert_int_equal(w->fw->ops->set_changed(w->fw, AF_INET, SET), 0);
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, why, sizeof(why)), -EEXIST);
    assert_set(w, SET, "10.0.0.0/8\n172.16.0.0/12\n192.0.2.1\n");
    assert_int_equal(w->fw->ops->sets(w->fw, AF_INET, note_set, text), 0);
    assert_string_equal(text, SET " ");
    text[0] = '\0';
    assert_int_equal(w->fw->ops->set_read(w->fw, AF_INET, SET, note_element, text), 0);
    assert_string_equal(text, "10.0.0.0/8 192.0.2.1 172.16.0.0/12 ");
    assert_int_equal(w->fw->ops->set_read(w->fw, AF_INET6, SET, note_element, text), -ENOENT);

    op.verb = NSH_SET_UPDATE;
    op.want = NULL;
    op.add = (const struct nsh_prefix[]){net("198.51.100.0/24")};
    op.remove = &nets[1];
    op.n_add = op.n_remove = 1;
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, why, sizeof(why)), 0);
    assert_set(w, SET, "10.0.0.0/8\n198.51.100.0/24\n192.0.2.1\n");
    /* All or nothing: what is to be removed is no longer there. */
    op.add = (const struct nsh_prefix[]){net("203.0.113.0/24")};
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, why, sizeof(why)), -ENOENT);
    assert_set(w, SET, "10.0.0.0/8\n198.51.100.0/24\n192.0.2.1\n");
    assert_int_equal(nsh_firewall_fake_counts(w->f)->set_writes, 2);
    assert_int_equal(nsh_firewall_fake_counts(w->f)->elements, 5);

    iptables(w, "iptables -A POSTROUTING -m set --match-set " SET " src -j ACCEPT");
    op = (struct nsh_set_op){.verb = NSH_SET_DESTROY, .family = AF_INET, .name = SET};
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, why, sizeof(why)), -EBUSY);
    iptables(w, "iptables -F POSTROUTING");
    nsh_firewall_fake_fail_set_write(w->f, 1, EIO, "not now");
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, why, sizeof(why)), -EIO);
    assert_string_equal(why, "not now");
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, why, sizeof(why)), 0);
    assert_set(w, SET, NULL);
    w->fw->ops->close(w->fw);
}

/* Whoever dropped a step sees nothing of the sets before it is over. */
static void test_a_set_takes_long(void **state)
{
    struct walls *w = *state;
    const struct nsh_prefix all = net("10.0.0.0/8");
    const struct nsh_set want = {.family = AF_INET, .name = SET, .prefixes = &all, .n = 1};
    struct nsh_set_op op = {.verb = NSH_SET_CREATE, .family = AF_INET, .name = SET, .want = &want};
    char text[64] = "";

    nsh_firewall_fake_delay_sets(w->f, 1);
    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, NULL, 0), -EINPROGRESS);
    assert_int_equal(w->fw->ops->sets(w->fw, AF_INET, note_set, text), -EINPROGRESS);
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, NULL, 0), 0);
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, NULL, 0), -EINPROGRESS);
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, NULL, 0), -EEXIST);
    assert_int_equal(w->fw->ops->set_read(w->fw, AF_INET, SET, note_element, text), -EINPROGRESS);
    assert_int_equal(w->fw->ops->set_read(w->fw, AF_INET, SET, note_element, text), 0);
    assert_string_equal(text, "10.0.0.0/8 ");

    op.verb = NSH_SET_REPLACE;
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, NULL, 0), -EINPROGRESS);
    w->fw->ops->set_drop(w->fw);
    op.verb = NSH_SET_DESTROY;
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, NULL, 0), -EINPROGRESS);
    assert_int_equal(w->fw->ops->set_write(w->fw, &op, NULL, 0), 0);
    text[0] = '\0';
    assert_int_equal(w->fw->ops->sets(w->fw, AF_INET, note_set, text), 0);
    assert_string_equal(text, "");
    w->fw->ops->close(w->fw);
}

/* What ipset(8) does is seen by its count, and by reading. */
static void test_what_a_look_at_a_set_sees(void **state)
{
    struct walls *w = *state;
    char text[256] = "";

    assert_int_equal(ipset(w, "ipset create " SET " hash:net"), 0);
    assert_int_equal(ipset(w, "ipset add " SET " 10.0.0.0/8"), 0);
    assert_int_equal(ipset(w, "ipset add " SET " 10.0.0.0/8"), -EEXIST);
    assert_int_equal(w->fw->ops->set_changed(w->fw, AF_INET, SET), 1);
    assert_int_equal(w->fw->ops->open(w->fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(w->fw->ops->set_read(w->fw, AF_INET, SET, note_element, text), 0);
    w->fw->ops->close(w->fw);
    assert_int_equal(w->fw->ops->set_changed(w->fw, AF_INET, SET), 0);
    assert_int_equal(ipset(w, "ipset create other hash:net"), 0);
    assert_int_equal(ipset(w, "ipset add other 192.0.2.0/24"), 0);
    assert_int_equal(ipset(w, "ipset swap " SET " other"), 0);
    assert_set(w, SET, "192.0.2.0/24\n");
    assert_int_equal(w->fw->ops->set_changed(w->fw, AF_INET, SET), 0);
    assert_int_equal(ipset(w, "ipset del " SET " 192.0.2.0/24"), 0);
    assert_int_equal(w->fw->ops->set_changed(w->fw, AF_INET, SET), 1);
    assert_int_equal(ipset(w, "ipset flush other"), 0);
    iptables(w, "iptables -A POSTROUTING -m set --match-set other src -j ACCEPT");
    assert_int_equal(ipset(w, "ipset destroy other"), -EBUSY);
    assert_int_equal(ipset(w, "ipset destroy " SET), 0);
    assert_int_equal(nsh_firewall_fake_iptables(w->f,
                             "iptables -A POSTROUTING -m set --match-set " SET " src -j ACCEPT"),
            -ENOENT);
    assert_int_equal(ipset(w, "ipset list x"), -ENOENT);
}

static void test_who_it_was(void **state)
{
    struct walls *w = *state;
    struct nsh_firewall_culprit who;

    assert_false(w->fw->ops->culprit(w->fw, &who));
    nsh_firewall_fake_culprit(w->f, 4455, "iptables-legacy");
    assert_true(w->fw->ops->culprit(w->fw, &who));
    assert_int_equal(who.pid, 4455);
    assert_string_equal(who.name, "iptables-legacy");
}

#define WALL_TEST(f) cmocka_unit_test_setup_teardown(f, walls_setup, walls_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            WALL_TEST(test_iptables_words),
            WALL_TEST(test_observe),
            WALL_TEST(test_commit),
            WALL_TEST(test_faults),
            WALL_TEST(test_words_and_values),
            WALL_TEST(test_words_that_are_no_value),
            WALL_TEST(test_tables_of_their_own),
            WALL_TEST(test_sets),
            WALL_TEST(test_a_set_takes_long),
            WALL_TEST(test_what_a_look_at_a_set_sees),
            WALL_TEST(test_who_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

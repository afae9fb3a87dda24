/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What nft(8) writes otherwise than we do, and means the same: read as the value all the same.
 * Older ones have no words for it, so the expressions are put together here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "firewall-nft.h"
#include "packet.h"

static struct nftnl_expr *add(struct nftnl_rule *rule, const char *name)
{
    struct nftnl_expr *x = nftnl_expr_alloc(name);

    assert_non_null(x);
    nftnl_rule_add_expr(rule, x);
    return x;
}

static void add_protocol(struct nftnl_rule *rule, uint8_t protocol)
{
    struct nftnl_expr *x = add(rule, "meta");

    nftnl_expr_set_u32(x, NFTNL_EXPR_META_KEY, NFT_META_L4PROTO);
    nftnl_expr_set_u32(x, NFTNL_EXPR_META_DREG, NFT_REG_1);
    x = add(rule, "cmp");
    nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    nftnl_expr_set(x, NFTNL_EXPR_CMP_DATA, &protocol, sizeof protocol);
}

static void add_load(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t length)
{
    struct nftnl_expr *x = add(rule, "payload");

    nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_LEN, length);
}

static void add_range(struct nftnl_rule *rule, uint32_t operation, const void *from, const void *to,
        uint32_t length)
{
    struct nftnl_expr *x = add(rule, "range");

    nftnl_expr_set_u32(x, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(x, NFTNL_EXPR_RANGE_OP, operation);
    nftnl_expr_set(x, NFTNL_EXPR_RANGE_FROM_DATA, from, length);
    nftnl_expr_set(x, NFTNL_EXPR_RANGE_TO_DATA, to, length);
}

static void add_ports(
        struct nftnl_rule *rule, uint32_t offset, uint32_t operation, uint16_t first, uint16_t last)
{
    uint16_t from = htons(first), to = htons(last);

    add_load(rule, NFT_PAYLOAD_TRANSPORT_HEADER, offset, sizeof from);
    add_range(rule, operation, &from, &to, sizeof from);
}

static void add_return(struct nftnl_rule *rule)
{
    struct nftnl_expr *x = add(rule, "counter");

    nftnl_expr_set_u64(x, NFTNL_EXPR_CTR_PACKETS, 7);
    x = add(rule, "immediate");
    nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_VERDICT, (uint32_t)NFT_RETURN);
}

static struct nsh_packet_rule decode(const struct nftnl_rule *rule)
{
    char refers[NSH_NFT_NAME];
    struct nsh_packet_rule r;

    nsh_nft_decode(AF_INET, NSH_TABLE_NAT, rule, &r, refers);
    return r;
}

/* 1.1.3 makes one expression of both ends of a range. */
static void test_a_range_of_ports(void **state)
{
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
    const struct nsh_packet_rule want = {.action = NSH_PACKET_RETURN,
            .protocol = IPPROTO_UDP,
            .source_port = {1, 2},
            .destination_port = {1024, 65535}};
    struct nsh_packet_rule r;

    (void)state;
    assert_non_null(rule);
    add_protocol(rule, IPPROTO_UDP);
    add_ports(rule, 0, NFT_RANGE_EQ, 1, 2);
    add_ports(rule, 2, NFT_RANGE_EQ, 1024, 65535);
    add_return(rule);
    r = decode(rule);
    assert_true(nsh_packet_rule_equal(&r, &want));
}

static void test_other_ranges(void **state)
{
    static const struct {
        uint32_t operation;
        uint16_t first, last;
    } ports[] = {
            {NFT_RANGE_NEQ, 1, 2},
            {NFT_RANGE_EQ, 7, 7}, /* an equality, for us */
            {NFT_RANGE_EQ, 0, 0},
    };
    static const uint8_t from[] = {10, 0, 0, 1}, to[] = {10, 0, 0, 9};

    (void)state;
    for (size_t i = 0; i <= NSH_ARRAY_SIZE(ports); i++) {
        NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();

        assert_non_null(rule);
        if (i < NSH_ARRAY_SIZE(ports)) {
            add_protocol(rule, IPPROTO_TCP);
            add_ports(rule, 2, ports[i].operation, ports[i].first, ports[i].last);
        } else {
            add_load(rule, NFT_PAYLOAD_NETWORK_HEADER, 12, sizeof from);
            add_range(rule, NFT_RANGE_EQ, from, to, sizeof from);
        }
        add_return(rule);
        assert_int_equal(decode(rule).action, NSH_PACKET_OTHER);
    }
}

/* It must be all there is: the range alone, and none after it. */
static void test_a_range_and_more(void **state)
{
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
    uint16_t from = htons(1), to = htons(9);

    (void)state;
    assert_non_null(rule);
    add_protocol(rule, IPPROTO_TCP);
    add_ports(rule, 2, NFT_RANGE_EQ, 1, 2);
    add_range(rule, NFT_RANGE_EQ, &from, &to, sizeof from);
    add_return(rule);
    assert_int_equal(decode(rule).action, NSH_PACKET_OTHER);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_range_of_ports),
            cmocka_unit_test(test_other_ranges),
            cmocka_unit_test(test_a_range_and_more),
    };

    return cmocka_run_group_tests_name("firewall-nft-decode", tests, NULL, NULL);
}

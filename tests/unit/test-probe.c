/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a check fails and works again; and which packets are the answer to a request.
 */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "probe-packet.h"
#include "probe-state.h"

/* ---- the state ---- */

/* Probes: '+' answered, '-' missed. What follows: '.' nothing, 'F' it fails, 'R' it works again. */
static void test_states(void **state)
{
    static const struct {
        uint32_t fail, recover;
        const char *probes, *turns;
    } cases[] = {
            {3, 2, "++++", "...."},
            {3, 2, "---", "..F"},
            {3, 2, "------", "..F..."},
            {3, 2, "--+--+--+", "........."},
            {3, 2, "--+---", ".....F"},
            {3, 2, "---++", "..F.R"},
            {3, 2, "---+-+-++", "..F.....R"},
            {3, 2, "---++--", "..F.R.."},
            {3, 2, "---++---++", "..F.R..F.R"},
            {1, 1, "-+-+", "FRFR"},
            {1, 1, "--++", "F.R."},
            {1, 3, "-++-+++", "F.....R"},
            {5, 1, "----+-----+", ".........FR"},
            {1, 1, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_check check = {.fail = cases[i].fail, .recover = cases[i].recover};
        struct nsh_probe_state s = {.works = true};
        char turns[32] = "";

        for (size_t k = 0; cases[i].probes[k]; k++) {
            enum nsh_probe_turn t =
                    nsh_probe_state_take(&s, &check, cases[i].probes[k] == '+', 100 + k);

            turns[k] = t == NSH_PROBE_FAILS ? 'F' : t == NSH_PROBE_RECOVERS ? 'R' : '.';
            if (t == NSH_PROBE_FAILS)
                assert_int_equal(s.since, 100 + k);
        }
        assert_string_equal(turns, cases[i].turns);
    }
}

/* ---- packets ---- */

struct packet {
    uint8_t bytes[256];
    size_t n;
    union nsh_addr from; /* IPv6: as the socket tells it */
};

static const struct nsh_echo request4 = {.family = AF_INET,
        .id = 0x1234,
        .sequence = 0xabcd,
        .target.bytes = {198, 51, 100, 1},
        .cookie = "0123456789abcde"};
static const struct nsh_echo request6 = {.family = AF_INET6,
        .id = 0x1234,
        .sequence = 0xabcd,
        .target.bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
        .cookie = "0123456789abcde"};
static const uint8_t us4[4] = {192, 0, 2, 1}, router4[4] = {192, 0, 2, 2};

static void put_checksum(uint8_t *p, size_t n)
{
    uint32_t sum = 0;

    p[2] = p[3] = 0;
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    p[2] = (uint8_t)(~sum >> 8);
    p[3] = (uint8_t)~sum;
}

static void put_ipv4(struct packet *p, const uint8_t *from, const uint8_t *to, size_t options)
{
    uint8_t *ip = p->bytes + p->n;

    memset(ip, 0, 20 + options);
    ip[0] = (uint8_t)(0x45 + options / 4);
    ip[9] = IPPROTO_ICMP;
    memcpy(ip + 12, from, 4);
    memcpy(ip + 16, to, 4);
    p->n += 20 + options;
}

static void put_ipv6(struct packet *p, const union nsh_addr *to)
{
    uint8_t *ip = p->bytes + p->n;

    memset(ip, 0, 40);
    ip[0] = 0x60;
    ip[6] = IPPROTO_ICMPV6;
    memcpy(ip + 24, to->bytes, 16);
    p->n += 40;
}

static void put_echo(struct packet *p, const struct nsh_echo *e, uint8_t type)
{
    nsh_echo_build(e, p->bytes + p->n);
    p->bytes[p->n] = type;
    if (e->family == AF_INET)
        put_checksum(p->bytes + p->n, NSH_ECHO_SIZE);
    p->n += NSH_ECHO_SIZE;
}

static struct packet answer4(void)
{
    struct packet p = {.n = 0};

    put_ipv4(&p, request4.target.bytes, us4, 0);
    put_echo(&p, &request4, ICMP_ECHOREPLY);
    return p;
}

static struct packet answer6(void)
{
    struct packet p = {.from = request6.target};

    put_echo(&p, &request6, ICMP6_ECHO_REPLY);
    return p;
}

/* With `keep` bytes of the request's ICMP message. */
static struct packet refusal(const struct nsh_echo *e, uint8_t type, uint8_t code, size_t keep)
{
    struct packet p = {.n = 0};
    size_t icmp;

    if (e->family == AF_INET)
        put_ipv4(&p, router4, us4, 0);
    icmp = p.n;
    p.bytes[icmp] = type;
    p.bytes[icmp + 1] = code;
    p.n += 8;
    if (e->family == AF_INET)
        put_ipv4(&p, us4, e->target.bytes, 0);
    else
        put_ipv6(&p, &e->target);
    put_echo(&p, e, e->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
    p.n -= NSH_ECHO_SIZE - keep;
    if (e->family == AF_INET)
        put_checksum(p.bytes + icmp, p.n - icmp);
    return p;
}

enum verdict { NOTHING, ANSWERED, REFUSED };

static enum verdict judge(const struct nsh_echo *e, const struct packet *p, size_t n)
{
    struct nsh_echo_seen seen;
    /* So that a read behind the end does not go unseen. */
    nsh_autofree uint8_t *copy = malloc(n + 1);
    enum verdict verdict = NOTHING;

    assert_non_null(copy);
    memcpy(copy, p->bytes, n);
    copy = realloc(copy, n > 0 ? n : 1);
    if (nsh_echo_parse(e->family, copy, n, &p->from, &seen) && nsh_echo_matches(e, &seen))
        verdict = seen.refused ? REFUSED : ANSWERED;
    return verdict;
}

static void test_the_answer(void **state)
{
    struct packet v4 = answer4(), v6 = answer6(), options = {.n = 0};

    (void)state;
    assert_int_equal(judge(&request4, &v4, v4.n), ANSWERED);
    assert_int_equal(judge(&request6, &v6, v6.n), ANSWERED);
    put_ipv4(&options, request4.target.bytes, us4, 12);
    put_echo(&options, &request4, ICMP_ECHOREPLY);
    assert_int_equal(judge(&request4, &options, options.n), ANSWERED);
}

/* Any byte of ICMP changed, and it is none; nor with another source, nor cut short. */
static void test_forged_answers(void **state)
{
    struct packet v4 = answer4(), v6 = answer6(), p;

    (void)state;
    for (size_t i = 20; i < v4.n; i++) {
        p = v4;
        p.bytes[i] ^= 1;
        assert_int_equal(judge(&request4, &p, p.n), NOTHING);
        put_checksum(p.bytes + 20, p.n - 20);
        /* The checksum itself is right again now. */
        assert_int_equal(judge(&request4, &p, p.n), i == 22 || i == 23 ? ANSWERED : NOTHING);
    }
    for (size_t i = 0; i < v6.n; i++) {
        p = v6;
        p.bytes[i] ^= 1;
        /* In IPv6 the kernel has judged the checksum. */
        assert_int_equal(judge(&request6, &p, p.n), i == 2 || i == 3 ? ANSWERED : NOTHING);
    }
    p = v4;
    p.bytes[15] ^= 1;
    assert_int_equal(judge(&request4, &p, p.n), NOTHING);
    p = v6;
    p.from.bytes[15] ^= 1;
    assert_int_equal(judge(&request6, &p, p.n), NOTHING);
    for (size_t n = 0; n < v4.n; n++)
        assert_int_equal(judge(&request4, &v4, n), NOTHING);
    for (size_t n = 0; n < v6.n; n++)
        assert_int_equal(judge(&request6, &v6, n), NOTHING);
    /* Cut short with a checksum that says so. */
    p = v4;
    put_checksum(p.bytes + 20, p.n - 20 - 2);
    assert_int_equal(judge(&request4, &p, p.n - 2), NOTHING);
}

static void test_bad_headers(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
            {0, 0x65}, {0, 0x44}, {0, 0x4f},        /* the version; a header too short, too long */
            {9, IPPROTO_UDP}, {6, 0x01}, {7, 0x08}, /* a fragment */
    };
    struct packet whole = answer4();

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(changes); i++) {
        struct packet p = whole;

        p.bytes[changes[i].at] = changes[i].value;
        assert_int_equal(judge(&request4, &p, p.n), NOTHING);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        uint8_t type, code;
        enum verdict v4;
    } kinds[] = {
            {ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, REFUSED},
            {ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, REFUSED},
            {ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, NOTHING},
            {ICMP_TIME_EXCEEDED, 0, REFUSED},
            {ICMP_REDIRECT, 0, NOTHING},
            {ICMP_SOURCE_QUENCH, 0, NOTHING},
    };
    struct packet p;

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(kinds); i++) {
        p = refusal(&request4, kinds[i].type, kinds[i].code, NSH_ECHO_SIZE);
        assert_int_equal(judge(&request4, &p, p.n), kinds[i].v4);
    }
    /* Eight bytes of the request are all that has to be in it. */
    for (size_t keep = 8; keep <= NSH_ECHO_SIZE; keep++) {
        p = refusal(&request4, ICMP_DEST_UNREACH, 1, keep);
        assert_int_equal(judge(&request4, &p, p.n), REFUSED);
        p = refusal(&request6, ICMP6_DST_UNREACH, 0, keep);
        assert_int_equal(judge(&request6, &p, p.n), REFUSED);
    }
    p = refusal(&request6, ICMP6_TIME_EXCEEDED, 0, NSH_ECHO_SIZE);
    assert_int_equal(judge(&request6, &p, p.n), REFUSED);
    p = refusal(&request6, ICMP6_PACKET_TOO_BIG, 0, NSH_ECHO_SIZE);
    assert_int_equal(judge(&request6, &p, p.n), NOTHING);
}

static void test_forged_refusals(void **state)
{
    /* Where the request's ICMP begins; before it, its target. */
    const size_t icmp4 = 20 + 8 + 20, icmp6 = 8 + 40;
    struct packet v4 = refusal(&request4, ICMP_DEST_UNREACH, 1, NSH_ECHO_SIZE), p;
    struct packet v6 = refusal(&request6, ICMP6_DST_UNREACH, 0, NSH_ECHO_SIZE);

    (void)state;
    for (size_t i = icmp4 - 4; i < v4.n; i++) {
        p = v4;
        p.bytes[i] ^= 1;
        put_checksum(p.bytes + 20, p.n - 20);
        /* The request's own checksum says nothing. */
        assert_int_equal(
                judge(&request4, &p, p.n), i == icmp4 + 2 || i == icmp4 + 3 ? REFUSED : NOTHING);
    }
    for (size_t i = icmp6 - 16; i < v6.n; i++) {
        p = v6;
        p.bytes[i] ^= 1;
        assert_int_equal(
                judge(&request6, &p, p.n), i == icmp6 + 2 || i == icmp6 + 3 ? REFUSED : NOTHING);
    }
    for (size_t n = 0; n < icmp4 + 8; n++) {
        p = v4;
        if (n >= 28)
            put_checksum(p.bytes + 20, n - 20);
        assert_int_equal(judge(&request4, &p, n), NOTHING);
    }
    for (size_t n = 0; n < icmp6 + 8; n++)
        assert_int_equal(judge(&request6, &v6, n), NOTHING);
}

/* Our own requests, which a raw socket sees where the target is this machine, are no answers. */
static void test_requests(void **state)
{
    struct packet p = {.n = 0};

    (void)state;
    put_ipv4(&p, request4.target.bytes, us4, 0);
    put_echo(&p, &request4, ICMP_ECHO);
    assert_int_equal(judge(&request4, &p, p.n), NOTHING);
    p = (struct packet){.from = request6.target};
    put_echo(&p, &request6, ICMP6_ECHO_REQUEST);
    assert_int_equal(judge(&request6, &p, p.n), NOTHING);
}

/* Whatever comes, nothing outside of it is read; and nobody guesses an answer. */
static void test_noise(void **state)
{
    unsigned seed = 7;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct packet p = i % 2 ? answer4() : refusal(&request4, ICMP_DEST_UNREACH, 1, 12);
        size_t n = (size_t)rand_r(&seed) % (p.n + 1);

        for (int k = rand_r(&seed) % 4; k >= 0; k--)
            p.bytes[(size_t)rand_r(&seed) % p.n] ^= (uint8_t)(1 + rand_r(&seed) % 255);
        judge(&request4, &p, n);
        judge(&request6, &p, n);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_states),
            cmocka_unit_test(test_the_answer),
            cmocka_unit_test(test_forged_answers),
            cmocka_unit_test(test_bad_headers),
            cmocka_unit_test(test_refusals),
            cmocka_unit_test(test_forged_refusals),
            cmocka_unit_test(test_requests),
            cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

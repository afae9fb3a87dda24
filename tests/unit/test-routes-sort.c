/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sorting many routes in place gives what sorting them with qsort(3) gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config-loader.h"

static uint64_t seed;

static uint32_t pick(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % n;
}

static int compare(const void *a, const void *b)
{
    const struct nsh_route *x = a, *y = b;
    int r = nsh_route_id_cmp(x, y);

    return r != 0 ? r : (x->origin > y->origin) - (x->origin < y->origin);
}

/* `variety`: how many values each byte of the key can have. */
static void fill(struct nsh_route *routes, size_t n, uint32_t variety)
{
    memset(routes, 0, n * sizeof(*routes));
    for (size_t i = 0; i < n; i++) {
        struct nsh_route *r = &routes[i];

        r->family = pick(2) ? AF_INET : AF_INET6;
        r->table = pick(variety) << (8 * pick(4));
        r->metric = pick(2);
        for (size_t k = 0; k < nsh_addr_size(r->family); k++)
            r->dst.bytes[k] = pick(4) ? 0 : (uint8_t)pick(variety);
        r->dst_length = (uint8_t)pick(2);
        r->origin = (nsh_origin)i + 1;
    }
}

static void check_one(size_t n, uint32_t variety)
{
    nsh_autofree struct nsh_route *a = calloc(n + 1, sizeof(*a));
    nsh_autofree struct nsh_route *b = calloc(n + 1, sizeof(*b));
    size_t kept = 0, left;

    assert_true(a && b);
    fill(a, n, variety);
    memcpy(b, a, n * sizeof(*b));
    nsh_routes_sort(a, n);
    qsort(b, n, sizeof(*b), compare);
    assert_memory_equal(a, b, n * sizeof(*b));

    left = nsh_routes_unite(a, n);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || nsh_route_id_cmp(&b[i - 1], &b[i]) != 0)
            assert_memory_equal(&a[kept++], &b[i], sizeof(*b));
    assert_int_equal(left, kept);
}

static void test_sort(void **state)
{
    (void)state;
    for (size_t n = 0; n < 200; n += 7)
        check_one(n, 1 + pick(4));
    for (int i = 0; i < 20; i++)
        check_one(pick(20000), 1U << pick(9));
    check_one(5000, 1); /* one prefix again and again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sort)};
    const char *given = getenv("NSH_SEED");

    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    /* Not on stdout: the first line there has to be that of TAP. */
    (void)fprintf(stderr, "# NSH_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

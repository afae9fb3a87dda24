/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The arena, and origins. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "intern.h"
#include "origin.h"

static void test_alloc(void **state)
{
    struct nsh_arena *a = nsh_arena_new();
    unsigned char *before = NULL;

    (void)state;
    assert_non_null(a);
    for (size_t size = 0; size < 5000; size += 7) {
        unsigned char *p = nsh_arena_alloc(a, size);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        assert_ptr_not_equal(p, before);
        memset(p, 0xaa, size);
        before = p;
    }
    assert_non_null(nsh_arena_alloc(a, 1024UL * 1024));
    assert_null(nsh_arena_alloc(a, SIZE_MAX));
    assert_string_equal(nsh_arena_strdup(a, "text"), "text");
    nsh_arena_reset(a);
    before = nsh_arena_alloc(a, 4096);
    assert_non_null(before);
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(before[i], 0);
    nsh_arena_free(a);
    nsh_arena_free(NULL);
}

static void test_intern(void **state)
{
    struct nsh_arena *a = nsh_arena_new();
    static const void *first[3000];

    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 3000; i++) {
            unsigned key[2] = {i, i / 7};
            const void *p = nsh_arena_intern(a, key, sizeof(key));

            assert_memory_equal(p, key, sizeof(key));
            if (round == 0)
                first[i] = p;
            else
                assert_ptr_equal(p, first[i]);
        }
    /* The same beginning, another size. */
    assert_ptr_not_equal(nsh_arena_intern(a, "abc", 3), nsh_arena_intern(a, "abc", 4));
    nsh_arena_reset(a);
    assert_memory_equal(nsh_arena_intern(a, "abc", 4), "abc", 4);
    nsh_arena_free(a);
}

static void assert_place(
        const struct nsh_origins *o, nsh_origin at, const char *path, uint32_t line)
{
    uint32_t seen = 77;
    const char *p = nsh_origins_resolve(o, at, &seen);

    if (path)
        assert_string_equal(p, path);
    else
        assert_null(p);
    assert_int_equal(seen, line);
}

static void test_origins(void **state)
{
    struct nsh_origins *o = nsh_origins_new();
    nsh_origin a1, a9, b1, c5;

    (void)state;
    assert_int_equal(nsh_origins_at(o, 1), NSH_ORIGIN_NONE);
    assert_int_equal(nsh_origins_add_file(o, "a"), 0);
    a9 = nsh_origins_at(o, 9);
    a1 = nsh_origins_at(o, 1);
    assert_int_equal(nsh_origins_add_file(o, "b"), 0);
    b1 = nsh_origins_at(o, 1);
    assert_int_equal(nsh_origins_add_file(o, "empty"), 0);
    assert_int_equal(nsh_origins_add_file(o, "c"), 0);
    c5 = nsh_origins_at(o, 5);
    assert_place(o, a1, "a", 1);
    assert_place(o, a9, "a", 9);
    assert_place(o, b1, "b", 1);
    assert_place(o, c5, "c", 5);
    assert_place(o, NSH_ORIGIN_NONE, NULL, 0);
    assert_int_equal(nsh_origins_at(o, 0), NSH_ORIGIN_NONE);
    /* The numbers come to an end. */
    assert_int_equal(nsh_origins_at(o, UINT32_MAX), NSH_ORIGIN_NONE);
    assert_place(o, nsh_origins_at(o, UINT32_MAX - c5), "c", UINT32_MAX - c5);
    assert_int_equal(nsh_origins_add_file(o, "d"), 0);
    assert_int_equal(nsh_origins_at(o, 4096), NSH_ORIGIN_NONE);
    nsh_origins_free(o);
    nsh_origins_free(NULL);
}

static void test_origins_end(void **state)
{
    struct nsh_origins *o = nsh_origins_new();
    nsh_origin last;

    (void)state;
    assert_int_equal(nsh_origins_add_file(o, "a"), 0);
    last = nsh_origins_at(o, UINT32_MAX);
    assert_int_equal(last, UINT32_MAX);
    assert_place(o, last, "a", UINT32_MAX);
    assert_int_equal(nsh_origins_add_file(o, "b"), -E2BIG);
    assert_place(o, last, "a", UINT32_MAX);
    nsh_origins_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_alloc),
            cmocka_unit_test(test_intern),
            cmocka_unit_test(test_origins),
            cmocka_unit_test(test_origins_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cleanup.h"
#include "older-words.h"

void replace_all(char *text, size_t size, const char *word, const char *by)
{
    size_t length = strlen(word), by_length = strlen(by), rest;

    for (char *at = text; (at = strstr(at, word)); at += by_length) {
        rest = strlen(at + length) + 1;
        assert_true((size_t)(at - text) + by_length + rest <= size);
        memmove(at + by_length, at + length, rest);
        mempcpy(at, by, by_length);
    }
}

void older_words(char *text, size_t size)
{
    static const char *const words[][2] = {
            /* iptables 1.8.11 has names for the most used protocols alone. */
            {" -p 47 ", " -p gre "},
            /* nft 1.1.3 has names for priorities in more hooks. */
            {"hook input priority srcnat;", "hook input priority 100;"},
            {"hook input priority srcnat + 1;", "hook input priority 101;"},
            {"hook input priority srcnat - 1;", "hook input priority 99;"},
            {"hook output priority dstnat;", "hook output priority -100;"},
            {"hook output priority dstnat + 1;", "hook output priority -99;"},
            {"hook output priority dstnat - 1;", "hook output priority -101;"},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        replace_all(text, size, words[i][0], words[i][1]);
}

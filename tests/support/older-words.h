/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What versions of iptables and nft say differently and mean the same: tests compare it in one
 * set of words, those of iptables 1.8.9 and nft 1.0.6.
 */
#pragma once

#include <stddef.h>

/* Puts the words of newer versions back. The text may grow. */
void older_words(char *text, size_t size);
void replace_all(char *text, size_t size, const char *word, const char *by);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <jansson.h>

/*
 * Names of files, devices and chains are anybody's bytes, and JSON holds UTF-8: what is none
 * becomes U+FFFD. The string; NULL: no memory, or there is no text.
 */
json_t *nsh_text_json(const char *text);
/* Left out when there is none. */
void nsh_text_put(json_t *object, const char *key, const char *text);

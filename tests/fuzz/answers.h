/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel whose answers are the input. What is sent to it is thrown away; what is received are the
 * input's netlink messages up to the end of an answer (NLMSG_DONE, NLMSG_ERROR), then those up to
 * the next one, and at last an empty answer. It stands in for the calls by which netshared sends
 * and receives (answers_wrap in meson.build); libnl and libmnl only open sockets.
 */
#pragma once

#include "fuzz.h"

void fuzz_answers(const struct fuzz_input *in);

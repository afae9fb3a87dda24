/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope-bound cleanup, the one gnu extension used throughout.
 *
 * A destructor given to NSH_DEFINE_CLEANUP takes NULL and half-built objects, so that a variable
 * can be declared with its cleanup before it is filled, and NSH_TAKE_PTR hands it on.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NSH_CLEANUP(f) __attribute__((cleanup(f)))

/* Defines `func##p`, which calls func on the pointed-to value: NSH_CLEANUP(nsh_config_freep). */
#define NSH_DEFINE_CLEANUP(type, func)                          \
    static inline __attribute__((unused)) void func##p(type *p) \
    {                                                           \
        if (*p)                                                 \
            func(*p);                                           \
    }

/* The value of a pointer, which is left NULL: ownership moves to the receiver. */
#define NSH_TAKE_PTR(p)             \
    __extension__({                 \
        __typeof__(p) taken_ = (p); \
        (p) = NULL;                 \
        taken_;                     \
    })

/* The same for a file descriptor, left -1. */
#define NSH_TAKE_FD(fd)    \
    __extension__({        \
        int taken_ = (fd); \
        (fd) = -1;         \
        taken_;            \
    })

#define NSH_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void nsh_freep(void *p)
{
    free(*(void **)p);
}

static inline void nsh_closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

NSH_DEFINE_CLEANUP(FILE *, fclose)
NSH_DEFINE_CLEANUP(DIR *, closedir)

#define nsh_autofree NSH_CLEANUP(nsh_freep)
#define nsh_autoclose NSH_CLEANUP(nsh_closep)

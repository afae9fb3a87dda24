/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "answers.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

/* Smaller buffers stand on a stack, where a mark would outlive them. */
#define BUFFER_MARKED 49152
/* Who still waits then waits for ever. */
#define EMPTY_MAX 64

static struct fuzz_input left;
static uint32_t seq; /* of the last request */
static unsigned int empty;
static uint8_t *marked; /* behind the bytes of the last answer */
static size_t n_marked;

static void unmark(void)
{
    if (marked)
        ASAN_UNPOISON_MEMORY_REGION(marked, n_marked);
    marked = NULL;
}

void fuzz_answers(const struct fuzz_input *in)
{
    unmark();
    left = *in;
    empty = 0;
}

/* As many whole messages as one receive gives. */
static size_t measure(void)
{
    size_t at = 0;

    while (left.size - at >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr h;

        memcpy(&h, left.data + at, sizeof(h));
        if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > left.size - at)
            return left.size;
        at += NLMSG_ALIGN(h.nlmsg_len) < left.size - at ? NLMSG_ALIGN(h.nlmsg_len) : left.size - at;
        if (h.nlmsg_type == NLMSG_DONE || h.nlmsg_type == NLMSG_ERROR)
            return at;
    }
    return left.size;
}

/*
 * They answer the request, whatever it was. Of a length beyond 2 GiB, which no receive has, libmnl
 * makes a negative one, and goes on for ever.
 */
static void set_seq(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; size - at >= sizeof(struct nlmsghdr);) {
        struct nlmsghdr h;

        memcpy(&h, bytes + at, sizeof(h));
        h.nlmsg_seq = seq;
        if (h.nlmsg_len > INT32_MAX)
            h.nlmsg_len = (uint32_t)(size - at);
        memcpy(bytes + at, &h, sizeof(h));
        if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > size - at ||
                NLMSG_ALIGN(h.nlmsg_len) > size - at)
            return;
        at += NLMSG_ALIGN(h.nlmsg_len);
    }
}

static ssize_t put_empty(void *buf, size_t size)
{
    const struct {
        struct nlmsghdr h;
        int error;
    } done = {.h = {.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE, .nlmsg_seq = seq}};

    FUZZ_MUST(size >= sizeof(done));
    memcpy(buf, &done, sizeof(done));
    return sizeof(done);
}

static ssize_t receive(void *buf, size_t size, int flags)
{
    size_t n = measure();

    unmark();
    if (n == 0) {
        if (!(flags & MSG_DONTWAIT) && empty++ < EMPTY_MAX)
            return put_empty(buf, size);
        errno = EAGAIN;
        return -1;
    }
    n = n < size ? n : size;
    memcpy(buf, left.data, n);
    left.data += n;
    left.size -= n;
    set_seq(buf, n);
    if (size >= BUFFER_MARKED) {
        /*
         * libmnl reads up to where the next message would begin; the buffers have room for that.
         * And one byte behind what was received may be written, which ends a text.
         */
        size_t used = NLMSG_ALIGN(n) > n ? NLMSG_ALIGN(n) : n + 1;

        if (n < size)
            ((uint8_t *)buf)[n] = 0xff;
        marked = (uint8_t *)buf + used;
        n_marked = used < size ? size - used : 0;
        ASAN_POISON_MEMORY_REGION(marked, n_marked);
    }
    return (ssize_t)n;
}

/* ---- in place of the C library's and libmnl's ---- */

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap_sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *to,
        socklen_t to_size);
ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *s, const void *buf, size_t size);
bool __wrap_nsh_nft_in_use(void);

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    (void)fd;
    FUZZ_MUST(m->msg_namelen == sizeof(kernel));
    memcpy(m->msg_name, &kernel, sizeof(kernel));
    m->msg_flags = 0;
    return receive(m->msg_iov[0].iov_base, m->msg_iov[0].iov_len, flags);
}

ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
    (void)fd;
    return receive(buf, size, flags);
}

ssize_t __wrap_sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *to,
        socklen_t to_size)
{
    struct nlmsghdr h;

    (void)fd;
    (void)flags;
    (void)to;
    (void)to_size;
    FUZZ_MUST(size >= sizeof(h));
    memcpy(&h, buf, sizeof(h));
    seq = h.nlmsg_seq;
    return (ssize_t)size;
}

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *s, const void *buf, size_t size)
{
    (void)s;
    return __wrap_sendto(-1, buf, size, 0, NULL, 0);
}

bool __wrap_nsh_nft_in_use(void)
{
    return true;
}

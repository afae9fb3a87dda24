/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is listened to on a netlink socket. The kernel needs to be asked for nothing here but that it
 * answers; the protocol for users carries what others say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

#define SEQ 7

static const char text[] = "what others say";
static int fd, other;

static int open_socket(int protocol)
{
    const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    int new = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

    assert_true(new >= 0);
    assert_int_equal(bind(new, (const struct sockaddr *)&any, sizeof any), 0);
    return new;
}

static void open_both(int protocol)
{
    fd = open_socket(protocol);
    other = open_socket(protocol);
}

static int close_both(void **state)
{
    (void)state;
    close(fd);
    close(other);
    return 0;
}

static struct sockaddr_nl address_of(int of)
{
    struct sockaddr_nl address = {0};
    socklen_t size = sizeof address;

    assert_int_equal(getsockname(of, (struct sockaddr *)&address, &size), 0);
    return address;
}

static ssize_t send_to(const void *data, size_t size)
{
    const struct sockaddr_nl to = address_of(fd);

    return sendto(other, data, size, 0, (const struct sockaddr *)&to, sizeof to);
}

/* Nothing, which the kernel says it has done. */
static void ask_kernel(uint32_t seq)
{
    const struct nlmsghdr h = {.nlmsg_len = sizeof h,
            .nlmsg_type = NLMSG_NOOP,
            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
            .nlmsg_seq = seq};

    assert_int_equal(send(fd, &h, sizeof h, 0), sizeof h);
}

static void test_others_are_passed_over(void **state)
{
    char buf[64];

    (void)state;
    open_both(NETLINK_USERSOCK);
    assert_int_equal(send_to(text, sizeof text), sizeof text);
    assert_int_equal(send_to(text, sizeof text), sizeof text);
    assert_int_equal(nsh_netlink_receive(fd, buf, sizeof buf, MSG_DONTWAIT), 0);
    /* It is no loss either when it did not fit. */
    assert_int_equal(nsh_netlink_receive(fd, buf, 4, MSG_DONTWAIT), 0);
    assert_int_equal(nsh_netlink_receive(fd, buf, sizeof buf, MSG_DONTWAIT), -EAGAIN);
}

static void test_the_kernel_is_heard(void **state)
{
    const ssize_t size = NLMSG_SPACE(sizeof(struct nlmsgerr));
    char buf[256];

    (void)state;
    open_both(NETLINK_ROUTE);
    for (uint32_t i = 0; i < 3; i++)
        ask_kernel(i);
    assert_int_equal(nsh_netlink_receive(fd, buf, sizeof buf, MSG_DONTWAIT), size);
    /* What did not fit is told as such, once; the next one is whole. */
    assert_int_equal(nsh_netlink_receive(fd, buf, (size_t)size - 1, MSG_DONTWAIT), -EMSGSIZE);
    assert_int_equal(nsh_netlink_receive(fd, buf, sizeof buf, MSG_DONTWAIT), size);
    assert_int_equal(nsh_netlink_receive(fd, buf, sizeof buf, MSG_DONTWAIT), -EAGAIN);
}

static void test_an_answer_is_the_kernels(void **state)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
    } forged = {.header = {.nlmsg_len = sizeof forged, .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = SEQ},
            .error = {.error = -EIO}},
      answer;

    (void)state;
    open_both(NETLINK_ROUTE);
    if (send_to(&forged, sizeof forged) < 0) {
        assert_int_equal(errno, EPERM);
        print_message("# skipped: only root can send to the sockets of others\n");
        return;
    }
    ask_kernel(SEQ - 1);
    ask_kernel(SEQ);
    assert_int_equal(nsh_netlink_answer(fd, &answer, sizeof answer, SEQ), sizeof answer);
    assert_int_equal(answer.header.nlmsg_seq, SEQ);
    assert_int_equal(answer.error.error, 0);
}

static void test_connected(void **state)
{
    char buf[64];

    (void)state;
    open_both(NETLINK_USERSOCK);
    assert_int_equal(nsh_netlink_connect(fd), 0);
    assert_int_equal(send_to(text, sizeof text), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(nsh_netlink_receive(fd, buf, sizeof buf, MSG_DONTWAIT), -EAGAIN);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(test_others_are_passed_over, close_both),
            cmocka_unit_test_teardown(test_the_kernel_is_heard, close_both),
            cmocka_unit_test_teardown(test_an_answer_is_the_kernels, close_both),
            cmocka_unit_test_teardown(test_connected, close_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel and libyaml alone take for the work that scale.py gives to netshared: the floor
 * that is measured beside it. Plain sockets, so that nothing of netshared's own code is in it.
 *
 *     raw add FIRST COUNT GATEWAY PROTO    adds COUNT /24 routes from FIRST on, in batches
 *     raw delete FIRST COUNT PROTO         deletes them
 *     raw dump PROTO                       a strict dump; prints the number of routes, too
 *     raw parse FILE                       libyaml's parser and nothing behind it
 *     raw touch PREFIX GATEWAY PROTO TIMES PAUSE-MS
 *                                          adds one route and deletes it: the milliseconds of each
 *                                          addition, one a line
 *     raw repair FIRST COUNT PROTO TIMES PAUSE-MS
 *                                          deletes one at a time, each another one, and waits
 *                                          until it is back: the milliseconds of each, one a line
 *
 * All but the last two print seconds of the clock, and seconds of the processor; and those that
 * write, the longest time that the kernel took for one batch.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <yaml.h>

#define BATCH 256U
#define LENGTH 24 /* of the prefixes */
#define STEP (1U << (32 - LENGTH))
#define PATIENCE 30.0 /* seconds that a repair may take */

struct request {
    struct nlmsghdr header;
    struct rtmsg route;
    unsigned char attributes[32];
};

static uint8_t answers[1U << 16];
static uint32_t sequence;
static double longest; /* of a batch */

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double processor(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_socket(void)
{
    struct sockaddr_nl name = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
        die("netlink");
    return fd;
}

static void put(struct request *r, uint16_t type, uint32_t value)
{
    struct rtattr a = {.rta_len = RTA_LENGTH(sizeof(value)), .rta_type = type};
    unsigned char *at = (unsigned char *)r + NLMSG_ALIGN(r->header.nlmsg_len);

    memcpy(at, &a, sizeof(a));
    memcpy(at + RTA_LENGTH(0), &value, sizeof(value));
    r->header.nlmsg_len = NLMSG_ALIGN(r->header.nlmsg_len) + RTA_LENGTH(sizeof(value));
}

/* `dst` in the host's order, `gateway` in that of the network; 0: none. */
static struct request request_for(
        uint16_t type, uint16_t flags, uint32_t dst, uint32_t gateway, uint8_t protocol)
{
    struct request r = {
            .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                    .nlmsg_type = type,
                    .nlmsg_flags = NLM_F_REQUEST | flags,
                    .nlmsg_seq = ++sequence},
            .route = {.rtm_family = AF_INET,
                    .rtm_dst_len = LENGTH,
                    .rtm_table = RT_TABLE_MAIN,
                    .rtm_protocol = protocol,
                    .rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE,
                    .rtm_type = type == RTM_DELROUTE ? RTN_UNSPEC : RTN_UNICAST},
    };

    put(&r, RTA_DST, htonl(dst));
    if (gateway != 0)
        put(&r, RTA_GATEWAY, gateway);
    return r;
}

/* Reads until the acknowledgement with this number; the first error of any message, or 0. */
static int wait_answer(int fd, uint32_t number)
{
    int error = 0;

    for (;;) {
        ssize_t n = recv(fd, answers, sizeof(answers), 0);
        struct nlmsghdr *h = (struct nlmsghdr *)(void *)answers;
        uint32_t left = n < 0 ? 0 : (uint32_t)n;

        if (n < 0)
            die("recv");
        for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            const struct nlmsgerr *e = NLMSG_DATA(h);

            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            if (e->error != 0 && error == 0)
                error = e->error;
            if (h->nlmsg_seq == number)
                return error;
        }
    }
}

static void change(uint16_t type, uint32_t first, uint32_t count, uint32_t gateway, uint8_t proto)
{
    uint16_t flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
    static uint8_t batch[BATCH * sizeof(struct request)];
    int fd = open_socket();

    for (uint32_t i = 0; i < count;) {
        size_t bytes = 0;
        double begun, took;
        int error;

        for (uint32_t n = 0; n < BATCH && i < count; n++, i++) {
            bool last = n + 1 == BATCH || i + 1 == count;
            struct request r = request_for(
                    type, flags | (last ? NLM_F_ACK : 0), first + i * STEP, gateway, proto);

            memcpy(batch + bytes, &r, r.header.nlmsg_len);
            bytes += NLMSG_ALIGN(r.header.nlmsg_len);
        }
        begun = seconds(CLOCK_MONOTONIC);
        if (send(fd, batch, bytes, 0) != (ssize_t)bytes)
            die("send");
        error = wait_answer(fd, sequence);
        took = seconds(CLOCK_MONOTONIC) - begun;
        if (took > longest)
            longest = took;
        if (error != 0) {
            fprintf(stderr, "route %u: %s\n", i, strerror(-error));
            exit(1);
        }
    }
    close(fd);
}

static size_t dump(uint8_t protocol)
{
    struct request r = {
            .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                    .nlmsg_type = RTM_GETROUTE,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                    .nlmsg_seq = ++sequence},
            .route = {.rtm_family = AF_INET, .rtm_protocol = protocol},
    };
    int fd = open_socket(), on = 1;
    size_t count = 0;

    if (setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0 ||
            send(fd, &r, r.header.nlmsg_len, 0) < 0)
        die("dump");
    for (;;) {
        ssize_t n = recv(fd, answers, sizeof(answers), 0);
        struct nlmsghdr *h = (struct nlmsghdr *)(void *)answers;
        uint32_t left = n < 0 ? 0 : (uint32_t)n;

        if (n < 0)
            die("recv");
        for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
                close(fd);
                return count;
            }
            count++;
        }
    }
}

static void parse(const char *path)
{
    yaml_parser_t parser;
    yaml_event_t event;
    FILE *file = fopen(path, "rb");
    bool end = false;

    if (!file || !yaml_parser_initialize(&parser))
        die(path);
    yaml_parser_set_input_file(&parser, file);
    while (!end) {
        if (!yaml_parser_parse(&parser, &event)) {
            fprintf(stderr, "%s: %s\n", path, parser.problem);
            exit(1);
        }
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    fclose(file);
}

/* Whether the very route, not a wider one, is there now. */
static bool stands(int fd, uint32_t dst, uint8_t protocol)
{
    struct request r = {
            .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                    .nlmsg_type = RTM_GETROUTE,
                    .nlmsg_flags = NLM_F_REQUEST,
                    .nlmsg_seq = ++sequence},
            .route = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_flags = RTM_F_FIB_MATCH},
    };
    const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answers;
    const struct rtmsg *found = NLMSG_DATA(h);

    put(&r, RTA_DST, htonl(dst + 1));
    if (send(fd, &r, r.header.nlmsg_len, 0) < 0 || recv(fd, answers, sizeof(answers), 0) < 0)
        die("lookup");
    return h->nlmsg_type == RTM_NEWROUTE && found->rtm_dst_len == LENGTH &&
           found->rtm_protocol == protocol;
}

static void repair(uint32_t first, uint32_t count, uint8_t protocol, unsigned times, unsigned pause)
{
    int fd = open_socket();

    prctl(PR_SET_TIMERSLACK, 1UL);
    for (unsigned i = 0; i < times; i++) {
        /* All over the table, and none twice. */
        uint32_t dst = first + (uint32_t)(((uint64_t)i * count + count / 2) / times) * STEP;
        struct request r = request_for(RTM_DELROUTE, NLM_F_ACK, dst, 0, protocol);
        double begun;
        int error;

        usleep(pause * 1000);
        if (send(fd, &r, r.header.nlmsg_len, 0) < 0)
            die("send");
        error = wait_answer(fd, r.header.nlmsg_seq);
        begun = seconds(CLOCK_MONOTONIC);
        if (error == -ESRCH)
            continue; /* not written yet */
        while (!stands(fd, dst, protocol)) {
            if (seconds(CLOCK_MONOTONIC) - begun > PATIENCE) {
                fprintf(stderr, "not repaired\n");
                exit(1);
            }
            usleep(10); /* both want the kernel's one lock for routes */
        }
        printf("%.4f\n", (seconds(CLOCK_MONOTONIC) - begun) * 1e3);
        fflush(stdout);
    }
    close(fd);
}

/* What the kernel lets one more writer wait, whatever else is going on. */
static void touch(uint32_t dst, uint32_t gateway, uint8_t protocol, unsigned times, unsigned pause)
{
    int fd = open_socket();

    for (unsigned i = 0; i < times; i++) {
        struct request r = request_for(
                RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, dst, gateway, protocol);
        double begun = seconds(CLOCK_MONOTONIC);

        if (send(fd, &r, r.header.nlmsg_len, 0) < 0 || wait_answer(fd, r.header.nlmsg_seq) != 0)
            die("add");
        printf("%.4f\n", (seconds(CLOCK_MONOTONIC) - begun) * 1e3);
        r = request_for(RTM_DELROUTE, NLM_F_ACK, dst, 0, protocol);
        if (send(fd, &r, r.header.nlmsg_len, 0) < 0 || wait_answer(fd, r.header.nlmsg_seq) != 0)
            die("delete");
        usleep(pause * 1000);
    }
    close(fd);
}

static uint32_t address(const char *text)
{
    struct in_addr a;

    if (inet_pton(AF_INET, text, &a) != 1)
        die(text);
    return a.s_addr;
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    double begun = seconds(CLOCK_MONOTONIC);

    if (strcmp(what, "add") == 0 && argc == 6)
        change(RTM_NEWROUTE, ntohl(address(argv[2])), number(argv[3]), address(argv[4]),
                (uint8_t)number(argv[5]));
    else if (strcmp(what, "delete") == 0 && argc == 5)
        change(RTM_DELROUTE, ntohl(address(argv[2])), number(argv[3]), 0, (uint8_t)number(argv[4]));
    else if (strcmp(what, "dump") == 0 && argc == 3)
        printf("%zu ", dump((uint8_t)number(argv[2])));
    else if (strcmp(what, "parse") == 0 && argc == 3)
        parse(argv[2]);
    else if (strcmp(what, "touch") == 0 && argc == 7) {
        touch(ntohl(address(argv[2])), address(argv[3]), (uint8_t)number(argv[4]), number(argv[5]),
                number(argv[6]));
        return 0;
    } else if (strcmp(what, "repair") == 0 && argc == 7) {
        repair(ntohl(address(argv[2])), number(argv[3]), (uint8_t)number(argv[4]), number(argv[5]),
                number(argv[6]));
        return 0;
    } else {
        fprintf(stderr, "see the top of raw.c\n");
        return 2;
    }
    printf("%.4f %.4f %.4f\n", seconds(CLOCK_MONOTONIC) - begun, processor(), longest);
    return 0;
}

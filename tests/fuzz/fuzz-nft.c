/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of nf_tables, rules of others among it: the first byte says what it is
 * asked, the rest are its answers.
 */
#include "answers.h"

#include <dlfcn.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firewall.h"

/* ---- where libnftnl gives up ---- */

/*
 * An attribute of another size than it knows makes libnftnl end the process: "nf_tables kernel ABI
 * is broken, contact your vendor". No kernel sends one, but inputs do, and are given up there; what
 * was under way then is lost memory.
 */
void exit(int code) __attribute__((noreturn, visibility("default")));
const char *__asan_default_options(void) __attribute__((visibility("default")));

static jmp_buf giving_up;
static bool can_give_up;

void exit(int code)
{
    void (*real)(int) = NULL;

    if (can_give_up)
        longjmp(giving_up, 1);
    *(void **)&real = dlsym(RTLD_NEXT, "exit");
    real(code);
    abort();
}

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* ---- what is asked about ---- */

static const struct nsh_packet_rule accepts = {
        .in = "eth1", .out = "eth0", .action = NSH_PACKET_ACCEPT};
static const struct nsh_chain chain = {.family = AF_INET,
        .table = NSH_TABLE_FILTER,
        .kind = NSH_POLICY_SHARE,
        .name = "NETSHARED-home",
        .policy = "home",
        .hook = "FORWARD",
        .rules = &accepts,
        .n_rules = 1};
static const struct nsh_forward_path path = {.in = "eth1", .out = "eth0", .protocol = 6};

static int see_chain(void *userdata, const struct nsh_chain_seen *seen)
{
    char text[NSH_PACKET_RULE_TEXT];

    (void)userdata;
    for (size_t i = 0; i < seen->n_rules; i++)
        (void)nsh_packet_rule_format(&seen->rules[i], text, sizeof(text));
    FUZZ_MUST(!seen->builtin || seen->first_foreign <= seen->n_total);
    return 0;
}

static int see_set(void *userdata, const char *name)
{
    (void)userdata;
    FUZZ_MUST(strlen(name) < NSH_SET_NAME);
    return 0;
}

static int see_element(void *userdata, const struct nsh_prefix *element)
{
    (void)userdata;
    FUZZ_MUST(element->length <= nsh_addr_bits(element->family));
    return 0;
}

static int see_foreign(void *userdata, const struct nsh_foreign_rule *rule)
{
    (void)userdata;
    FUZZ_MUST(strnlen(rule->text, sizeof(rule->text)) < sizeof(rule->text));
    FUZZ_MUST(strnlen(rule->why, sizeof(rule->why)) < sizeof(rule->why));
    (void)nsh_foreign_owner(rule);
    return 0;
}

static void see_guest(void *userdata, const struct nsh_guest_seen *seen)
{
    (void)userdata;
    FUZZ_MUST(strlen(seen->where) < NSH_GUEST_WHERE);
}

/* ---- the questions ---- */

static void look(struct nsh_firewall *fw, int family)
{
    for (int t = 0; t < NSH_TABLE_COUNT; t++)
        (void)fw->ops->observe(fw, family, (enum nsh_table)t, see_chain, NULL);
}

static void look_at_sets(struct nsh_firewall *fw, int family)
{
    (void)fw->ops->sets(fw, family, see_set, NULL);
    (void)fw->ops->set_read(fw, family, "netshared-a", see_element, NULL);
}

static void look_at_others(struct nsh_firewall *fw, int family)
{
    (void)fw->ops->foreign(fw, family, see_foreign, NULL);
}

static void look_ahead(struct nsh_firewall *fw, int family)
{
    static struct nsh_ahead_seen seen[NSH_AHEAD_MAX];
    int n = fw->ops->ahead(fw, family, NSH_TABLE_NAT, "POSTROUTING", seen);

    FUZZ_MUST(n <= (int)NSH_AHEAD_MAX);
    for (int i = 0; i < n; i++)
        FUZZ_MUST(strnlen(seen[i].text, sizeof(seen[i].text)) < sizeof(seen[i].text));
}

static void pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode)
{
    struct nsh_passage passage = {.chain = &chain, .paths = &path, .n_paths = 1};

    (void)fw->ops->pass(fw, mode, true, &passage, 1, see_guest, NULL);
}

static void look_at_passages(struct nsh_firewall *fw, int family)
{
    (void)family;
    pass(fw, NSH_FIREWALL_READ);
}

static void make_passages(struct nsh_firewall *fw, int family)
{
    (void)family;
    pass(fw, NSH_FIREWALL_WRITE);
}

static void look_at_drops(struct nsh_firewall *fw, int family)
{
    struct nsh_forward_drop drop;

    (void)fw->ops->drops(fw, family, &path, &path, &drop);
}

static void look_for_others(struct nsh_firewall *fw, int family)
{
    (void)family;
    (void)fw->ops->others_translate(fw);
}

static void take_events(struct nsh_firewall *fw, int family)
{
    struct nsh_firewall_culprit culprit;

    if (fw->ops->hint_fd(fw) < 0)
        return;
    fw->ops->hint_take(fw);
    (void)fw->ops->changed(fw, family, NSH_TABLE_NAT);
    (void)fw->ops->set_changed(fw, family, "netshared-a");
    (void)fw->ops->culprit(fw, &culprit);
}

/* Both are asked of one kernel: what it says to the look is what is written to. */
static void write_some(struct nsh_firewall *fw, int family)
{
    const struct nsh_firewall_op op = {.verb = NSH_CHAIN_ADD,
            .family = (uint8_t)family,
            .table = NSH_TABLE_FILTER,
            .chain = "NETSHARED-home",
            .want = &chain};
    char why[256];

    (void)fw->ops->commit(fw, family, NSH_TABLE_FILTER, &op, 1, why, sizeof(why));
}

struct question {
    void (*ask)(struct nsh_firewall *fw, int family);
    enum nsh_firewall_mode mode;
};

static void ask(const struct question *q, int family)
{
    struct nsh_firewall *fw = NULL;

    FUZZ_MUST(nsh_firewall_nft_new(&fw) == 0);
    if (fw->ops->open(fw, q->mode) == NSH_FIREWALL_OK) {
        q->ask(fw, family);
        fw->ops->close(fw);
    }
    nsh_firewall_free(fw);
}

#define SOCKETS_MAX 64 /* fewer are open at a time */

/* What was open when it was given up: a million inputs would use up the descriptors. */
static void close_sockets(int first)
{
    int domain;

    for (int fd = first; fd < first + SOCKETS_MAX; fd++) {
        socklen_t size = sizeof(domain);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK)
            close(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct question questions[] = {
            {look, NSH_FIREWALL_READ},
            {look_at_sets, NSH_FIREWALL_READ},
            {look_at_others, NSH_FIREWALL_READ},
            {look_ahead, NSH_FIREWALL_READ},
            {look_at_passages, NSH_FIREWALL_READ},
            {look_at_drops, NSH_FIREWALL_READ},
            {look_for_others, NSH_FIREWALL_READ},
            {take_events, NSH_FIREWALL_READ},
            {write_some, NSH_FIREWALL_WRITE},
            {make_passages, NSH_FIREWALL_WRITE},
    };
    struct fuzz_input in = {data, size};
    uint8_t first = fuzz_byte(&in), which = (first & 0x7fU) % NSH_ARRAY_SIZE(questions);
    int lowest = dup(STDERR_FILENO);

    close(lowest);
    fuzz_answers(&in);
    can_give_up = true;
    if (setjmp(giving_up) == 0)
        ask(&questions[which], first & 0x80U ? AF_INET6 : AF_INET);
    else
        close_sockets(lowest);
    can_give_up = false;
    in.size = 0;
    fuzz_answers(&in);
    return 0;
}

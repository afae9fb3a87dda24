/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ipset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <string.h>
#include <time.h>

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/ipset/ip_set_hash.h>
#include <linux/netfilter/nfnetlink.h>

#include "cleanup.h"
#include "netlink.h"
#include "newer.h"

#define TYPE "hash:net"
/* One message with elements: the length of an attribute has 16 bits. */
#define MESSAGE_MAX (60U << 10)
#define MESSAGE_BUFFER (64U << 10)
/* An error may bring its whole message back. */
#define ANSWER_BUFFER (128U << 10)
#define ELEMENT_MAX 64U
/* A limit and no cost: memory is taken for what is there. */
#define MAXIMUM (1U << 24)
#define HASH_MIN 64U
/* ip_set's own errors begin at 4096 (linux/netfilter/ipset/ip_set.h); beyond these are none. */
#define ERROR_MAX 0xffff

void nsh_ipset_init(struct nsh_ipset *s)
{
    *s = (struct nsh_ipset){0};
}

void nsh_ipset_done(struct nsh_ipset *s)
{
    if (s->socket)
        mnl_socket_close(s->socket);
    nsh_ipset_init(s);
}

/* ---- talking to the kernel ---- */

struct talk {
    struct nsh_ipset *set;
    struct nlmsghdr *request;
    uint8_t *answer;
    mnl_cb_t seen;
    void *userdata;
};

static void talk_done(struct talk *t)
{
    free(t->request);
    free(t->answer);
}

static int open_socket(struct nsh_ipset *s)
{
    int on = 1, r;

    if (s->socket)
        return 0;
    s->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (!s->socket)
        return -errno;
    r = mnl_socket_bind(s->socket, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
    if (r == 0)
        r = nsh_netlink_connect(mnl_socket_get_fd(s->socket));
    if (r < 0) {
        nsh_ipset_done(s);
        return r;
    }
    (void)mnl_socket_setsockopt(s->socket, NETLINK_CAP_ACK, &on, sizeof on);
    return 0;
}

static void begin_message(struct talk *t, enum ipset_cmd command, uint16_t flags, int family)
{
    struct nfgenmsg *g;

    t->request = mnl_nlmsg_put_header(t->request);
    t->request->nlmsg_type = (uint16_t)(NFNL_SUBSYS_IPSET << 8 | command);
    t->request->nlmsg_flags = NLM_F_REQUEST | flags;
    t->request->nlmsg_seq = ++t->set->seq;
    g = mnl_nlmsg_put_extra_header(t->request, sizeof *g);
    g->nfgen_family = (uint8_t)family;
    g->version = NFNETLINK_V0;
    mnl_attr_put_u8(t->request, IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL);
}

static int begin(
        struct talk *t, struct nsh_ipset *s, enum ipset_cmd command, uint16_t flags, int family)
{
    int r = open_socket(s);

    if (r < 0)
        return r;
    *t = (struct talk){
            .set = s, .request = malloc(MESSAGE_BUFFER), .answer = malloc(ANSWER_BUFFER)};
    if (!t->request || !t->answer)
        return -ENOMEM;
    begin_message(t, command, flags, family);
    return 0;
}

/* Errors of ip_set's own come as they are: libmnl only turns their sign. */
static int transact(struct talk *t)
{
    unsigned int port = mnl_socket_get_portid(t->set->socket);
    int fd = mnl_socket_get_fd(t->set->socket);
    ssize_t n;
    int r;

    if (mnl_socket_sendto(t->set->socket, t->request, t->request->nlmsg_len) < 0)
        return -errno;
    do {
        n = nsh_netlink_answer(fd, t->answer, ANSWER_BUFFER, t->set->seq);
        if (n < 0)
            return (int)n;
        r = mnl_cb_run(t->answer, (size_t)n, t->set->seq, port, t->seen, t->userdata);
    } while (r > 0);
    if (r >= 0)
        return 0;
    return errno > 0 && errno <= ERROR_MAX ? -errno : -EPROTO;
}

/* A command about one or two sets. */
static int command(struct nsh_ipset *s, enum ipset_cmd what, const char *name, const char *other)
{
    NSH_CLEANUP(talk_done) struct talk t = {0};
    int r = begin(&t, s, what, NLM_F_ACK, AF_UNSPEC);

    if (r < 0)
        return r;
    mnl_attr_put_strz(t.request, IPSET_ATTR_SETNAME, name);
    if (other)
        mnl_attr_put_strz(t.request, IPSET_ATTR_SETNAME2, other);
    return transact(&t);
}

int nsh_ipset_swap(struct nsh_ipset *s, const char *name, const char *other)
{
    return command(s, IPSET_CMD_SWAP, name, other);
}

int nsh_ipset_destroy(struct nsh_ipset *s, const char *name)
{
    int r = command(s, IPSET_CMD_DESTROY, name, NULL);

    return r == -ENOENT ? 0 : r; /* Linux 5.10 says so whatever the flags */
}

/* ---- looking ---- */

struct look {
    int rc; /* of the caller's function; what comes after is thrown away */
    nsh_ipset_header_seen *header;
    nsh_ipset_element_seen *element;
    void *userdata;
    uint8_t family;
};

#define ATTRS_MAX 64

/* Attributes by their type, those beyond the known left out. */
static void sort_attrs(const struct nlattr *nest, const struct nlattr *attrs[static ATTRS_MAX])
{
    const struct nlattr *a;

    for (size_t i = 0; i < ATTRS_MAX; i++)
        attrs[i] = NULL;
    mnl_attr_for_each_nested(a, nest)
    {
        if (mnl_attr_get_type(a) < ATTRS_MAX)
            attrs[mnl_attr_get_type(a)] = a;
    }
}

static uint32_t number(const struct nlattr *a)
{
    return a && mnl_attr_get_payload_len(a) == sizeof(uint32_t) ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static uint8_t byte(const struct nlattr *a)
{
    return mnl_attr_get_payload_len(a) >= 1 ? mnl_attr_get_u8(a) : 0;
}

static size_t length(const struct nlattr *text, size_t most)
{
    size_t size = mnl_attr_get_payload_len(text);

    return strnlen(mnl_attr_get_payload(text), size < most ? size : most);
}

static void get_data(const struct nlattr *data, struct nsh_ipset_header *h)
{
    const struct nlattr *a[ATTRS_MAX];

    sort_attrs(data, a);
    h->n_elements = number(a[IPSET_ATTR_ELEMENTS]);
    h->memory = number(a[IPSET_ATTR_MEMSIZE]);
    h->hash_size = number(a[IPSET_ATTR_HASHSIZE]);
    h->maximum = number(a[IPSET_ATTR_MAXELEM]);
    h->seed = number(a[NSH_IPSET_ATTR_INITVAL]);
    h->plain = h->plain && !a[IPSET_ATTR_TIMEOUT] && number(a[IPSET_ATTR_CADT_FLAGS]) == 0;
}

static int on_header(const struct nlmsghdr *n, void *userdata)
{
    struct look *l = userdata;
    struct nsh_ipset_header h = {0};
    const struct nlattr *a, *data = NULL;

    mnl_attr_for_each(a, n, sizeof(struct nfgenmsg))
    {
        uint16_t type = mnl_attr_get_type(a);

        if (type == IPSET_ATTR_SETNAME)
            memcpy(h.name, mnl_attr_get_payload(a), length(a, sizeof h.name - 1));
        else if (type == IPSET_ATTR_FAMILY)
            h.family = byte(a);
        else if (type == IPSET_ATTR_TYPENAME)
            h.plain = mnl_attr_get_payload_len(a) == sizeof TYPE &&
                      memcmp(mnl_attr_get_payload(a), TYPE, sizeof TYPE) == 0;
        else if (type == IPSET_ATTR_DATA)
            data = a;
    }
    if (data)
        get_data(data, &h);
    if (l->rc == 0 && h.name[0] != '\0')
        l->rc = l->header(l->userdata, &h);
    return MNL_CB_OK;
}

/* Of length 0 if it is not a prefix and nothing else. */
static struct nsh_prefix get_element(const struct nlattr *data)
{
    const struct nlattr *a[ATTRS_MAX], *ip[ATTRS_MAX], *address;
    struct nsh_prefix p = {0};

    sort_attrs(data, a);
    if (!a[IPSET_ATTR_IP] || a[IPSET_ATTR_CADT_FLAGS] || a[IPSET_ATTR_TIMEOUT])
        return p;
    sort_attrs(a[IPSET_ATTR_IP], ip);
    p.family = ip[IPSET_ATTR_IPADDR_IPV4] ? AF_INET : AF_INET6;
    address = ip[p.family == AF_INET ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6];
    if (!address || mnl_attr_get_payload_len(address) != nsh_addr_size(p.family))
        return (struct nsh_prefix){0};
    memcpy(p.addr.bytes, mnl_attr_get_payload(address), nsh_addr_size(p.family));
    p.length = a[IPSET_ATTR_CIDR] ? byte(a[IPSET_ATTR_CIDR]) : nsh_addr_bits(p.family);
    return p.length <= nsh_addr_bits(p.family) ? p : (struct nsh_prefix){0};
}

static int on_elements(const struct nlmsghdr *n, void *userdata)
{
    struct look *l = userdata;
    const struct nlattr *a, *data;

    mnl_attr_for_each(a, n, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(a) != IPSET_ATTR_ADT)
            continue;
        mnl_attr_for_each_nested(data, a)
        {
            struct nsh_prefix p = get_element(data);

            if (l->rc == 0)
                l->rc = l->element(l->userdata, &p);
        }
    }
    return MNL_CB_OK;
}

static int dump(
        struct nsh_ipset *s, const char *name, uint32_t flags, mnl_cb_t seen, struct look *l)
{
    NSH_CLEANUP(talk_done) struct talk t = {0};
    int r = begin(&t, s, IPSET_CMD_LIST, NLM_F_DUMP, AF_UNSPEC);

    if (r < 0)
        return r;
    t.seen = seen;
    t.userdata = l;
    if (name)
        mnl_attr_put_strz(t.request, IPSET_ATTR_SETNAME, name);
    if (flags)
        mnl_attr_put_u32(t.request, IPSET_ATTR_FLAGS, htonl(flags));
    r = transact(&t);
    return r < 0 ? r : l->rc;
}

int nsh_ipset_headers(
        struct nsh_ipset *s, const char *name, nsh_ipset_header_seen *seen, void *userdata)
{
    struct look l = {.header = seen, .userdata = userdata};

    return dump(s, name, IPSET_FLAG_LIST_HEADER, on_header, &l);
}

int nsh_ipset_elements(
        struct nsh_ipset *s, const char *name, nsh_ipset_element_seen *seen, void *userdata)
{
    struct look l = {.element = seen, .userdata = userdata};

    return dump(s, name, 0, on_elements, &l);
}

/* ---- writing ---- */

static int on_type(const struct nlmsghdr *n, void *userdata)
{
    struct nsh_ipset *s = userdata;
    const struct nlattr *a;

    mnl_attr_for_each(a, n, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(a) == IPSET_ATTR_REVISION)
            s->revision = byte(a);
    }
    return MNL_CB_STOP;
}

/* The latest revision of the type that the kernel has, as ipset itself uses. */
static int find_revision(struct nsh_ipset *s, int family)
{
    NSH_CLEANUP(talk_done) struct talk t = {0};
    int r;

    if (s->revision > 0)
        return 0;
    r = begin(&t, s, IPSET_CMD_TYPE, 0, family);
    if (r < 0)
        return r;
    t.seen = on_type;
    t.userdata = s;
    mnl_attr_put_strz(t.request, IPSET_ATTR_TYPENAME, TYPE);
    mnl_attr_put_u8(t.request, IPSET_ATTR_FAMILY, (uint8_t)family);
    return transact(&t);
}

static uint32_t hash_size(size_t n)
{
    uint32_t size = HASH_MIN;

    while (size < n && size < MAXIMUM)
        size *= 2;
    return size;
}

int nsh_ipset_create(struct nsh_ipset *s, int family, const char *name, size_t n)
{
    NSH_CLEANUP(talk_done) struct talk t = {0};
    struct nlattr *nest;
    int r = find_revision(s, family);

    if (r >= 0)
        r = begin(&t, s, IPSET_CMD_CREATE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, family);
    if (r < 0)
        return r;
    mnl_attr_put_strz(t.request, IPSET_ATTR_SETNAME, name);
    mnl_attr_put_strz(t.request, IPSET_ATTR_TYPENAME, TYPE);
    mnl_attr_put_u8(t.request, IPSET_ATTR_REVISION, s->revision);
    mnl_attr_put_u8(t.request, IPSET_ATTR_FAMILY, (uint8_t)family);
    nest = mnl_attr_nest_start(t.request, IPSET_ATTR_DATA);
    mnl_attr_put_u32(t.request, IPSET_ATTR_HASHSIZE | NLA_F_NET_BYTEORDER, htonl(hash_size(n)));
    mnl_attr_put_u32(t.request, IPSET_ATTR_MAXELEM | NLA_F_NET_BYTEORDER, htonl(MAXIMUM));
    mnl_attr_nest_end(t.request, nest);
    return transact(&t);
}

static void put_element(struct nlmsghdr *n, const struct nsh_prefix *p)
{
    struct nlattr *data = mnl_attr_nest_start(n, IPSET_ATTR_DATA);
    struct nlattr *ip = mnl_attr_nest_start(n, IPSET_ATTR_IP);

    mnl_attr_put(n,
            NLA_F_NET_BYTEORDER |
                    (p->family == AF_INET ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6),
            nsh_addr_size(p->family), p->addr.bytes);
    mnl_attr_nest_end(n, ip);
    mnl_attr_put_u8(n, IPSET_ATTR_CIDR, p->length);
    mnl_attr_nest_end(n, data);
}

/* As many elements as go into one message; how many, in `ret`. */
static int write_some(struct talk *t, enum ipset_cmd what, const char *name,
        const struct nsh_prefix *elements, size_t n, size_t *ret)
{
    struct nlattr *nest;
    size_t i = 0;

    begin_message(t, what, NLM_F_ACK, elements[0].family);
    mnl_attr_put_strz(t->request, IPSET_ATTR_SETNAME, name);
    mnl_attr_put_u32(t->request, IPSET_ATTR_LINENO, 0);
    nest = mnl_attr_nest_start(t->request, IPSET_ATTR_ADT);
    while (i < n && t->request->nlmsg_len + ELEMENT_MAX < MESSAGE_MAX)
        put_element(t->request, &elements[i++]);
    mnl_attr_nest_end(t->request, nest);
    *ret = i;
    return transact(t);
}

static int write_all(struct nsh_ipset *s, enum ipset_cmd what, const char *name,
        const struct nsh_prefix *elements, size_t n)
{
    NSH_CLEANUP(talk_done) struct talk t = {0};
    int r = begin(&t, s, what, NLM_F_ACK, AF_UNSPEC);

    for (size_t at = 0, some; r >= 0 && at < n; at += some)
        r = write_some(&t, what, name, elements + at, n - at, &some);
    return r;
}

int nsh_ipset_add(
        struct nsh_ipset *s, const char *name, const struct nsh_prefix *elements, size_t n)
{
    return write_all(s, IPSET_CMD_ADD, name, elements, n);
}

int nsh_ipset_remove(
        struct nsh_ipset *s, const char *name, const struct nsh_prefix *elements, size_t n)
{
    return write_all(s, IPSET_CMD_DEL, name, elements, n);
}

/* ---- errors ---- */

static const struct {
    int error, number;
    const char *words;
} errors[] = {
        {IPSET_ERR_PROTOCOL, EPROTO, "the kernel's ip_set speaks another protocol"},
        {IPSET_ERR_FIND_TYPE, EPROTONOSUPPORT,
                "the kernel lacks the set type hash:net; load the module ip_set_hash_net"},
        {IPSET_ERR_MAX_SETS, ENOSPC, "the kernel holds as many sets as it can"},
        {IPSET_ERR_BUSY, EBUSY, "a rule refers to it"},
        {IPSET_ERR_EXIST_SETNAME2, ENOENT, "there is no such set"}, /* to swap with */
        {IPSET_ERR_TYPE_MISMATCH, EPROTOTYPE, "the set that has this name is of another type"},
        {IPSET_ERR_EXIST, EEXIST, "the element is there already, or is not there"},
        {IPSET_ERR_INVALID_CIDR, EINVAL, "a prefix of this length can't be in a set"},
        {IPSET_ERR_INVALID_FAMILY, EAFNOSUPPORT, "the set is of the other family"},
        {IPSET_ERR_REFERENCED, EBUSY, "a rule refers to it"},
        {IPSET_ERR_IPADDR_IPV4, EAFNOSUPPORT, "the set is of IPv4 addresses"},
        {IPSET_ERR_IPADDR_IPV6, EAFNOSUPPORT, "the set is of IPv6 addresses"},
        {IPSET_ERR_HASH_FULL, ENOSPC, "the set is full"},
        {IPSET_ERR_HASH_ELEM, EINVAL, "the element can't be in a set"},
        {ENOENT, ENOENT, "there is no such set"},
        {EEXIST, EEXIST, "there is a set of that name already"},
        {EINVAL, EINVAL, "the kernel has no sets; load the module ip_set"},
        {EPERM, EPERM, "not permitted; netshared needs CAP_NET_ADMIN in this network namespace"},
};

int nsh_ipset_errno(int error)
{
    int e = error < 0 ? -error : error;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(errors); i++)
        if (errors[i].error == e)
            return -errors[i].number;
    return e < IPSET_ERR_PRIVATE ? -e : -EIO;
}

const char *nsh_ipset_words(int error)
{
    int e = error < 0 ? -error : error;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(errors); i++)
        if (errors[i].error == e)
            return errors[i].words;
    return e < IPSET_ERR_PRIVATE ? strerror(e) : "the kernel refused it";
}

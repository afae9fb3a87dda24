/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of netlink messages: requests begun and sent, errors taken apart.
 */
#include <ctype.h>
#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "fib-netlink.h"

int nsh_fibnl_message_begin(struct nsh_fibnl *nl, int type, int flags)
{
    /* Cut back to an empty header, the message is as good as new. */
    nlmsg_hdr(nl->msg)->nlmsg_len = NLMSG_HDRLEN;
    nl->messages++;
    return nlmsg_put(nl->msg, NL_AUTO_PORT, 0, type, 0, NLM_F_REQUEST | flags) ? 0 : -EMSGSIZE;
}

int nsh_fibnl_message_send(struct nsh_fibnl *nl, struct nsh_fibnl_channel *c, uint32_t *ret_seq)
{
    struct nlmsghdr *nlh = nlmsg_hdr(nl->msg);
    int r;

    nlh->nlmsg_seq = ++nl->seq;
    nlh->nlmsg_pid = c->port;
    r = nsh_fibnl_channel_send(c, nlh, nlh->nlmsg_len);
    if (r < 0)
        return r;
    *ret_seq = nlh->nlmsg_seq;
    return 0;
}

/* The text is the kernel's, but goes to terminals and journals. */
static void copy_words(const struct nlattr *attr, char *why, size_t size)
{
    const char *text = nla_data(attr);
    size_t n = strnlen(text, (size_t)nla_len(attr));

    if (n >= size)
        n = size - 1;
    for (size_t i = 0; i < n; i++)
        why[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
    why[n] = '\0';
}

/*
 * Behind the error the kernel repeats the request, or only its header (NLM_F_CAPPED); what it has
 * to say stands behind that.
 */
static void extended_ack(struct nlmsghdr *nlh, const struct nlmsgerr *e, char *why, size_t size)
{
    struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
    int skip = sizeof(*e);

    if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
        return;
    if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
        if (e->msg.nlmsg_len < NLMSG_HDRLEN || e->msg.nlmsg_len > nlh->nlmsg_len)
            return;
        skip += (int)(e->msg.nlmsg_len - NLMSG_HDRLEN);
    }
    if (nlmsg_parse(nlh, skip, tb, NLMSGERR_ATTR_MAX, NULL) < 0 || !tb[NLMSGERR_ATTR_MSG])
        return;
    copy_words(tb[NLMSGERR_ATTR_MSG], why, size);
}

int nsh_fibnl_message_error(struct nlmsghdr *nlh, char *why, size_t size)
{
    struct nlmsgerr e;
    int error = 0;

    if (why)
        why[0] = '\0';
    if (nlh->nlmsg_type == NLMSG_DONE) {
        if (nlmsg_datalen(nlh) >= (int)sizeof(error))
            memcpy(&error, nlmsg_data(nlh), sizeof(error));
        return error < 0 ? error : 0;
    }
    if (nlmsg_datalen(nlh) < (int)sizeof(e))
        return -EBADMSG;
    memcpy(&e, nlmsg_data(nlh), sizeof(e));
    if (why)
        extended_ack(nlh, &e, why, size);
    return e.error < 0 ? e.error : 0;
}

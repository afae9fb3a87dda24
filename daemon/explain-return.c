/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last step of `explain`: the way of the answer.
 */
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "text-json.h"
#include "text.h"

static void tell_coming(struct explain *e)
{
    char as[NSH_ADDR_TEXT], source[NSH_ADDR_TEXT];

    nsh_addr_format(e->now.family, &e->now.src, as);
    nsh_addr_format(e->now.family, &e->first.src, source);
    if (nsh_addr_cmp(&e->now.src, &e->first.src) == 0 && e->in == 0)
        explain_say(e, "The answer is for %s, and comes in by %s.", as, e->forth.dev);
    else if (nsh_addr_cmp(&e->now.src, &e->first.src) == 0)
        explain_say(e,
                "The answer is for %s: whoever gives it needs a route to that by this "
                "machine. It comes in by %s.",
                as, e->forth.dev);
    else
        explain_say(e,
                "The answer is for %s, comes in by %s, and connection tracking puts %s back.", as,
                e->forth.dev, source);
}

/* It would not find the way back. */
static void stop_back(struct explain *e)
{
    const struct explain_way *w = &e->back;
    char to[NSH_ADDR_TEXT], text[512], fix[768];

    nsh_addr_format(e->first.family, &e->first.src, to);
    explain_fix_route(e, w, fix, sizeof fix);
    if (w->found.route && w->found.route->props->n_nexthops == 0)
        explain_stop(e, fix, "the route %s lets no answer through",
                nsh_route_format(w->found.route, NULL, text, sizeof text));
    else if (!w->found.rule)
        explain_stop(e, fix, "no route leads the answer back to %s", to);
    else
        explain_stop(e, "", "the kernel refuses the answer: %s", strerror(-w->error));
    explain_say(e, "%s.", json_string_value(json_object_get(e->stop, "reason")));
}

/* IPv4 alone asks the device by which the answer comes. */
static bool is_forwarded_back(struct explain *e)
{
    char fix[160], word[NSH_TEXT_DEVICE];

    if (e->now.family != AF_INET ||
            explain_sysctl(e, "net/ipv4/conf/*/forwarding", e->forth.dev) != 0)
        return true;
    snprintf(fix, sizeof fix, "sysctl -w net/ipv4/conf/%s/forwarding=1",
            nsh_text_word(e->forth.dev, word, sizeof word));
    explain_say(e, "Forwarding is off on %s.", e->forth.dev);
    explain_stop(e, fix, "forwarding is off on %s, by which the answer comes", e->forth.dev);
    return false;
}

static void forward_answer(struct explain *e, struct nsh_packet *answer)
{
    struct nsh_packet appears = *answer;

    if (!is_forwarded_back(e))
        return;
    explain_ask(e, answer, e->forth.ifindex, &e->back);
    if (e->back.error != 0) {
        stop_back(e);
        return;
    }
    explain_set(e, "out", nsh_text_json(e->back.dev));
    memcpy(answer->out, e->back.dev, sizeof answer->out);
    explain_say(e, "It leaves by %s%s.", e->back.dev,
            e->back.ifindex == e->in ? "" : ", which is not where the packet came in");
    if (e->back.ifindex != e->in)
        explain_doubt(e, "the answers leave by %s: they get back only if who asked is there, too",
                e->back.dev);
    appears.dst = e->first.src;
    appears.src = e->first.dst;
    appears.source_port = e->first.destination_port;
    memcpy(appears.out, e->back.dev, sizeof appears.out);
    if (explain_pass(e, answer, true))
        explain_others(e, NSH_HOOK_POSTROUTING, answer, &appears, true, false);
}

/* This machine answers. */
static void answer_here(struct explain *e)
{
    struct nsh_packet answer = explain_answer(&e->now);

    if (e->in == 0) {
        explain_say(e, "The answer stays on this machine.");
        return;
    }
    answer.in[0] = '\0';
    explain_ask(e, &answer, 0, &e->back);
    if (e->back.error != 0) {
        stop_back(e);
        return;
    }
    explain_set(e, "out", nsh_text_json(e->back.dev));
    explain_say(e, "This machine's answer leaves by %s.", e->back.dev);
    memcpy(answer.out, e->back.dev, sizeof answer.out);
    if (explain_others(e, NSH_HOOK_OUTPUT, &answer, &answer, true, false))
        explain_others(e, NSH_HOOK_POSTROUTING, &answer, &answer, true, false);
}

/* What comes in is for whom it appeared to be from, until connection tracking puts that back. */
static bool comes_in(struct explain *e, const struct nsh_packet *answer)
{
    struct nsh_packet arriving = *answer;

    arriving.dst = e->now.src;
    return explain_others(e, NSH_HOOK_PREROUTING, &arriving, answer, true, false) &&
           explain_reverse_path(
                   e, e->forth.dev, e->forth.ifindex, answer, e->in ? e->first.in : "lo");
}

void explain_return(struct explain *e)
{
    struct nsh_packet before = e->now, answer;

    explain_step(e, "return");
    if (e->here) {
        answer_here(e);
        return;
    }
    before.src = e->first.src;
    answer = explain_answer(&before);
    if (explain_is_past(e) || explain_is_unanswered(e))
        return;
    tell_coming(e);
    if (!comes_in(e, &answer))
        return;
    if (e->in != 0)
        forward_answer(e, &answer);
    else
        explain_others(e, NSH_HOOK_INPUT, &answer, &answer, true, false);
}

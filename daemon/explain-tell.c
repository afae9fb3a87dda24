/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `explain` tells: each step as a JSON object with its sentences, from which the text is
 * printed too.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "diag.h"
#include "explain.h"
#include "text-json.h"

#define SENTENCE 1536

void explain_step(struct explain *e, const char *name)
{
    e->step = json_object();
    json_object_set_new(e->step, "step", json_integer((json_int_t)json_array_size(e->steps) + 1));
    json_object_set_new(e->step, "name", json_string(name));
    json_object_set_new(e->step, "stops", json_false());
    json_object_set_new(e->step, "text", json_array());
    json_array_append_new(e->steps, e->step);
}

static __attribute__((format(printf, 1, 0))) json_t *sentence(const char *format, va_list args)
{
    char text[SENTENCE];

    vsnprintf(text, sizeof text, format, args);
    return nsh_text_json(text);
}

void explain_say(struct explain *e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    json_array_append_new(json_object_get(e->step, "text"), sentence(format, args));
    va_end(args);
}

void explain_note(struct explain *e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    json_array_append_new(e->notes, sentence(format, args));
    va_end(args);
}

void explain_doubt(struct explain *e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (!e->doubt)
        e->doubt = sentence(format, args);
    va_end(args);
}

void explain_set(struct explain *e, const char *key, json_t *value)
{
    json_object_set_new(e->step, key, value);
}

void explain_set_address(struct explain *e, const char *key, const union nsh_addr *addr)
{
    char text[NSH_ADDR_TEXT];

    explain_set(e, key, json_string(nsh_addr_format(e->first.family, addr, text)));
}

void explain_set_place(struct explain *e, nsh_origin origin)
{
    uint32_t line;
    const char *path = nsh_origins_resolve(e->desired->config->origins, origin, &line);

    if (!path)
        return;
    explain_set(e, "file", nsh_text_json(path));
    explain_set(e, "line", json_integer(line));
}

const char *explain_place(const struct explain *e, nsh_origin origin, char *buf, size_t size)
{
    uint32_t line;
    const char *path = nsh_origins_resolve(e->desired->config->origins, origin, &line);

    buf[0] = '\0';
    if (path)
        snprintf(buf, size, " (%s:%u)", path, line);
    return buf;
}

void explain_stop(struct explain *e, const char *fix, const char *format, ...)
{
    va_list args;

    explain_set(e, "stops", json_true());
    json_decref(e->stop);
    e->stop = json_object();
    json_object_set(e->stop, "step", json_object_get(e->step, "step"));
    va_start(args, format);
    json_object_set_new(e->stop, "reason", sentence(format, args));
    va_end(args);
    json_object_set_new(e->stop, "fix", fix[0] ? nsh_text_json(fix) : json_null());
}

const char *explain_policy(
        const struct explain *e, const struct nsh_chain *c, char *buf, size_t size)
{
    char place[512];

    snprintf(buf, size, "%s %s%s", nsh_policy_noun(c->kind), c->policy,
            explain_place(e, c->origin, place, sizeof place));
    return buf;
}

const char *explain_end(const struct nsh_packet *p, const union nsh_addr *addr, uint16_t port,
        char *buf, size_t size)
{
    char text[NSH_ADDR_TEXT], number[16] = "";

    if (nsh_protocol_has_ports(p->protocol) && port != 0)
        snprintf(number, sizeof number, " port %u", port);
    snprintf(buf, size, "%s%s", nsh_addr_format(p->family, addr, text), number);
    return buf;
}

/* ---- printing ---- */

static const char *protocol_name(uint8_t protocol)
{
    return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "icmp";
}

static json_t *packet_json(const struct explain *e)
{
    const struct nsh_packet *p = &e->first;
    char text[NSH_ADDR_TEXT];
    json_t *o = json_object();

    json_object_set_new(o, "family", json_string(p->family == AF_INET6 ? "ipv6" : "ipv4"));
    json_object_set_new(o, "source", json_string(nsh_addr_format(p->family, &p->src, text)));
    json_object_set_new(o, "destination", json_string(nsh_addr_format(p->family, &p->dst, text)));
    json_object_set_new(o, "protocol", json_string(protocol_name(p->protocol)));
    if (nsh_protocol_has_ports(p->protocol)) {
        json_object_set_new(o, "source_port", json_integer(p->source_port));
        json_object_set_new(o, "destination_port", json_integer(p->destination_port));
    }
    json_object_set_new(o, "mark", json_integer(p->mark));
    return o;
}

/* Nothing stops it for certain, but something may. */
static bool is_unsure(const struct explain *e)
{
    return !e->stop && (e->unsure || e->doubt);
}

static json_t *reason_json(const struct explain *e)
{
    if (e->stop)
        return json_incref(json_object_get(e->stop, "reason"));
    return e->doubt ? json_incref(e->doubt) : json_null();
}

static int exit_of(const struct explain *e)
{
    if (e->stop)
        return NSH_EXIT_STOPPED;
    return is_unsure(e) ? NSH_EXIT_FAILED : NSH_EXIT_OK;
}

static int print_json(const struct explain *e)
{
    json_t *root = json_object();
    int q;

    json_object_set_new(root, "packet", packet_json(e));
    json_object_set(root, "steps", e->steps);
    json_object_set_new(root, "passes", is_unsure(e) ? json_null() : json_boolean(!e->stop));
    json_object_set_new(root, "stopped_at",
            e->stop ? json_incref(json_object_get(e->stop, "step")) : json_null());
    json_object_set_new(root, "reason", reason_json(e));
    json_object_set_new(
            root, "fix", e->stop ? json_incref(json_object_get(e->stop, "fix")) : json_null());
    json_object_set(root, "notes", e->notes);
    q = json_dumpf(root, stdout, JSON_INDENT(2));
    json_decref(root);
    if (q == 0)
        putchar('\n');
    return exit_of(e);
}

static void print_clean(const char *before, const char *text)
{
    char clean[SENTENCE * 4];

    printf("%s%s\n", before, nsh_printable(text, strlen(text), clean, sizeof clean));
}

static void print_step(const json_t *step)
{
    json_t *texts = json_object_get(step, "text"), *text;
    char number[16];
    size_t i;

    snprintf(
            number, sizeof number, "%2d. ", (int)json_integer_value(json_object_get(step, "step")));
    json_array_foreach(texts, i, text)
            print_clean(i == 0 ? number : "    ", json_string_value(text));
}

static void print_verdict(const struct explain *e)
{
    const char *fix = json_string_value(json_object_get(e->stop, "fix"));
    char text[SENTENCE];

    if (!e->stop && e->doubt) {
        snprintf(text, sizeof text, "Nothing stops it for certain, but %s",
                json_string_value(e->doubt));
        print_clean("", text);
        return;
    }
    if (!e->stop && e->unsure) {
        puts("Nothing that can be seen stops it; but rules of others can't be read, and may drop "
             "it.");
        return;
    }
    if (!e->stop) {
        puts(e->here && e->in != 0
                        ? "It comes to this machine itself, and the answers get back."
                        : "It passes, and so do the answers, as far as can be seen on this "
                          "machine.");
        return;
    }
    snprintf(text, sizeof text, "It is stopped at step %d: %s",
            (int)json_integer_value(json_object_get(e->stop, "step")),
            json_string_value(json_object_get(e->stop, "reason")));
    print_clean("", text);
    if (fix)
        print_clean("  what helps: ", fix);
}

int explain_print(struct explain *e)
{
    const struct nsh_packet *p = &e->first;
    char from[64], to[64];
    json_t *step, *note;
    size_t i;

    if (e->options->json)
        return print_json(e);
    printf("%s from %s to %s\n", protocol_name(p->protocol),
            explain_end(
                    p, &p->src, e->options->source_port ? p->source_port : 0, from, sizeof from),
            explain_end(p, &p->dst, p->destination_port, to, sizeof to));
    json_array_foreach(e->steps, i, step) print_step(step);
    print_verdict(e);
    json_array_foreach(e->notes, i, note) print_clean("  note: ", json_string_value(note));
    return exit_of(e);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "cleanup.h"
#include "config.h"
#include "yaml-hint.h"
#include "yaml-reader.h"
#include "yaml-stream.h"

struct nsh_yaml {
    yaml_parser_t parser;
    bool parser_made;
    yaml_event_t event; /* what the last nsh_yaml_event points into */
    bool event_held;
    bool event_ahead; /* it was parsed, and not yet given out */
    struct nsh_yaml_reader reader;
    const char *path;
    struct nsh_diags *diags;
    unsigned depth;
    unsigned flow_depth; /* of it, in brackets */
    uint32_t long_line;  /* the last one of a value that was refused for its lines; 0: none */
    bool in_document;    /* the first has begun */
    bool ended;
    bool failed;
};

int nsh_yaml_new(const struct nsh_source *source, const char *path, int archive_fd,
        struct nsh_diags *diags, struct nsh_yaml **ret)
{
    struct nsh_yaml *y = calloc(1, sizeof(*y));

    if (!y)
        return -ENOMEM;
    if (!yaml_parser_initialize(&y->parser)) {
        free(y);
        return -ENOMEM;
    }
    y->parser_made = true;
    y->reader = (struct nsh_yaml_reader){.source = *source, .archive_fd = archive_fd, .line = 1};
    y->path = path;
    y->diags = diags;
    /* Fixed, so that no byte order mark makes it UTF-16. */
    yaml_parser_set_encoding(&y->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input(&y->parser, nsh_yaml_reader_read, &y->reader);
    *ret = y;
    return 0;
}

void nsh_yaml_free(struct nsh_yaml *y)
{
    if (!y)
        return;
    if (y->event_held)
        yaml_event_delete(&y->event);
    if (y->parser_made)
        yaml_parser_delete(&y->parser);
    free(y);
}

bool nsh_yaml_failed(const struct nsh_yaml *y)
{
    return y->failed;
}

int nsh_yaml_errno(const struct nsh_yaml *y)
{
    return y->reader.error;
}

static struct nsh_yaml_mark to_mark(const yaml_mark_t *m)
{
    /* The size limit keeps both far below 2^32. */
    return (struct nsh_yaml_mark){.line = (uint32_t)m->line + 1, .column = (uint32_t)m->column + 1};
}

/* Ends the stream; what was reported says why. */
static void stop(struct nsh_yaml *y)
{
    y->ended = true;
    y->failed = true;
}

/* "tags ('!!int') are not allowed" */
static void report(struct nsh_yaml *y, struct nsh_yaml_mark at, const char *hint, const char *what,
        const char *sign, const void *name)
{
    char shown[48];

    nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, at.line, at.column, hint,
            "%s ('%s%s') are not allowed", what, sign,
            nsh_printable(name, strlen(name), shown, sizeof(shown)));
}

static void report_tag(struct nsh_yaml *y, struct nsh_yaml_mark at, const char *tag)
{
    static const char standard[] = "tag:yaml.org,2002:";
    const char *hint = "leave it out; a value that begins with '!' is quoted";
    size_t n = sizeof(standard) - 1;

    if (strncmp(tag, standard, n) == 0)
        report(y, at, hint, "tags", "!!", tag + n);
    else
        report(y, at, hint, "tags", "", tag);
}

/* What is there was wrong already, for the same reason as the user sees it. Column 0: any. */
static bool is_reported(const struct nsh_yaml *y, uint32_t line, uint32_t column)
{
    for (size_t i = 0; i < nsh_diags_count(y->diags); i++) {
        const struct nsh_diag *d = nsh_diags_get(y->diags, i);

        if (d->severity == NSH_DIAG_ERROR && d->path && strcmp(d->path, y->path) == 0 &&
                d->line == line && (column == 0 || d->column == column))
            return true;
    }
    return false;
}

static void report_syntax(struct nsh_yaml *y)
{
    const yaml_parser_t *p = &y->parser;
    struct nsh_yaml_mark at = to_mark(&p->problem_mark), from = to_mark(&p->context_mark);
    const char *text = p->problem ? p->problem : "it can't be read";
    struct nsh_yaml_problem problem = {.text = text, .line = at.line, .column = at.column};
    struct nsh_yaml_hint found;
    const char *hint;

    if (p->context) {
        problem.context_line = from.line;
        problem.context_column = from.column;
    }
    nsh_yaml_find_hint(&y->reader.source, &problem, &found);
    hint = found.text[0] != '\0' ? found.text : NULL;
    if (is_reported(y, found.line, found.column) ||
            (y->long_line > 0 && found.line == y->long_line))
        return;
    if (!found.problem && p->context && from.line < at.line)
        nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, found.line, found.column, hint,
                "%s, %s that begins on line %u", text, p->context, from.line);
    else
        nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, found.line, found.column, hint, "%s",
                found.problem ? found.problem : text);
}

static void report_failure(struct nsh_yaml *y)
{
    const struct nsh_yaml_reader *r = &y->reader;

    stop(y);
    if (r->text[0] != '\0')
        nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, r->error ? 0 : r->line, r->column, r->hint,
                "%s", r->text);
    else if (y->parser.error == YAML_MEMORY_ERROR) {
        y->reader.error = -ENOMEM;
        nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, 0, 0, NULL, "out of memory");
    } else
        report_syntax(y);
}

static void refuse_decorations(struct nsh_yaml *y, struct nsh_yaml_mark at,
        const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        report(y, at, "write the value where it is used", "anchors", "&", anchor);
    if (tag)
        report_tag(y, at, (const char *)tag);
}

/*
 * No value here has more than one word; YAML joins the next line to one that has no colon, or if
 * it is indented further. What the parser stumbles over there next has the same reason.
 */
static void refuse_lines(struct nsh_yaml *y, struct nsh_yaml_event *ret)
{
    const uint32_t last = to_mark(&y->event.end_mark).line;
    char hint[128];

    ret->refused = true;
    y->long_line = last;
    if (y->flow_depth > 0)
        (void)snprintf(hint, sizeof(hint), "is a comma or the closing bracket missing?");
    else
        (void)snprintf(hint, sizeof(hint),
                "is a colon or the space behind it missing, or is line %u indented too far?",
                ret->mark.line + 1);
    if (!is_reported(y, ret->mark.line, 0))
        nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, ret->mark.line, ret->mark.column, hint,
                "YAML joins the next line to this value");
}

static void take_scalar(struct nsh_yaml *y, struct nsh_yaml_event *ret)
{
    ret->type = NSH_YAML_SCALAR;
    ret->text = (const char *)y->event.data.scalar.value;
    ret->length = y->event.data.scalar.length;
    ret->plain = y->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    refuse_decorations(y, ret->mark, y->event.data.scalar.anchor, y->event.data.scalar.tag);
    if (ret->plain && to_mark(&y->event.end_mark).line > ret->mark.line)
        refuse_lines(y, ret);
    if (memchr(ret->text, '\0', ret->length)) {
        ret->refused = true;
        nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, ret->mark.line, ret->mark.column, NULL,
                "a value can't hold a NUL character");
    }
}

static void take_opening(struct nsh_yaml *y, struct nsh_yaml_event *ret, enum nsh_yaml_type type,
        bool flow, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    refuse_decorations(y, ret->mark, anchor, tag);
    ret->type = type;
    if (flow || y->flow_depth > 0)
        y->flow_depth++;
    if (++y->depth <= NSH_CONFIG_DEPTH_MAX)
        return;
    nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, ret->mark.line, ret->mark.column, NULL,
            "nested deeper than %d levels", NSH_CONFIG_DEPTH_MAX);
    stop(y);
    ret->type = NSH_YAML_END;
}

/* Document and stream marks: nothing for the reader of events, but for the end. */
static void take_document(struct nsh_yaml *y, struct nsh_yaml_event *ret)
{
    const yaml_event_t *e = &y->event;

    ret->type = NSH_YAML_END;
    if (e->type == YAML_STREAM_END_EVENT) {
        y->ended = true;
        return;
    }
    if (e->type != YAML_DOCUMENT_START_EVENT)
        return;
    if (e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        report(y, ret->mark, "leave it out", "tags", "%", "TAG");
    if (y->in_document) {
        nsh_diag_add(y->diags, NSH_DIAG_ERROR, y->path, ret->mark.line, ret->mark.column,
                "leave out the '---', or use a second file",
                "a further document begins here; a file holds one document");
        stop(y);
    }
    y->in_document = true;
}

/* False: the event was none of interest, and more follow. */
static bool take(struct nsh_yaml *y, struct nsh_yaml_event *ret)
{
    const yaml_event_t *e = &y->event;

    *ret = (struct nsh_yaml_event){.mark = to_mark(&e->start_mark)};
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        take_scalar(y, ret);
        return true;
    case YAML_ALIAS_EVENT:
        ret->type = NSH_YAML_SCALAR;
        ret->text = "";
        ret->refused = true;
        report(y, ret->mark, "write the value out again", "aliases", "*", e->data.alias.anchor);
        return true;
    case YAML_MAPPING_START_EVENT:
        take_opening(y, ret, NSH_YAML_MAPPING,
                e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE,
                e->data.mapping_start.anchor, e->data.mapping_start.tag);
        return true;
    case YAML_SEQUENCE_START_EVENT:
        take_opening(y, ret, NSH_YAML_SEQUENCE,
                e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE,
                e->data.sequence_start.anchor, e->data.sequence_start.tag);
        return true;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        y->depth--;
        if (y->flow_depth > 0)
            y->flow_depth--;
        ret->type =
                e->type == YAML_MAPPING_END_EVENT ? NSH_YAML_MAPPING_END : NSH_YAML_SEQUENCE_END;
        return true;
    default:
        take_document(y, ret);
        return y->ended;
    }
}

static bool parse(struct nsh_yaml *y)
{
    if (y->event_held)
        yaml_event_delete(&y->event);
    y->event_held = false;
    if (!yaml_parser_parse(&y->parser, &y->event)) {
        report_failure(y);
        return false;
    }
    y->event_held = true;
    y->reader.gap = 0;
    return true;
}

void nsh_yaml_next(struct nsh_yaml *y, struct nsh_yaml_event *ret)
{
    *ret = (struct nsh_yaml_event){.type = NSH_YAML_END};
    while (!y->ended) {
        if (!y->event_ahead && !parse(y))
            return;
        y->event_ahead = false;
        if (take(y, ret))
            return;
    }
}

bool nsh_yaml_breaks(struct nsh_yaml *y)
{
    if (!y->ended && !y->event_ahead)
        y->event_ahead = parse(y);
    return y->failed;
}

void nsh_yaml_skip(struct nsh_yaml *y, const struct nsh_yaml_event *event)
{
    struct nsh_yaml_event e;
    unsigned open = 1;

    if (event->type != NSH_YAML_MAPPING && event->type != NSH_YAML_SEQUENCE)
        return;
    while (open > 0) {
        nsh_yaml_next(y, &e);
        if (e.type == NSH_YAML_END)
            return;
        if (e.type == NSH_YAML_MAPPING || e.type == NSH_YAML_SEQUENCE)
            open++;
        else if (e.type != NSH_YAML_SCALAR)
            open--;
    }
}

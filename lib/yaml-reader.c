/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "yaml-reader.h"

__attribute__((format(printf, 3, 4))) static void fail(
        struct nsh_yaml_reader *r, const char *hint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(r->text, sizeof(r->text), format, args);
    va_end(args);
    r->hint = hint;
    r->column = r->line_bytes - r->line_inner + 1;
}

static void fail_errno(struct nsh_yaml_reader *r, int error, const char *what)
{
    fail(r, NULL, "%s: %s", what, strerror(-error));
    r->error = error;
}

/* Printable ASCII. */
static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

static void begin_line(struct nsh_yaml_reader *r)
{
    r->line++;
    r->line_bytes = 0;
    r->line_inner = 0;
}

/* Back to the beginning of the character under way, of which `n` bytes were counted. */
static void step_back(struct nsh_yaml_reader *r, unsigned n)
{
    r->line_bytes -= n;
    r->line_inner -= n - 1;
}

static bool refuse_byte(struct nsh_yaml_reader *r, unsigned char c)
{
    if (r->line == 1 && r->line_bytes == 0 && (c == 0xff || c == 0xfe))
        fail(r, "save it as UTF-8", "the file is UTF-16 or UTF-32, not UTF-8");
    else
        fail(r, "save the file as UTF-8", "invalid UTF-8 (byte 0x%02x)", c);
    return false;
}

static bool refuse_control(struct nsh_yaml_reader *r, uint32_t c)
{
    if (c == 0)
        fail(r, "is this a text file, saved as UTF-8?", "a NUL byte is not allowed");
    else if (c == 0x85 || c == 0x2028 || c == 0x2029)
        fail(r, "end lines with a line feed", "the line separator U+%04X is not allowed", c);
    else
        fail(r, NULL, "the control character U+%04X is not allowed", c);
    return false;
}

/* A complete character beyond ASCII. */
static bool accept_wide(struct nsh_yaml_reader *r)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = r->value;

    if (c < least[r->length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        step_back(r, r->length);
        return refuse_byte(r, r->lead);
    }
    if (c >= 0xa0 && c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff)
        return true;
    step_back(r, r->length);
    return refuse_control(r, c);
}

/* One byte that is not printable ASCII. */
static bool accept_special(struct nsh_yaml_reader *r, unsigned char c)
{
    if (r->wanted > 0) {
        if ((c & 0xc0) != 0x80) {
            step_back(r, (unsigned)(r->length - r->wanted));
            return refuse_byte(r, r->lead);
        }
        r->value = r->value << 6 | (c & 0x3fU);
        r->line_bytes++;
        r->line_inner++;
        return --r->wanted > 0 || accept_wide(r);
    }
    if (c >= 0xc2 && c < 0xf5) {
        r->length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        r->wanted = r->length - 1;
        r->lead = c;
        r->value = c & (0x7fU >> r->length);
        r->line_bytes++;
        return true;
    }
    if (c >= 0x80)
        return refuse_byte(r, c);
    if (c == '\t') {
        r->line_bytes++;
        return true;
    }
    if (c == '\n' && r->after_cr)
        return true;
    if (c == '\n' || c == '\r') {
        begin_line(r);
        return true;
    }
    return refuse_control(r, c);
}

/* How many of the bytes pass. */
static size_t check(struct nsh_yaml_reader *r, const unsigned char *p, size_t n)
{
    size_t i = 0;

    while (i < n) {
        size_t from = i;

        if (r->wanted == 0)
            while (i < n && is_plain(p[i]))
                i++;
        r->line_bytes += (uint32_t)(i - from);
        if (i > from)
            r->after_cr = false;
        if (i < n) {
            if (!accept_special(r, p[i]))
                return i;
            r->after_cr = p[i++] == '\r';
        }
        if (r->line_bytes > NSH_CONFIG_LINE_MAX) {
            r->line_bytes = r->line_inner = 0;
            fail(r, NULL, "the line is longer than %u bytes", NSH_CONFIG_LINE_MAX);
            return from;
        }
    }
    return i;
}

static int archive(struct nsh_yaml_reader *r, const unsigned char *p, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(r->archive_fd, p, n);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        p += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

/* Reads, archives and counts one chunk; bytes, 0 at the end, -1 with the reason noted. */
static ssize_t fetch(struct nsh_yaml_reader *r, unsigned char *buffer, size_t size)
{
    ssize_t n = nsh_source_read(&r->source, r->offset, buffer, size);
    int error;

    if (n < 0) {
        fail_errno(r, (int)n, "can't be read");
        return -1;
    }
    if (r->archive_fd >= 0 && (error = archive(r, buffer, (size_t)n)) < 0) {
        fail_errno(r, error, "can't be copied to the state directory");
        return -1;
    }
    r->offset += (uint64_t)n;
    r->gap += (uint64_t)n;
    if (r->offset > NSH_CONFIG_FILE_MAX) {
        fail(r, "use several files", "the file is larger than 256 MiB");
        return -1;
    }
    if (r->gap > NSH_YAML_GAP_MAX) {
        fail(r, NULL, "16 MiB without the end of a value");
        return -1;
    }
    return n;
}

int nsh_yaml_reader_read(void *data, unsigned char *buffer, size_t size, size_t *ret_size)
{
    struct nsh_yaml_reader *r = data;
    bool first = r->offset == 0;
    ssize_t n;
    size_t good;

    *ret_size = 0;
    if (r->text[0] != '\0')
        return 0;
    n = fetch(r, buffer, size);
    if (n < 0)
        return 0;
    if (n == 0 && r->wanted > 0) {
        step_back(r, (unsigned)(r->length - r->wanted));
        fail(r, NULL, "the file ends inside of a UTF-8 character");
        return 0;
    }
    /* libyaml skips a byte order mark only where it may choose the encoding by it. */
    if (first && n >= 3 && memcmp(buffer, "\xef\xbb\xbf", 3) == 0) {
        n -= 3;
        memmove(buffer, buffer + 3, (size_t)n);
        if (n == 0)
            return nsh_yaml_reader_read(data, buffer, size, ret_size);
    }
    good = check(r, buffer, (size_t)n);
    if (good == 0 && n > 0)
        return 0;
    *ret_size = good;
    return 1;
}

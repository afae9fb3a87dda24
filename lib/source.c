/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "source.h"

#define CHUNK (16UL * 1024)

int nsh_stamp_take(int fd, struct nsh_stamp *ret)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    *ret = (struct nsh_stamp){.size = st.st_size,
            .links = (int64_t)st.st_nlink,
            .written = st.st_mtim,
            .changed = st.st_ctim};
    return 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/*
 * The time of writing can be set back, that of any change can't. But a file in whose place another
 * is renamed loses a link, which is a change too.
 */
bool nsh_stamp_holds(const struct nsh_stamp *stamp, int fd)
{
    struct nsh_stamp now = {0};

    return nsh_stamp_take(fd, &now) == 0 && now.size == stamp->size &&
           same_time(&now.written, &stamp->written) &&
           (same_time(&now.changed, &stamp->changed) || now.links != stamp->links);
}

ssize_t nsh_source_read(const struct nsh_source *s, uint64_t offset, void *buf, size_t size)
{
    ssize_t n;

    if (offset >= s->length)
        return 0;
    if (size > s->length - offset)
        size = (size_t)(s->length - offset);
    if (offset > (uint64_t)INT64_MAX - s->start)
        return -EOVERFLOW;
    do
        n = pread(s->fd, buf, size, (off_t)(s->start + offset));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

struct walk {
    nsh_source_line *seen;
    void *userdata;
    char *text; /* the line so far, as much of it as is shown */
    size_t n;
    uint32_t line;
    bool after_cr;
    bool begun; /* the line has bytes */
};

static void add_bytes(struct walk *w, const char *p, size_t n)
{
    size_t room = NSH_SOURCE_LINE_SHOWN - w->n;

    if (n == 0)
        return;
    w->begun = true;
    if (n > room)
        n = room;
    memcpy(w->text + w->n, p, n);
    w->n += n;
}

static bool end_line(struct walk *w)
{
    const char *text = w->text;
    size_t n = w->n;

    if (w->line == 1 && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        n -= 3;
    }
    w->n = 0;
    w->begun = false;
    return w->seen(w->userdata, w->line++, text, n);
}

static bool walk_chunk(struct walk *w, const char *p, size_t size)
{
    size_t from = 0;

    for (size_t i = 0; i < size; i++) {
        bool lf_of_crlf = p[i] == '\n' && w->after_cr;

        w->after_cr = p[i] == '\r';
        if (p[i] != '\n' && p[i] != '\r')
            continue;
        if (!lf_of_crlf) {
            add_bytes(w, p + from, i - from);
            if (!end_line(w))
                return false;
        }
        from = i + 1;
    }
    add_bytes(w, p + from, size - from);
    return true;
}

int nsh_source_lines(const struct nsh_source *s, nsh_source_line *seen, void *userdata)
{
    nsh_autofree char *text = malloc(NSH_SOURCE_LINE_SHOWN);
    struct walk w = {.seen = seen, .userdata = userdata, .text = text, .line = 1};
    char chunk[CHUNK];
    uint64_t offset = 0;
    ssize_t n;

    if (!text)
        return -ENOMEM;
    while ((n = nsh_source_read(s, offset, chunk, sizeof(chunk))) > 0) {
        offset += (uint64_t)n;
        if (!walk_chunk(&w, chunk, (size_t)n))
            return 0;
    }
    if (n == 0 && w.begun)
        end_line(&w);
    return (int)n;
}

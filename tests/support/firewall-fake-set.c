/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of the fake firewall, with the habits of ipset: one name space for both families, nothing is
 * destroyed while a rule refers to it, and a cheap look sees how many elements there are, not
 * which. An update is strict: it is refused as a whole if it adds what is there or removes what is
 * not.
 */
#include "firewall-fake-table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IPSET_WORDS 6

struct fake_set *fake_set_find(const struct nsh_firewall_fake *f, const char *name)
{
    for (size_t i = 0; i < f->n_sets; i++)
        if (strcmp(f->sets[i].name, name) == 0)
            return &f->sets[i];
    return NULL;
}

static void set_flush(struct fake_set *s)
{
    free(s->elements);
    s->elements = NULL;
    s->n = 0;
}

void fake_sets_clear(struct nsh_firewall_fake *f)
{
    for (size_t i = 0; i < f->n_sets; i++)
        set_flush(&f->sets[i]);
    free(f->sets);
    f->sets = NULL;
    f->n_sets = 0;
}

static int set_create(struct nsh_firewall_fake *f, const char *name, int family)
{
    struct fake_set *grown;

    if (strlen(name) >= NSH_SET_NAME)
        return -EINVAL;
    if (fake_set_find(f, name))
        return -EEXIST;
    grown = realloc(f->sets, (f->n_sets + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    f->sets = grown;
    f->sets[f->n_sets] = (struct fake_set){.family = (uint8_t)family};
    snprintf(f->sets[f->n_sets].name, NSH_SET_NAME, "%s", name);
    f->n_sets++;
    return 0;
}

/* A rule of anybody's, in its words. */
static bool set_is_used(const struct nsh_firewall_fake *f, const char *name)
{
    char words[NSH_SET_NAME + 16];

    snprintf(words, sizeof(words), "--match-set %s ", name);
    for (int i = 0; i < NSH_FAMILIES * NSH_TABLE_COUNT; i++) {
        const struct fake_table *t = &f->tables[i / NSH_TABLE_COUNT][i % NSH_TABLE_COUNT];

        for (size_t c = 0; c < t->n_chains; c++)
            for (size_t n = 0; n < t->chains[c].n_rules; n++)
                if (strstr(t->chains[c].rules[n].text, words))
                    return true;
    }
    return false;
}

static int set_destroy(struct nsh_firewall_fake *f, const char *name)
{
    struct fake_set *s = fake_set_find(f, name);

    if (!s)
        return -ENOENT;
    if (set_is_used(f, name))
        return -EBUSY;
    set_flush(s);
    memmove(s, s + 1, (size_t)(&f->sets[f->n_sets] - s - 1) * sizeof(*s));
    f->n_sets--;
    return 0;
}

static size_t lower_bound(const struct fake_set *s, const struct nsh_prefix *p)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (nsh_prefix_cmp(&s->elements[middle], p) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool stands_at(const struct fake_set *s, size_t at, const struct nsh_prefix *p)
{
    return at < s->n && nsh_prefix_cmp(&s->elements[at], p) == 0;
}

static int element_add(struct fake_set *s, const struct nsh_prefix *p)
{
    size_t at = lower_bound(s, p);
    struct nsh_prefix *grown;

    if (p->family != s->family)
        return -EINVAL;
    if (stands_at(s, at, p))
        return -EEXIST;
    grown = realloc(s->elements, (s->n + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    s->elements = grown;
    memmove(&grown[at + 1], &grown[at], (s->n - at) * sizeof(*grown));
    grown[at] = *p;
    s->n++;
    return 0;
}

static int element_remove(struct fake_set *s, const struct nsh_prefix *p)
{
    size_t at = lower_bound(s, p);

    if (!stands_at(s, at, p))
        return -ENOENT;
    memmove(&s->elements[at], &s->elements[at + 1], (s->n - at - 1) * sizeof(*s->elements));
    s->n--;
    return 0;
}

/* ---- the contract ---- */

static int know_set(struct fake_handle *h, const char *name, size_t n)
{
    struct fake_known_set *grown;
    size_t i = 0;

    while (i < h->n_known_sets && strcmp(h->known_sets[i].name, name) != 0)
        i++;
    if (i == h->n_known_sets) {
        grown = realloc(h->known_sets, (i + 1) * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        h->known_sets = grown;
        h->n_known_sets++;
    }
    h->known_sets[i].n = n;
    snprintf(h->known_sets[i].name, NSH_SET_NAME, "%s", name);
    return 0;
}

/* ---- steps that take long ---- */

static bool in_progress(struct nsh_firewall_fake *f)
{
    if (f->set_delay-- > 0)
        return true;
    f->set_delay = f->set_delays;
    return false;
}

/* What was dropped goes on to its end, and nothing else before. */
static bool dropped_goes_on(struct nsh_firewall_fake *f)
{
    if (!f->set_dropped)
        return false;
    if (in_progress(f))
        return true;
    f->set_dropped = f->set_writing = false;
    return false;
}

void fake_set_drop(struct nsh_firewall *fw)
{
    struct nsh_firewall_fake *f = fake_handle_of(fw)->f;

    f->set_dropped = f->set_writing;
    f->set_delay = f->set_delays;
}

int fake_sets(struct nsh_firewall *fw, int family, nsh_set_observed *observed, void *userdata)
{
    struct fake_handle *h = fake_handle_of(fw);
    int rc = h->open ? 0 : -EBADF;

    if (rc == 0 && (dropped_goes_on(h->f) || h->f->set_writing))
        rc = -EINPROGRESS;
    for (size_t i = 0; rc == 0 && i < h->f->n_sets; i++) {
        const struct fake_set *s = &h->f->sets[i];

        if (s->family == family && strncmp(s->name, NSH_SET_PREFIX, strlen(NSH_SET_PREFIX)) == 0)
            rc = observed(userdata, s->name);
    }
    return rc;
}

/* In an order that is nobody's. */
int fake_set_read(struct nsh_firewall *fw, int family, const char *name,
        nsh_set_element_observed *observed, void *userdata)
{
    struct fake_handle *h = fake_handle_of(fw);
    const struct fake_set *s = fake_set_find(h->f, name);
    int rc = h->open ? 0 : -EBADF;

    if (rc == 0 && (!s || s->family != family))
        rc = -ENOENT;
    if (rc == 0 && h->mode == NSH_FIREWALL_WRITE && (dropped_goes_on(h->f) || in_progress(h->f)))
        rc = -EINPROGRESS;
    if (rc < 0)
        return rc;
    h->f->counts.set_reads++;
    if (h->mode == NSH_FIREWALL_WRITE)
        rc = know_set(h, name, s->n);
    for (size_t i = s->n; rc == 0 && i-- > 0;)
        rc = observed(userdata, &s->elements[(i + s->n / 3) % s->n]);
    return rc;
}

static int copy_elements(struct fake_set *s, const struct nsh_prefix *elements, size_t n)
{
    struct nsh_prefix *copy = calloc(n + 1, sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    if (n > 0)
        memcpy(copy, elements, n * sizeof(*copy));
    set_flush(s);
    s->elements = copy;
    s->n = n;
    return 0;
}

static int fill(struct fake_set *s, const struct nsh_set *want)
{
    for (size_t i = 0; i < want->n; i++)
        if (want->prefixes[i].family != s->family || want->prefixes[i].length == 0 ||
                (i > 0 && nsh_prefix_cmp(&want->prefixes[i - 1], &want->prefixes[i]) >= 0))
            return -EINVAL;
    return copy_elements(s, want->prefixes, want->n);
}

static int update(struct fake_set *s, const struct nsh_set_op *op)
{
    struct fake_set copy = {.family = s->family};
    int rc = copy_elements(&copy, s->elements, s->n);

    for (size_t i = 0; rc == 0 && i < op->n_remove; i++)
        rc = element_remove(&copy, &op->remove[i]);
    for (size_t i = 0; rc == 0 && i < op->n_add; i++)
        rc = element_add(&copy, &op->add[i]);
    if (rc == 0)
        rc = copy_elements(s, copy.elements, copy.n);
    set_flush(&copy);
    return rc;
}

static int write_set(struct nsh_firewall_fake *f, const struct nsh_set_op *op)
{
    struct fake_set *s = fake_set_find(f, op->name);
    int rc;

    if (strncmp(op->name, NSH_SET_PREFIX, strlen(NSH_SET_PREFIX)) != 0)
        return -EPERM;
    if (op->verb == NSH_SET_CREATE) {
        rc = set_create(f, op->name, op->family);
        return rc < 0 ? rc : fill(fake_set_find(f, op->name), op->want);
    }
    if (!s || s->family != op->family)
        return -ENOENT;
    switch (op->verb) {
    case NSH_SET_UPDATE:
        return update(s, op);
    case NSH_SET_REPLACE:
        return fill(s, op->want);
    default:
        return set_destroy(f, op->name);
    }
}

static int write_counted(
        struct nsh_firewall_fake *f, const struct nsh_set_op *op, char *ret_why, size_t size)
{
    int rc = fake_fail(&f->set_failure, ret_why, size);

    if (rc < 0)
        return rc;
    rc = write_set(f, op);
    if (rc < 0) {
        fake_say(ret_why, size, strerror(-rc));
        return rc;
    }
    f->counts.set_writes++;
    f->counts.elements += op->n_add + op->n_remove + (op->want ? op->want->n : 0);
    return 0;
}

/* It is written at once, and what came of it told later. */
int fake_set_write(struct nsh_firewall *fw, const struct nsh_set_op *op, char *ret_why, size_t size)
{
    struct fake_handle *h = fake_handle_of(fw);
    struct nsh_firewall_fake *f = h->f;
    const struct fake_set *s;

    if (!h->open || h->mode != NSH_FIREWALL_WRITE)
        return -EBADF;
    if (dropped_goes_on(f) || (f->set_writing && op->verb == NSH_SET_DESTROY))
        return -EINPROGRESS;
    if (!f->set_writing) {
        f->set_why[0] = '\0';
        f->set_result = write_counted(f, op, f->set_why, sizeof(f->set_why));
        f->set_writing = true;
    }
    if (op->verb != NSH_SET_DESTROY && in_progress(f))
        return -EINPROGRESS;
    f->set_writing = false;
    if (f->set_result < 0)
        fake_say(ret_why, size, f->set_why);
    s = fake_set_find(f, op->name);
    return f->set_result == 0 && s ? know_set(h, op->name, s->n) : f->set_result;
}

int fake_set_changed(struct nsh_firewall *fw, int family, const char *name)
{
    struct fake_handle *h = fake_handle_of(fw);
    const struct fake_set *s = fake_set_find(h->f, name);

    for (size_t i = 0; i < h->n_known_sets; i++)
        if (strcmp(h->known_sets[i].name, name) == 0)
            return !s || s->family != family || s->n != h->known_sets[i].n;
    return 1;
}

/* ---- the words of ipset(8) ---- */

static int swap_sets(struct fake_set *a, struct fake_set *b)
{
    struct fake_set was = *a;

    if (a->family != b->family)
        return -EINVAL;
    a->elements = b->elements;
    a->n = b->n;
    b->elements = was.elements;
    b->n = was.n;
    return 0;
}

static int run_element(struct fake_set *s, bool add, const char *word)
{
    struct nsh_prefix p;

    if (nsh_prefix_parse(word, &p) != NSH_PREFIX_OK)
        return -EINVAL;
    return add ? element_add(s, &p) : element_remove(s, &p);
}

static int run_words(struct nsh_firewall_fake *f, char *const *word, size_t n)
{
    struct fake_set *s = fake_set_find(f, word[1]);

    if (strcmp(word[0], "create") == 0 && n >= 3)
        return set_create(f, word[1], n == 5 && strcmp(word[4], "inet6") == 0 ? AF_INET6 : AF_INET);
    if (!s)
        return -ENOENT;
    if (strcmp(word[0], "destroy") == 0)
        return set_destroy(f, word[1]);
    if (strcmp(word[0], "flush") == 0) {
        set_flush(s);
        return 0;
    }
    if (n == 3 && strcmp(word[0], "swap") == 0)
        return fake_set_find(f, word[2]) ? swap_sets(s, fake_set_find(f, word[2])) : -ENOENT;
    if (n == 3 && (strcmp(word[0], "add") == 0 || strcmp(word[0], "del") == 0))
        return run_element(s, word[0][0] == 'a', word[2]);
    return -EINVAL;
}

int nsh_firewall_fake_ipset(struct nsh_firewall_fake *f, const char *words)
{
    nsh_autofree char *text = strdup(words);
    char *word[IPSET_WORDS], *save = NULL;
    size_t n = 0;

    if (!text)
        return -ENOMEM;
    for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        if (n == IPSET_WORDS)
            return -E2BIG;
        word[n++] = p;
    }
    if (n < 3 || strcmp(word[0], "ipset") != 0)
        return -EINVAL;
    return run_words(f, word + 1, n - 1);
}

char *nsh_firewall_fake_set(const struct nsh_firewall_fake *f, const char *name)
{
    const struct fake_set *s = fake_set_find(f, name);
    char buf[NSH_PREFIX_TEXT], *text = NULL;
    size_t size;
    FILE *to = s ? open_memstream(&text, &size) : NULL;

    if (!to)
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        fprintf(to, "%s\n", nsh_prefix_format(&s->elements[i], buf));
    fclose(to);
    return text;
}

char *nsh_firewall_fake_set_names(const struct nsh_firewall_fake *f)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    for (size_t i = 0; i < f->n_sets; i++)
        fprintf(to, "%s\n", f->sets[i].name);
    fclose(to);
    return text;
}

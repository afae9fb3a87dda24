/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The world of the real kernel with ours on nftables. What is foreign stands in legacy iptables; an
 * iptables command that names something of ours is done with nft to what it is there, and what
 * `nft list` shows is told in the words of iptables-save. So the same scenarios hold for both.
 *
 * A built-in chain is seen as one: jumps of position first, foreign rules, the other jumps.
 */
#include "scenario-kernel.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORDS 32
#define MINE "MINE" /* a foreign chain's name in the scenarios */

static const struct nsh_world_ops *kernel_ops;

static const char *family_name(int family)
{
    return family == AF_INET6 ? "ip6" : "ip";
}

/* ---- nft's listing as iptables-save ---- */

struct spec {
    char from[64], to[64], in[32], out[32], rest[128], action[64], counts[48];
};

static char *next_word(char **line)
{
    char *word;

    do
        word = strsep(line, " \t");
    while (word && word[0] == '\0');
    return word;
}

static void add_device(char ret[static 32], const char *option, char *quoted)
{
    size_t n = strlen(quoted);

    if (n > 2 && quoted[n - 2] == '*')
        quoted[n - 2] = '+';
    snprintf(ret, 32, "%s %.*s ", option, (int)(n - 2), quoted + 1);
}

static void add_address(char ret[static 64], const char *option, const char *text, bool six)
{
    snprintf(ret, 64, "%s %s%s ", option, text, strchr(text, '/') ? "" : six ? "/128" : "/32");
}

static void add_jump(struct spec *s, const char *chain)
{
    const char *dash = strchr(chain, '-');

    snprintf(s->action, sizeof s->action, "-j " NSH_CHAIN_PREFIX "%s", dash ? dash + 1 : chain);
}

/* One match or statement; what is not known is shown as it is. */
static void take_word(struct spec *s, const char *word, char **line)
{
    if (strcmp(word, "oifname") == 0)
        add_device(s->out, "-o", next_word(line));
    else if (strcmp(word, "iifname") == 0)
        add_device(s->in, "-i", next_word(line));
    else if (strcmp(word, "jump") == 0)
        add_jump(s, next_word(line));
    else if (strcmp(word, "masquerade") == 0)
        snprintf(s->action, sizeof s->action, "-j MASQUERADE");
    else if (strcmp(word, "return") == 0)
        snprintf(s->action, sizeof s->action, "-j RETURN");
    else if (strcmp(word, "accept") == 0)
        snprintf(s->action, sizeof s->action, "-j ACCEPT");
    else if (strcmp(word, "comment") == 0)
        *line = NULL;
    else
        snprintf(s->rest + strlen(s->rest), sizeof s->rest - strlen(s->rest), "%s ", word);
}

static void take_address(struct spec *s, bool six, char **line)
{
    const char *which = next_word(line), *address = next_word(line);

    if (!which || !address)
        return;
    if (strcmp(which, "saddr") == 0)
        add_address(s->from, "-s", address, six);
    else
        add_address(s->to, "-d", address, six);
}

static void take_counter(struct spec *s, char **line)
{
    const char *packets, *bytes;

    next_word(line);
    packets = next_word(line);
    next_word(line);
    bytes = next_word(line);
    snprintf(s->counts, sizeof s->counts, "[%s:%s] ", packets ? packets : "", bytes ? bytes : "");
}

static void print_rule(FILE *to, const char *chain, char *line, bool counters)
{
    static const char *const same[][2] = {
            {"ct state invalid ", "-m conntrack --ctstate INVALID "},
            {"rt ipsec exists ", "-m policy --dir out --pol ipsec "},
    };
    struct spec s = {0};

    for (char *word = next_word(&line); word; word = next_word(&line)) {
        if (strcmp(word, "ip") == 0 || strcmp(word, "ip6") == 0)
            take_address(&s, strcmp(word, "ip6") == 0, &line);
        else if (strcmp(word, "counter") == 0)
            take_counter(&s, &line);
        else
            take_word(&s, word, &line);
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(same); i++)
        if (strcmp(s.rest, same[i][0]) == 0)
            snprintf(s.rest, sizeof s.rest, "%s", same[i][1]);
    fprintf(to, "%s-A %s %s%s%s%s%s%s\n", counters ? s.counts : "", chain, s.from, s.to, s.in,
            s.out, s.rest, s.action);
}

/* "nat_postrouting_first" is POSTROUTING; false: no base chain of ours. */
static bool hook_of(const char *chain, enum nsh_table table, char ret[static 32], bool *ret_first)
{
    const char *name = nsh_table_name(table), *end = strstr(chain, "_first");
    size_t n = strlen(name), at = 0;

    if (strncmp(chain, name, n) != 0 || chain[n] != '_')
        return false;
    for (const char *p = chain + n + 1; *p && p != end && at < 31; p++)
        ret[at++] = (char)toupper((unsigned char)*p);
    ret[at] = '\0';
    *ret_first = end != NULL;
    return true;
}

enum part { CHAINS, FIRST_JUMPS, OTHER_JUMPS };

/* What a chain is called there; false: it is not of this part of the table. */
static bool chain_of(const char *chain, enum nsh_table table, enum part part, char ret[static 32])
{
    const char *name = nsh_table_name(table);
    size_t n = strlen(name);
    bool first;

    if (hook_of(chain, table, ret, &first))
        return part == (first ? FIRST_JUMPS : OTHER_JUMPS);
    if (part != CHAINS)
        return false;
    if (strncmp(chain, name, n) == 0 && chain[n] == '-') {
        snprintf(ret, 32, NSH_CHAIN_PREFIX "%.20s", chain + n + 1);
        return true;
    }
    snprintf(ret, 32, "%.31s", chain);
    return table == NSH_TABLE_NAT && strcmp(chain, MINE) == 0;
}

/* A rule in a base chain of ours that is no jump of ours goes at the next repair. */
static void print_chains(
        FILE *to, const char *listing, enum nsh_table table, enum part part, bool counters)
{
    nsh_autofree char *copy = strdup(listing);
    char *rest = copy, name[32] = "";
    bool within = false;

    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char chain[64];

        if (sscanf(line, "\tchain %63[^ ] {", chain) == 1) {
            within = chain_of(chain, table, part, name);
            if (within && nsh_chain_is_ours(name))
                fprintf(to, ":%s - [0:0]\n", name);
        } else if (strcmp(line, "\t}") == 0) {
            within = false;
        } else if (within && (part == CHAINS || strstr(line, " jump "))) {
            print_rule(to, name, line, counters);
        }
    }
}

static char *nft_rules(struct nsh_world *w, int family, enum nsh_table table, bool counters)
{
    nsh_autofree char *foreign = kernel_ops->rules(w, family, table, counters);
    nsh_autofree char *ours = NULL;
    const char *end;
    char *text = NULL;
    size_t size;
    FILE *to;

    ours = nsh_kernel_capture(family == AF_INET6 ? "nft list ruleset ip6" : "nft list ruleset ip");
    to = open_memstream(&text, &size);
    if (!to || !foreign || !ours)
        return NULL;
    end = strstr(foreign, "COMMIT\n");
    print_chains(to, ours, table, CHAINS, counters);
    print_chains(to, ours, table, FIRST_JUMPS, counters);
    fprintf(to, "%.*s", (int)(end ? end - foreign : 0), foreign);
    print_chains(to, ours, table, OTHER_JUMPS, counters);
    fclose(to);
    return text;
}

/* ---- iptables' commands ---- */

struct command {
    struct nsh_world *world;
    int family;
    enum nsh_table table;
    char *words[WORDS];
    size_t n;
    const char *verb, *chain;
    unsigned place; /* 0: none */
    char rule[192], target[64];
};

static int nft(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int nft(const char *format, ...)
{
    char command[512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    return nsh_kernel_run("nft ", command);
}

static void chain_name(const struct command *c, const char *chain, bool first, char ret[static 48])
{
    int n = snprintf(ret, 48, "%s", nsh_table_name(c->table));

    if (nsh_chain_is_ours(chain)) {
        snprintf(ret + n, 48 - (size_t)n, "-%.20s", chain + strlen(NSH_CHAIN_PREFIX));
        return;
    }
    if (strcmp(chain, MINE) == 0) {
        snprintf(ret, 48, "%s", chain);
        return;
    }
    snprintf(ret + n, 48 - (size_t)n, "_%.20s%s", chain, first ? "_first" : "");
    for (char *p = ret; *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

/* The handle of a chain's rule by its number, or of the one with `text`; 0: there is none. */
static unsigned handle_of(
        const struct command *c, const char *chain, unsigned number, const char *text)
{
    char command[96];
    nsh_autofree char *listing = NULL;
    unsigned at = 0, handle = 0;
    char *rest;

    snprintf(command, sizeof command, "nft -a list table %s netshared", family_name(c->family));
    listing = nsh_kernel_capture(command);
    snprintf(command, sizeof command, "\tchain %s {", chain);
    rest = listing ? strstr(listing, command) : NULL;
    if (!rest)
        return 0;
    strsep(&rest, "\n");
    for (char *line = strsep(&rest, "\n"); line && strcmp(line, "\t}") != 0;
            line = strsep(&rest, "\n")) {
        const char *mark = strstr(line, "# handle ");

        if (!mark)
            continue;
        at++;
        if (text ? strstr(line, text) != NULL : at == number) {
            sscanf(mark, "# handle %u", &handle);
            return handle;
        }
    }
    return 0;
}

static unsigned count_of(const struct command *c, const char *chain)
{
    unsigned n = 0;

    while (handle_of(c, chain, n + 1, NULL))
        n++;
    return n;
}

/* The number of foreign rules in the built-in chain. */
static unsigned count_foreign(const struct command *c)
{
    nsh_autofree char *text = kernel_ops->rules(c->world, c->family, c->table, false);
    char start[64];
    unsigned n = 0;

    snprintf(start, sizeof start, "-A %s ", c->chain);
    for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        n += strncmp(p, start, strlen(start)) == 0;
    return n;
}

/* Where a rule of a built-in chain stands that is seen under c->place. 0: it is foreign. */
static unsigned place_of(const struct command *c, char ret_chain[static 48])
{
    char first[48];
    unsigned firsts, foreign = count_foreign(c);

    chain_name(c, c->chain, true, first);
    chain_name(c, c->chain, false, ret_chain);
    firsts = count_of(c, first);
    if (c->place <= firsts) {
        memcpy(ret_chain, first, sizeof first);
        return c->place;
    }
    return c->place > firsts + foreign ? c->place - firsts - foreign : 0;
}

/* A jump of ours with its name: one without it is no longer ours as we made it. */
static void translate(struct command *c, size_t from)
{
    char counter[64] = "counter ", verdict[64] = "", comment[64] = "";
    const char *ip = family_name(c->family);

    for (size_t i = from; i + 1 < c->n; i++) {
        const char *option = c->words[i], *value = c->words[i + 1];
        size_t at = strlen(c->rule), room = sizeof c->rule - at;

        if (strcmp(option, "-s") == 0 || strcmp(option, "-d") == 0)
            snprintf(c->rule + at, room, "%s %s %s ", ip, option[1] == 's' ? "saddr" : "daddr",
                    value);
        if (strcmp(option, "-o") == 0)
            snprintf(c->rule + at, room, "oifname %s ", value);
        if (strcmp(option, "-p") == 0)
            snprintf(c->rule + at, room, "meta l4proto %s ", value);
        if (strcmp(option, "-c") == 0)
            snprintf(counter, sizeof counter, "counter packets %s bytes %s ", value,
                    c->words[i + 2]);
        if (strcmp(option, "-j") == 0 && nsh_chain_is_ours(value)) {
            chain_name(c, value, false, verdict);
            snprintf(c->target, sizeof c->target, "%s", verdict);
            snprintf(comment, sizeof comment, " comment \"masquerade %.17s\"",
                    value + strlen(NSH_CHAIN_PREFIX));
        } else if (strcmp(option, "-j") == 0) {
            for (size_t k = 0; value[k]; k++)
                verdict[k] = (char)tolower((unsigned char)value[k]);
        }
    }
    snprintf(c->rule + strlen(c->rule), sizeof c->rule - strlen(c->rule), "%s%s%s%s", counter,
            c->target[0] ? "jump " : "", verdict, comment);
}

/* As netshared makes it, if it is not there. */
static int add_base(const struct command *c, const char *chain)
{
    const char *type = c->table == NSH_TABLE_NAT ? "nat" : "filter";
    const char *hook = strchr(chain, '_') + 1;

    if (handle_of(c, chain, 1, NULL) || strstr(chain, "_first"))
        return 0;
    return nft("add chain %s netshared %s { type %s hook %s priority %d ; }",
            family_name(c->family), chain, type, hook, c->table == NSH_TABLE_NAT ? 100 : -300);
}

static int run_on_hook(struct command *c)
{
    const char *family = family_name(c->family);
    char chain[48], text[64];
    unsigned at, handle;

    chain_name(c, c->chain, false, chain);
    switch (c->verb[1]) {
    case 'A':
        return add_base(c, chain) || nft("add rule %s netshared %s %s", family, chain, c->rule);
    case 'I': /* only in front of all is asked for */
        chain_name(c, c->chain, c->place == 1 && count_of(c, chain) == 0, chain);
        return nft("insert rule %s netshared %s %s", family, chain, c->rule);
    case 'D':
        snprintf(text, sizeof text, "jump %.31s ", c->target);
        handle = handle_of(c, chain, 0, text);
        if (!handle) {
            chain_name(c, c->chain, true, chain);
            handle = handle_of(c, chain, 0, text);
        }
        return nft("delete rule %s netshared %s handle %u", family, chain, handle);
    default:
        at = place_of(c, chain);
        return nft("replace rule %s netshared %s handle %u %s", family, chain,
                handle_of(c, chain, at, NULL), c->rule);
    }
}

static int run_on_chain(struct command *c)
{
    const char *family = family_name(c->family);
    char chain[48];
    unsigned handle;

    chain_name(c, c->chain, false, chain);
    handle = handle_of(c, chain, c->place, NULL);
    if (!nsh_chain_is_ours(c->chain) && nft("add chain %s netshared %s", family, chain) != 0)
        return -EIO;
    switch (c->verb[1]) {
    case 'N':
        return nft("add chain %s netshared %s", family, chain);
    case 'F':
        return nft("flush chain %s netshared %s", family, chain);
    case 'A':
        return nft("add rule %s netshared %s %s", family, chain, c->rule);
    case 'I':
        return nft("insert rule %s netshared %s handle %u %s", family, chain, handle, c->rule);
    case 'D':
        return nft("delete rule %s netshared %s handle %u", family, chain, handle);
    default:
        return nft("replace rule %s netshared %s handle %u %s", family, chain, handle, c->rule);
    }
}

/* All chains of the table: flushed, or deleted where nothing leads to them. */
static int run_on_all(const struct command *c)
{
    char command[96];
    nsh_autofree char *listing = NULL;
    const char *name = nsh_table_name(c->table);

    snprintf(command, sizeof command, "nft list ruleset %s", family_name(c->family));
    listing = nsh_kernel_capture(command);
    for (char *rest = listing, *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char chain[64];

        if (sscanf(line, "\tchain %63[^ ] {", chain) != 1 ||
                strncmp(chain, name, strlen(name)) != 0)
            continue;
        if (c->verb[1] == 'F' &&
                nft("flush chain %s netshared %s", family_name(c->family), chain) != 0)
            return -EIO;
        if (c->verb[1] == 'X' && strchr(chain, '-') &&
                nft("delete chain %s netshared %s", family_name(c->family), chain) != 0)
            return -EIO;
    }
    return 0;
}

static enum nsh_table table_named(const char *name)
{
    int t = 0;

    while (t < NSH_TABLE_COUNT && strcmp(nsh_table_name((enum nsh_table)t), name) != 0)
        t++;
    return (enum nsh_table)t;
}

/* "iptables -t nat -I CHAIN 2 …" */
static void parse(struct command *c, char *text)
{
    size_t rest = 5;

    for (char *word = next_word(&text); word && c->n < WORDS - 1; word = next_word(&text))
        c->words[c->n++] = word;
    if (c->n <= 3)
        return;
    c->table = table_named(c->words[2]);
    c->verb = c->words[3];
    c->chain = c->n > 4 ? c->words[4] : NULL;
    if (c->n > 5 && isdigit((unsigned char)c->words[5][0])) {
        c->place = (unsigned)atoi(c->words[5]);
        rest = 6;
    }
    if (c->n > rest)
        translate(c, rest);
}

/* A place that no foreign rule has is one of ours, whatever is done there. */
static bool is_ours(const struct command *c)
{
    char chain[48];

    if (nsh_chain_is_ours(c->chain) || c->target[0])
        return true;
    return c->verb[1] == 'R' && place_of(c, chain) > 0;
}

/* Foreign rules are counted without ours that stand before them. */
static int run_foreign(const struct command *c, const char *command)
{
    char first[48], text[256];
    const char *place = strstr(command, c->chain) + strlen(c->chain);
    unsigned firsts;

    if (c->place == 0)
        return kernel_ops->run(c->world, command);
    chain_name(c, c->chain, true, first);
    firsts = count_of(c, first);
    snprintf(text, sizeof text, "%.*s %u %s", (int)(place - command), command,
            c->place > firsts ? c->place - firsts : 1, strchr(place + 1, ' ') + 1);
    return kernel_ops->run(c->world, text);
}

static int run_iptables(struct nsh_world *w, const char *command)
{
    nsh_autofree char *copy = strdup(command);
    struct command c = {.world = w, .family = command[2] == '6' ? AF_INET6 : AF_INET};
    int rc = 0;

    if (!copy)
        return -ENOMEM;
    parse(&c, copy);
    if (!c.verb)
        return -EINVAL;
    if (!c.chain) {
        rc = kernel_ops->run(w, command);
        return rc ? rc : run_on_all(&c);
    }
    /* A chain of somebody's that leads to ours stands in our table. */
    if (strcmp(c.chain, MINE) == 0 && (c.target[0] || c.verb[1] == 'F'))
        return run_on_chain(&c);
    if (!is_ours(&c))
        return run_foreign(&c, command);
    return nsh_chain_is_ours(c.chain) ? run_on_chain(&c) : run_on_hook(&c);
}

static int nft_run(struct nsh_world *w, const char *command)
{
    if (strncmp(command, "iptables ", 9) == 0 || strncmp(command, "ip6tables ", 10) == 0)
        return run_iptables(w, command);
    return kernel_ops->run(w, command);
}

int nsh_world_nft_new(struct nsh_world **ret)
{
    static struct nsh_world_ops ops;
    struct nsh_world *w = NULL;
    struct nsh_firewall *firewall = NULL;
    int rc = nsh_world_kernel_new(&w);

    if (rc == 0)
        rc = nsh_firewall_nft_new(&firewall);
    if (rc != 0) {
        nsh_world_free(w);
        return rc;
    }
    if (!kernel_ops) {
        kernel_ops = w->ops;
        ops = *w->ops;
        ops.run = nft_run;
        ops.rules = nft_rules;
    }
    nsh_firewall_free(w->firewall);
    w->firewall = firewall;
    w->ops = &ops;
    *ret = w;
    return 0;
}

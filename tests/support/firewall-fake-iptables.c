/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fake firewall in the words of iptables(8): as much of them as tests say.
 */
#include "firewall-fake-table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 48

struct command {
    char *text;
    char *word[WORDS_MAX];
    size_t n, at;
    const struct nsh_firewall_fake *fake;
    struct fake_table *table;
};

static void command_clear(struct command *c)
{
    free(c->text);
}

/* The end of the word that begins here; quotes hold words together. */
static char *word_end(char *at)
{
    if (at[0] != '"')
        return at + strcspn(at, " ");
    return at + 1 + strcspn(at + 1, "\"");
}

static int command_split(struct command *c, const char *text)
{
    c->text = strdup(text);
    if (!c->text)
        return -ENOMEM;
    for (char *at = c->text + strspn(c->text, " "), *end; *at; at = end + strspn(end, " ")) {
        if (c->n == WORDS_MAX)
            return -E2BIG;
        end = word_end(at);
        c->word[c->n++] = at + (at[0] == '"');
        if (*end)
            *end++ = '\0';
    }
    return 0;
}

static bool next_is(struct command *c, const char *word)
{
    if (c->at == c->n || strcmp(c->word[c->at], word) != 0)
        return false;
    c->at++;
    return true;
}

static const char *next(struct command *c)
{
    return c->at < c->n ? c->word[c->at++] : "";
}

/* 0 when the next word is no number. */
static size_t next_number(struct command *c)
{
    char *end = NULL;
    size_t n = c->at < c->n ? strtoul(c->word[c->at], &end, 10) : 0;

    if (!end || *end)
        return 0;
    c->at++;
    return n;
}

/* ---- rules ---- */

static void append_word(char *text, size_t size, const char *word)
{
    size_t has = strlen(text);

    snprintf(text + has, size - has, "%s%s", has ? " " : "", word);
}

/* The words of a rule up to the end, counters taken out. */
static void rule_words(struct command *c, struct fake_rule *ret)
{
    *ret = (struct fake_rule){0};
    while (c->at < c->n) {
        if (next_is(c, "-c")) {
            ret->packets = next_number(c);
            ret->bytes = next_number(c);
            continue;
        }
        append_word(ret->text, sizeof(ret->text), next(c));
    }
}

static int parse_rule(struct command *c, struct fake_rule *ret)
{
    size_t start = c->at;
    struct nsh_packet_rule value = {.action = NSH_PACKET_OTHER};

    if (c->at == c->n)
        return -EINVAL;
    if (fake_rule_parse(c->table, c->word + c->at, c->n - c->at, &value) == 0) {
        struct fake_rule words;

        c->at = start;
        rule_words(c, &words);
        fake_rule_set(ret, &value);
        ret->packets = words.packets;
        ret->bytes = words.bytes;
    } else {
        c->at = start;
        rule_words(c, ret);
        ret->rule = (struct nsh_packet_rule){.action = NSH_PACKET_OTHER};
    }
    return fake_rule_check(c->fake, c->table, ret);
}

/* ---- commands ---- */

static int run_append(struct command *c, struct fake_chain *chain)
{
    struct fake_rule rule;
    int rc = parse_rule(c, &rule);

    return rc < 0 ? rc : fake_rule_insert(chain, chain->n_rules, &rule);
}

static int run_insert(struct command *c, struct fake_chain *chain)
{
    struct fake_rule rule;
    size_t at = next_number(c);
    int rc = parse_rule(c, &rule);

    return rc < 0 ? rc : fake_rule_insert(chain, at ? at - 1 : 0, &rule);
}

static int run_replace(struct command *c, struct fake_chain *chain)
{
    struct fake_rule rule;
    size_t at = next_number(c);
    int rc = parse_rule(c, &rule);

    if (rc < 0)
        return rc;
    if (at == 0 || at > chain->n_rules)
        return -E2BIG;
    chain->rules[at - 1] = rule;
    return 0;
}

static int run_delete(struct command *c, struct fake_chain *chain)
{
    struct fake_rule rule;
    size_t at = next_number(c);
    int rc;

    if (at)
        return fake_rule_remove(chain, at - 1);
    rc = parse_rule(c, &rule);
    for (size_t n = 0; rc == 0 && n < chain->n_rules; n++)
        if (fake_rule_same(&chain->rules[n], &rule))
            return fake_rule_remove(chain, n);
    return rc < 0 ? rc : -ENOENT;
}

static int run_flush(struct command *c, struct fake_chain *chain)
{
    if (chain) {
        fake_chain_flush(chain);
        return 0;
    }
    for (size_t i = 0; i < c->table->n_chains; i++)
        fake_chain_flush(&c->table->chains[i]);
    return 0;
}

static int run_remove(struct command *c, struct fake_chain *chain)
{
    if (chain)
        return chain->n_rules ? -ENOTEMPTY : fake_chain_remove(c->table, chain->name);
    for (size_t i = c->table->n_chains; i-- > 0;) {
        struct fake_chain *each = &c->table->chains[i];
        int rc = 0;

        if (!each->builtin)
            rc = each->n_rules ? -ENOTEMPTY : fake_chain_remove(c->table, each->name);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int run(struct command *c)
{
    static const struct {
        const char *option;
        int (*run)(struct command *c, struct fake_chain *chain);
        bool needs_chain;
    } commands[] = {
            {"-A", run_append, true},
            {"-I", run_insert, true},
            {"-R", run_replace, true},
            {"-D", run_delete, true},
            {"-F", run_flush, false},
            {"-X", run_remove, false},
    };
    const char *option = next(c);
    const char *name;
    struct fake_chain *chain;

    name = next(c);
    if (strcmp(option, "-N") == 0)
        return fake_chain_add(c->table, name, false);
    chain = *name ? fake_table_find(c->table, name) : NULL;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++) {
        if (strcmp(option, commands[i].option) != 0)
            continue;
        if (!chain && (commands[i].needs_chain || *name))
            return -ENOENT;
        return commands[i].run(c, chain);
    }
    return -EINVAL;
}

/* NSH_TABLE_COUNT: none is called so. */
static enum nsh_table table_by_name(const char *name)
{
    int t = 0;

    while (t < NSH_TABLE_COUNT && strcmp(name, nsh_table_name((enum nsh_table)t)) != 0)
        t++;
    return (enum nsh_table)t;
}

int nsh_firewall_fake_iptables(struct nsh_firewall_fake *f, const char *words)
{
    NSH_CLEANUP(command_clear) struct command c = {0};
    int family = NSH_V4;
    enum nsh_table table = NSH_TABLE_NAT;
    int rc = command_split(&c, words);

    if (rc < 0)
        return rc;
    if (next_is(&c, "ip6tables"))
        family = NSH_V6;
    else if (!next_is(&c, "iptables"))
        return -EINVAL;
    if (next_is(&c, "-t"))
        table = table_by_name(next(&c));
    if (table == NSH_TABLE_COUNT)
        return -EINVAL;
    c.fake = f;
    c.table = &f->tables[family][table];
    rc = fake_table_use(c.table, table);
    return rc < 0 ? rc : run(&c);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of the fake kernel: a list for each family in the order of their priorities, deletions that
 * take the first that fits, additions that are refused for what merely looks the same.
 */
#include "fib-fake-kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int fake_rules_init(struct nsh_fib_fake *k)
{
    static const struct {
        uint8_t family;
        uint32_t priority, table;
    } own[] = {
            {AF_INET, 0, RT_TABLE_LOCAL},
            {AF_INET, 32766, RT_TABLE_MAIN},
            {AF_INET, 32767, RT_TABLE_DEFAULT},
            {AF_INET6, 0, RT_TABLE_LOCAL},
            {AF_INET6, 32766, RT_TABLE_MAIN},
    };
    const struct fake_author kernel = {0};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(own); i++) {
        struct nsh_rule r = nsh_fib_fake_rule(own[i].family, own[i].priority, own[i].table);
        int rc;

        r.protocol = RTPROT_KERNEL;
        rc = fake_rule_write(k, &r, NSH_FIB_RULE_ADD, &kernel, NULL);
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct nsh_rule nsh_fib_fake_rule(uint8_t family, uint32_t priority, uint32_t table)
{
    return (struct nsh_rule){.family = family,
            .priority = priority,
            .table = table,
            .action = FR_ACT_TO_TBL,
            .uids = {0, NSH_UID_ANY_LAST},
            .suppress_length = NSH_SUPPRESS_NONE,
            .suppress_group = NSH_SUPPRESS_NONE,
            .protocol = RTPROT_BOOT};
}

static void tell(struct nsh_fib_fake *k, const struct fake_author *author,
        const struct nsh_rule *rule, bool gone)
{
    struct nsh_fib_event event = {
            .type = NSH_FIB_RULE, .rule = *rule, .family = rule->family, .gone = gone};

    fake_emit(k, author, &event);
}

static int add(struct nsh_fib_fake *k, const struct nsh_rule *rule)
{
    struct nsh_rule *grown = realloc(k->rules, (k->n_rules + 1) * sizeof(*k->rules));
    size_t i;

    if (!grown)
        return -ENOMEM;
    k->rules = grown;
    /* Behind all that are tried before it, or as soon. */
    for (i = k->n_rules; i > 0; i--) {
        const struct nsh_rule *before = &k->rules[i - 1];

        if (before->family < rule->family ||
                (before->family == rule->family && before->priority <= rule->priority))
            break;
        k->rules[i] = *before;
    }
    k->rules[i] = *rule;
    k->rules[i].origin = NSH_ORIGIN_NONE;
    nsh_rule_normalize(&k->rules[i]);
    k->n_rules++;
    return 0;
}

static int delete (
        struct nsh_fib_fake *k, const struct nsh_rule *rule, const struct fake_author *author)
{
    for (size_t i = 0; i < k->n_rules; i++) {
        struct nsh_rule gone = k->rules[i], asked = *rule;

        if (asked.protocol == 0)
            asked.protocol = gone.protocol;
        if (!nsh_rule_delete_takes(&asked, &gone))
            continue;
        memmove(&k->rules[i], &k->rules[i + 1], (--k->n_rules - i) * sizeof(*k->rules));
        tell(k, author, &gone, true);
        return 0;
    }
    return -ENOENT;
}

int fake_rule_write(struct nsh_fib_fake *k, const struct nsh_rule *rule,
        enum nsh_fib_rule_verb verb, const struct fake_author *author, const char **ret_why)
{
    int rc;

    if (ret_why)
        *ret_why = "";
    if (verb == NSH_FIB_RULE_DELETE)
        return delete (k, rule, author);
    if (rule->action == FR_ACT_GOTO && rule->target <= rule->priority) {
        if (ret_why)
            *ret_why = "Backward goto not supported";
        return -EINVAL;
    }
    for (size_t i = 0; verb == NSH_FIB_RULE_ADD && i < k->n_rules; i++)
        if (nsh_rule_add_meets(rule, &k->rules[i]))
            return -EEXIST;
    rc = add(k, rule);
    if (rc == 0)
        tell(k, author, rule, false);
    return rc;
}

int nsh_fib_fake_rule_write(struct nsh_fib_fake *k, const struct nsh_rule *rule,
        enum nsh_fib_rule_verb verb, uint32_t sender)
{
    const struct fake_author author = {.port = sender};

    return fake_rule_write(k, rule, verb, &author, NULL);
}

void nsh_fib_fake_rule_flush(struct nsh_fib_fake *k, int family, uint32_t sender)
{
    const struct fake_author author = {.port = sender};

    for (size_t i = k->n_rules; i-- > 0;) {
        struct nsh_rule gone = k->rules[i];

        if (gone.family != family || gone.priority == 0)
            continue;
        memmove(&k->rules[i], &k->rules[i + 1], (--k->n_rules - i) * sizeof(*k->rules));
        tell(k, &author, &gone, true);
    }
}

char *nsh_fib_fake_show_rules(const struct nsh_fib_fake *k, int family)
{
    char *text = NULL, one[NSH_RULE_TEXT];
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    for (size_t i = 0; i < k->n_rules; i++)
        if (k->rules[i].family == family)
            fprintf(to, "%s proto %u\n", nsh_rule_format(&k->rules[i], one, sizeof(one)),
                    k->rules[i].protocol);
    fclose(to);
    return text;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firewall plan's promises under random damage: both phases done, what is wanted stands, what
 * is foreign stands where it stood, and a new plan has nothing to do.
 */
#include "firewall-model.h"

/* ---- a random table ---- */

static void random_policies(uint64_t *seed, char *buf)
{
    buf[0] = '\0';
    for (unsigned i = 0; i < 8; i++) {
        char word[8] = {(char)('a' + (i * 5) % 8), '\0'};

        if (rt_random(seed, 2) == 0)
            continue;
        strcat(buf, rt_random(seed, 3) ? "" : "^");
        strcat(strcat(buf, word), " ");
    }
}

/* Foreign rules get a number each, so that their order can be checked. */
static void random_builtin(struct builtin *b, uint64_t *seed, unsigned n_max)
{
    unsigned n = rt_random(seed, n_max);

    for (unsigned i = 0; i < n; i++) {
        struct rule r = {.plain = true};

        if (rt_random(seed, 3) == 0)
            snprintf(r.word, sizeof(r.word), "F%hu", (unsigned short)(i % 1000));
        else
            snprintf(r.word, sizeof(r.word), "%c", 'a' + (char)rt_random(seed, 8));
        r.jump = r.word[0] != 'F';
        r.ban = !r.jump && rt_random(seed, 2) != 0;
        r.plain = !r.jump || rt_random(seed, 6) != 0;
        r.kind = r.jump ? (enum nsh_policy_kind)rt_random(seed, NSH_POLICY_KINDS) : NSH_POLICY_NONE;
        insert_rule(b, rt_random(seed, b->n + 1), &r);
    }
}

static void random_damage(struct table *t, uint64_t *seed)
{
    for (size_t i = 0; i < t->n_chains; i++) {
        struct chain *c = &t->chains[i];

        for (uint32_t k = rt_random(seed, 4); k > 0; k--) {
            uint32_t at = c->n > 0 ? rt_random(seed, (uint32_t)c->n) : 0;

            switch (rt_random(seed, 6)) {
            case 0:
                c->n = 0;
                break;
            case 1:
                insert_in_chain(c, at);
                break;
            case 2:
                if (c->n > 0)
                    remove_from_chain(c, at);
                break;
            case 3:
                if (c->n > 1)
                    move_rule(c, at, rt_random(seed, (uint32_t)c->n - 1));
                break;
            case 4:
                if (c->n > 0)
                    c->rules[at].action = NSH_PACKET_MASQUERADE;
                break;
            default:
                break;
            }
        }
    }
}

/* Chains that nothing leads to may be gone altogether. */
static void random_chains(struct table *t, const struct nsh_desired *d, uint64_t *seed)
{
    for (char x = 'a'; x < 'i'; x++) {
        char word[2] = {x, '\0'}, name[NSH_CHAIN_NAME];
        size_t i = 0;

        chain_name_of(word, name);
        if (!referred_to(t, name) && rt_random(seed, 2))
            continue;
        while (i < d->n_chains && strcmp(d->chains[i].name, name) != 0)
            i++;
        add_chain(t, name, i < d->n_chains ? d->chains[i].rules : NULL,
                i < d->n_chains ? d->chains[i].n_rules : 0);
    }
}

static void check_foreign(const struct builtin *before, const struct builtin *after)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < before->n; i++) {
        if (before->rules[i].jump)
            continue;
        while (at < after->n && after->rules[at].jump)
            at++;
        assert_true(at < after->n);
        assert_string_equal(before->rules[i].word, after->rules[at++].word);
    }
    while (at < after->n)
        assert_true(after->rules[at++].jump);
}

/*
 * The jumps are the wanted chains, each once, in order, position first before what is foreign but
 * for bans.
 */
static void check_jumps(const struct builtin *b, const struct nsh_desired *d)
{
    uint32_t at = 0;

    for (enum nsh_position position = NSH_POSITION_FIRST;; position = NSH_POSITION_LAST) {
        for (size_t i = 0; i < d->n_chains; i++) {
            if (d->chains[i].table != NSH_TABLE_NAT || d->chains[i].position != position)
                continue;
            while (at < b->n && !b->rules[at].jump) {
                assert_true(position == NSH_POSITION_LAST || b->rules[at].ban);
                at++;
            }
            assert_true(at < b->n && b->rules[at].plain);
            assert_true(
                    b->rules[at].kind == NSH_POLICY_NONE || b->rules[at].kind == d->chains[i].kind);
            assert_string_equal(b->rules[at++].word, d->chains[i].policy);
        }
        if (position == NSH_POSITION_LAST)
            break;
    }
    while (at < b->n)
        assert_false(b->rules[at++].jump);
}

static void check_chains(struct table *t, const struct nsh_desired *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_chains; i++) {
        const struct nsh_chain *want = &d->chains[i];
        const struct chain *c;

        if (want->table != NSH_TABLE_NAT)
            continue;
        n++;
        c = find_chain(t, want->name);
        assert_non_null(c);
        assert_int_equal(c->n, want->n_rules);
        for (size_t k = 0; k < c->n; k++)
            assert_true(nsh_packet_rule_equal(&c->rules[k], &want->rules[k]));
    }
    assert_int_equal(t->n_chains, n);
}

static void test_random(void **state)
{
    uint64_t seed = rt_seed();

    (void)state;
    for (int i = 0; i < 4000; i++) {
        char policies[64];
        struct nsh_firewall_plan *p = NULL;
        struct nsh_desired *d;
        static struct table t, before;

        random_policies(&seed, policies);
        d = desire(policies, 1 + rt_random(&seed, 6));
        make_table(&t, d, "");
        t.n_chains = 0;
        random_builtin(&t.builtins[0], &seed, 6);
        random_builtin(&t.builtins[1], &seed, 24);
        random_chains(&t, d, &seed);
        random_damage(&t, &seed);
        before = t;

        assert_int_equal(nsh_firewall_plan_new(d, AF_INET, NSH_TABLE_NAT, &p), 0);
        run_plan(p, &t, NSH_PHASE_UP);
        run_plan(p, &t, NSH_PHASE_DOWN);
        check_foreign(&before.builtins[0], &t.builtins[0]);
        check_foreign(&before.builtins[1], &t.builtins[1]);
        check_jumps(&t.builtins[1], d);
        check_chains(&t, d);
        assert_int_equal(run_plan(p, &t, NSH_PHASE_UP), 0);
        assert_int_equal(run_plan(p, &t, NSH_PHASE_DOWN), 0);
        for (size_t k = 0; k < d->n_chains; k++)
            assert_false(nsh_firewall_plan_touches(p, k));
        nsh_firewall_plan_free(p);
        nsh_desired_free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What import writes, read again by the real parser: policies do with random packets what the rules
 * did that they stand beside, and that they replace.
 */
#include "import-world.h"

struct packet {
    union nsh_addr from, to;
    char in[IFNAMSIZ], out[IFNAMSIZ];
    uint8_t protocol;
    uint16_t sport, dport;
    uint32_t mark;
    bool odd; /* matches what is not understood of rules */
};

static void random_address(union nsh_addr *ret)
{
    *ret = (union nsh_addr){0};
    ret->bytes[0] = 10;
    ret->bytes[1] = (uint8_t)below(3);
    ret->bytes[3] = (uint8_t)(1 + below(2));
}

static struct packet random_packet(bool source)
{
    struct packet p = {.protocol = one_in(2) ? IPPROTO_TCP : IPPROTO_UDP,
            .sport = (uint16_t)(20 + below(3)),
            .dport = (uint16_t)(80 + below(4)),
            .mark = below(2),
            .odd = one_in(2)};

    random_address(&p.from);
    random_address(&p.to);
    put_device(source ? p.out : p.in);
    return p;
}

static bool meets_prefix(const struct nsh_prefix *p, const union nsh_addr *a)
{
    return nsh_prefix_contains(p, AF_INET, a);
}

static bool meets_device(const char *wanted, const char *device)
{
    return wanted[0] == '\0' || strcmp(wanted, "+") == 0 || strcmp(wanted, device) == 0;
}

static bool meets_range(const struct nsh_range *r, uint16_t port)
{
    return r->last == 0 || (port >= r->first && port <= r->last);
}

static bool meets(const struct nsh_packet_rule *r, const struct packet *p)
{
    return meets_prefix(&r->from, &p->from) && meets_prefix(&r->to, &p->to) &&
           meets_device(r->in, p->in) && meets_device(r->out, p->out) &&
           (r->protocol == 0 || r->protocol == p->protocol) &&
           meets_range(&r->source_port, p->sport) && meets_range(&r->destination_port, p->dport) &&
           (p->mark & r->mark.mask) == r->mark.value && !r->translated && !r->local && !r->ipsec;
}

static bool in_prefixes(const struct nsh_foreign_prefixes *l, const union nsh_addr *a, bool empty)
{
    for (size_t i = 0; i < l->n; i++)
        if (meets_prefix(&l->items[i], a))
            return true;
    return l->n == 0 && empty;
}

static bool takes(const struct nsh_foreign_rule *f, const struct packet *p)
{
    const struct nsh_foreign_ports *ports = &f->destination_ports;
    bool port = ports->n == 0;

    for (size_t i = 0; i < ports->n; i++)
        port = port || meets_range(&ports->items[i], p->dport);
    if (f->why[0] != '\0' && !p->odd)
        return false;
    return port && meets(&f->needs, p) && in_prefixes(&f->from, &p->from, true) &&
           in_prefixes(&f->to, &p->to, true) && !in_prefixes(&f->except_from, &p->from, false) &&
           !in_prefixes(&f->except_to, &p->to, false) &&
           !(f->spares.from.family && meets_prefix(&f->spares.from, &p->from)) &&
           !(f->spares.to.family && meets_prefix(&f->spares.to, &p->to)) &&
           !(f->spares.out[0] && meets_device(f->spares.out, p->out));
}

/* What becomes of a packet: RETURN for nothing. The ports are those it comes to. */
struct outcome {
    enum nsh_packet_action action;
    struct nsh_packet_nat nat;
    struct nsh_prefix map;
};

static struct outcome outcome_of(const struct nsh_packet_rule *r, const struct packet *p)
{
    struct outcome o = {.action = r->action, .map = r->map};

    o.nat = r->nat;
    if (r->action == NSH_PACKET_DNAT &&
            (o.nat.ports.last == 0 || o.nat.ports.first != o.nat.ports.last))
        o.nat.ports = (struct nsh_range){p->dport, p->dport};
    return o;
}

static const struct outcome nothing = {.action = NSH_PACKET_RETURN};

static struct outcome ask_ours(
        const struct nsh_desired *d, const char *hook, const struct packet *p)
{
    for (size_t i = 0; i < d->n_chains; i++) {
        const struct nsh_chain *c = &d->chains[i];

        if (c->table != NSH_TABLE_NAT || strcmp(c->hook, hook) != 0)
            continue;
        for (size_t k = 0; k < c->n_rules; k++) {
            if (!meets(&c->rules[k], p))
                continue;
            if (c->rules[k].action == NSH_PACKET_RETURN)
                break;
            return outcome_of(&c->rules[k], p);
        }
    }
    return nothing;
}

/* `gone`: rules that were removed. `ended`: nothing more is asked. */
static struct outcome ask_theirs(const struct nsh_import *m, const char *gone, const char *hook,
        const struct packet *p, bool *ended)
{
    uint32_t spared = UINT32_MAX;

    for (size_t i = 0; i < m->n_foreign; i++) {
        const struct nsh_foreign_rule *f = &m->foreign[i];
        char line[NSH_FOREIGN_TEXT + 8];

        (void)snprintf(line, sizeof line, "#   %s\n", f->remove);
        if (strcmp(f->hook, hook) != 0 || f->chain == spared || strstr(gone, line) || !takes(f, p))
            continue;
        if (f->needs.action == NSH_PACKET_ACCEPT || f->needs.action == NSH_PACKET_RETURN) {
            *ended = f->legacy;
            spared = f->chain;
            if (*ended)
                return nothing;
            continue;
        }
        *ended = true;
        return outcome_of(&f->needs, p);
    }
    return nothing;
}

static struct outcome ask(const struct nsh_import *m, const char *gone, const struct nsh_desired *d,
        bool ours_first, const char *hook, const struct packet *p)
{
    bool ended = false;
    struct outcome o = ours_first ? ask_ours(d, hook, p) : nothing;

    if (o.action != NSH_PACKET_RETURN)
        return o;
    o = ask_theirs(m, gone, hook, p, &ended);
    return ended || ours_first ? o : ask_ours(d, hook, p);
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return a->action == b->action && a->nat.family == b->nat.family &&
           nsh_addr_cmp(&a->nat.first, &b->nat.first) == 0 &&
           nsh_addr_cmp(&a->nat.last, &b->nat.last) == 0 &&
           a->nat.ports.first == b->nat.ports.first && a->nat.ports.last == b->nat.ports.last &&
           a->nat.random == b->nat.random && a->nat.persistent == b->nat.persistent &&
           nsh_prefix_cmp(&a->map, &b->map) == 0;
}

static struct nsh_prefix small_prefix(void)
{
    struct nsh_prefix p = {.family = AF_INET, .length = (uint8_t)(one_in(2) ? 16 : 8 + below(24))};

    random_address(&p.addr);
    nsh_prefix_mask(&p);
    return p;
}

static void random_matches(struct nsh_foreign_rule *f, bool source)
{
    struct nsh_packet_rule *n = &f->needs;

    if (one_in(2))
        n->from = small_prefix();
    else if (one_in(4))
        f->from = (struct nsh_foreign_prefixes){.items = {small_prefix(), small_prefix()}, .n = 2};
    else if (one_in(4))
        f->spares.from = small_prefix();
    if (one_in(6))
        n->to = small_prefix();
    else if (one_in(3) && source)
        f->spares.to = small_prefix();
    else if (one_in(5) && source)
        f->except_to =
                (struct nsh_foreign_prefixes){.items = {small_prefix(), small_prefix()}, .n = 2};
    if (!one_in(4))
        put_device(source ? n->out : n->in);
    if (one_in(source ? 4 : 1)) {
        n->protocol = one_in(2) ? IPPROTO_TCP : IPPROTO_UDP;
        if (one_in(4))
            f->destination_ports =
                    (struct nsh_foreign_ports){.items = {{80, 80}, {82, 82}}, .n = 2};
        else
            n->destination_port = (struct nsh_range){80 + below(2), 81 + below(2)};
    }
    if (one_in(8))
        n->mark = (struct nsh_mark){1, one_in(2) ? 1 : UINT32_MAX};
    if (one_in(6))
        put(f->why, "something");
}

static void random_nat(struct nsh_foreign_rule *f, bool source)
{
    struct nsh_packet_rule *n = &f->needs;

    n->action = !source ? NSH_PACKET_DNAT : one_in(2) ? NSH_PACKET_SNAT : NSH_PACKET_MASQUERADE;
    if (n->action != NSH_PACKET_MASQUERADE) {
        n->nat.family = AF_INET;
        n->nat.first.bytes[0] = 192;
        n->nat.first.bytes[3] = (uint8_t)(1 + below(3));
        n->nat.last = n->nat.first;
    }
    if (n->protocol && one_in(2))
        n->nat.ports = (struct nsh_range){8000, 8000};
    if (source && one_in(4))
        n->nat.random = NSH_RANDOM_FULLY;
}

static void random_foreign(struct nsh_import *m, bool legacy)
{
    static const char *const hooks[] = {"PREROUTING", "POSTROUTING"};
    uint32_t number = 0;

    for (uint32_t h = 0; h < 2; h++)
        for (uint32_t i = 0, n = below(5); i < n; i++) {
            struct nsh_foreign_rule *f = add_foreign(m);

            f->hook = hooks[h];
            f->legacy = legacy;
            f->chain = 2 * h + (!legacy && i > 2);
            random_matches(f, h == 1);
            if (one_in(3))
                f->needs.action = one_in(2) ? NSH_PACKET_ACCEPT : NSH_PACKET_RETURN;
            else
                random_nat(f, h == 1);
            if (one_in(3) && (f->needs.action == NSH_PACKET_ACCEPT)) {
                f->needs =
                        (struct nsh_packet_rule){.to = small_prefix(), .action = NSH_PACKET_ACCEPT};
                f->from.n = f->except_to.n = f->destination_ports.n = 0;
                f->spares = (struct nsh_packet_rule){0};
                f->why[0] = '\0';
            }
            (void)snprintf(f->remove, sizeof f->remove, "rm %u", ++number);
            (void)snprintf(f->text, sizeof f->text, "rule %u", number);
            put(f->place, legacy ? "legacy" : "nft");
        }
}

/* Both directions, at some place among the others. */
static void random_map(struct nsh_import *m, bool legacy)
{
    struct nsh_foreign_rule *last = add_foreign(m), *first, was;
    size_t at;

    last->legacy = legacy;
    last->chain = legacy ? 2 : 4;
    last->needs = (struct nsh_packet_rule){.action = NSH_PACKET_NETMAP,
            .from = {.family = AF_INET, .length = 16, .addr.bytes = {10, 1}},
            .map = {.family = AF_INET, .length = 16, .addr.bytes = {10, 2}}};
    put(last->needs.out, "eth0");
    put(last->text, "map out");
    put(last->remove, "rm 100");
    was = *last;
    first = add_foreign(m);
    *first = was;
    first->hook = "PREROUTING";
    first->chain = 0;
    first->needs.to = was.needs.map;
    first->needs.map = was.needs.from;
    first->needs.from = (struct nsh_prefix){0};
    put(first->needs.in, "eth0");
    first->needs.out[0] = '\0';
    put(first->text, "map in");
    put(first->remove, "rm 101");
    /* PREROUTING stands before. */
    was = *first;
    for (at = m->n_foreign - 1;
            at > 0 && (strcmp(m->foreign[at - 1].hook, "POSTROUTING") == 0 || one_in(2)); at--)
        m->foreign[at] = m->foreign[at - 1];
    m->foreign[at] = was;
}

static size_t try_packets(const struct nsh_import *m, const struct nsh_desired *d, const char *text)
{
    size_t translated = 0;

    for (unsigned i = 0; i < 200; i++) {
        bool source = one_in(2), ended = false;
        const char *hook = source ? "POSTROUTING" : "PREROUTING";
        struct packet p = random_packet(source);
        struct outcome before = ask_theirs(m, "", hook, &p, &ended);
        bool legacy = m->n_foreign > 0 && m->foreign[0].legacy;

        translated += before.action != NSH_PACKET_RETURN;
        for (int first = 0; first < (legacy ? 1 : 2); first++)
            for (int after = 0; after < 2; after++) {
                struct outcome o = ask(m, after ? text : "", d, first, hook, &p);

                if (same(&o, &before))
                    continue;
                print_error("%s", text);
                fail_msg("%s, %s: another outcome", hook, after ? "when they are gone" : "beside");
            }
    }
    return translated;
}

static void test_policies_random(void **state)
{
    size_t taken = 0, gone = 0, left = 0, translated = 0;

    (void)state;
    for (uint32_t round = 1; round < 6 * ROUNDS; round++) {
        NSH_CLEANUP(nsh_desired_freep) struct nsh_desired *d = NULL;
        bool legacy = round % 2;
        struct nsh_import m;
        struct nsh_config *c;
        char *text;

        seed = round;
        begin(&m);
        random_foreign(&m, legacy);
        if (one_in(3))
            random_map(&m, legacy);
        text = written(&m);
        c = judged(&m, text);
        taken += c->n_masquerades + c->n_port_forwards + c->n_network_maps;
        gone += count(text, "\n#   rm ");
        left += count(text, "# not taken: ");
        assert_int_equal(nsh_desired_new(c, &d), 0);
        translated += try_packets(&m, d, text);
        free(text);
        nsh_import_done(&m);
    }
    /* It is about something. */
    print_message("# %zu policies, %zu rules gone, %zu left, %zu packets translated\n", taken, gone,
            left, translated);
    assert_true(taken > ROUNDS && gone > ROUNDS && left > ROUNDS && translated > ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_policies_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of keys: that each says all that is read from it, and that what they call the value
 * of an absent key is what its absence means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "config-keys.h"
#include "config-routes.h"
#include "config.h"

#define HELP_MAX 110

/* ---- that they are whole ---- */

static void check_object(const struct nsh_object *object);

static void check_key(const struct nsh_object *object, const struct nsh_key *key)
{
    const struct nsh_key_type *type = key->type;

    assert_true(strlen(key->help) < HELP_MAX && !strchr(key->help, '\n'));
    assert_true(strchr(key->help, '\0')[-1] != '.');
    if (type->object)
        check_object(type->object);
    if (type->shape != NSH_SHAPE_SCALAR)
        return;
    if (type->forms == 0)
        fail_msg("'%s' of a %s: nothing says how it is written", key->name, object->noun);
    assert_true(!(type->forms & NSH_FORM_WORD) || key->words || type->words);
    assert_true(!type->pattern || type->forms & NSH_FORM_TEXT);
}

static void check_object(const struct nsh_object *object)
{
    assert_true(object->n_keys <= NSH_KEYS_MAX);
    for (size_t i = 0; i < object->n_keys; i++) {
        const struct nsh_key *key = &object->keys[i];

        assert_non_null(key->name);
        if (key->flags & NSH_KEY_ALIAS)
            assert_true(key->same_as < object->n_keys && object->keys[key->same_as].type);
        else
            check_key(object, key);
    }
}

static void test_whole(void **state)
{
    (void)state;
    check_object(&nsh_config_root);
}

/* ---- what absent keys mean ---- */

/* Those of the object that mean something where they are absent: "key: value, ...". */
static char *write_defaults(const struct nsh_object *object)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    for (size_t i = 0; i < object->n_keys; i++)
        if (object->keys[i].otherwise)
            fprintf(f, "%s%s: %s", ftell(f) > 0 ? ", " : "", object->keys[i].name,
                    object->keys[i].otherwise);
    assert_int_equal(fclose(f), 0);
    assert_true(size > 0);
    return text;
}

/* The defaults go where the text has an @. */
static struct nsh_config *load_with(const struct nsh_object *object, const char *text)
{
    nsh_autofree char *defaults = write_defaults(object);
    nsh_autoclose int fd = memfd_create("test", MFD_CLOEXEC);
    struct nsh_config_source source = {
            .path = "netshared.yaml", .archive_fd = -1, .is_open = true, .fd = fd};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *c = NULL;

    assert_true(dprintf(fd, "version: 1\n") > 0);
    assert_true(dprintf(fd, "%.*s%s%s", (int)strcspn(text, "@"), text, defaults,
                        strchr(text, '@') + 1) > 0);
    if (nsh_config_load(&source, diags, &c) != 0)
        nsh_diags_print(diags, stderr);
    assert_non_null(c);
    nsh_diags_free(diags);
    return c;
}

static void test_settings(void **state)
{
    struct nsh_config *c = load_with(&nsh_object_settings, "settings: {@}\n");
    struct nsh_settings wanted;

    (void)state;
    nsh_settings_default(&wanted);
    assert_int_equal(c->settings.firewall, wanted.firewall);
    assert_int_equal(c->settings.forwarding, wanted.forwarding);
    assert_int_equal(c->settings.on_stop, wanted.on_stop);
    assert_int_equal(c->settings.route_protocol, wanted.route_protocol);
    assert_int_equal(c->settings.resync_usec, wanted.resync_usec);
    assert_int_equal(c->settings.check_mark, wanted.check_mark);
    assert_int_equal(c->settings.check_table, wanted.check_table);
    assert_int_equal(c->settings.check_priority, wanted.check_priority);
    nsh_config_free(c);
}

static void assert_same_routes(const struct nsh_config *c)
{
    assert_int_equal(c->n_routes, 2);
    assert_int_equal(c->routes[0].table, c->routes[1].table);
    assert_int_equal(c->routes[0].metric, c->routes[1].metric);
    assert_int_equal(c->routes[0].tos, c->routes[1].tos);
    assert_ptr_equal(c->routes[0].props, c->routes[1].props); /* what is equal is kept once */
}

static void test_routes(void **state)
{
    struct nsh_config *c =
            load_with(&nsh_object_route, "routes:\n"
                                         "  - {to: '2001:db8:1::/48', via: '2001:db8::1'}\n"
                                         "  - {to: '2001:db8:2::/48', via: '2001:db8::1', @}\n");

    (void)state;
    assert_same_routes(c);
    nsh_config_free(c);
}

static void test_nexthops(void **state)
{
    struct nsh_config *c = load_with(&nsh_object_hop,
            "routes:\n"
            "  - {to: 10.0.0.0/8, nexthops: [{via: 192.0.2.1}, {via: 192.0.2.2}]}\n"
            "  - {to: 11.0.0.0/8, nexthops: [{via: 192.0.2.1, @}, {via: 192.0.2.2}]}\n");

    (void)state;
    assert_same_routes(c);
    nsh_config_free(c);
}

static void test_checks(void **state)
{
    struct nsh_config *c = load_with(nsh_type_check.object,
            "routes:\n"
            "  - {to: 10.0.0.0/8, via: 192.0.2.1, check: {ping: 1.1.1.1}}\n"
            "  - {to: 11.0.0.0/8, via: 192.0.2.1, check: {ping: 1.1.1.1, @}}\n");

    (void)state;
    assert_int_equal(c->n_gates, 2); /* none, and the one that both are */
    nsh_config_free(c);
}

static void test_rules(void **state)
{
    struct nsh_config *c =
            load_with(&nsh_object_rule, "rules:\n"
                                        "  - {from: 10.0.0.0/8, table: 5, priority: 1}\n"
                                        "  - {from: 10.0.0.0/8, table: 5, priority: 2, @}\n");

    (void)state;
    assert_int_equal(c->n_rules, 2);
    c->rules[1].priority = 1;
    assert_true(nsh_rule_equal(&c->rules[0], &c->rules[1]));
    nsh_config_free(c);
}

static void assert_same_policies(const struct nsh_policy *a, const struct nsh_policy *b)
{
    assert_int_equal(a->families, b->families);
    assert_int_equal(a->disabled, b->disabled);
}

static void test_masquerade(void **state)
{
    struct nsh_config *c = load_with(&nsh_object_masquerade,
            "masquerade:\n"
            "  - {name: a, out: eth0, to-source: 192.0.2.1-192.0.2.9}\n"
            "  - {name: b, out: eth0, to-source: 192.0.2.1-192.0.2.9, @}\n");
    const struct nsh_masquerade *a = &c->masquerades[0], *b = &c->masquerades[1];

    (void)state;
    assert_same_policies(&a->policy, &b->policy);
    assert_int_equal(a->position, b->position);
    assert_int_equal(a->random, b->random);
    assert_int_equal(a->persistent, b->persistent);
    assert_int_equal(a->log, b->log);
    assert_int_equal(a->ipsec, b->ipsec);
    nsh_config_free(c);
}

static void test_share(void **state)
{
    struct nsh_config *c = load_with(&nsh_object_share, "share:\n"
                                                        "  - {name: a, lan: eth0, wan: eth1}\n"
                                                        "  - {name: b, lan: eth2, wan: eth3, @}\n");
    const struct nsh_share *a = &c->shares[0], *b = &c->shares[1];

    (void)state;
    assert_same_policies(&a->policy, &b->policy);
    assert_int_equal(a->masquerade_ipv6, b->masquerade_ipv6);
    assert_int_equal(a->allow_inbound, b->allow_inbound);
    assert_int_equal(a->keep_mss, b->keep_mss);
    assert_int_equal(a->isolate, b->isolate);
    nsh_config_free(c);
}

static void test_port_forwards(void **state)
{
    struct nsh_config *c = load_with(&nsh_object_port_forward,
            "port-forwards:\n"
            "  - {name: a, in: eth0, protocol: tcp, port: 1, to: 10.0.0.1}\n"
            "  - {name: b, in: eth0, protocol: tcp, port: 2, to: 10.0.0.1, @}\n");
    const struct nsh_port_forward *a = &c->port_forwards[0], *b = &c->port_forwards[1];

    (void)state;
    assert_same_policies(&a->policy, &b->policy);
    assert_int_equal(a->hairpin.n, b->hairpin.n);
    nsh_config_free(c);
}

static void test_network_map(void **state)
{
    struct nsh_config *c = load_with(&nsh_object_network_map,
            "network-map:\n"
            "  - {name: a, dev: eth0, inside: 10.0.0.0/24, outside: 10.0.1.0/24}\n"
            "  - {name: b, dev: eth0, inside: 10.0.2.0/24, outside: 10.0.3.0/24, @}\n");

    (void)state;
    assert_same_policies(&c->network_maps[0].policy, &c->network_maps[1].policy);
    nsh_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_whole),
            cmocka_unit_test(test_settings),
            cmocka_unit_test(test_routes),
            cmocka_unit_test(test_nexthops),
            cmocka_unit_test(test_checks),
            cmocka_unit_test(test_rules),
            cmocka_unit_test(test_masquerade),
            cmocka_unit_test(test_share),
            cmocka_unit_test(test_port_forwards),
            cmocka_unit_test(test_network_map),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

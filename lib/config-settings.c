/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `settings`, and the root: which sections there are.
 */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"

#define SECOND 1000000ULL
#define NAME_OF_OURS "netshared" /* in rt_protos */

enum settings_key {
    KEY_FIREWALL,
    KEY_FORWARDING,
    KEY_ROUTE_PROTOCOL,
    KEY_RESYNC,
    KEY_ON_STOP,
    KEY_FLUSH_CONNTRACK,
    KEY_CHECK_MARK,
    KEY_CHECK_TABLE,
    KEY_CHECK_PRIORITY,
    KEY_CONFIRM_RELOAD,
    KEY_WATCH,
};

struct settings_draft {
    struct nsh_draft draft;
    unsigned firewall, forwarding, on_stop, flush_conntrack;
    uint32_t route_protocol;
    uint64_t resync_usec, confirm_reload_usec;
    struct nsh_mark check_mark;
    uint32_t check_table, check_priority;
    bool watch;
};

static const struct nsh_word firewalls[] = {
        {"auto", NSH_FIREWALL_AUTO},
        {"iptables", NSH_FIREWALL_IPTABLES},
        {"nftables", NSH_FIREWALL_NFTABLES},
        {NULL, 0},
};

static const struct nsh_word forwardings[] = {
        {"auto", NSH_FORWARDING_AUTO},
        {"leave", NSH_FORWARDING_LEAVE},
        {NULL, 0},
};

static const struct nsh_word on_stops[] = {
        {"keep", NSH_ON_STOP_KEEP},
        {"remove", NSH_ON_STOP_REMOVE},
        {NULL, 0},
};

static const struct nsh_word flushes[] = {
        {"never", NSH_FLUSH_CONNTRACK_NEVER},
        {"changed", NSH_FLUSH_CONNTRACK_CHANGED},
        {NULL, 0},
};

#define FIELD(member) .offset = offsetof(struct settings_draft, member)

static const struct nsh_key keys[] = {
        [KEY_FIREWALL] = {"firewall", &nsh_type_word, FIELD(firewall), .words = firewalls,
                .known_as = "backend nat", .otherwise = "auto",
                .help = "what keeps the masquerade rules"},
        [KEY_FORWARDING] = {"forwarding", &nsh_type_word, FIELD(forwarding), .words = forwardings,
                .known_as = "ip_forward ip-forward ipforward", .otherwise = "auto",
                .help = "auto switches on what the policies need, leave never touches it"},
        [KEY_ROUTE_PROTOCOL] = {"route-protocol", &nsh_type_integer, FIELD(route_protocol),
                .min = 5, .max = 255, .known_as = "protocol proto", .otherwise = "110",
                .help = "the protocol number that marks our routes and rules"},
        [KEY_RESYNC] = {"resync", &nsh_type_duration, FIELD(resync_usec), .min = SECOND,
                .max = 365ULL * 86400 * SECOND, .known_as = "interval poll", .otherwise = "60s",
                .help = "how often everything is compared with the kernel"},
        [KEY_ON_STOP] = {"on-stop", &nsh_type_word, FIELD(on_stop), .words = on_stops,
                .otherwise = "keep",
                .help = "whether routes and rules stay when the service is stopped"},
        [KEY_FLUSH_CONNTRACK] = {"flush-conntrack", &nsh_type_word, FIELD(flush_conntrack),
                .words = flushes, .known_as = "conntrack flush conntrack-flush",
                .help = "which flows a change of the policies ends"},
        [KEY_CHECK_MARK] = {"check-mark", &nsh_type_mark, FIELD(check_mark),
                .known_as = "fwmark mark probe-mark", .otherwise = "0x6e000000",
                .help = "the first of the marks that the probes of checks carry"},
        [KEY_CHECK_TABLE] = {"check-table", &nsh_type_integer, FIELD(check_table),
                .min = RT_TABLE_LOCAL + 1, .max = UINT32_MAX - NSH_GATES_MAX,
                .known_as = "probe-table", .otherwise = "11000",
                .help = "the first of the tables of their routes"},
        [KEY_CHECK_PRIORITY] = {"check-priority", &nsh_type_integer, FIELD(check_priority),
                .min = 1, .max = 32765, .known_as = "probe-priority", .otherwise = "1",
                .help = "the priority of the rules that lead there"},
        [KEY_CONFIRM_RELOAD] = {"confirm-reload", &nsh_type_duration, FIELD(confirm_reload_usec),
                .min = NSH_TRIAL_MIN, .max = NSH_TRIAL_MAX, .known_as = "confirm try",
                .help = "a reload holds only if 'netshared confirm' follows within this time"},
        [KEY_WATCH] = {"watch", &nsh_type_bool, FIELD(watch), .known_as = "follow inotify",
                .otherwise = "false", .help = "a change of the files is a reload"},
};

_Static_assert(NSH_ARRAY_SIZE(keys) <= NSH_SETTINGS_KEYS, "each has a place");

/* The settings so far, in the form of a draft, so that both are compared and set key by key. */
static struct settings_draft to_draft(const struct nsh_settings *s)
{
    return (struct settings_draft){
            .firewall = s->firewall,
            .forwarding = s->forwarding,
            .on_stop = s->on_stop,
            .flush_conntrack = s->flush_conntrack,
            .route_protocol = s->route_protocol,
            .resync_usec = s->resync_usec,
            .check_mark = {s->check_mark, UINT32_MAX},
            .check_table = s->check_table,
            .check_priority = s->check_priority,
            .confirm_reload_usec = s->confirm_reload_usec,
            .watch = s->watch,
    };
}

static void from_draft(const struct settings_draft *d, struct nsh_settings *s)
{
    s->firewall = d->firewall;
    s->forwarding = d->forwarding;
    s->on_stop = d->on_stop;
    s->flush_conntrack = d->flush_conntrack;
    s->route_protocol = (uint8_t)d->route_protocol;
    s->resync_usec = d->resync_usec;
    s->check_mark = d->check_mark.value;
    s->check_table = d->check_table;
    s->check_priority = d->check_priority;
    s->confirm_reload_usec = d->confirm_reload_usec;
    s->watch = d->watch;
}

/* There is room above it, and the probes carry it whole. */
static void check_mark(struct nsh_loader *l, const struct settings_draft *d)
{
    struct nsh_mark m = d->check_mark;
    char hint[NSH_HINT_TEXT];

    if (!nsh_given(&d->draft, KEY_CHECK_MARK))
        return;
    (void)snprintf(hint, sizeof(hint), "it can be 1 to 0x%x", UINT32_MAX - NSH_GATES_MAX);
    if (m.mask != UINT32_MAX)
        nsh_loader_error(l, d->draft.marks[KEY_CHECK_MARK], "leave the mask out",
                "'check-mark' has a mask, and probes carry all of it");
    else if (m.value == 0 || m.value > UINT32_MAX - NSH_GATES_MAX)
        nsh_loader_error(l, d->draft.marks[KEY_CHECK_MARK], hint,
                "'check-mark' is out of range: 0x%x", m.value);
}

static void finish_settings(struct nsh_loader *l, void *draft)
{
    struct settings_draft *d = draft, all = to_draft(&l->config->settings);
    char hint[NSH_HINT_TEXT], place[NSH_PLACE_TEXT];

    check_mark(l, d);

    for (unsigned i = 0; i < NSH_ARRAY_SIZE(keys); i++) {
        void *to = (char *)&all + keys[i].offset;
        const void *from = (const char *)d + keys[i].offset;

        if (!nsh_given(&d->draft, i))
            continue;
        if (l->settings_at[i] == NSH_ORIGIN_NONE) {
            l->settings_at[i] = nsh_origins_at(l->config->origins, d->draft.marks[i].line);
            memcpy(to, from, keys[i].type->size);
        } else if (memcmp(to, from, keys[i].type->size) != 0) {
            (void)snprintf(hint, sizeof(hint), "the first is at %s",
                    nsh_loader_place(l, l->settings_at[i], place, sizeof(place)));
            nsh_loader_error(l, d->draft.marks[i], hint,
                    "'%s' is given in two files with different values", keys[i].name);
        }
    }
    from_draft(&all, &l->config->settings);
}

const struct nsh_object nsh_object_settings = {
        .noun = "settings",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct settings_draft),
        .finish = finish_settings,
};

/* The protocol in force, given or not: another program's would make its routes ours. */
void nsh_finish_settings(struct nsh_loader *l)
{
    nsh_origin at = l->settings_at[KEY_ROUTE_PROTOCOL];
    unsigned protocol = l->config->settings.route_protocol;
    char shown[NSH_NAME_MAX * 4];
    const char *other;
    uint32_t line;

    l->config->forwarding_at = l->settings_at[KEY_FORWARDING];
    if (nsh_names_read(&l->protocols, nsh_names_directories, "rt_protos") < 0) {
        nsh_loader_no_memory(l);
        return;
    }
    other = nsh_names_other(&l->protocols, protocol, NAME_OF_OURS);
    if (!other)
        return;
    l->path = nsh_origins_resolve(
            l->config->origins, at != NSH_ORIGIN_NONE ? at : NSH_ORIGIN_NONE + 1, &line);
    nsh_loader_error(l, (struct nsh_yaml_mark){.line = at != NSH_ORIGIN_NONE ? line : 0},
            "set 'route-protocol' to a number that no other program uses",
            "route protocol %u belongs to '%s', as rt_protos says: its routes would be taken for "
            "ours",
            protocol, nsh_printable(other, strlen(other), shown, sizeof(shown)));
}

/* ---- the root ---- */

enum root_key {
    ROOT_VERSION,
    ROOT_SETTINGS,
    ROOT_ROUTES,
    ROOT_MASQUERADE,
    ROOT_RULES,
    ROOT_SHARE,
    ROOT_PORT_FORWARDS,
    ROOT_NETWORK_MAP,
};

struct root_draft {
    struct nsh_draft draft;
};

static void read_version(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    (void)key;
    (void)field;
    if (strcmp(value->text, "1") != 0)
        nsh_loader_error(l, value->mark, "this program reads version 1",
                "version '%s' is not supported", nsh_loader_show(l, value->text));
}

static const struct nsh_key_type type_version = {.what = "a number",
        .hint = "write version: 1",
        .read = read_version,
        .forms = NSH_FORM_INTEGER};

static const struct nsh_key_type type_settings = {.shape = NSH_SHAPE_MAPPING,
        .what = "keys and values below it",
        .hint = "write, say, 'forwarding: auto' below it, indented",
        .object = &nsh_object_settings};

static const struct nsh_key_type type_routes = {.shape = NSH_SHAPE_OBJECTS,
        .what = "a list of routes",
        .hint = "begin each route with '- ', as in '- to: default'",
        .object = &nsh_object_route};

static const struct nsh_key_type type_rules = {.shape = NSH_SHAPE_OBJECTS,
        .what = "a list of rules",
        .hint = "begin each rule with '- ', as in '- from: 10.1.0.0/24'",
        .object = &nsh_object_rule};

static const struct nsh_key_type type_masquerade = {.shape = NSH_SHAPE_OBJECTS,
        .what = "a list of policies",
        .hint = "begin each policy with '- ', as in '- name: lan-out'",
        .object = &nsh_object_masquerade};

static const struct nsh_key_type type_share = {.shape = NSH_SHAPE_OBJECTS,
        .what = "a list of shares",
        .hint = "begin each share with '- ', as in '- name: home'",
        .object = &nsh_object_share};

static const struct nsh_key_type type_port_forwards = {.shape = NSH_SHAPE_OBJECTS,
        .what = "a list of port-forwards",
        .hint = "begin each port-forward with '- ', as in '- name: web'",
        .object = &nsh_object_port_forward};

static const struct nsh_key_type type_network_map = {.shape = NSH_SHAPE_OBJECTS,
        .what = "a list of maps",
        .hint = "begin each map with '- ', as in '- name: office'",
        .object = &nsh_object_network_map};

static const struct nsh_key root_keys[] = {
        [ROOT_VERSION] = {"version", &type_version, .min = 1, .max = 1,
                .missing = "begin the file with 'version: 1'", .help = "of the file's format: 1"},
        [ROOT_SETTINGS] = {"settings", &type_settings, .flags = NSH_KEY_EMPTY,
                .known_as = "options config", .help = "how the daemon works"},
        [ROOT_ROUTES] = {"routes", &type_routes, .flags = NSH_KEY_EMPTY, .known_as = "route",
                .help = "where traffic goes"},
        [ROOT_MASQUERADE] = {"masquerade", &type_masquerade, .flags = NSH_KEY_EMPTY,
                .known_as = "masquerades nat snat masquerading", .help = "how traffic appears"},
        [ROOT_RULES] = {"rules", &type_rules, .flags = NSH_KEY_EMPTY,
                .known_as = "rule routing-policy policy-routing",
                .help = "which traffic goes by which routing table"},
        [ROOT_SHARE] = {"share", &type_share, .flags = NSH_KEY_EMPTY,
                .known_as = "shares sharing internet-sharing ics",
                .help = "LANs that reach the world by a WAN, and are kept from it"},
        [ROOT_PORT_FORWARDS] = {"port-forwards", &type_port_forwards, .flags = NSH_KEY_EMPTY,
                .known_as = "port-forward port-forwarding forwards dnat redirect",
                .help = "ports of this machine that lead to another"},
        [ROOT_NETWORK_MAP] = {"network-map", &type_network_map, .flags = NSH_KEY_EMPTY,
                .known_as = "network-maps netmap npt nptv6 1:1 binat",
                .help = "prefixes that are another prefix outside, address by address"},
};

/* A drop-in adds to a file whose version is known. */
static void finish_root(struct nsh_loader *l, void *draft)
{
    const struct root_draft *d = draft;

    if (l->main_file && nsh_absent(&d->draft, ROOT_VERSION))
        nsh_loader_error(l, (struct nsh_yaml_mark){0}, "begin the file with 'version: 1'",
                "the file has no 'version'");
}

const struct nsh_object nsh_config_root = {
        .noun = "the file",
        .keys = root_keys,
        .n_keys = NSH_ARRAY_SIZE(root_keys),
        .size = sizeof(struct root_draft),
        .finish = finish_root,
};

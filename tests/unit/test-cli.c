/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line: by tables of the test's own, which have a value of every kind, and by the
 * program's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"

#define ARGS_MAX 12

/* ---- tables with everything ---- */

static const char *const words[] = {"tcp", "udp", NULL};

/* Fields that the kinds fit, whatever they are for. */
#define TEXT_FIELD offsetof(struct nsh_options, runtime_directory)
#define WORD_FIELD offsetof(struct nsh_options, state_directory)

static struct {
    struct nsh_options options;
    uint32_t number;
    uint64_t time;
    const char *address;
} read_into;

#define BEHIND(member) (offsetof(__typeof__(read_into), member))

static const struct nsh_cli_option options[] = {
        {"config", offsetof(struct nsh_options, config), .letter = 'c', .common = true,
                .value = {NSH_CLI_FILE, "FILE"}, .help = "the file"},
        {"json", offsetof(struct nsh_options, json), .help = "for programs"},
        {"in", TEXT_FIELD, .value = {NSH_CLI_DEVICE, "DEVICE"}, .help = "two\nlines"},
        {"protocol", WORD_FIELD, .value = {NSH_CLI_WORD, "PROTOCOL", .words = words},
                .help = "which"},
        {"port", BEHIND(number), .value = {NSH_CLI_NUMBER, "PORT", .min = 1, .max = 65535},
                .help = "which"},
        {"timeout", BEHIND(time),
                .value = {NSH_CLI_TIME, "TIME", .min = 1000000, .max = 3600000000}, .help = "when"},
        {"help", offsetof(struct nsh_options, help), .letter = 'h', .common = true, .help = "it"},
        {"version", offsetof(struct nsh_options, version), .common = true, .help = "it"},
};

static int nothing(const struct nsh_options *o)
{
    (void)o;
    return 0;
}

static const struct nsh_cli_command commands[] = {
        {"explain", nothing, "what happens to a packet",
                .operands = {{{NSH_CLI_ADDRESS, "SRC"}}, {{NSH_CLI_ADDRESS, "DST"}}},
                .options = "in protocol port timeout"},
        {"status", nothing, "how it is", .operands = {{{NSH_CLI_POLICY, "NAME"}, .optional = true}},
                .options = "json"},
        {"hidden", nothing, NULL},
};

static const struct nsh_cli cli = {
        commands, NSH_ARRAY_SIZE(commands), options, NSH_ARRAY_SIZE(options)};

/* ---- one run ---- */

static struct {
    const struct nsh_cli_command *command;
    int exit;
    char out[4096], err[4096];
} got;

static void parse_with(const struct nsh_cli *with, const char *line)
{
    static char *argv[ARGS_MAX + 1], text[256]; /* what was read may lead there */
    FILE *out = stdout, *err = stderr;
    char *rest;
    int argc = 1;

    memset(argv, 0, sizeof(argv));
    argv[0] = "netshared";
    snprintf(text, sizeof(text), "%s", line);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = strcmp(word, "''") == 0 ? "" : word;
    memset(&got, 0, sizeof(got));
    memset(&read_into, 0, sizeof(read_into));
    optind = 0; /* getopt begins anew */
    stdout = fmemopen(got.out, sizeof(got.out) - 1, "w");
    stderr = fmemopen(got.err, sizeof(got.err) - 1, "w");
    got.command = nsh_cli_parse(with, argc, argv, &read_into.options, &got.exit);
    fclose(stdout);
    fclose(stderr);
    stdout = out;
    stderr = err;
}

static void runs(const char *line, const char *name)
{
    parse_with(&cli, line);
    assert_string_equal(got.err, "");
    assert_non_null(got.command);
    assert_string_equal(got.command->name, name);
    assert_string_equal(got.out, "");
}

static void refuses(const char *line, const char *why)
{
    parse_with(&cli, line);
    if (got.command || got.exit != NSH_EXIT_USAGE || !strstr(got.err, why))
        fail_msg("netshared %s: wanted '%s', not '%s'", line, why, got.err);
    assert_string_equal(got.out, "");
    assert_non_null(strstr(got.err, "\nTry 'netshared "));
}

/* ---- the tests ---- */

static void test_values(void **state)
{
    (void)state;
    runs("explain 192.0.2.1 2001:db8::1 --in eth0 --protocol udp --port=443 --timeout 2min",
            "explain");
    assert_string_equal(read_into.options.operands[0], "192.0.2.1");
    assert_string_equal(read_into.options.operands[1], "2001:db8::1");
    assert_string_equal(read_into.options.runtime_directory, "eth0");
    assert_string_equal(read_into.options.state_directory, "udp");
    assert_int_equal(read_into.number, 443);
    assert_int_equal(read_into.time, 120000000);
    assert_false(read_into.options.json);
}

static void test_order(void **state)
{
    (void)state;
    runs("--json -cfile.yaml status", "status");
    assert_true(read_into.options.json);
    assert_string_equal(read_into.options.config, "file.yaml");
    assert_null(read_into.options.operands[0]);
    runs("status home --conf file.yaml", "status");
    assert_string_equal(read_into.options.config, "file.yaml");
    assert_string_equal(read_into.options.operands[0], "home");
    runs("status -- --json", "status");
    assert_string_equal(read_into.options.operands[0], "--json");
    assert_false(read_into.options.json);
    runs("hidden", "hidden");
}

static void test_wrong_values(void **state)
{
    (void)state;
    refuses("explain 192.0.2.1 example.org", "DST wants an address, not 'example.org'");
    refuses("explain 192.0.2.1 192.0.2.2 --protocol tpc",
            "--protocol can't be 'tpc'; did you mean 'tcp'?");
    refuses("explain 192.0.2.1 192.0.2.2 --port 0", "--port wants a number from 1 to 65535");
    refuses("explain 192.0.2.1 192.0.2.2 --port 65536", "not '65536'");
    refuses("explain 192.0.2.1 192.0.2.2 --port 4294967739", "not '4294967739'");
    refuses("explain 192.0.2.1 192.0.2.2 --port 80x", "not '80x'");
    refuses("explain 192.0.2.1 192.0.2.2 --timeout soon", "--timeout wants a time such as");
    refuses("explain 192.0.2.1 192.0.2.2 --timeout 2h", "--timeout can be 1s to 3600s, not '2h'");
    refuses("status ''", "NAME is empty");
    refuses("status --config ''", "--config is empty");
}

static void test_wrong_options(void **state)
{
    (void)state;
    refuses("status --jsno", "there is no option '--jsno'; did you mean '--json'?");
    refuses("--jsno status", "did you mean '--json'?");
    refuses("--confg=x status", "'--confg=x'; did you mean '--config'?");
    refuses("status -x", "there is no option '-x'");
    refuses("status --timeuot 2min", "there is no option '--timeuot'\n");
    refuses("status --port 1", "'status' has no --port\nTry 'netshared status --help'.");
    refuses("explain --json 192.0.2.1 192.0.2.2", "'explain' has no --json");
    refuses("status --config", "--config wants its FILE");
    refuses("status -c", "--config wants its FILE");
    refuses("status --json=yes", "--json takes no value");
}

static void test_wrong_words(void **state)
{
    (void)state;
    refuses("", "a command is missing, one of explain, status\n");
    refuses("statsu", "'statsu' is no command; did you mean 'status'?");
    refuses("hiden", "'hiden' is no command\n");
    refuses("--help frobnicate", "'frobnicate' is no command\nTry 'netshared --help'.");
    refuses("explain", "'explain' wants its SRC");
    refuses("explain 192.0.2.1", "'explain' wants its DST\nTry 'netshared explain --help'.");
    refuses("status home office", "'status' takes no further argument: 'office'");
    refuses("explain 192.0.2.1 192.0.2.2 3", "'explain' takes no further argument: '3'");
}

static void helps(const char *line, const char *const *lines)
{
    parse_with(&cli, line);
    assert_null(got.command);
    assert_int_equal(got.exit, NSH_EXIT_OK);
    assert_string_equal(got.err, "");
    for (size_t i = 0; lines[i]; i++)
        if (!strstr(got.out, lines[i]))
            fail_msg("no '%s' in the help of '%s':\n%s", lines[i], line, got.out);
}

static void test_help(void **state)
{
    (void)state;
    helps("--help", (const char *const[]){"  explain SRC DST   what happens to a packet\n",
                            "  status [NAME]     how it is\n",
                            "  -c, --config FILE           the file\n", NULL});
    assert_null(strstr(got.out, "hidden"));
    assert_null(strstr(got.out, "--json"));
    helps("-h explain", (const char *const[]){"Usage: netshared explain [OPTION...] SRC DST\n",
                                "  -c, --config FILE           the file\n",
                                "      --in DEVICE             two\n"
                                "                              lines\n",
                                NULL});
    assert_null(strstr(got.out, "--json"));
    helps("status --help", (const char *const[]){"      --json  ", NULL});
    helps("--version status", (const char *const[]){"netshared " NSH_VERSION "\n", NULL});
}

/* ---- completion ---- */

static struct nsh_cli_wanted wanted;

static void complete(const char *const *words_typed)
{
    nsh_cli_complete(&cli, (char *const *)words_typed, &wanted);
}

#define COMPLETE(...) complete((const char *const[]){__VA_ARGS__, NULL})

static void assert_value(enum nsh_cli_kind kind, const char *typed)
{
    assert_non_null(wanted.value);
    assert_int_equal(wanted.value->kind, kind);
    assert_string_equal(wanted.typed, typed);
    assert_false(wanted.commands || wanted.options);
}

static void test_complete_words(void **state)
{
    (void)state;
    COMPLETE("");
    assert_true(wanted.commands && !wanted.options && !wanted.value);
    COMPLETE("--config", "file", "sta");
    assert_true(wanted.commands);
    assert_string_equal(wanted.given[0], "file");
    assert_string_equal(wanted.typed, "sta");
    COMPLETE("-");
    assert_true(wanted.options && !wanted.command);
    COMPLETE("status", "--json", "-");
    assert_true(wanted.options);
    assert_ptr_equal(wanted.command, &commands[1]);
    assert_non_null(wanted.given[1]);
    assert_null(wanted.given[0]);
    COMPLETE("status", "");
    assert_value(NSH_CLI_POLICY, "");
    COMPLETE("status", "--config=file", "--config", "=", "other", "");
    assert_value(NSH_CLI_POLICY, "");
    assert_string_equal(wanted.given[0], "other");
    COMPLETE("status", "home", "");
    assert_true(!wanted.value && !wanted.commands && !wanted.options);
    COMPLETE("bogus", "");
    assert_true(!wanted.value && !wanted.commands && !wanted.options);
    COMPLETE("status", "--", "-");
    assert_value(NSH_CLI_POLICY, "-");
}

static void test_complete_values(void **state)
{
    (void)state;
    COMPLETE("status", "--config", "fi");
    assert_value(NSH_CLI_FILE, "fi");
    COMPLETE("status", "-c", "");
    assert_value(NSH_CLI_FILE, "");
    COMPLETE("explain", "192.0.2.1", "--protocol", "t");
    assert_value(NSH_CLI_WORD, "t");
    COMPLETE("explain", "--protocol", "tcp", "192.0.2.1", "");
    assert_value(NSH_CLI_ADDRESS, "");
    COMPLETE("explain", "--protocol=u");
    assert_value(NSH_CLI_WORD, "u");
    assert_int_equal(wanted.before, strlen("--protocol="));
    COMPLETE("explain", "--protocol", "=", "u"); /* as bash cuts it */
    assert_value(NSH_CLI_WORD, "u");
    assert_int_equal(wanted.before, 0);
    COMPLETE("explain", "--protocol", "=");
    assert_value(NSH_CLI_WORD, "");
    COMPLETE("status", "--json", "=");
    assert_value(NSH_CLI_POLICY, "=");
}

static void test_complete_rest(void **state)
{
    static const struct nsh_cli_command rest[] = {
            {"complete", nothing, NULL, .operands = {{{NSH_CLI_REST, "WORD..."}}}}};
    static const struct nsh_cli of_rest = {rest, 1, options, NSH_ARRAY_SIZE(options)};

    (void)state;
    parse_with(&of_rest, "complete -- status --json ''");
    assert_non_null(got.command);
    assert_string_equal(read_into.options.rest[0], "status");
    assert_string_equal(read_into.options.rest[1], "--json");
    assert_string_equal(read_into.options.rest[2], "");
    assert_null(read_into.options.rest[3]);
}

/* ---- the program's tables ---- */

/* What a table must hold to be read as it is. */
static void test_program(void **state)
{
    (void)state;
    assert_true(nsh_cli.n_options <= NSH_CLI_OPTIONS_MAX);
    for (size_t i = 0; i < nsh_cli.n_options; i++) {
        const struct nsh_cli_option *o = &nsh_cli.options[i];
        bool taken = o->common;

        assert_non_null(o->help);
        assert_true((o->value.kind == NSH_CLI_SWITCH) == !o->value.what);
        assert_true(o->value.kind != NSH_CLI_WORD || o->value.words);
        for (size_t k = 0; k < nsh_cli.n_commands; k++)
            taken = taken || nsh_cli_takes(&nsh_cli.commands[k], o);
        if (!taken)
            fail_msg("no command takes --%s", o->name);
    }
}

/* A name in a command's list that is no option's would be passed over in silence. */
static void test_program_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < nsh_cli.n_commands; i++) {
        const struct nsh_cli_command *c = &nsh_cli.commands[i];
        size_t names = 0, taken = 0;

        assert_non_null(c->run);
        for (const char *p = c->options; p && *p; p += strcspn(p, " "), p += strspn(p, " "))
            names++;
        for (size_t k = 0; k < nsh_cli.n_options; k++)
            taken += !nsh_cli.options[k].common && nsh_cli_takes(c, &nsh_cli.options[k]);
        if (names != taken)
            fail_msg("'%s' names an option that there is not: %s", c->name, c->options);
        assert_true(nsh_cli_find(&nsh_cli, c->name) == c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_values),
            cmocka_unit_test(test_order),
            cmocka_unit_test(test_wrong_values),
            cmocka_unit_test(test_wrong_options),
            cmocka_unit_test(test_wrong_words),
            cmocka_unit_test(test_help),
            cmocka_unit_test(test_complete_words),
            cmocka_unit_test(test_complete_values),
            cmocka_unit_test(test_complete_rest),
            cmocka_unit_test(test_program),
            cmocka_unit_test(test_program_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

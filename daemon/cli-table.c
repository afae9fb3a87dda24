/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cleanup.h"
#include "cli.h"
#include "config.h"

#define FIELD(member) .offset = offsetof(struct nsh_options, member)

static const char *const protocols[] = {"tcp", "udp", "icmp", NULL};

static const struct nsh_cli_option options[] = {
        {"config", FIELD(config), .letter = 'c', .common = true, .value = {NSH_CLI_FILE, "FILE"},
                .help = "the file (default: " NSH_DEFAULT_CONFIG ")"},
        {"runtime-directory", FIELD(runtime_directory), .common = true,
                .value = {NSH_CLI_DIRECTORY, "DIR"},
                .help = "lock and control socket\n"
                        "(default: $RUNTIME_DIRECTORY or " NSH_DEFAULT_RUNTIME_DIRECTORY ")"},
        {"state-directory", FIELD(state_directory), .common = true,
                .value = {NSH_CLI_DIRECTORY, "DIR"},
                .help = "the last accepted configuration\n"
                        "(default: $STATE_DIRECTORY or " NSH_DEFAULT_STATE_DIRECTORY ")"},
        {"json", FIELD(json), .help = "for programs"},
        {"strict", FIELD(strict), .help = "warnings are errors"},
        {"timeout", FIELD(timeout),
                .value = {NSH_CLI_TIME, "TIME", .min = NSH_TRIAL_MIN, .max = NSH_TRIAL_MAX},
                .help = "how long it holds unconfirmed (default: 2min)"},
        {"openmetrics", FIELD(openmetrics),
                .help = "as OpenMetrics 1.0, not Prometheus' older text"},
        {"output", FIELD(output), .letter = 'o', .value = {NSH_CLI_FILE, "FILE"},
                .help = "write it there, in one step"},
        {"offline", FIELD(offline), .value = {NSH_CLI_FILE, "FILE"},
                .help = "against a machine that holds what this file says"},
        {"in", FIELD(in), .value = {NSH_CLI_DEVICE, "DEV"},
                .help = "the interface it comes in by (default: the way back to its source)"},
        {"protocol", FIELD(protocol), .value = {NSH_CLI_WORD, "NAME", .words = protocols},
                .help = "tcp, udp or icmp (default: tcp with a port, else icmp)"},
        {"port", FIELD(port), .value = {NSH_CLI_NUMBER, "N", .min = 1, .max = 65535},
                .help = "the port it goes to"},
        {"source-port", FIELD(source_port), .value = {NSH_CLI_NUMBER, "N", .min = 1, .max = 65535},
                .help = "the port it comes from"},
        {"mark", FIELD(mark), .value = {NSH_CLI_TEXT, "MARK"},
                .help = "its firewall mark, such as 16 or 0x10"},
        {"trust-files", FIELD(trust_files),
                .help = "also a configuration that others than root could change"},
        {"help", FIELD(help), .letter = 'h', .common = true, .help = "what the command takes"},
        {"version", FIELD(version), .common = true, .help = "which version this is"},
};

static const struct nsh_cli_command commands[] = {
        {"run", nsh_command_run, "the daemon: make it so and keep it so", .options = "trust-files"},
        {"reload", nsh_command_reload,
                "have the daemon read its file again; fails, with the errors, if it is bad"},
        {"check", nsh_command_check, "say what is wrong with the file",
                .operands = {{{NSH_CLI_FILE, "FILE"}, .optional = true}}, .options = "json strict"},
        {"plan", nsh_command_plan, "show what would change in the kernel",
                .options = "json offline", .exit_3 = "something would change"},
        {"apply", nsh_command_apply, "make it so once (asks a running daemon)"},
        {"remove", nsh_command_remove, "take away all that netshared put there"},
        {"try", nsh_command_try, "like reload, but without a 'confirm' in time all goes back",
                .operands = {{{NSH_CLI_FILE, "FILE"}, .optional = true}},
                .options = "timeout trust-files"},
        {"confirm", nsh_command_confirm, "keep what is tried"},
        {"revert", nsh_command_revert, "go back at once from what is tried"},
        {"status", nsh_command_status, "what is held, pending or conflicting",
                .operands = {{{NSH_CLI_POLICY, "NAME"}, .optional = true}}, .options = "json"},
        {"doctor", nsh_command_doctor, "look for the usual culprits", .options = "json",
                .exit_3 = "something was found"},
        {"explain", nsh_command_explain, "what becomes of such a packet",
                .operands = {{{NSH_CLI_ADDRESS, "SOURCE"}}, {{NSH_CLI_ADDRESS, "DESTINATION"}}},
                .options = "in protocol port source-port mark json", .exit_3 = "it is stopped"},
        {"metrics", nsh_command_metrics, "what it has counted, for Prometheus",
                .options = "openmetrics output"},
        {"watch", nsh_command_watch, "what it repairs and what changes, as it happens",
                .options = "json"},
        {"import", nsh_command_import, "what is set up by hand, as a file that holds it",
                .options = "output"},
        {"complete", nsh_command_complete, NULL, .operands = {{{NSH_CLI_REST, "WORD..."}}}},
};

const struct nsh_cli nsh_cli = {
        .commands = commands,
        .n_commands = NSH_ARRAY_SIZE(commands),
        .options = options,
        .n_options = NSH_ARRAY_SIZE(options),
};

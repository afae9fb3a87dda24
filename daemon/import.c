/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file as a whole.
 */
#include "import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

NSH_DEFINE_CLEANUP(struct nsh_config *, nsh_config_free)

static const char head[] =
        "# yaml-language-server: $schema=file:///usr/share/netshared/netshared.schema.json\n"
        "# What netshared import found on this machine. To run this file changes nothing: routes "
        "are\n"
        "# adopted as they stand, and what can't be has its like put beside it. But a port that "
        "was\n"
        "# forwarded, and that FORWARD dropped all the same, gets through. See first:\n"
        "#   netshared check FILE\n"
        "#   netshared plan --config FILE\n"
        "# What it could not say is in comments: \"not taken\", with the reason.\n"
        "\n"
        "version: 1\n";

/* Forwarding stays as it is; where it is off, a policy would switch it on. */
static void write_forwarding(const struct nsh_import *m, unsigned families, FILE *to)
{
    static const char *const names[NSH_FAMILIES] = {[NSH_V4] = "IPv4", [NSH_V6] = "IPv6"};
    static const unsigned bits[NSH_FAMILIES] = {
            [NSH_V4] = NSH_FAMILY_IPV4, [NSH_V6] = NSH_FAMILY_IPV6};
    bool leave = false;

    for (int f = 0; f < NSH_FAMILIES; f++)
        leave = leave || (families & bits[f] && m->forwarding[f] == 0);
    if (leave)
        (void)fputs("\nsettings:\n  # Forwarding is off here, and the policies below would switch "
                    "it on without this.\n  forwarding: leave\n",
                to);
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (m->forwarding[f] > 0 && !m->kept[f] && (leave || !(families & bits[f])))
            (void)fprintf(to,
                    "\n# Forwarding of %s is on here, and no policy below keeps it on: what sets "
                    "it at boot\n# (/etc/sysctl.d, networkd) is still needed.\n",
                    names[f]);
}

static int write_sections(const struct nsh_import *m, FILE *to)
{
    nsh_autofree char *policies = NULL;
    unsigned families = 0;
    size_t size;
    FILE *aside = open_memstream(&policies, &size);
    int q = aside ? nsh_import_policies(m, aside, &families) : -ENOMEM;

    if (aside && fclose(aside) != 0 && q == 0)
        q = -ENOMEM;
    if (q == 0) {
        write_forwarding(m, families, to);
        q = nsh_import_routes(m, to);
    }
    if (q == 0)
        q = nsh_import_rules(m, to);
    if (q == 0)
        (void)fputs(policies, to);
    return q;
}

int nsh_import_write(const struct nsh_import *m, FILE *to, char **ret_why)
{
    NSH_CLEANUP(nsh_config_freep) struct nsh_config *c = NULL;
    nsh_autofree char *text = NULL;
    size_t size;
    FILE *aside = open_memstream(&text, &size);
    int q = aside ? write_sections(m, aside) : -ENOMEM;

    if (aside && fclose(aside) != 0 && q == 0)
        q = -ENOMEM;
    if (q == 0)
        q = nsh_import_judge(m, text, &c, ret_why);
    if (q < 0)
        return q == -EINVAL ? -EBADMSG : q;
    (void)fprintf(to, "%s%s", head, text);
    return ferror(to) || fflush(to) != 0 ? -EIO : 0;
}

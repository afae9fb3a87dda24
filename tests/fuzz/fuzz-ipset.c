/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel says of sets: the first byte says what it is asked, the rest are its answers. */
#include "answers.h"

#include <string.h>

#include "ipset.h"

static int see_header(void *userdata, const struct nsh_ipset_header *header)
{
    (void)userdata;
    FUZZ_MUST(strnlen(header->name, sizeof(header->name)) < sizeof(header->name));
    return 0;
}

static int see_element(void *userdata, const struct nsh_prefix *element)
{
    char text[NSH_PREFIX_TEXT];

    (void)userdata;
    FUZZ_MUST(element->length <= nsh_addr_bits(element->family) || element->length == 0);
    (void)nsh_prefix_format(element, text);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint8_t which = fuzz_byte(&in) % 3;
    struct nsh_ipset set;
    int r;

    nsh_ipset_init(&set);
    fuzz_answers(&in);
    if (which == 0)
        r = nsh_ipset_headers(&set, NULL, see_header, NULL);
    else if (which == 1)
        r = nsh_ipset_elements(&set, "netshared-a", see_element, NULL);
    else
        r = nsh_ipset_create(&set, AF_INET, "netshared-a", 3);
    FUZZ_MUST(nsh_ipset_words(r) && nsh_ipset_errno(r) <= 0);
    nsh_ipset_done(&set);
    in.size = 0;
    fuzz_answers(&in);
    return 0;
}

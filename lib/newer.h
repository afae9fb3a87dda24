/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's interface where it is newer than the headers of Debian 11 (5.10), which this builds
 * with as well. By value and by names of our own: of an enum no #ifdef can tell whether it is
 * there.
 */
#pragma once

#define NSH_NF_INET_INGRESS 5     /* NF_INET_INGRESS, 5.10 */
#define NSH_CTA_STATUS_MASK 26    /* CTA_STATUS_MASK, 5.15 */
#define NSH_IPSET_ATTR_INITVAL 17 /* IPSET_ATTR_INITVAL, 5.11; before it nothing was sent there */
#define NSH_NFTA_TABLE_OWNER 7    /* NFTA_TABLE_OWNER, 5.12 */
#define NSH_NFT_SET_ELEM_CATCHALL 2U /* NFT_SET_ELEM_CATCHALL, 5.13 */
#define NSH_NFT_TABLE_F_OWNER 2U     /* NFT_TABLE_F_OWNER, 5.12 */

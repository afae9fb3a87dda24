/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One MESSAGE_ID for each kind of report, fixed for ever: people search for them. Each has its
 * text in systemd/netshared.catalog.
 */
#pragma once

#define NSH_ID_STARTED "7f7e509ab5614492b8e6d80f6bc5431c"
#define NSH_ID_STOPPED "7aea7d551fcc4aff8ef884d0d767e47a"
#define NSH_ID_RELOADED "2d8922efd09f4e9ba2db2312bcad741e"
#define NSH_ID_RELOAD_BAD "3720e8f0a33842bca85021fa540c9a84"
#define NSH_ID_START_BAD "e0bbf30b66e84332b69f51dd22c7ac39"
#define NSH_ID_WARNING "87e9b6898b6c4f61adecac9b3aab8ac1"
#define NSH_ID_ADDED "ebd126f8195d4a09a79fc60bbb5508c6"
#define NSH_ID_REMOVED "44aa301af9ab492aae13a254ff0ec9d5"
#define NSH_ID_CHANGED "4d4b84c8c7f94beeb242cbe9010b4b94"
#define NSH_ID_ADOPTED "cc6d0d57de32493a99ab39352acc930c"
#define NSH_ID_RESTORED "45f998b229a44e098aa43c6e983e2fc4"
#define NSH_ID_PENDING "01678e2d964a468c825aa1d92f1b1990"
#define NSH_ID_CONFLICT "3fb0ebf5bc274560b1c56ee5b5c08b35"
#define NSH_ID_SHADOWED "9e7c031c319c4ebda2287ad3baeca772"
#define NSH_ID_BEHIND "23707069877d408aa28be5de9bd0b404"
#define NSH_ID_FIGHT "3a13a5e9d645479688eb0b93b06db8be"
#define NSH_ID_SUMMARY "0637c53c7da340cfaf60b2ceba817d1f"
#define NSH_ID_OVERRUN "fd5b4c98be2a4f0694cdd20d9db5f2fc"
#define NSH_ID_FAILED "90e2706a983c430ab718f48a3dd5db0c"
#define NSH_ID_CLOSED "1e43364252644104a60eb68fb4b61161"
#define NSH_ID_OPENED "b92b97c7c4864b2b98327602896219f3"
#define NSH_ID_LEARNED "4257659e082e42778c10b644444adaf3"
#define NSH_ID_FLOWS "d09415cdfae54f30ad69a370d2568801"
#define NSH_ID_DROPPED "431eb3f7584f41a9a59ef3d9b9b1d254"
#define NSH_ID_TRIAL "03448fd419b24ea892269d1b5606344f"
#define NSH_ID_CONFIRMED "b8898ea5a9a6482d8158a53a3f992250"
#define NSH_ID_REVERTED "9c3b014894e7466a82cce1fc03ee7938"

/*
 * The sums in the modules of all releases. To find a release's takes longer than to make the rest
 * of its board, so they are found when the program is built.
 */
#ifndef VPHOTON_FRESH_SUMS_H
#define VPHOTON_FRESH_SUMS_H

#include "devmodel/factory.h"

extern const struct factory_sums fresh_sums[]; /* as releases[] */

#endif

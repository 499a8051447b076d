/*
 * How much a test with very many cases takes: a sample, or with VPHOTON_LONG in the environment
 * every case. The release build runs every case in check.sh (label `every`); with sanitizers that
 * would take an hour.
 */
#ifndef TESTS_SUPPORT_EVERY_H
#define TESTS_SUPPORT_EVERY_H

#include <stdbool.h>
#include <stdlib.h>

static inline bool support_every_case(void)
{
    return getenv("VPHOTON_LONG") != NULL;
}

#endif

/* The /sys and /dev files of one null device, for null_usbfs. */
#ifndef TESTS_BENCH_NULL_TREE_H
#define TESTS_BENCH_NULL_TREE_H

#include <stdbool.h>

/* Makes the files under `root`, which must exist; what is there already is written anew. */
bool null_tree_make(const char *root);

#endif

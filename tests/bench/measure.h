/*
 * Benchmarks: medians of several runs and one table, in which each figure stands beside the same
 * work on a device without a model.
 */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stdbool.h>

/* Does the work once; false when it failed. */
typedef bool measure_work(void *context);

/* Median of the seconds that `runs` runs took, after one that is not counted. Ends the program
 * when the work fails. */
double measure_seconds(const char *work, unsigned runs, measure_work *run, void *context);

void measure_heading(void);
/* One row. `null` is the same figure of a null device, 0 for none; `reach` is text. */
void measure_row(const char *work, const char *unit, double measured, double null,
                 const char *reach);

#endif

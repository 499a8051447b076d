/*
 * Benchmarks: medians of several runs and one table, in which each figure stands beside the same
 * work on a device without a model.
 */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stdbool.h>

/* Does the work once; false when it failed. */
typedef bool measure_work(void *context);

/* Median of the processor seconds that `runs` runs took, after one that is not counted. Ends the program
 * when the work fails. */
double measure_seconds(const char *work, unsigned runs, measure_work *run, void *context);

/* What a figure is to reach. */
enum measure_goal { GOAL_AT_LEAST, GOAL_AT_MOST, GOAL_RATIO_AT_MOST };

struct measure_row {
    const char *work, *unit;
    double measured;
    double null; /* the same figure of a null device; 0 for none */
    enum measure_goal goal;
    double reach;
};

void measure_heading(void);
/* A missed goal is shown, no failure: it depends on the machine. */
void measure_print(const struct measure_row *row);

#endif

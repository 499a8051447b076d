/*
 * Benchmarks: medians of several runs and one table, in which each figure stands beside the same
 * work on a device without a model.
 */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stdbool.h>

/* Does the work once; false when it failed. */
typedef bool measure_work(void *context);

/* What counts: the time of this thread on a processor, or all time with what other processes do. */
enum measure_clock { CLOCK_OF_THREAD, CLOCK_OF_WALL };

/* Median of the seconds that `runs` runs took, after one that is not counted. Ends the program
 * when the work fails. */
double measure_seconds(const char *work, unsigned runs, enum measure_clock clock, measure_work *run,
                       void *context);
/* The same for two works in turn, so that what else the machine does meets both. */
void measure_pair(const char *work, unsigned runs, enum measure_clock clock, measure_work *run,
                  void *contexts[2], double seconds[2]);
/* Ends the program with a reason. */
__attribute__((noreturn)) void measure_fail(const char *work, const char *why);

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

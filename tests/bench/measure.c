#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/measure.h"

#define RUNS_MAX 101

static double now(enum measure_clock clock)
{
    struct timespec time;

    clock_gettime(clock == CLOCK_OF_THREAD ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void measure_fail(const char *work, const char *why)
{
    fprintf(stderr, "%s: %s\n", work, why);
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double once(const char *work, enum measure_clock clock, measure_work *run, void *context)
{
    double start = now(clock);

    if (!run(context)) {
        measure_fail(work, "the work failed");
    }
    return now(clock) - start;
}

static double median(double *seconds, unsigned count)
{
    qsort(seconds, count, sizeof seconds[0], by_size);
    return seconds[count / 2];
}

double measure_seconds(const char *work, unsigned runs, enum measure_clock clock, measure_work *run,
                       void *context)
{
    double seconds[RUNS_MAX];

    (void)once(work, clock, run, context);
    runs = runs < RUNS_MAX ? runs : RUNS_MAX;
    for (unsigned i = 0; i < runs; i++) {
        seconds[i] = once(work, clock, run, context);
    }
    return median(seconds, runs);
}

void measure_pair(const char *work, unsigned runs, enum measure_clock clock, measure_work *run,
                  void *contexts[2], double medians[2])
{
    double seconds[2][RUNS_MAX];

    (void)once(work, clock, run, contexts[0]);
    (void)once(work, clock, run, contexts[1]);
    runs = runs < RUNS_MAX ? runs : RUNS_MAX;
    for (unsigned i = 0; i < runs; i++) {
        seconds[0][i] = once(work, clock, run, contexts[0]);
        seconds[1][i] = once(work, clock, run, contexts[1]);
    }
    medians[0] = median(seconds[0], runs);
    medians[1] = median(seconds[1], runs);
}

void measure_heading(void)
{
    printf("%-46s %16s %10s %8s  %s\n", "work", "measured", "null", "ratio", "reach");
}

static bool reached(const struct measure_row *row)
{
    switch (row->goal) {
    case GOAL_AT_LEAST:
        return row->measured >= row->reach;
    case GOAL_AT_MOST:
        return row->measured <= row->reach;
    case GOAL_RATIO_AT_MOST:
        return row->measured <= row->reach * row->null;
    }
    return false;
}

/* Three digits are enough, and no exponents. */
static const char *format_number(char text[16], double value)
{
    snprintf(text, 16, value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value);
    return text;
}

void measure_print(const struct measure_row *row)
{
    char measured[16], null[16] = "-", ratio[16] = "-", reach[16];
    bool of_ratio = row->goal == GOAL_RATIO_AT_MOST;

    if (row->null > 0) {
        format_number(null, row->null);
        format_number(ratio, row->measured / row->null);
    }
    printf("%-46s %10s %-5s %10s %8s  %s %s%s%s\n", row->work,
           format_number(measured, row->measured), row->unit, null, ratio,
           row->goal == GOAL_AT_LEAST ? ">=" : "<=", format_number(reach, row->reach),
           of_ratio ? " x" : "", reached(row) ? "" : "  MISSED");
}

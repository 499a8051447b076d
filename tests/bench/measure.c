#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/measure.h"

#define RUNS_MAX 101

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double measure_seconds(const char *work, unsigned runs, measure_work *run, void *context)
{
    double seconds[RUNS_MAX];

    runs = runs < RUNS_MAX ? runs : RUNS_MAX;
    for (unsigned i = 0; i <= runs; i++) {
        double start = now();
        if (!run(context)) {
            fprintf(stderr, "%s: the work failed\n", work);
            exit(1);
        }
        if (i > 0) {
            seconds[i - 1] = now() - start;
        }
    }
    qsort(seconds, runs, sizeof seconds[0], by_size);
    return seconds[runs / 2];
}

void measure_heading(void)
{
    printf("%-44s %14s %12s %8s  %s\n", "work", "measured", "null", "ratio", "reach");
}

void measure_row(const char *work, const char *unit, double measured, double null,
                 const char *reach)
{
    printf("%-44s %8.4g %-5s ", work, measured, unit);
    if (null > 0) {
        printf("%12.4g %8.2f  %s\n", null, measured / null, reach);
    } else {
        printf("%12s %8s  %s\n", "-", "-", reach);
    }
}

/* The queue gives what a sorted list would. */
#include "emulator/due_queue.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "devmodel/cells.h"

#define THINGS 200
#define ROUNDS 2000

static struct due things[THINGS];
static struct due_queue queue;

static uint64_t least(size_t count)
{
    uint64_t found = UINT64_MAX;

    for (size_t i = 0; i < count; i++) {
        found = things[i].at < found ? things[i].at : found;
    }
    return found;
}

START_TEST(test_an_empty_queue_has_no_first)
{
    ck_assert_ptr_null(due_queue_first(&queue));
}
END_TEST

START_TEST(test_the_first_is_the_least_after_every_change)
{
    const char *chosen = getenv("DUE_QUEUE_SEED");
    uint64_t state = chosen != NULL ? strtoull(chosen, NULL, 10) : 20151104;

    printf("DUE_QUEUE_SEED=%llu\n", (unsigned long long)state);
    for (size_t i = 0; i < THINGS; i++) {
        things[i].at = cells_noise(&state) % 100;
        ck_assert(due_queue_add(&queue, &things[i]));
        ck_assert_uint_eq(due_queue_first(&queue)->at, least(i + 1));
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t at = round % 5 == 0 ? UINT64_MAX : cells_noise(&state) % 100;
        struct due *moved =
            round % 2 == 0 ? &things[cells_noise(&state) % THINGS] : due_queue_first(&queue);
        due_queue_move(&queue, moved, at);
        ck_assert_uint_eq(moved->at, at);
        ck_assert_uint_eq(due_queue_first(&queue)->at, least(THINGS));
    }
    ck_assert_uint_eq(queue.count, THINGS);
    due_queue_free(&queue);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("due_queue");
    TCase *tcase = tcase_create("queue");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, test_an_empty_queue_has_no_first);
    tcase_add_test(tcase, test_the_first_is_the_least_after_every_change);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

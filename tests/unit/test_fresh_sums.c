/* The sums that the build finds are those that the modules have. */
#include <check.h>
#include <stdlib.h>

#include "devmodel/factory.h"
#include "devmodel/flash.h"
#include "emulator/fresh_sums.h"
#include "tests/unit/support_digest.h"

static void expect_same(const struct flash *known, const struct flash *found, const char *release)
{
    for (uint32_t at = FLASH_BASE; at < FLASH_BASE + FLASH_SIZE; at += FLASH_PAGE) {
        size_t length;
        const uint8_t *bytes = flash_peek(found, at, &length);

        ck_assert_msg(flash_equals(known, at, bytes, length), "%s: 0x%08X", release, at);
    }
}

START_TEST(test_a_flash_with_known_sums_is_the_one_with_sums_that_are_computed)
{
    const struct release *release = &releases[_i];
    struct flash *known = flash_new(1), *found = flash_new(1);

    ck_assert(factory_flash_known(known, release, &fresh_sums[_i]));
    ck_assert(factory_flash(found, release, support_sha256, false));
    expect_same(known, found, release->name);
    flash_free(known);
    flash_free(found);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fresh_sums");
    TCase *sums = tcase_create("sums");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(sums, test_a_flash_with_known_sums_is_the_one_with_sums_that_are_computed,
                        0, (int)release_count);
    suite_add_tcase(suite, sums);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

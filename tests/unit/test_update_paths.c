/*
 * A board on its way from release to release, module by module, by the ways that each release has:
 * DFU, YMODEM, control requests, and the OTA slot with its flag for a bootloader. After each step:
 * does it start, as what, with which modules? Expected: the order that module dependencies ask for,
 * and what real boards do where it is not kept.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/dct.h"
#include "devmodel/flash_map.h"
#include "tests/unit/support_board.h"
#include "tests/unit/support_client.h"
#include "tests/unit/support_dfu_host.h"
#include "tests/unit/support_script.h"
#include "tests/unit/support_service.h"
#include "tests/unit/support_ymodem.h"

enum way {
    END,
    DFU,        /* by the button, download, leave */
    DFU_TO_OTA, /* the same to the OTA slot, and the flag byte that has it applied */
    YMODEM,
    SERVICE
};

enum part { BOOTLOADER = FACTORY_BOOTLOADER, PART1, PART2, USER };

enum outcome { RUNS, SAFE_MODE };

/* What becomes of the module. */
enum fate {
    INSTALLED,
    UNCHANGED, /* accepted or not: the one before is still there */
    REFUSED    /* the same, and the board says so and goes on */
};

struct step {
    enum way way;
    const char *release;
    enum part module;
    enum fate fate;
    enum outcome outcome;
    const char *version;    /* what `v` says; NULL where there is no `v` */
    const char *bootloader; /* its module version in `s` */
};

#define STEPS_MAX 16

static const struct path {
    const char *name, *from;
    struct step steps[STEPS_MAX];
} paths[] = {
    {"upgrade by the ways of each time",
     "0.4.3",
     {{DFU, "0.4.4", PART1, INSTALLED, RUNS, NULL, "3"},
      {DFU, "0.4.4", PART2, INSTALLED, RUNS, "0.4.4", "3"},
      {YMODEM, "0.5.2", PART1, INSTALLED, RUNS, "0.4.4", "3"},
      {YMODEM, "0.5.2", PART2, INSTALLED, RUNS, "0.5.2", "7"}, /* brings its bootloader */
      {YMODEM, "0.7.0", PART1, INSTALLED, RUNS, "0.5.2", "7"},
      {YMODEM, "0.7.0", PART2, INSTALLED, SAFE_MODE, "0.7.0", "7"}, /* needs bootloader 101 */
      {YMODEM, "0.7.0", BOOTLOADER, INSTALLED, RUNS, "0.7.0", "101"},
      {YMODEM, "1.5.0", BOOTLOADER, INSTALLED, RUNS, "0.7.0", "501"},
      {YMODEM, "1.5.0", PART1, INSTALLED, RUNS, "0.7.0", "501"},
      {YMODEM, "1.5.0", PART2, INSTALLED, RUNS, "1.5.0", "501"},
      {SERVICE, "2.2.0", BOOTLOADER, INSTALLED, RUNS, "1.5.0", "1006"},
      {SERVICE, "2.2.0", PART1, INSTALLED, RUNS, "1.5.0", "1006"},
      {SERVICE, "2.2.0", PART2, INSTALLED, RUNS, "2.2.0", "1006"},
      {SERVICE, "2.2.0", USER, INSTALLED, RUNS, "2.2.0", "1006"}}},
    {"upgrade by serial alone",
     "0.4.3",
     {{YMODEM, "0.4.4", PART1, INSTALLED, RUNS, NULL, "3"},
      {YMODEM, "0.4.4", PART2, INSTALLED, RUNS, "0.4.4", "3"},
      {YMODEM, "0.5.2", PART1, INSTALLED, RUNS, "0.4.4", "3"},
      {YMODEM, "0.5.2", PART2, INSTALLED, RUNS, "0.5.2", "7"},
      {YMODEM, "0.7.0", PART1, INSTALLED, RUNS, "0.5.2", "7"},
      {YMODEM, "0.7.0", PART2, INSTALLED, SAFE_MODE, "0.7.0", "7"},
      {YMODEM, "0.7.0", BOOTLOADER, INSTALLED, RUNS, "0.7.0", "101"},
      {YMODEM, "1.5.0", PART1, INSTALLED, RUNS, "0.7.0", "101"},
      {YMODEM, "1.5.0", PART2, INSTALLED, SAFE_MODE, "1.5.0", "101"}, /* needs bootloader 400 */
      {YMODEM, "1.5.0", BOOTLOADER, INSTALLED, RUNS, "1.5.0", "501"},
      {YMODEM, "2.2.0", PART1, INSTALLED, RUNS, "1.5.0", "501"},
      {YMODEM, "2.2.0", PART2, INSTALLED, SAFE_MODE, "2.2.0", "501"}, /* needs bootloader 1003 */
      {YMODEM, "2.2.0", BOOTLOADER, INSTALLED, RUNS, "2.2.0", "1006"}}},
    {"upgrade by DFU as far as it goes",
     "0.4.3",
     {{DFU, "0.5.2", PART1, INSTALLED, RUNS, NULL, "3"},
      {DFU, "0.5.2", PART2, INSTALLED, RUNS, "0.5.2", "7"},
      {DFU, "0.7.0", PART1, INSTALLED, RUNS, "0.5.2", "7"},
      {DFU, "0.7.0", PART2, INSTALLED, SAFE_MODE, "0.7.0", "7"},
      {DFU_TO_OTA, "0.7.0", BOOTLOADER, UNCHANGED, SAFE_MODE, "0.7.0", "7"}, /* only from 1.2.1 */
      {YMODEM, "0.7.0", BOOTLOADER, INSTALLED, RUNS, "0.7.0", "101"},
      {YMODEM, "1.5.0", BOOTLOADER, INSTALLED, RUNS, "0.7.0", "501"},
      {DFU, "1.5.0", PART1, INSTALLED, RUNS, "0.7.0", "501"},
      {DFU, "1.5.0", PART2, INSTALLED, RUNS, "1.5.0", "501"},
      {DFU_TO_OTA, "2.2.0", BOOTLOADER, INSTALLED, RUNS, "1.5.0", "1006"},
      {DFU, "2.2.0", PART1, INSTALLED, RUNS, "1.5.0", "1006"},
      {DFU, "2.2.0", PART2, INSTALLED, RUNS, "2.2.0", "1006"}}},
    /* Part1 needs part2 207, part2 needs part1 1502: the running system takes neither. */
    {"0.7.0 skipped by serial",
     "0.5.2",
     {{YMODEM, "1.5.0", PART1, UNCHANGED, RUNS, "0.5.2", "7"},
      {YMODEM, "1.5.0", PART2, UNCHANGED, RUNS, "0.5.2", "7"}}},
    /* DFU asks nobody; the system starts in safe mode until it gets its bootloader. */
    {"0.7.0 skipped by DFU",
     "0.5.2",
     {{DFU, "2.2.0", PART1, INSTALLED, RUNS, "0.5.2", "7"},
      {DFU, "2.2.0", PART2, INSTALLED, SAFE_MODE, "2.2.0", "7"},
      {YMODEM, "2.2.0", BOOTLOADER, INSTALLED, RUNS, "2.2.0", "1006"}}},
    {"part2 first",
     "1.5.0",
     {{SERVICE, "2.2.0", PART2, REFUSED, RUNS, "1.5.0", "501"},
      {YMODEM, "2.2.0", PART2, REFUSED, RUNS, "1.5.0", "501"}}},
    /* Part2 first, as nothing may be left behind that needs it newer. The bootloader is new enough
     * for all; the application is too new, until an older one comes. */
    {"downgrade to 0.7.0",
     "2.2.0",
     {{SERVICE, "1.5.0", PART1, REFUSED, RUNS, "2.2.0", "1006"},
      {SERVICE, "1.5.0", PART2, INSTALLED, SAFE_MODE, "1.5.0", "1006"},
      {SERVICE, "1.5.0", PART1, INSTALLED, SAFE_MODE, "1.5.0", "1006"},
      {YMODEM, "0.7.0", PART1, REFUSED, SAFE_MODE, "1.5.0", "1006"},
      {YMODEM, "0.7.0", PART2, INSTALLED, SAFE_MODE, "0.7.0", "1006"},
      {YMODEM, "0.7.0", PART1, INSTALLED, SAFE_MODE, "0.7.0", "1006"},
      {YMODEM, "0.4.4", USER, INSTALLED, RUNS, "0.7.0", "1006"}}},
    /* Part2 of 0.5.2 looks for its flags in the settings, where this bootloader leaves none, and
     * takes 0xFF for a wish for safe mode; and without a part2 that has settings for it, this
     * bootloader copies nothing more. An old bootloader helps. */
    {"downgrade below 0.7.0",
     "0.7.0",
     {{YMODEM, "0.4.3", USER, INSTALLED, RUNS, "0.7.0", "101"},
      {YMODEM, "0.5.2", PART2, INSTALLED, SAFE_MODE, "0.5.2", "101"},
      {YMODEM, "0.5.2", PART1, UNCHANGED, SAFE_MODE, "0.5.2", "101"},
      {YMODEM, "0.5.2", BOOTLOADER, INSTALLED, RUNS, "0.5.2", "7"},
      {YMODEM, "0.5.2", PART1, INSTALLED, RUNS, "0.5.2", "7"},
      {DFU, "0.4.3", PART2, INSTALLED, RUNS, NULL, "7"},
      {DFU, "0.4.3", PART1, INSTALLED, RUNS, NULL, "7"}}},
};

/* --- a step --- */

static const struct {
    uint32_t address;
    const char *name;
} places[] = {
    [BOOTLOADER] = {MAP_BOOTLOADER, "bootloader"},
    [PART1] = {MAP_SYSTEM_PART1, "part1"},
    [PART2] = {MAP_SYSTEM_PART2, "part2"},
    [USER] = {MAP_USER, "application"},
};

static struct client client;
static struct board *board;
static struct test_record record;
static uint8_t image[FACTORY_MAX_SIZE], before[FACTORY_MAX_SIZE], found[FACTORY_MAX_SIZE];
static size_t size;

/* SETUP held until the board is in DFU mode. */
static void enter_dfu(void)
{
    board->ops->power(board, false);
    board->ops->button(board, true);
    board->ops->power(board, true);
    board_advance(board, 4 * BOARD_NS_PER_S);
    board->ops->button(board, false);
    ck_assert(test_board_until_attached(board, BOARD_NS_PER_S));
    ck_assert(host_enumerate(board));
}

static void by_dfu(uint32_t address)
{
    enter_dfu();
    ck_assert(dfu_host_download(board, address, image, size));
    test_record(board, &record);
    ck_assert(dfu_host_leave(board));
}

static void by_dfu_to_ota(void)
{
    enter_dfu();
    ck_assert(dfu_host_download(board, MAP_OTA, image, size));
    ck_assert(dfu_host_select(board, 1) && dfu_host_write(board, DCT_OTA_FLAG, "\xA5", 1));
    test_record(board, &record);
    ck_assert(dfu_host_leave(board));
}

static void by_ymodem(void)
{
    (void)client_send(&client, "f", 1);
    client_wait(&client, 200);
    client_forget(&client);
    ck_assert(ymodem_send_file(&client, "module.bin", image, size));
    test_record(board, &record);
    (void)client_leaves(&client, 5000);
}

static void by_service(void)
{
    int32_t result;

    ck_assert(host_enumerate(board));
    result = service_update(board, image, size);
    test_record(board, &record);
    if (result == 0) {
        board_advance(board, 1100 * BOARD_NS_PER_MS);
    }
}

static void take(const struct step *step)
{
    switch (step->way) {
    case DFU:
        by_dfu(places[step->module].address);
        break;
    case DFU_TO_OTA:
        by_dfu_to_ota();
        break;
    case YMODEM:
        by_ymodem();
        break;
    case SERVICE:
        by_service();
        break;
    case END:
        break;
    }
}

/* --- what became of it --- */

/* The last start since the module was there; where there was none, all is as before. */
static bool started_as(enum outcome outcome)
{
    static const char *const texts[] = {[RUNS] = "application runs", [SAFE_MODE] = "safe mode:"};
    const char *last = texts[outcome];

    for (size_t i = 0; i < record.count; i++) {
        const char *text = record.events[i].text;

        for (size_t k = 0; text != NULL && k < 2; k++) {
            if (record.events[i].kind == BOARD_EVENT_BOOT &&
                strncmp(text, texts[k], strlen(texts[k])) == 0) {
                last = texts[k];
            }
        }
    }
    return last == texts[outcome];
}

static bool was_reset(void)
{
    for (size_t i = 0; i < record.count; i++) {
        if (record.events[i].kind == BOARD_EVENT_RESET) {
            return true;
        }
    }
    return false;
}

static bool listed(const char *key, const char *value)
{
    char wanted[64];

    snprintf(wanted, sizeof(wanted), "%s%s,", key, value);
    return strstr(client.text, wanted) != NULL;
}

static void check(const struct path *path, unsigned number)
{
    const struct step *step = &path->steps[number];
    const uint8_t *wanted = step->fate == INSTALLED ? image : before;
    char where[128], text[64];

    snprintf(where, sizeof(where), "%s, step %u: %s of %s", path->name, number,
             places[step->module].name, step->release);
    ck_assert_msg(client_open(&client, board), "%s: the board does not come back", where);
    client_wait(&client, 1000);
    ck_assert(board->ops->flash_read(board, places[step->module].address, found, size));
    ck_assert_msg(memcmp(found, wanted, size) == 0, "%s: %s", where,
                  step->fate == INSTALLED ? "not installed" : "installed");
    ck_assert_msg(started_as(step->outcome), "%s: started otherwise", where);
    /* 2.2.0 answers a refused YMODEM with a reset, the others with words. */
    ck_assert_msg(step->fate == REFUSED || was_reset(), "%s: no reset", where);
    client_forget(&client);
    (void)client_send(&client, "s", 1);
    client_wait(&client, 1000);
    ck_assert_msg(listed("\"f\":\"b\",\"n\":\"0\",\"v\":", step->bootloader),
                  "%s: bootloader %s expected: %s", where, step->bootloader, client.text);
    client_forget(&client);
    (void)client_send(&client, "v", 1);
    client_wait(&client, 100);
    snprintf(text, sizeof(text), "system firmware version: %s\n\r\n",
             step->version != NULL ? step->version : "");
    ck_assert_msg(strcmp(client.text, step->version != NULL ? text : "") == 0,
                  "%s: version: \"%s\"", where, client.text);
}

START_TEST(test_path)
{
    const struct path *path = &paths[_i];

    board = client_board(path->from);
    ck_assert(client_open(&client, board));
    client_wait(&client, 1000);
    for (unsigned i = 0; i < STEPS_MAX && path->steps[i].way != END; i++) {
        const struct step *step = &path->steps[i];

        size = test_module(step->release, (enum factory_module)step->module, image);
        ck_assert(board->ops->flash_read(board, places[step->module].address, before, size));
        take(step);
        check(path, i);
    }
    board->ops->destroy(board);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("update paths");
    TCase *tcase = tcase_create("paths");
    SRunner *runner;
    int first, end, failed;

    script_pick(argc, argv, sizeof(paths) / sizeof(paths[0]), &first, &end);
    tcase_set_timeout(tcase, 200);
    tcase_add_loop_test(tcase, test_path, first, end);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

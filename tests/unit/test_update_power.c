/*
 * The supply fails somewhere in an update by serial, or while system-part2 installs the bootloader
 * that it brings along: at every flash operation the board comes back as its state allows, and only
 * where sector 0 is not whole it is lost for good.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/flash_map.h"
#include "tests/unit/support_cuts.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_script.h"
#include "tests/unit/support_ymodem.h"

/* --- a serial port, token by token --- */

#define OUT_ENDPOINT 0x01
#define IN_ENDPOINT  0x81
#define ACK          0x06
#define EOT          0x04
/* Longer than a sector takes to erase, the DCT to be written and a module to be checked. */
#define PATIENCE (10 * BOARD_NS_PER_S)

/* Lets the board get on with what it does. False when it is at rest, or at the end. */
static bool pass(struct board *board, uint64_t end)
{
    uint64_t next = board->ops->next_deadline(board);

    if (next > end) {
        return false;
    }
    board_advance_to(board, next > board->now ? next : board->now + 1);
    return true;
}

static bool say(struct board *board, const uint8_t *bytes, size_t length)
{
    const uint64_t end = board->now + PATIENCE;

    while (length > 0) {
        size_t part = length < BOARD_USB_PACKET ? length : BOARD_USB_PACKET;
        enum usb_handshake answer = board->ops->out(board, OUT_ENDPOINT, bytes, part);

        if (answer == USB_ACK) {
            bytes += part;
            length -= part;
        } else if (answer != USB_NAK || !pass(board, end)) {
            return false;
        }
    }
    return true;
}

/* Reads until a byte comes; what came before it in the same packet does not matter. */
static bool hear(struct board *board, uint8_t wanted)
{
    const uint64_t end = board->now + PATIENCE;

    for (;;) {
        uint8_t packet[BOARD_USB_PACKET];
        size_t length;
        enum usb_handshake answer = board->ops->in(board, IN_ENDPOINT & 0xF, packet, &length);

        if (answer == USB_ACK && memchr(packet, wanted, length) != NULL) {
            return true;
        }
        if (answer == USB_SILENT || answer == USB_STALL ||
            (answer == USB_NAK && !pass(board, end))) {
            return false;
        }
    }
}

static bool send_packet(struct board *board, uint8_t type, uint8_t sequence, const void *data,
                        size_t length)
{
    uint8_t packet[YMODEM_PACKET_MAX];

    return say(board, packet, ymodem_packet(packet, type, sequence, data, length)) &&
           hear(board, ACK);
}

/* --- updates --- */

/* A board that listens and waits for a file, with the file at hand. */
static void begin(struct course *course)
{
    struct board *board = course->board;

    board->ops->power(board, true);
    ck_assert(test_board_until_attached(board, PATIENCE) && host_enumerate(board));
    board_advance(board, BOARD_NS_PER_S);
    ck_assert(say(board, (const uint8_t *)"f", 1) && hear(board, '\n'));
}

static void prepare_user(struct course *course)
{
    cuts_build_user(&course->file, 77, 1608, cuts_release(course));
    begin(course);
}

/* A part1 like the installed one, but short: what matters is where it goes. */
static void prepare_part1(struct course *course)
{
    struct module_spec spec;

    factory_spec(cuts_release(course), FACTORY_PART1, support_sha256, &spec);
    spec.size = 3 * 1024;
    spec.fill_seed ^= 1;
    ck_assert(module_build(&spec, course->file.bytes));
    course->file.size = spec.size;
    begin(course);
}

static void prepare_bootloader(struct course *course)
{
    const char *newer = course->image == IMAGE_7 ? "0.6.3" : "2.2.0";

    course->file.size = test_module(newer, FACTORY_BOOTLOADER, course->file.bytes);
    begin(course);
}

/* Header, packets, and the end with all that comes of it: verdict, reset, copy, start. */
static bool step_ymodem(struct course *course, unsigned number)
{
    struct board *board = course->board;
    const struct cuts_file *file = &course->file;
    const unsigned packets = (unsigned)((file->size + 1023) / 1024);
    const char header[] = "x\0"
                          "16000 ";

    if (number == 0) {
        (void)send_packet(board, YMODEM_SOH, 0, header, sizeof(header));
    } else if (number <= packets) {
        size_t at = (number - 1) * (size_t)1024, left = file->size - at;

        (void)send_packet(board, YMODEM_STX, (uint8_t)number, file->bytes + at,
                          left < 1024 ? left : 1024);
    } else if (number == packets + 1) {
        if (say(board, &(uint8_t){EOT}, 1) && hear(board, ACK) &&
            send_packet(board, YMODEM_SOH, 0, NULL, 0)) {
            board_advance(board, 2 * BOARD_NS_PER_S);
            cuts_settle(board);
        }
    }
    return number <= packets + 1;
}

#define OTA (CUTS_SECTOR(10) | CUTS_SECTOR(11))

static const struct way user_update = {
    .name = "update of the application by serial",
    .prepare = prepare_user,
    .step = step_ymodem,
    .target = CUTS_USER,
    .by_slot = true,
    .sectors = CUTS_SECTOR(9) | OTA,
    .stride = 17,
    .stride_elsewhere = 199,
};
static const struct way part1_update = {
    .name = "update of part1 by serial",
    .prepare = prepare_part1,
    .step = step_ymodem,
    .target = CUTS_PART1,
    .by_slot = true,
    .sectors = CUTS_SECTOR(5) | CUTS_SECTOR(6) | CUTS_SECTOR(9) | OTA,
    .stride = 29,
    .stride_elsewhere = 199,
};
static const struct way bootloader_update = {
    .name = "update of the bootloader by serial",
    .prepare = prepare_bootloader,
    .step = step_ymodem,
    .target = CUTS_BOOTLOADER,
    .sectors = CUTS_SECTOR(0) | OTA,
    .stride = 97,
    .stride_elsewhere = 199,
};

/* --- the bootloader that part2 brings along --- */

/* Parts of 0.5.2 over a bootloader of before, as DFU leaves them. */
static void prepare_embedded(struct course *course)
{
    struct flash *flash;
    static uint8_t part2[FACTORY_MAX_SIZE];
    struct cuts_file *part1 = &course->was[CUTS_PART1];

    cuts_enter_dfu(course);
    flash = photon_flash(course->board);
    part1->size = test_module("0.5.2", FACTORY_PART1, part1->bytes);
    ck_assert(flash_load(flash, MAP_SYSTEM_PART1, part1->bytes, part1->size));
    ck_assert(
        flash_load(flash, MAP_SYSTEM_PART2, part2, test_module("0.5.2", FACTORY_PART2, part2)));
    course->file.size = test_module("0.5.2", FACTORY_BOOTLOADER, course->file.bytes);
}

/* The next start installs what this one did not, as long as there is one. */
static void judge_embedded(struct course *course)
{
    static uint8_t found[MAP_BOOTLOADER_SIZE];

    cuts_read(course->board, MAP_BOOTLOADER, found, course->file.size);
    if (course->found[CUTS_BOOTLOADER] == CUTS_WHOLE &&
        memcmp(found, course->file.bytes, course->file.size) != 0) {
        cuts_wrong(course, "the bootloader that part2 carries is not installed");
    }
}

static const struct way embedded_update = {
    .name = "installation of the embedded bootloader",
    .prepare = prepare_embedded,
    .step = cuts_step_leave,
    .judge = judge_embedded,
    .target = CUTS_BOOTLOADER,
    .sectors = CUTS_SECTOR(0),
    .stride = 97,
    .stride_elsewhere = 199,
};

/* --- the tests --- */

static const struct test {
    const struct way *way;
    unsigned image;
} tests[] = {
    {&user_update, IMAGE_3B},      {&user_update, IMAGE_7},         {&user_update, IMAGE_101},
    {&user_update, IMAGE_1006},    {&part1_update, IMAGE_3B},       {&part1_update, IMAGE_7},
    {&part1_update, IMAGE_101},    {&part1_update, IMAGE_501},      {&part1_update, IMAGE_1006},
    {&bootloader_update, IMAGE_7}, {&bootloader_update, IMAGE_101}, {&bootloader_update, IMAGE_501},
    {&embedded_update, IMAGE_3B},  {&embedded_update, IMAGE_4},
};

START_TEST(test_a_power_cut_in_an_update_leads_to_a_known_state)
{
    cuts_run(tests[_i].way, tests[_i].image, false);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("update power");
    TCase *tcase = tcase_create("cuts");
    SRunner *runner;
    int first, end, failed;

    script_pick(argc, argv, sizeof(tests) / sizeof(tests[0]), &first, &end);
    tcase_set_timeout(tcase, 0);
    tcase_add_unchecked_fixture(tcase, test_boards_make, test_boards_free);
    tcase_add_loop_test(tcase, test_a_power_cut_in_an_update_leads_to_a_known_state, first, end);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

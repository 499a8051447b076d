/* What the control requests do, release by release, through the service protocol. Expected bytes
 * are those that 2.2.0 and 1.5.0 gave. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "devmodel/flash_map.h"
#include "devmodel/module.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_service.h"

#define MS BOARD_NS_PER_MS

static struct board *fresh_2_2, *fresh_1_5;
static struct board *board;

static void make(void)
{
    fresh_2_2 = service_board("2.2.0");
    fresh_1_5 = service_board("1.5.0");
}

static void drop(void)
{
    fresh_2_2->ops->destroy(fresh_2_2);
    fresh_1_5->ops->destroy(fresh_1_5);
}

/* The board of the test: a copy. */
static void use(const struct board *fresh)
{
    board->ops->destroy(board);
    board = fresh->ops->clone(fresh);
    ck_assert_ptr_nonnull(board);
}

static void setup(void)
{
    board = fresh_2_2->ops->clone(fresh_2_2);
    ck_assert_ptr_nonnull(board);
}

static void teardown(void)
{
    board->ops->destroy(board);
}

/* --- each request once --- */

struct asked {
    uint16_t type;
    uint16_t size; /* payload */
    const char *payload;
    int32_t result;
    size_t reply_size;
    const char *reply;
};

#define OK(type)                                                                                   \
    {                                                                                              \
        type, 0, "", 0, 0, ""                                                                      \
    }
#define ANSWERS(type, text)                                                                        \
    {                                                                                              \
        type, 0, "", 0, sizeof(text) - 1, text                                                     \
    }
#define FAILS(type, code)                                                                          \
    {                                                                                              \
        type, 0, "", code, 0, ""                                                                   \
    }
#define WITH(type, text, code)                                                                     \
    {                                                                                              \
        type, sizeof(text) - 1, text, code, 0, ""                                                  \
    }

static const struct asked asked_2_2[] = {
    FAILS(10, -120),
    ANSWERS(20, "\x0A\x18" TEST_DEVICE_ID),
    FAILS(21, -1),
    ANSWERS(30, "\x0A\x05"
                "2.2.0"),
    FAILS(31, -120),
    OK(32),
    FAILS(33, -120),
    WITH(33, "\x08\x01", -1),
    WITH(33, "\x08\x01\x10\x01", -1),
    WITH(33, "\x08\x02\x10\x01", -120),
    WITH(33, "\x08", -280),
    WITH(34, "\x08\x01", 0),
    WITH(34, "\x08\x02", -120),
    WITH(34, "\x08", -280),
    ANSWERS(72, "\x08\x01"),
    FAILS(73, -120),
    FAILS(74, -120),
    WITH(75, "\x08", -280),
    FAILS(80, -120),
    WITH(100, "x", -120),
    FAILS(110, -120),
    FAILS(111, -120),
    FAILS(112, -120),
    FAILS(113, -120),
    FAILS(114, -120),
    FAILS(115, -120),
    FAILS(120, -120),
    FAILS(121, -120),
    FAILS(122, -120),
    OK(201),
    FAILS(211, -120),
    WITH(211, "\x08\x04", -120),
    WITH(211, "\x08", -280),
    FAILS(221, -120),
    WITH(221, "\x08\x02", -120),
    WITH(221, "\x08", -280),
    FAILS(222, -120),
    WITH(222, "\x08\x01", -1),
    WITH(222, "\x08\x02", -1),
    WITH(222, "\x08\x03", -120),
    WITH(222, "\x08", -280),
    ANSWERS(223, "\x08\x01"),
    OK(230),
    OK(231),
    FAILS(260, -120),
    FAILS(261, -120),
    FAILS(262, -120),
    FAILS(263, -120),
    FAILS(264, -120),
    OK(300),
    OK(301),
    OK(302),
    FAILS(400, -120),
    FAILS(401, -120),
    FAILS(500, -120),
    FAILS(506, -120),
    FAILS(550, -120),
    FAILS(1001, -120),
    FAILS(0, -120),
    FAILS(65535, -120),
};

static const struct asked asked_1_5[] = {
    ANSWERS(30, "\x0A\x05"
                "1.5.0"),
    ANSWERS(32, "\x0D\x01\x00\x00\x00"),
    FAILS(74, -120),
    FAILS(110, -270),
    WITH(110, "\x08\x04", -270),
    WITH(110, "\x08", -280),
    OK(111),
    FAILS(113, -100),
    OK(114),
    OK(115),
    OK(120),
    OK(121),
    OK(122),
    FAILS(211, -120),
    FAILS(221, -120),
    OK(300),
};

/* Of these nobody asked a real board: device-os v1.4.4, v1.1.0 and v1.0.0
 * system/src/system_control_internal.cpp. */
static const struct asked asked_1_4[] = {
    WITH(1, "x", -120),
    ANSWERS(30, "\x0A\x05"
                "1.4.4"),
    ANSWERS(32, "\x0D\x01\x00\x00\x00"),
    OK(300),
};

static const struct asked asked_1_1[] = {
    WITH(1, "x", -120),
    ANSWERS(20, "\x0A\x18" TEST_DEVICE_ID),
    FAILS(21, -1),
    ANSWERS(30, "\x0A\x05"
                "1.1.0"),
    FAILS(31, -120),
    ANSWERS(32, "\x0D\x01\x00\x00\x00"),
    WITH(33, "\x08\x01", -1),
    WITH(34, "\x08\x01", 0),
    ANSWERS(72, "\x08\x01"),
    FAILS(73, -120),
    FAILS(74, -120),
    OK(75),
    OK(300),
    OK(301),
    OK(302),
};

static const struct asked asked_1_0[] = {
    WITH(1, "x", -120),
    FAILS(20, -120),
    FAILS(21, -120),
    FAILS(30, -120),
    FAILS(31, -120),
    FAILS(32, -120),
    WITH(33, "\x08\x01", -120),
    FAILS(34, -120),
    FAILS(72, -120),
    FAILS(73, -120),
    FAILS(74, -120),
    FAILS(75, -120),
    FAILS(300, -120),
    FAILS(301, -120),
    FAILS(302, -120),
    OK(70),
    OK(114),
    OK(201),
    OK(230),
};

static void ask_all(struct board *asked_board, const struct asked *asked, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        service_expect(asked_board, asked[i].type, asked[i].payload, asked[i].size, asked[i].result,
                       asked[i].reply, asked[i].reply_size);
    }
}

START_TEST(test_2_2_0_answers_each_request_as_the_real_one)
{
    ask_all(board, asked_2_2, sizeof(asked_2_2) / sizeof(asked_2_2[0]));
}
END_TEST

START_TEST(test_1_5_0_answers_each_request_as_the_real_one)
{
    use(fresh_1_5);
    ask_all(board, asked_1_5, sizeof(asked_1_5) / sizeof(asked_1_5[0]));
}
END_TEST

static const struct {
    const char *release;
    const struct asked *asked;
    size_t count;
} older[] = {
    {"1.4.4", asked_1_4, sizeof(asked_1_4) / sizeof(asked_1_4[0])},
    {"1.1.0", asked_1_1, sizeof(asked_1_1) / sizeof(asked_1_1[0])},
    {"1.0.0", asked_1_0, sizeof(asked_1_0) / sizeof(asked_1_0[0])},
};

START_TEST(test_older_releases_know_fewer_requests)
{
    struct board *old = service_board(older[_i].release);

    ask_all(old, older[_i].asked, older[_i].count);
    old->ops->destroy(old);
}
END_TEST

START_TEST(test_module_info_before_1_1_is_the_text_of_s)
{
    struct board *old = service_board("1.0.0");
    struct service_answer answer = service_ask(old, 90, "", 0);
    char text[2048];
    size_t length = 0, packet;

    ck_assert_int_eq(answer.result, 0);
    ck_assert_int_eq(old->ops->out(old, 0x01, "s", 1), USB_ACK);
    board_advance(old, 10 * MS);
    while (old->ops->in(old, 0x81, text + length, &packet) == USB_ACK && packet > 0) {
        length += packet;
        board_advance(old, 10 * MS);
    }
    ck_assert_uint_eq(length, answer.size + 2); /* the line's end */
    ck_assert_mem_eq(text, answer.data, answer.size);
    ck_assert_mem_eq(text, "{\"p\":6,\"m\":[", 12);
    old->ops->destroy(old);
}
END_TEST

/* --- module info --- */

#define INFO_BOOTLOADER "\x0A\x08\x08\x01\x18\xEE\x07\x20\x90\x76"
#define INFO_PART1                                                                                 \
    "\x0A\x14\x08\x02\x10\x01\x18\x9A\x11\x20\xD4\xDE\x0E\x32\x07\x08\x02\x10\x02\x18\xCF\x01"
#define INFO_PART2_NEEDS "\x32\x07\x08\x02\x10\x01\x18\x9A\x11\x32\x05\x08\x01\x18\xEB\x07"
#define INFO_PART2       "\x0A\x1B\x08\x02\x10\x02\x18\x9A\x11\x20\xE4\xF5\x0F" INFO_PART2_NEEDS
#define INFO_PART2_DAMAGED                                                                         \
    "\x0A\x1D\x08\x02\x10\x02\x18\x9A\x11\x20\xE4\xF5\x0F\x28\x01" INFO_PART2_NEEDS
#define INFO_TINKER "\x0A\x11\x08\x03\x10\x01\x18\x03\x20\xC8\x29\x32\x06\x08\x02\x10\x02\x18\x06"

static const char module_info[] = INFO_BOOTLOADER INFO_PART1 INFO_PART2 INFO_TINKER;
static const char module_info_damaged[] = INFO_BOOTLOADER INFO_PART1 INFO_PART2_DAMAGED INFO_TINKER;
static const char module_info_no_user[] = INFO_BOOTLOADER INFO_PART1 INFO_PART2;

static const char module_info_unmet[] = INFO_BOOTLOADER INFO_PART1 INFO_PART2
    "\x0A\x14\x08\x03\x10\x01\x18\x03\x20\xC8\x29\x28\x02\x32\x07\x08\x02\x10\x02\x18\x8F\x4E";
static const char module_info_independent[] =
    INFO_BOOTLOADER INFO_PART1 INFO_PART2 "\x0A\x09\x08\x03\x10\x01\x18\x03\x20\xC8\x29";

static uint8_t image[FACTORY_MAX_SIZE];

/* An application of the real tinker's shape. */
static struct module_spec tinker(void)
{
    return (struct module_spec){
        .info = {.start = MAP_USER,
                 .version = 3,
                 .platform = MAP_PLATFORM_PHOTON,
                 .function = MODULE_USER_PART,
                 .index = 1,
                 .dependency = {{MODULE_SYSTEM_PART, 2, 6}}},
        .size = 5324,
        .suffix_size = 40,
        .product_id = MODULE_NO_PRODUCT,
        .product_version = MODULE_NO_PRODUCT,
        .fill_seed = 3,
        .digest = support_sha256,
    };
}

static void install_tinker(struct flash *flash)
{
    struct module_spec spec = tinker();

    ck_assert(module_build(&spec, image));
    ck_assert(flash_load(flash, MAP_USER, image, spec.size));
}

static void damage_part2(struct flash *flash)
{
    static const uint8_t zero[64];

    install_tinker(flash);
    ck_assert(flash_load(flash, MAP_SYSTEM_PART2 + 0x1000, zero, sizeof(zero)));
}

static void erase_user(struct flash *flash)
{
    memset(image, 0xFF, sizeof(image));
    ck_assert(flash_load(flash, MAP_USER, image, MAP_USER_SIZE));
}

/* The factory image is not in the list. */
static void add_factory_image(struct flash *flash)
{
    install_tinker(flash);
    ck_assert(flash_load(flash, MAP_FACTORY, image, tinker().size));
}

static void install_from_the_future(struct flash *flash)
{
    struct module_spec spec = tinker();

    spec.info.dependency[0].version = 9999;
    ck_assert(module_build(&spec, image));
    ck_assert(flash_load(flash, MAP_USER, image, spec.size));
}

static void install_independent(struct flash *flash)
{
    struct module_spec spec = tinker();

    spec.info.dependency[0] = (struct module_dependency){MODULE_NONE, 0, 0};
    ck_assert(module_build(&spec, image));
    ck_assert(flash_load(flash, MAP_USER, image, spec.size));
}

static const struct {
    void (*change)(struct flash *flash);
    const char *info;
    size_t size;
} listed[] = {
    {install_tinker, module_info, sizeof(module_info) - 1},
    {damage_part2, module_info_damaged, sizeof(module_info_damaged) - 1},
    {erase_user, module_info_no_user, sizeof(module_info_no_user) - 1},
    {add_factory_image, module_info, sizeof(module_info) - 1},
    {install_from_the_future, module_info_unmet, sizeof(module_info_unmet) - 1},
    {install_independent, module_info_independent, sizeof(module_info_independent) - 1},
};

START_TEST(test_module_info_is_byte_for_byte_that_of_2_2_0)
{
    struct board *changed = service_board_changed("2.2.0", listed[_i].change);

    service_expect(changed, 90, "", 0, 0, listed[_i].info, listed[_i].size);
    changed->ops->destroy(changed);
}
END_TEST

START_TEST(test_module_info_takes_8_ms)
{
    struct service_reply reply = service_init(board, 90, 0);

    board_advance(board, 7 * MS);
    ck_assert_uint_eq(service_check(board, reply.id).status, 2);
    board_advance(board, 1 * MS);
    ck_assert_uint_eq(service_check(board, reply.id).status, 0);
}
END_TEST

static bool install_file(struct flash *flash, const char *name, uint32_t address)
{
    size_t size = service_firmware(name, image);

    return size > 0 && flash_load(flash, address, image, size);
}

static bool real;

static void install_real(struct flash *flash)
{
    real = install_file(flash, "bootloader-2.2.0.bin", MAP_BOOTLOADER) &&
           install_file(flash, "system-part1-2.2.0.bin", MAP_SYSTEM_PART1) &&
           install_file(flash, "system-part2-2.2.0.bin", MAP_SYSTEM_PART2) &&
           install_file(flash, "tinker-0.4.5-photon.bin", MAP_USER);
}

/* Where the real modules have been fetched. */
START_TEST(test_module_info_of_the_real_modules)
{
    struct board *changed = service_board_changed("2.2.0", install_real);

    if (real) {
        service_expect(changed, 90, "", 0, 0, module_info, sizeof(module_info) - 1);
    }
    changed->ops->destroy(changed);
}
END_TEST

/* --- diagnostics --- */

START_TEST(test_diagnostics_are_the_text_of_the_console)
{
    struct service_answer answer = service_ask(board, 100, "", 0);
    char text[1024];
    size_t length = 0, packet = 0;

    ck_assert_int_eq(answer.result, 0);
    ck_assert_uint_eq(answer.size, 409); /* uptime of one digit */
    ck_assert_int_eq(board->ops->out(board, 0x01, "d", 1), USB_ACK);
    board_advance(board, 10 * MS);
    while (board->ops->in(board, 0x81, text + length, &packet) == USB_ACK && packet > 0) {
        length += packet;
        board_advance(board, 10 * MS);
    }
    ck_assert_uint_eq(length, answer.size + 2);
    ck_assert_mem_eq(text, answer.data, answer.size);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("control requests");
    TCase *requests = tcase_create("requests");

    tcase_add_unchecked_fixture(requests, make, drop);
    tcase_add_checked_fixture(requests, setup, teardown);
    tcase_set_timeout(requests, 60);
    tcase_add_test(requests, test_2_2_0_answers_each_request_as_the_real_one);
    tcase_add_test(requests, test_1_5_0_answers_each_request_as_the_real_one);
    tcase_add_loop_test(requests, test_older_releases_know_fewer_requests, 0, 3);
    tcase_add_test(requests, test_module_info_before_1_1_is_the_text_of_s);
    tcase_add_loop_test(requests, test_module_info_is_byte_for_byte_that_of_2_2_0, 0,
                        sizeof(listed) / sizeof(listed[0]));
    tcase_add_test(requests, test_module_info_takes_8_ms);
    tcase_add_test(requests, test_module_info_of_the_real_modules);
    tcase_add_test(requests, test_diagnostics_are_the_text_of_the_console);
    suite_add_tcase(suite, requests);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Modules as bytes: prefix, suffix, CRC. Known files were computed by an independent implementation
 * (Python's struct, zlib and hashlib) from the format's description. */
#include "module.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support_digest.h"

/* The smallest user module, version 2, needing system-part2 1; suffix without product fields. */
static const uint8_t smallest[64] = {
    0x00, 0x00, 0x0a, 0x08, 0x3c, 0x00, 0x0a, 0x08, 0x00, 0x00, 0x02, 0x00, 0x06, 0x00, 0x05, 0x01,
    0x04, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x97, 0xd0, 0x89, 0x0e, 0x74, 0x48,
    0xe3, 0xad, 0xc6, 0x8e, 0xf8, 0x99, 0x5d, 0x8f, 0x87, 0xb3, 0x08, 0xae, 0xa8, 0x0c, 0x01, 0x6f,
    0x95, 0xd8, 0x3d, 0x74, 0xb6, 0xe5, 0x78, 0xcb, 0x25, 0xc4, 0x24, 0x00, 0x94, 0xc8, 0x25, 0x8a};
/* The same with product 6, version 2. */
static const uint8_t smallest_product[68] = {
    0x00, 0x00, 0x0a, 0x08, 0x40, 0x00, 0x0a, 0x08, 0x00, 0x00, 0x02, 0x00, 0x06, 0x00,
    0x05, 0x01, 0x04, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x02, 0x00,
    0x00, 0x00, 0x23, 0x74, 0x44, 0x8c, 0xcf, 0xe7, 0x98, 0xcf, 0x97, 0x93, 0x41, 0x09,
    0x05, 0xad, 0x6b, 0x85, 0x27, 0xd2, 0x2c, 0x3f, 0x88, 0xee, 0xe3, 0x92, 0x34, 0xc1,
    0x0f, 0xd7, 0xe7, 0x6a, 0xa6, 0x94, 0x28, 0x00, 0xae, 0x8b, 0x3c, 0xf1};

/* The 24 bytes at 0x184 of the real system-part2 2.2.0 as its listing gives them. */
static const uint8_t part2_prefix[MODULE_PREFIX_SIZE] = {
    0x00, 0x00, 0x06, 0x08, 0xe4, 0xfa, 0x09, 0x08, 0x00, 0x00, 0x9a, 0x08,
    0x06, 0x00, 0x04, 0x02, 0x04, 0x01, 0x9a, 0x08, 0x02, 0x00, 0xeb, 0x03};

static const uint32_t vectors[2] = {0x20020000, 0x080201F1};

static struct module_spec user_spec(uint32_t size)
{
    return (struct module_spec){
        .info = {.start = 0x080A0000,
                 .version = 2,
                 .platform = 6,
                 .function = MODULE_USER_PART,
                 .index = 1,
                 .dependency = {{MODULE_SYSTEM_PART, 2, 1}}},
        .size = size,
        .suffix_size = 36,
        .digest = support_sha256,
    };
}

static struct module_spec part_spec(uint32_t size)
{
    return (struct module_spec){
        .info = {.start = 0x08020000,
                 .version = 3,
                 .platform = 6,
                 .function = MODULE_SYSTEM_PART,
                 .index = 1},
        .size = size,
        .suffix_size = 40,
        .product_id = MODULE_NO_PRODUCT,
        .product_version = MODULE_NO_PRODUCT,
        .vectors = vectors,
        .digest = support_sha256,
    };
}

static enum module_error parse_altered(const uint8_t *image, size_t length, size_t offset,
                                       uint8_t value, struct module *module)
{
    uint8_t copy[1024];

    memcpy(copy, image, length);
    copy[offset] = value;
    return module_parse(module, copy, length);
}

START_TEST(test_prefix_follows_the_vector_table_when_the_first_word_is_a_stack_pointer)
{
    ck_assert_uint_eq(module_prefix_offset(0x20020000), 0x184);
    ck_assert_uint_eq(module_prefix_offset(0x2000FFFC), 0x184);
    ck_assert_uint_eq(module_prefix_offset(0x20000000), 0x184);
    /* Bits outside the mask do not matter. */
    ck_assert_uint_eq(module_prefix_offset(0xF00EFFFF), 0x184);
}
END_TEST

START_TEST(test_prefix_is_first_otherwise)
{
    ck_assert_uint_eq(module_prefix_offset(0x080A0000), 0);
    ck_assert_uint_eq(module_prefix_offset(0x20010000), 0);
    ck_assert_uint_eq(module_prefix_offset(0xFFFFFFFF), 0);
    ck_assert_uint_eq(module_prefix_offset(0), 0);
}
END_TEST

START_TEST(test_prefix_decodes_every_field)
{
    struct module_info info;

    module_info_decode(&info, part2_prefix);
    ck_assert_uint_eq(info.start, 0x08060000);
    ck_assert_uint_eq(info.end, 0x0809FAE4);
    ck_assert_uint_eq(info.reserved, 0);
    ck_assert_uint_eq(info.flags, 0);
    ck_assert_uint_eq(info.version, 2202);
    ck_assert_uint_eq(info.platform, 6);
    ck_assert_uint_eq(info.function, MODULE_SYSTEM_PART);
    ck_assert_uint_eq(info.index, 2);
    ck_assert_uint_eq(info.dependency[0].function, MODULE_SYSTEM_PART);
    ck_assert_uint_eq(info.dependency[0].index, 1);
    ck_assert_uint_eq(info.dependency[0].version, 2202);
    ck_assert_uint_eq(info.dependency[1].function, MODULE_BOOTLOADER);
    ck_assert_uint_eq(info.dependency[1].index, 0);
    ck_assert_uint_eq(info.dependency[1].version, 1003);
}
END_TEST

START_TEST(test_prefix_encodes_to_the_bytes_it_came_from)
{
    uint8_t all_different[MODULE_PREFIX_SIZE], encoded[MODULE_PREFIX_SIZE];
    struct module_info info;

    for (size_t i = 0; i < sizeof(all_different); i++) {
        all_different[i] = (uint8_t)(0xF0 - i);
    }
    module_info_decode(&info, all_different);
    ck_assert_uint_eq(info.reserved, 0xE8);
    ck_assert_uint_eq(info.flags, 0xE7);
    module_info_encode(&info, encoded);
    ck_assert_mem_eq(encoded, all_different, sizeof(encoded));
}
END_TEST

START_TEST(test_parse_reads_the_bare_suffix)
{
    struct module module;

    ck_assert_int_eq(module_parse(&module, smallest, sizeof(smallest)), MODULE_OK);
    ck_assert_uint_eq(module.prefix_offset, 0);
    ck_assert_uint_eq(module.size, 64);
    ck_assert_uint_eq(module.info.start, 0x080A0000);
    ck_assert_uint_eq(module.info.end, 0x080A003C);
    ck_assert_uint_eq(module.info.dependency[0].version, 1);
    ck_assert_uint_eq(module.suffix.size, 36);
    ck_assert_uint_eq(module.suffix.reserved, 0);
    ck_assert_uint_eq(module.suffix.product_id, 0xFFFF);
    ck_assert_uint_eq(module.suffix.product_version, 0xFFFF);
    ck_assert_mem_eq(module.suffix.sha256, smallest + 26, 32);
    ck_assert_uint_eq(module.crc_stored, 0x94C8258A);
    ck_assert_uint_eq(module.crc_computed, 0x94C8258A);
}
END_TEST

START_TEST(test_parse_reads_the_suffix_with_product_fields)
{
    struct module module;

    ck_assert_int_eq(module_parse(&module, smallest_product, sizeof(smallest_product)), MODULE_OK);
    ck_assert_uint_eq(module.suffix.size, 40);
    ck_assert_uint_eq(module.suffix.product_id, 6);
    ck_assert_uint_eq(module.suffix.product_version, 2);
    ck_assert_uint_eq(module.crc_stored, 0xAE8B3CF1);
    ck_assert_uint_eq(module.crc_computed, 0xAE8B3CF1);
}
END_TEST

START_TEST(test_parse_reports_both_crcs_when_a_bit_is_flipped)
{
    struct module module;

    ck_assert_int_eq(parse_altered(smallest, sizeof(smallest), 10, 3, &module), MODULE_OK);
    ck_assert_uint_eq(module.crc_stored, 0x94C8258A);
    ck_assert_uint_ne(module.crc_computed, 0x94C8258A);
}
END_TEST

START_TEST(test_parse_ignores_what_follows_the_module)
{
    uint8_t padded[sizeof(smallest) + 1] = {0};
    struct module module;

    memcpy(padded, smallest, sizeof(smallest));
    ck_assert_int_eq(module_parse(&module, padded, sizeof(padded)), MODULE_OK);
    ck_assert_uint_eq(module.size, 64);
    ck_assert_uint_eq(module.crc_stored, module.crc_computed);
}
END_TEST

START_TEST(test_parse_refuses_every_truncation)
{
    for (size_t length = 0; length < sizeof(smallest_product); length++) {
        uint8_t *exact = malloc(length + 1); /* +1: malloc(0) may be NULL */
        struct module module;

        ck_assert_ptr_nonnull(exact);
        memcpy(exact, smallest_product, length);
        ck_assert_int_eq(module_parse(&module, exact, length),
                         length < MODULE_MIN_SIZE ? MODULE_TOO_SHORT : MODULE_BAD_BOUNDS);
        free(exact);
    }
}
END_TEST

START_TEST(test_parse_wants_room_behind_a_vector_table)
{
    uint8_t image[0x184 + MODULE_MIN_SIZE] = {0x00, 0x00, 0x02, 0x20};
    struct module module;

    ck_assert_int_eq(module_parse(&module, image, sizeof(image) - 1), MODULE_TOO_SHORT);
    ck_assert_uint_eq(module.prefix_offset, 0x184);
    ck_assert_int_eq(module_parse(&module, image, sizeof(image)), MODULE_BAD_BOUNDS);
}
END_TEST

START_TEST(test_parse_refuses_bounds_that_make_no_sense)
{
    struct module module;
    uint8_t image[sizeof(smallest)];

    /* end == start */
    ck_assert_int_eq(parse_altered(smallest, 64, 4, 0, &module), MODULE_BAD_BOUNDS);
    /* end < start */
    ck_assert_int_eq(parse_altered(smallest, 64, 7, 7, &module), MODULE_BAD_BOUNDS);
    /* one more byte than the file has */
    ck_assert_int_eq(parse_altered(smallest, 64, 4, 0x3D, &module), MODULE_BAD_BOUNDS);
    /* no room for the suffix */
    ck_assert_int_eq(parse_altered(smallest, 64, 4, 0x3B, &module), MODULE_BAD_BOUNDS);
    /* almost 4 GiB */
    memcpy(image, smallest, sizeof(image));
    memset(image, 0, 4);
    memset(image + 4, 0xFF, 4);
    ck_assert_int_eq(module_parse(&module, image, sizeof(image)), MODULE_BAD_BOUNDS);
}
END_TEST

START_TEST(test_parse_refuses_other_suffix_sizes)
{
    static const uint8_t sizes[] = {0, 35, 37, 39, 41, 255};
    struct module module;

    for (size_t i = 0; i < sizeof(sizes); i++) {
        ck_assert_int_eq(parse_altered(smallest_product, 68, 62, sizes[i], &module),
                         MODULE_BAD_SUFFIX);
        ck_assert_uint_eq(module.suffix.size, sizes[i]);
        ck_assert_uint_eq(module.crc_stored, 0xAE8B3CF1);
    }
}
END_TEST

START_TEST(test_parse_refuses_a_long_suffix_that_would_reach_into_the_prefix)
{
    struct module module;

    ck_assert_int_eq(parse_altered(smallest, 64, 58, 40, &module), MODULE_BAD_BOUNDS);
}
END_TEST

START_TEST(test_function_letters)
{
    static const char letters[] = "nrbmsu_ca_";

    for (uint8_t function = 0; function < 10; function++) {
        ck_assert_int_eq(module_function_letter(function), letters[function]);
    }
    ck_assert_int_eq(module_function_letter(0xFF), '_');
}
END_TEST

START_TEST(test_build_makes_the_known_smallest_modules)
{
    struct module_spec spec = user_spec(64);
    uint8_t image[68];

    ck_assert(module_build(&spec, image));
    ck_assert_mem_eq(image, smallest, sizeof(smallest));

    spec.size = 68;
    spec.suffix_size = 40;
    spec.product_id = 6;
    spec.product_version = 2;
    ck_assert(module_build(&spec, image));
    ck_assert_mem_eq(image, smallest_product, sizeof(smallest_product));
}
END_TEST

START_TEST(test_build_makes_what_parses_back)
{
    struct module_spec spec = part_spec(1024);
    uint8_t image[1024], digest[32];
    struct module module;

    ck_assert(module_build(&spec, image));
    ck_assert_int_eq(module_parse(&module, image, sizeof(image)), MODULE_OK);
    ck_assert_uint_eq(module.prefix_offset, 0x184);
    ck_assert_uint_eq(module.size, 1024);
    ck_assert_uint_eq(module.info.start, 0x08020000);
    ck_assert_uint_eq(module.info.end, 0x080203FC);
    ck_assert_uint_eq(module.info.version, 3);
    ck_assert_uint_eq(module.suffix.size, 40);
    ck_assert_uint_eq(module.suffix.product_id, 0xFFFF);
    ck_assert_uint_eq(module.crc_stored, module.crc_computed);
    support_sha256(image, 1024 - 38, digest);
    ck_assert_mem_eq(module.suffix.sha256, digest, 32);
}
END_TEST

START_TEST(test_build_puts_the_vectors_first_and_zeros_after_them)
{
    static const uint8_t first[8] = {0x00, 0x00, 0x02, 0x20, 0xF1, 0x01, 0x02, 0x08};
    struct module_spec spec = part_spec(1024);
    uint8_t image[1024];

    ck_assert(module_build(&spec, image));
    ck_assert_mem_eq(image, first, sizeof(first));
    for (size_t i = sizeof(first); i < 0x184; i++) {
        ck_assert_uint_eq(image[i], 0);
    }
}
END_TEST

START_TEST(test_build_is_reproducible_and_its_seed_matters)
{
    struct module_spec spec = part_spec(1024);
    uint8_t first[1024], second[1024];

    ck_assert(module_build(&spec, first));
    ck_assert(module_build(&spec, second));
    ck_assert_mem_eq(first, second, sizeof(first));
    spec.fill_seed = 1;
    ck_assert(module_build(&spec, second));
    ck_assert_mem_ne(first, second, sizeof(first));
}
END_TEST

/* Marsaglia's xorshift with 13, 17 and 5, whatever the size. */
START_TEST(test_build_makes_each_word_of_the_body_from_the_one_before)
{
    static uint8_t image[70000];
    struct module_spec spec = user_spec(sizeof(image));
    uint32_t word = UINT32_C(0x9E3779B9), found;

    ck_assert(module_build(&spec, image));
    for (size_t at = MODULE_PREFIX_SIZE; at + 4 <= sizeof(image) - 44; at += 4) {
        word ^= word << 13;
        word ^= word >> 17;
        word ^= word << 5;
        found = (uint32_t)image[at] | (uint32_t)image[at + 1] << 8 | (uint32_t)image[at + 2] << 16 |
                (uint32_t)image[at + 3] << 24;
        ck_assert_msg(found == word, "offset %zu: %08X found, %08X expected", at, found, word);
    }
}
END_TEST

START_TEST(test_build_fills_the_body_with_noise_for_every_seed)
{
    static const uint32_t seeds[] = {0, 1, 0x9E3779B9, 0xFFFFFFFF};

    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        struct module_spec spec = user_spec(1024);
        unsigned seen[256] = {0}, most = 0;
        uint8_t image[1024];

        spec.fill_seed = seeds[i];
        ck_assert(module_build(&spec, image));
        for (size_t j = MODULE_PREFIX_SIZE; j < 1024 - 40; j++) {
            seen[image[j]]++;
            most = seen[image[j]] > most ? seen[image[j]] : most;
        }
        ck_assert_uint_lt(most, 32);
    }
}
END_TEST

START_TEST(test_build_without_digest_leaves_the_placeholder_and_a_good_crc)
{
    struct module_spec spec = user_spec(128);
    uint8_t image[128];
    struct module module;

    spec.digest = NULL;
    ck_assert(module_build(&spec, image));
    ck_assert_int_eq(module_parse(&module, image, sizeof(image)), MODULE_OK);
    for (unsigned i = 0; i < 32; i++) {
        ck_assert_uint_eq(module.suffix.sha256[i], i + 1);
    }
    ck_assert_uint_eq(module.crc_stored, module.crc_computed);
}
END_TEST

START_TEST(test_build_refuses_what_cannot_be_met)
{
    static const uint32_t no_stack[2] = {0x080A0000, 0};
    static const struct {
        uint32_t start, size;
        uint16_t suffix_size;
        const uint32_t *vectors;
    } rows[] = {
        {0x080A0000, 0, 36, NULL},          /* nothing */
        {0x080A0000, 60, 36, NULL},         /* too short for a bare suffix */
        {0x080A0000, 64, 40, NULL},         /* too short for product fields */
        {0x080A0000, 66, 36, NULL},         /* not whole words */
        {0x080A0000, 128, 38, NULL},        /* no such suffix */
        {0x080A0000, 128, 0, NULL},         /* none */
        {0x08020000, 448, 36, vectors},     /* too short behind a vector table */
        {0x08020000, 1024, 40, no_stack},   /* would be looked for at 0 */
        {0x20000000, 1024, 40, NULL},       /* would be looked for behind a vector table */
        {0xFFFFFF00, 0x00000108, 36, NULL}, /* ends behind the address space */
    };
    uint8_t image[1024];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct module_spec spec = user_spec(rows[i].size);

        spec.info.start = rows[i].start;
        spec.suffix_size = rows[i].suffix_size;
        spec.vectors = rows[i].vectors;
        ck_assert_msg(!module_build(&spec, image), "row %zu", i);
    }
}
END_TEST

START_TEST(test_seal_makes_an_altered_image_whole_again)
{
    uint8_t image[sizeof(smallest)];
    struct module module;

    memcpy(image, smallest, sizeof(image));
    image[10] = 9;
    module_seal(image, sizeof(image), support_sha256);
    image[10] = 2;
    ck_assert_mem_ne(image, smallest, sizeof(image));
    module_seal(image, sizeof(image), support_sha256);
    ck_assert_mem_eq(image, smallest, sizeof(image));
    ck_assert_int_eq(module_parse(&module, image, sizeof(image)), MODULE_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("module");
    TCase *format = tcase_create("format"), *build = tcase_create("build");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(format,
                   test_prefix_follows_the_vector_table_when_the_first_word_is_a_stack_pointer);
    tcase_add_test(format, test_prefix_is_first_otherwise);
    tcase_add_test(format, test_prefix_decodes_every_field);
    tcase_add_test(format, test_prefix_encodes_to_the_bytes_it_came_from);
    tcase_add_test(format, test_parse_reads_the_bare_suffix);
    tcase_add_test(format, test_parse_reads_the_suffix_with_product_fields);
    tcase_add_test(format, test_parse_reports_both_crcs_when_a_bit_is_flipped);
    tcase_add_test(format, test_parse_ignores_what_follows_the_module);
    tcase_add_test(format, test_parse_refuses_every_truncation);
    tcase_add_test(format, test_parse_wants_room_behind_a_vector_table);
    tcase_add_test(format, test_parse_refuses_bounds_that_make_no_sense);
    tcase_add_test(format, test_parse_refuses_other_suffix_sizes);
    tcase_add_test(format, test_parse_refuses_a_long_suffix_that_would_reach_into_the_prefix);
    tcase_add_test(format, test_function_letters);
    tcase_add_test(build, test_build_makes_the_known_smallest_modules);
    tcase_add_test(build, test_build_makes_what_parses_back);
    tcase_add_test(build, test_build_puts_the_vectors_first_and_zeros_after_them);
    tcase_add_test(build, test_build_is_reproducible_and_its_seed_matters);
    tcase_add_test(build, test_build_makes_each_word_of_the_body_from_the_one_before);
    tcase_add_test(build, test_build_fills_the_body_with_noise_for_every_seed);
    tcase_add_test(build, test_build_without_digest_leaves_the_placeholder_and_a_good_crc);
    tcase_add_test(build, test_build_refuses_what_cannot_be_met);
    tcase_add_test(build, test_seal_makes_an_altered_image_whole_again);
    suite_add_tcase(suite, format);
    suite_add_tcase(suite, build);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

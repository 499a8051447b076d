/*
 * A device directory against hostile files, full disks and being killed.
 */
#define _DEFAULT_SOURCE /* syscall() */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator/device_dir.h"

/* --- the program's writes, counted; one of them can fail or be the last thing it does --- */

enum mishap { MISHAP_NONE, MISHAP_KILL_BEFORE, MISHAP_KILL_HALFWAY, MISHAP_DISK_FULL };

static enum mishap mishap;
static int mishap_at, writes;

static bool strikes(void)
{
    return mishap != MISHAP_NONE && writes++ == mishap_at;
}

/* A killed process leaves whole pages: the kernel looks for signals between two of them. */
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    if (strikes()) {
        if (mishap == MISHAP_DISK_FULL) {
            errno = ENOSPC;
            return -1;
        }
        if (mishap == MISHAP_KILL_HALFWAY && length > 4096) {
            syscall(SYS_pwrite64, fd, bytes, (length / 2) & ~(size_t)4095, offset);
        }
        raise(SIGKILL);
    }
    return syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (strikes()) {
        if (mishap == MISHAP_DISK_FULL) {
            count /= 2; /* some of it fits; the next write says why no more does */
            mishap_at++;
        } else {
            if (mishap == MISHAP_KILL_HALFWAY && count > 1) {
                syscall(SYS_pwritev, fd, parts, count / 2, (long)offset, 0L);
            }
            raise(SIGKILL);
        }
    }
    return syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L);
}

int ftruncate(int fd, off_t length)
{
    if (strikes() && mishap != MISHAP_DISK_FULL) {
        raise(SIGKILL);
    }
    return (int)syscall(SYS_ftruncate, fd, length);
}

/* --- a board in a directory of its own --- */

static char folder[] = "/tmp/vphoton-test-XXXXXX";
static char path[PATH_MAX];
static struct complaint complaint;

static const struct device_identity identity = {
    .id = {0x2E, 0x00, 0x1F, 0x00, 0x03, 0x47, 0x34, 0x32, 0x33, 0x32, 0x30, 0x32},
    .mac = {0x6C, 0x0B, 0x84, 0x00, 0x11, 0x22},
    .release = "0.4.3",
    .seed = 7,
    .vbat = true,
};

static void make_folder(void)
{
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/board", folder);
    mishap = MISHAP_NONE;
}

static void remove_folder(void)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *file(const char *name)
{
    static char whole[PATH_MAX + 32];
    snprintf(whole, sizeof whole, "%s/%s", path, name);
    return whole;
}

static void put(const char *name, const void *bytes, size_t length)
{
    FILE *out = fopen(file(name), "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(bytes, 1, length, out), length);
    ck_assert_int_eq(fclose(out), 0);
}

static size_t get(const char *name, void *bytes, size_t room)
{
    FILE *in = fopen(file(name), "rb");
    ck_assert_ptr_nonnull(in);
    size_t length = fread(bytes, 1, room, in);
    fclose(in);
    return length;
}

static struct flash *some_flash(void)
{
    static uint8_t block[FLASH_PAGE];
    struct flash *flash = flash_new(1);
    memset(block, 0x5A, sizeof block);
    ck_assert(flash_load(flash, 0x08020000, block, sizeof block));
    ck_assert(flash_load(flash, 0x080FF000, block, sizeof block));
    return flash;
}

static void make_board(void)
{
    struct flash *flash = some_flash();
    ck_assert_msg(device_dir_create(path, &identity, flash, &complaint), "%s", complaint.text);
    flash_free(flash);
}

static struct device_dir *open_board(enum device_dir_use use)
{
    struct device_dir *dir = device_dir_open(path, use, &complaint);
    ck_assert_msg(dir != NULL, "%s", complaint.text);
    return dir;
}

static void expect_refused(const char *text)
{
    ck_assert_ptr_null(device_dir_open(path, DEVICE_DIR_RUN, &complaint));
    ck_assert_msg(strstr(complaint.text, text) != NULL, "complaint: %s", complaint.text);
    ck_assert_msg(strncmp(complaint.text, path, strlen(path)) == 0, "complaint: %s",
                  complaint.text);
}

/* --- what is written is read --- */

START_TEST(test_a_board_comes_back_as_it_was_made)
{
    make_board();
    struct device_dir *dir = open_board(DEVICE_DIR_RUN);
    struct flash *flash = device_dir_flash(dir);
    ck_assert_mem_eq(device_dir_identity(dir)->id, identity.id, sizeof identity.id);
    ck_assert_mem_eq(device_dir_identity(dir)->mac, identity.mac, sizeof identity.mac);
    ck_assert_str_eq(device_dir_identity(dir)->release, "0.4.3");
    ck_assert_uint_eq(device_dir_identity(dir)->seed, 7);
    ck_assert(device_dir_identity(dir)->vbat);
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0x5A5A5A5A);
    ck_assert_uint_eq(flash_read32(flash, 0x080FFFFC), 0x5A5A5A5A);
    ck_assert(flash_is_blank(flash, 0x08000000, 0x20000));
    ck_assert_uint_eq(flash_nwrp(flash), FLASH_NWRP_NONE);
    flash_free(flash);
    device_dir_close(dir);
}
END_TEST

START_TEST(test_flash_bin_is_the_raw_flash)
{
    static uint8_t image[FLASH_SIZE + 1];
    make_board();
    ck_assert_uint_eq(get("flash.bin", image, sizeof image), FLASH_SIZE);
    ck_assert_uint_eq(image[0x1FFFF], 0xFF);
    ck_assert_uint_eq(image[0x20000], 0x5A);
    ck_assert_uint_eq(image[0x21000], 0xFF);
    ck_assert_uint_eq(image[0xFFFFF], 0x5A);
}
END_TEST

/* The layout in the manual: 20 registers, the write protection bits, padding, 12 wear counts. */
START_TEST(test_backup_bin_has_the_documented_layout)
{
    uint8_t bytes[132] = {0};
    make_board();
    bytes[4] = 0xFA;
    bytes[5] = 0xED;
    bytes[79] = 0x12;
    bytes[80] = 0x1E;
    bytes[81] = 0x0E;
    bytes[84] = 3;
    bytes[129] = 1;
    put("backup.bin", bytes, sizeof bytes);
    struct device_dir *dir = open_board(DEVICE_DIR_RUN);
    const struct device_small_state *state = device_dir_small_state(dir);
    ck_assert_uint_eq(state->backup.dr[1], 0xEDFA);
    ck_assert_uint_eq(state->backup.dr[19], 0x12000000);
    ck_assert_uint_eq(state->nwrp, 0x0E1E);
    ck_assert_uint_eq(state->wear[0], 3);
    ck_assert_uint_eq(state->wear[11], 256);
    struct flash *flash = device_dir_flash(dir);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0E1E);
    ck_assert_uint_eq(flash_wear(flash, 11), 256);
    flash_free(flash);
    device_dir_close(dir);
}
END_TEST

START_TEST(test_what_was_committed_is_there_after_opening_again)
{
    static const uint8_t word[4] = {1, 2, 3, 4};
    struct backup backup = {.dr = {[1] = 0xFFFF}};
    make_board();
    struct device_dir *dir = open_board(DEVICE_DIR_RUN);
    struct flash *flash = device_dir_flash(dir);
    ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
    ck_assert_int_eq(flash_program(flash, 0x08030000, word, 4, FLASH_WORD), FLASH_COMPLETE);
    ck_assert_int_eq(flash_protect(flash, 0x0FFE), FLASH_COMPLETE);
    ck_assert(device_dir_commit(dir, flash, &backup, &complaint));
    device_dir_close(dir);
    flash_free(flash);

    dir = open_board(DEVICE_DIR_LOOK);
    flash = device_dir_flash(dir);
    ck_assert_uint_eq(flash_read32(flash, 0x08020000), 0xFFFFFFFF);
    ck_assert_uint_eq(flash_read32(flash, 0x08030000), 0x04030201);
    ck_assert_uint_eq(flash_wear(flash, 5), 1);
    ck_assert_uint_eq(flash_nwrp(flash), 0x0FFE);
    ck_assert_uint_eq(device_dir_small_state(dir)->backup.dr[1], 0xFFFF);
    flash_free(flash);
    device_dir_close(dir);
}
END_TEST

/* --- making --- */

START_TEST(test_making_never_overwrites_a_board)
{
    static uint8_t before[FLASH_SIZE], after[FLASH_SIZE];
    struct flash *flash = flash_new(1);
    make_board();
    get("flash.bin", before, sizeof before);
    ck_assert(!device_dir_create(path, &identity, flash, &complaint));
    ck_assert_ptr_nonnull(strstr(complaint.text, "already holds a board"));
    get("flash.bin", after, sizeof after);
    ck_assert_mem_eq(before, after, sizeof before);
    flash_free(flash);
}
END_TEST

START_TEST(test_making_leaves_other_peoples_directories_alone)
{
    struct flash *flash = flash_new(1);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    put("thesis.tex", "x", 1);
    ck_assert(!device_dir_create(path, &identity, flash, &complaint));
    ck_assert_ptr_nonnull(strstr(complaint.text, "thesis.tex"));
    ck_assert_int_eq(access(file("thesis.tex"), F_OK), 0);
    ck_assert_int_ne(access(file("lock"), F_OK), 0);
    flash_free(flash);
}
END_TEST

START_TEST(test_making_on_a_full_disk_leaves_nothing)
{
    struct flash *flash = flash_new(1);
    mishap = MISHAP_DISK_FULL;
    for (mishap_at = 2; mishap_at < 5; mishap_at++) {
        writes = 0;
        ck_assert(!device_dir_create(path, &identity, flash, &complaint));
        ck_assert_msg(strstr(complaint.text, "No space left on device") != NULL, "%s",
                      complaint.text);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    flash_free(flash);
}
END_TEST

START_TEST(test_an_interrupted_making_can_be_done_again)
{
    struct flash *flash = flash_new(1);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    put("flash.bin.new", "half", 4);
    put("flash.bin", "old", 3);
    ck_assert_msg(device_dir_create(path, &identity, flash, &complaint), "%s", complaint.text);
    device_dir_close(open_board(DEVICE_DIR_RUN));
    flash_free(flash);
}
END_TEST

/* --- one owner --- */

START_TEST(test_a_second_owner_is_told_the_first_ones_pid)
{
    char expected[64];
    make_board();
    struct device_dir *dir = open_board(DEVICE_DIR_RUN);
    snprintf(expected, sizeof expected, "in use by process %ld", (long)getpid());
    expect_refused(expected);
    ck_assert_ptr_null(device_dir_open(path, DEVICE_DIR_LOOK, &complaint));
    device_dir_close(dir);
    device_dir_close(open_board(DEVICE_DIR_RUN));
}
END_TEST

START_TEST(test_many_may_look_at_a_board_at_rest)
{
    make_board();
    device_dir_close(open_board(DEVICE_DIR_RUN));
    struct device_dir *one = open_board(DEVICE_DIR_LOOK);
    struct device_dir *two = open_board(DEVICE_DIR_LOOK);
    expect_refused("in use by");
    device_dir_close(one);
    device_dir_close(two);
}
END_TEST

/* --- hostile files --- */

static const struct {
    const char *file, *content, *complaint;
} foreign[] = {
    {"flash.bin", "short", "flash.bin: 5 bytes found, 1048576 expected"},
    {"flash.bin", "", "flash.bin: 0 bytes found, 1048576 expected"},
    {"backup.bin", "short", "backup.bin: 5 bytes found, 132 expected"},
    {"device.json", "", "device.json: empty"},
    {"device.json",
     "\x7F"
     "ELF",
     "device.json: offset"},
    {"device.json", "[]", "device.json: a list found, a JSON object expected"},
    {"device.json", "{}", "field \"format\": nothing found, the integer 1 expected"},
    {"device.json", "{\"format\": 2}", "field \"format\": 2 found, 1 expected"},
    {"device.json", "{\"format\": 1, \"id\": \"12\"}", "field \"id\": \"12\" found, 24 hex"},
    {"device.json", "{\"format\": 1, \"id\": 12}", "field \"id\": an integer found, a string"},
    {"device.json", "{\"format\": 1, \"format\": 1}", "device.json: offset"},
    {"device.json", "{\"format\":1,\"id\":\"2e001f000347343233323032\",\"mac\":\"6c:0b:84:00:11\"}",
     "field \"mac\": \"6c:0b:84:00:11\" found"},
    {"device.json",
     "{\"format\":1,\"id\":\"2e001f000347343233323032\",\"mac\":\"6c:0b:84:00:11:22\","
     "\"release\":\"0.4.3\",\"seed\":-1,\"vbat\":true}",
     "field \"seed\""},
    {"device.json",
     "{\"format\":1,\"id\":\"2e001f000347343233323032\",\"mac\":\"6c:0b:84:00:11:22\","
     "\"release\":\"0.4.3\",\"seed\":1,\"vbat\":1}",
     "field \"vbat\": an integer found"},
    {"device.json",
     "{\"format\":1,\"id\":\"2e001f000347343233323032\",\"mac\":\"6c:0b:84:00:11:22\","
     "\"release\":\"\\u001b[2J\",\"seed\":1,\"vbat\":true}",
     "field \"release\": unprintable"},
    {"journal.bin", "PK\x03\x04 something else altogether", "journal.bin: offset 0: not a journal"},
};

START_TEST(test_foreign_contents_are_named_and_kept)
{
    char after[4096];
    size_t length = strlen(foreign[_i].content);
    make_board();
    put(foreign[_i].file, foreign[_i].content, length);
    expect_refused(foreign[_i].complaint);
    ck_assert_uint_eq(get(foreign[_i].file, after, sizeof after), length);
    ck_assert_mem_eq(after, foreign[_i].content, length);
}
END_TEST

START_TEST(test_a_long_flash_is_refused)
{
    make_board();
    ck_assert_int_eq(truncate(file("flash.bin"), FLASH_SIZE + 1), 0);
    expect_refused("flash.bin: 1048577 bytes found, 1048576 expected");
}
END_TEST

START_TEST(test_a_huge_identity_is_refused)
{
    make_board();
    ck_assert_int_eq(truncate(file("device.json"), 1 << 30), 0);
    expect_refused("device.json: 1073741824 bytes found, at most 65536 expected");
}
END_TEST

START_TEST(test_impossible_protection_bits_are_refused)
{
    uint8_t bytes[132] = {[81] = 0x10};
    make_board();
    put("backup.bin", bytes, sizeof bytes);
    expect_refused("backup.bin: offset 80: 0x00001000 found");
}
END_TEST

static const char *const files[] = {"flash.bin", "backup.bin", "device.json"};

START_TEST(test_a_missing_file_is_named)
{
    make_board();
    ck_assert_int_eq(unlink(file(files[_i])), 0);
    expect_refused(files[_i]);
}
END_TEST

START_TEST(test_a_directory_in_place_of_a_file_is_named)
{
    make_board();
    ck_assert_int_eq(unlink(file(files[_i])), 0);
    ck_assert_int_eq(mkdir(file(files[_i]), 0755), 0);
    expect_refused("a directory found, a regular file expected");
}
END_TEST

START_TEST(test_a_pipe_in_place_of_a_file_does_not_hold_us_up)
{
    make_board();
    ck_assert_int_eq(unlink(file(files[_i])), 0);
    ck_assert_int_eq(mkfifo(file(files[_i]), 0644), 0);
    expect_refused("a pipe found, a regular file expected");
}
END_TEST

START_TEST(test_an_absent_directory_is_named)
{
    expect_refused("no such device directory");
}
END_TEST

START_TEST(test_a_directory_that_is_none_of_ours_stays_as_it_is)
{
    ck_assert_int_eq(mkdir(path, 0755), 0);
    expect_refused("device.json: missing");
    ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

/* --- the journal --- */

/* A journal by the documented layout: the first page of sector 5 erased. The CRC is Python's
 * zlib.crc32 of the 12 record bytes. */
static const uint8_t whole_journal[] = {
    'v',  'P',  'h',  'J',                           /* magic */
    1,    0,    0,    0,                             /* format */
    12,   0,    0,    0,                             /* length */
    0x7B, 0x88, 0x9E, 0xB1,                          /* CRC-32 */
    1,    0,    0,    0,    0, 0, 2, 0, 0, 16, 0, 0, /* erased, offset 0x20000, 4096 bytes */
};

static uint32_t first_word_after(const void *journal, size_t length, enum device_dir_use use)
{
    make_board();
    put("journal.bin", journal, length);
    struct device_dir *dir = open_board(use);
    struct flash *flash = device_dir_flash(dir);
    uint32_t word = flash_read32(flash, 0x08020000);
    flash_free(flash);
    device_dir_close(dir);
    return word;
}

START_TEST(test_a_whole_journal_is_carried_out)
{
    static uint8_t page[FLASH_SIZE];
    ck_assert_uint_eq(first_word_after(whole_journal, sizeof whole_journal, DEVICE_DIR_RUN),
                      0xFFFFFFFF);
    get("flash.bin", page, sizeof page);
    ck_assert_uint_eq(page[0x20000], 0xFF);
    ck_assert_uint_eq(get("journal.bin", page, sizeof page), 0);
}
END_TEST

START_TEST(test_looking_completes_a_change_in_memory_only)
{
    static uint8_t page[FLASH_SIZE];
    ck_assert_uint_eq(first_word_after(whole_journal, sizeof whole_journal, DEVICE_DIR_LOOK),
                      0xFFFFFFFF);
    get("flash.bin", page, sizeof page);
    ck_assert_uint_eq(page[0x20000], 0x5A);
    ck_assert_uint_eq(get("journal.bin", page, sizeof page), sizeof whole_journal);
}
END_TEST

START_TEST(test_an_unfinished_journal_counts_for_nothing)
{
    ck_assert_uint_eq(first_word_after(whole_journal, (size_t)_i, DEVICE_DIR_RUN), 0x5A5A5A5A);
}
END_TEST

START_TEST(test_a_flipped_bit_makes_a_journal_count_for_nothing)
{
    uint8_t journal[sizeof whole_journal];
    memcpy(journal, whole_journal, sizeof journal);
    journal[8 + _i / 8] ^= (uint8_t)(1 << _i % 8);
    ck_assert_uint_eq(first_word_after(journal, sizeof journal, DEVICE_DIR_RUN), 0x5A5A5A5A);
}
END_TEST

/* Well sealed, yet pointing outside: never carried out, not even in part. */
START_TEST(test_a_journal_that_points_outside_is_refused)
{
    struct journal journal = {0};
    make_board();
    ck_assert(journal_add(&journal, JOURNAL_ERASED, 0x20000, NULL, 4096));
    ck_assert(journal_add(&journal, JOURNAL_ERASED, 0xFF000, NULL, 4097));
    journal_seal(&journal);
    put("journal.bin", journal.bytes, journal.length);
    journal_free(&journal);
    expect_refused("journal.bin: offset 28: record of kind 1, offset 1044480, length 4097");
    static uint8_t image[0x20001];
    get("flash.bin", image, sizeof image);
    ck_assert_uint_eq(image[0x20000], 0x5A);
}
END_TEST

/* --- killed at any write --- */

#define STEPS 7

/* Changes of every kind, each one flash operation boundary after the other. */
static void do_step(struct flash *flash, struct backup *backup, int step)
{
    static uint8_t block[3 * FLASH_PAGE];
    memset(block, 0x30 + step, sizeof block);
    switch (step) {
    case 0:
        ck_assert_int_eq(flash_erase(flash, 5), FLASH_COMPLETE);
        break;
    case 1:
    case 2:
        ck_assert_int_eq(flash_program(flash, 0x08020000 + (uint32_t)step * FLASH_PAGE, block,
                                       FLASH_PAGE, FLASH_WORD),
                         FLASH_COMPLETE);
        break;
    case 3:
        ck_assert_int_eq(flash_program(flash, 0x08030800, block, sizeof block, FLASH_WORD),
                         FLASH_COMPLETE);
        break;
    case 4:
        backup->dr[1] = 0xEDFA;
        break;
    case 5:
        ck_assert_int_eq(flash_protect(flash, 0x0F1E), FLASH_COMPLETE);
        break;
    case 6:
        ck_assert_int_eq(flash_erase(flash, 11), FLASH_COMPLETE);
        backup->dr[1] = 1;
        break;
    }
}

static void run_steps(void)
{
    struct backup backup = {0};
    struct device_dir *dir = device_dir_open(path, DEVICE_DIR_RUN, &complaint);
    struct flash *flash = device_dir_flash(dir);
    for (int step = 0; step < STEPS; step++) {
        do_step(flash, &backup, step);
        if (!device_dir_commit(dir, flash, &backup, &complaint)) {
            break;
        }
    }
    flash_free(flash);
    device_dir_close(dir);
}

static bool same_state(struct device_dir *dir, struct flash *flash, const struct backup *backup)
{
    static uint8_t found[FLASH_SIZE], expected[FLASH_SIZE];
    const struct device_small_state *state = device_dir_small_state(dir);
    struct flash *there = device_dir_flash(dir);
    flash_read(there, FLASH_BASE, found, FLASH_SIZE);
    flash_read(flash, FLASH_BASE, expected, FLASH_SIZE);
    bool same = memcmp(found, expected, FLASH_SIZE) == 0 && state->nwrp == flash_nwrp(flash) &&
                memcmp(&state->backup, backup, sizeof *backup) == 0;
    for (unsigned sector = 0; sector < FLASH_SECTORS; sector++) {
        same = same && state->wear[sector] == flash_wear(flash, sector);
    }
    flash_free(there);
    return same;
}

/* How many steps the directory has seen; a failure when it is between two. */
static int steps_seen(void)
{
    struct backup backup = {0};
    struct flash *flash = some_flash();
    struct device_dir *dir = open_board(DEVICE_DIR_RUN);
    int seen = -1;
    for (int step = 0; seen < 0 && step <= STEPS; step++) {
        if (same_state(dir, flash, &backup)) {
            seen = step;
        } else if (step < STEPS) {
            do_step(flash, &backup, step);
        }
    }
    flash_free(flash);
    device_dir_close(dir);
    ck_assert_msg(seen >= 0, "a torn state at write %d", mishap_at);
    return seen;
}

static void check_killed_at_every_write(enum mishap how)
{
    int status, last = 0;
    bool finished = false;
    for (int at = 0; !finished; at++) {
        make_folder();
        make_board();
        mishap_at = at;
        pid_t child = fork();
        if (child == 0) {
            mishap = how;
            writes = 0;
            run_steps();
            _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        finished = WIFEXITED(status);
        ck_assert(finished || WTERMSIG(status) == SIGKILL);
        int seen = steps_seen();
        ck_assert_int_ge(seen, last);
        last = seen;
        remove_folder();
    }
    ck_assert_int_eq(last, STEPS);
    make_folder();
}

START_TEST(test_killed_before_any_write_leaves_an_operation_boundary)
{
    remove_folder();
    check_killed_at_every_write(MISHAP_KILL_BEFORE);
}
END_TEST

START_TEST(test_killed_within_any_write_leaves_an_operation_boundary)
{
    remove_folder();
    check_killed_at_every_write(MISHAP_KILL_HALFWAY);
}
END_TEST

START_TEST(test_a_full_disk_at_any_write_leaves_an_operation_boundary)
{
    for (int at = 1; at < 24; at++) {
        make_board();
        mishap = MISHAP_DISK_FULL;
        mishap_at = at;
        writes = 0;
        run_steps();
        mishap = MISHAP_NONE;
        steps_seen();
        remove_folder();
        make_folder();
    }
}
END_TEST

START_TEST(test_after_a_failed_write_nothing_more_is_written)
{
    struct backup backup = {.dr = {1}};
    make_board();
    struct device_dir *dir = open_board(DEVICE_DIR_RUN);
    struct flash *flash = device_dir_flash(dir);
    mishap = MISHAP_DISK_FULL;
    mishap_at = 0;
    writes = 0;
    ck_assert(!device_dir_commit(dir, flash, &backup, &complaint));
    ck_assert_msg(strstr(complaint.text, "backup.bin: cannot write: No space left") != NULL, "%s",
                  complaint.text);
    mishap = MISHAP_NONE;
    ck_assert(!device_dir_commit(dir, flash, &backup, &complaint));
    flash_free(flash);
    device_dir_close(dir);
    dir = open_board(DEVICE_DIR_LOOK);
    ck_assert_uint_eq(device_dir_small_state(dir)->backup.dr[0], 0);
    device_dir_close(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_dir");
    TCase *reading = tcase_create("reading and making");
    TCase *hostile = tcase_create("hostile files");
    TCase *killing = tcase_create("killing");
    TCase *const cases[] = {reading, hostile, killing};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tcase_add_checked_fixture(cases[i], make_folder, remove_folder);
        tcase_set_timeout(cases[i], 120);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(reading, test_a_board_comes_back_as_it_was_made);
    tcase_add_test(reading, test_flash_bin_is_the_raw_flash);
    tcase_add_test(reading, test_backup_bin_has_the_documented_layout);
    tcase_add_test(reading, test_what_was_committed_is_there_after_opening_again);
    tcase_add_test(reading, test_making_never_overwrites_a_board);
    tcase_add_test(reading, test_making_leaves_other_peoples_directories_alone);
    tcase_add_test(reading, test_making_on_a_full_disk_leaves_nothing);
    tcase_add_test(reading, test_an_interrupted_making_can_be_done_again);
    tcase_add_test(reading, test_a_second_owner_is_told_the_first_ones_pid);
    tcase_add_test(reading, test_many_may_look_at_a_board_at_rest);
    tcase_add_loop_test(hostile, test_foreign_contents_are_named_and_kept, 0,
                        (int)(sizeof foreign / sizeof foreign[0]));
    tcase_add_test(hostile, test_a_long_flash_is_refused);
    tcase_add_test(hostile, test_a_huge_identity_is_refused);
    tcase_add_test(hostile, test_impossible_protection_bits_are_refused);
    tcase_add_loop_test(hostile, test_a_missing_file_is_named, 0, 3);
    tcase_add_loop_test(hostile, test_a_directory_in_place_of_a_file_is_named, 0, 3);
    tcase_add_loop_test(hostile, test_a_pipe_in_place_of_a_file_does_not_hold_us_up, 0, 3);
    tcase_add_test(hostile, test_an_absent_directory_is_named);
    tcase_add_test(hostile, test_a_directory_that_is_none_of_ours_stays_as_it_is);
    tcase_add_test(hostile, test_a_whole_journal_is_carried_out);
    tcase_add_test(hostile, test_looking_completes_a_change_in_memory_only);
    tcase_add_loop_test(hostile, test_an_unfinished_journal_counts_for_nothing, 0,
                        (int)sizeof whole_journal);
    tcase_add_loop_test(hostile, test_a_flipped_bit_makes_a_journal_count_for_nothing, 0,
                        8 * ((int)sizeof whole_journal - 8));
    tcase_add_test(hostile, test_a_journal_that_points_outside_is_refused);
    tcase_add_test(killing, test_killed_before_any_write_leaves_an_operation_boundary);
    tcase_add_test(killing, test_killed_within_any_write_leaves_an_operation_boundary);
    tcase_add_test(killing, test_a_full_disk_at_any_write_leaves_an_operation_boundary);
    tcase_add_test(killing, test_after_a_failed_write_nothing_more_is_written);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

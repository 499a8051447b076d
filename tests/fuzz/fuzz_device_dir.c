/*
 * The device directory's files as anybody may have left them: no input may do worse than a
 * complaint. The first byte says which file the rest is.
 */
#include <stdlib.h>
#include <string.h>

#include "emulator/device_format.h"

static uint8_t image[FLASH_SIZE];
static uint8_t small[DEVICE_BACKUP_SIZE];

/* Carries a record out as device_dir.c does; a record outside its file is a crash here. */
static bool apply(void *context, enum journal_kind kind, uint32_t offset, const void *data,
                  uint32_t length)
{
    (void)context;
    if (kind == JOURNAL_BACKUP) {
        memcpy(small, data, length);
    } else if (kind == JOURNAL_ERASED) {
        memset(image + offset, 0xFF, length);
    } else {
        memcpy(image + offset, data, length);
    }
    return true;
}

/* What is accepted must be written and read again as the same. */
static void try_json(const uint8_t *data, size_t size)
{
    struct device_identity identity, again;
    struct complaint complaint;
    if (device_json_parse(data, size, &identity, &complaint)) {
        char *text = device_json_print(&identity);
        if (!text || !device_json_parse(text, strlen(text), &again, &complaint) ||
            memcmp(identity.id, again.id, sizeof identity.id) != 0 ||
            strcmp(identity.release, again.release) != 0 || identity.seed != again.seed) {
            abort();
        }
        free(text);
    }
}

static void try_backup(const uint8_t *data, size_t size)
{
    struct device_small_state state;
    struct complaint complaint;
    uint8_t again[DEVICE_BACKUP_SIZE];
    if (device_backup_parse(data, size, &state, &complaint)) {
        device_backup_print(&state, again);
        if (memcmp(again, data, sizeof again) != 0) {
            abort();
        }
    }
}

/* As found, and with a header that seals it, so that the records are reached. */
static void try_journal(const uint8_t *data, size_t size)
{
    struct complaint complaint;
    journal_replay(data, size, apply, NULL, &complaint);
    if (size > JOURNAL_HEADER_SIZE) {
        struct journal journal = {.bytes = malloc(size), .length = size, .room = size};
        memcpy(journal.bytes, data, size);
        journal_seal(&journal);
        journal_replay(journal.bytes, journal.length, apply, NULL, &complaint);
        journal_free(&journal);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const uint8_t *, size_t) = {try_json, try_backup, try_journal};
    if (size > 0) {
        tries[data[0] % 3](data + 1, size - 1);
    }
    return 0;
}

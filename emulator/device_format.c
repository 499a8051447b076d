#include "emulator/device_format.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const uint8_t journal_magic[4] = {'v', 'P', 'h', 'J'};

enum { BACKUP_NWRP = 80, BACKUP_PADDING = 82, BACKUP_WEAR = 84 };

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> 8 * i);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `separator` stands between two bytes; '\0' for none. */
static bool hex_parse(const char *text, char separator, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i && separator && *text++ != separator) {
            return false;
        }
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return *text == '\0';
}

bool device_id_parse(const char *text, uint8_t id[PHOTON_ID_SIZE])
{
    return hex_parse(text, '\0', id, PHOTON_ID_SIZE);
}

void device_id_print(const uint8_t id[PHOTON_ID_SIZE], char text[DEVICE_ID_TEXT])
{
    for (size_t i = 0; i < PHOTON_ID_SIZE; i++) {
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    }
}

bool device_mac_parse(const char *text, uint8_t mac[PHOTON_MAC_SIZE])
{
    return hex_parse(text, ':', mac, PHOTON_MAC_SIZE);
}

void device_mac_print(const uint8_t mac[PHOTON_MAC_SIZE], char text[DEVICE_MAC_TEXT])
{
    snprintf(text, DEVICE_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
}

/* --- device.json --- */

static const char *json_kind(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    return value ? names[json_typeof(value)] : "nothing";
}

static const char *text_field(const json_t *root, const char *name, struct complaint *complaint)
{
    const json_t *value = json_object_get(root, name);
    if (!json_is_string(value)) {
        complain(complaint, "field \"%s\": %s found, a string expected", name, json_kind(value));
        return NULL;
    }
    return json_string_value(value);
}

static bool check_format(const json_t *root, struct complaint *complaint)
{
    const json_t *format = json_object_get(root, "format");
    if (!json_is_integer(format)) {
        return complain(complaint, "field \"format\": %s found, the integer %d expected",
                        json_kind(format), DEVICE_FORMAT);
    }
    if (json_integer_value(format) != DEVICE_FORMAT) {
        return complain(complaint, "field \"format\": %lld found, %d expected",
                        (long long)json_integer_value(format), DEVICE_FORMAT);
    }
    return true;
}

static bool read_identity(const json_t *root, struct device_identity *identity,
                          struct complaint *complaint)
{
    const char *text = text_field(root, "id", complaint);
    if (!text) {
        return false;
    }
    if (!device_id_parse(text, identity->id)) {
        return complain(complaint, "field \"id\": \"%.40s\" found, 24 hexadecimal digits expected",
                        text);
    }
    text = text_field(root, "mac", complaint);
    if (!text) {
        return false;
    }
    if (!device_mac_parse(text, identity->mac)) {
        return complain(complaint,
                        "field \"mac\": \"%.40s\" found, six bytes as 6c:0b:84:00:11:22 "
                        "expected",
                        text);
    }
    text = text_field(root, "release", complaint);
    if (!text) {
        return false;
    }
    if (strlen(text) >= sizeof identity->release) {
        return complain(complaint, "field \"release\": %zu characters found, at most %zu expected",
                        strlen(text), sizeof identity->release - 1);
    }
    for (const char *p = text; *p; p++) {
        if (*p < ' ' || *p > '~') {
            return complain(complaint, "field \"release\": unprintable characters found");
        }
    }
    strcpy(identity->release, text);
    return true;
}

static bool read_options(const json_t *root, struct device_identity *identity,
                         struct complaint *complaint)
{
    const json_t *seed = json_object_get(root, "seed");
    if (!json_is_integer(seed) || json_integer_value(seed) < 0 ||
        json_integer_value(seed) > UINT32_MAX) {
        return complain(complaint,
                        "field \"seed\": %s found, an integer from 0 to 4294967295 "
                        "expected",
                        json_kind(seed));
    }
    identity->seed = (uint32_t)json_integer_value(seed);
    const json_t *vbat = json_object_get(root, "vbat");
    if (!json_is_boolean(vbat)) {
        return complain(complaint, "field \"vbat\": %s found, true or false expected",
                        json_kind(vbat));
    }
    identity->vbat = json_is_true(vbat);
    return true;
}

bool device_json_parse(const void *bytes, size_t length, struct device_identity *identity,
                       struct complaint *complaint)
{
    memset(identity, 0, sizeof *identity);
    if (length == 0) {
        return complain(complaint, "empty, a JSON object expected");
    }
    if (length > DEVICE_JSON_MAX) {
        return complain(complaint, "%zu bytes found, at most %d expected", length, DEVICE_JSON_MAX);
    }
    json_error_t error;
    json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        return complain(complaint, "offset %d: not JSON: %s", error.position, error.text);
    }
    bool good;
    if (!json_is_object(root)) {
        good = complain(complaint, "%s found, a JSON object expected", json_kind(root));
    } else {
        good = check_format(root, complaint) && read_identity(root, identity, complaint) &&
               read_options(root, identity, complaint);
    }
    json_decref(root);
    return good;
}

char *device_json_print(const struct device_identity *identity)
{
    char id[DEVICE_ID_TEXT], mac[DEVICE_MAC_TEXT];
    device_id_print(identity->id, id);
    device_mac_print(identity->mac, mac);
    json_t *root = json_pack("{s:i, s:s, s:s, s:s, s:I, s:b}", "format", DEVICE_FORMAT, "id", id,
                             "mac", mac, "release", identity->release, "seed",
                             (json_int_t)identity->seed, "vbat", identity->vbat);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}

/* --- backup.bin --- */

bool device_backup_parse(const void *bytes, size_t length, struct device_small_state *state,
                         struct complaint *complaint)
{
    const uint8_t *p = bytes;
    if (length != DEVICE_BACKUP_SIZE) {
        return complain(complaint, "%zu bytes found, %d expected", length, DEVICE_BACKUP_SIZE);
    }
    for (size_t i = 0; i < BACKUP_REGISTERS; i++) {
        state->backup.dr[i] = get32(p + 4 * i);
    }
    uint32_t options = get32(p + BACKUP_NWRP);
    if (options > FLASH_NWRP_NONE) {
        return complain(complaint,
                        "offset %d: 0x%08X found, twelve nWRP bits (at most 0x%04X) "
                        "expected",
                        BACKUP_NWRP, options, FLASH_NWRP_NONE);
    }
    state->nwrp = (uint16_t)options;
    for (size_t i = 0; i < FLASH_SECTORS; i++) {
        state->wear[i] = get32(p + BACKUP_WEAR + 4 * i);
    }
    return true;
}

void device_backup_print(const struct device_small_state *state, uint8_t bytes[DEVICE_BACKUP_SIZE])
{
    for (size_t i = 0; i < BACKUP_REGISTERS; i++) {
        put32(bytes + 4 * i, state->backup.dr[i]);
    }
    put32(bytes + BACKUP_NWRP, state->nwrp);
    for (size_t i = 0; i < FLASH_SECTORS; i++) {
        put32(bytes + BACKUP_WEAR + 4 * i, state->wear[i]);
    }
}

/* --- journal.bin --- */

static bool journal_grow(struct journal *journal, size_t more)
{
    if (journal->room - journal->length >= more) {
        return true;
    }
    size_t room = 2 * journal->room + more;
    uint8_t *bytes = realloc(journal->bytes, room);
    if (!bytes) {
        return false;
    }
    journal->bytes = bytes;
    journal->room = room;
    return true;
}

bool journal_add(struct journal *journal, enum journal_kind kind, uint32_t offset, const void *data,
                 uint32_t length)
{
    size_t start = journal->length ? 0 : JOURNAL_HEADER_SIZE;
    size_t size = JOURNAL_RECORD_SIZE + (data ? length : 0);
    if (!journal_grow(journal, start + size)) {
        return false;
    }
    journal->length += start;
    uint8_t *record = journal->bytes + journal->length;
    put32(record, kind);
    put32(record + 4, offset);
    put32(record + 8, length);
    if (data) {
        memcpy(record + JOURNAL_RECORD_SIZE, data, length);
    }
    journal->length += size;
    return true;
}

void journal_seal(struct journal *journal)
{
    size_t length = journal->length - JOURNAL_HEADER_SIZE;
    memcpy(journal->bytes, journal_magic, sizeof journal_magic);
    put32(journal->bytes + 4, DEVICE_FORMAT);
    put32(journal->bytes + 8, (uint32_t)length);
    put32(journal->bytes + 12, (uint32_t)crc32_z(0, journal->bytes + JOURNAL_HEADER_SIZE, length));
}

void journal_clear(struct journal *journal)
{
    journal->length = 0;
}

void journal_free(struct journal *journal)
{
    free(journal->bytes);
    *journal = (struct journal){0};
}

/* Whether a record may be carried out; what it says must lie inside the files. */
static bool record_fits(enum journal_kind kind, uint32_t offset, uint32_t length)
{
    switch (kind) {
    case JOURNAL_ERASED:
    case JOURNAL_DATA:
        return offset <= FLASH_SIZE && length <= FLASH_SIZE - offset;
    case JOURNAL_BACKUP:
        return offset == 0 && length == DEVICE_BACKUP_SIZE;
    }
    return false;
}

/* Walks the records; `apply` NULL only checks. */
static enum journal_verdict walk(const uint8_t *bytes, size_t length, journal_apply *apply,
                                 void *context, struct complaint *complaint)
{
    size_t at = JOURNAL_HEADER_SIZE;
    while (at < length) {
        if (length - at < JOURNAL_RECORD_SIZE) {
            complain(complaint, "offset %zu: %zu bytes found, a record of at least %d expected", at,
                     length - at, JOURNAL_RECORD_SIZE);
            return JOURNAL_IMPOSSIBLE;
        }
        uint32_t kind = get32(bytes + at);
        uint32_t offset = get32(bytes + at + 4);
        uint32_t size = get32(bytes + at + 8);
        size_t data = kind == JOURNAL_ERASED ? 0 : size;
        if (!record_fits((enum journal_kind)kind, offset, size) ||
            data > length - at - JOURNAL_RECORD_SIZE) {
            complain(complaint,
                     "offset %zu: record of kind %u, offset %u, length %u does not fit its file",
                     at, kind, offset, size);
            return JOURNAL_IMPOSSIBLE;
        }
        const uint8_t *body = kind == JOURNAL_ERASED ? NULL : bytes + at + JOURNAL_RECORD_SIZE;
        if (apply && !apply(context, (enum journal_kind)kind, offset, body, size)) {
            return JOURNAL_STOPPED;
        }
        at += JOURNAL_RECORD_SIZE + data;
    }
    return JOURNAL_DONE;
}

enum journal_verdict journal_replay(const void *bytes, size_t length, journal_apply *apply,
                                    void *context, struct complaint *complaint)
{
    const uint8_t *p = bytes;
    if (length == 0) {
        return JOURNAL_NOTHING;
    }
    size_t magic = length < sizeof journal_magic ? length : sizeof journal_magic;
    if (memcmp(p, journal_magic, magic) != 0) {
        complain(complaint, "offset 0: not a journal of a device directory (\"vPhJ\" expected)");
        return JOURNAL_IMPOSSIBLE;
    }
    if (length <= JOURNAL_HEADER_SIZE || get32(p + 8) != length - JOURNAL_HEADER_SIZE ||
        get32(p + 12) != crc32_z(0, p + JOURNAL_HEADER_SIZE, length - JOURNAL_HEADER_SIZE)) {
        return JOURNAL_NOTHING;
    }
    if (get32(p + 4) != DEVICE_FORMAT) {
        complain(complaint, "offset 4: journal format %u found, %d expected", get32(p + 4),
                 DEVICE_FORMAT);
        return JOURNAL_IMPOSSIBLE;
    }
    enum journal_verdict verdict = walk(p, length, NULL, NULL, complaint);
    return verdict == JOURNAL_DONE ? walk(p, length, apply, context, complaint) : verdict;
}

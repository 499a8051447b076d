/*
 * Control requests about storage, 260 to 264: sections of the internal flash, by their number. Up
 * to 1.5. Source: device-os v1.5.0 system/src/control/storage.cpp, control/proto/storage.proto.
 */
#include <string.h>

#include "control.pb.h"
#include "control_handlers.h"
#include "eeprom.h"
#include "engine.h"
#include "flash_map.h"
#include "module_flash.h"

enum section_type { FIRMWARE = 1, OTA_BACKUP, FACTORY_BACKUP, CONFIG, EEPROM };

enum section_flag { CAN_READ = 1, CAN_WRITE = 2, CAN_CLEAR = 4, CAN_GET_SIZE = 8, NEED_CLEAR = 16 };

/* application_dct_t from 0.7.0 on. */
#define CONFIG_SIZE 8391
/* The one storage there is. */
#define STORAGE_INTERNAL 1

static const struct section {
    uint8_t type, flags, module_type, module_index;
    uint32_t address, size; /* in the flash, or in the settings */
} sections[] = {
    {FIRMWARE, CAN_READ | CAN_GET_SIZE, 1, 0, MAP_BOOTLOADER, MAP_BOOTLOADER_SIZE},
    {FIRMWARE, CAN_READ | CAN_GET_SIZE, 2, 1, MAP_SYSTEM_PART1, MAP_SYSTEM_PART_SIZE},
    {FIRMWARE, CAN_READ | CAN_GET_SIZE, 2, 2, MAP_SYSTEM_PART2, MAP_SYSTEM_PART_SIZE},
    {FIRMWARE, CAN_READ | CAN_GET_SIZE, 3, 0, MAP_USER, MAP_USER_SIZE},
    {OTA_BACKUP, CAN_READ | CAN_GET_SIZE, 0, 0, MAP_OTA, MAP_OTA_SIZE},
    {FACTORY_BACKUP, CAN_READ | CAN_WRITE | CAN_CLEAR | CAN_GET_SIZE | NEED_CLEAR, 0, 0,
     MAP_FACTORY, MAP_FACTORY_SIZE},
    {CONFIG, CAN_READ | CAN_WRITE, 0, 0, 0, CONFIG_SIZE},
    {EEPROM, CAN_READ | CAN_WRITE | CAN_CLEAR, 0, 0, 0, EEPROM_SIZE},
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

int32_t handle_describe_storage(struct photon *photon, const struct control_message *request,
                                struct control_message *reply)
{
    control_StorageDescription message = {.has_storage = true,
                                          .storage = {.type = STORAGE_INTERNAL}};

    (void)photon;
    (void)request;
    for (size_t i = 0; i < SECTIONS; i++) {
        message.storage.sections[message.storage.sections_count++] = (control_Section){
            .type = sections[i].type,
            .size = sections[i].size,
            .flags = sections[i].flags,
            .has_module = sections[i].type == FIRMWARE,
            .module = {.type = sections[i].module_type, .index = sections[i].module_index}};
    }
    return handler_encode(reply, control_StorageDescription_fields, &message);
}

/* The section of a request that needs this ability; NULL with the result in *why. */
static const struct section *find(uint32_t storage, uint32_t number, enum section_flag ability,
                                  int32_t *why)
{
    if (storage != 0 || number >= SECTIONS) {
        *why = CONTROL_NOT_FOUND;
        return NULL;
    }
    if ((sections[number].flags & ability) == 0) {
        *why = CONTROL_NOT_SUPPORTED;
        return NULL;
    }
    return &sections[number];
}

static bool within(const struct section *section, uint32_t offset, uint32_t size)
{
    return size > 0 && offset <= section->size && size <= section->size - offset;
}

/* A tinker opens the EEPROM when it starts, and takes 0.95 s to format new pages before the board
 * is on USB; here that happens when somebody first looks. In safe mode nobody opens it: it reads as
 * empty and takes nothing until it is cleared. */
static bool eeprom_opened(struct photon *photon)
{
    if (!photon->system.eeprom_open && !photon->system.safe_mode) {
        eeprom_open(photon->flash);
        photon->system.eeprom_open = true;
    }
    return photon->system.eeprom_open;
}

static void read_eeprom(struct photon *photon, uint32_t index, uint8_t *data, uint32_t length)
{
    if (eeprom_opened(photon)) {
        eeprom_read(photon->flash, index, data, length);
    } else {
        memset(data, 0xFF, length);
    }
}

/* Nobody is told how it went. */
static int32_t write_eeprom(struct photon *photon, uint32_t index, const uint8_t *data,
                            uint32_t length)
{
    if (eeprom_opened(photon)) {
        eeprom_write(photon->flash, index, data, length);
    }
    return CONTROL_OK;
}

static int32_t clear_eeprom(struct photon *photon)
{
    eeprom_clear(photon->flash);
    photon->system.eeprom_open = true;
    return CONTROL_OK;
}

int32_t handle_read_section(struct photon *photon, const struct control_message *request,
                            struct control_message *reply)
{
    control_SectionRange range = control_SectionRange_init_zero;
    control_SectionData data = control_SectionData_init_zero;
    const struct section *section;
    int32_t why;

    if (!handler_decode(request, control_SectionRange_fields, &range)) {
        return CONTROL_BAD_DATA;
    }
    section = find(range.storage, range.section, CAN_READ, &why);
    if (section == NULL) {
        return why;
    }
    if (!within(section, range.offset, range.size)) {
        return CONTROL_OUT_OF_RANGE;
    }
    if (range.size > sizeof(data.data.bytes)) {
        return CONTROL_NO_MEMORY;
    }
    data.data.size = (pb_size_t)range.size;
    if (section->type == EEPROM) {
        read_eeprom(photon, range.offset, data.data.bytes, range.size);
    } else if (section->type == CONFIG) {
        system_read_dct(photon, range.offset, data.data.bytes, range.size);
    } else {
        flash_read(photon->flash, section->address + range.offset, data.data.bytes, range.size);
    }
    return handler_encode(reply, control_SectionData_fields, &data);
}

/* Words where they fit, bytes around them. */
static bool program(struct flash *flash, uint32_t address, const uint8_t *data, uint32_t length)
{
    uint32_t head = (0U - address) % FLASH_WORD;
    uint32_t words;

    head = head < length ? head : length;
    words = (length - head) / FLASH_WORD * FLASH_WORD;
    return flash_program(flash, address, data, head, FLASH_BYTE) == FLASH_COMPLETE &&
           flash_program(flash, address + head, data + head, words, FLASH_WORD) == FLASH_COMPLETE &&
           flash_program(flash, address + head + words, data + head + words, length - head - words,
                         FLASH_BYTE) == FLASH_COMPLETE &&
           flash_equals(flash, address, data, length);
}

int32_t handle_write_section(struct photon *photon, const struct control_message *request,
                             struct control_message *reply)
{
    control_SectionWrite message = control_SectionWrite_init_zero;
    const struct section *section;
    int32_t why;
    bool done;

    (void)reply;
    if (!handler_decode(request, control_SectionWrite_fields, &message)) {
        return CONTROL_BAD_DATA;
    }
    section = find(message.storage, message.section, CAN_WRITE, &why);
    if (section == NULL) {
        return why;
    }
    if (!within(section, message.offset, message.data.size)) {
        return CONTROL_OUT_OF_RANGE;
    }
    if (section->type == EEPROM) {
        return write_eeprom(photon, message.offset, message.data.bytes, message.data.size);
    }
    done = section->type == CONFIG
               ? system_write_dct(photon, message.offset, message.data.bytes, message.data.size)
               : program(photon->flash, section->address + message.offset, message.data.bytes,
                         message.data.size);
    return done ? CONTROL_OK : CONTROL_IO;
}

int32_t handle_clear_section(struct photon *photon, const struct control_message *request,
                             struct control_message *reply)
{
    control_SectionRange range = control_SectionRange_init_zero;
    const struct section *section;
    int32_t why;

    (void)reply;
    if (!handler_decode(request, control_SectionRange_fields, &range)) {
        return CONTROL_BAD_DATA;
    }
    section = find(range.storage, range.section, CAN_CLEAR, &why);
    if (section == NULL) {
        return why;
    }
    if (section->type == EEPROM) {
        return clear_eeprom(photon);
    }
    return flash_erase_unprotecting(photon->flash, (unsigned)flash_sector_of(section->address)) ==
                   FLASH_COMPLETE
               ? CONTROL_OK
               : CONTROL_IO;
}

int32_t handle_section_size(struct photon *photon, const struct control_message *request,
                            struct control_message *reply)
{
    control_SectionRange range = control_SectionRange_init_zero;
    control_SectionSize answer;
    const struct section *section;
    struct module_info info;
    int32_t why;

    if (!handler_decode(request, control_SectionRange_fields, &range)) {
        return CONTROL_BAD_DATA;
    }
    section = find(range.storage, range.section, CAN_GET_SIZE, &why);
    if (section == NULL) {
        return why;
    }
    if (!module_flash_info(photon->flash, section->address, &info) || info.end < info.start ||
        info.end - info.start > section->size ||
        !module_flash_crc_ok(photon->flash, section->address, &info)) {
        return CONTROL_BAD_DATA;
    }
    answer.size = info.end - info.start + MODULE_CRC_SIZE;
    return handler_encode(reply, control_SectionSize_fields, &answer);
}

#include "module_slot.h"

#include "flash_map.h"
#include "little_endian.h"
#include "module.h"
#include "module_flash.h"

const struct module_slot module_slot_factory = {
    .magic = MODULE_SLOT_FACTORY,
    .source = MAP_FACTORY,
    .destination = MAP_USER,
    .length = MAP_FACTORY_SIZE,
    .flags = MODULE_VERIFY_CRC | MODULE_VERIFY_DESTINATION | MODULE_VERIFY_FUNCTION,
    .function = MODULE_USER_PART,
};

void module_slot_decode(struct module_slot *slot, const uint8_t bytes[MODULE_SLOT_SIZE])
{
    slot->magic = le16_get(bytes);
    slot->source_device = bytes[2];
    slot->destination_device = bytes[3];
    slot->source = le32_get(bytes + 4);
    slot->destination = le32_get(bytes + 8);
    slot->length = le32_get(bytes + 12);
    slot->flags = bytes[16];
    slot->function = bytes[17];
    slot->reserved = le16_get(bytes + 18);
}

void module_slot_encode(const struct module_slot *slot, uint8_t bytes[MODULE_SLOT_SIZE])
{
    le16_put(bytes, slot->magic);
    bytes[2] = slot->source_device;
    bytes[3] = slot->destination_device;
    le32_put(bytes + 4, slot->source);
    le32_put(bytes + 8, slot->destination);
    le32_put(bytes + 12, slot->length);
    bytes[16] = slot->flags;
    bytes[17] = slot->function;
    le16_put(bytes + 18, slot->reserved);
}

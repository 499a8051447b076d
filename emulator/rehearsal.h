/*
 * What a board would do at power-on: a copy of it does it.
 */
#ifndef VPHOTON_REHEARSAL_H
#define VPHOTON_REHEARSAL_H

#include <jansson.h>

#include "emulator/device_format.h"
#include "emulator/trace.h"

#define REHEARSAL_LINES_MAX 32

struct rehearsal {
    struct {
        double time_ms;
        const char *text;
    } lines[REHEARSAL_LINES_MAX];
    size_t count;
    struct led led;
    bool attached, hung;
    uint16_t vendor, product; /* 0: it did not tell */
};

/* Lets a copy of the flash start without backup registers; `flash` stays as it is. False when
 * memory is short. */
bool rehearse(struct rehearsal *rehearsal, const struct device_identity *identity,
              const struct flash *flash);
json_t *rehearsal_json(const struct rehearsal *rehearsal);

#endif

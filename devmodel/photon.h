/*
 * The Photon engine: a board whose behaviour is code and tables, not executed firmware.
 *
 * What the board is, it reads from its own flash: the bootloader image in sector 0 decides how DFU
 * behaves, system-part2's version how the running system behaves.
 */
#ifndef PHOTON_PHOTON_H
#define PHOTON_PHOTON_H

#include "backup.h"
#include "board.h"
#include "flash.h"
#include "wifi.h"

#define PHOTON_ID_SIZE  12
#define PHOTON_MAC_SIZE 6

/* Room for the private key of a board: an RSA key of 1024 bits as PKCS#1 DER, and zeros. */
#define PHOTON_KEY_SIZE 612

/* Makes such a key, always the same from the same `number`. False when it cannot. */
typedef bool photon_keygen(void *context, uint64_t number, uint8_t key[PHOTON_KEY_SIZE]);

struct photon_config {
    uint8_t device_id[PHOTON_ID_SIZE];
    uint8_t mac[PHOTON_MAC_SIZE];
    bool vbat;           /* backup registers survive power-off */
    struct wifi_air air; /* what a Wi-Fi scan finds */
    /* Makes the key of a board that starts without one; NULL: it stays without. */
    photon_keygen *keygen;
    void *keygen_context;
};

/* A board without power. Takes ownership of `flash` (freed with the board). NULL when memory is
 * short. */
struct board *photon_new(const struct photon_config *config, struct flash *flash);
/* The board's flash, for loading images, arming power cuts and reading wear. Owned by the board. */
struct flash *photon_flash(struct board *board);
/* The board's backup registers; writable while the board has no power. */
struct backup *photon_backup(struct board *board);

#endif

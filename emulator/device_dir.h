/*
 * A device directory: one board's flash, registers and identity on disk (files: device_format.h).
 *
 * One process owns it. While a board runs, what it changes is written through, each change whole or
 * not at all, so that a `kill -9` at any instant leaves the state of some flash operation boundary.
 * Nothing is synced to the disk itself: a crash of the host may lose what its kernel had not
 * written.
 */
#ifndef VPHOTON_DEVICE_DIR_H
#define VPHOTON_DEVICE_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/device_format.h"

struct device_dir;

enum device_dir_use {
    DEVICE_DIR_RUN, /* own it and write */
    DEVICE_DIR_LOOK /* read only; a change under way is completed in memory, not on disk */
};

/* True when `path` already holds a board. */
bool device_dir_exists(const char *path);

/* Makes a board: the directory must be absent, or empty, or hold only what an interrupted making
 * left. Leaves nothing behind on failure. */
__attribute__((warn_unused_result)) bool device_dir_create(const char *path,
                                                           const struct device_identity *identity,
                                                           const struct flash *flash,
                                                           struct complaint *complaint);

/* Locks, reads and checks. NULL with a complaint that names the file. */
struct device_dir *device_dir_open(const char *path, enum device_dir_use use,
                                   struct complaint *complaint);
void device_dir_close(struct device_dir *dir);

const char *device_dir_path(const struct device_dir *dir);
const struct device_identity *device_dir_identity(const struct device_dir *dir);
/* As the directory holds it. */
const struct device_small_state *device_dir_small_state(const struct device_dir *dir);
/* Lets what the directory holds share memory with a flash that holds much the same: the board's
 * own, after that was made to share with others. */
void device_dir_share(struct device_dir *dir, const struct flash *like);
/* The flash as the directory holds it, with option bytes and wear, owned by the caller; NULL when
 * memory is short. */
struct flash *device_dir_flash(const struct device_dir *dir);

/* Writes what differs from what the directory holds - flash, registers, option bytes, wear - as one
 * change. Cheap when little differs. After a failure the directory keeps the last whole change and
 * nothing more is ever written; says so once. */
__attribute__((warn_unused_result)) bool device_dir_commit(struct device_dir *dir,
                                                           const struct flash *flash,
                                                           const struct backup *backup,
                                                           struct complaint *complaint);

#endif

/*
 * The CPU between two moments: stretches of firmware, timers, resets and the loss of power. Not for
 * users of the library.
 */
#ifndef PHOTON_CPU_H
#define PHOTON_CPU_H

#include "engine.h"

/* A stretch of firmware begins now; gives where it starts, for cpu_stretch_end(). */
uint64_t cpu_stretch_begin(struct photon *photon);
void cpu_stretch_end(struct photon *photon, uint64_t start);
/* Finds the earliest thing to do. */
void cpu_rearm(struct photon *photon);
/* Does all that falls due up to a board time, and gets there. */
void cpu_run_until(struct photon *photon, uint64_t until);

/* Takes back what the CPU did ahead of now; the flash is without power then. */
void cpu_rewind(struct photon *photon);
void cpu_reset(struct photon *photon, uint32_t cause, const char *text);
void cpu_lose_power(struct photon *photon);

/* There is firmware that handles the USB core's interrupts. */
bool cpu_listens(const struct photon *photon);
void cpu_handle_setup(struct photon *photon, const uint8_t packet[8]);

#endif

/*
 * Telling whoever started a daemon how far it is: a service manager by the sd_notify protocol
 * (NOTIFY_SOCKET, systemd's sd_notify(3)), anybody else by a line on a descriptor.
 */
#ifndef VPHOTON_READINESS_H
#define VPHOTON_READINESS_H

/* Sends assignments as "READY=1"; nothing when no manager wants to know. */
void readiness_notify(const char *assignments);
/* Writes a newline to the descriptor and closes it. */
void readiness_write(int fd);

#endif

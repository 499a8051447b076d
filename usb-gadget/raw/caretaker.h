/*
 * Programs that outlive a run's command: without anybody at the filter's listener none of them
 * could open a file any more. So a process stays with them, until the last has ended, that lets
 * the system handle their calls, and that keeps the files which they have mounted.
 */
#ifndef GADGET_RAW_CARETAKER_H
#define GADGET_RAW_CARETAKER_H

struct preload_server;

/* Its files outlive the server then. */
void caretaker_start(int listener, struct preload_server *server);

#endif

/*
 * Where this program lies: what belongs to it lies beside it, in a build folder and in an
 * installation.
 */
#ifndef GADGET_PROGRAM_FOLDER_H
#define GADGET_PROGRAM_FOLDER_H

#include <limits.h>

/* The folder of the file that this process runs, without a slash at the end; "" when the system
 * does not say. */
void program_folder(char folder[PATH_MAX]);

#endif

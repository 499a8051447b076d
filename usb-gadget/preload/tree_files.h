/*
 * The small files and folders that the tree is made of. Names are in the folder of an open
 * descriptor; what can fail is false or -1 with errno.
 */
#ifndef GADGET_PRELOAD_TREE_FILES_H
#define GADGET_PRELOAD_TREE_FILES_H

#include "usb-gadget/preload/tree.h"

#define TREE_FILE_MODE   0644
#define TREE_FOLDER_MODE 0755

/* A file of its own, in place of one that is there. */
bool tree_put_file(int folder, const char *name, const void *content, size_t length);

/* Makes what tree_put_constant() shares, in the folder `tree->constants`. */
bool tree_put_numbers(const struct tree *tree);
/* A file that no program writes to, with a text; it may be the same file as others. */
bool tree_put_constant(const struct tree *tree, int folder, const char *name, const char *text);

int tree_open_folder(int folder, const char *name);
int tree_make_folder(int folder, const char *name);
/* Removes it with all that is in it. */
void tree_remove_folder(int folder, const char *name);

#endif

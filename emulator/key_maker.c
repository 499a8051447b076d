#include "emulator/key_maker.h"

#include <dlfcn.h>
#include <stdio.h>

#include "usb-gadget/program_folder.h"

#define LIBRARY "libvphoton-keys.so"

/* Where it lies, seen from the program's folder: in the build folder, in an installation. A search
 * path in the program (RUNPATH) would have the system look there for each library at each start. */
static const char *const places[] = {"/", "/../" LIBDIR "/vphoton/"};

static void *load(void)
{
    char program[PATH_MAX], path[PATH_MAX + 128];
    void *library = NULL;
    program_folder(program);
    for (size_t i = 0; !library && i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, sizeof path, "%s%s" LIBRARY, program, places[i]);
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return library ? library : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

bool key_maker(void *context, uint64_t number, uint8_t der[PHOTON_KEY_SIZE])
{
    void *library = load();
    photon_keygen *make = library ? (photon_keygen *)dlsym(library, "key_pair_make") : NULL;
    bool made = make && make(context, number, der);
    if (library) {
        dlclose(library);
    }
    return made;
}

const char *key_maker_missing(void)
{
    void *library = load();
    return library && dlclose(library) == 0 ? NULL : dlerror();
}

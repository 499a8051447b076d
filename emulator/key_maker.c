#include "emulator/key_maker.h"

#include <dlfcn.h>

#define LIBRARY "libvphoton-keys.so"

bool key_maker(void *context, uint64_t number, uint8_t der[PHOTON_KEY_SIZE])
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    photon_keygen *make = library ? (photon_keygen *)dlsym(library, "key_pair_make") : NULL;
    bool made = make && make(context, number, der);
    if (library) {
        dlclose(library);
    }
    return made;
}

const char *key_maker_missing(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    return library && dlclose(library) == 0 ? NULL : dlerror();
}

/* Run by the build: prints the definition of key_pair_fresh. */
#include <stdio.h>

#include "emulator/key_pair.h"

int main(void)
{
    uint8_t der[PHOTON_KEY_SIZE];
    if (!key_pair_make(NULL, KEY_PAIR_FRESH, der)) {
        return 1;
    }
    puts("#include \"emulator/key_pair.h\"\n\nconst uint8_t key_pair_fresh[PHOTON_KEY_SIZE] = {");
    for (size_t i = 0; i < sizeof der; i++) {
        printf("0x%02X,%c", (unsigned)der[i], i % 16 == 15 ? '\n' : ' ');
    }
    puts("};");
    return 0;
}

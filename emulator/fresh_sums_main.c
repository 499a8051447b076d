/* Run by the build: prints the definition of fresh_sums. */
#include <stdio.h>

#include "devmodel/factory.h"
#include "emulator/digest.h"

static void print_sums(const struct module_sums *sums)
{
    printf("    {{");
    for (size_t i = 0; i < MODULE_SHA256_SIZE; i++) {
        printf("0x%02X, ", (unsigned)sums->sha256[i]);
    }
    printf("}, 0x%08X},\n", (unsigned)sums->crc);
}

int main(void)
{
    struct factory_sums sums;
    puts("#include \"emulator/fresh_sums.h\"\n\nconst struct factory_sums fresh_sums[] = {");
    for (size_t i = 0; i < release_count; i++) {
        if (!factory_find_sums(&releases[i], digest_sha256, &sums)) {
            return 1;
        }
        printf("    {{ /* %s */\n", releases[i].name);
        for (size_t which = 0; which < FACTORY_MODULES; which++) {
            print_sums(&sums.of[which]);
        }
        puts("    }},");
    }
    puts("};");
    return 0;
}

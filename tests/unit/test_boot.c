/* What the bootloaders decide at a reset, as a script: boot.script. */
#include "tests/unit/support_script.h"

int main(int argc, char **argv)
{
    return script_main(argc, argv, "boot", "tests/unit/boot.script");
}

/* Behaviour of the bootloaders under DFU, as a script: dfu_quirks.script. */
#include "tests/unit/support_script.h"

int main(int argc, char **argv)
{
    return script_main(argc, argv, "dfu quirks", "tests/unit/dfu_quirks.script");
}

/* Behaviour of the bootloaders under DFU, as a script: dfu_memory.script. */
#include "tests/unit/support_script.h"

int main(int argc, char **argv)
{
    return script_main(argc, argv, "dfu memory", "tests/unit/dfu_memory.script");
}

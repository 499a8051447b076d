/* Behaviour of the bootloaders under DFU, as a script: dfu_leave.script. */
#include "tests/unit/support_script.h"

int main(int argc, char **argv)
{
    return script_main(argc, argv, "dfu leave", "tests/unit/dfu_leave.script");
}

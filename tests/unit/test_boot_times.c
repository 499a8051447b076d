/* Time lines of real boards, as a script: boot_times.script. */
#include "tests/unit/support_script.h"

int main(int argc, char **argv)
{
    return script_main(argc, argv, "boot times", "tests/unit/boot_times.script");
}

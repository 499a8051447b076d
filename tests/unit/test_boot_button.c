/* The SETUP button at power-up, as a script: boot_button.script. */
#include "tests/unit/support_script.h"

int main(int argc, char **argv)
{
    return script_main(argc, argv, "boot button", "tests/unit/boot_button.script");
}

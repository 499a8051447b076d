/* The bootloaders as USB devices, as a script: usb_chapter9.script. */
#include "tests/unit/support_script.h"

int main(int argc, char **argv)
{
    return script_main(argc, argv, "usb chapter 9", "tests/unit/usb_chapter9.script");
}

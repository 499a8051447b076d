#include "emulator/complaint.h"

#include <stdio.h>
#include <string.h>

/* A file name or a value from a file may hold anything; the message stays one printable line. UTF-8
 * passes. */
static void make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7F) {
            *p = '?';
        }
    }
}

bool complain(struct complaint *complaint, const char *format, ...)
{
    if (complaint) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(complaint->text, sizeof complaint->text, format, arguments);
        va_end(arguments);
        make_printable(complaint->text);
    }
    return false;
}

bool complain_about(struct complaint *complaint, const char *before)
{
    if (complaint) {
        struct complaint was = *complaint;
        const char *const parts[] = {before, ": ", was.text};
        size_t used = 0;
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            size_t room = sizeof complaint->text - 1 - used;
            size_t length = strlen(parts[i]);
            length = length < room ? length : room;
            memcpy(complaint->text + used, parts[i], length);
            used += length;
        }
        complaint->text[used] = '\0';
        make_printable(complaint->text);
    }
    return false;
}

void say_error(const char *format, ...)
{
    struct complaint complaint;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint.text, sizeof complaint.text, format, arguments);
    va_end(arguments);
    make_printable(complaint.text);
    say_complaint(&complaint);
}

void say_complaint(const struct complaint *complaint)
{
    /* One write, so that the line stays whole beside a child that writes too. */
    char line[sizeof complaint->text + 16];
    int length = snprintf(line, sizeof line, "vphoton: %s\n", complaint->text);
    if (length > 0) {
        fwrite(line, 1, (size_t)length, stderr);
        fflush(stderr);
    }
}

/* Reading a fuzzer's input from its start; what is missing reads as 0. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
    const uint8_t *bytes;
    size_t left;
};

static inline uint8_t input_u8(struct input *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->bytes++;
}

static inline uint16_t input_u16(struct input *input)
{
    uint16_t low = input_u8(input);

    return (uint16_t)(low | input_u8(input) << 8);
}

static inline uint32_t input_u32(struct input *input)
{
    uint32_t low = input_u16(input);

    return low | (uint32_t)input_u16(input) << 16;
}

/* What a broken promise does: the fuzzer keeps the input. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            __builtin_trap();                                                                      \
        }                                                                                          \
    } while (0)

#endif

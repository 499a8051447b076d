#include "tests/unit/support_script.h"

#include <check.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LENGTH 1024

/* One script file a program: its lines, its cases, and the tests made of them. */
static struct {
    const char *path;
    char **lines;
    size_t line_count;
    struct script_case *cases;
    size_t case_count;
    size_t preamble_end; /* lines before the first case */
    struct script_test {
        size_t index;
        unsigned image;
    } * tests;
    size_t test_count;
} script;

void script_fail(struct script_run *run, const char *format, ...)
{
    char message[4 * HOST_TRANSCRIPT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    ck_abort_msg("bootloader %s (release %s): %s\n  %s:%u: %s\n  %s", test_images[run->image].name,
                 test_images[run->image].release, run->test->title, script.path, run->line,
                 run->text, message);
    abort();
}

static unsigned image_named(struct script_run *run, const char *name, size_t length)
{
    for (unsigned image = 0; image < TEST_IMAGES; image++) {
        if (strlen(test_images[image].name) == length &&
            strncmp(test_images[image].name, name, length) == 0) {
            return image;
        }
    }
    script_fail(run, "no bootloader image is called \"%.*s\"", (int)length, name);
}

bool script_selects(struct script_run *run, const char *list, unsigned image)
{
    while (*list != '\0') {
        size_t length = strcspn(list, " ");
        const char *dots = strstr(list, "..");
        unsigned from = 0, to = TEST_IMAGES - 1;

        if (strncmp(list, "all", length) == 0) {
            return true;
        }
        if (dots != NULL && dots < list + length) {
            size_t left = (size_t)(dots - list), right = length - left - 2;

            from = left == 0 ? 0 : image_named(run, list, left);
            to = right == 0 ? TEST_IMAGES - 1 : image_named(run, dots + 2, right);
        } else {
            from = to = image_named(run, list, length);
        }
        if (image >= from && image <= to) {
            return true;
        }
        list += length + strspn(list + length, " ");
    }
    return false;
}

uint32_t script_hex(struct script_run *run, const char *word)
{
    char *end;
    unsigned long value = strtoul(word, &end, 16);

    if (*end != '\0' || end == word) {
        script_fail(run, "\"%s\" is not a hexadecimal number", word);
    }
    return (uint32_t)value;
}

uint32_t script_number(struct script_run *run, const char *word)
{
    char *end;
    unsigned long value = strtoul(word, &end, 10);

    if (*end != '\0' || end == word) {
        script_fail(run, "\"%s\" is not a number", word);
    }
    return (uint32_t)value;
}

uint64_t script_time(struct script_run *run, const char *word)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"", 1e6}};
    double total = 0;
    const char *next = word;

    while (*next != '\0') {
        double sign = *next == '-' ? -1 : 1, term = 1;
        size_t length, unit = 0;

        next += *next == '-' || *next == '+';
        if (isdigit((unsigned char)*next)) {
            char *end;

            term = strtod(next, &end);
            next = end + (*end == '*');
        }
        length = strcspn(next, "+-");
        if (length == 3 && strncmp(next, "dct", 3) == 0) {
            term *= (double)flash_sectors[1].erase_ns;
        } else if (length == 3 && strncmp(next, "big", 3) == 0) {
            term *= (double)flash_sectors[11].erase_ns;
        } else {
            while (unit < 3 && (strlen(units[unit].name) != length ||
                                strncmp(next, units[unit].name, length) != 0)) {
                unit++;
            }
            if (strlen(units[unit].name) != length) {
                script_fail(run, "\"%s\" is not a time", word);
            }
            term *= units[unit].ns;
        }
        total += sign * term;
        next += length;
    }
    return total < 0 ? 0 : (uint64_t)(total + 0.5);
}

static void append(struct script_run *run, uint8_t *bytes, size_t *used, size_t room, unsigned byte)
{
    if (*used == room) {
        script_fail(run, "more than %zu bytes", room);
    }
    bytes[(*used)++] = (uint8_t)byte;
}

static void append_string(struct script_run *run, uint8_t *bytes, size_t *used, size_t room,
                          const char *quoted)
{
    size_t length = strlen(quoted) - 2;

    append(run, bytes, used, room, (unsigned)(2 + 2 * length));
    append(run, bytes, used, room, 3);
    for (size_t i = 0; i < length; i++) {
        append(run, bytes, used, room, (unsigned char)quoted[1 + i]);
        append(run, bytes, used, room, 0);
    }
}

static void append_hex(struct script_run *run, uint8_t *bytes, size_t *used, size_t room,
                       const char *word)
{
    const char *star = strchr(word, '*');
    size_t digits = star == NULL ? strlen(word) : (size_t)(star - word);
    uint32_t times = star == NULL ? 1 : script_number(run, star + 1);

    if (digits % 2 != 0 || strspn(word, "0123456789ABCDEFabcdef") < digits) {
        script_fail(run, "\"%s\" are not bytes", word);
    }
    for (uint32_t round = 0; round < times; round++) {
        for (size_t i = 0; i < digits; i += 2) {
            const char pair[3] = {word[i], word[i + 1], '\0'};

            append(run, bytes, used, room, (unsigned)strtoul(pair, NULL, 16));
        }
    }
}

static void append_flash(struct script_run *run, uint8_t *bytes, size_t *used, size_t room,
                         const char *word)
{
    char address[9] = "";
    const char *star = strchr(word, '*');
    uint32_t length;

    if (star == NULL || star - word != 9) {
        script_fail(run, "\"%s\" is not @ADDRESS*LENGTH", word);
    }
    memcpy(address, word + 1, 8);
    length = script_number(run, star + 1);
    if (length > room - *used ||
        !run->board->ops->flash_read(run->board, script_hex(run, address), bytes + *used, length)) {
        script_fail(run, "\"%s\" is not in the flash or too long", word);
    }
    *used += length;
}

size_t script_bytes(struct script_run *run, const struct script_words *words, size_t from,
                    size_t to, uint8_t *bytes, size_t room)
{
    size_t used = 0;

    for (size_t i = from; i < to; i++) {
        if (words->word[i][0] == '@') {
            append_flash(run, bytes, &used, room, words->word[i]);
        } else if (words->word[i][0] == '"') {
            append_string(run, bytes, &used, room, words->word[i]);
        } else {
            append_hex(run, bytes, &used, room, words->word[i]);
        }
    }
    return used;
}

/* --- running --- */

static const char *variable(struct script_run *run, const char *name)
{
    for (size_t i = run->variable_count; i > 0; i--) {
        if (strcmp(run->variables[i - 1].name, name) == 0) {
            return run->variables[i - 1].value;
        }
    }
    script_fail(run, "nothing is called $%s", name);
}

/* Cuts `text` into words, in place; $names give the words of their values. */
static void split(struct script_run *run, char *text, struct script_words *words)
{
    char *next = text;

    for (;;) {
        char *word = next + strspn(next, " \t");
        size_t length = word[0] == '"' ? strcspn(word + 1, "\"") + 2 : strcspn(word, " \t");

        if (*word == '\0' || *word == '#') {
            break;
        }
        next = word[length] == '\0' ? word + length : word + length + 1;
        word[length] = '\0';
        if (words->count == SCRIPT_WORDS) {
            script_fail(run, "more than %d words", SCRIPT_WORDS);
        }
        if (word[0] == '$') {
            words->word[words->count++] = variable(run, word + 1);
        } else {
            words->word[words->count++] = word;
        }
    }
    words->expect = 0;
    while (words->expect < words->count && strcmp(words->word[words->expect], "->") != 0) {
        words->expect++;
    }
}

static const struct script_command *find(const struct script_command *table, const char *name)
{
    for (; table->name != NULL; table++) {
        if (strcmp(table->name, name) == 0) {
            return table;
        }
    }
    return NULL;
}

static void define(struct script_run *run, const struct script_words *words)
{
    if (words->count != 3 || run->variable_count == SCRIPT_VARIABLES) {
        script_fail(run, "let NAME VALUE, at most %d of them", SCRIPT_VARIABLES);
    }
    run->variables[run->variable_count].name = strdup(words->word[1]);
    run->variables[run->variable_count++].value = strdup(words->word[2]);
}

static void run_words(struct script_run *run, const struct script_words *words)
{
    const char *name = words->word[0];
    const struct script_command *command;

    if (strcmp(name, "let") == 0) {
        define(run, words);
        return;
    }
    command = find(script_host_commands, name);
    if (command == NULL) {
        command = find(script_bench_commands, name);
    }
    if (command != NULL) {
        if (words->expect < command->least + 1 || words->expect > command->most + 1) {
            script_fail(run, "%s takes %zu to %zu words", name, command->least, command->most);
        }
        command->run(run, words);
    } else if (strlen(name) == 2 && isxdigit((unsigned char)name[0])) {
        script_raw_request(run, words);
    } else {
        script_fail(run, "no command is called %s", name);
    }
}

static void run_line(struct script_run *run, const char *line)
{
    char text[LINE_MAX_LENGTH];
    struct script_words words = {0};
    char *start = text;

    run->text = line;
    if (strlen(line) >= sizeof(text)) {
        script_fail(run, "the line is too long");
    }
    strcpy(text, line);
    if (*start == '[') {
        char *close = strchr(start, ']');

        if (close == NULL) {
            script_fail(run, "no ] behind the images");
        }
        *close = '\0';
        if (!script_selects(run, start + 1, run->image)) {
            return;
        }
        start = close + 1;
    }
    split(run, start, &words);
    if (words.count > 0) {
        run_words(run, &words);
    }
}

static void run_lines(struct script_run *run, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        run->line = (unsigned)i + 1;
        run_line(run, script.lines[i]);
    }
}

static void run_case(const struct script_case *test, unsigned image)
{
    struct script_run *run = calloc(1, sizeof(*run));

    ck_assert_ptr_nonnull(run);
    run->test = test;
    run->image = image;
    run->patience = BOARD_NEVER;
    run_lines(run, 0, script.preamble_end);
    run->board = test->off ? test_board(image, test->factory) : test_board_dfu(image);
    run->start = run->board->ops->clone(run->board);
    test_record(run->board, &run->record);
    run->mark = run->board->now;
    run_lines(run, test->first, test->end);
    run->start->ops->destroy(run->start);
    run->board->ops->destroy(run->board);
    for (size_t i = 0; i < run->variable_count; i++) {
        free(run->variables[i].name);
        free(run->variables[i].value);
    }
    free(run);
}

/* --- reading the file --- */

static const char *after(const char *line, const char *key)
{
    size_t length = strlen(key);

    return strncmp(line, key, length) == 0 ? line + length + strspn(line + length, " ") : NULL;
}

/* Stops the program: a script that cannot be read is no test result. */
__attribute__((noreturn)) static void give_up(unsigned line, const char *what)
{
    fprintf(stderr, "%s:%u: %s\n", script.path, line, what);
    exit(EXIT_FAILURE);
}

static void read_lines(void)
{
    FILE *file = fopen(script.path, "r");
    char text[LINE_MAX_LENGTH];

    if (file == NULL) {
        give_up(0, "cannot be opened");
    }
    while (fgets(text, sizeof(text), file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        script.lines = realloc(script.lines, (script.line_count + 1) * sizeof(script.lines[0]));
        if (script.lines == NULL) {
            abort();
        }
        script.lines[script.line_count++] = strdup(text);
    }
    fclose(file);
}

/* Notes a header line of the present case and blanks it; false when it is something else. */
static bool read_header(struct script_case *test, char *line)
{
    const char *value = after(line, "on:");

    if (value != NULL) {
        free(test->images);
        test->images = strdup(value);
    } else if ((value = after(line, "start:")) != NULL) {
        test->off = strncmp(value, "off", 3) == 0;
        test->factory = strstr(value, "factory") != NULL;
    } else {
        return false;
    }
    line[0] = '\0';
    return true;
}

static void read_cases(void)
{
    struct script_case *test = NULL;

    script.preamble_end = script.line_count;
    for (size_t i = 0; i < script.line_count; i++) {
        const char *title = after(script.lines[i], "case:");

        if (title == NULL) {
            if (test != NULL) {
                read_header(test, script.lines[i]);
                test->end = i + 1;
            }
            continue;
        }
        if (script.case_count == 0) {
            script.preamble_end = i;
        }
        script.cases = realloc(script.cases, (script.case_count + 1) * sizeof(script.cases[0]));
        if (script.cases == NULL) {
            abort();
        }
        test = &script.cases[script.case_count++];
        *test = (struct script_case){.title = strdup(title),
                                     .images = strdup("all"),
                                     .line = (unsigned)i + 1,
                                     .first = i + 1,
                                     .end = i + 1};
    }
    if (script.case_count == 0) {
        give_up(0, "no case");
    }
}

static void make_tests(void)
{
    script.tests = calloc(script.case_count * TEST_IMAGES, sizeof(script.tests[0]));
    if (script.tests == NULL) {
        abort();
    }
    for (size_t i = 0; i < script.case_count; i++) {
        struct script_run run = {
            .test = &script.cases[i], .line = script.cases[i].line, .text = ""};

        for (unsigned image = 0; image < TEST_IMAGES; image++) {
            if (script_selects(&run, script.cases[i].images, image)) {
                script.tests[script.test_count++] = (struct script_test){i, image};
            }
        }
    }
}

static void free_script(void)
{
    for (size_t i = 0; i < script.line_count; i++) {
        free(script.lines[i]);
    }
    for (size_t i = 0; i < script.case_count; i++) {
        free(script.cases[i].title);
        free(script.cases[i].images);
    }
    free(script.lines);
    free(script.cases);
    free(script.tests);
}

START_TEST(test_script_case)
{
    const struct script_test *test = &script.tests[_i];

    run_case(&script.cases[test->index], test->image);
}
END_TEST

void script_pick(int argc, char **argv, int count, int *first, int *end)
{
    *first = 0;
    *end = count;
    if (argc > 1) {
        char *rest;
        long number = strtol(argv[1], &rest, 10);

        if (*rest != '\0' || number < 0 || number >= count) {
            fprintf(stderr, "%s: tests are numbered 0 to %d\n", argv[0], count - 1);
            exit(EXIT_FAILURE);
        }
        *first = (int)number;
        *end = *first + 1;
    }
}

int script_main(int argc, char **argv, const char *suite_name, const char *path)
{
    static char place[512];
    int first, end, failed;
    Suite *suite = suite_create(suite_name);
    TCase *tcase = tcase_create(path);
    SRunner *runner;

    snprintf(place, sizeof(place), "%s/%s", UNIT_SOURCE_TREE, path);
    script.path = place;
    read_lines();
    read_cases();
    make_tests();
    script_pick(argc, argv, (int)script.test_count, &first, &end);
    tcase_add_unchecked_fixture(tcase, test_boards_make, test_boards_free);
    tcase_add_loop_test(tcase, test_script_case, first, end);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    /* Every test has its own copy of a board; a process of its own would cost ten times the test.
     */
    srunner_set_fork_status(runner, getenv("CK_FORK") != NULL ? CK_FORK_GETENV : CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    free_script();
    if (failed > 0) {
        /* What the failed tests left behind is not what a reader wants to hear about now. */
        _Exit(EXIT_FAILURE);
    }
    return EXIT_SUCCESS;
}

/* An update of a system part by YMODEM, and the longest answer of the console. */
#include "devmodel/factory.h"
#include "tests/bench/measure.h"
#include "tests/unit/support_digest.h"
#include "tests/unit/support_ymodem.h"

#define RUNS 15

struct session {
    const struct board *listening;
    uint8_t image[FACTORY_MAX_SIZE];
    size_t size;
};

/* A client of a copy of the listening board; the caller destroys it. */
static bool open_copy(const struct session *session, struct client *client)
{
    struct board *board = session->listening->ops->clone(session->listening);

    return board != NULL && client_open(client, board);
}

static bool update(void *context)
{
    static struct client client;
    struct session *session = context;
    bool done;

    if (!open_copy(session, &client)) {
        return false;
    }
    (void)client_send(&client, "f", 1);
    client_wait(&client, 100);
    client_forget(&client);
    done = ymodem_send_file(&client, "part1.bin", session->image, session->size) &&
           client_hears(&client, "\x06", 1, 1000);
    client.board->ops->destroy(client.board);
    return done;
}

static bool list_modules(void *context)
{
    struct client *client = context;

    (void)client_send(client, "s", 1);
    client_wait(client, 20);
    bool done = client->length > 300;
    client_forget(client);
    return done;
}

int main(void)
{
    static struct session session;
    static struct client client;
    struct board *board = client_board("2.2.0");

    if (!client_open(&client, board)) {
        measure_fail("bench_console", "no board to measure");
    }
    session.listening = board;
    session.size =
        factory_build(release_find("2.2.0"), FACTORY_PART1, support_sha256, session.image);
    double seconds = measure_seconds("YMODEM", RUNS, CLOCK_OF_THREAD, update, &session);
    double reply = measure_seconds("console", RUNS, CLOCK_OF_THREAD, list_modules, &client);
    measure_heading();
    measure_print(&(struct measure_row){.work = "YMODEM of part1 with an own sender",
                                        .unit = "ms",
                                        .measured = seconds * 1e3,
                                        .goal = GOAL_AT_MOST,
                                        .reach = 500});
    measure_print(&(struct measure_row){.work = "console reply to s",
                                        .unit = "ms",
                                        .measured = reply * 1e3,
                                        .goal = GOAL_AT_MOST,
                                        .reach = 1});
    board->ops->destroy(board);
    return 0;
}

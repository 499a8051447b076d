"""For the hostile_*.py, which run right below `vphoton run`: what attacks leave of a board, and of it.
The seed is printed; VPHOTON_SEED replays it."""
import os
import random
import sys
import time

# More than all that boards and clients may ever need, and less than what is sent.
MEMORY = 8 << 20


def server_memory():
    """Resident bytes of `vphoton run`."""
    with open("/proc/%d/statm" % os.getppid()) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def attack(board, ways):
    """Each way is called with the board and a source of random numbers. After each the board must answer
    as before, and the program must not have grown."""
    seed = int(os.environ.get("VPHOTON_SEED", time.time_ns() % 1000000))
    print(f"VPHOTON_SEED={seed}", flush=True)
    source = random.Random(seed)
    board.expect_answers()
    before = server_memory()
    for way in ways:
        start = time.monotonic()
        way(board, source)
        board.expect_answers()
        grown = server_memory() - before
        seconds = time.monotonic() - start
        print("%s: answers, %.0f s, memory grew by %d KiB" % (way.__name__, seconds, grown >> 10), flush=True)
        if grown > MEMORY:
            sys.exit("it has taken too much memory")

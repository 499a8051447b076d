#include "usb-gadget/flight.h"

#include <stdlib.h>
#include <string.h>

void flights_init(struct flights *flights, struct root_port *port, void *owner, unsigned count_max,
                  size_t memory_max)
{
    *flights = (struct flights){
        .port = port, .owner = owner, .count_max = count_max, .memory_max = memory_max};
    TAILQ_INIT(&flights->list);
}

void flights_drop(struct flights *flights)
{
    struct flight *flight;

    TAILQ_FOREACH(flight, &flights->list, entry)
    {
        flight->ended = NULL;
    }
    while ((flight = TAILQ_FIRST(&flights->list)) != NULL) {
        flight_cancel(flight);
    }
}

static void on_complete(struct transfer *transfer)
{
    struct flight *flight = transfer->context;
    struct flights *flights = flight->flights;

    TAILQ_REMOVE(&flights->list, flight, entry);
    if (flight->ended != NULL) {
        flight->ended(flight);
    }
    flight_free(flight);
}

static bool has_room(const struct flights *flights, size_t length)
{
    return flights->count < flights->count_max && length <= flights->memory_max - flights->memory &&
           (flights->shared == NULL || length <= flights->shared_max - *flights->shared);
}

static void account(struct flights *flights, size_t add, size_t subtract)
{
    flights->memory += add - subtract;
    if (flights->shared != NULL) {
        *flights->shared += add - subtract;
    }
}

struct flight *flight_new(struct flights *flights, size_t size, uint64_t tag, const void *data,
                          size_t length)
{
    if (!has_room(flights, length)) {
        return NULL;
    }
    struct flight *flight = calloc(1, size);
    uint8_t *buffer = calloc(1, length + 1);

    if (flight == NULL || buffer == NULL) {
        free(flight);
        free(buffer);
        return NULL;
    }
    if (data != NULL && length > 0) {
        memcpy(buffer, data, length);
    }
    flight->flights = flights;
    flight->tag = tag;
    flight->transfer.data = buffer;
    flight->transfer.length = length;
    flight->transfer.complete = on_complete;
    flight->transfer.context = flight;
    flights->count++;
    account(flights, length, 0);
    return flight;
}

void flight_free(struct flight *flight)
{
    flight->flights->count--;
    account(flight->flights, 0, flight->transfer.length);
    free(flight->transfer.data);
    free(flight);
}

void flight_submit(struct flight *flight)
{
    TAILQ_INSERT_TAIL(&flight->flights->list, flight, entry);
    root_port_submit(flight->flights->port, &flight->transfer);
}

struct flight *flights_find(const struct flights *flights, uint64_t tag)
{
    struct flight *flight;

    TAILQ_FOREACH(flight, &flights->list, entry)
    {
        if (flight->tag == tag && !flight->anonymous) {
            return flight;
        }
    }
    return NULL;
}

void flight_cancel(struct flight *flight)
{
    (void)root_port_cancel(flight->flights->port, &flight->transfer);
}

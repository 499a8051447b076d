#include "diagnostics.h"

#include <stdio.h>

#include "engine.h"

/* net:stat, device-os v1.5.0 services/inc/diagnostics.h. */
#define NETWORK_DISCONNECTED 2
#define NETWORK_CONNECTING   3

size_t diagnostics_json(const struct photon *photon, char text[DIAGNOSTICS_MAX])
{
    const struct system *system = &photon->system;
    unsigned long uptime = (unsigned long)((cpu_now(photon) - system->started) / BOARD_NS_PER_S);
    int length = snprintf(
        text, DIAGNOSTICS_MAX,
        "{\"sys:uptime\":%lu,\"net:stat\":%d,\"net:err\":0,\"cloud:stat\":0,\"net:dconn\":0,"
        "\"cloud:err\":0,\"cloud:dconn\":0,\"pub:limit\":0,\"coap:retransmit\":0,"
        "\"coap:unack\":0,\"coap:transmit\":0,\"sys:tram\":82944,\"sys:uram\":49816,"
        "\"net:connatt\":0,\"net:dconnrsn\":0,\"cloud:connatt\":0,\"cloud:dconnrsn\":0,"
        "\"coap:roundtrip\":0,\"net:sigstr\":{\"err\":-100},\"net:sigqual\":{\"err\":-100},"
        "\"net:sigqualv\":{\"err\":-100},\"net:at\":1,\"net:sigstrv\":{\"err\":-100}%s}",
        uptime, system->listening.on ? NETWORK_DISCONNECTED : NETWORK_CONNECTING,
        system->quirks->json_empty_pair ? ",\"_\":\"\"" : "");

    return (size_t)length;
}

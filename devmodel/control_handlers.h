/*
 * The handlers behind the table of control requests, and what they share. Not for users of the
 * library.
 */
#ifndef PHOTON_CONTROL_HANDLERS_H
#define PHOTON_CONTROL_HANDLERS_H

#include "control_requests.h"

/* A message's description, as generated. */
struct pb_msgdesc_s;

/* Does one request; the reply is empty before. Returns a control_result. */
typedef int32_t control_handler(struct photon *photon, const struct control_message *request,
                                struct control_message *reply);

/* Module versions of system-part2 at which requests change. */
#define SYSTEM_1_1 1100
#define SYSTEM_1_3 1320 /* 1.3.1 */
#define SYSTEM_1_5 1500
#define SYSTEM_2_0 2000

/* False when the payload is not such a message, or a field in it is too long. */
bool handler_decode(const struct control_message *request, const struct pb_msgdesc_s *fields,
                    void *message);
/* CONTROL_OK, or CONTROL_NO_MEMORY when the reply is too long. */
int32_t handler_encode(struct control_message *reply, const struct pb_msgdesc_s *fields,
                       const void *message);
/* The board will restart when the host knows the result; CONTROL_OK. */
int32_t handler_announce_restart(struct photon *photon, enum control_restart restart);

/* control_settings.c */
control_handler handle_set_claim_code;
control_handler handle_is_claimed;
control_handler handle_set_security_key;
control_handler handle_get_security_key;
control_handler handle_set_server_address;
control_handler handle_get_server_address;
control_handler handle_set_server_protocol;
control_handler handle_get_server_protocol;
control_handler handle_set_soft_ap_ssid;
control_handler handle_set_antenna;
control_handler handle_get_antenna;
control_handler handle_wifi_scan;
control_handler handle_wifi_set;
control_handler handle_wifi_get;
control_handler handle_wifi_clear;

/* control_storage.c */
control_handler handle_describe_storage;
control_handler handle_read_section;
control_handler handle_write_section;
control_handler handle_clear_section;
control_handler handle_section_size;

/* control_update.c */
control_handler handle_start_update;
control_handler handle_update_data;
control_handler handle_finish_update;
control_handler handle_cancel_update;

#endif

/* SPDX-License-Identifier: MIT */
/* Surveyed locks, to bytes and back; for wire.c alone. */
#ifndef TRANSPORT_WIRE_SURVEY_H
#define TRANSPORT_WIRE_SURVEY_H

#include <pb.h>

#include "lockcore/message.h"

/* Scratch of the message that is being decoded. */
struct wire_survey {
	struct surveyed found[SURVEY_MAX];
	char nodes[SURVEY_MAX][NODE_ID_MAX_BYTES + 1];
	char names[SURVEY_NAMES_MAX];
	size_t names_len;
};

/* nanopb's callback for Message.surveyed; *arg is the struct message. */
bool wire_put_surveyed(pb_ostream_t *out, const pb_field_t *field, void *const *arg);
/* Decodes one more, which m borrows from s. False: malformed, or past a bound. */
bool wire_take_surveyed(pb_istream_t *in, struct wire_survey *s, struct message *m);

#endif

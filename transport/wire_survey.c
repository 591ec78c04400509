/* SPDX-License-Identifier: MIT */
#include "transport/wire_survey.h"

#include <pb_decode.h>
#include <pb_encode.h>

#include "transport/wire_bytes.h"
#include "wire.pb.h"

/* What is called alike, and is copied as it is, in struct surveyed and in wire_Surveyed. */
#define FIELDS(X)                                                                                  \
	X(token)                                                                                   \
	X(ticket)                                                                                  \
	X(session)                                                                                 \
	X(ino)                                                                                     \
	X(queue)                                                                                   \
	X(start)                                                                                   \
	X(end)                                                                                     \
	X(age_ns)                                                                                  \
	X(left_ns)                                                                                 \
	X(pid)                                                                                     \
	X(uid)                                                                                     \
	X(flags)
#define COPY(field) to->field = from->field;

static bool put_name(pb_ostream_t *out, const pb_field_t *field, void *const *arg)
{
	return pb_encode_tag_for_field(out, field) && pb_encode_string(out, *arg, strlen(*arg));
}

bool wire_put_surveyed(pb_ostream_t *out, const pb_field_t *field, void *const *arg)
{
	const struct message *m = *arg;

	for (size_t i = 0; i < m->surveyed_count; i++) {
		const struct surveyed *from = &m->surveyed[i];
		wire_Surveyed surveyed = {0}, *to = &surveyed;

		FIELDS(COPY)
		to->kind = from->kind;
		to->mode = from->mode;
		BYTES_OUT(to->command, from->command);
		BYTES_OUT(to->node, from->node);
		if (from->name[0])
			to->name = (pb_callback_t){.funcs.encode = put_name,
						   .arg = (void *)from->name};
		if (!pb_encode_tag_for_field(out, field) ||
		    !pb_encode_submessage(out, wire_Surveyed_fields, to))
			return false;
	}
	return true;
}

/* To the end of the names, where an absent one is empty already. */
static bool take_name(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire_survey *s = *arg;
	char *to = s->names + s->names_len;
	size_t len = in->bytes_left;

	if (len > SURVEY_NAME_MAX || len >= SURVEY_NAMES_MAX - s->names_len ||
	    !pb_read(in, (pb_byte_t *)to, len) || memchr(to, '\0', len))
		return false;
	to[len] = '\0';
	return true;
}

bool wire_take_surveyed(pb_istream_t *in, struct wire_survey *s, struct message *m)
{
	size_t i = m->surveyed_count;
	struct surveyed *to = &s->found[i];
	wire_Surveyed surveyed = {.name = {.funcs.decode = take_name, .arg = s}}, *from = &surveyed;

	if (!i)
		s->names_len = 0;
	if (i == SURVEY_MAX || s->names_len == SURVEY_NAMES_MAX)
		return false;
	s->names[s->names_len] = '\0';
	if (!pb_decode(in, wire_Surveyed_fields, from) ||
	    !ARE_SOUND(from->command, COMMAND_MAX_BYTES) ||
	    !ARE_SOUND(from->node, NODE_ID_MAX_BYTES))
		return false;
	*to = (struct surveyed){.name = s->names + s->names_len, .node = s->nodes[i]};
	FIELDS(COPY)
	to->kind = (enum holder_kind)from->kind;
	to->mode = (enum lock_mode)from->mode;
	BYTES_IN(to->command, from->command);
	BYTES_IN(s->nodes[i], from->node);
	s->names_len += strlen(to->name) + 1;
	m->surveyed = s->found;
	m->surveyed_count = i + 1;
	return true;
}

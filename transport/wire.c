/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <pb_decode.h>
#include <pb_encode.h>

#include "transport/wire.h"
#include "transport/wire_bytes.h"
#include "transport/wire_sound.h"
#include "transport/wire_survey.h"
#include "wire.pb.h"

/* One message at its longest: the bounds of message.h, and what message_wire_bound adds to them. */
#define MESSAGE_MAX_BYTES                                                                          \
	(579 + CONTENT_MAX_BYTES + 2 * NAME_MAX_BYTES + TEXT_MAX_BYTES +                           \
	 LISTING_MAX * (32 + NAME_MAX_BYTES) + LINKS_MAX * (128 + NAME_MAX_BYTES) +                \
	 HOLDERS_MAX * (112 + NODE_ID_MAX_BYTES) + SURVEY_NAMES_MAX +                              \
	 SURVEY_MAX * (160 + NODE_ID_MAX_BYTES))

/* clang-format off */

/* The kinds' numbers on the wire are fixed in wire.proto; the core sorts its own into ranges. */
#define KINDS(X) \
	X(HELLO) X(RENEW) X(BYE) X(WELCOME) X(RENEWED) X(TAKEN) X(EXPIRED) X(NOT_ME) \
	X(FAREWELL) X(LOOKUP) X(GETATTR) X(SETATTR) X(CREATE) X(OPEN) X(READ) X(WRITE) \
	X(UNLINK) X(MKDIR) X(SYMLINK) X(LINK) X(RENAME) X(READDIR) X(STATFS) X(GETINFO) X(SURVEY) X(LOCK) \
	X(TESTLOCK) X(CLOSE) X(CANCEL) X(RECLAIM_FILE) X(RECLAIM_GONE) X(RECLAIM_OPEN) \
	X(RECLAIM_LOCK) X(RECLAIM_WAIT) X(RECLAIM_TIME) X(RECLAIM_DONE) X(REPLY) X(QUEUED) X(VOUCH) \
	X(FORGET) X(UNSEEN) X(APPEARED) X(SEEN) X(BREAK) X(WATCH) X(REVOKE) X(REVOKED) X(CHANGE)
#define STATUSES(X) \
	X(OK) X(BUSY) X(DEADLOCK) X(NO_ENTRY) X(EXISTS) X(STALE) X(TOO_BIG) X(NO_SPACE) \
	X(NO_MEMORY) X(NOT_DIR) X(IS_DIR) X(NOT_EMPTY) X(NOT_PERMITTED) X(INVALID) \
	X(NAME_TOO_LONG) X(TOO_MANY_LINKS) X(INTERRUPTED) X(NO_MASTER) X(LAPSED) \
	X(CHANGED)
#define SAME_STATUS(x) _Static_assert((int)STATUS_##x == (int)wire_STATUS_##x, "wire.proto: " #x);
STATUSES(SAME_STATUS)
#define ONE(x)	       +1
_Static_assert(1 KINDS(ONE) == MESSAGE_LAST_SESSION + 1 + MESSAGE_KIND_END - MESSAGE_FIRST_ORDERED,
	       "a kind is missing in KINDS");
#define TO_WIRE(x)     [MESSAGE_##x] = wire_KIND_##x,
#define FROM_WIRE(x)   [wire_KIND_##x] = MESSAGE_##x,
static const uint8_t kind_to_wire[MESSAGE_KIND_END] = {KINDS(TO_WIRE)};
static const uint8_t kind_from_wire[_wire_Kind_ARRAYSIZE] = {KINDS(FROM_WIRE)};
_Static_assert((int)STATUS_MAX == (int)_wire_Status_MAX, "a status is not in wire.proto");

/* What is called alike, and is copied as it is, in struct message and in wire_Message. */
#define PLAIN_FIELDS(X) \
	X(seq) X(req) X(ino) X(parent) X(handle) X(owner) X(target) X(version) X(token) \
	X(ticket) X(epoch) X(stamp_ns) X(lease_ns) X(idle_ns) X(ttl_ns) X(start) X(end) \
	X(length) X(flags) X(set) X(mode) X(uid) X(gid) X(pid) X(resume) X(since_ns) X(age_ns) \
	X(known) X(known2) X(clock)
/* The same of struct attr and wire_Attr. */
#define ATTR_FIELDS(X) \
	X(ino) X(version) X(mode) X(uid) X(gid) X(nlink) X(size) X(atime_ns) X(mtime_ns) \
	X(ctime_ns)
/* The same of struct link and wire_Link. */
#define LINK_FIELDS(X) \
	X(parent) X(token) X(holder) X(maker_req) X(maker_pid) X(maker_uid) X(idle_ns) X(ttl_ns) \
	X(age_ns)
/* And of struct holder and wire_Holder. */
#define HOLDER_FIELDS(X) \
	X(token) X(session) X(start) X(end) X(age_ns) X(pid) X(uid)
/* clang-format on */

#define COPY(field) to->field = from->field;

struct wire {
	/* Decoding: why it failed, what is done; the message in hand, which borrows from below. */
	enum wire_error error;
	struct packet packet;
	struct message message;
	char name[NAME_MAX_BYTES + 1];
	char name2[NAME_MAX_BYTES + 1];
	char text[TEXT_MAX_BYTES + 1];
	uint8_t data[CONTENT_MAX_BYTES];
	struct entry entries[LISTING_MAX];
	char entry_names[LISTING_MAX][NAME_MAX_BYTES + 1];
	struct link links[LINKS_MAX];
	char link_names[LINKS_MAX][NAME_MAX_BYTES + 1];
	struct holder holders[HOLDERS_MAX];
	char holder_nodes[HOLDERS_MAX][NODE_ID_MAX_BYTES + 1];
	struct wire_survey survey;
	/* Encoding: the message in hand, and the packet. */
	uint8_t one[MESSAGE_MAX_BYTES];
	uint8_t all[WIRE_MAX_BYTES];
};

struct wire *wire_new(void)
{
	/* Not cleared: every byte is written before it is read, and most are never touched. */
	struct wire *w = malloc(sizeof(*w));

	if (w)
		w->error = WIRE_OK;
	return w;
}

void wire_free(struct wire *w)
{
	free(w);
}

/* Encoding. */

static bool put_bytes(pb_ostream_t *out, const pb_field_t *field, const void *bytes, size_t len)
{
	return pb_encode_tag_for_field(out, field) && pb_encode_string(out, bytes, len);
}

static bool put_string(pb_ostream_t *out, const pb_field_t *field, void *const *arg)
{
	return put_bytes(out, field, *arg, strlen(*arg));
}

static bool put_data(pb_ostream_t *out, const pb_field_t *field, void *const *arg)
{
	const struct message *m = *arg;

	return put_bytes(out, field, m->data, m->data_len);
}

static pb_callback_t string_out(const char *s)
{
	if (!s || !*s)
		return (pb_callback_t){0};
	return (pb_callback_t){.funcs.encode = put_string, .arg = (void *)s};
}

static bool put_entries(pb_ostream_t *out, const pb_field_t *field, void *const *arg)
{
	const struct message *m = *arg;

	for (size_t i = 0; i < m->entry_count; i++) {
		const struct entry *e = &m->entries[i];
		wire_Entry entry = {.name = string_out(e->name),
				    .ino = e->ino,
				    .cookie = e->cookie,
				    .mode = e->mode};

		if (!pb_encode_tag_for_field(out, field) ||
		    !pb_encode_submessage(out, wire_Entry_fields, &entry))
			return false;
	}
	return true;
}

static void link_out(wire_Link *to, const struct link *from)
{
	LINK_FIELDS(COPY)
	to->flags = (uint32_t)from->flags;
	BYTES_OUT(to->maker_command, from->maker_command);
	to->name = string_out(from->name);
}

static bool put_links(pb_ostream_t *out, const pb_field_t *field, void *const *arg)
{
	const struct message *m = *arg;

	for (size_t i = 0; i < m->link_count; i++) {
		wire_Link link = {0};

		link_out(&link, &m->links[i]);
		if (!pb_encode_tag_for_field(out, field) ||
		    !pb_encode_submessage(out, wire_Link_fields, &link))
			return false;
	}
	return true;
}

static bool put_holders(pb_ostream_t *out, const pb_field_t *field, void *const *arg)
{
	const struct message *m = *arg;

	for (size_t i = 0; i < m->holder_count; i++) {
		const struct holder *from = &m->holders[i];
		wire_Holder holder = {0}, *to = &holder;

		HOLDER_FIELDS(COPY)
		to->kind = from->kind;
		to->mode = from->mode;
		BYTES_OUT(to->command, from->command);
		BYTES_OUT(to->node, from->node);
		if (!pb_encode_tag_for_field(out, field) ||
		    !pb_encode_submessage(out, wire_Holder_fields, &holder))
			return false;
	}
	return true;
}

static bool attr_is_zero(const struct attr *a)
{
	static const struct attr zero;

	/* Padding would at worst cost the bytes of an empty Attr; there is none today. */
	return memcmp(a, &zero, sizeof(zero)) == 0;
}

static void attr_out(wire_Attr *to, const struct attr *from)
{
	ATTR_FIELDS(COPY)
}

static void message_out(wire_Message *to, const struct message *from)
{
	*to = (wire_Message){0};
	PLAIN_FIELDS(COPY)
	to->kind = (wire_Kind)kind_to_wire[from->kind];
	to->keeper = from->keeper;
	to->change = from->change;
	BYTES_OUT(to->command, from->command);
	to->status = (wire_Status)from->status;
	to->lock_kind = from->lock_kind;
	to->lock_mode = from->lock_mode;
	to->has_attr = !attr_is_zero(&from->attr);
	if (to->has_attr)
		attr_out(&to->attr, &from->attr);
	to->name = string_out(from->name);
	to->name2 = string_out(from->name2);
	to->text = string_out(from->text);
	if (from->data_len > 0)
		to->data = (pb_callback_t){.funcs.encode = put_data, .arg = (void *)from};
	if (from->entry_count > 0)
		to->entries = (pb_callback_t){.funcs.encode = put_entries, .arg = (void *)from};
	if (from->link_count > 0)
		to->links = (pb_callback_t){.funcs.encode = put_links, .arg = (void *)from};
	if (from->holder_count > 0)
		to->holders = (pb_callback_t){.funcs.encode = put_holders, .arg = (void *)from};
	if (from->surveyed_count > 0)
		to->surveyed =
			(pb_callback_t){.funcs.encode = wire_put_surveyed, .arg = (void *)from};
}

struct encoding { /* what put_messages needs */
	struct wire *wire;
	const struct packet *packet;
};

/* Each message first on its own, for its length stands before it: that saves nanopb a pass to
 * count. */
static bool put_messages(pb_ostream_t *out, const pb_field_t *field, void *const *arg)
{
	const struct encoding *e = *arg;

	for (size_t i = 0; i < e->packet->count; i++) {
		pb_ostream_t one = pb_ostream_from_buffer(e->wire->one, sizeof(e->wire->one));
		wire_Message message;

		assert(wire_is_sound(e->packet->messages[i]));
		message_out(&message, e->packet->messages[i]);
		if (!pb_encode(&one, wire_Message_fields, &message) ||
		    !put_bytes(out, field, e->wire->one, one.bytes_written))
			return false;
	}
	return true;
}

void wire_encode(struct wire *w, const struct packet *p, const void **bytes, size_t *len)
{
	struct encoding encoding = {.wire = w, .packet = p};
	pb_ostream_t out = pb_ostream_from_buffer(w->all, sizeof(w->all));
	wire_Packet packet = {
		.version = WIRE_VERSION,
		.instance = p->instance,
		.epoch = p->epoch,
		.ack = p->ack,
		.clock = p->clock,
		.messages = {.funcs.encode = put_messages, .arg = &encoding},
	};
	bool fits;

	assert(p->count <= PACKET_MAX_COUNT);
	fits = pb_encode(&out, wire_Packet_fields, &packet);
	assert(fits); /* the buffer's end is the only way to fail */
	*bytes = w->all;
	*len = out.bytes_written;
}

/* Decoding. A callback that returns false ends it, and w->error says why. */

static bool fail(struct wire *w, enum wire_error error)
{
	w->error = error;
	return false;
}

/* The whole of a string field, into a buffer of bound + 1 bytes. A NUL inside would hide what
 * follows. */
static bool take_string(struct wire *w, pb_istream_t *in, char *to, size_t bound)
{
	size_t len = in->bytes_left;

	if (len > bound || !pb_read(in, (pb_byte_t *)to, len) || memchr(to, '\0', len))
		return fail(w, WIRE_MALFORMED);
	to[len] = '\0';
	return true;
}

static bool take_name(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;

	w->message.name = w->name; /* set even if empty, which wire_is_sound then refuses */
	return take_string(w, in, w->name, NAME_MAX_BYTES);
}

static bool take_name2(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;

	w->message.name2 = w->name2;
	return take_string(w, in, w->name2, NAME_MAX_BYTES);
}

static bool take_text(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;

	if (!take_string(w, in, w->text, TEXT_MAX_BYTES))
		return false;
	w->message.text = w->text[0] ? w->text : NULL;
	return true;
}

static bool take_data(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;
	size_t len = in->bytes_left;

	if (len > sizeof(w->data) || !pb_read(in, w->data, len))
		return fail(w, WIRE_MALFORMED);
	w->message.data = len > 0 ? w->data : NULL;
	w->message.data_len = len;
	return true;
}

static bool take_entry_name(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;

	return take_string(w, in, w->entry_names[w->message.entry_count], NAME_MAX_BYTES);
}

static bool take_entry(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;
	size_t i = w->message.entry_count;
	wire_Entry entry = {.name = {.funcs.decode = take_entry_name, .arg = w}};

	if (i == LISTING_MAX)
		return fail(w, WIRE_MALFORMED);
	w->entry_names[i][0] =
		'\0'; /* stays if there is no name, and is refused by wire_is_sound */
	if (!pb_decode(in, wire_Entry_fields, &entry))
		return fail(w, WIRE_MALFORMED);
	w->entries[i] = (struct entry){.ino = entry.ino,
				       .cookie = entry.cookie,
				       .mode = entry.mode,
				       .name = w->entry_names[i]};
	w->message.entries = w->entries;
	w->message.entry_count = i + 1;
	return true;
}

static bool take_link_name(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;

	return take_string(w, in, w->link_names[w->message.link_count], NAME_MAX_BYTES);
}

static void link_in(struct link *to, const wire_Link *from)
{
	LINK_FIELDS(COPY)
	to->flags = from->flags;
	BYTES_IN(to->maker_command, from->maker_command);
}

static bool take_link(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;
	size_t i = w->message.link_count;
	wire_Link link = {.name = {.funcs.decode = take_link_name, .arg = w}};

	if (i == LINKS_MAX)
		return fail(w, WIRE_MALFORMED);
	w->link_names[i][0] = '\0'; /* stays if there is no name, and is refused by wire_is_sound */
	if (!pb_decode(in, wire_Link_fields, &link) ||
	    !ARE_SOUND(link.maker_command, COMMAND_MAX_BYTES))
		return fail(w, WIRE_MALFORMED);
	w->links[i] = (struct link){.name = w->link_names[i]};
	link_in(&w->links[i], &link);
	w->message.links = w->links;
	w->message.link_count = i + 1;
	return true;
}

static bool take_holder(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;
	size_t i = w->message.holder_count;
	struct holder *to = &w->holders[i];
	wire_Holder holder, *from = &holder;

	if (i == HOLDERS_MAX || !pb_decode(in, wire_Holder_fields, &holder))
		return fail(w, WIRE_MALFORMED);
	if (!ARE_SOUND(holder.command, COMMAND_MAX_BYTES) ||
	    !ARE_SOUND(holder.node, NODE_ID_MAX_BYTES))
		return fail(w, WIRE_MALFORMED);
	*to = (struct holder){.node = w->holder_nodes[i]};
	HOLDER_FIELDS(COPY)
	to->kind = (enum holder_kind)from->kind;
	to->mode = (enum lock_mode)from->mode;
	BYTES_IN(to->command, from->command);
	BYTES_IN(w->holder_nodes[i], from->node);
	w->message.holders = w->holders;
	w->message.holder_count = i + 1;
	return true;
}

static bool take_surveyed(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;

	return wire_take_surveyed(in, &w->survey, &w->message) || fail(w, WIRE_MALFORMED);
}

static void attr_in(struct attr *to, const wire_Attr *from)
{
	ATTR_FIELDS(COPY)
}

/* The callbacks have put name, text, data and entries into *to already. */
static void message_in(struct message *to, const wire_Message *from)
{
	PLAIN_FIELDS(COPY)
	to->kind = (unsigned)from->kind < _wire_Kind_ARRAYSIZE
			   ? (enum message_kind)kind_from_wire[from->kind]
			   : MESSAGE_NONE;
	to->keeper = (enum keeper)from->keeper;
	to->change = (enum change_kind)from->change;
	BYTES_IN(to->command, from->command);
	to->status = (enum status)from->status;
	to->lock_kind = (enum lock_kind)from->lock_kind;
	to->lock_mode = (enum lock_mode)from->lock_mode;
	if (from->has_attr)
		attr_in(&to->attr, &from->attr);
}

static bool take_message(pb_istream_t *in, const pb_field_t *field, void **arg)
{
	struct wire *w = *arg;
	wire_Message message = {
		.name = {.funcs.decode = take_name, .arg = w},
		.name2 = {.funcs.decode = take_name2, .arg = w},
		.text = {.funcs.decode = take_text, .arg = w},
		.data = {.funcs.decode = take_data, .arg = w},
		.entries = {.funcs.decode = take_entry, .arg = w},
		.links = {.funcs.decode = take_link, .arg = w},
		.holders = {.funcs.decode = take_holder, .arg = w},
		.surveyed = {.funcs.decode = take_surveyed, .arg = w},
	};
	struct message *copy;

	if (w->packet.count == PACKET_MAX_COUNT)
		return fail(w, WIRE_OVERSIZED);
	w->message = (struct message){0};
	if (!pb_decode_ex(in, wire_Message_fields, &message, PB_DECODE_NOINIT) ||
	    !ARE_SOUND(message.command, COMMAND_MAX_BYTES))
		return fail(w, WIRE_MALFORMED);
	message_in(&w->message, &message);
	if (!wire_is_sound(&w->message))
		return fail(w, WIRE_MALFORMED);
	copy = message_copy(&w->message);
	if (!copy)
		return fail(w, WIRE_NO_MEMORY);
	w->packet.messages[w->packet.count++] = copy;
	return true;
}

/* The first field of any version's packet is its number. */
static enum wire_error check_version(const void *bytes, size_t len)
{
	pb_istream_t in = pb_istream_from_buffer(bytes, len);
	pb_wire_type_t type;
	uint32_t tag, version;
	bool eof;

	if (!pb_decode_tag(&in, &type, &tag, &eof) || tag != wire_Packet_version_tag ||
	    type != PB_WT_VARINT || !pb_decode_varint32(&in, &version))
		return WIRE_MALFORMED;
	return version == WIRE_VERSION ? WIRE_OK : WIRE_VERSION_UNKNOWN;
}

static enum wire_error decode_packet(struct wire *w, const void *bytes, size_t len)
{
	pb_istream_t in = pb_istream_from_buffer(bytes, len);
	wire_Packet packet = {.messages = {.funcs.decode = take_message, .arg = w}};

	w->error = WIRE_MALFORMED; /* unless a callback knows better */
	if (!pb_decode(&in, wire_Packet_fields, &packet))
		return w->error;
	if (packet.version != WIRE_VERSION) /* the field came twice */
		return WIRE_MALFORMED;
	w->packet.instance = packet.instance;
	w->packet.epoch = packet.epoch;
	w->packet.ack = packet.ack;
	w->packet.clock = packet.clock;
	return WIRE_OK;
}

static void packet_move(struct packet *to, struct packet *from)
{
	to->instance = from->instance;
	to->epoch = from->epoch;
	to->ack = from->ack;
	to->clock = from->clock;
	to->count = from->count;
	memcpy(to->messages, from->messages, from->count * sizeof(*to->messages));
	from->count = 0;
}

enum wire_error wire_decode(struct wire *w, const void *bytes, size_t len, struct packet *p)
{
	enum wire_error error;

	assert(w && p && (bytes || len == 0));
	if (len > WIRE_MAX_BYTES)
		return WIRE_OVERSIZED;
	error = check_version(bytes, len);
	if (error)
		return error;
	w->packet.count = 0;
	error = decode_packet(w, bytes, len);
	if (error)
		packet_deinit(&w->packet);
	else
		packet_move(p, &w->packet);
	return error;
}

const char *wire_error_name(enum wire_error e)
{
	switch (e) {
	case WIRE_OK:
		return "ok";
	case WIRE_MALFORMED:
		return "malformed";
	case WIRE_OVERSIZED:
		return "oversized";
	case WIRE_VERSION_UNKNOWN:
		return "version unknown";
	case WIRE_NO_MEMORY:
		return "no memory";
	}
	return "?";
}

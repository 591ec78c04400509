/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lockcore/message.h"

/* An upper bound of a message's fixed-size fields in the wire's encoding, tags included. */
#define FIXED_FIELDS_BOUND 589
/* The same of one directory entry, without its name. */
#define ENTRY_FIELDS_BOUND 32
/* And of one link. */
#define LINK_FIELDS_BOUND 128
/* And of one holder. */
#define HOLDER_FIELDS_BOUND 112
/* And of one lock, held name or waiter. */
#define SURVEYED_FIELDS_BOUND 160

size_t message_wire_bound(const struct message *m)
{
	size_t bound = FIXED_FIELDS_BOUND + m->data_len;

	bound += m->name ? strlen(m->name) : 0;
	bound += m->name2 ? strlen(m->name2) : 0;
	bound += m->text ? strlen(m->text) : 0;
	for (size_t i = 0; i < m->entry_count; i++)
		bound += ENTRY_FIELDS_BOUND + strlen(m->entries[i].name);
	for (size_t i = 0; i < m->link_count; i++)
		bound += LINK_FIELDS_BOUND + strlen(m->links[i].name);
	for (size_t i = 0; i < m->holder_count; i++)
		bound += HOLDER_FIELDS_BOUND + strlen(m->holders[i].node);
	for (size_t i = 0; i < m->surveyed_count; i++)
		bound += SURVEYED_FIELDS_BOUND + strlen(m->surveyed[i].name) +
			 strlen(m->surveyed[i].node);
	return bound;
}

static size_t string_size(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

static const char *put(char **at, const void *bytes, size_t len)
{
	char *start = *at;

	if (!bytes)
		return NULL;
	memcpy(start, bytes, len);
	*at += len;
	return start;
}

/* The arrays first, for their alignment; then the strings, the content last. */
static void copy_tail(struct message *to, const struct message *from, char *at)
{
	struct entry *entries = (struct entry *)(void *)at;
	struct link *links = (struct link *)(void *)(entries + from->entry_count);
	struct holder *holders = (struct holder *)(void *)(links + from->link_count);
	struct surveyed *surveyed = (struct surveyed *)(void *)(holders + from->holder_count);

	at = (char *)(surveyed + from->surveyed_count);
	for (size_t i = 0; i < from->entry_count; i++) {
		entries[i] = from->entries[i];
		entries[i].name =
			put(&at, from->entries[i].name, string_size(from->entries[i].name));
	}
	for (size_t i = 0; i < from->link_count; i++) {
		links[i] = from->links[i];
		links[i].name = put(&at, from->links[i].name, string_size(from->links[i].name));
	}
	for (size_t i = 0; i < from->holder_count; i++) {
		holders[i] = from->holders[i];
		holders[i].node =
			put(&at, from->holders[i].node, string_size(from->holders[i].node));
	}
	for (size_t i = 0; i < from->surveyed_count; i++) {
		const struct surveyed *of = &from->surveyed[i];

		surveyed[i] = *of;
		surveyed[i].name = put(&at, of->name, string_size(of->name));
		surveyed[i].node = put(&at, of->node, string_size(of->node));
	}
	to->entries = from->entry_count ? entries : NULL;
	to->links = from->link_count ? links : NULL;
	to->holders = from->holder_count ? holders : NULL;
	to->surveyed = from->surveyed_count ? surveyed : NULL;
	to->name = put(&at, from->name, string_size(from->name));
	to->name2 = put(&at, from->name2, string_size(from->name2));
	to->text = put(&at, from->text, string_size(from->text));
	to->data = from->data_len ? put(&at, from->data, from->data_len) : NULL;
}

static size_t tail_size(const struct message *m)
{
	size_t tail =
		string_size(m->name) + string_size(m->name2) + string_size(m->text) + m->data_len;

	for (size_t i = 0; i < m->entry_count; i++)
		tail += sizeof(struct entry) + string_size(m->entries[i].name);
	for (size_t i = 0; i < m->link_count; i++)
		tail += sizeof(struct link) + string_size(m->links[i].name);
	for (size_t i = 0; i < m->holder_count; i++)
		tail += sizeof(struct holder) + string_size(m->holders[i].node);
	for (size_t i = 0; i < m->surveyed_count; i++)
		tail += sizeof(struct surveyed) + string_size(m->surveyed[i].name) +
			string_size(m->surveyed[i].node);
	return tail;
}

/* One allocation for the struct and all that it points to, so that one free ends it. */
struct message *message_copy(const struct message *m)
{
	struct message *copy;

	assert(m->data_len <= CONTENT_MAX_BYTES && m->entry_count <= LISTING_MAX &&
	       m->link_count <= LINKS_MAX && m->holder_count <= HOLDERS_MAX &&
	       m->surveyed_count <= SURVEY_MAX);
	copy = malloc(sizeof(*copy) + tail_size(m));
	if (!copy)
		return NULL;
	*copy = *m;
	copy->prev = copy->next = NULL;
	copy_tail(copy, m, (char *)(copy + 1));
	return copy;
}

void message_free(struct message *m)
{
	free(m);
}

struct names *names_copy(const struct link *links, size_t count)
{
	size_t size = sizeof(struct names) + count * sizeof(*links);
	struct names *names;
	char *at;

	assert(count <= LINKS_MAX);
	for (size_t i = 0; i < count; i++)
		size += string_size(links[i].name);
	names = malloc(size);
	if (!names)
		return NULL;
	names->count = count;
	at = (char *)(names->links + count);
	for (size_t i = 0; i < count; i++) {
		names->links[i] = links[i];
		names->links[i].name = put(&at, links[i].name, string_size(links[i].name));
	}
	return names;
}

void packet_deinit(struct packet *p)
{
	assert(p->count <= PACKET_MAX_COUNT);
	for (size_t i = 0; i < p->count; i++)
		message_free(p->messages[i]);
	p->count = 0;
}

const char *message_kind_name(enum message_kind kind)
{
	static const char *const session[] = {
		"NONE",	   "HELLO", "RENEW",   "BYE",	 "WELCOME",
		"RENEWED", "TAKEN", "EXPIRED", "NOT_ME", "FAREWELL",
	};
	static const char *const ordered[] = {
		"LOOKUP",	"GETATTR",	"SETATTR",	"CREATE",	"OPEN",
		"READ",		"WRITE",	"UNLINK",	"MKDIR",	"SYMLINK",
		"LINK",		"RENAME",	"READDIR",	"STATFS",	"GETINFO",
		"BREAK",	"WATCH",	"SURVEY",	"LOCK",		"TESTLOCK",
		"CLOSE",	"CANCEL",	"REVOKED",	"RECLAIM_FILE", "RECLAIM_GONE",
		"RECLAIM_OPEN", "RECLAIM_LOCK", "RECLAIM_WAIT", "RECLAIM_TIME", "RECLAIM_DONE",
		"REPLY",	"QUEUED",	"VOUCH",	"FORGET",	"UNSEEN",
		"APPEARED",	"REVOKE",	"CHANGE",	"SEEN",
	};

	_Static_assert(sizeof(session) / sizeof(*session) == MESSAGE_LAST_SESSION + 1, "kinds");
	_Static_assert(sizeof(ordered) / sizeof(*ordered) ==
			       MESSAGE_KIND_END - MESSAGE_FIRST_ORDERED,
		       "kinds");
	if (kind <= MESSAGE_LAST_SESSION)
		return session[kind];
	if (kind >= MESSAGE_FIRST_ORDERED && kind < MESSAGE_KIND_END)
		return ordered[kind - MESSAGE_FIRST_ORDERED];
	return "?";
}

const char *status_name(enum status status)
{
	static const char *const names[] = {
		"OK",
		"BUSY",
		"DEADLOCK",
		"NO_ENTRY",
		"EXISTS",
		"STALE",
		"TOO_BIG",
		"NO_SPACE",
		"NO_MEMORY",
		"NOT_DIR",
		"IS_DIR",
		"NOT_EMPTY",
		"NOT_PERMITTED",
		"INVALID",
		"NAME_TOO_LONG",
		"TOO_MANY_LINKS",
		"INTERRUPTED",
		"NO_MASTER",
		"LAPSED",
		"CHANGED",
	};

	_Static_assert(sizeof(names) / sizeof(*names) == STATUS_MAX + 1, "statuses");
	return status <= STATUS_MAX ? names[status] : "?";
}

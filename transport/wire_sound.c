/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "transport/wire_sound.h"

static bool is_kind(unsigned kind)
{
	return (kind > MESSAGE_NONE && kind <= MESSAGE_LAST_SESSION) ||
	       (kind >= MESSAGE_FIRST_ORDERED && kind < MESSAGE_KIND_END);
}

static bool is_name(const char *name)
{
	size_t len = strnlen(name, NAME_MAX_BYTES + 1);

	return len > 0 && len <= NAME_MAX_BYTES && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static bool is_command(const char *command)
{
	return memchr(command, '\0', COMMAND_MAX_BYTES + 1) != NULL;
}

static bool is_sound_holder(const struct holder *h)
{
	return (unsigned)h->kind <= HOLDER_NAME && (unsigned)h->mode <= LOCK_EXCLUSIVE &&
	       is_command(h->command) && h->node &&
	       strnlen(h->node, NODE_ID_MAX_BYTES + 1) <= NODE_ID_MAX_BYTES;
}

static bool is_sound_surveyed(const struct surveyed *s)
{
	return (unsigned)s->kind <= HOLDER_NAME && (unsigned)s->mode <= LOCK_EXCLUSIVE &&
	       is_command(s->command) && s->node &&
	       strnlen(s->node, NODE_ID_MAX_BYTES + 1) <= NODE_ID_MAX_BYTES && s->name &&
	       strnlen(s->name, SURVEY_NAME_MAX + 1) <= SURVEY_NAME_MAX;
}

static bool are_sound_surveyed(const struct message *m)
{
	size_t names_len = 0;

	if (m->surveyed_count > SURVEY_MAX)
		return false;
	for (size_t i = 0; i < m->surveyed_count; i++) {
		if (!is_sound_surveyed(&m->surveyed[i]))
			return false;
		names_len += strlen(m->surveyed[i].name) + 1;
	}
	return names_len <= SURVEY_NAMES_MAX;
}

static bool are_sound_lists(const struct message *m)
{
	if (m->entry_count > LISTING_MAX || m->link_count > LINKS_MAX ||
	    m->holder_count > HOLDERS_MAX)
		return false;
	for (size_t i = 0; i < m->entry_count; i++)
		if (!m->entries[i].name || !is_name(m->entries[i].name))
			return false;
	for (size_t i = 0; i < m->link_count; i++)
		if (!m->links[i].name || !is_name(m->links[i].name) ||
		    !is_command(m->links[i].maker_command))
			return false;
	for (size_t i = 0; i < m->holder_count; i++)
		if (!is_sound_holder(&m->holders[i]))
			return false;
	return true;
}

bool wire_is_sound(const struct message *m)
{
	if (!is_kind(m->kind) || (unsigned)m->status > STATUS_MAX)
		return false;
	if ((unsigned)m->lock_kind > LOCK_RANGE || (unsigned)m->lock_mode > LOCK_EXCLUSIVE)
		return false;
	if ((m->name && !is_name(m->name)) || (m->name2 && !is_name(m->name2)))
		return false;
	if (m->text && strnlen(m->text, TEXT_MAX_BYTES + 1) > TEXT_MAX_BYTES)
		return false;
	if ((unsigned)m->keeper > KEEPER_MAX || (unsigned)m->change > CHANGE_MAX ||
	    !is_command(m->command))
		return false;
	return m->data_len <= CONTENT_MAX_BYTES && are_sound_lists(m) && are_sound_surveyed(m);
}

/* SPDX-License-Identifier: MIT */
#include "fs/xattr_text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lockcore/moment.h"
#include "transport/loop.h"

#define TTL_TEXT_MAX 32 /* a hundred years with nanoseconds has 20 */

static const char *const names[XATTR_END] = {
	[XATTR_TOKEN] = "user.dlock.token",	[XATTR_HOLDER] = "user.dlock.holder",
	[XATTR_MODE] = "user.dlock.mode",	[XATTR_WAITERS] = "user.dlock.waiters",
	[XATTR_EXPIRES] = "user.dlock.expires", [XATTR_TTL] = "user.dlock.ttl",
	[XATTR_BIND] = XATTR_BIND_NAME,
};

enum xattr xattr_find(const char *name)
{
	for (int i = 0; i < XATTR_END; i++)
		if (!strcmp(name, names[i]))
			return (enum xattr)i;
	return XATTR_END;
}

/* ---- Writing ---- */

struct text {
	char *to;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(t->to + t->len, XATTR_TEXT_MAX - t->len, format, args);
	va_end(args);
	assert(len >= 0 && (size_t)len < XATTR_TEXT_MAX - t->len);
	t->len += (size_t)len;
}

static void add_escaped(struct text *t, const char *word)
{
	for (; *word; word++) {
		unsigned char c = (unsigned char)*word;

		if (c > ' ' && c < 0x7f && c != '\\')
			add(t, "%c", c);
		else
			add(t, "\\%03o", c);
	}
}

/* Without a command, which is so for a process of another PID namespace, there are three words. */
static void add_holders(struct text *t, const struct message *info)
{
	for (size_t i = 0; i < info->holder_count; i++) {
		const struct holder *h = &info->holders[i];

		if (i)
			add(t, "\n");
		add_escaped(t, h->node);
		add(t, " %" PRIu32 " %" PRIu32, h->pid, h->uid);
		if (h->command[0])
			add(t, " ");
		add_escaped(t, h->command);
	}
}

static void add_mode(struct text *t, const struct message *info)
{
	static const char *const modes[] = {
		[LOCK_NONE] = "held",
		[LOCK_SHARED] = "shared",
		[LOCK_EXCLUSIVE] = "exclusive",
	};

	if (info->holder_count)
		add(t, "%s", modes[info->lock_mode]);
}

/* Rounded up: the name lives so long at most. */
static void add_expires(struct text *t, const struct message *info)
{
	static const char *const what[] = {
		[KEEPER_LEASE] = "lease",
		[KEEPER_TTL] = "ttl",
		[KEEPER_IDLE] = "idle",
	};
	const int64_t tenth_ns = NS_PER_SEC / 10;
	int64_t tenths = info->lease_ns / tenth_ns + (info->lease_ns % tenth_ns > 0);

	if (info->keeper != KEEPER_NONE)
		add(t, "%" PRId64 ".%" PRId64 " %s", tenths / 10, tenths % 10, what[info->keeper]);
}

/* The shortest decimal number that says it exactly. */
static void add_ttl(struct text *t, const struct message *info)
{
	if (!info->ttl_ns)
		return;
	add(t, "%" PRId64 ".%09" PRId64, info->ttl_ns / NS_PER_SEC, info->ttl_ns % NS_PER_SEC);
	while (t->to[t->len - 1] == '0')
		t->len--;
	if (t->to[t->len - 1] == '.')
		t->len--;
}

size_t xattr_text(enum xattr xattr, const struct message *info, char out[XATTR_TEXT_MAX])
{
	struct text t = {.to = out};

	switch (xattr) {
	case XATTR_TOKEN:
		if (info->token)
			add(&t, "%" PRIu64, info->token);
		break;
	case XATTR_HOLDER:
		add_holders(&t, info);
		break;
	case XATTR_MODE:
		add_mode(&t, info);
		break;
	case XATTR_WAITERS:
		add(&t, "%" PRIu64, info->length);
		break;
	case XATTR_EXPIRES:
		add_expires(&t, info);
		break;
	case XATTR_TTL:
		add_ttl(&t, info);
		break;
	case XATTR_BIND:
		break;
	case XATTR_END:
		assert(xattr != XATTR_END);
		break;
	}
	return t.len;
}

size_t xattr_list(const struct message *info, char out[XATTR_TEXT_MAX])
{
	char text[XATTR_TEXT_MAX];
	size_t len = 0;

	for (int i = 0; i < XATTR_END; i++) {
		size_t name_len = strlen(names[i]) + 1;

		if (!xattr_text((enum xattr)i, info, text))
			continue;
		memcpy(out + len, names[i], name_len);
		len += name_len;
	}
	return len;
}

/* ---- Reading ---- */

bool xattr_parse_ttl(const char *value, size_t len, int64_t *ns)
{
	char text[TTL_TEXT_MAX + 1];
	int64_t parsed;

	if (len > TTL_TEXT_MAX || memchr(value, '\0', len))
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	if (strspn(text, "0123456789.") != len || !loop_parse_seconds(text, &parsed))
		return false;
	if (!parsed && strpbrk(text, "123456789"))
		return false;
	*ns = parsed;
	return true;
}

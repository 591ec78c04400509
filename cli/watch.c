/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/entry.h"
#include "cli/look.h"
#include "cli/say.h"
#include "cli/text.h"

static enum look look_of(const char *event)
{
	static const struct {
		const char *event;
		enum look look;
	} looks[] = {
		{"granted", LOOK_GOOD}, {"waits", LOOK_WARN}, {"expired", LOOK_BAD},
		{"broken", LOOK_BAD},	{"missed", LOOK_BAD},
	};

	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		if (!strcmp(looks[i].event, event))
			return looks[i].look;
	return LOOK_PLAIN;
}

static void print_lock(const json_t *event)
{
	char *name = entry_word(event, "name"), *holder = entry_holder(event);
	char *kind = entry_word(event, "kind"), *mode = entry_word(event, "mode");
	char *range = entry_range(event);
	const char *token = entry_text(event, "token");

	printf("%s  %s %s", name, kind, mode);
	if (strcmp(range, "-") != 0)
		printf(" %s", range);
	printf("  %s%s%s\n", holder, *token ? "  " : "", token);
	free(name);
	free(holder);
	free(kind);
	free(mode);
	free(range);
}

static void print(const json_t *event)
{
	char at[sizeof("23:59:60")], *what = entry_word(event, "event");
	time_t now = time(NULL);
	struct tm tm;

	strftime(at, sizeof(at), "%H:%M:%S", localtime_r(&now, &tm));
	printf("%s  %s%-8s%s  ", at, look_on(look_of(what)), what, look_off(look_of(what)));
	if (changes_missed(event))
		printf("%lld changes: see dlock ls\n", entry_number(event, "count"));
	else
		print_lock(event);
	free(what);
}

int command_watch(const struct args *a, const struct mount *m)
{
	char *name = a->name ? mount_name(m, a->name) : NULL;
	struct changes *c = a->name && !name ? NULL : changes_open(m);
	const json_t *event;
	const char *line;

	if (!c) {
		free(name);
		return 1;
	}
	errno = 0;
	while (!ferror(stdout) && (event = changes_next(c, &line))) {
		if (!changes_about(event, name))
			continue;
		if (a->json)
			puts(line);
		else
			print(event);
		fflush(stdout); /* whoever reads it acts on it */
	}
	if (!ferror(stdout))
		say_error("%s/.dlock/changes: %s", m->path, strerror(errno));
	changes_close(c);
	free(name);
	return 1;
}

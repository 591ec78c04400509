/* SPDX-License-Identifier: MIT */
#include "cli/args.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/period.h"
#include "cli/say.h"

#define SECONDS_MAX (100.0 * 366 * 24 * 3600)

enum wants { WANTS_NOTHING, MAY_HAVE_NAME, WANTS_NAME, WANTS_CMD };

static const struct syntax {
	const char *word;
	const char *options; /* as getopt has them; those of every command are added */
	enum wants wants;
} commands[COMMAND_END] = {
	[COMMAND_STATUS] = {"status", "j", WANTS_NOTHING},
	[COMMAND_LS] = {"ls", "jl", WANTS_NOTHING},
	[COMMAND_WHO] = {"who", "j", WANTS_NAME},
	[COMMAND_WAIT] = {"wait", "w:", WANTS_NAME},
	[COMMAND_WATCH] = {"watch", "j", MAY_HAVE_NAME},
	[COMMAND_BREAK] = {"break", "", WANTS_NAME},
	[COMMAND_RUN] = {"run", "sxenw:E:", WANTS_CMD},
	[COMMAND_ELECT] = {"elect", "", WANTS_CMD},
	[COMMAND_ONCE] = {"once", "p:q", WANTS_CMD},
};

#define EVERYWHERE "m:hV"

static const struct option long_options[] = {
	{"mount", required_argument, NULL, 'm'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"json", no_argument, NULL, 'j'},
	{"long", no_argument, NULL, 'l'},
	{"wait", required_argument, NULL, 'w'},
	{"timeout", required_argument, NULL, 'w'},
	{"shared", no_argument, NULL, 's'},
	{"exclusive", no_argument, NULL, 'x'},
	{"nonblock", no_argument, NULL, 'n'},
	{"conflict-exit-code", required_argument, NULL, 'E'},
	{"period", required_argument, NULL, 'p'},
	{"quiet", no_argument, NULL, 'q'},
	{0},
};

static int bad_usage(const char *what, const char *on, const char *why)
{
	say_error("%s%s%s: %s (see --help)", what, *on ? " " : "", on, why);
	return EX_USAGE;
}

/* ---- Values ---- */

static int take_wait(struct args *a, const char *text)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod(text, &end);
	if ((*text != '.' && (*text < '0' || *text > '9')) || errno || *end || !isfinite(seconds) ||
	    seconds > SECONDS_MAX)
		return bad_usage("-w", text, "not a number of seconds");
	a->wait_ns = (int64_t)(seconds * 1e9 + 0.5);
	return -1;
}

static int take_conflict(struct args *a, const char *text)
{
	size_t len = strspn(text, "0123456789");

	if (!len || len > 3 || text[len] || atoi(text) > 255)
		return bad_usage("-E", text, "an exit status is from 0 to 255");
	a->conflict = atoi(text);
	return -1;
}

static int take_period(struct args *a, const char *text)
{
	if (!period_parse(text, &a->period_s))
		return bad_usage("--period", text,
				 "a period is 1s to 366d, as 90s, 15m, 1h, 1d or 1w");
	return -1;
}

/* ---- Options ---- */

static int unknown(char **argv, int opt)
{
	char shortly[] = {'-', (char)optopt, '\0'};
	const char *arg = argv[optind - 1];
	bool is_long = !strncmp(arg, "--", 2);

	if (opt == ':')
		return bad_usage(is_long ? arg : shortly, "", "needs a value");
	if (is_long && optopt)
		return bad_usage(arg, "", "takes no value, or is not for this command");
	return bad_usage(is_long ? arg : shortly, "", "is no option of this command");
}

static int take_option(struct args *a, int opt, char **argv)
{
	switch (opt) {
	case 'm':
		a->mount = optarg;
		return *optarg ? -1 : bad_usage("-m", "MOUNTPOINT", "is empty");
	case 'h':
		fputs(args_help, stdout);
		return 0;
	case 'V':
		puts("dlock " DLOCK_VERSION);
		return 0;
	case 'j':
		a->json = true;
		return -1;
	case 'l':
		a->more = true;
		return -1;
	case 'w':
		return take_wait(a, optarg);
	case 's':
		a->shared = true;
		return -1;
	case 'x':
	case 'e':
		a->shared = false;
		return -1;
	case 'n':
		a->nonblock = true;
		return -1;
	case 'E':
		return take_conflict(a, optarg);
	case 'p':
		return take_period(a, optarg);
	case 'q':
		a->quiet = true;
		return -1;
	default:
		return unknown(argv, opt);
	}
}

/* A long option of another command is found by getopt and is none here. */
static int not_here(const char *long_name)
{
	char shown[64];

	snprintf(shown, sizeof(shown), "--%s", long_name);
	return bad_usage(shown, "", "is no option of this command");
}

static int take_options(struct args *a, int argc, char **argv, const char *options)
{
	int opt, which = 0, status = -1;

	opterr = 0;
	optind = 0;
	while (status < 0 && (opt = getopt_long(argc, argv, options, long_options, &which)) != -1) {
		if (opt == '?' || opt == ':' || strchr(options, opt))
			status = take_option(a, opt, argv);
		else
			status = not_here(long_options[which].name);
	}
	return status;
}

/* ---- Commands ---- */

static int find(enum command *command, const char *word)
{
	for (int i = 0; i < COMMAND_END; i++) {
		if (!strcmp(commands[i].word, word)) {
			*command = (enum command)i;
			return -1;
		}
	}
	return bad_usage("command", word, "there is none of that name");
}

/* argv is that of the command: NAME, CMD... */
static int take_words(struct args *a, int argc, char **argv)
{
	enum wants wants = commands[a->command].wants;

	if (argc > 0 && wants != WANTS_NOTHING) {
		a->name = *argv++;
		argc--;
	}
	if (!a->name && (wants == WANTS_NAME || wants == WANTS_CMD))
		return bad_usage("NAME", "", "is needed");
	if (wants != WANTS_CMD)
		return argc > 0 ? bad_usage("argument", *argv, "not expected") : -1;
	if (argc > 0 && !strcmp(*argv, "--")) {
		argv++;
		argc--;
	}
	if (!argc)
		return bad_usage("CMD", "", "is needed: NAME -- CMD...");
	a->argv = argv;
	return -1;
}

static int check(const struct args *a)
{
	if (a->command == COMMAND_ONCE && !a->period_s)
		return bad_usage("--period", "", "is needed");
	return -1;
}

int args_parse(struct args *a, int argc, char **argv)
{
	char options[32] = "+:" EVERYWHERE;
	int status;

	*a = (struct args){.wait_ns = ARGS_WAIT_FOREVER, .conflict = 1};
	status = take_options(a, argc, argv, options);
	if (status >= 0)
		return status;
	argc -= optind;
	argv += optind;
	if (!argc)
		return bad_usage("COMMAND", "", "is needed");
	status = find(&a->command, *argv);
	if (status >= 0)
		return status;
	/* What comes after NAME is CMD's; elsewhere options may stand anywhere. */
	snprintf(options, sizeof(options), "%s:" EVERYWHERE "%s",
		 commands[a->command].wants == WANTS_CMD ? "+" : "", commands[a->command].options);
	status = take_options(a, argc, argv, options);
	if (status < 0)
		status = take_words(a, argc - optind, argv + optind);
	return status < 0 ? check(a) : status;
}

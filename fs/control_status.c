/* SPDX-License-Identifier: MIT */
/* What this node knows of itself and its masters, without asking any of them. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "fs/control.h"
#include "fs/escape.h"
#include "fs/fs.h"
#include "fs/json_text.h"

static const char *session_of(const struct fs *fs)
{
	return node_is_open(fs->node) ? "live" : node_lease(fs->node) ? "lost" : "none yet";
}

/* Seconds, to a tenth, rounded down: so long at least. */
static double left_of(const struct fs *fs)
{
	int64_t left_ns = node_belief_end(fs->node) - loop_now().boot_ns;

	return left_ns > 0 ? (double)(left_ns / (NS_PER_SEC / 10)) / 10 : 0;
}

static double lease_of(const struct fs *fs)
{
	return (double)node_lease(fs->node) / NS_PER_SEC;
}

/* NULL: there is no session. */
static const char *master_of(const struct fs *fs)
{
	size_t master;

	return node_master(fs->node, &master) ? fs->options.masters[master] : NULL;
}

/* ---- For people ---- */

static void write_masters(const struct fs *fs, FILE *to)
{
	static const char *const standings[] = {
		[NODE_MASTER_SILENT] = "no answer",
		[NODE_MASTER_STANDS_BY] = "stands by",
		[NODE_MASTER_LEADS] = "leads",
	};
	size_t width = strlen("MASTER");

	for (size_t i = 0; i < fs->options.master_count; i++)
		if (escape_width(fs->options.masters[i]) > width)
			width = escape_width(fs->options.masters[i]);
	fprintf(to, "\n%-*s STATE\n", (int)width, "MASTER");
	for (size_t i = 0; i < fs->options.master_count; i++) {
		escape_write(fs->options.masters[i], to);
		fprintf(to, "%*s %s\n", (int)(width - escape_width(fs->options.masters[i])), "",
			standings[node_master_standing(fs->node, i)]);
	}
}

int control_status(const struct fs *fs, const struct survey *survey, size_t piece, FILE *to)
{
	const char *master = master_of(fs);

	if (piece)
		return 0;
	fputs("node     ", to);
	escape_write(fs->options.node, to);
	fprintf(to, "\nsession  %s\n", session_of(fs));
	if (node_lease(fs->node))
		fprintf(to, "lease    %.4g s, %.1f s left\n", lease_of(fs), left_of(fs));
	fputs("master   ", to);
	escape_write(master ? master : "none", to);
	if (master)
		fprintf(to, ", epoch %" PRIu64, node_epoch(fs->node));
	fputs("\n", to);
	write_masters(fs, to);
	return 1;
}

/* ---- For programs ---- */

static json_t *masters_json(const struct fs *fs)
{
	static const char *const standings[] = {
		[NODE_MASTER_SILENT] = "silent",
		[NODE_MASTER_STANDS_BY] = "standby",
		[NODE_MASTER_LEADS] = "leads",
	};
	json_t *masters = json_array();

	for (size_t i = 0; i < fs->options.master_count; i++)
		json_array_append_new(
			masters, json_pack("{s:o, s:s}", "url", json_text(fs->options.masters[i]),
					   "state", standings[node_master_standing(fs->node, i)]));
	return masters;
}

int control_status_json(const struct fs *fs, const struct survey *survey, size_t piece, FILE *to)
{
	const char *master = master_of(fs);
	json_t *status;
	bool failed;

	if (piece)
		return 0;
	status = json_pack("{s:i, s:o, s:s, s:f, s:f, s:I, s:o, s:o}", "version", 1, "node",
			   json_text(fs->options.node), "session",
			   node_is_open(fs->node) ? "live" : "none", "lease", lease_of(fs), "left",
			   left_of(fs), "epoch", (json_int_t)node_epoch(fs->node), "master",
			   master ? json_text(master) : json_null(), "masters", masters_json(fs));
	failed = json_dumpf(status, to, JSON_TEXT_FLAGS) != 0;
	fputc('\n', to);
	json_decref(status);
	return failed ? -ENOMEM : 1;
}

/* SPDX-License-Identifier: MIT */
/* What this node knows of itself and its masters, without asking any of them. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "fs/control.h"
#include "fs/fs.h"

/* As many decimals as a number has, and no more; enough for any that is written here. */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

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
		if (strlen(fs->options.masters[i]) > width)
			width = strlen(fs->options.masters[i]);
	fprintf(to, "\n%-*s STATE\n", (int)width, "MASTER");
	for (size_t i = 0; i < fs->options.master_count; i++)
		fprintf(to, "%-*s %s\n", (int)width, fs->options.masters[i],
			standings[node_master_standing(fs->node, i)]);
}

bool control_status(const struct fs *fs, const struct survey *survey, size_t piece, FILE *to)
{
	const char *master = master_of(fs);

	if (piece)
		return false;
	fprintf(to, "node     %s\n", fs->options.node);
	fprintf(to, "session  %s\n", session_of(fs));
	if (node_lease(fs->node))
		fprintf(to, "lease    %.4g s, %.1f s left\n", lease_of(fs), left_of(fs));
	if (master)
		fprintf(to, "master   %s, epoch %" PRIu64 "\n", master, node_epoch(fs->node));
	else
		fprintf(to, "master   none\n");
	write_masters(fs, to);
	return true;
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
			masters, json_pack("{s:s, s:s}", "url", fs->options.masters[i], "state",
					   standings[node_master_standing(fs->node, i)]));
	return masters;
}

bool control_status_json(const struct fs *fs, const struct survey *survey, size_t piece, FILE *to)
{
	json_t *status;

	if (piece)
		return false;
	status = json_pack("{s:i, s:s, s:s, s:f, s:f, s:I, s:s?, s:o}", "version", 1, "node",
			   fs->options.node, "session", node_is_open(fs->node) ? "live" : "none",
			   "lease", lease_of(fs), "left", left_of(fs), "epoch",
			   (json_int_t)node_epoch(fs->node), "master", master_of(fs), "masters",
			   masters_json(fs));
	json_dumpf(status, to, JSON_FLAGS);
	fputc('\n', to);
	json_decref(status);
	return true;
}

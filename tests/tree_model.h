/* SPDX-License-Identifier: MIT */
/*
 * A naive model of names and files, for comparing the table with: two small arrays, every question
 * answered by looking at all of them.
 *
 * The rules, from lockcore/table.h:
 *  - a file exists while it has a name, a handle or, a directory, a name in it;
 *  - a held name goes with its holder, or ttl after its making or its file's last touch; a
 * directory that has names in it then becomes a name that nobody holds, with an idle time of 0;
 *  - a name that nobody holds goes its idle time after the last use of its file, which is in use
 *    while it has handles or names in it.
 */
#ifndef TESTS_TREE_MODEL_H
#define TESTS_TREE_MODEL_H

#include "lockcore/message.h"

#define TREE_NODES   24 /* node 0 is the root */
#define TREE_NAMES   40
#define TREE_HANDLES 4
#define TREE_IDLE_S  3
#define TREE_NEVER   INT64_MAX

enum tree_type { TREE_NONE, TREE_FILE, TREE_DIR, TREE_SYMLINK };

struct tree_name {
	int parent, node; /* -1: none, the name is free */
	bool fresh;	  /* made by the last step: its token is a new one */
	char letter;	  /* the name */
	uint64_t holder;
	int64_t ttl_s, idle_s; /* ttl_s 0: none */
	int64_t end_s;
};

struct tree_handle {
	int node; /* -1: none */
	uint64_t client;
};

struct tree {
	enum tree_type type[TREE_NODES];
	uint64_t ino[TREE_NODES]; /* in the table; stays after the node's end */
	struct tree_name names[TREE_NAMES];
	struct tree_handle handles[TREE_HANDLES];
	bool gone[TREE_NODES]; /* by the last step */
	int64_t now_s;
};

/* The name to be made or moved to: client, ttl and place. */
struct tree_make {
	uint64_t client;
	int parent;
	char letter;
	bool plain; /* lives on use */
	int64_t ttl_s;
};

void tree_init(struct tree *m);
struct tree_name *tree_find(struct tree *m, int parent, char letter); /* NULL: none */
int tree_free_node(const struct tree *m);			      /* 0: none */
int tree_free_handle(const struct tree *m);			      /* -1: none */
bool tree_has_room(const struct tree *m);			      /* for a further name */
uint32_t tree_nlink(const struct tree *m, int node);

/* *node is what was made, if STATUS_OK. */
enum status tree_make(struct tree *m, enum tree_type type, const struct tree_make *make, int *node);
void tree_open(struct tree *m, int handle, int node, uint64_t client);
void tree_close(struct tree *m, int handle);
void tree_touch(struct tree *m, int node);
enum status tree_link(struct tree *m, int node, const struct tree_make *make);
enum status tree_rename(struct tree *m, int parent, char letter, const struct tree_make *make,
			bool noreplace);
enum status tree_unlink(struct tree *m, int parent, char letter, bool dir);
void tree_drop(struct tree *m, uint64_t client);
void tree_tick(struct tree *m);
int64_t tree_deadline(const struct tree *m); /* TREE_NEVER */

#endif

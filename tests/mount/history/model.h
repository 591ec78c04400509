/* SPDX-License-Identifier: MIT */
/*
 * The model: files, names and locks as plain lists, and what each call does to them.
 *
 * A call is not one step: the kernel first finds a path's directory and file and then acts on what
 * it found, a waiter waits and then has the lock, a dying process closes one descriptor after the
 * other. So a call has a progress, and the model tells for a state and a call which states its next
 * step may lead to, if the call is to get at its end what the history says. A state is compared
 * with memcmp: lists are in the order of their numbers, and what is not used is zero.
 *
 * What a closed description still locks goes at some later time, the background (contract 2.3), and
 * a wait that was given up may be in the way for a while: see model_background and model_force.
 */
#ifndef HISTORY_MODEL_H
#define HISTORY_MODEL_H

#include "history.h"

#define INODES_MAX 96
#define DESCS_MAX  56
#define RANGES_MAX 64
#define STEPS_MAX  4 /* ways to go on with a call from one state */
/* What the background may do to one: a closed description, a lockset, a lost name, all locksets. */
#define BACKGROUND_MAX (DESCS_MAX + 2 * INODES_MAX + 1)

#define MTIME_CLOCK   0 /* of a write: what the clock said */
#define MTIME_UNKNOWN 1

struct inode {
	uint64_t real;	  /* its number on the file system; 0: not seen yet */
	uint32_t id;	  /* of the call that made it; a root: its number + 1 */
	uint32_t parent;  /* of a directory that has a name */
	uint32_t content; /* a blob; of a symbolic link: its tag */
	uint32_t mtime;
	uint32_t lockset; /* of those that share one, the least id (model_kin.c) */
	/* With name_locks, of a file without a name: where its last one was; and of a removed
	 * directory that is the lost_dir of others: where its own was (model_kin.c). */
	uint32_t lost_dir;
	uint32_t child[NAMES];
	uint16_t mode;
	uint8_t nlink; /* names */
	uint8_t type;
	uint8_t lost_name;
	uint8_t moved;	  /* a directory that was renamed */
	uint8_t moved_on; /* the directory that lost_name was in was removed since */
	uint8_t unused;
};

struct desc {		/* an open file description */
	int64_t closed; /* with refs 0: when the close returned */
	uint32_t id;	/* of the call that opened it */
	uint32_t inode;
	uint32_t pos;
	uint8_t flags; /* OPEN_READ, OPEN_WRITE, OPEN_APPEND */
	uint8_t client;
	uint8_t refs; /* descriptors; 0: closed, and its locks not released yet */
	uint8_t flock;
};

struct range {
	uint32_t inode;
	uint32_t owner; /* a client + 1, or an OFD lock's description */
	uint8_t mode[BYTES];
};

struct wait { /* for a lock; in a state: what was given up, and may be in the way still */
	uint32_t inode;
	uint32_t owner;
	uint8_t active, range, mode, bytes; /* bytes: a bit each; a flock has them all */
	uint32_t unused;
	int64_t ended; /* when the call returned that gave it up */
};

enum stage { STAGE_FRESH, STAGE_SECOND, STAGE_DYING, STAGE_DONE };

struct progress {	      /* of a client's call */
	uint32_t dir[2], pin; /* inodes found: of both paths the directory, of the first the file */
	uint32_t aux;
	uint32_t stage;
	uint32_t unused; /* no padding: states are compared whole */
};

struct state {
	uint32_t inodes, descs, ranges, unused;
	struct inode inode[INODES_MAX];
	struct desc desc[DESCS_MAX];
	struct range range[RANGES_MAX];
	struct wait wait[CLIENTS_MAX];
	struct progress progress[CLIENTS_MAX];
	uint32_t slot[CLIENTS_MAX][SLOTS]; /* descriptions */
};

struct step {
	const struct rules *rules;
	const struct state *from;
	const struct op *op;
	const struct op *const *current; /* by client: the call that it is in, or NULL */
	bool churned;	      /* what is at its place was changed twice and more while it went on */
	struct state *to;     /* STEPS_MAX */
	bool done[STEPS_MAX]; /* the call has its result */
	size_t count;
	/* What the model would answer, when asked for that. */
	void (*heard)(void *arg, const struct op *answer);
	void *heard_arg;
};

/* The roots alone. */
void model_init(struct state *s);
/* Where the call can go from here, in step->to, done, count. */
void model_step(struct step *step);

/*
 * The background: fills `to` (BACKGROUND_MAX) with the states in which the locks of one closed
 * description more have gone, or what else may happen to locks meanwhile. Returns how many.
 */
size_t model_background(const struct rules *rules, const struct state *s,
			const struct op *const *current, struct state *to);
/* All of it goes, of the clients in the mask, and their waits that were given up; what a call that
 * has not returned yet leaves behind stays. */
void model_force(struct state *s, const struct op *const *current, unsigned clients);

/* ---- model.c, for the others ---- */

struct inode *inode_get(struct state *s, uint32_t id);
struct inode *inode_add(struct state *s, uint32_t id, int type, int64_t mode);
struct desc *desc_get(struct state *s, uint32_t id);
/* Of the call's descriptor. The driver uses none that it has not: NULL only if the history is
 * none. */
struct desc *desc_of(struct state *s, const struct op *op);
/* This number belongs to this inode, and to no other. */
bool inode_is(struct state *s, struct inode *inode, int64_t real);
bool inode_linked(const struct inode *inode);

/* A copy of the state to change; NULL: there are enough ways. It becomes a way by step_on or
 * step_end. */
struct state *step_copy(struct step *step);
struct progress *step_progress(struct step *step, struct state *s);
void step_on(struct step *step, struct state *s);
/* The call ends here, with this result: a way, if it is the history's. */
void step_end(struct step *step, struct state *s, const struct op *answer);
void step_fail(struct step *step, struct state *s, int err);
struct op step_answer(const struct step *step, int err);

/* ---- model_names.c ---- */

void step_open(struct step *step);
void step_make(struct step *step);
void step_link(struct step *step);
void step_remove(struct step *step);
void step_list(struct step *step);
void step_readlink(struct step *step);

/* The directory of the call's first or second path, 0: a step to find it has been made. */
uint32_t step_walk(struct step *step, int which);
uint32_t child_of(struct state *s, uint32_t dir, int place);
/* The file that the call is about, found by its slot or its path; NULL: no, or not yet. */
struct inode *step_find(struct step *step, struct state *s, bool follow);
void name_lose(const struct step *step, struct state *s, uint32_t dir, int place);
/* With the locks that the name may bring. */
void name_give(struct state *s, uint32_t dir, int place, struct inode *inode);
int place_name(int place);

/* ---- model_rename.c ---- */

void step_rename(struct step *step);

/* ---- model_files.c ---- */

void step_read(struct step *step);
void step_write(struct step *step);
void step_truncate(struct step *step);
void step_chmod(struct step *step);
void step_touch(struct step *step);
void step_stat(struct step *step);
void file_truncate(struct inode *inode, size_t size);

/* ---- model_locks.c ---- */

void step_close(struct step *step);
void step_dup(struct step *step);
void step_die(struct step *step);
void step_flock(struct step *step);
void step_range(struct step *step);
void step_test(struct step *step);
void desc_release(struct state *s, uint32_t id);
/* What this call waits for, if it is one that may wait just now. */
bool op_waits(struct state *s, const struct op *op, struct wait *want);

/* ---- model_kin.c ---- */

/* A name was attached, or a lock asked for. True: the file shares other locks than before. */
bool kin_join(struct state *s, uint32_t inode);
bool kin_shares(const struct state *s, const struct inode *inode);
/* Of a set in which nothing is held, and for which no call may be waiting, each is on its own. */
void kin_settle(struct state *s, const struct op *const *current);
/* What may happen to locksets at any moment; returns how many states. */
size_t kin_background(const struct rules *rules, const struct state *s,
		      const struct op *const *current, struct state *to);
/* The directory loses its name, this one of the parent, and takes the last names in it along. */
void kin_lose_dir(struct state *s, uint32_t dir, uint32_t parent, int name);
/* The directory gets this name of the parent, and the last names in those that had it. */
void kin_adopt(struct state *s, uint32_t dir, uint32_t parent, int name);
/* Are there last names in the removed directory? */
bool kin_keeps(const struct state *s, uint32_t dir);

#endif

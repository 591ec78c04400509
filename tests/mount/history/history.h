/* SPDX-License-Identifier: MIT */
/*
 * A history: what several processes called, when, and what they got.
 *
 *	driver, client, choose, call.c make one, on up to three directories
 *	text.c                         writes it to a file, reads it again, shows it to people
 *	blob.c                         what was read and written, each content once
 *	model*.c                       what a file system with locks would have answered
 *	check.c, states.c, shorten.c   is there an order in which the model answers the same?
 *	main.c                         the command line
 *
 * The names are few, so that everybody meets everybody: two directories, four names in each, and
 * one name more in each of those, if it is a directory. Ranges are locked on eight bytes, of which
 * the last stands for all that follow it.
 */
#ifndef HISTORY_HISTORY_H
#define HISTORY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENTS_MAX 9
#define NODES	    3
#define SLOTS	    4 /* descriptors that a client may have */
#define ROOTS	    2 /* directories, which stay */
#define NAMES	    4 /* names in each */
#define BYTES	    8 /* of a file that are locked; the last: and all that follow */
#define ARGS_MAX    5
#define GOTS_MAX    16

#define CONTENT_LIMIT 65536	/* contract 3.1 */
#define LOCAL_LIMIT   (1 << 20) /* of a file of a local file system, where none is met */

/* Operation numbers begin here: below it are a client's number as an owner, and the roots'. */
#define FIRST_OP 16

/* A place for a name: ((root * NAMES) + name) * 2, and 1 more for "x" in the directory there. */
#define PLACES		   (ROOTS * NAMES * 2)
#define PLACE_NONE	   (-1)
#define PLACE_INNER(place) ((place) >= 0 && ((place)&1))
#define PLACE_NAME(place)  ((place) / 2 % NAMES)
#define PLACE_ROOT(place)  ((place) / 2 / NAMES)

/* What a symbolic link points to; it exists nowhere. The tag makes the difference. */
#define TARGET_FORMAT "/nowhere/%06d"
#define TARGET_BYTES  15

enum op_kind {
	OP_OPEN,     /* place; slot; arg: OPEN_*, mode; got: inode number, is a directory */
	OP_CLOSE,    /* slot */
	OP_DUP,	     /* slot, slot2: the new one */
	OP_READ,     /* slot; arg: offset (-1: the descriptor's), length; data */
	OP_WRITE,    /* the same; data: what; got: length, the descriptor's offset afterwards */
	OP_TRUNCATE, /* place or slot; arg: size */
	OP_CHMOD,    /* place; arg: mode */
	OP_TOUCH,    /* place, not followed; arg: mtime in seconds, below TOUCH_END */
	OP_STAT,     /* place or slot; arg: follow; got: GOT_* */
	OP_MKNOD,    /* place; arg: mode */
	OP_MKDIR,    /* the same */
	OP_SYMLINK,  /* place; arg: tag */
	OP_READLINK, /* place; got: tag */
	OP_LINK,     /* place, place2 */
	OP_RENAME,   /* place, place2; arg: no replace */
	OP_UNLINK,   /* place */
	OP_RMDIR,    /* place */
	OP_LIST,     /* arg: root; got: (name, inode number)..., a name below 0 ends it */
	OP_FLOCK,    /* slot; arg: mode, WAIT_* */
	OP_RANGE,    /* slot; arg: mode, WAIT_*, first byte, last byte, OFD; mode 0: unlock */
	OP_TEST,     /* the same, F_GETLK; got: mode, first byte, last byte, client or -1 */
	OP_DIE,	     /* got: slots in the order in which the kernel closes them, -1: none */
	OP_KINDS
};

#define OPEN_READ   1
#define OPEN_WRITE  2
#define OPEN_CREATE 4
#define OPEN_EXCL   8  /* with OPEN_CREATE only */
#define OPEN_TRUNC  16 /* with OPEN_WRITE only */
#define OPEN_APPEND 32

enum { WAIT_NOT, WAIT_SIGNAL, WAIT_KILL }; /* what ends the wait, if nothing else does */
enum { MODE_NONE, MODE_SHARED, MODE_EXCLUSIVE };
enum { GOT_INO, GOT_TYPE, GOT_MODE, GOT_NLINK, GOT_SIZE, GOT_MTIME };
enum { TYPE_FILE = 1, TYPE_DIR, TYPE_LINK };

#define TOUCH_END 1000000

/* op.err of a call in which the client was killed: got is as of OP_DIE. */
#define ERR_KILLED (-1)

struct op {
	uint32_t id; /* from FIRST_OP, unique in the history; 0 is nothing */
	int client, node;
	int64_t begin, end; /* CLOCK_MONOTONIC, ns */
	enum op_kind kind;
	int slot, slot2;
	int place, place2;
	int64_t arg[ARGS_MAX];
	int err; /* 0, an errno, or ERR_KILLED */
	int64_t got[GOTS_MAX];
	uint32_t data;	 /* a blob */
	bool open_ended; /* anything, or nothing, may have come of it */
};

/* How the file system differs. */
struct rules {
	bool local;	 /* the kernel's own, which closes at once and knows no queue */
	bool name_locks; /* contract 5.5 */
	bool restarts;	 /* of the master: it may be away, and then forget what is past */
	int64_t content_limit;
};

/* ---- blob.c: contents, by number. 0 is the empty one. ---- */

uint32_t blob_of(const void *bytes, size_t len);
const unsigned char *blob_bytes(uint32_t blob, size_t *len);
/* The content with these bytes at an offset, and with another size; the gap is zeros. */
uint32_t blob_write(uint32_t blob, size_t at, uint32_t what);
uint32_t blob_resize(uint32_t blob, size_t size);
uint32_t blob_slice(uint32_t blob, size_t at, size_t len);
/* Frees what has not been kept since the last sweep. */
void blob_keep(uint32_t blob);
void blob_sweep(void);

/* ---- text.c ---- */

const char *kind_name(enum op_kind kind);
/* "d0/n1" or "d0/n1/x" */
void place_path(int place, char *path, size_t size);
/* The call and its result, for people. */
void op_show(const struct op *op, char *text, size_t size);

#define HISTORY_LINE_MAX (1 << 20)

/* A line of a file. */
void op_write(const struct op *op, void *file);
bool op_read(struct op *op, char *line);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Lives: a life is a name standing for a file, from the call that made it so to the one that ended
 * it, or to the end of whatever kept it. sim_names.c explains answers by them (I11), and sim_lives.c
 * knows what is certain of each. Nothing here looks into the core.
 *
 *	begun ────> made ──────── lasted ──────── end
 *	  by: a call   told: its program has heard    certain, unless the change is forgotten
 *
 * Between "may have been" and "was there all the while" lies what nobody can tell: a call that is
 * under way, or whose program has died, may have ended a life (an ending), and while one is open no
 * life of that name lasts for certain. Doubt excuses: it can hide a failure, and so is taken back as
 * soon as somebody knows better.
 */
#ifndef TESTS_SIM_SIM_LIVES_H
#define TESTS_SIM_SIM_LIVES_H

#include <uthash.h>
#include <utlist.h>

#include "sim.h"

#define NEVER INT64_MAX

/* When something was over for certain, and who knows it: some change may be forgotten (rule 7). */
struct end {
	int64_t at; /* true time; NEVER */
	uint64_t epoch;
	size_t node; /* SIZE_MAX: nobody in particular */
	uint64_t instance;
};

struct life {
	uint64_t ino;		  /* 0: the call that may have made it has not told */
	const struct request *by; /* under way */
	size_t node;		  /* of the maker */
	uint64_t instance;
	bool held;	    /* by the maker's session; else it lives on use */
	bool mortal;	    /* a time-to-live may end it at any moment (contract 4.4) */
	bool told;	    /* the maker's program has heard of it */
	uint64_t epoch;	    /* when it was begun */
	int64_t made_begun; /* true time */
	int64_t made;	    /* for certain by then; NEVER: maybe not at all */
	int64_t alive;	    /* it was there then, or later */
	struct end end;
	struct life *prev, *next;
};

/* A call that may end a life of the name: it is under way, or nobody heard what became of it. */
struct ending {
	const struct request *by; /* NULL: nobody hears any more */
	const struct life *but;	  /* a move does not end what it makes */
	size_t node;
	uint64_t instance;
	struct ending *prev, *next;
};

struct name {
	UT_hash_handle hh;
	char name[SIM_KEY_BYTES];
	struct life *lives;
	struct ending *endings;
	int64_t last_end; /* true time: of some life's, as its ender heard */
};

/* An open file keeps its names. */
struct use {
	size_t node;
	uint64_t instance, handle, ino;
	int64_t since; /* true time: its program has heard so */
	struct use *prev, *next;
};
/* Makes it if there is none. */
struct name *name_get(struct sim *s, const char *name);
/* The call may end any life of the name but this one (NULL: any). */
void name_may_lose(struct name *n, const struct request *r, const struct life *but);
void ending_drop(struct name *n, struct ending *e);
/* Something may have ended any life of it: none is certain any more. */
void name_doubt_all(struct sim *s, struct name *n);
void name_forget_old(struct sim *s, struct name *n);

/* Held: by the session that made it; else it lives on use. */
struct life *life_begins(struct name *n, const struct request *r, bool held);
/* The one that this call, under way, may have made; NULL. */
struct life *life_by(struct name *n, const struct request *r);
void life_drop(struct name *n, struct life *l);
struct end end_now(const struct sim *s, const struct request *r);
/* Was it over for certain before this time? */
bool life_is_over(const struct sim *s, const struct life *l, int64_t before);
/* Was it there for certain from before the call began until now? */
bool life_lasted(const struct sim *s, const struct name *n, const struct life *l,
		 const struct request *r);
/* It was there at this time. Returns the life. */
struct life *life_seen(struct life *l, int64_t at);

/* An answer is explained, or the seed fails. `but`: a file that may be there, 0: none. */
void explain_absence(struct sim *s, struct name *n, const struct request *r, uint64_t but);
void explain_existence(struct sim *s, const struct name *n, const struct request *r);
/* Returns the life that was found. */
struct life *explain_found(struct sim *s, const struct name *n, const struct request *r,
			   uint64_t ino);

/* The call's handle keeps the names of its file; names_closed ends that. */
void use_begins(struct sim *s, const struct request *r);

#endif

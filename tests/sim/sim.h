/* SPDX-License-Identifier: MIT */
/*
 * The simulator: the real node and master halves on virtual time, with a network, a store, clocks
 * and programs that misbehave as a seed says. One seed is one history, always the same.
 *
 *	sim.c          the time line: events, clocks, chance
 *	sim_machine.c  pauses, crashes, the loops of nodes and masters
 *	sim_net.c      links: loss, delay, repeats, reordering, partitions
 *	sim_engine.c   the store: slow, unavailable, unknown outcomes
 *	sim_break.c    who stops when his lock is broken
 *	sim_request.c  requests of programs, each answered exactly once
 *	sim_program.c  programs that lock, write, remove, get interrupted and die (I12: holders know their token)
 *	sim_history.c  what programs saw, against what a file system may show (I2, I11)
 *	sim_names.c    the same for the root's names, and sim_lives.c, what is certain of them
 *	sim_survey.c   what is told of all locks, against what their holders know
 *	sim_locks.c    and for locks: refusals, queues, interrupts
 *	sim_check.c    the invariants, in true time (protocol.md I1 to I10, contract 2.4)
 *	sim_faults.c   the faults, each with its end
 *	sim_chaos.c    the history of a seed: trouble, then peace, then the last check
 *
 * In dlock-sim alone:
 *	sim_rules.c    the rules by name, and sim_removals.c, which leaves each of them out
 *	sim_memory.c   allocations of the core that fail
 *
 * True time is that of the simulator; every machine has a clock of its own (machine_now).
 *
 * A seed that fails. It prints two lines, what broke and how to see it again:
 *
 *	seed 216675 at 128.658093 s: I8: node 3 still has something to say
 *	replay: dlock-sim --seed 216675 --faults 0x3fff
 *
 *  1. Look the invariant up in protocol.md (I1 to I11, or a rule's number), and the sentence in
 *     sim_*.c: the comment above the check says what would have been right. An assertion of the core
 *     says it itself.
 *  2. Run the replay line into a file. Each line is true time and what happened then:
 *	98.572095 node 3 -> master 1 e3 i1200001 ack 0: RENEW
 *     is a packet as it leaves: the epoch that it belongs to, the session's instance, what it
 *     acknowledges, its messages, each with #seq (request number, status, inode). "lost" never
 *     leaves. "node 3 call 5: LOCK" is a program's request and "call 5: LOCK answered" what it was
 *     told; the call's number is the request's (r5). "master 1: expired" and "node 3: LAPSED" are
 *     their words for the log. Machines are numbered nodes first, masters from SIM_NODES_MAX.
 *  3. Read backwards from the end. Take what broke (an inode, a name, a node) and grep for it; then
 *     for the last "leading", "expired", "crashes", "stops", "paused", "put back" before. Two who
 *     hold one lock: find both grants, and ask why the master of the second knew nothing of the
 *     first, or the node of the first still believed.
 *  4. Who is wrong? The core, if what the programs were told cannot be; else the checkers, which
 *     must excuse what nobody can know. A checker is not to be taught to look away: say why the
 *     answer is right, in a comment, before it is excused.
 *  5. Fewer faults are easier to read: the same seed with other --faults is another history, but
 *     "--seeds 5000 --faults LIST" with two or three of them often finds the same in a short one.
 *     In gdb, break at sim_fail.
 *  6. Tell it as a story (story.h), which stays when the seeds have come to mean something else:
 *     any change to what chance decides gives every seed a new history.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockcore/deadline.h"
#include "lockcore/engine.h"
#include "lockcore/master.h"
#include "lockcore/node.h"

#define SIM_NODES_MAX	 6
#define SIM_MASTERS_MAX	 3
#define SIM_MACHINES_MAX (SIM_NODES_MAX + SIM_MASTERS_MAX)
#define SIM_REGISTRY_MAX 64
#define SIM_PROGRAMS_MAX 4  /* of one node */
#define SIM_KEY_BYTES	 24 /* a short name, or a number */

/* Faults that a history may contain. */
enum sim_fault {
	FAULT_LOSS = 1 << 0,
	FAULT_REPEAT = 1 << 1,
	FAULT_DELAY = 1 << 2,
	FAULT_PARTITION = 1 << 3,
	FAULT_MASTER_CRASH = 1 << 4,
	FAULT_NODE_CRASH = 1 << 5,
	FAULT_ENGINE = 1 << 6,
	FAULT_PAUSE = 1 << 7,
	FAULT_FREEZE = 1 << 8, /* of a master's clock */
	FAULT_DRIFT = 1 << 9,
	FAULT_TWIN = 1 << 10,	     /* two nodes with one id */
	FAULT_NODE_FREEZE = 1 << 11, /* of a node's clock: that node is lost, the others are not */
	FAULT_MEMORY = 1 << 12,	     /* every n-th allocation of the core fails (dlock-sim) */
	FAULT_OLD_STORE = 1 << 13,   /* it is put back to an old state */
	FAULT_TORN_STORE = 1 << 14,  /* so are its parts, to states of different times */
	FAULT_ALL = (1 << 15) - 1,
};

#define SIM_NO_SUCH_FAULT (~0u)

struct sim_config {
	uint64_t seed;
	size_t nodes, masters;
	unsigned faults;      /* that are in this history */
	unsigned allowed;     /* of which these were drawn */
	bool exclusive_store; /* one master process at a time, as with SQLite */
	bool trace;
	int64_t lease_ns;
	int64_t leader_lease_ns;
	int64_t timeo_ns;
	int64_t idle_ns;
	uint64_t fail_every; /* FAULT_MEMORY: allocations */
	char sorts[16];	     /* of names that programs are at (sim_program.c); empty: all */
	size_t names;	     /* of each sort */
	bool breaks;	     /* locks are broken */
};

struct sim;

/* Something that happens at a moment. `life` lets it fall flat if the machine died meanwhile. */
struct event {
	struct deadline at;
	void (*run)(struct sim *s, struct event *e);
	void (*drop)(struct event *e); /* frees data; NULL: free(data) */
	size_t machine;		       /* which must live and not be paused; SIM_NO_MACHINE */
	uint64_t life;
	void *data;
	struct event *prev, *next; /* machine.deferred */
};

#define SIM_NO_MACHINE SIZE_MAX

struct machine {
	bool alive;
	bool paused;
	uint64_t life; /* of the process; grows with every start and death */
	int64_t base_true, base_local;
	int64_t rate_ppm; /* 1000000: true time; 0: frozen */
	struct event *wake;
	struct event *deferred; /* what happened to it while it was paused */
	unsigned spins;
	bool stop_midway; /* stories: pause at the next moment between looking and telling */
};

struct request;
struct program;

struct sim_node {
	struct node *node;
	char id[NODE_ID_MAX_BYTES + 1];
	struct program *programs[SIM_PROGRAMS_MAX];
	struct request *requests; /* all, in the order of submission */
	struct node_event last;	  /* of each kind, and how often: for stories */
	unsigned told[NODE_EVENT_LEFT + 1];
	unsigned noticed[2];	    /* names gone, names that appeared */
	struct node_notice *notice; /* the last */
	struct stopping *stopping;  /* sim_break.c */
	bool leaving;
	uint64_t told_token; /* the highest that it was told of since it missed something */
	bool midway;	     /* paused between looking at the time and answering */
	bool astray; /* its clock has stood still: its belief means nothing until it is restarted */
	uint64_t epoch;	   /* the highest that it has taken anything from */
	uint64_t over;	   /* a session instance that has stopped believing */
	uint64_t deleted;  /* one that the store has deleted */
	uint64_t believed; /* the one that believed before this event; 0: none */
};

struct sim_master {
	struct master *master;
	bool comes_back;	  /* once it has left */
	struct engine_op running; /* in the store; id 0: none */
	unsigned told[MASTER_EVENT_STRANGER + 1];
	uint64_t said; /* ordered messages, repeats too */
	unsigned steps;
	bool midway;
	bool astray; /* as of a node */
};

/* One direction of nothing, or a connection between a node and a master. */
struct net_link {
	bool up;	     /* as the node knows it */
	uint32_t peer;	     /* of the connection, for the master */
	bool blocked[2];     /* to the master, to the node: silently lost */
	bool want;	     /* should be connected */
	int64_t order_ns[2]; /* FIFO unless delays are a fault */
	int64_t slow_ns[2];  /* stories: so much longer than hold_ns */
};

/* What the store held at a takeover, for it to be put back to. */
struct sim_backup {
	struct engine_cell cell;
	struct engine_session registry[SIM_REGISTRY_MAX];
	size_t count;
};

#define SIM_BACKUPS 3 /* of the last takeovers */

struct store {
	struct engine_cell cell;
	struct engine_session registry[SIM_REGISTRY_MAX];
	size_t count;
	struct sim_backup backups[SIM_BACKUPS]; /* the youngest first */
	size_t backup_count;
	uint64_t lost_epoch; /* the highest that it knew when it was put back; 0: it never was */
	struct sim_op *queue[SIM_MASTERS_MAX];
	bool down;
	bool cut[SIM_MASTERS_MAX];  /* unreachable for this master */
	bool mute[SIM_MASTERS_MAX]; /* does what this master asks, and cannot tell it so */
	bool late_put;		    /* one of unknown outcome was done after all */
};

struct sim {
	struct sim_config config;
	uint64_t random;
	int64_t now; /* true time, ns */
	struct deadlines events;
	struct machine machines[SIM_MACHINES_MAX]; /* nodes first */
	struct sim_node nodes[SIM_NODES_MAX];
	struct sim_master masters[SIM_MASTERS_MAX];
	struct net_link links[SIM_NODES_MAX][SIM_MASTERS_MAX];
	uint32_t peers;
	struct store store;
	struct history *history;
	struct claim *claims; /* sim_locks.c */
	struct name *names;   /* sim_lives.c */
	struct use *uses;
	unsigned faults; /* that may happen now */
	bool programs_stop;
	uint64_t takeovers, highest_epoch;
	uint64_t instances;
	uint64_t events_run, answers, packets;
	int64_t hold_ns; /* stories: how long a packet travels */
	/* stories: what a node that watches is told */
	void (*on_change)(struct sim *s, size_t node, const struct node_change *change);
	bool holders_stay;    /* stories: nobody stops the holders of a session that was lost */
	uint64_t allocations; /* of the core, while they may fail */
	bool starved;	      /* one of them has failed since the last takeover */
	bool lied_to; /* the store was put back, and somebody is served who could not tell */
};

/*
 * Whose core is being called: there an allocation may fail. NULL while the simulator itself is at
 * work.
 */
extern struct sim *sim_in_core;

/* ---- sim.c ---- */

struct sim *sim_new(const struct sim_config *config);
void sim_free(struct sim *s);
void sim_run_for(struct sim *s, int64_t ns);
/* Runs until the condition holds. False: it did not within ns. */
bool sim_run_until(struct sim *s, bool (*holds)(struct sim *s, void *arg), void *arg, int64_t ns);

uint64_t sim_random(struct sim *s);
uint64_t sim_below(struct sim *s, uint64_t bound);
bool sim_chance(struct sim *s, unsigned in_thousand);

/* Takes data over. machine: whom it happens to, or SIM_NO_MACHINE. */
struct event *sim_at(struct sim *s, int64_t delay_ns, size_t machine,
		     void (*run)(struct sim *s, struct event *e), void *data);
void sim_event_free(struct sim *s, struct event *e);

static inline size_t machine_of_node(size_t node)
{
	return node;
}

static inline size_t machine_of_master(size_t master)
{
	return SIM_NODES_MAX + master;
}

struct moment machine_now(const struct sim *s, size_t machine);
void machine_set_rate(struct sim *s, size_t machine, int64_t ppm);
void machine_pause(struct sim *s, size_t machine);
void machine_resume(struct sim *s, size_t machine);

void sim_start_node(struct sim *s, size_t i);
void sim_crash_node(struct sim *s, size_t i);
void sim_start_master(struct sim *s, size_t i);
void sim_crash_master(struct sim *s, size_t i);
/* In order: it ends once it has left. */
void sim_stop_master(struct sim *s, size_t i);
/* Of a node's session: its number, and its master's epoch; 0: none. */
uint64_t sim_instance(const struct sim *s, size_t node);
uint64_t sim_epoch(const struct sim *s, size_t node);
/* Drains what a node or master has to say, and sets its alarm. */
void sim_node_loop(struct sim *s, size_t i);
void sim_master_loop(struct sim *s, size_t i);

void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A broken invariant: prints how to see it again, and ends the process. */
_Noreturn void sim_fail(struct sim *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- sim_net.c ---- */

void net_connect(struct sim *s, size_t node, size_t master);
void net_disconnect(struct sim *s, size_t node, size_t master);
void net_send_to_master(struct sim *s, size_t node, size_t master, const struct packet *p);
void net_send_to_node(struct sim *s, size_t master, uint32_t peer, const struct packet *p);

/* ---- sim_engine.c ---- */

void engine_start(struct sim *s, size_t master, const struct engine_op *op);
void engine_forget(struct sim *s, size_t master); /* the process died */
/* torn: its registry is not as old as its cell. */
void engine_put_back(struct sim *s, bool torn);
bool engine_knows(const struct sim *s, const char *node, uint64_t instance);
void engine_free(struct sim *s);

/* ---- sim_break.c ---- */

/* Something that the node holds is being broken: its programs are to stop. */
void break_begins(struct sim *s, size_t node, const struct node_revoke *revoke);
/* Of what the node has let go, its programs have stopped. Before any packet says so. */
void break_look(struct sim *s, size_t node);
/* Is the handle lost, or about to be? And is it for certain? */
bool break_has_begun(const struct sim *s, size_t node, uint64_t handle);
bool break_let_go(const struct sim *s, size_t node, uint64_t handle);
void break_answered(struct sim *s, const struct request *r);
void break_forget(struct sim *s, size_t node);

/* ---- sim_request.c ---- */

struct request {
	size_t node;
	uint64_t call;
	struct message *message;
	bool answered;
	enum status status;
	uint64_t handle;
	struct message *reply;
	int64_t begun, ended; /* true time */
	uint64_t instance;    /* of the session, when it was begun */
	uint64_t epoch;	      /* and of its master */
	uint64_t seen_token;  /* the highest of the file or name when it was begun */
	size_t seen_by;
	char key[SIM_KEY_BYTES]; /* LOCK: the name whose locks it is about, or the file's number */
	struct claim *claim;
	const struct request *surveyed_by; /* a survey that began while it waited */
	bool signalled;
	int64_t patient_until_ns; /* by the node's clock: it awaits the master's word; 0: it does not */
	struct program *program;
	struct request *prev, *next;
};

struct request *request_submit(struct sim *s, size_t node, const struct message *m,
			       struct program *program);
void request_interrupt(struct sim *s, struct request *r);
void request_answered(struct sim *s, size_t node, const struct node_answer *answer);
void request_free(struct sim *s, struct request *r);
/* Is it a lock request that its node knows to be queued? */
bool request_waits(const struct sim *s, const struct request *r);
void requests_die(struct sim *s, size_t node);

/* ---- sim_program.c ---- */

void programs_start(struct sim *s, size_t node);
void programs_die(struct sim *s, size_t node);
void program_answered(struct sim *s, struct program *p, struct request *r);
/* The name of the file that it is at work on. */
const char *program_file(const struct program *p);
/* Are all at rest? */
bool programs_idle(const struct sim *s);

/* ---- sim_history.c ---- */

void history_begin(struct sim *s, struct request *r);
void history_end(struct sim *s, struct request *r);
/* A lock or name given up, or its handle closed: the program stops acting as its holder. */
void history_release(struct sim *s, size_t node, uint64_t handle, bool closed);
/* The store has deleted the session. */
void history_deleted(struct sim *s, uint64_t instance);
/* All who live have told the master of this epoch what they keep. */
void history_grace_over(struct sim *s, uint64_t epoch);
/* What the node held in this way is broken, and its programs have stopped. */
void history_broken(struct sim *s, size_t node, const struct node_revoke *revoke);
void history_free(struct sim *s);

/* ---- sim_names.c ---- */

void names_begin(struct sim *s, struct request *r);
void names_end(struct sim *s, struct request *r);
/* Nobody will hear what became of it. */
void names_abandon(struct sim *s, struct request *r);

/* ---- sim_lives.c ---- */

/* Something may end the names of this file from now on at any moment. */
void lives_are_mortal(struct sim *s, uint64_t ino);

void names_closed(struct sim *s, size_t node, uint64_t handle);
/* Of those that the node had open of this file it has lost some. */
void names_lost(struct sim *s, size_t node, uint64_t ino);
void names_freed(struct sim *s, const char *id);
void names_free(struct sim *s);

/* ---- sim_locks.c ---- */

void locks_begin(struct sim *s, struct request *r);
void locks_end(struct sim *s, struct request *r);
void locks_abandon(struct sim *s, struct request *r);
void locks_closed(struct sim *s, size_t node, uint64_t handle);
void locks_freed(struct sim *s, const char *id);
void locks_look(struct sim *s, size_t node);
void locks_free(struct sim *s);

/* ---- sim_survey.c ---- */

void survey_begin(struct sim *s, struct request *r);
void survey_end(struct sim *s, struct request *r);
/* The program that has this token, and believes, has asked: it must be told of. */
void survey_has(struct sim *s, const struct request *r, uint64_t token, uint32_t pid);

/* ---- sim_check.c ---- */

/* Before and after an event of this machine (SIM_NO_MACHINE: of any). */
void check_before(struct sim *s, size_t machine);
void check_after(struct sim *s, size_t machine);
void check_master_packet(struct sim *s, size_t master, const struct packet *p);
void check_swap(struct sim *s, const struct engine_cell *from, const struct engine_cell *to);
void check_received(struct sim *s, size_t node, uint64_t epoch);
/* The store has deleted the session. */
void check_deleted(struct sim *s, uint64_t instance);
/* After a step of a master. */
void check_master(struct sim *s, size_t master);
void check_master_event(struct sim *s, size_t master, const struct master_event *e);
/* Does this node believe in this session now, by its own clock? */
bool check_believes(const struct sim *s, size_t node, uint64_t instance);
/* A node that watches is told of a change. */
void check_change(struct sim *s, size_t node, const struct node_change *change);
/* Faults have stopped and time has passed: all is well again (I8). */
void check_end(struct sim *s);

/* ---- sim_faults.c ---- */

extern const char *const sim_fault_names[]; /* ends with NULL */
/* The faults of a list as of --faults; SIM_NO_SUCH_FAULT. */
unsigned sim_faults(const char *list);
/* From now on they happen, until s->faults is 0. */
void faults_begin(struct sim *s);
void faults_end(struct sim *s);
/* A master has taken over: it may well die before grace is over. */
void faults_takeover(struct sim *s, size_t master);
/* The store is slow to answer; the master's process may end before it does. */
void faults_may_die_within(struct sim *s, size_t master, int64_t ns);
/* Does the master's process die here, once in so many times? It is gone when this returns then. */
/* It has left: the process ends, and comes back if it is to. */
void faults_master_left(struct sim *s, size_t i);
bool faults_kill_master(struct sim *s, size_t master, unsigned one_in);

/* ---- sim_chaos.c ---- */

/* A whole history: faults for a while, then peace, then the last check. */
void chaos_run(const struct sim_config *config);
struct sim_config chaos_config(uint64_t seed, unsigned faults, bool trace);

#endif

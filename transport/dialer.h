/* SPDX-License-Identifier: MIT */
/*
 * Dialer: connects a client's endpoint to its URL, as often as need be. Private to the transport.
 *
 *	        dialer_start              connected: taken
 *	IDLE ──────────────────> DIALING ─────────────────────────────> IDLE
 *	  └── dialer_start_later ─> PAUSE <─── failed, or not taken ─┘
 *	                              └── time ──> DIALING
 *
 * A dial takes as long as the kernel tries, which is ever more rarely, up to a minute apart: that
 * long it would sleep on when a broken network is whole again. So who sees that it is in vain for
 * long starts it over. nng 1.5.2 cannot stop a dial: given a timeout, it brings that dial's end to
 * the next one, which then is a success without a stream. Only a dialer as a whole can be closed.
 *
 * Callbacks run in nng's threads; the calls below are the owner's.
 */
#ifndef TRANSPORT_DIALER_H
#define TRANSPORT_DIALER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h> /* nng_time; wants nng.h first */

struct dialer {
	const char *url; /* NULL: there is nothing to dial */
	bool is_ipc;
	/* Takes a stream over, also if it fails; calls dialer_arrived if it does not. */
	bool (*take)(void *arg, nng_stream *stream);
	void *arg;
	nng_stream_dialer *stream_dialer; /* NULL: there was no memory for it */
	nng_aio *aio;

	pthread_mutex_t *lock; /* the endpoint's, for what follows */
	bool is_busy;	       /* dialing or pausing */
	bool is_pausing;
	nng_time since; /* when the dial began */
	int pause_ms;	/* the next one */
};

/* Of zeros. 0, or nng's error; the url is copied. Then dialer_start. */
int dialer_open(struct dialer *d, const char *url);
/* Stops whatever is under way and waits for its callback, which never waits. Fine if not open. */
void dialer_close(struct dialer *d);

/* Unless it is busy: dials at once, or after a pause, which is doubled from one to the next. */
void dialer_start(struct dialer *d);
void dialer_start_later(struct dialer *d);
/* The same at once, and a dial that has gone on for longer than it should is begun anew. */
void dialer_start_over(struct dialer *d);

/* With the lock held, in `take`: the stream stands for a connection from here on. */
void dialer_arrived(struct dialer *d);
/* A connection was good: the next pause is the shortest again. */
void dialer_succeeded(struct dialer *d);

#endif

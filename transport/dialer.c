/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "transport/dialer.h"
#include "transport/endpoint.h"
#include "transport/url.h"

static void on_dialed(void *arg);

/* ---- nng's part, which is replaced by a new one when it hangs ---- */

static void close_parts(struct dialer *d)
{
	if (d->stream_dialer)
		nng_stream_dialer_close(d->stream_dialer);
	if (d->aio) {
		nng_aio_stop(d->aio);
		nng_aio_free(d->aio);
	}
	if (d->stream_dialer)
		nng_stream_dialer_free(d->stream_dialer);
	d->stream_dialer = NULL;
	d->aio = NULL;
}

static int open_parts(struct dialer *d)
{
	int rv = nng_stream_dialer_alloc(&d->stream_dialer, d->url);

	if (rv == 0)
		rv = nng_aio_alloc(&d->aio, on_dialed, d);
	if (rv != 0) {
		close_parts(d);
		return rv;
	}
	if (!d->is_ipc) {
		(void)nng_stream_dialer_set_bool(d->stream_dialer, NNG_OPT_TCP_KEEPALIVE, true);
		(void)nng_stream_dialer_set_bool(d->stream_dialer, NNG_OPT_TCP_NODELAY, true);
	}
	return 0;
}

int dialer_open(struct dialer *d, const char *url)
{
	int rv;

	assert(d->lock && d->take && !d->url);
	d->url = strdup(url);
	if (!d->url)
		return NNG_ENOMEM;
	d->is_ipc = url_is_ipc(url);
	d->pause_ms = ENDPOINT_REDIAL_MIN_MS;
	rv = open_parts(d);
	if (rv != 0)
		dialer_close(d);
	return rv;
}

void dialer_close(struct dialer *d)
{
	close_parts(d);
	free((char *)d->url);
	d->url = NULL;
}

/* ---- Dialing ---- */

static void dial_now(struct dialer *d)
{
	pthread_mutex_lock(d->lock);
	d->is_pausing = false;
	d->since = nng_clock();
	pthread_mutex_unlock(d->lock);
	nng_stream_dialer_dial(d->stream_dialer, d->aio);
}

static void pause_first(struct dialer *d)
{
	int ms;

	pthread_mutex_lock(d->lock);
	d->is_pausing = true;
	ms = d->pause_ms;
	d->pause_ms = ms * 2 < ENDPOINT_REDIAL_MAX_MS ? ms * 2 : ENDPOINT_REDIAL_MAX_MS;
	pthread_mutex_unlock(d->lock);
	nng_sleep_aio(ms, d->aio);
}

/* Only this thread sets is_pausing while the dialer is busy. */
static void on_dialed(void *arg)
{
	struct dialer *d = arg;
	int rv = nng_aio_result(d->aio);

	if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
		return;
	if (d->is_pausing)
		dial_now(d);
	else if (rv != 0 || !d->take(d->arg, nng_aio_get_output(d->aio, 0)))
		pause_first(d);
}

/* False: it is busy; else it is the caller's to make it so. */
static bool claim(struct dialer *d)
{
	bool was_busy;

	pthread_mutex_lock(d->lock);
	was_busy = d->is_busy;
	d->is_busy = true;
	pthread_mutex_unlock(d->lock);
	return !was_busy;
}

/* Without memory it is as good as busy, until dialer_start_over has some. */
void dialer_start(struct dialer *d)
{
	if (claim(d) && d->stream_dialer)
		dial_now(d);
}

void dialer_start_later(struct dialer *d)
{
	if (claim(d) && d->stream_dialer)
		pause_first(d);
}

static bool hangs(struct dialer *d)
{
	nng_time limit = url_is_numeric(d->url) ? ENDPOINT_DIAL_MS : ENDPOINT_RESOLVE_DIAL_MS;
	bool hangs;

	pthread_mutex_lock(d->lock);
	hangs = d->is_busy && !d->is_pausing && nng_clock() >= d->since + limit;
	pthread_mutex_unlock(d->lock);
	return hangs;
}

void dialer_start_over(struct dialer *d)
{
	bool is_dialing;

	if (d->stream_dialer && !hangs(d)) {
		dialer_start(d);
		return;
	}
	close_parts(d);
	if (open_parts(d) != 0)
		return;
	pthread_mutex_lock(d->lock);
	is_dialing = d->is_busy; /* else it has arrived in the last moment */
	pthread_mutex_unlock(d->lock);
	if (is_dialing)
		dial_now(d);
}

void dialer_arrived(struct dialer *d)
{
	d->is_busy = false;
}

void dialer_succeeded(struct dialer *d)
{
	pthread_mutex_lock(d->lock);
	d->pause_ms = ENDPOINT_REDIAL_MIN_MS;
	pthread_mutex_unlock(d->lock);
}

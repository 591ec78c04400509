/* SPDX-License-Identifier: MIT */
/*
 * Acquisitions of this node that are broken (node.h says who may believe what, master_break.c the
 * master's part).
 *
 *	REVOKE ──> descriptors lost ──> told ──┬─ node_revoked, given up, time over ─> let go ──> REVOKED
 *	   └── nothing of the token here ──────┘
 */
#include "lockcore/node_internal.h"

struct revoke {
	struct revoke *prev, *next; /* node.revokes */
	uint64_t token, ino;
	enum holder_kind kind;
	uint64_t handle; /* of a lock: that it was taken through */
	uint64_t owner;	 /* of ranges */
	bool late; /* the grant came when the handle was lost already; its end is the handle's */
	uint32_t pid;
	int64_t until_ns;
	bool told;
};

static struct revoke *find(const struct node *n, uint64_t token)
{
	struct revoke *r;

	DL_FOREACH (n->revokes, r)
		if (r->token == token)
			return r;
	return NULL;
}

/* ---- What is held under a token ---- */

static const struct range *find_lock(const struct kept *k, uint64_t token)
{
	const struct range *held;

	for (int kind = LOCK_FLOCK; kind <= LOCK_RANGE; kind++)
		DL_FOREACH (k->locks[kind], held)
			if (held->token == token)
				return held;
	return NULL;
}

/* What a revoke has let go of already, and the record still has, since no reply has come. */
static bool is_undone(const struct node *n, const struct link *link)
{
	const struct call *c;

	DL_FOREACH (n->order, c)
		if (c->settled && c->request->kind == MESSAGE_UNLINK &&
		    c->request->target == link->maker_req)
			return true;
	return false;
}

static struct link *find_name(const struct node *n, struct kept *k, uint64_t token)
{
	for (size_t i = 0; i < kept_names(k); i++) {
		struct link *link = &k->names->links[i];

		if (link->token == token && link->holder == n->instance && !is_undone(n, link))
			return link;
	}
	return NULL;
}

/* Fills in what is known of it. False: the session has nothing of this token. */
static bool find_held(struct node *n, struct kept *k, struct revoke *r)
{
	const struct range *lock = find_lock(k, r->token);
	const struct link *name = lock ? NULL : find_name(n, k, r->token);

	if (lock) {
		r->kind = lock->kind == LOCK_FLOCK ? HOLDER_FLOCK : HOLDER_RANGE;
		r->owner = lock->owner;
		r->handle = lock->handle;
		r->pid = lock->pid;
	} else if (name) {
		r->kind = HOLDER_NAME;
		r->pid = name->maker_pid;
	}
	return lock || name;
}

/* A descriptor that is lost for a revoke, and for the master still open. */
static struct node_handle *find_broken(struct node *n, uint64_t handle)
{
	struct node_handle *h = handle ? node_handle_find(n, handle) : NULL;

	return h && h->broken && !h->lapsed ? h : NULL;
}

static bool is_held(struct node *n, const struct revoke *r)
{
	struct kept *k = kept_find(n, r->ino);

	if (!k)
		return false;
	if (r->late)
		return find_broken(n, r->handle) != NULL;
	return r->kind == HOLDER_NAME ? find_name(n, k, r->token) != NULL
				      : find_lock(k, r->token) != NULL;
}

/* ---- Its descriptors ---- */

/* One that is concerned, and of which `broken` is as asked; NULL: there is none. */
static struct node_handle *concerned(struct node *n, struct kept *k, const struct revoke *r,
				     bool broken)
{
	struct node_handle *h;
	const struct range *held;

	if (r->kind == HOLDER_NAME) {
		DL_FOREACH (k->handles, h)
			if (h->broken == broken)
				return h;
		return NULL;
	}
	h = node_handle_find(n, r->handle);
	if (h && !h->lapsed && h->broken == broken)
		return h;
	if (r->kind == HOLDER_FLOCK)
		return NULL;
	DL_FOREACH (k->locks[LOCK_RANGE], held) {
		h = held->owner == r->owner ? node_handle_find(n, held->handle) : NULL;
		if (h && h->broken == broken)
			return h;
	}
	return NULL;
}

/*
 * A grant that is on its way is nobody's any more; closing the descriptor gives it back. What changes
 * a file may be done all the same, as after a signal.
 */
static void end_calls(struct node *n, uint64_t handle)
{
	struct call *c, *next;

	DL_FOREACH_SAFE (n->order, c, next) {
		if (c->settled || c->request->handle != handle)
			continue;
		if (c->request->kind != MESSAGE_LOCK) {
			call_give_up(n, c, STATUS_LAPSED);
		} else if (c->request->lock_mode != LOCK_NONE) {
			if (c->sent && !c->cancelled)
				call_ask_to_cancel(n, c);
			call_answer(n, c, STATUS_LAPSED);
		}
	}
}

static void stop_handles(struct node *n, struct kept *k, const struct revoke *r)
{
	struct node_handle *h;

	while ((h = concerned(n, k, r, false))) {
		h->broken = true;
		end_calls(n, h->id);
	}
}

/* ---- Letting go ---- */

static void say_revoked(struct node *n, uint64_t token)
{
	node_push(n, &(struct message){.kind = MESSAGE_REVOKED, .token = token});
}

/*
 * The name goes as one whose making is undone: by the request that made it, and again in a new epoch
 * until the answer is in. A directory with names in it is only not held any more.
 */
static void let_go_name(struct node *n, const struct link *link)
{
	struct message unlink = {
		.kind = MESSAGE_UNLINK,
		.req = ++n->reqs,
		.parent = link->parent,
		.name = link->name,
		.target = link->maker_req,
		.flags = BROKEN | UNLINK_LET_GO,
	};

	node_push(n, &unlink);
	call_leave_behind(n, &unlink, unlink.req, NULL);
}

static void close_handles(struct node *n, const struct revoke *r)
{
	struct kept *k;
	struct node_handle *h;

	while ((k = kept_find(n, r->ino)) && (h = concerned(n, k, r, true))) {
		node_push(n, &(struct message){
				     .kind = MESSAGE_CLOSE,
				     .handle = h->id,
				     .flags = BROKEN,
			     });
		kept_lose_handle(n, h);
	}
}

static void finish(struct node *n, struct revoke *r)
{
	struct kept *k = kept_find(n, r->ino);
	struct link *link = k && r->kind == HOLDER_NAME ? find_name(n, k, r->token) : NULL;

	assert(n->state == NODE_OPEN);
	if (link)
		let_go_name(n, link);
	close_handles(n, r);
	say_revoked(n, r->token);
	DL_DELETE(n->revokes, r);
	free(r);
}

/* ---- What the master says, and the owner of the loop ---- */

void revoke_begin(struct node *n, const struct message *m, struct moment now)
{
	struct kept *k = kept_find(n, m->ino);
	struct revoke *r, found = {.token = m->token, .ino = m->ino, .handle = m->handle};

	if (find(n, m->token))
		return; /* it was asked for by an earlier master */
	found.late = k && !find_held(n, k, &found) && find_broken(n, m->handle);
	if (!k || (!found.late && !is_held(n, &found))) {
		say_revoked(n, m->token);
		return;
	}
	r = malloc(sizeof(*r));
	if (!r) {
		n->doomed = true; /* what cannot be told must end all the same */
		return;
	}
	found.until_ns = now.boot_ns + n->lease_ns / NODE_REVOKE_SHARE;
	*r = found;
	DL_APPEND(n->revokes, r);
	stop_handles(n, k, r);
}

bool node_next_revoke(struct node *n, struct node_revoke *out)
{
	struct revoke *r;

	DL_FOREACH (n->revokes, r)
		if (!r->told)
			break;
	if (!r)
		return false;
	r->told = true;
	*out = (struct node_revoke){
		.token = r->token,
		.ino = r->ino,
		.kind = r->kind,
		.pid = r->pid,
		.until_ns = r->until_ns,
	};
	return true;
}

void node_revoked(struct node *n, uint64_t token, struct moment now)
{
	struct revoke *r;

	node_check_belief(n, now);
	r = find(n, token);
	if (r)
		finish(n, r);
}

bool node_is_revoking(const struct node *n, uint64_t token)
{
	return find(n, token) != NULL;
}

/* ---- Time ---- */

void revokes_tick(struct node *n, struct moment now)
{
	struct revoke *r, *next;

	DL_FOREACH_SAFE (n->revokes, r, next)
		if ((r->told && now.boot_ns >= r->until_ns) || !is_held(n, r))
			finish(n, r);
}

int64_t revokes_deadline(const struct node *n)
{
	int64_t at = MOMENT_NEVER;
	const struct revoke *r;

	DL_FOREACH (n->revokes, r)
		at = r->until_ns < at ? r->until_ns : at;
	return at;
}

void revokes_free(struct node *n)
{
	struct revoke *r, *next;

	DL_FOREACH_SAFE (n->revokes, r, next) {
		DL_DELETE(n->revokes, r);
		free(r);
	}
}

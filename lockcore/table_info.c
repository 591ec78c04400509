/* SPDX-License-Identifier: MIT */
/* Who holds a file, what keeps its name, and the time-to-live that it was given (contract 5.7, 4.4).
 */
#include "lockcore/table_internal.h"

/* ---- Who holds it ---- */

static bool same_process(const struct holder *a, const struct holder *b)
{
	return a->session == b->session && a->pid == b->pid && a->pid != 0;
}

/* The earlier entry of the same process goes if h is newer. True: there is a newer one already. */
static bool is_superseded(struct table_info *info, const struct holder *h)
{
	for (size_t i = 0; i < info->holder_count; i++) {
		if (!same_process(&info->holders[i], h))
			continue;
		if (info->holders[i].token >= h->token)
			return true;
		info->holder_count--;
		memmove(&info->holders[i], &info->holders[i + 1],
			(info->holder_count - i) * sizeof(*h));
		return false;
	}
	return false;
}

/* Keeps the array sorted, the newest first; the oldest give way. */
static void add_holder(struct table_info *info, const struct holder *h)
{
	size_t at = 0;

	if (is_superseded(info, h))
		return;
	while (at < info->holder_count && info->holders[at].token > h->token)
		at++;
	if (at == HOLDERS_MAX)
		return;
	if (info->holder_count < HOLDERS_MAX)
		info->holder_count++;
	memmove(&info->holders[at + 1], &info->holders[at],
		(info->holder_count - at - 1) * sizeof(*h));
	info->holders[at] = *h;
}

/* The newest token of all and that of the asker, who need not be among the newest holders. */
struct tokens {
	struct holder asker;
	uint64_t newest, own;
};

static void found(struct table_info *info, struct tokens *tokens, const struct holder *h)
{
	if (h->token > tokens->newest)
		tokens->newest = h->token;
	if (same_process(h, &tokens->asker) && h->token > tokens->own)
		tokens->own = h->token;
	add_holder(info, h);
}

static void find_locks(const struct table *t, const struct inode *inode, struct table_info *info,
		       struct tokens *tokens)
{
	const struct lockset *set = inode->locks;
	const struct waiter *w;
	const struct range *r;

	for (int kind = LOCK_FLOCK; set && kind <= LOCK_RANGE; kind++)
		DL_FOREACH (set->granted[kind], r) {
			struct holder h = {
				.token = r->token,
				.session = r->client,
				.start = r->start,
				.end = r->end,
				.age_ns = moment_age_since(r->since_ns, t->now_ns),
				.pid = r->pid,
				.uid = r->uid,
				.kind = kind == LOCK_FLOCK ? HOLDER_FLOCK : HOLDER_RANGE,
				.mode = r->mode,
			};

			command_copy(h.command, r->command);
			found(info, tokens, &h);
			info->mode = r->mode > info->mode ? r->mode : info->mode;
		}
	if (set)
		DL_COUNT(set->queue, w, info->waiting);
}

static void find_names(const struct table *t, const struct inode *inode, struct table_info *info,
		       struct tokens *tokens)
{
	const struct dentry *d;

	DL_FOREACH2 (inode->dentries, d, inode_next) {
		struct holder h = {
			.token = d->token,
			.session = d->holder ? d->holder->id : 0,
			.end = RANGE_END,
			.age_ns = moment_age_since(d->since_ns, t->now_ns),
			.pid = d->maker_pid,
			.uid = d->maker_uid,
			.kind = HOLDER_NAME,
		};

		command_copy(h.command, d->maker_command);
		if (d->holder)
			found(info, tokens, &h);
	}
}

/* That of the newest name. Whoever makes one without holding it gives it none. */
static int64_t ttl_of(const struct inode *inode)
{
	const struct dentry *d, *newest = NULL;

	DL_FOREACH2 (inode->dentries, d, inode_next)
		if ((d->holder || d->ttl_set) && (!newest || d->token > newest->token))
			newest = d;
	return newest ? newest->ttl_ns : 0;
}

enum status table_info(struct table *t, uint64_t ino, uint64_t client, uint32_t pid,
		       struct table_info *out)
{
	struct tokens tokens = {.asker = {.session = client, .pid = pid}};
	struct inode *inode = inode_find(t, ino);

	assert(!t->restoring);
	if (!inode)
		return STATUS_STALE;
	*out = (struct table_info){.ttl_ns = ttl_of(inode)};
	find_locks(t, inode, out, &tokens);
	find_names(t, inode, out, &tokens);
	out->token = tokens.own ? tokens.own : tokens.newest;
	return STATUS_OK;
}

/* ---- What keeps it ---- */

struct keeping {
	int64_t (*lease_end)(void *arg, uint64_t client);
	void *arg;
	size_t looks;
	enum keeper by;
	int64_t end_ns;
};

static void keeps(struct keeping *k, enum keeper by, int64_t end_ns)
{
	if (k->by != KEEPER_NONE && end_ns <= k->end_ns)
		return;
	k->by = by;
	k->end_ns = end_ns;
}

static void held_keeps(struct keeping *k, const struct dentry *d)
{
	int64_t lease_ns = k->lease_end(k->arg, d->holder->id);

	if (deadline_is_set(&d->life) && d->life.at_ns < lease_ns)
		keeps(k, KEEPER_TTL, d->life.at_ns);
	else
		keeps(k, KEEPER_LEASE, lease_ns);
}

static void use_keeps(struct keeping *k, const struct dentry *d)
{
	const struct handle *h;

	DL_FOREACH2 (d->inode->handles, h, inode_next)
		keeps(k, KEEPER_LEASE, k->lease_end(k->arg, h->client->id));
	if (deadline_is_set(&d->life))
		keeps(k, KEEPER_IDLE, d->life.at_ns);
}

/* A directory lives at least as long as what is in it (contract 4.3). */
static void name_keeps(struct keeping *k, const struct dentry *d)
{
	const struct dir *dir = d->inode->dir;

	k->looks++;
	if (d->holder)
		held_keeps(k, d);
	else
		use_keeps(k, d);
	for (size_t i = 0; dir && i < dir->count && k->looks < TABLE_KEEPER_LOOKS; i++)
		if (dir->slots[i].dentry)
			name_keeps(k, dir->slots[i].dentry);
}

enum keeper table_keeper(struct table *t, uint64_t ino,
			 int64_t (*lease_end)(void *arg, uint64_t client), void *arg,
			 int64_t *end_ns)
{
	struct keeping k = {.lease_end = lease_end, .arg = arg};
	const struct inode *inode = inode_find(t, ino);
	const struct dentry *d;

	assert(!t->restoring);
	if (inode)
		DL_FOREACH2 (inode->dentries, d, inode_next)
			name_keeps(&k, d);
	*end_ns = k.end_ns;
	return k.by;
}

/* ---- Its time-to-live ---- */

int64_t table_ttl(struct table *t, uint64_t ino)
{
	const struct inode *inode = inode_find(t, ino);

	return inode ? ttl_of(inode) : 0;
}

enum status table_set_ttl(struct table *t, uint64_t ino, int64_t ttl_ns, uint32_t flags,
			  uint32_t uid, struct moment now, struct attr *out)
{
	struct inode *inode = inode_find(t, ino);
	struct dentry *d;

	if (!inode)
		return STATUS_STALE;
	if (!inode->dentries || (uid != 0 && uid != inode->uid))
		return STATUS_NOT_PERMITTED;
	if (ttl_ns < 0)
		return STATUS_INVALID;
	if ((flags & TTL_CREATE) && ttl_of(inode))
		return STATUS_EXISTS;
	if ((flags & TTL_REPLACE) && !ttl_of(inode))
		return STATUS_NO_ENTRY;
	DL_FOREACH2 (inode->dentries, d, inode_next) {
		d->ttl_ns = ttl_ns;
		d->ttl_set = true;
	}
	inode_changed(inode, now);
	inode_touched(t, inode, now);
	inode_attr(inode, out);
	return STATUS_OK;
}

/* SPDX-License-Identifier: MIT */
/* .dlock/break: a token that is written there is taken away from whoever acquired something by it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control.h"
#include "fs/errors.h"
#include "fs/fs.h"

#define TOKEN_DIGITS_MAX (sizeof("18446744073709551615") - 1)

/* Digits alone, with the newline that echo(1) puts behind them. 0: it is no token. */
static uint64_t parse_token(const char *text, size_t len)
{
	char digits[TOKEN_DIGITS_MAX + 1];
	char *end;
	uint64_t token;

	if (len && text[len - 1] == '\n')
		len--;
	if (!len || len > TOKEN_DIGITS_MAX)
		return 0;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (strspn(digits, "0123456789") != len)
		return 0;
	errno = 0;
	token = strtoull(digits, &end, 10);
	return errno ? 0 : token;
}

void control_break_open(fuse_req_t req, const struct control_file *file, struct fuse_file_info *fi)
{
	(void)file;
	fi->nonseekable = 1;
	fuse_reply_open(req, fi);
}

/* A descriptor may have been passed on: who writes counts, not who opened. */
void control_break_write(fuse_req_t req, const struct control_file *file, const char *buf,
			 size_t size, off_t off, struct fuse_file_info *fi)
{
	struct message m = {
		.kind = MESSAGE_BREAK,
		.token = parse_token(buf, size),
		.uid = fuse_req_ctx(req)->uid,
	};
	struct asked *a;

	(void)file;
	(void)off;
	if (m.uid != 0 || !m.token) {
		fuse_reply_err(req, m.uid != 0 ? EPERM : EINVAL);
		return;
	}
	a = fs_asked_new(req, fi);
	if (!a)
		return;
	a->size = size;
	fs_ask_as(a, &m);
}

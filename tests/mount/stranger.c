/* SPDX-License-Identifier: MIT */
/*
 * stranger: what may come to a master's port besides nodes.
 *
 *	stranger PORT noise     bytes that mean nothing
 *	stranger PORT greeting  half of nng's greeting, then silence until killed
 *	stranger PORT length    a message that claims to be huge
 *	stranger PORT big       a message of 2 MiB, really
 *	stranger PORT packets   messages of the right shape with random content
 *	stranger PORT flood N   N connections, opened and closed
 *	stranger PORT crowd N   N connections, held until killed; prints "held" when they are there
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG_BYTES    (2 << 20)
#define PACKET_BYTES 600
#define PACKETS	     500

/* nng's greeting: protocol REQ, as nodes send it. */
static const unsigned char greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

static struct sockaddr_in master = {.sin_family = AF_INET};
static unsigned char bytes[BIG_BYTES];

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&master, sizeof(master)) < 0) {
		perror("stranger: connect");
		exit(1);
	}
	return fd;
}

/* The master may close on us at any time: that is its answer, not an error. */
static void say(int fd, const void *what, size_t len)
{
	if (send(fd, what, len, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		perror("stranger: send");
}

static void greet(int fd)
{
	unsigned char theirs[8];

	say(fd, greeting, sizeof(greeting));
	if (recv(fd, theirs, sizeof(theirs), MSG_WAITALL) < 0)
		perror("stranger: greeting");
}

static void say_length(int fd, uint64_t len)
{
	unsigned char head[8];

	for (int i = 0; i < 8; i++)
		head[i] = (unsigned char)(len >> (56 - 8 * i));
	say(fd, head, sizeof(head));
}

static void randomize(size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)random();
}

static void noise(void)
{
	for (int i = 0; i < 20; i++) {
		int fd = dial();

		randomize(4096);
		say(fd, bytes, 4096);
		close(fd);
	}
}

static void huge_length(void)
{
	static const uint64_t lengths[] = {UINT64_MAX, (uint64_t)1 << 62, (uint64_t)1 << 31, 0};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		int fd = dial();

		greet(fd);
		say_length(fd, lengths[i]);
		say(fd, bytes, 64);
		close(fd);
	}
}

static void big(void)
{
	int fd = dial();

	greet(fd);
	say_length(fd, BIG_BYTES);
	say(fd, bytes, BIG_BYTES);
	close(fd);
}

/* Some with the request number that nng wants in front, some without. */
static void packets(void)
{
	int fd = dial();

	greet(fd);
	for (int i = 0; i < PACKETS; i++) {
		size_t len = (size_t)random() % PACKET_BYTES;

		randomize(len);
		if (i % 4)
			bytes[0] |= 0x80;
		say_length(fd, len);
		say(fd, bytes, len);
	}
	close(fd);
}

static void crowd(long count)
{
	struct rlimit files = {(rlim_t)count + 64, (rlim_t)count + 64};

	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		perror("stranger: setrlimit");
	for (long i = 0; i < count; i++)
		say(dial(), greeting, sizeof(greeting));
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";
	long count = argc > 3 ? strtol(argv[3], NULL, 10) : 0;

	if (argc < 3)
		return 64;
	signal(SIGPIPE, SIG_IGN);
	master.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
	master.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!strcmp(what, "noise"))
		noise();
	else if (!strcmp(what, "length"))
		huge_length();
	else if (!strcmp(what, "big"))
		big();
	else if (!strcmp(what, "packets"))
		packets();
	else if (!strcmp(what, "crowd"))
		crowd(count);
	else if (!strcmp(what, "flood"))
		while (count--)
			close(dial());
	else if (!strcmp(what, "greeting")) {
		say(dial(), greeting, 4);
		pause();
	}
	return 0;
}

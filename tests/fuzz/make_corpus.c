/* SPDX-License-Identifier: MIT */
/*
 * Writes the fixed corpus of fuzz_wire into the folder given: packets as the core sends them, and
 * bad ones made of them. Run it again when the format's version changes:
 *
 *	make_corpus tests/fuzz/corpus/wire
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockcore/moment.h"
#include "transport/wire.h"

static const char *folder;
static struct wire *wire;

static void write_file(const char *name, const void *bytes, size_t len)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

static size_t encode(struct message *m, size_t count, uint8_t *to)
{
	struct packet p = {.instance = 0x1122334455667788, .epoch = 7, .ack = 41, .count = count};
	const void *bytes;
	size_t len;

	for (size_t i = 0; i < count; i++)
		p.messages[i] = &m[i];
	wire_encode(wire, &p, &bytes, &len);
	memcpy(to, bytes, len);
	return len;
}

static void write_good(const char *name, struct message m)
{
	static uint8_t bytes[WIRE_MAX_BYTES];

	write_file(name, bytes, encode(&m, 1, bytes));
}

static void write_session_packets(void)
{
	write_good("hello", (struct message){.kind = MESSAGE_HELLO,
					     .text = "node-1.example.org",
					     .stamp_ns = 123456789,
					     .resume = true,
					     .epoch = 7});
	write_good("renew", (struct message){.kind = MESSAGE_RENEW, .stamp_ns = 1});
	write_good("bye", (struct message){.kind = MESSAGE_BYE, .text = "node-1", .target = 99});
	write_good(
		"welcome",
		(struct message){.kind = MESSAGE_WELCOME, .stamp_ns = 5, .lease_ns = 5000000000});
	write_good("taken", (struct message){.kind = MESSAGE_TAKEN, .lease_ns = -1});
	write_good("expired", (struct message){.kind = MESSAGE_EXPIRED, .text = "no such session"});
	write_good("not_me", (struct message){.kind = MESSAGE_NOT_ME, .text = "tcp://[::1]:4211"});
}

static void write_requests(void)
{
	write_good("lookup", (struct message){.kind = MESSAGE_LOOKUP,
					      .seq = 1,
					      .req = 1,
					      .parent = ROOT_INO,
					      .name = "a name"});
	write_good("create", (struct message){.kind = MESSAGE_CREATE,
					      .seq = 2,
					      .req = 2,
					      .parent = ROOT_INO,
					      .name = "\xff\xfe.lock",
					      .flags = OPEN_EXCL,
					      .mode = 0644,
					      .uid = 1000,
					      .gid = 1000,
					      .handle = 1,
					      .idle_ns = 60000000000});
	write_good("lock", (struct message){.kind = MESSAGE_LOCK,
					    .seq = 3,
					    .req = 3,
					    .ino = 2,
					    .handle = 1,
					    .owner = 0xdeadbeefcafebabe,
					    .lock_kind = LOCK_RANGE,
					    .lock_mode = LOCK_EXCLUSIVE,
					    .start = 0x40000000,
					    .end = RANGE_END,
					    .flags = LOCK_WAIT,
					    .pid = 4242});
	write_good("write", (struct message){.kind = MESSAGE_WRITE,
					     .seq = 4,
					     .req = 4,
					     .ino = 2,
					     .start = -1,
					     .data = "4242\n",
					     .data_len = 5});
	write_good("reclaim_file",
		   (struct message){.kind = MESSAGE_RECLAIM_FILE,
				    .seq = 5,
				    .data = "4242\n",
				    .data_len = 5,
				    .flags = RECORD_FULL,
				    .links = (struct link[]){{.parent = ROOT_INO,
							      .token = 6,
							      .holder = UINT64_MAX,
							      .maker_req = 7,
							      .maker_pid = 812,
							      .maker_command = "dpkg",
							      .ttl_ns = NS_PER_SEC,
							      .name = "kept"},
							     {.parent = 9, .name = "too"}},
				    .link_count = 2,
				    .attr = {.ino = 2,
					     .version = 3,
					     .mode = 0100644,
					     .nlink = 2,
					     .size = 5,
					     .mtime_ns = 1700000000000000000}});
	write_good("rename", (struct message){.kind = MESSAGE_RENAME,
					      .seq = 6,
					      .req = 9,
					      .parent = ROOT_INO,
					      .name = "from",
					      .target = ROOT_INO,
					      .name2 = "to"});
}

static void write_replies(void)
{
	static const struct entry entries[] = {
		{.ino = 2, .cookie = 1, .mode = 0100000, .name = "first"},
		{.ino = UINT64_MAX, .cookie = UINT64_MAX, .mode = UINT32_MAX, .name = "second"},
	};
	static char name[NAME_MAX_BYTES + 1], content[4096];

	memset(name, 'n', NAME_MAX_BYTES);
	write_good("reply",
		   (struct message){
			   .kind = MESSAGE_REPLY, .seq = 1, .req = 3, .status = STATUS_DEADLOCK});
	write_good("listing", (struct message){.kind = MESSAGE_REPLY,
					       .flags = REPLY_END,
					       .entries = entries,
					       .entry_count = 2});
	write_good("content", (struct message){.kind = MESSAGE_REPLY,
					       .flags = REPLY_CONTENT,
					       .data = content,
					       .data_len = sizeof(content)});
	write_good("holders",
		   (struct message){.kind = MESSAGE_REPLY,
				    .req = 3,
				    .token = 77,
				    .lock_mode = LOCK_SHARED,
				    .length = 2,
				    .keeper = KEEPER_LEASE,
				    .lease_ns = NS_PER_SEC,
				    .holders = (struct holder[]){{.token = 77,
								  .session = UINT64_MAX,
								  .end = RANGE_END,
								  .pid = 4242,
								  .kind = HOLDER_RANGE,
								  .mode = LOCK_SHARED,
								  .command = "sqlite3",
								  .node = "alpha"},
								 {.token = 5, .node = "beta"}},
				    .holder_count = 2});
	write_good(
		"survey",
		(struct message){
			.kind = MESSAGE_REPLY,
			.req = 4,
			.start = 9,
			.target = 3,
			.epoch = 2,
			.surveyed = (struct surveyed[]){{.token = 77,
							 .session = UINT64_MAX,
							 .queue = 3,
							 .end = RANGE_END,
							 .age_ns = NS_PER_SEC,
							 .pid = 4242,
							 .kind = HOLDER_RANGE,
							 .mode = LOCK_SHARED,
							 .command = "sqlite3",
							 .name = "dir/a path",
							 .node = "alpha"},
							{.ticket = 5, .name = "", .node = "beta"}},
			.surveyed_count = 2});
	write_good("queued", (struct message){.kind = MESSAGE_QUEUED, .req = 3, .ticket = 12});
	write_good("long_name", (struct message){.kind = MESSAGE_VOUCH, .name = name});
}

static void write_many(void)
{
	static struct message m[PACKET_MAX_COUNT];
	static uint8_t bytes[WIRE_MAX_BYTES];

	for (size_t i = 0; i < PACKET_MAX_COUNT; i++)
		m[i] = (struct message){.kind = MESSAGE_CLOSE, .seq = i + 1, .handle = i};
	write_file("many", bytes, encode(m, PACKET_MAX_COUNT, bytes));
	write_file("none", bytes, encode(m, 0, bytes));
}

static void write_bad(void)
{
	struct message m[2] = {
		{.kind = MESSAGE_LOOKUP, .parent = ROOT_INO, .name = "xyz", .attr = {.ino = 1}},
		{.kind = MESSAGE_STATFS, .req = 1}};
	uint8_t bytes[256], bad[256];
	size_t len = encode(m, 2, bytes);
	uint8_t *name = memmem(bytes, len, "xyz", 3);

	write_file("bad_cut", bytes, len - 1);
	write_file("bad_cut_short", bytes, 3);
	memcpy(name, "a/b", 3);
	write_file("bad_slash", bytes, len);
	memcpy(name, "a\0b", 3);
	write_file("bad_nul", bytes, len);
	memcpy(name, "xyz", 3);
	name[-1] = 0x7f;
	write_file("bad_length", bytes, len);
	name[-1] = 3;
	memcpy(bad, bytes, len);
	bad[1] = 2;
	write_file("bad_version", bad, len);
	bad[1] = 1;
	bad[len - 1] = 0xff;
	write_file("bad_varint", bad, len);
	write_file("bad_text", "GET / HTTP/1.1\r\n\r\n", 18);
	write_file("bad_empty_message", "\x08\x01\x2a\x00", 4);
	write_file("bad_kind", "\x08\x01\x2a\x02\x08\x1f", 6);
	write_file("bad_group", "\x08\x01\x2b\x2c", 4);
	write_file("bad_empty_entry", "\x08\x01\x2a\x04\x08\x34\x7a\x00", 8);
	write_file("odd_unknown_field", "\x08\x01\x98\x06\x01\x2a\x02\x08\x29", 9);
}

int main(int argc, char **argv)
{
	wire = wire_new();
	if (argc != 2 || !wire)
		return EXIT_FAILURE;
	folder = argv[1];
	write_session_packets();
	write_requests();
	write_replies();
	write_many();
	write_bad();
	wire_free(wire);
	return EXIT_SUCCESS;
}

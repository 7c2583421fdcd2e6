/* SPDX-License-Identifier: MIT */
/* test_producer.c - sending, against a real busd. */
#define _GNU_SOURCE
#include "util.h"

#include <stdio.h>

#define RING "ring.bytes=64K"

/* A record of these bytes, read back where it must be. */
static void expect_bytes(struct bus_consumer *c, int64_t offset,
			 const void *value, size_t size)
{
	struct bus_record r;

	check(bus_poll(c, &r, PATIENCE), ==, 1);
	check(r.offset, ==, offset);
	check(r.value_size, ==, size);
	if (size)
		check(memcmp(r.value, value, size), ==, 0);
}

/* ---- Send ----------------------------------------------------------------- */

static void offsets_are_dense(void **state)
{
	static const char value[200];
	struct test_bus *t = *state;
	struct bus_producer *p;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	for (int64_t i = 0; i < 5000; i++)
		check(bus_send(p, value, (size_t)i % 200), ==, i);
	p = bus_producer_close(p);
	check_true(!p);
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_send(p, "x", 1), ==, 5000);
	bus_producer_close(p);
}

static void a_bare_value_arrives_as_it_was(void **state)
{
	static const char bytes[] = "\0\r\n\xff\x80 NUL\0 \0";
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_send(p, bytes, sizeof(bytes)), ==, 0);
	check(bus_send(p, "", 0), ==, 1);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	expect_bytes(c, 0, bytes, sizeof(bytes));
	check(bus_poll(c, &r, PATIENCE), ==, 1);
	check_true(r.value);
	check(r.value_size, ==, 0);
	check_true(!r.key);
	check(r.key_size, ==, 0);
	check(r.headers_size, ==, 0);
	check(r.timestamp, ==, BUS_NO_TIMESTAMP);
	check(r.partition, ==, 0);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void a_message_arrives_with_all_it_bears(void **state)
{
	static const struct bus_header headers[] = {
		{ "content-type", 12, "text", 4 },
		{ "gone", 4, NULL, 0 },
	};
	struct bus_message m = BUS_MESSAGE;
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_header h;
	struct bus_record r;
	uint32_t partition = 9;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	m.value = "va\0lue";
	m.value_size = 6;
	m.key = "\0key";
	m.key_size = 4;
	m.headers = headers;
	m.n_headers = 2;
	m.timestamp = 1234567890123456789;
	check(bus_send_message(p, &m, &partition), ==, 0);
	check(partition, ==, 0);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	check(bus_poll(c, &r, PATIENCE), ==, 1);
	check(r.value_size, ==, 6);
	check(memcmp(r.value, m.value, 6), ==, 0);
	check(r.key_size, ==, 4);
	check(memcmp(r.key, m.key, 4), ==, 0);
	check(r.timestamp, ==, m.timestamp);
	check(bus_record_header(&r, 0, &h), ==, 1);
	check(memcmp(h.name, "content-type", h.name_size), ==, 0);
	check(memcmp(h.value, "text", h.value_size), ==, 0);
	check(bus_record_header(&r, 1, &h), ==, 1);
	check_true(!h.value);
	check(bus_record_header(&r, 2, &h), ==, 0);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void null_and_empty_are_not_the_same(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	for (unsigned i = 0; i < 4; i++) {
		m.value = i & 1 ? "" : NULL;
		m.key = i & 2 ? "" : NULL;
		check(bus_send_message(p, &m, NULL), ==, i);
	}
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	for (unsigned i = 0; i < 4; i++) {
		check(bus_poll(c, &r, PATIENCE), ==, 1);
		check(!r.value, ==, !(i & 1));
		check(!r.key, ==, !(i & 2));
		check(r.value_size + r.key_size, ==, 0);
	}
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* Up to max.message.bytes in key and value; frames are rounded up, so what is
 * surely too large is a little larger. */
static void a_record_too_large_is_refused_and_nothing_is_lost(void **state)
{
	static char value[1100];
	struct bus_message m = BUS_MESSAGE;
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	void *room = NULL;

	memset(value, 'm', sizeof(value));
	test_topic(t->bus, "t", 1, SETTINGS(RING, "max.message.bytes=900"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_send(p, value, 900), ==, 0);
	check(bus_send(p, value, 1000), ==, BUS_EMSGSIZE);
	check(bus_send(p, value, SIZE_MAX), ==, BUS_EMSGSIZE);
	m.value = value;
	m.value_size = 500;
	m.key = value;
	m.key_size = 400;
	check(bus_send_message(p, &m, NULL), ==, 1);
	m.key_size = 500;
	check(bus_send_message(p, &m, NULL), ==, BUS_EMSGSIZE);
	m.key_size = SIZE_MAX - 100;
	check(bus_send_message(p, &m, NULL), ==, BUS_EMSGSIZE);
	m = BUS_MESSAGE;
	m.value_size = 1000;
	check(bus_reserve(p, &m, &room), ==, BUS_EMSGSIZE);
	check_true(!room);
	check_text(bus_detail(), "900");
	check(bus_send(p, "after", 5), ==, 2);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	expect_bytes(c, 0, value, 900);
	expect_bytes(c, 1, value, 500);
	test_expect(c, 2, "after");
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void the_producer_is_told_in_each_record(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *a, *b;
	struct bus_consumer *c;
	struct bus_record r[4];

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	a = test_producer(t->bus, "t", BUS_NO_WAIT);
	b = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_send(a, "1", 1), ==, 0);
	check(bus_send(b, "1", 1), ==, 1);
	check(bus_send(a, "2", 1), ==, 2);
	check(bus_send(b, "2", 1), ==, 3);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	check(bus_poll_many(c, r, 4, PATIENCE), ==, 4);
	check(r[0].producer, ==, r[2].producer);
	check(r[1].producer, ==, r[3].producer);
	check(r[0].producer, !=, r[1].producer);
	check(r[2].sequence - r[0].sequence, ==, 1);
	check(r[3].sequence - r[1].sequence, ==, 1);
	bus_consumer_close(c);
	bus_producer_close(b);
	bus_producer_close(a);
}

/* ---- Partitions ------------------------------------------------------------ */

static void keys_go_to_the_partition_of_their_hash(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p;
	int64_t next[5] = { 0 };

	test_topic(t->bus, "t", 5, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_producer_partitions(p), ==, 5);
	for (unsigned i = 0; i < 1000; i++) {
		struct bus_message m = BUS_MESSAGE;
		uint32_t partition = 99, want;
		char key[16];

		m.value = key;
		m.value_size = 1;
		m.key = key;
		m.key_size = (size_t)snprintf(key, sizeof(key), "key-%u", i);
		want = bus_partition_of(key, m.key_size, 5);
		check(bus_send_message(p, &m, &partition), ==, next[want]++);
		check(partition, ==, want);
	}
	for (unsigned i = 0; i < 5; i++)
		check(next[i], >, 0);
	bus_producer_close(p);
}

static void a_named_partition_wins_over_the_key(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *p;
	uint32_t partition = 99;

	test_topic(t->bus, "t", 4, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	m.key = "21";
	m.key_size = 2;
	for (int32_t i = 0; i < 4; i++) {
		m.partition = i;
		check(bus_send_message(p, &m, &partition), ==, 0);
		check(partition, ==, i);
	}
	m.partition = 4;
	partition = 99;
	check(bus_send_message(p, &m, &partition), ==, BUS_ERANGE);
	m.partition = -2;
	check(bus_send_message(p, &m, &partition), ==, BUS_ERANGE);
	check(partition, ==, 99);
	bus_producer_close(p);
}

static void keyless_records_stay_for_16_KiB(void **state)
{
	static char value[1024];
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *p;
	uint32_t last = 99, partition, seen = 0;
	unsigned run = 0, runs = 0;

	test_topic(t->bus, "t", 3, SETTINGS("ring.bytes=1M"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	m.value = value;
	m.value_size = sizeof(value);
	for (unsigned i = 0; i < 256; i++) {
		check(bus_send_message(p, &m, &partition), >=, 0);
		if (partition != last && runs++) {
			check(run, >=, 14);
			check(run, <=, 17);
			run = 0;
		}
		last = partition;
		seen |= 1u << partition;
		run++;
	}
	check(runs, >=, 14);
	check(seen, ==, 7);
	bus_producer_close(p);
}

/* ---- Batches ---------------------------------------------------------------- */

static void a_batch_has_consecutive_offsets(void **state)
{
	static struct bus_record r[BUS_BATCH_MAX];
	static struct bus_message m[BUS_BATCH_MAX];
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	uint32_t partition = 9;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=1M"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	for (uint32_t i = 0; i < BUS_BATCH_MAX; i++) {
		m[i] = BUS_MESSAGE;
		m[i].value = &r[i];
		m[i].value_size = i % 30;
		m[i].timestamp = i % 3 ? i : BUS_NO_TIMESTAMP;
	}
	check(bus_send_batch(p, m, 1, &partition), ==, 0);
	check(partition, ==, 0);
	check(bus_send_batch(p, m, 64, NULL), ==, 1);
	check(bus_send_batch(p, m, BUS_BATCH_MAX, NULL), ==, 65);
	check(bus_send(p, "x", 1), ==, 65 + BUS_BATCH_MAX);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	check(bus_poll_many(c, r, 65, PATIENCE), ==, 65);
	check(bus_consumer_position(c, 0), ==, 65);
	for (uint32_t i = 0; i < BUS_BATCH_MAX; i++) {
		check(bus_poll(c, r, PATIENCE), ==, 1);
		check(r->offset, ==, 65 + i);
		check(r->value_size, ==, i % 30);
		check(r->timestamp, ==, m[i].timestamp);
	}
	test_expect(c, 65 + BUS_BATCH_MAX, "x");
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void a_bad_batch_publishes_nothing(void **state)
{
	static struct bus_message m[BUS_BATCH_MAX + 1];
	static char value[600];
	struct test_bus *t = *state;
	struct bus_producer *p;

	test_topic(t->bus, "t", 3, SETTINGS(RING, "max.message.bytes=1000"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	for (unsigned i = 0; i <= BUS_BATCH_MAX; i++)
		m[i] = BUS_MESSAGE;
	check(bus_send_batch(p, m, 0, NULL), ==, BUS_EINVAL);
	check(bus_send_batch(p, m, BUS_BATCH_MAX + 1, NULL), ==, BUS_EINVAL);
	m[0].partition = 1;
	m[1].partition = 2;
	check(bus_send_batch(p, m, 2, NULL), ==, BUS_EINVAL);
	m[1].partition = m[0].partition = 7;
	check(bus_send_batch(p, m, 2, NULL), ==, BUS_ERANGE);
	m[1].partition = m[0].partition = 1;
	m[1].value = m[0].value = value;
	m[1].value_size = m[0].value_size = sizeof(value);
	check(bus_send_batch(p, m, 2, NULL), ==, BUS_EMSGSIZE);
	check(bus_send_batch(p, m, 1, NULL), ==, 0);
	bus_producer_close(p);
}

static void a_batch_goes_where_its_first_key_says(void **state)
{
	struct bus_message m[3] = { BUS_MESSAGE, BUS_MESSAGE, BUS_MESSAGE };
	struct test_bus *t = *state;
	struct bus_producer *p;
	uint32_t partition = 99;

	test_topic(t->bus, "t", 5, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	m[1].key = "21";
	m[1].key_size = 2;
	check(bus_send_batch(p, m, 3, &partition), ==, 0);
	check(partition, ==, bus_partition_of("21", 2, 5));
	m[0].partition = (int32_t)(partition + 1) % 5;
	check(bus_send_batch(p, m, 1, &partition), ==, 0);
	check(partition, ==, m[0].partition);
	bus_producer_close(p);
}

/* ---- Reserve ----------------------------------------------------------------- */

static void what_is_reserved_appears_when_committed(void **state)
{
	struct bus_message m = BUS_MESSAGE;
	struct test_bus *t = *state;
	struct bus_producer *p, *other;
	struct bus_consumer *c;
	struct bus_record r;
	void *room = NULL;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	other = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	m.value_size = 5;
	m.key = "k";
	m.key_size = 1;
	check(bus_reserve(p, &m, &room), ==, 0);
	check(bus_send(other, "later", 5), ==, 1);
	check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
	memcpy(room, "first", 5);
	check(bus_poll(c, &r, 5 * MS), ==, 0);
	check(bus_commit(p), ==, 0);
	test_expect(c, 0, "first");
	test_expect(c, 1, "later");
	/* a bare one too */
	m = BUS_MESSAGE;
	m.value_size = 64;
	check(bus_reserve(p, &m, &room), ==, 0);
	memset(room, 'x', 64);
	check(bus_commit(p), ==, 2);
	check(bus_poll(c, &r, PATIENCE), ==, 1);
	check(r.value_size, ==, 64);
	check(((const char *)r.value)[63], ==, 'x');
	bus_consumer_close(c);
	bus_producer_close(other);
	bus_producer_close(p);
}

static void nothing_else_goes_while_a_reservation_is_open(void **state)
{
	struct bus_message m = BUS_MESSAGE;
	struct test_bus *t = *state;
	struct bus_producer *p;
	void *room, *second = NULL;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_commit(p), ==, BUS_EINVAL);
	check(bus_discard(p), ==, BUS_EINVAL);
	m.value_size = 8;
	check(bus_reserve(p, &m, &room), ==, 0);
	check(bus_reserve(p, &m, &second), ==, BUS_EINVAL);
	check_true(!second);
	check(bus_send(p, "x", 1), ==, BUS_EINVAL);
	m.value = "12345678";
	check(bus_send_message(p, &m, NULL), ==, BUS_EINVAL);
	check(bus_send_batch(p, &m, 1, NULL), ==, BUS_EINVAL);
	check(bus_commit(p), ==, 0);
	check(bus_commit(p), ==, BUS_EINVAL);
	check(bus_reserve(p, &m, &room), ==, BUS_EINVAL); /* value is set */
	check(bus_send(p, "x", 1), ==, 1);
	bus_producer_close(p);
}

static void what_is_discarded_is_stepped_over(void **state)
{
	static const char *const producers[] = { "producers=many",
						 "producers=one" };
	struct bus_message m = BUS_MESSAGE;
	struct test_bus *t = *state;

	m.value_size = 100;
	for (unsigned i = 0; i < 2; i++) {
		struct bus_producer *p;
		struct bus_consumer *c;
		struct bus_record r;
		int64_t last;
		void *room;

		test_topic(t->bus, producers[i] + 10, 1,
			   SETTINGS(RING, producers[i]));
		p = test_producer(t->bus, producers[i] + 10, BUS_NO_WAIT);
		c = test_consumer(t->bus, producers[i] + 10, BUS_BEGINNING,
				  BUS_SLOW_BLOCK);
		check(bus_send(p, "a", 1), ==, 0);
		check(bus_reserve(p, &m, &room), ==, 0);
		check(bus_discard(p), ==, 0);
		last = bus_send(p, "b", 1);
		check(last, >=, 1);
		check(last, <=, 2);
		/* closing with an open one discards it */
		check(bus_reserve(p, &m, &room), ==, 0);
		bus_producer_close(p);
		test_expect(c, 0, "a");
		test_expect(c, last, "b");
		check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
		check(bus_consumer_lag(c, 0), ==, 0);
		bus_consumer_close(c);
	}
}

/* ---- Room -------------------------------------------------------------------- */

static void without_room_a_send_waits_as_long_as_told(void **state)
{
	static char value[64];
	struct test_bus *t = *state;
	struct bus_producer *p, *patient;
	struct bus_consumer *c;
	struct bus_record r;
	int64_t n = 0, e, begin;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "slow.consumer=block",
			    "max.block.ms=30"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	patient = test_producer(t->bus, "t", BUS_DEFAULT_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_TOPIC);
	while ((e = bus_send(p, value, sizeof(value))) >= 0)
		check(e, ==, n++);
	check(e, ==, BUS_EAGAIN);
	check(n, ==, 4096 / 128);
	begin = test_now();
	check(bus_send(patient, value, sizeof(value)), ==, BUS_ETIMEDOUT);
	check(test_now() - begin, >=, 30 * MS);
	bus_producer_close(patient);
	patient = test_producer(t->bus, "t", 20 * MS);
	begin = test_now();
	check(bus_send(patient, value, sizeof(value)), ==, BUS_ETIMEDOUT);
	check(test_now() - begin, >=, 20 * MS);
	/* nothing was lost, and as it is read, there is room again */
	for (int64_t i = 0; i < n; i++) {
		check(bus_poll(c, &r, PATIENCE), ==, 1);
		check(r.offset, ==, i);
	}
	check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
	check(bus_send(p, value, sizeof(value)), ==, n);
	bus_consumer_close(c);
	bus_producer_close(patient);
	bus_producer_close(p);
}

static void send_one_when_there_is_room(void *arg)
{
	struct test_bus *t = arg;
	struct bus *bus = test_connect(t);
	struct bus_producer *p = test_producer(bus, "t", PATIENCE);

	check(bus_send(p, "late", 4), ==, 64);
	bus_producer_close(p);
	bus_close(bus);
}

static void reading_wakes_who_waits_for_room(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;
	pid_t child;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "slow.consumer=block"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_TOPIC);
	for (int64_t i = 0; i < 64; i++)
		check(bus_send(p, "x", 1), ==, i);
	check(bus_send(p, "x", 1), ==, BUS_EAGAIN);
	child = test_fork(send_one_when_there_is_room, t);
	test_sleep(20 * MS);
	for (int64_t i = 0; i < 64; i++) {
		check(bus_poll(c, &r, PATIENCE), ==, 1);
		check(r.offset, ==, i);
	}
	test_expect(c, 64, "late");
	test_join(child);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void a_consumer_that_leaves_gives_room(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	pid_t child;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "slow.consumer=block"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_TOPIC);
	for (int64_t i = 0; i < 64; i++)
		check(bus_send(p, "x", 1), ==, i);
	check(bus_send(p, "x", 1), ==, BUS_EAGAIN);
	child = test_fork(send_one_when_there_is_room, t);
	test_sleep(20 * MS);
	bus_consumer_close(c);
	test_join(child);
	check(bus_send(p, "x", 1), ==, 65);
	bus_producer_close(p);
}

/* ---- Refusals ------------------------------------------------------------------ */

static void a_topic_that_is_not_there_is_named(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p = NULL;

	check(bus_producer_open(t->bus, "nowhere", NULL, &p), ==, BUS_ENOENT);
	check_text(bus_detail(), "nowhere");
	check(bus_producer_open(t->bus, "no where", NULL, &p), ==, BUS_ENAME);
	check(bus_producer_open(t->bus, "", NULL, &p), ==, BUS_ENAME);
	check_true(!p);
	check_true(!bus_producer_close(NULL));
	check(test_status(t).n_topics, ==, 0);
}

static void one_means_one_at_a_time(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p, *second = NULL;
	struct bus_consumer *c;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	test_topic(t->bus, "t", 1, SETTINGS(RING, "producers=one"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_send(p, "0", 1), ==, 0);
	check(bus_producer_open(t->bus, "t", NULL, &second), ==, BUS_EBUSY);
	check_text(bus_detail(), pid);
	check(bus_send(p, "1", 1), ==, 1);
	bus_producer_close(p);
	for (int64_t i = 2; i < 40; i++) {
		char digit = (char)i;

		p = test_producer(t->bus, "t", BUS_NO_WAIT);
		check(bus_send(p, &digit, 1), ==, i);
		bus_producer_close(p);
	}
	/* and one that sends nothing leaves nothing behind */
	bus_producer_close(test_producer(t->bus, "t", BUS_NO_WAIT));
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	test_expect(c, 0, "0");
	test_expect(c, 1, "1");
	test_expect(c, 2, "\2");
	check(bus_consumer_lag(c, 0), ==, 37);
	bus_consumer_close(c);
}

static void slots_run_out_and_come_back(void **state)
{
	struct bus_producer *p[BUS_PRODUCERS_MAX], *more = NULL;
	struct test_bus *t = *state;
	struct bus_partition_stat s;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	for (unsigned round = 0; round < 2; round++) {
		for (int64_t i = 0; i < BUS_PRODUCERS_MAX; i++) {
			p[i] = test_producer(t->bus, "t", BUS_NO_WAIT);
			check(bus_send(p[i], "x", 1), ==,
			      i + round * BUS_PRODUCERS_MAX);
		}
		check(bus_producer_open(t->bus, "t", NULL, &more), ==,
		      BUS_EUSERS);
		check_true(!more);
		s = test_stat(t->bus, "t", 0);
		check(s.n_producers, ==, BUS_PRODUCERS_MAX);
		bus_partition_stat_free(&s);
		for (unsigned i = 0; i < BUS_PRODUCERS_MAX; i++)
			bus_producer_close(p[i]);
	}
	s = test_stat(t->bus, "t", 0);
	check(s.n_producers, ==, 0);
	check(s.end, ==, 2 * BUS_PRODUCERS_MAX);
	bus_partition_stat_free(&s);
}

static void a_deleted_topic_is_told(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *p;
	void *room;

	for (unsigned one = 0; one < 2; one++) {
		test_topic(t->bus, "t", 1,
			   SETTINGS(RING,
				    one ? "producers=one" : "producers=many"));
		p = test_producer(t->bus, "t", BUS_NO_WAIT);
		check(bus_send(p, "x", 1), ==, 0);
		check(bus_topic_delete(t->bus, "t"), ==, 0);
		for (unsigned i = 0; i < 3; i++)
			check(bus_send(p, "x", 1), ==, BUS_EGONE);
		/* producers=one looks when it commits */
		check(bus_reserve(p, &m, &room), ==, one ? 0 : BUS_EGONE);
		check(bus_commit(p), ==, one ? BUS_EGONE : BUS_EINVAL);
		/* also when there is a new one of that name */
		test_topic(t->bus, "t", 1, SETTINGS(RING));
		check(bus_send(p, "x", 1), ==, BUS_EGONE);
		bus_producer_close(p);
		check(bus_topic_delete(t->bus, "t"), ==, 0);
	}
}

/* Another topic of that name is another topic, also in partitions not yet
 * attached to. */
static void a_topic_created_again_is_not_mixed_with_the_old_one(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *p;

	test_topic(t->bus, "t", 2, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_topic_delete(t->bus, "t"), ==, 0);
	test_topic(t->bus, "t", 2, SETTINGS(RING));
	m.partition = 1;
	check(bus_send_message(p, &m, NULL), ==, BUS_EGONE);
	m.partition = 0;
	check(bus_send_message(p, &m, NULL), ==, BUS_EGONE);
	bus_producer_close(p);
}

/* ---- Fork ------------------------------------------------------------------------ */

static struct bus_producer *forked_producer;

static void use_what_is_the_parents(void *arg)
{
	struct test_bus *t = arg;
	struct bus_producer *p = forked_producer, *other = NULL;
	struct bus_message m = BUS_MESSAGE;
	struct bus_status s;
	struct bus *bus;
	void *room;

	check(bus_send(p, "x", 1), ==, BUS_EFORKED);
	check(bus_send_message(p, &m, NULL), ==, BUS_EFORKED);
	check(bus_send_batch(p, &m, 1, NULL), ==, BUS_EFORKED);
	check(bus_reserve(p, &m, &room), ==, BUS_EFORKED);
	check(bus_commit(p), ==, BUS_EFORKED);
	check(bus_producer_open(t->bus, "t", NULL, &other), ==, BUS_EFORKED);
	check(bus_status(t->bus, &s), ==, BUS_EFORKED);
	bus_producer_close(p);
	bus_close(t->bus);
	bus = test_connect(t);
	p = test_producer(bus, "t", BUS_NO_WAIT);
	check(bus_send(p, "child", 5), ==, 1);
	bus_producer_close(p);
	bus_close(bus);
}

static void a_forked_child_gets_an_error_and_may_open_its_own(void **state)
{
	struct test_bus *t = *state;
	struct bus_consumer *c;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	forked_producer = test_producer(t->bus, "t", BUS_NO_WAIT);
	check(bus_send(forked_producer, "parent", 6), ==, 0);
	test_join(test_fork(use_what_is_the_parents, t));
	check(bus_send(forked_producer, "parent", 6), ==, 2);
	check(test_status(t).n_topics, ==, 1);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	test_expect(c, 0, "parent");
	test_expect(c, 1, "child");
	test_expect(c, 2, "parent");
	bus_consumer_close(c);
	bus_producer_close(forked_producer);
}

/* ---- Alter ------------------------------------------------------------------------ */

/* Send across rolls of all kinds: a reader gets all of it, in order. */
static void a_roll_goes_unnoticed(void **state)
{
	static const char *const alters[] = {
		"ring.bytes=128K", "ring.bytes=4096",	     "producers=one",
		"ring.bytes=64K",  "max.message.bytes=3000", "producers=many",
	};
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;
	int64_t n = 0, got = 0;

	test_topic(t->bus, "t", 1, SETTINGS(RING, "max.message.bytes=900"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	for (unsigned i = 0; i < N_ELEMENTS(alters); i++) {
		for (unsigned k = 0; k < 20; k++, n++)
			check(bus_send(p, &n, sizeof(n)), ==, n);
		check(bus_topic_alter(t->bus, "t", 0, SETTINGS(alters[i])), ==,
		      0);
	}
	for (unsigned k = 0; k < 20; k++, n++)
		check(bus_send(p, &n, sizeof(n)), ==, n);
	for (; got < n; got++) {
		check(bus_poll(c, &r, PATIENCE), ==, 1);
		check(r.offset, ==, got);
		check(memcmp(r.value, &got, sizeof(got)), ==, 0);
	}
	check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void added_partitions_are_found(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *p;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	m.partition = 2;
	check(bus_send_message(p, &m, NULL), ==, BUS_ERANGE);
	check(bus_topic_alter(t->bus, "t", 3, NULL), ==, 0);
	check(bus_send_message(p, &m, NULL), ==, 0);
	check(bus_producer_partitions(p), ==, 3);
	m.partition = 3;
	check(bus_send_message(p, &m, NULL), ==, BUS_ERANGE);
	bus_producer_close(p);
}

static void what_was_sent_is_counted(void **state)
{
	struct test_bus *t = *state;
	struct bus_partition_stat s;
	struct bus_producer *p;

	test_topic(t->bus, "t", 1, SETTINGS(RING));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	for (unsigned i = 0; i < 100; i++)
		check(bus_send(p, "seven..", 7), ==, i);
	s = test_stat(t->bus, "t", 0);
	check(s.beginning, ==, 0);
	check(s.end, ==, 100);
	check(s.ring_bytes, ==, 65536);
	check(s.ring_used, ==, 6400);
	check(s.ring, ==, 0);
	check(s.n_producers, ==, 1);
	check(s.n_consumers, ==, 0);
	check(s.producers[0].pid, ==, getpid());
	check(s.producers[0].records, ==, 100);
	check(s.producers[0].bytes, ==, 700);
	check(s.producers[0].phase, ==, BUS_PHASE_IDLE);
	bus_partition_stat_free(&s);
	bus_producer_close(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(offsets_are_dense),
		TEST(a_bare_value_arrives_as_it_was),
		TEST(a_message_arrives_with_all_it_bears),
		TEST(null_and_empty_are_not_the_same),
		TEST(a_record_too_large_is_refused_and_nothing_is_lost),
		TEST(the_producer_is_told_in_each_record),
		TEST(keys_go_to_the_partition_of_their_hash),
		TEST(a_named_partition_wins_over_the_key),
		TEST(keyless_records_stay_for_16_KiB),
		TEST(a_batch_has_consecutive_offsets),
		TEST(a_bad_batch_publishes_nothing),
		TEST(a_batch_goes_where_its_first_key_says),
		TEST(what_is_reserved_appears_when_committed),
		TEST(nothing_else_goes_while_a_reservation_is_open),
		TEST(what_is_discarded_is_stepped_over),
		TEST(without_room_a_send_waits_as_long_as_told),
		TEST(reading_wakes_who_waits_for_room),
		TEST(a_consumer_that_leaves_gives_room),
		TEST(a_topic_that_is_not_there_is_named),
		TEST(one_means_one_at_a_time),
		TEST(slots_run_out_and_come_back),
		TEST(a_deleted_topic_is_told),
		TEST(a_topic_created_again_is_not_mixed_with_the_old_one),
		TEST(a_forked_child_gets_an_error_and_may_open_its_own),
		TEST(a_roll_goes_unnoticed),
		TEST(added_partitions_are_found),
		TEST(what_was_sent_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

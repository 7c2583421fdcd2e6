/* SPDX-License-Identifier: MIT */
/* test_consumer.c - reading, against a real busd. */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

#define SMALL "ring.bytes=4096" /* 64 records of up to 32 bytes */

/* Send numbers from @from to @to as values. */
static void send_numbers(struct bus_producer *p, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++)
		check(bus_send(p, &i, sizeof(i)), ==, i);
}

/* Poll, and have the number @want under the offset @want. */
static void expect_number(struct bus_consumer *c, int64_t want)
{
	struct bus_record r;

	check(bus_poll(c, &r, PATIENCE), ==, 1);
	check(r.offset, ==, want);
	check(r.value_size, ==, sizeof(want));
	check(memcmp(r.value, &want, sizeof(want)), ==, 0);
}

static struct bus_consumer *open_at(struct bus *bus, int64_t start)
{
	return test_consumer(bus, "t", start, BUS_SLOW_BLOCK);
}

/* ---- Where to start ------------------------------------------------------- */

static void a_consumer_starts_where_it_is_told(void **state)
{
	static const struct {
		int64_t start, first;
	} starts[] = {
		{ BUS_BEGINNING, 0 },
		{ 0, 0 },
		{ 1, 1 },
		{ 37, 37 },
		{ 49, 49 },
		{ BUS_LAST(1), 49 },
		{ BUS_LAST(20), 30 },
		{ BUS_LAST(50), 0 },
		{ BUS_LAST(1000), 0 },
	};
	struct test_bus *t = *state;
	struct bus_producer *p;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	send_numbers(p, 0, 50);
	for (size_t i = 0; i < N_ELEMENTS(starts); i++) {
		struct bus_consumer *c = open_at(t->bus, starts[i].start);
		struct bus_record r;

		check(bus_consumer_position(c, 0), ==, starts[i].first);
		check(bus_consumer_lag(c, 0), ==, 50 - starts[i].first);
		for (int64_t k = starts[i].first; k < 50; k++)
			expect_number(c, k);
		check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
		bus_consumer_close(c);
	}
	bus_producer_close(p);
}

static void the_end_is_what_comes_next(void **state)
{
	static const int64_t ends[] = { BUS_END, BUS_LAST(0), 50 };
	struct bus_consumer *c[4];
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_record r;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	send_numbers(p, 0, 50);
	for (unsigned i = 0; i < 3; i++)
		c[i] = open_at(t->bus, ends[i]);
	check(bus_consumer_open(t->bus, "t", NULL, &c[3]), ==, 0);
	send_numbers(p, 50, 52);
	for (unsigned i = 0; i < 4; i++) {
		expect_number(c[i], 50);
		expect_number(c[i], 51);
		check(bus_poll(c[i], &r, BUS_NO_WAIT), ==, 0);
		bus_consumer_close(c[i]);
	}
	bus_producer_close(p);
}

static void an_offset_that_is_not_there_is_refused_with_what_is(void **state)
{
	struct bus_consumer_options o = { .size = sizeof(o), .start = 201 };
	struct test_bus *t = *state;
	struct bus_consumer *c = NULL;
	struct bus_producer *p;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	send_numbers(p, 0, 200);
	check(bus_consumer_open(t->bus, "t", &o, &c), ==, BUS_ERANGE);
	check_text(bus_detail(), "201");
	check_text(bus_detail(), "200");
	o.start = 0;
	check(bus_consumer_open(t->bus, "t", &o, &c), ==, BUS_ERANGE);
	check_text(bus_detail(), "200");
	o.start = INT64_MAX;
	check(bus_consumer_open(t->bus, "t", &o, &c), ==, BUS_ERANGE);
	check_true(!c);
	c = open_at(t->bus, BUS_BEGINNING);
	check(bus_consumer_position(c, 0), >=, 200 - 64);
	check(bus_consumer_position(c, 0), <=, 200 - 32);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void bad_openings_are_refused(void **state)
{
	static const uint32_t none[] = { 2 }, twice[] = { 1, 1 };
	struct bus_consumer_options o = { .size = sizeof(o) };
	struct test_bus *t = *state;
	struct bus_consumer *c = NULL;

	check(bus_consumer_open(t->bus, "t", NULL, &c), ==, BUS_ENOENT);
	check_text(bus_detail(), "t");
	check(bus_consumer_open(t->bus, "a/b", NULL, &c), ==, BUS_ENAME);
	test_topic(t->bus, "t", 2, SETTINGS(SMALL));
	o.partitions = none;
	o.n_partitions = 1;
	check(bus_consumer_open(t->bus, "t", &o, &c), ==, BUS_ERANGE);
	check_text(bus_detail(), "partitions 0 to 1");
	o.partitions = twice;
	o.n_partitions = 2;
	check(bus_consumer_open(t->bus, "t", &o, &c), ==, BUS_EINVAL);
	o = (struct bus_consumer_options){ .size = 1 };
	check(bus_consumer_open(t->bus, "t", &o, &c), ==, BUS_EINVAL);
	o = (struct bus_consumer_options){ .size = sizeof(o),
					   .wait = (enum bus_wait)77 };
	check(bus_consumer_open(t->bus, "t", &o, &c), ==, BUS_EINVAL);
	check_true(!c);
	check_true(!bus_consumer_close(NULL));
}

/* ---- Reading ----------------------------------------------------------------- */

/* A partition that is never empty does not keep the others waiting. */
static void partitions_take_turns(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;
	uint8_t buffer[64];
	unsigned n[2] = { 0 };

	test_topic(t->bus, "t", 2, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	for (int32_t i = 0; i < 40; i++) {
		m.partition = i % 2;
		check(bus_send_message(p, &m, NULL), ==, i / 2);
	}
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_DROP);
	for (unsigned i = 0; i < 8; i++) {
		check(bus_poll(c, &r, BUS_NO_WAIT), ==, 1);
		n[r.partition]++;
	}
	check(n[0], ==, 4);
	for (unsigned i = 0; i < 8; i++) {
		check(bus_poll_copy(c, &r, buffer, sizeof(buffer), BUS_NO_WAIT),
		      ==, 1);
		n[r.partition]++;
	}
	check(n[0], ==, 8);
	check(n[1], ==, 8);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void some_partitions_are_read_and_the_others_not(void **state)
{
	static const uint32_t some[] = { 3, 1 };
	struct bus_consumer_options o = { .size = sizeof(o),
					  .start = BUS_BEGINNING,
					  .partitions = some,
					  .n_partitions = 2 };
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_consumer *c;
	struct bus_producer *p;
	struct bus_record r;
	unsigned n[4] = { 0 };

	test_topic(t->bus, "t", 4, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	for (int32_t i = 0; i < 40; i++) {
		m.partition = i % 4;
		check(bus_send_message(p, &m, NULL), ==, i / 4);
	}
	check(bus_consumer_open(t->bus, "t", &o, &c), ==, 0);
	check(bus_consumer_partitions(c), ==, 2);
	while (bus_poll(c, &r, BUS_NO_WAIT) == 1)
		check(r.offset, ==, n[r.partition]++);
	check(n[0] + n[2], ==, 0);
	check(n[1], ==, 10);
	check(n[3], ==, 10);
	check(bus_consumer_position(c, 1), ==, 10);
	check(bus_consumer_position(c, 0), ==, BUS_ERANGE);
	check(bus_consumer_lag(c, 2), ==, BUS_ERANGE);
	check(bus_consumer_seek(c, 2, 0), ==, BUS_ERANGE);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void many_are_read_at_once_in_order(void **state)
{
	struct test_bus *t = *state;
	struct bus_record r[64];
	struct bus_consumer *c;
	struct bus_producer *p;
	int64_t n = 0;
	int got;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = open_at(t->bus, BUS_BEGINNING);
	send_numbers(p, 0, 500);
	check(bus_poll_many(c, r, 0, BUS_NO_WAIT), ==, BUS_EINVAL);
	while ((got = bus_poll_many(c, r, 7 + (size_t)n % 57, BUS_NO_WAIT)))
		for (int i = 0; i < got; i++, n++) {
			check(r[i].offset, ==, n);
			check(memcmp(r[i].value, &n, sizeof(n)), ==, 0);
			check(bus_record_valid(c, &r[i]), ==, 1);
		}
	check(n, ==, 500);
	check(bus_consumer_position(c, 0), ==, 500);
	check(bus_consumer_lag(c, 0), ==, 0);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void nothing_there_takes_as_long_as_told(void **state)
{
	static const enum bus_wait waits[] = { BUS_WAIT_ADAPTIVE, BUS_WAIT_SPIN,
					       BUS_WAIT_SLEEP };
	struct test_bus *t = *state;
	struct bus_record r[2];
	char copy[8];

	test_topic(t->bus, "t", 2, SETTINGS(SMALL));
	for (size_t i = 0; i < N_ELEMENTS(waits); i++) {
		struct bus_consumer_options o = { .size = sizeof(o),
						  .start = BUS_END,
						  .wait = waits[i] };
		struct bus_consumer *c;
		int64_t begin;

		check(bus_consumer_open(t->bus, "t", &o, &c), ==, 0);
		check(bus_poll(c, r, BUS_NO_WAIT), ==, 0);
		begin = test_now();
		check(bus_poll(c, r, 5 * MS), ==, 0);
		check(bus_poll_many(c, r, 2, 5 * MS), ==, 0);
		check(bus_poll_copy(c, r, copy, 8, 5 * MS), ==, 0);
		check(test_now() - begin, >=, 15 * MS);
		bus_consumer_close(c);
	}
}

static void a_copy_is_whole_or_the_record_is_not_passed(void **state)
{
	static const struct bus_header header = { "h", 1, "v", 1 };
	struct bus_message m = BUS_MESSAGE;
	struct test_bus *t = *state;
	struct bus_header h;
	struct bus_consumer *c;
	struct bus_producer *p;
	struct bus_record r;
	uint64_t words[8];
	char *buffer = (char *)words;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_DROP);
	m.value = "0123456789";
	m.value_size = 10;
	m.key = "key";
	m.key_size = 3;
	m.headers = &header;
	m.n_headers = 1;
	check(bus_send_message(p, &m, NULL), ==, 0);
	check(bus_send(p, "bare value", 10), ==, 1);
	check(bus_poll_copy(c, &r, buffer, 31, PATIENCE), ==, BUS_EMSGSIZE);
	check(r.value_size, ==, 10);
	check(r.key_size, ==, 3);
	check(r.headers_size, ==, 8);
	check(bus_consumer_position(c, 0), ==, 0);
	check(bus_poll_copy(c, &r, buffer, 32, PATIENCE), ==, 1);
	for (unsigned i = 2; i < 300; i++) /* many laps */
		check(bus_send(p, "garbage...", 10), ==, i);
	check(memcmp(r.value, "0123456789", 10), ==, 0);
	check(memcmp(r.key, "key", 3), ==, 0);
	check(bus_record_header(&r, 0, &h), ==, 1);
	check(memcmp(h.value, "v", 1), ==, 0);
	check((const char *)r.value - buffer, >=, 0);
	check((const char *)r.value - buffer, <=, 22);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void seeking_goes_anywhere_there_is(void **state)
{
	struct test_bus *t = *state;
	struct bus_message batch[16];
	struct bus_consumer *c;
	struct bus_producer *p;
	uint64_t seed = 5;
	int64_t values[16];

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	/* batches, so that most offsets are inside of a frame */
	for (int64_t n = 0; n < 480; n += 16) {
		for (unsigned i = 0; i < 16; i++) {
			values[i] = n + i;
			batch[i] = BUS_MESSAGE;
			batch[i].value = &values[i];
			batch[i].value_size = sizeof(values[i]);
		}
		check(bus_send_batch(p, batch, 16, NULL), ==, n);
	}
	c = open_at(t->bus, BUS_BEGINNING);
	for (unsigned i = 0; i < 500; i++) {
		int64_t to = (int64_t)(test_random(&seed) % 480);

		check(bus_consumer_seek(c, 0, to), ==, 0);
		check(bus_consumer_position(c, 0), ==, to);
		for (int64_t k = to; k < to + 3 && k < 480; k++)
			expect_number(c, k);
	}
	check(bus_consumer_seek(c, 0, 481), ==, BUS_ERANGE);
	check_text(bus_detail(), "480");
	check(bus_consumer_seek(c, 0, BUS_LAST(1)), ==, 0);
	expect_number(c, 479);
	/* a refused seek leaves it where it was */
	check(bus_consumer_seek(c, 0, 7), ==, 0);
	expect_number(c, 7);
	check(bus_consumer_seek(c, 0, 1000), ==, BUS_ERANGE);
	check(bus_consumer_position(c, 0), ==, 8);
	expect_number(c, 8);
	check(bus_consumer_seek(c, 0, BUS_BEGINNING), ==, 0);
	expect_number(c, 0);
	check(bus_consumer_seek(c, 0, BUS_END), ==, 0);
	check(bus_consumer_lag(c, 0), ==, 0);
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* ---- Slow consumers -------------------------------------------------------------- */

static void a_lapped_consumer_is_told_exactly_what_it_lost(void **state)
{
	struct test_bus *t = *state;
	struct bus_consumer *c;
	struct bus_producer *p;
	struct bus_lost lost;
	struct bus_record r;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_TOPIC);
	check(bus_consumer_lost(c, &lost), ==, BUS_EINVAL);
	send_numbers(p, 0, 10);
	for (int64_t i = 0; i < 5; i++)
		expect_number(c, i);
	send_numbers(p, 10, 1000);
	check(bus_poll(c, &r, BUS_NO_WAIT), ==, BUS_ELAPPED);
	check(bus_consumer_lost(c, &lost), ==, 0);
	check(lost.partition, ==, 0);
	check(lost.first, ==, 5);
	check(lost.next, >=, 1000 - 64);
	check(lost.next, <=, 1000 - 32);
	for (int64_t i = lost.next; i < 1000; i++)
		expect_number(c, i);
	check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
	check(bus_consumer_lost(c, &lost), ==, 0);
	check(lost.first, ==, 5);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void a_record_in_place_is_valid_until_it_is_overwritten(void **state)
{
	struct test_bus *t = *state;
	struct bus_consumer *c;
	struct bus_producer *p;
	struct bus_record r;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_DROP);
	send_numbers(p, 0, 1);
	check(bus_poll(c, &r, PATIENCE), ==, 1);
	check(bus_record_valid(c, &r), ==, 1);
	send_numbers(p, 1, 60);
	check(bus_record_valid(c, &r), ==, 1);
	check(*(const int64_t *)r.value, ==, 0);
	send_numbers(p, 60, 130);
	check(bus_record_valid(c, &r), ==, 0);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void a_subscription_overrides_the_topic(void **state)
{
	struct test_bus *t = *state;
	struct bus_consumer *c;
	struct bus_producer *p;
	struct bus_record r;

	for (unsigned block = 0; block < 2; block++) {
		test_topic(t->bus, "t", 1,
			   SETTINGS(SMALL, block ? "slow.consumer=drop" :
						   "slow.consumer=block"));
		p = test_producer(t->bus, "t", BUS_NO_WAIT);
		c = test_consumer(t->bus, "t", BUS_BEGINNING,
				  block ? BUS_SLOW_BLOCK : BUS_SLOW_DROP);
		send_numbers(p, 0, 64);
		check(bus_send(p, "x", 1), ==, block ? BUS_EAGAIN : 64);
		check(bus_poll(c, &r, BUS_NO_WAIT), ==,
		      block ? 1 : BUS_ELAPPED);
		bus_consumer_close(c);
		bus_producer_close(p);
		check(bus_topic_delete(t->bus, "t"), ==, 0);
	}
}

/* What a blocking consumer holds in place stays until its next call. */
static void block_holds_the_record_in_hand(void **state)
{
	struct test_bus *t = *state;
	struct bus_consumer *c;
	struct bus_producer *p;
	struct bus_record r;
	int64_t n = 0;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	for (; n < 64; n++)
		check(bus_send(p, &n, sizeof(n)), ==, n);
	for (int64_t i = 0; i < 1000; i++) {
		check(bus_poll(c, &r, BUS_NO_WAIT), ==, 1);
		while (bus_send(p, &n, sizeof(n)) >= 0)
			n++;
		check(*(const int64_t *)r.value, ==, i);
		check(bus_record_valid(c, &r), ==, 1);
	}
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* ---- Waking -------------------------------------------------------------------------- */

#define ROUNDS 50

struct echo {
	const struct test_bus *t;
	enum bus_wait wait;
};

static struct bus_consumer *open_waiting(struct bus *bus, const char *topic,
					 enum bus_wait wait)
{
	struct bus_consumer_options o = { .size = sizeof(o),
					  .start = BUS_BEGINNING,
					  .wait = wait };
	struct bus_consumer *c = NULL;

	check(bus_consumer_open(bus, topic, &o, &c), ==, 0);
	return c;
}

static void echo_all(void *arg)
{
	struct echo *echo = arg;
	struct bus *bus = test_connect(echo->t);
	struct bus_consumer *c = open_waiting(bus, "there", echo->wait);
	struct bus_producer *p = test_producer(bus, "back", BUS_NO_WAIT);
	struct bus_record r;

	for (int64_t i = 0; i < ROUNDS; i++) {
		check(bus_poll(c, &r, BUS_FOREVER), ==, 1);
		check(bus_send(p, r.value, r.value_size), ==, i);
	}
	bus_producer_close(p);
	bus_consumer_close(c);
	bus_close(bus);
}

/* There and back between processes; a wake-up that is lost hangs the test. */
static void whoever_waits_is_woken(void **state)
{
	static const enum bus_wait waits[] = { BUS_WAIT_SLEEP,
					       BUS_WAIT_ADAPTIVE,
					       BUS_WAIT_SPIN };
	struct test_bus *t = *state;

	for (size_t w = 0; w < N_ELEMENTS(waits); w++) {
		struct echo echo = { t, waits[w] };
		struct bus_producer *p;
		struct bus_consumer *c;
		pid_t child;

		/* a bounded sleep must not hide it */
		test_topic(t->bus, "there", 3,
			   SETTINGS(SMALL, "stall.fence.ms=600000"));
		test_topic(t->bus, "back", 1,
			   SETTINGS(SMALL, "stall.fence.ms=600000"));
		child = test_fork(echo_all, &echo);
		p = test_producer(t->bus, "there", BUS_NO_WAIT);
		c = open_waiting(t->bus, "back", waits[w]);
		for (int64_t i = 0; i < ROUNDS; i++) {
			struct bus_message m = BUS_MESSAGE;

			m.partition = (int32_t)i % 3;
			m.value = &i;
			m.value_size = sizeof(i);
			if (i % 10 == 9)
				test_sleep(2 * MS); /* let it fall asleep */
			check(bus_send_message(p, &m, NULL), ==, i / 3);
			expect_number(c, i);
		}
		test_join(child);
		bus_consumer_close(c);
		bus_producer_close(p);
		check(bus_topic_delete(t->bus, "there"), ==, 0);
		check(bus_topic_delete(t->bus, "back"), ==, 0);
	}
}

static void send_soon(void *arg)
{
	struct bus *bus = test_connect(arg);
	struct bus_producer *p = test_producer(bus, "t", BUS_NO_WAIT);

	test_sleep(20 * MS);
	check(bus_send(p, "soon", 4), >=, 0);
	bus_producer_close(p);
	bus_close(bus);
}

static int ready(int epoll, int timeout_ms)
{
	struct epoll_event e;

	return epoll_wait(epoll, &e, 1, timeout_ms);
}

static void a_descriptor_tells_of_records(void **state)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct test_bus *t = *state;
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;

	test_topic(t->bus, "t", 2, SETTINGS(SMALL, "stall.fence.ms=600000"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = open_at(t->bus, BUS_BEGINNING);
	fd = bus_consumer_fd(c);
	check(fd, >=, 0);
	check(bus_consumer_fd(c), ==, fd);
	check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e), ==, 0);
	check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
	check(ready(epoll, 5), ==, 0);
	for (int64_t i = 0; i < 20; i++) {
		struct bus_message m = BUS_MESSAGE;

		m.partition = (int32_t)i % 2;
		check(bus_send_message(p, &m, NULL), ==, i / 2);
		check(ready(epoll, 5000), ==, 1);
		check(bus_poll(c, &r, BUS_NO_WAIT), ==, 1);
		check(r.partition, ==, i % 2);
		check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
		check(ready(epoll, 0), ==, 0);
	}
	/* what comes while nobody looks is not missed */
	test_join(test_fork(send_soon, t));
	check(ready(epoll, 5000), ==, 1);
	check(bus_poll(c, &r, BUS_NO_WAIT), ==, 1);
	check(memcmp(r.value, "soon", 4), ==, 0);
	bus_consumer_close(c);
	close(epoll);
	bus_producer_close(p);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void a_signal_ends_the_sleep(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct test_bus *t = *state;
	struct bus_consumer *c;
	struct bus_record r;
	pid_t child;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	c = open_at(t->bus, BUS_BEGINNING);
	sigaction(SIGALRM, &action, NULL);
	ualarm(20000, 0);
	check(bus_poll(c, &r, PATIENCE), ==, BUS_EINTR);
	/* and nothing is broken by it */
	child = test_fork(send_soon, t);
	test_expect(c, 0, "soon");
	test_join(child);
	bus_consumer_close(c);
}

/* ---- Delete, fork, slots ---------------------------------------------------------------- */

static void a_deleted_topic_is_told_when_all_is_read(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	send_numbers(p, 0, 30);
	c = open_at(t->bus, BUS_BEGINNING);
	expect_number(c, 0);
	check(bus_topic_delete(t->bus, "t"), ==, 0);
	for (int64_t i = 1; i < 30; i++)
		expect_number(c, i);
	for (unsigned i = 0; i < 3; i++)
		check(bus_poll(c, &r, PATIENCE), ==, BUS_EGONE);
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* Also of the partitions behind one where a late send left its traces. */
static void all_partitions_of_a_deleted_topic_are_read(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;
	unsigned n[3] = { 0 };
	int e;

	test_topic(t->bus, "t", 3, SETTINGS(SMALL, "producers=one"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = open_at(t->bus, BUS_BEGINNING);
	for (m.partition = 0; m.partition < 3; m.partition++)
		for (int64_t i = 0; i < 5 + 20 * m.partition; i++)
			check(bus_send_message(p, &m, NULL), ==, i);
	check(bus_topic_delete(t->bus, "t"), ==, 0);
	for (m.partition = 0; m.partition < 2; m.partition++)
		check(bus_send_message(p, &m, NULL), ==, BUS_EGONE);
	while ((e = bus_poll(c, &r, PATIENCE)) == 1)
		check(r.offset, ==, n[r.partition]++);
	check(e, ==, BUS_EGONE);
	for (unsigned i = 0; i < 3; i++)
		check(n[i], ==, 5 + 20 * i);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void delete_soon(void *arg)
{
	struct bus *bus = test_connect(arg);

	test_sleep(20 * MS);
	check(bus_topic_delete(bus, "t"), ==, 0);
	bus_close(bus);
}

static void deleting_wakes_who_sleeps(void **state)
{
	struct test_bus *t = *state;
	struct bus_consumer *c;
	struct bus_record r;
	pid_t child;

	test_topic(t->bus, "t", 2, SETTINGS(SMALL, "stall.fence.ms=600000"));
	c = open_at(t->bus, BUS_BEGINNING);
	child = test_fork(delete_soon, t);
	check(bus_poll(c, &r, PATIENCE), ==, BUS_EGONE);
	test_join(child);
	bus_consumer_close(c);
}

static struct bus_consumer *forked_consumer;

static void read_what_is_the_parents(void *arg)
{
	struct test_bus *t = arg;
	struct bus_consumer *c = forked_consumer, *own;
	struct bus_record r;
	struct bus *bus;
	char copy[8];

	check(bus_poll(c, &r, BUS_NO_WAIT), ==, BUS_EFORKED);
	check(bus_poll_many(c, &r, 1, BUS_NO_WAIT), ==, BUS_EFORKED);
	check(bus_poll_copy(c, &r, copy, 8, BUS_NO_WAIT), ==, BUS_EFORKED);
	check(bus_consumer_seek(c, 0, 0), ==, BUS_EFORKED);
	check(bus_consumer_open(t->bus, "t", NULL, &own), ==, BUS_EFORKED);
	bus_consumer_close(c);
	bus = test_connect(t);
	own = open_at(bus, BUS_BEGINNING);
	expect_number(own, 0);
	bus_consumer_close(own);
	bus_close(bus);
}

static void a_forked_child_gets_an_error_and_may_open_its_own(void **state)
{
	struct test_bus *t = *state;
	struct bus_producer *p;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	send_numbers(p, 0, 3);
	forked_consumer = open_at(t->bus, BUS_BEGINNING);
	expect_number(forked_consumer, 0);
	test_join(test_fork(read_what_is_the_parents, t));
	expect_number(forked_consumer, 1);
	expect_number(forked_consumer, 2);
	bus_consumer_close(forked_consumer);
	bus_producer_close(p);
}

static void look_for_a_while(void *arg)
{
	struct bus *bus = test_connect(arg);
	struct bus_consumer *c = open_at(bus, BUS_BEGINNING);
	struct bus_record r;

	for (unsigned i = 0; i < 30; i++)
		check(bus_poll(c, &r, MS), ==, 0);
	bus_consumer_close(c);
	bus_close(bus);
}

/* What a parent is about to unmap when it forks is not the child's business,
 * which may have something of its own in that place. */
static void a_child_keeps_what_it_maps_where_its_parent_unmaps(void **state)
{
	struct test_bus *t = *state;
	pid_t child[20];

	test_topic(t->bus, "t", 16, SETTINGS(SMALL));
	for (unsigned i = 0; i < N_ELEMENTS(child); i++) {
		bus_consumer_close(open_at(t->bus, BUS_END));
		child[i] = test_fork(look_for_a_while, t);
	}
	for (unsigned i = 0; i < N_ELEMENTS(child); i++)
		test_join(child[i]);
}

static void lines_run_out_and_come_back(void **state)
{
	struct bus_consumer *c[BUS_CONSUMERS_MAX], *more = NULL;
	struct test_bus *t = *state;
	struct bus_partition_stat s;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < BUS_CONSUMERS_MAX; i++)
			c[i] = open_at(t->bus, BUS_END);
		check(bus_consumer_open(t->bus, "t", NULL, &more), ==,
		      BUS_EUSERS);
		s = test_stat(t->bus, "t", 0);
		check(s.n_consumers, ==, BUS_CONSUMERS_MAX);
		bus_partition_stat_free(&s);
		for (unsigned i = 0; i < BUS_CONSUMERS_MAX; i++)
			bus_consumer_close(c[i]);
	}
	s = test_stat(t->bus, "t", 0);
	check(s.n_consumers, ==, 0);
	bus_partition_stat_free(&s);
}

static void lag_and_latency_are_to_be_seen(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_partition_stat s;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;
	struct timespec now;
	uint64_t n = 0;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = open_at(t->bus, BUS_BEGINNING);
	for (unsigned i = 0; i < 30; i++) {
		clock_gettime(CLOCK_REALTIME, &now);
		m.timestamp = now.tv_sec * SECOND + now.tv_nsec;
		check(bus_send_message(p, &m, NULL), ==, i);
	}
	for (unsigned i = 0; i < 10; i++)
		check(bus_poll(c, &r, PATIENCE), ==, 1);
	check(bus_poll_many(c, &r, 1, PATIENCE), ==, 1);
	s = test_stat(t->bus, "t", 0);
	check(s.n_consumers, ==, 1);
	check(s.consumers[0].pid, ==, getpid());
	check(s.consumers[0].block, ==, 1);
	/* it is told when a record is passed: by the call behind it */
	check(s.consumers[0].offset, >=, 10);
	check(s.consumers[0].offset, <=, 11);
	check(s.consumers[0].lag, ==, 30 - s.consumers[0].offset);
	check(s.consumers[0].records, >=, 10);
	for (unsigned i = 0; i < BUS_HIST_BUCKETS; i++)
		n += s.consumers[0].latency[i];
	check(n, >=, 10);
	check(n, <=, 11);
	bus_partition_stat_free(&s);
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* ---- Alter ---------------------------------------------------------------------------------- */

/* All rings there were are read through, from wherever one starts. */
static void what_came_before_a_roll_can_be_read(void **state)
{
	struct test_bus *t = *state;
	struct bus_consumer *hold, *c;
	struct bus_producer *p;
	struct bus_record r;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	hold = open_at(t->bus, BUS_BEGINNING);
	for (unsigned i = 0; i < 4; i++) {
		send_numbers(p, i * 30, i * 30 + 30);
		check(bus_topic_alter(t->bus, "t", 0,
				      SETTINGS(i & 1 ? "ring.bytes=64K" :
						       "ring.bytes=32K")),
		      ==, 0);
	}
	for (int64_t start = 0; start <= 120; start += 10) {
		c = open_at(t->bus, start);
		check(bus_consumer_lag(c, 0), ==, 120 - start);
		for (int64_t k = start; k < 120; k++)
			expect_number(c, k);
		check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
		bus_consumer_close(c);
	}
	for (int64_t k = 0; k < 120; k++)
		expect_number(hold, k);
	check(bus_consumer_seek(hold, 0, 45), ==, 0);
	expect_number(hold, 45);
	bus_consumer_close(hold);
	bus_producer_close(p);
}

/*
 * A ring is kept as long as somebody stands in it or late readers may still
 * want it, and of these there are at most eight besides the newest.
 */
static void old_rings_are_let_go(void **state)
{
	struct test_bus *t = *state;
	pid_t worker = (pid_t)test_status(t).worker_pid;
	struct bus_producer *p;
	struct bus_consumer *c;
	int64_t n = 0;
	int fds;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=64K"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = open_at(t->bus, BUS_BEGINNING);
	fds = test_count_fds(worker);
	for (unsigned i = 0; i < 20; i++, n++) {
		check(bus_topic_alter(t->bus, "t", 0,
				      SETTINGS(i & 1 ? "ring.bytes=64K" :
						       "ring.bytes=32K")),
		      ==, 0);
		check(bus_send(p, &n, sizeof(n)), ==, n);
		expect_number(c, n);
	}
	/* busd closes, and this process unmaps, a little later */
	wait_until(test_count_fds(worker) <= fds + 2 * 8);
	wait_until(test_count_maps("memfd:") <= t->n_maps + 12);
	for (; n < 2000; n++) {
		check(bus_send(p, &n, sizeof(n)), ==, n);
		expect_number(c, n);
	}
	bus_consumer_close(open_at(t->bus, BUS_END));
	wait_until(test_count_fds(worker) <= fds);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void added_partitions_are_read_by_who_reads_all(void **state)
{
	struct test_bus *t = *state;
	struct bus_message m = BUS_MESSAGE;
	struct bus_consumer *c;
	struct bus_producer *p;
	struct bus_record r;

	test_topic(t->bus, "t", 1, SETTINGS(SMALL));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_END, BUS_SLOW_BLOCK);
	check(bus_topic_alter(t->bus, "t", 3, NULL), ==, 0);
	m.partition = 2;
	check(bus_send_message(p, &m, NULL), ==, 0);
	check(bus_poll(c, &r, PATIENCE), ==, 1);
	check(r.partition, ==, 2);
	check(r.offset, ==, 0);
	check(bus_consumer_partitions(c), ==, 3);
	bus_consumer_close(c);
	bus_producer_close(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_consumer_starts_where_it_is_told),
		TEST(the_end_is_what_comes_next),
		TEST(an_offset_that_is_not_there_is_refused_with_what_is),
		TEST(bad_openings_are_refused),
		TEST(partitions_take_turns),
		TEST(some_partitions_are_read_and_the_others_not),
		TEST(many_are_read_at_once_in_order),
		TEST(nothing_there_takes_as_long_as_told),
		TEST(a_copy_is_whole_or_the_record_is_not_passed),
		TEST(seeking_goes_anywhere_there_is),
		TEST(a_lapped_consumer_is_told_exactly_what_it_lost),
		TEST(a_record_in_place_is_valid_until_it_is_overwritten),
		TEST(a_subscription_overrides_the_topic),
		TEST(block_holds_the_record_in_hand),
		TEST(whoever_waits_is_woken),
		TEST(a_descriptor_tells_of_records),
		TEST(a_signal_ends_the_sleep),
		TEST(a_deleted_topic_is_told_when_all_is_read),
		TEST(all_partitions_of_a_deleted_topic_are_read),
		TEST(deleting_wakes_who_sleeps),
		TEST(a_forked_child_gets_an_error_and_may_open_its_own),
		TEST(a_child_keeps_what_it_maps_where_its_parent_unmaps),
		TEST(lines_run_out_and_come_back),
		TEST(lag_and_latency_are_to_be_seen),
		TEST(what_came_before_a_roll_can_be_read),
		TEST(old_rings_are_let_go),
		TEST(added_partitions_are_read_by_who_reads_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

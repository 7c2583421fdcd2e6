/* SPDX-License-Identifier: MIT */
/*
 * test_stress.c - many at once, with records that check themselves.
 *
 * Processes: what blocking consumers read is all that was sent, once, whole,
 * in each producer's order; what drop consumers read and what they are told
 * they lost adds up to all.
 *
 * Threads of one process, the target of ThreadSanitizer: readers go on while
 * topics are attached, resized and deleted under them. The producer is opened
 * first, so that there is one mapping of the ring and it is writable.
 */
#define _GNU_SOURCE
#include "util.h"

#include <pthread.h>
#include <stdio.h>

#include "atomic.h"

#define PRODUCERS 3
#define RECORDS (200000 / TEST_SLOW) /* of each producer */
#define PARTITIONS 2

/* ---- Self-checking records ------------------------------------------------------ */

#define WORDS_MAX 60

/* who, number, and words that follow from them: so many as the number says. */
static size_t fill(uint64_t *to, uint64_t who, uint64_t number)
{
	size_t n = 2 + (who * 13 + number * 7) % (WORDS_MAX - 2);

	to[0] = who;
	to[1] = number;
	for (size_t i = 2; i < n; i++)
		to[i] = (number ^ who << 32) * (i + 1);
	return n * sizeof(*to);
}

/* Whether what was read is one of these records, untorn. */
static bool is_whole(const struct bus_record *r, const uint64_t *words)
{
	uint64_t want[WORDS_MAX];

	return r->value_size >= 16 && words[0] <= PRODUCERS &&
	       r->value_size == fill(want, words[0], words[1]) &&
	       !memcmp(want, words, r->value_size);
}

/* ---- Processes -------------------------------------------------------------------- */

struct job {
	struct test_bus *t;
	uint64_t who;
	enum bus_slow slow;
	uint64_t *sent; /* producers that are done */
};

static void send_all(void *arg)
{
	struct job *job = arg;
	struct bus *bus = test_connect(job->t);
	struct bus_producer *p = test_producer(bus, "t", PATIENCE);
	uint64_t words[16][WORDS_MAX], seed = job->who;
	struct bus_message m[16];

	for (uint64_t n = 0; n < RECORDS;) {
		uint64_t x = test_random(&seed);
		size_t batch = x % 4 ? 1 : 1 + x / 4 % 16;

		if (batch > RECORDS - n)
			batch = RECORDS - n;
		for (size_t i = 0; i < batch; i++) {
			m[i] = BUS_MESSAGE;
			m[i].value = words[i];
			m[i].value_size = fill(words[i], job->who, n + i);
			m[i].partition = (int32_t)(job->who % PARTITIONS);
		}
		check(bus_send_batch(p, m, batch, NULL), >=, 0);
		n += batch;
	}
	bus_producer_close(p);
	bus_close(bus);
	if (job->sent)
		bus_fetch_add(job->sent, UINT64_C(1));
}

static void read_all_in_order(void *arg)
{
	struct job *job = arg;
	struct bus *bus = test_connect(job->t);
	struct bus_consumer *c =
		test_consumer(bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	uint64_t next[PRODUCERS + 1] = { 0 }, all = 0;
	int64_t offset[PARTITIONS] = { 0 };
	struct bus_record r[20];

	bus_fetch_add(job->sent, UINT64_C(1)); /* it is there */
	while (all < PRODUCERS * RECORDS) {
		int n = bus_poll_many(c, r, 1 + all % 20, PATIENCE);

		check(n, >, 0);
		for (int i = 0; i < n; i++, all++) {
			const uint64_t *words = r[i].value;

			check_true(is_whole(&r[i], words));
			check(words[1], ==, next[words[0]]++);
			check(r[i].offset, ==, offset[r[i].partition]++);
			check(r[i].partition, ==, words[0] % PARTITIONS);
		}
	}
	for (uint64_t i = 1; i <= PRODUCERS; i++)
		check(next[i], ==, RECORDS);
	check(bus_poll(c, r, BUS_NO_WAIT), ==, 0);
	bus_consumer_close(c);
	bus_close(bus);
}

static void blocking_consumers_read_all_once_in_order(void **state)
{
	struct test_bus *t = *state;
	uint64_t *there = test_shared(sizeof(*there));
	struct job job[PRODUCERS + 2];
	pid_t pid[PRODUCERS + 2];

	test_topic(t->bus, "t", PARTITIONS,
		   SETTINGS("ring.bytes=32K", "slow.consumer=block"));
	for (unsigned i = 0; i < 2; i++) {
		job[i] = (struct job){ .t = t, .sent = there };
		pid[i] = test_fork(read_all_in_order, &job[i]);
	}
	wait_until(bus_load(there) == 2);
	for (unsigned i = 2; i < PRODUCERS + 2; i++) {
		job[i] = (struct job){ .t = t, .who = i - 1 };
		pid[i] = test_fork(send_all, &job[i]);
	}
	for (unsigned i = 0; i < PRODUCERS + 2; i++)
		test_join(pid[i]);
}

/* One poll in place or by copy. Return: as bus_poll; ELAPPED also if torn. */
static int poll_drop(struct bus_consumer *c, struct bus_record *r,
		     uint64_t *copy, bool in_place)
{
	int n;

	if (!in_place)
		return bus_poll_copy(c, r, copy, 8 * WORDS_MAX, 5 * MS);
	n = bus_poll(c, r, 5 * MS);
	if (n != 1)
		return n;
	check(r->value_size, <=, 8 * WORDS_MAX);
	for (size_t i = 0; i < r->value_size / 8; i++)
		copy[i] = bus_load((const uint64_t *)r->value + i);
	/* torn, so it is lost too; the library has not counted it as such */
	return bus_record_valid(c, r) ? 1 : 2;
}

static void read_what_is_left(void *arg)
{
	struct job *job = arg;
	struct bus *bus = test_connect(job->t);
	struct bus_consumer *c = test_consumer(bus, "t", 0, BUS_SLOW_DROP);
	uint64_t copy[WORDS_MAX], next[PRODUCERS + 1] = { 0 };
	int64_t at[PARTITIONS] = { 0 }, read = 0, lost = 0;
	struct bus_record r;
	struct bus_lost l;
	int n;

	bus_fetch_add(job->sent, UINT64_C(1));
	for (;;) {
		bool done = bus_load_acquire(job->sent) >= 2 + PRODUCERS;

		n = poll_drop(c, &r, copy, job->who);
		if (n == 0 && done)
			break;
		if (n == BUS_ELAPPED) {
			check(bus_consumer_lost(c, &l), ==, 0);
			check(l.first, ==, at[l.partition]);
			check(l.next, >, l.first);
			lost += l.next - l.first;
			at[l.partition] = l.next;
		} else if (n > 0) {
			check(r.offset, ==, at[r.partition]++);
			read += n == 1;
			lost += n == 2;
			if (n == 2)
				continue;
			check_true(is_whole(&r, copy));
			check(copy[1], >=, next[copy[0]]);
			next[copy[0]] = copy[1] + 1;
		} else {
			check(n, ==, 0);
		}
	}
	check(read + lost, ==, PRODUCERS * RECORDS);
	check(read, >, 0);
	bus_consumer_close(c);
	bus_close(bus);
}

static void what_drop_consumers_read_and_lose_is_all(void **state)
{
	struct test_bus *t = *state;
	uint64_t *sent = test_shared(sizeof(*sent));
	struct job job[PRODUCERS + 2];
	pid_t pid[PRODUCERS + 2];

	test_topic(t->bus, "t", PARTITIONS, SETTINGS("ring.bytes=32K"));
	for (unsigned i = 0; i < 2; i++) {
		job[i] = (struct job){ .t = t, .who = i, .sent = sent };
		pid[i] = test_fork(read_what_is_left, &job[i]);
	}
	wait_until(bus_load(sent) == 2);
	for (unsigned i = 2; i < PRODUCERS + 2; i++) {
		job[i] = (struct job){ .t = t, .who = i - 1, .sent = sent };
		pid[i] = test_fork(send_all, &job[i]);
	}
	for (unsigned i = 0; i < PRODUCERS + 2; i++)
		test_join(pid[i]);
}

/* Resized again and again while all of that goes on. */
static void resizing_loses_and_doubles_nothing(void **state)
{
	struct test_bus *t = *state;
	uint64_t *there = test_shared(sizeof(*there));
	struct job job[PRODUCERS + 1];
	pid_t pid[PRODUCERS + 1];

	test_topic(t->bus, "t", PARTITIONS,
		   SETTINGS("ring.bytes=32K", "slow.consumer=block",
			    "max.message.bytes=8000"));
	job[0] = (struct job){ .t = t, .sent = there };
	pid[0] = test_fork(read_all_in_order, &job[0]);
	wait_until(bus_load(there) == 1);
	for (unsigned i = 1; i <= PRODUCERS; i++) {
		job[i] = (struct job){ .t = t, .who = i };
		pid[i] = test_fork(send_all, &job[i]);
	}
	for (unsigned i = 0; i < 12; i++) {
		int e = bus_topic_alter(t->bus, "t", 0,
					SETTINGS(i & 1 ? "ring.bytes=32K" :
							 "ring.bytes=64K"));

		check_true(e == 0 || e == BUS_EBUSY);
		test_sleep(3 * MS);
	}
	for (unsigned i = 0; i <= PRODUCERS; i++)
		test_join(pid[i]);
}

/* ---- Threads of one process --------------------------------------------------------- */

struct shared {
	struct bus *bus;
	bool stop;
	uint64_t read;
};

/* Open, read a while, close, again; the topic may come and go meanwhile. */
static void *read_and_reopen(void *arg)
{
	struct shared *s = arg;
	uint64_t copy[WORDS_MAX];
	struct bus_record r;

	while (!bus_load_acquire(&s->stop)) {
		struct bus_consumer_options o = { .size = sizeof(o),
						  .start = BUS_BEGINNING,
						  .wait = BUS_WAIT_SLEEP };
		struct bus_consumer *c;
		int e = bus_consumer_open(s->bus, "t", &o, &c);

		/* ERANGE: the next one of that name has fewer partitions */
		if (e == BUS_ENOENT || e == BUS_EGONE || e == BUS_ERANGE)
			continue;
		check(e, ==, 0);
		for (unsigned i = 0; i < 2000; i++) {
			e = bus_poll_copy(c, &r, copy, sizeof(copy), MS);
			if (e == BUS_EGONE)
				break;
			if (e == BUS_ELAPPED || e == 0)
				continue;
			check(e, ==, 1);
			check_true(is_whole(&r, copy));
			bus_fetch_add(&s->read, UINT64_C(1));
		}
		bus_consumer_close(c);
	}
	return NULL;
}

static void send_some(struct bus_producer *p, uint64_t *n)
{
	uint64_t words[WORDS_MAX];

	for (unsigned i = 0; i < 300; i++, (*n)++)
		check(bus_send(p, words, fill(words, 1, *n)), >=, 0);
}

static void readers_go_on_while_topics_come_and_go(void **state)
{
	struct test_bus *t = *state;
	struct shared s = { .bus = t->bus };
	unsigned rounds = TEST_SLOW > 1 ? 8 : 40;
	pthread_t thread[3];
	uint64_t n = 0;

	for (unsigned i = 0; i < N_ELEMENTS(thread); i++)
		check(pthread_create(&thread[i], NULL, read_and_reopen, &s), ==,
		      0);
	for (unsigned i = 0; i < rounds; i++) {
		struct bus_producer *p;

		test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=16K"));
		p = test_producer(t->bus, "t", PATIENCE);
		send_some(p, &n);
		check(bus_topic_alter(t->bus, "t", 0,
				      SETTINGS("ring.bytes=32K")),
		      ==, 0);
		send_some(p, &n);
		check(bus_topic_alter(t->bus, "t", 2, NULL), ==, 0);
		send_some(p, &n);
		check(bus_topic_alter(t->bus, "t", 0,
				      SETTINGS("ring.bytes=8K")),
		      ==, 0);
		send_some(p, &n);
		wait_until(bus_load(&s.read) > i);
		check(bus_topic_delete(t->bus, "t"), ==, 0);
		bus_producer_close(p);
	}
	bus_store_release(&s.stop, true);
	for (unsigned i = 0; i < N_ELEMENTS(thread); i++)
		pthread_join(thread[i], NULL);
	check(bus_load(&s.read), >, 100);
}

/* Producers and consumers of one process, a thread each: blocking, dense. */
static void *send_from_thread(void *arg)
{
	struct shared *s = arg;
	struct bus_producer *p = test_producer(s->bus, "t", PATIENCE);
	uint64_t words[WORDS_MAX];

	for (uint64_t n = 0; n < RECORDS / 4; n++)
		check(bus_send(p, words, fill(words, 1, n)), >=, 0);
	bus_producer_close(p);
	return NULL;
}

static void *read_in_thread(void *arg)
{
	struct shared *s = arg;
	struct bus_consumer *c =
		test_consumer(s->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	struct bus_record r;

	bus_fetch_add(&s->read, UINT64_C(1));
	for (int64_t n = 0; n < 2 * (RECORDS / 4); n++) {
		check(bus_poll(c, &r, PATIENCE), ==, 1);
		check(r.offset, ==, n);
		check_true(is_whole(&r, r.value));
	}
	bus_consumer_close(c);
	return NULL;
}

static void threads_of_one_process_share_its_mapping(void **state)
{
	struct test_bus *t = *state;
	struct shared s = { .bus = t->bus };
	struct bus_producer *first;
	pthread_t thread[4];
	int maps;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=16K", "slow.consumer=block"));
	first = test_producer(t->bus, "t", PATIENCE);
	maps = test_count_maps("memfd:");
	for (unsigned i = 0; i < 2; i++)
		check(pthread_create(&thread[i], NULL, read_in_thread, &s), ==,
		      0);
	wait_until(bus_load(&s.read) == 2);
	check(test_count_maps("memfd:"), ==, maps);
	for (unsigned i = 2; i < 4; i++)
		check(pthread_create(&thread[i], NULL, send_from_thread, &s),
		      ==, 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	bus_producer_close(first);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(blocking_consumers_read_all_once_in_order),
		TEST(what_drop_consumers_read_and_lose_is_all),
		TEST(resizing_loses_and_doubles_nothing),
		TEST(readers_go_on_while_topics_come_and_go),
		TEST(threads_of_one_process_share_its_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_death.c - clients that die, at any moment, and what the others notice.
 *
 * A record is acknowledged when its send returned. Whatever is killed when:
 * every acknowledged record is read once, whole, in its producer's order; of
 * the others at most the one under way may be missing or there; nobody waits
 * for the dead longer than it takes busd to see the death.
 */
#define _GNU_SOURCE
#include "util.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "atomic.h"

/* ---- Self-checking records ---------------------------------------------------- */

struct payload {
	uint64_t who, number, size;
	uint8_t fill[200];
};

static size_t payload_make(struct payload *p, uint64_t who, uint64_t number)
{
	p->who = who;
	p->number = number;
	p->size = number * 7 % sizeof(p->fill);
	memset(p->fill, (int)(who * 31 + number), p->size);
	return offsetof(struct payload, fill) + p->size;
}

static void payload_check(const struct bus_record *r, struct payload *ret)
{
	check(r->value_size, >=, offsetof(struct payload, fill));
	check(r->value_size, <=, sizeof(*ret));
	memcpy(ret, r->value, r->value_size);
	check(r->value_size, ==, offsetof(struct payload, fill) + ret->size);
	for (size_t i = 0; i < ret->size; i++)
		check(ret->fill[i], ==, (uint8_t)(ret->who * 31 + ret->number));
}

static void wait_for_counts(struct test_bus *t, uint32_t producers,
			    uint32_t consumers)
{
	struct bus_partition_stat s;
	bool same;

	wait_until((s = test_stat(t->bus, "t", 0),
		    same = s.n_producers == producers &&
			   s.n_consumers == consumers,
		    bus_partition_stat_free(&s), same));
	wait_until(test_status(t).n_clients == 1);
}

/* ---- Killed while sending ------------------------------------------------------- */

struct sender {
	struct test_bus *t;
	uint64_t who;
	uint64_t acknowledged; /* sends that returned */
};

static void send_for_ever(void *arg)
{
	struct sender *s = arg;
	struct bus *bus = test_connect(s->t);
	struct bus_producer *p = test_producer(bus, "t", PATIENCE);
	struct bus_message m[3];
	struct payload load[3];

	for (uint64_t n = 0;; n += 3) {
		for (unsigned i = 0; i < 3; i++) {
			m[i] = BUS_MESSAGE;
			m[i].value = &load[i];
			m[i].value_size = payload_make(&load[i], s->who, n + i);
		}
		if (n % 2) {
			check(bus_send_batch(p, m, 3, NULL), >=, 0);
		} else {
			for (unsigned i = 0; i < 3; i++)
				check(bus_send_message(p, &m[i], NULL), >=, 0);
		}
		bus_store(&s->acknowledged, n + 3);
	}
}

/* Read one, noting how far each sender's numbers go. Return: whose it was. */
static uint64_t read_one(struct bus_consumer *c, uint64_t *next)
{
	struct payload load;
	struct bus_record r;

	check(bus_poll(c, &r, PATIENCE), ==, 1);
	payload_check(&r, &load);
	check(load.number, ==, next[load.who]);
	next[load.who]++;
	return load.who;
}

static void read_until(struct bus_consumer *c, uint64_t *next, uint64_t who)
{
	while (read_one(c, next) != who)
		;
}

#define KILLS (40 / TEST_SLOW + 2)

/* Waits for nothing: whoever has to read cannot wait for room as well. */
static bool open_impatient(struct bus *bus, struct bus_producer **ret)
{
	struct bus_producer_options o = { .size = sizeof(o),
					  .timeout = BUS_NO_WAIT };

	return bus_producer_open(bus, "t", &o, ret) == 0;
}

static void kill_senders(struct test_bus *t, bool one)
{
	static uint64_t next[KILLS + 1];
	struct sender *s = test_shared(sizeof(*s));
	struct bus_producer *p;
	struct bus_consumer *c;
	struct payload load;
	uint64_t seed = 17;
	int64_t off;

	memset(next, 0, sizeof(next));
	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=8K", "slow.consumer=block",
			    "stall.fence.ms=60000",
			    one ? "producers=one" : "producers=many"));
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	for (uint64_t i = 1; i <= KILLS; i++) {
		uint64_t enough = test_random(&seed) % 3000;
		pid_t pid;

		*s = (struct sender){ .t = t, .who = i };
		pid = test_fork(send_for_ever, s);
		while (next[i] < enough)
			check(read_one(c, next), ==, i);
		test_kill(pid);
		/* producers=one: refused until the death is known */
		wait_until(open_impatient(t->bus, &p));
		while ((off = bus_send(p, &load,
				       payload_make(&load, 0, i - 1))) < 0)
			read_one(c, next);
		read_until(c, next, 0);
		check(next[i], >=, s->acknowledged);
		check(next[i], <=, s->acknowledged + 3);
		check(next[0], ==, i);
		check(bus_consumer_position(c, 0), ==, off + 1);
		bus_producer_close(p);
	}
	bus_consumer_close(c);
	wait_for_counts(t, 0, 0);
	check(test_status(t).n_repairs, <=, KILLS);
	if (one) /* it leaves nothing behind: dense */
		check(test_status(t).n_repairs, ==, 0);
	check(bus_topic_delete(t->bus, "t"), ==, 0);
}

static void senders_killed_anywhere_harm_nobody(void **state)
{
	kill_senders(*state, false);
}

static void an_owner_killed_anywhere_leaves_nothing_behind(void **state)
{
	kill_senders(*state, true);
}

/* Several at once, and a live one in between that never stops. */
static void senders_killed_together_harm_nobody(void **state)
{
	struct test_bus *t = *state;
	struct sender *s = test_shared(4 * sizeof(*s));
	struct bus_producer *p;
	struct bus_consumer *c;
	struct payload load;
	uint64_t next[4] = { 0 };
	pid_t pid[4];

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=8K", "slow.consumer=block",
			    "stall.fence.ms=60000"));
	p = test_producer(t->bus, "t", BUS_NO_WAIT);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	for (unsigned round = 0; round < 8; round++) {
		memset(next + 1, 0, 3 * sizeof(*next));
		for (unsigned i = 1; i < 4; i++) {
			s[i] = (struct sender){ .t = t, .who = i };
			pid[i] = test_fork(send_for_ever, &s[i]);
		}
		while (next[1] < 200 || next[2] < 200 || next[3] < 200)
			read_one(c, next);
		for (unsigned i = 1; i < 4; i++)
			kill(pid[i], SIGKILL);
		for (unsigned i = 1; i < 4; i++)
			wait_until(test_is_gone(pid[i]));
		/* the ring may be full: make room until this one is in */
		while (bus_send(p, &load, payload_make(&load, 0, next[0])) < 0)
			read_one(c, next);
		read_until(c, next, 0);
		for (unsigned i = 1; i < 4; i++) {
			check(next[i], >=, s[i].acknowledged);
			check(next[i], <=, s[i].acknowledged + 3);
		}
	}
	wait_for_counts(t, 1, 1);
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* ---- Killed with a claim open ------------------------------------------------------ */

struct claimer {
	struct test_bus *t;
	pid_t grandchild;
	bool claimed;
	bool pass_on; /* its descriptors live on in another process */
	bool hang_up; /* it closes its own descriptors, and commits later */
};

static void claim_and_wait(void *arg)
{
	struct claimer *a = arg;
	struct bus *bus = test_connect(a->t);
	struct bus_producer *p = test_producer(bus, "t", PATIENCE);
	struct bus_message m = BUS_MESSAGE;
	void *room;

	m.value_size = 100;
	check(bus_reserve(p, &m, &room), ==, 0);
	memset(room, 'c', 100);
	if (a->pass_on) {
		a->grandchild = fork();
		if (!a->grandchild)
			test_sleep(60 * SECOND);
	}
	if (a->hang_up) {
		for (int fd = 3; fd < 100; fd++)
			close(fd);
		bus_store(&a->claimed, true);
		test_sleep(50 * MS);
		check(bus_commit(p), >=, 0);
		_exit(0);
	}
	bus_store(&a->claimed, true);
	test_sleep(60 * SECOND);
}

static pid_t start_claimer(struct claimer *a)
{
	pid_t pid;

	a->claimed = false;
	pid = test_fork(claim_and_wait, a);
	wait_until(bus_load(&a->claimed));
	return pid;
}

static void an_open_claim_of_the_dead_is_stepped_over(void **state)
{
	struct claimer *a = test_shared(sizeof(*a));
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "slow.consumer=block",
			    "stall.fence.ms=60000"));
	p = test_producer(t->bus, "t", PATIENCE);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	a->t = t;
	for (int64_t i = 0; i < 60; i += 3) {
		pid_t pid;

		check(bus_send(p, "before", 6), ==, i);
		pid = start_claimer(a);
		check(bus_send(p, "behind", 6), ==, i + 2);
		test_expect(c, i, "before");
		check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
		check(bus_consumer_lag(c, 0), ==, 2);
		test_kill(pid);
		test_expect(c, i + 2, "behind");
	}
	check(test_status(t).n_repairs, ==, 20);
	wait_for_counts(t, 1, 1);
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* Three claims in a row, their owners killed in another order. */
static void claims_of_several_dead_are_stepped_over(void **state)
{
	struct claimer *a = test_shared(sizeof(*a));
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	pid_t pid[3];

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "slow.consumer=block",
			    "stall.fence.ms=60000"));
	p = test_producer(t->bus, "t", PATIENCE);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	a->t = t;
	for (int64_t i = 0; i < 60; i += 6) {
		for (int64_t k = 0; k < 3; k++) {
			pid[k] = start_claimer(a);
			check(bus_send(p, "live", 4), ==, i + 2 * k + 1);
		}
		test_kill(pid[2]);
		test_kill(pid[0]);
		test_expect(c, i + 1, "live");
		test_kill(pid[1]);
		test_expect(c, i + 3, "live");
		test_expect(c, i + 5, "live");
	}
	check(test_status(t).n_repairs, ==, 30);
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* A hang-up is no proof of death, and no hang-up no proof of life. */
static void death_is_seen_though_the_socket_lives_on(void **state)
{
	struct claimer *a = test_shared(sizeof(*a));
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	pid_t pid;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "stall.fence.ms=60000"));
	p = test_producer(t->bus, "t", PATIENCE);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	*a = (struct claimer){ .t = t, .pass_on = true };
	pid = start_claimer(a);
	check(bus_send(p, "behind", 6), ==, 1);
	test_kill(pid);
	test_expect(c, 1, "behind");
	test_kill(a->grandchild);
	wait_for_counts(t, 1, 1);
	bus_consumer_close(c);
	bus_producer_close(p);
}

static void a_hang_up_of_the_living_is_no_death(void **state)
{
	struct claimer *a = test_shared(sizeof(*a));
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;
	struct bus_record r;
	pid_t pid;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "stall.fence.ms=60000"));
	p = test_producer(t->bus, "t", PATIENCE);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	*a = (struct claimer){ .t = t, .hang_up = true };
	pid = start_claimer(a);
	check(bus_send(p, "behind", 6), ==, 1);
	check(bus_poll(c, &r, PATIENCE), ==, 1);
	check(r.offset, ==, 0);
	check(r.value_size, ==, 100);
	check(*(const char *)r.value, ==, 'c');
	test_expect(c, 1, "behind");
	test_join(pid);
	wait_for_counts(t, 1, 1);
	check(test_status(t).n_repairs, ==, 0);
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* Who died while there was no worker is found by the next one. */
static void a_new_worker_repairs_what_the_old_one_missed(void **state)
{
	struct claimer *a = test_shared(sizeof(*a));
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "stall.fence.ms=60000"));
	p = test_producer(t->bus, "t", PATIENCE);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	a->t = t;
	for (int64_t i = 0; i < 8; i += 2) {
		pid_t pid = start_claimer(a);
		pid_t worker = (pid_t)test_status(t).worker_pid;

		check(bus_send(p, "behind", 6), ==, i + 1);
		if (i & 2) { /* the client first, unseen by a stopped worker */
			kill(worker, SIGSTOP);
			test_kill(pid);
			kill(worker, SIGKILL);
		} else {
			kill(worker, SIGKILL);
			test_kill(pid);
		}
		test_expect(c, i + 1, "behind");
	}
	t->restarts = 4;
	wait_for_counts(t, 1, 1);
	bus_consumer_close(c);
	bus_producer_close(p);
}

/* ---- Consumers ------------------------------------------------------------------------ */

struct reader {
	struct test_bus *t;
	bool there;
};

static void hold_room_for_ever(void *arg)
{
	struct reader *a = arg;
	struct bus *bus = test_connect(a->t);
	struct bus_consumer *c =
		test_consumer(bus, "t", BUS_END, BUS_SLOW_BLOCK);
	struct bus_record r;

	check(bus_poll(c, &r, BUS_NO_WAIT), ==, 0);
	bus_store(&a->there, true);
	test_sleep(60 * SECOND);
}

static void sleep_on_the_bell(void *arg)
{
	struct reader *a = arg;
	struct bus *bus = test_connect(a->t);
	struct bus_consumer *c =
		test_consumer(bus, "t", BUS_END, BUS_SLOW_DROP);
	struct bus_record r;

	bus_store(&a->there, true);
	bus_poll(c, &r, BUS_FOREVER);
}

static void a_dead_blocking_consumer_gives_room(void **state)
{
	struct reader *a = test_shared(sizeof(*a));
	struct test_bus *t = *state;
	struct bus_producer *p;
	int64_t n = 0;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "stall.fence.ms=600000"));
	p = test_producer(t->bus, "t", PATIENCE);
	for (unsigned i = 0; i < 5; i++) {
		pid_t pid;

		*a = (struct reader){ .t = t };
		pid = test_fork(hold_room_for_ever, a);
		wait_until(bus_load(&a->there));
		for (unsigned k = 0; k < 64; k++, n++)
			check(bus_send(p, "x", 1), ==, n);
		kill(pid, SIGKILL);
		/* waits, asleep if need be, until busd has seen the death */
		for (unsigned k = 0; k < 64; k++, n++)
			check(bus_send(p, "x", 1), ==, n);
		wait_until(test_is_gone(pid));
	}
	wait_for_counts(t, 1, 0);
	bus_producer_close(p);
}

static void a_sleeper_that_is_killed_is_not_missed(void **state)
{
	struct reader *a = test_shared(sizeof(*a));
	struct test_bus *t = *state;
	struct bus_producer *p;
	struct bus_consumer *c;

	test_topic(t->bus, "t", 1,
		   SETTINGS("ring.bytes=4096", "stall.fence.ms=600000"));
	p = test_producer(t->bus, "t", PATIENCE);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	for (int64_t i = 0; i < 20; i++) {
		pid_t pid;

		*a = (struct reader){ .t = t };
		pid = test_fork(sleep_on_the_bell, a);
		wait_until(bus_load(&a->there));
		test_sleep(i % 4 * MS);
		test_kill(pid);
		check(bus_send(p, "x", 1), ==, i);
		test_expect(c, i, "x");
	}
	bus_consumer_close(c);
	wait_for_counts(t, 1, 0);
	bus_producer_close(p);
}

/* ---- Fork ------------------------------------------------------------------------------- */

static struct bus_producer *forked;

static void close_what_is_the_parents(void *arg)
{
	(void)arg;
	check(bus_commit(forked), ==, BUS_EFORKED);
	bus_producer_close(forked);
	bus_close(((struct test_bus *)arg)->bus);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void a_fork_in_the_middle_of_a_claim_disturbs_nobody(void **state)
{
	struct bus_message m = BUS_MESSAGE;
	struct test_bus *t = *state;
	struct bus_consumer *c;
	void *room;

	test_topic(t->bus, "t", 1, SETTINGS("ring.bytes=4096"));
	forked = test_producer(t->bus, "t", PATIENCE);
	c = test_consumer(t->bus, "t", BUS_BEGINNING, BUS_SLOW_BLOCK);
	m.value_size = 6;
	for (int64_t i = 0; i < 10; i++) {
		check(bus_reserve(forked, &m, &room), ==, 0);
		test_join(test_fork(
			i & 1 ? close_what_is_the_parents : do_nothing, t));
		memcpy(room, "parent", 6);
		check(bus_commit(forked), ==, i);
		test_expect(c, i, "parent");
	}
	check(test_status(t).n_clients, ==, 1);
	bus_consumer_close(c);
	bus_producer_close(forked);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(senders_killed_anywhere_harm_nobody),
		TEST(an_owner_killed_anywhere_leaves_nothing_behind),
		TEST(senders_killed_together_harm_nobody),
		TEST(an_open_claim_of_the_dead_is_stepped_over),
		TEST(claims_of_several_dead_are_stepped_over),
		TEST(death_is_seen_though_the_socket_lives_on),
		TEST(a_hang_up_of_the_living_is_no_death),
		TEST(a_new_worker_repairs_what_the_old_one_missed),
		TEST(a_dead_blocking_consumer_gives_room),
		TEST(a_sleeper_that_is_killed_is_not_missed),
		TEST(a_fork_in_the_middle_of_a_claim_disturbs_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

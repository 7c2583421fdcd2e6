/* SPDX-License-Identifier: MIT */
/*
 * test_wait.c - bells: no wake-up is lost, whoever is killed when.
 *
 * All sleeps are bounded by PATIENCE; a wake-up that is lost shows as a sleep
 * that lasted so long.
 */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "wait.h"

struct shared {
	uint32_t bell, other;
	uint64_t count; /* what is waited for */
	uint64_t asleep;
};

static struct shared *shared_new(void)
{
	check(bus_membarrier_register(), ==, 0);
	return test_shared(sizeof(struct shared));
}

/* As the library does it: arm, barrier, look once more, sleep. */
static void wait_for_count(struct shared *s, uint64_t count)
{
	struct bus_sleep sleep;

	while (bus_load_acquire(&s->count) < count) {
		bus_bell_arm(&s->bell, &sleep);
		bus_membarrier();
		if (bus_load_acquire(&s->count) >= count)
			return;
		bus_store(&s->asleep, UINT64_C(1));
		check(bus_bell_sleep(&sleep, 1, PATIENCE), ==, 0);
	}
}

static void count_and_ring(struct shared *s)
{
	bus_store_release(&s->count, bus_load(&s->count) + 1);
	if (bus_bell_armed(&s->bell))
		bus_bell_ring(&s->bell);
}

/* ---- One at a time --------------------------------------------------------- */

static void a_bell_that_nobody_armed_is_not_rung(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	check_true(!bus_bell_armed(&s->bell));
	check(bus_bell_ring(&s->bell), ==, 0);
	check(s->bell, ==, 0);
}

static void ringing_disarms(void **state)
{
	struct shared *s = shared_new();
	struct bus_sleep sleep;

	(void)state;
	bus_bell_arm(&s->bell, &sleep);
	check_true(bus_bell_armed(&s->bell));
	check(bus_bell_ring(&s->bell), ==, 1);
	check_true(!bus_bell_armed(&s->bell));
	check(bus_bell_ring(&s->bell), ==, 0);
	/* whoever armed it before that does not sleep any more */
	check(bus_bell_sleep(&sleep, 1, PATIENCE), ==, 0);
}

static void arming_again_outlasts_an_older_ringing(void **state)
{
	struct shared *s = shared_new();
	struct bus_sleep sleep;
	uint32_t w;

	(void)state;
	bus_bell_arm(&s->bell, &sleep);
	/* a ringer stops between its wake and its disarming */
	w = bus_fetch_add(&s->bell, 2) + 2;
	bus_bell_arm(&s->bell, &sleep);
	check_true(!bus_cas(&s->bell, w, w & ~BUS_BELL_ARMED));
	check_true(bus_bell_armed(&s->bell));
}

static void a_sleep_ends_in_time(void **state)
{
	struct shared *s = shared_new();
	struct bus_sleep sleep[2];
	int64_t begin = test_now();

	(void)state;
	bus_bell_arm(&s->bell, &sleep[0]);
	bus_bell_arm(&s->other, &sleep[1]);
	check(bus_bell_sleep(sleep, 1, 5 * MS), ==, -ETIMEDOUT);
	check(bus_bell_sleep(sleep, 2, 5 * MS), ==, -ETIMEDOUT);
	check(test_now() - begin, >=, 10 * MS);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void a_signal_ends_a_sleep(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct shared *s = shared_new();
	struct bus_sleep sleep[2];

	(void)state;
	sigaction(SIGALRM, &action, NULL);
	bus_bell_arm(&s->bell, &sleep[0]);
	bus_bell_arm(&s->other, &sleep[1]);
	for (size_t n = 1; n <= 2; n++) {
		ualarm(10000, 0);
		check(bus_bell_sleep(sleep, n, PATIENCE), ==, -EINTR);
	}
}

/* ---- Together --------------------------------------------------------------- */

static void ring_the_other(void *arg)
{
	struct shared *s = arg;

	wait_until(bus_load(&s->asleep));
	test_sleep(5 * MS);
	check(bus_bell_ring(&s->other), ==, 1);
}

static void either_of_two_bells_wakes(void **state)
{
	struct shared *s = shared_new();
	struct bus_sleep sleep[2];
	pid_t child = test_fork(ring_the_other, s);

	(void)state;
	bus_bell_arm(&s->bell, &sleep[0]);
	bus_bell_arm(&s->other, &sleep[1]);
	bus_store(&s->asleep, UINT64_C(1));
	check(bus_bell_sleep(sleep, 2, PATIENCE), ==, 0);
	test_join(child);
}

#define ROUNDS (4000u / TEST_SLOW)

struct pair {
	struct shared *there, *back;
};

static void answer(void *arg)
{
	struct pair *p = arg;

	check(bus_membarrier_register(), ==, 0);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		wait_for_count(p->there, i);
		count_and_ring(p->back);
	}
}

static void there_and_back_loses_no_wake_up(void **state)
{
	struct pair p = { shared_new(), shared_new() };
	pid_t child = test_fork(answer, &p);
	int64_t begin = test_now();

	(void)state;
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		count_and_ring(p.there);
		wait_for_count(p.back, i);
	}
	test_join(child);
	check(test_now() - begin, <, PATIENCE);
}

static void wait_for_all(void *arg)
{
	check(bus_membarrier_register(), ==, 0);
	for (uint64_t i = 1; i <= ROUNDS; i += 7)
		wait_for_count(arg, i);
	wait_for_count(arg, ROUNDS);
}

static void several_sleepers_are_all_woken(void **state)
{
	struct shared *s = shared_new();
	int64_t begin = test_now();
	pid_t child[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		child[i] = test_fork(wait_for_all, s);
	for (unsigned i = 0; i < ROUNDS; i++) {
		count_and_ring(s);
		if (i % 16 == 0)
			sched_yield();
	}
	for (unsigned i = 0; i < 3; i++)
		test_join(child[i]);
	check(test_now() - begin, <, PATIENCE);
}

static void sleep_for_ever(void *arg)
{
	wait_for_count(arg, UINT64_MAX);
}

/* It leaves ARMED behind; the next ringing clears that and wakes the living. */
static void a_killed_sleeper_is_forgotten(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	for (uint64_t i = 1; i < 20; i++) {
		pid_t dead, alive;

		s->asleep = 0;
		dead = test_fork(sleep_for_ever, s);
		wait_until(bus_load(&s->asleep));
		test_kill(dead);
		alive = test_fork(wait_for_all, s);
		test_sleep(MS);
		bus_store(&s->count, UINT64_C(0));
		s->count = ROUNDS - 1;
		count_and_ring(s);
		test_join(alive);
		check_true(!bus_bell_armed(&s->bell));
		s->count = 0;
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bell_that_nobody_armed_is_not_rung),
		cmocka_unit_test(ringing_disarms),
		cmocka_unit_test(arming_again_outlasts_an_older_ringing),
		cmocka_unit_test(a_sleep_ends_in_time),
		cmocka_unit_test(a_signal_ends_a_sleep),
		cmocka_unit_test(either_of_two_bells_wakes),
		cmocka_unit_test(there_and_back_loses_no_wake_up),
		cmocka_unit_test(several_sleepers_are_all_woken),
		cmocka_unit_test(a_killed_sleeper_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_atomic.c - pairs of words are replaced whole, and never go back. */
#define _GNU_SOURCE
#include "util.h"

#include <pthread.h>

#include "atomic.h"

#define ROUNDS (300000u / TEST_SLOW)

static void a_pair_is_replaced_only_if_both_words_agree(void **state)
{
	struct bus_pair p = { 1, 2 };
	const struct bus_pair new = { 3, 4 };

	(void)state;
	check_true(!bus_pair_cas(&p, (struct bus_pair){ 1, 3 }, new));
	check_true(!bus_pair_cas(&p, (struct bus_pair){ 2, 2 }, new));
	check_true(!bus_pair_cas(&p, (struct bus_pair){ 2, 1 }, new));
	check(p.pos, ==, 1);
	check(p.off, ==, 2);
	check_true(bus_pair_cas(&p, (struct bus_pair){ 1, 2 }, new));
	check(p.pos, ==, 3);
	check(p.off, ==, 4);
}

static void a_pair_only_grows(void **state)
{
	struct bus_pair p = { UINT64_C(0) - 64, 7 };

	(void)state;
	bus_pair_max(&p, (struct bus_pair){ UINT64_C(0) - 128, 9 });
	check(p.off, ==, 7);
	bus_pair_max(&p, (struct bus_pair){ UINT64_C(0) - 64, 9 });
	check(p.off, ==, 7);
	bus_pair_max(&p, (struct bus_pair){ 64, 8 }); /* past 2^64 */
	check(p.pos, ==, 64);
	check(p.off, ==, 8);
}

static void a_cas_tells_whether_it_was_done(void **state)
{
	uint32_t small = 5;
	uint64_t large = UINT64_MAX;

	(void)state;
	check_true(!bus_cas(&small, 4u, 6u));
	check_true(bus_cas(&small, 5u, 6u));
	check(small, ==, 6);
	check_true(bus_cas(&large, UINT64_MAX, UINT64_C(1)));
	check(bus_fetch_add(&large, UINT64_C(2)), ==, 1);
	check(large, ==, 3);
}

/* ---- Threads: off is always a function of pos --------------------------- */

static struct bus_pair shared;

static struct bus_pair pair_of(uint64_t pos)
{
	return (struct bus_pair){ pos, ~pos * 3 };
}

static void *count_up(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS;) {
		struct bus_pair old = bus_pair_load(&shared);

		check(old.off, ==, pair_of(old.pos).off);
		if (bus_pair_cas(&shared, old, pair_of(old.pos + 1)))
			i++;
	}
	return NULL;
}

static void *raise_by_max(void *arg)
{
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		struct bus_pair seen;

		bus_pair_max(&shared, pair_of(2 * i + (uintptr_t)arg));
		seen = bus_pair_load(&shared);
		check(seen.off, ==, pair_of(seen.pos).off);
		check(seen.pos, >=, 2 * i + (uintptr_t)arg);
	}
	return NULL;
}

static void run_two(void *(*run)(void *arg))
{
	pthread_t thread[2];

	shared = pair_of(0);
	for (uintptr_t i = 0; i < 2; i++)
		check(pthread_create(&thread[i], NULL, run, (void *)i), ==, 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

static void threads_lose_no_replacement(void **state)
{
	(void)state;
	run_two(count_up);
	check(shared.pos, ==, 2 * ROUNDS);
}

static void threads_see_a_pair_grow_and_never_torn(void **state)
{
	(void)state;
	run_two(raise_by_max);
	check(shared.pos, ==, 2 * ROUNDS + 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_is_replaced_only_if_both_words_agree),
		cmocka_unit_test(a_pair_only_grows),
		cmocka_unit_test(a_cas_tells_whether_it_was_done),
		cmocka_unit_test(threads_lose_no_replacement),
		cmocka_unit_test(threads_see_a_pair_grow_and_never_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_repair.c - whose is an unresolved frame, for deaths between any two
 * steps of a claim, which no kill from outside can hit on purpose.
 *
 * The states are written straight into a ring of this process: a pin that says
 * CLAIMING or HOLDING, what it wants, the tail, and whether the owner of the
 * slot is gone.
 */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>

#include "daemon/repair.h"
#include "util_ring.h"

#define P UINT64_C(4096) /* where it happens, under offset O */
#define O UINT64_C(100)

static struct bus_ring *ring;
static struct busd_ring busd; /* the same as busd sees it */

static int setup(void **state)
{
	(void)state;
	ring = test_ring_new(P, O, false);
	busd = (struct busd_ring){ .view = *ring,
				   .shm_head = test_ring_head(ring) };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_ring_free(ring);
	return 0;
}

/* ---- States ------------------------------------------------------------------ */

static void pin(unsigned slot, uint64_t pos, unsigned state, uint64_t off,
		uint64_t length, unsigned count)
{
	struct bus_slot *s = &ring->shm_slot[slot];

	s->want_size = bus_want(length, count);
	s->want_off = off;
	s->pin = pos | state;
	busd.shm_head->slot[slot].client = slot + 1;
}

static void die(unsigned slot)
{
	busd.shm_head->slot[slot].given = 1;
}

static void tail(uint64_t pos, uint64_t off)
{
	ring->shm_control->tail = (struct bus_pair){ pos, off };
}

static void commit(uint64_t pos, uint64_t off, uint64_t length, unsigned count)
{
	struct bus_frame *f = bus_ring_frame(ring, pos);

	f->word1 = bus_word1(off, count);
	f->word0 = bus_ring_word0(ring, pos, length, BUS_STATE_COMMITTED);
}

static void expect_aborted(uint64_t pos, uint64_t off, uint64_t length,
			   unsigned count)
{
	const struct bus_frame *f = bus_ring_frame(ring, pos);

	check(f->word0, ==,
	      bus_ring_word0(ring, pos, length, BUS_STATE_ABORTED));
	check(f->word1, ==, bus_word1(off, count));
}

static void expect_untouched(uint64_t pos)
{
	check(bus_ring_frame(ring, pos)->word0, ==, 0);
	check(bus_ring_frame(ring, pos)->word1, ==, 0);
}

/* ---- One that is dead ---------------------------------------------------------- */

static void a_claim_of_the_dead_is_aborted(void **state)
{
	static const unsigned states[] = { BUS_PIN_CLAIMING, BUS_PIN_HOLDING };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t p = P + i * 128;

		pin(1, p, states[i], O + 3 * i, 100, 3);
		tail(p + 128, O + 3 * i + 3);
		die(1);
		check(busd_repair_slot(&busd, 1), ==, 1);
		expect_aborted(p, O + 3 * i, 100, 3);
		check(ring->shm_slot[1].pin, ==, BUS_PIN_OFFLINE);
		check(busd_repair_slot(&busd, 1), ==, 0);
	}
}

static void what_was_never_claimed_is_not_touched(void **state)
{
	(void)state;
	for (uint64_t p = P; p <= P + 128; p += 64) {
		pin(0, p, BUS_PIN_CLAIMING, O, 64, 1);
		tail(P, O);
		die(0);
		check(busd_repair_slot(&busd, 0), ==, 0);
		expect_untouched(p);
		check(ring->shm_slot[0].pin, ==, BUS_PIN_OFFLINE);
	}
}

static void what_was_committed_stays_so(void **state)
{
	(void)state;
	pin(0, P, BUS_PIN_HOLDING, O, 64, 1);
	tail(P + 64, O + 1);
	commit(P, O, 64, 1);
	die(0);
	check(busd_repair_slot(&busd, 0), ==, 0);
	check(bus_word0_state(bus_ring_frame(ring, P)->word0), ==,
	      BUS_STATE_COMMITTED);
	check(ring->shm_slot[0].pin, ==, BUS_PIN_OFFLINE);
}

static void what_was_overwritten_laps_ago_is_not_touched(void **state)
{
	(void)state;
	pin(0, P, BUS_PIN_HOLDING, O, 64, 1);
	commit(P + RING_SIZE, O + 50, 64, 1);
	ring->shm_control->free = (struct bus_pair){ P + 640, O + 10 };
	tail(P + RING_SIZE + 64, O + 51);
	die(0);
	check(busd_repair_slot(&busd, 0), ==, 0);
	check_true(bus_ring_stamped(ring, P + RING_SIZE,
				    bus_ring_frame(ring, P)->word0));
}

/* ---- Several ---------------------------------------------------------------------- */

static void the_living_holder_keeps_its_frame(void **state)
{
	(void)state;
	pin(0, P, BUS_PIN_CLAIMING, O, 64, 1);
	pin(1, P, BUS_PIN_HOLDING, O, 192, 2);
	tail(P + 192, O + 2);
	die(0);
	check(busd_repair_slot(&busd, 0), ==, 0);
	expect_untouched(P);
	check(ring->shm_slot[0].pin, ==, BUS_PIN_OFFLINE);
	check(ring->shm_slot[1].pin, ==, P | BUS_PIN_HOLDING);
}

static void the_dead_holder_decides_not_the_claimer(void **state)
{
	(void)state;
	pin(0, P, BUS_PIN_CLAIMING, O, 64, 1);
	pin(1, P, BUS_PIN_HOLDING, O, 192, 2);
	pin(2, P + 64, BUS_PIN_CLAIMING, O + 1, 64, 1);
	tail(P + 192, O + 2);
	die(0);
	die(1);
	check(busd_repair_slot(&busd, 1), ==, 1);
	expect_aborted(P, O, 192, 2);
	check(busd_repair_slot(&busd, 0), ==, 0);
	expect_aborted(P, O, 192, 2);
}

static void a_living_claimer_is_waited_for(void **state)
{
	(void)state;
	pin(0, P, BUS_PIN_CLAIMING, O, 64, 1);
	pin(1, P, BUS_PIN_CLAIMING, O, 128, 2);
	tail(P + 128, O + 2);
	die(0);
	check(busd_repair_slot(&busd, 0), ==, -EAGAIN);
	expect_untouched(P);
	/* it lost, and goes on behind: then the frame was the dead one's */
	pin(1, P + 64, BUS_PIN_HOLDING, O + 1, 64, 1);
	check(busd_repair_slot(&busd, 0), ==, 1);
	expect_aborted(P, O, 64, 1);
}

/*
 * Three were killed claiming P: one has won. Whose frame it was shows in what
 * is behind it: the tail, a pin, a header.
 */
static void of_several_dead_the_one_that_fits_has_won(void **state)
{
	(void)state;
	for (unsigned won = 0; won < 3; won++) {
		for (unsigned behind = 0; behind < 3; behind++) {
			uint64_t q = P + 64 * (won + 1), o = O + won + 1;

			for (unsigned i = 0; i < 3; i++) {
				pin(i, P, BUS_PIN_CLAIMING, O, 64 * (i + 1),
				    i + 1);
				die(i);
			}
			ring->shm_slot[3].pin = BUS_PIN_OFFLINE;
			tail(q + 64, o + 1);
			if (behind == 0)
				tail(q, o);
			else if (behind == 1)
				pin(3, q, BUS_PIN_HOLDING, o, 64, 1);
			else
				commit(q, o, 64, 1);
			check(busd_repair_slot(&busd, 1), ==, 1);
			expect_aborted(P, O, 64 * (won + 1), won + 1);
			check(busd_repair_slot(&busd, 0), ==, 0);
			check(busd_repair_slot(&busd, 2), ==, 0);
			expect_aborted(P, O, 64 * (won + 1), won + 1);
			memset(ring->shm_data, 0, RING_SIZE);
		}
	}
}

/* A later boundary may be somebody else's committed frame: the first counts. */
static void of_two_that_fit_the_smaller_has_won(void **state)
{
	(void)state;
	pin(0, P, BUS_PIN_CLAIMING, O, 128, 2);
	pin(1, P, BUS_PIN_CLAIMING, O, 64, 1);
	commit(P + 64, O + 1, 64, 1);
	tail(P + 128, O + 2);
	die(0);
	die(1);
	check(busd_repair_slot(&busd, 0), ==, 1);
	expect_aborted(P, O, 64, 1);
}

/* ---- Nonsense ----------------------------------------------------------------------- */

static void a_want_that_cannot_be_leads_nowhere(void **state)
{
	static const struct {
		uint64_t off, length;
		unsigned count;
	} wants[] = {
		{ O, 0, 1 },
		{ O, 31, 1 },
		{ O, RING_FRAME_MAX + 1, 1 },
		{ O, UINT64_MAX >> 12, 1 },
		{ O, 128, 1 },
		{ O, 64, 4095 },
		{ UINT64_MAX, 64, 1 },
		{ BUS_OFFSET_MAX, 64, 1 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(wants); i++) {
		pin(0, P, BUS_PIN_HOLDING, wants[i].off, wants[i].length,
		    wants[i].count);
		tail(P + 64, O + 1);
		die(0);
		check(busd_repair_slot(&busd, 0), ==, -ENOENT);
		expect_untouched(P);
	}
}

static void a_frame_that_no_pin_names_ends_at_the_next_that_shows(void **state)
{
	struct bus_pair end = { P + 1024, O + 9 }, next;

	(void)state;
	next = busd_repair_scan(&busd, P, end);
	check(next.pos, ==, end.pos);
	check(next.off, ==, end.off);
	pin(2, P + 512, BUS_PIN_HOLDING, O + 5, 64, 1);
	tail(P + 1024, O + 9);
	next = busd_repair_scan(&busd, P, end);
	check(next.pos, ==, P + 512);
	check(next.off, ==, O + 5);
	commit(P + 192, O + 2, 64, 1);
	next = busd_repair_scan(&busd, P, end);
	check(next.pos, ==, P + 192);
	check(next.off, ==, O + 2);
}

#define REPAIR(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		REPAIR(a_claim_of_the_dead_is_aborted),
		REPAIR(what_was_never_claimed_is_not_touched),
		REPAIR(what_was_committed_stays_so),
		REPAIR(what_was_overwritten_laps_ago_is_not_touched),
		REPAIR(the_living_holder_keeps_its_frame),
		REPAIR(the_dead_holder_decides_not_the_claimer),
		REPAIR(a_living_claimer_is_waited_for),
		REPAIR(of_several_dead_the_one_that_fits_has_won),
		REPAIR(of_two_that_fit_the_smaller_has_won),
		REPAIR(a_want_that_cannot_be_leads_nowhere),
		REPAIR(a_frame_that_no_pin_names_ends_at_the_next_that_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

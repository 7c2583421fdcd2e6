/* SPDX-License-Identifier: MIT */
/*
 * test_ring.c - room, boundaries and the end of a ring, against a model.
 *
 * The ring is made in this process, so that its counters can start anywhere:
 * near 2^32, 2^63 and 2^64. The test claims and commits as section "Send" of
 * docs/design.md says, one step at a time, so that it can stop between any two
 * of them. The model is a list of what was sent. Capital letters in brackets
 * are the guarantees of libbus/ring.c.
 */
#define _GNU_SOURCE
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "util_ring.h"

/* ---- A producer, step by step ------------------------------------------ */

static uint64_t room(struct bus_ring *r, struct bus_pair at, uint64_t length)
{
	return bus_ring_reclaim(r, at.pos + bus_frame_size(length),
				r->one ? &at : NULL);
}

/* Steps 1 to 4, or what producers=one does instead. */
static int claim(struct bus_ring *r, unsigned slot, uint64_t length,
		 unsigned count, struct bus_pair *ret)
{
	struct bus_slot *s = &r->shm_slot[slot];
	uint64_t size = bus_frame_size(length);
	struct bus_pair at, next;

	for (;;) {
		at = bus_ring_end(r);
		if (bus_diff(at.pos + size, room(r, at, length)) > 0)
			return -EAGAIN;
		*ret = at;
		if (r->one)
			return 0;
		bus_store(&s->want_size, bus_want(size, count));
		bus_store(&s->want_off, at.off);
		bus_store_release(&s->pin, at.pos | BUS_PIN_CLAIMING);
		next = (struct bus_pair){ at.pos + size, at.off + count };
		if (bus_pair_cas(&r->shm_control->tail, at, next))
			break;
		bus_store_release(&s->pin, BUS_PIN_OFFLINE);
	}
	bus_store_release(&s->pin, at.pos | BUS_PIN_HOLDING);
	bus_ring_mark(r, at.pos, next);
	return 0;
}

/* Every byte of a frame tells where it was sent. */
static uint8_t payload(struct bus_pair at, uint64_t i)
{
	return (uint8_t)(at.pos / 64 * 31 + at.off * 7 + i);
}

/* Steps 5 and 6. */
static void resolve(struct bus_ring *r, unsigned slot, struct bus_pair at,
		    uint64_t length, unsigned count, unsigned state)
{
	struct bus_frame *f = bus_ring_frame(r, at.pos);
	struct bus_pair next = { at.pos + bus_frame_size(length),
				 at.off + count };
	uint8_t *p = (uint8_t *)(f + 1);

	for (uint64_t i = 0; i < length - sizeof(*f); i++)
		bus_store(&p[i], payload(at, i));
	bus_store(&f->word1, bus_word1(at.off, count));
	bus_store_release(&f->word0, bus_ring_word0(r, at.pos, length, state));
	if (r->one) {
		bus_store_release(&r->shm_slot[slot].last, at.pos);
		bus_ring_mark(r, at.pos, next);
	} else {
		bus_store_release(&r->shm_slot[slot].pin, BUS_PIN_OFFLINE);
	}
}

static int send_frame(struct bus_ring *r, uint64_t length, unsigned count)
{
	struct bus_pair at;
	int e = claim(r, 0, length, count, &at);

	if (!e)
		resolve(r, 0, at, length, count, BUS_STATE_COMMITTED);
	return e;
}

/* ---- A reader ---------------------------------------------------------- */

/* Take the frame at *at: its length, or 0 if there is none (or no more). */
static uint64_t take(struct bus_ring *r, struct bus_pair *at)
{
	struct bus_frame *f = bus_ring_frame(r, at->pos);
	struct bus_pair next;
	uint64_t w0 = bus_ring_header(r, at->pos, &next);
	uint64_t length = bus_word0_length(w0);
	uint8_t *p = (uint8_t *)(f + 1);

	if (!w0 || bus_word1_off(bus_load(&f->word1)) != at->off)
		return 0;
	for (uint64_t i = 0; i < length - sizeof(*f); i++)
		check(bus_load(&p[i]), ==, payload(*at, i));
	*at = next;
	return length;
}

static void pass(struct bus_ring *r, unsigned line, struct bus_pair at)
{
	bus_store_release(&r->shm_line[line].pos, at.pos | BUS_CONSUMER_BLOCK);
}

/* ---- The model --------------------------------------------------------- */

#define MODEL_MAX 60000
static struct sent {
	struct bus_pair at;
	uint64_t length;
} model[MODEL_MAX];
static unsigned n_model;

static bool is_boundary(struct bus_pair p, struct bus_pair end)
{
	for (unsigned i = n_model; i-- > 0;)
		if (model[i].at.pos == p.pos)
			return model[i].at.off == p.off;
	return p.pos == end.pos && p.off == end.off;
}

/* [E] closing, free and marks are boundaries, with the offset there. */
static void check_boundaries(struct bus_ring *r)
{
	struct bus_ring_control *c = r->shm_control;
	struct bus_pair end = bus_ring_end(r);

	check_true(is_boundary(c->closing, end));
	check_true(is_boundary(c->free, end));
	check(bus_diff(c->closing.pos, c->free.pos), >=, 0);
	check(bus_diff(end.pos, c->closing.pos), >=, 0);
	for (unsigned i = 0; i < BUS_MARKS; i++)
		check_true(is_boundary(c->mark[i], end));
}

/*
 * Random sends and reads with one blocking reader. A send fails exactly when
 * the reader's frame would be overwritten.
 */
static void run_against_model(uint64_t pos, uint64_t off, bool one)
{
	struct bus_ring *r = test_ring_new(pos, off, one);
	struct bus_pair at = { pos, off }, end;
	uint64_t seed = pos + off + one;
	unsigned read = 0;

	n_model = 0;
	check_true(bus_ring_enter(r, &r->shm_line[0], pos));
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t x = test_random(&seed);
		uint64_t length = 32 + x % (RING_FRAME_MAX - 31);
		unsigned count = 1 + (unsigned)(x >> 20) % 5;

		if (x >> 63 || (x >> 40) % 7 == 0) {
			end = bus_ring_end(r);
			if (send_frame(r, length, count)) {
				check(end.pos + bus_frame_size(length) - at.pos,
				      >, RING_SIZE);
				continue;
			}
			model[n_model++] = (struct sent){ end, length };
			if (step % 64 == 0)
				check_boundaries(r);
		} else if (read < n_model) {
			check(at.pos, ==, model[read].at.pos);
			check(at.off, ==, model[read].at.off);
			check(take(r, &at), ==, model[read++].length);
			pass(r, 0, at);
		} else {
			check(take(r, &at), ==, 0);
		}
	}
	check(read, >, 2000);
	test_ring_free(r);
}

static const uint64_t starts[] = {
	BUS_FIRST_POS,
	(UINT64_C(1) << 32) - 2 * RING_SIZE,
	(UINT64_C(1) << 63) - 2 * RING_SIZE,
	UINT64_C(0) - 10 * RING_SIZE,
};
static const uint64_t offsets[] = { 0, (UINT64_C(1) << 32) - 100,
				    BUS_OFFSET_MAX - 200000 };

static void what_is_read_is_what_was_sent(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(starts); i++)
		for (unsigned one = 0; one < 2; one++)
			run_against_model(starts[i],
					  offsets[i % N_ELEMENTS(offsets)],
					  one);
}

/* Three laps of frames of one length from every line of the ring. */
static void frames_wrap_at_every_residue(void **state)
{
	(void)state;
	for (uint64_t line = 1; line <= RING_SIZE / 64; line++) {
		for (uint64_t l = 1; l <= RING_FRAME_MAX / 64; l++) {
			struct bus_pair at = { line * 64, 5 };
			struct bus_ring *r =
				test_ring_new(at.pos, at.off, l & 1);

			check_true(bus_ring_enter(r, &r->shm_line[0], at.pos));
			while (at.pos < line * 64 + 3 * RING_SIZE) {
				check(send_frame(r, l * 64 - 3, 1), ==, 0);
				check(take(r, &at), ==, l * 64 - 3);
				pass(r, 0, at);
			}
			test_ring_free(r);
		}
	}
}

/* ---- Room -------------------------------------------------------------- */

static void a_blocking_reader_holds_room(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);
	struct bus_pair at = { 64, 0 };

	(void)state;
	check_true(bus_ring_enter(r, &r->shm_line[2], at.pos));
	for (unsigned i = 0; i < RING_SIZE / 64; i++)
		check(send_frame(r, 64, 1), ==, 0);
	check(send_frame(r, 64, 1), ==, -EAGAIN);
	check(take(r, &at), ==, 64);
	check(send_frame(r, 64, 1), ==, -EAGAIN);
	pass(r, 2, at);
	check(send_frame(r, 65, 1), ==, -EAGAIN);
	check(send_frame(r, 64, 1), ==, 0);
	check(send_frame(r, 64, 1), ==, -EAGAIN);
	test_ring_free(r);
}

/* [C] with a pin in the place of a reader. */
static void an_unresolved_frame_holds_room(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);
	struct bus_pair at;

	(void)state;
	check(claim(r, 1, 64, 1, &at), ==, 0);
	for (unsigned i = 1; i < RING_SIZE / 64; i++)
		check(send_frame(r, 64, 1), ==, 0);
	check(send_frame(r, 64, 1), ==, -EAGAIN);
	check(bus_ring_resolved(r, at.pos), ==, false);
	/* resolved by somebody else (busd): the pin no longer counts */
	bus_store(&bus_ring_frame(r, at.pos)->word1, bus_word1(at.off, 1));
	bus_store_release(&bus_ring_frame(r, at.pos)->word0,
			  bus_ring_word0(r, at.pos, 64, BUS_STATE_ABORTED));
	check(bus_ring_resolved(r, at.pos), ==, true);
	check(send_frame(r, 64, 1), ==, 0);
	/* a lap later a foreign stamp stands there, and still it is resolved */
	for (unsigned i = 0; i < 2 * RING_SIZE / 64; i++)
		check(send_frame(r, 64, 1), ==, 0);
	check(bus_ring_resolved(r, at.pos), ==, true);
	test_ring_free(r);
}

static void a_pin_above_the_tail_holds_nothing(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);

	(void)state;
	for (unsigned i = 0; i < 3 * RING_SIZE / 64; i++) {
		uint64_t tail = r->shm_control->tail.pos;

		r->shm_slot[3].pin = (tail + 128) | BUS_PIN_CLAIMING;
		check(send_frame(r, 64, 1), ==, 0);
	}
	test_ring_free(r);
}

static void a_closed_ring_gives_no_room(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);
	uint64_t free;

	(void)state;
	for (unsigned i = 0; i < RING_SIZE / 64; i++)
		check(send_frame(r, 64, 1), ==, 0);
	free = r->shm_control->free.pos;
	r->shm_control->tail.pos |= BUS_TAIL_CLOSED;
	check(bus_ring_reclaim(r, free + RING_SIZE + 64, NULL), ==,
	      free + RING_SIZE);
	test_ring_free(r);
}

/* What slow readers may still want is kept: a quarter goes, not all. */
static void reclaim_frees_what_is_needed_and_a_quarter(void **state)
{
	(void)state;
	for (unsigned one = 0; one < 2; one++) {
		struct bus_ring *r = test_ring_new(64, 0, one);

		for (unsigned i = 0; i < 5 * RING_SIZE / 64; i++) {
			struct bus_pair end;

			check(send_frame(r, 64, 1), ==, 0);
			end = bus_ring_end(r);
			if (i > RING_SIZE / 64)
				check(end.pos - r->shm_control->free.pos, >=,
				      RING_SIZE - RING_SIZE / 4 -
					      RING_SIZE / 16);
		}
		test_ring_free(r);
	}
}

static void without_marks_reclaim_still_finds_room(void **state)
{
	(void)state;
	for (unsigned one = 0; one < 2; one++) {
		struct bus_ring *r = test_ring_new(64, 0, one);

		for (unsigned i = 0; i < 5 * RING_SIZE / 64; i++) {
			memset(r->shm_control->mark, 0,
			       sizeof(r->shm_control->mark));
			check(send_frame(r, 64, 1), ==, 0);
			/* somebody else must find the end as well */
			check(bus_ring_end(r).off, ==, i + 1);
		}
		test_ring_free(r);
	}
}

static void nobody_enters_below_closing(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);
	struct bus_consumer_line *line = &r->shm_line[1];
	struct bus_pair closing;

	(void)state;
	for (unsigned i = 0; i < 3 * RING_SIZE / 64; i++)
		check(send_frame(r, 64, 1), ==, 0);
	/* a promise that is not kept yet counts already */
	closing = r->shm_control->closing;
	closing.pos += 64;
	closing.off += 1;
	r->shm_control->closing = closing;
	check_true(!bus_ring_enter(r, line, closing.pos - 64));
	check(line->pos, ==, 0);
	check_true(bus_ring_enter(r, line, closing.pos));
	while (!send_frame(r, 64, 1))
		;
	check(bus_diff(closing.pos, r->shm_control->free.pos), >=, 0);
	check(take(r, &closing), ==, 64);
	test_ring_free(r);
}

/* ---- What laps leave behind -------------------------------------------- */

/* [B] */
static void a_frame_of_an_earlier_lap_does_not_pass(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);
	struct bus_pair at = { 64, 0 }, next;

	(void)state;
	for (unsigned lap = 0; lap < 3; lap++) {
		for (unsigned i = 0; i < RING_SIZE / 64; i++) {
			uint64_t p = at.pos;

			check(bus_ring_header(r, p, &next), ==, 0);
			check(bus_ring_resolved(r, p), ==, false);
			check(send_frame(r, 64, 1), ==, 0);
			check(take(r, &at), ==, 64);
			check(bus_ring_resolved(r, p), ==, true);
		}
	}
	test_ring_free(r);
}

/* [D] */
static void a_lapped_reader_is_told(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);
	struct bus_pair at = { 64, 0 };

	(void)state;
	check(send_frame(r, 64, 1), ==, 0);
	while (r->shm_control->free.pos == 64)
		check(send_frame(r, 64, 1), ==, 0);
	check(bus_diff(r->shm_control->free.pos, at.pos), >, 64);
	check(take(r, &at), ==, 0);
	/* freed, though not overwritten yet */
	at = (struct bus_pair){ 128, 1 };
	check(bus_ring_resolved(r, at.pos), ==, true);
	check(take(r, &at), ==, 0);
	at = bus_ring_beginning(r);
	check(take(r, &at), ==, 64);
	test_ring_free(r);
}

static void a_length_that_cannot_be_is_refused(void **state)
{
	static const uint64_t bad[] = { 0, 1, 31, RING_FRAME_MAX + 1,
					BUS_FRAME_LENGTH_MAX };
	struct bus_ring *r = test_ring_new(64, 0, false);
	struct bus_pair next = { 1, 2 };

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(bad); i++) {
		bus_ring_frame(r, 64)->word0 =
			bus_ring_word0(r, 64, bad[i], BUS_STATE_COMMITTED);
		check(bus_ring_header(r, 64, &next), ==, 0);
	}
	bus_ring_frame(r, 64)->word0 = bus_ring_word0(r, 64, 64, 0);
	check(bus_ring_header(r, 64, &next), ==, 0);
	check(bus_ring_resolved(r, 64), ==, false);
	check(next.pos, ==, 1);
	test_ring_free(r);
}

/* ---- The end with one producer ------------------------------------------ */

static void the_end_is_found_behind_the_last_frame(void **state)
{
	struct bus_ring *r = test_ring_new(64, 9, true);
	struct bus_pair at;

	(void)state;
	check(bus_ring_end(r).pos, ==, 64);
	check(bus_ring_end(r).off, ==, 9);
	check(send_frame(r, 100, 3), ==, 0);
	check(bus_ring_end(r).pos, ==, 64 + 128);
	check(bus_ring_end(r).off, ==, 12);
	/* killed behind word 0, before `last` */
	at = bus_ring_end(r);
	resolve(r, 5, at, 32, 1, BUS_STATE_COMMITTED);
	check(bus_ring_end(r).pos, ==, 64 + 128 + 64);
	check(bus_ring_end(r).off, ==, 13);
	test_ring_free(r);
}

static void a_new_owner_begins_at_the_pair(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, true);
	struct bus_pair end;

	(void)state;
	check(send_frame(r, 64, 1), ==, 0);
	end = bus_ring_end(r);
	r->shm_control->tail =
		(struct bus_pair){ end.pos | BUS_TAIL_ONE, end.off };
	test_ring_head(r)->owner = UINT64_C(8) << 32 | 2;
	check(bus_ring_end(r).pos, ==, end.pos);
	resolve(r, 1, end, 64, 1, BUS_STATE_COMMITTED);
	check(bus_ring_end(r).pos, ==, end.pos + 64);
	/* the old owner's `last` says nothing any more */
	r->shm_slot[0].last = end.pos + 640;
	check(bus_ring_end(r).pos, ==, end.pos + 64);
	/* nobody owns it */
	test_ring_head(r)->owner = 0;
	r->shm_control->tail.pos = (end.pos + 64) | BUS_TAIL_ONE;
	r->shm_control->tail.off = end.off + 1;
	check(bus_ring_end(r).pos, ==, end.pos + 64);
	test_ring_free(r);
}

/* A producer may write anything there; nobody may hang because of it. */
static void a_last_that_cannot_be_ends_the_search(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, true);

	(void)state;
	check(send_frame(r, 64, 1), ==, 0);
	r->shm_slot[0].last = 64 + 640;
	alarm(5);
	bus_ring_end(r);
	r->shm_slot[0].last = 64 + 7;
	bus_ring_end(r);
	alarm(0);
	test_ring_free(r);
}

/* ---- Seek --------------------------------------------------------------- */

static void seek_finds_every_offset(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (unsigned one = 0; one < 2; one++) {
		struct bus_ring *r = test_ring_new(64, 0, one);

		for (n_model = 0; n_model < 1000; n_model++) {
			uint64_t x = test_random(&seed);
			struct bus_pair end = bus_ring_end(r);

			model[n_model] =
				(struct sent){ end,
					       32 + x % (RING_FRAME_MAX / 2) };
			check(send_frame(r, model[n_model].length,
					 1 + (unsigned)(x >> 40) % 9),
			      ==, 0);
		}
		for (unsigned i = 0; i < n_model; i++) {
			struct bus_pair at = model[i].at, got;
			uint64_t behind = i + 1 < n_model ?
						  model[i + 1].at.off :
						  bus_ring_end(r).off;
			bool there = bus_diff(at.pos,
					      r->shm_control->closing.pos) >= 0;

			for (uint64_t o = at.off; o < behind; o++) {
				int e = bus_ring_seek(r, o, &got);

				check(e, ==, there ? 0 : -ERANGE);
				if (there)
					check(got.pos, ==, at.pos);
				if (there)
					check(got.off, ==, at.off);
			}
		}
		test_ring_free(r);
	}
}

static void seek_goes_to_the_end_and_no_further(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);
	struct bus_pair at, got = { 0, 0 };

	(void)state;
	check(bus_ring_seek(r, 0, &got), ==, 0);
	check(got.pos, ==, 64);
	check(bus_ring_seek(r, 1, &got), ==, -ERANGE);
	check(send_frame(r, 64, 2), ==, 0);
	check(bus_ring_seek(r, 2, &got), ==, 0);
	check(got.pos, ==, 128);
	check(bus_ring_seek(r, 3, &got), ==, -ERANGE);
	/* a frame that is not written yet is in the way */
	check(claim(r, 1, 64, 1, &at), ==, 0);
	check(send_frame(r, 64, 1), ==, 0);
	check(bus_ring_seek(r, 3, &got), ==, -EAGAIN);
	check(bus_ring_seek(r, 4, &got), ==, 0);
	check(got.pos, ==, 256);
	resolve(r, 1, at, 64, 1, BUS_STATE_ABORTED);
	check(bus_ring_seek(r, 3, &got), ==, 0);
	check(got.pos, ==, 192);
	test_ring_free(r);
}

/* ---- Threads ------------------------------------------------------------ */

#define RACE_FRAMES (2000000u / TEST_SLOW)
#define NEAR_THE_END (UINT64_C(0) - 3 * RING_SIZE)

struct race {
	struct bus_ring *ring;
	uint64_t stop;
	unsigned slot;
	unsigned spread; /* of the lengths */
};

static void *race_send(void *arg)
{
	struct race *race = arg;

	for (unsigned i = 0; i < RACE_FRAMES;) {
		uint64_t length = 40 + i % race->spread;
		struct bus_pair at;

		if (claim(race->ring, race->slot, length, 1, &at)) {
			sched_yield();
			continue;
		}
		resolve(race->ring, race->slot, at, length, 1,
			BUS_STATE_COMMITTED);
		i++;
	}
	return NULL;
}

/* Two producers, one blocking reader: each frame once, whole, in order. */
static void two_producers_and_a_reader_agree(void **state)
{
	struct bus_ring *r = test_ring_new(NEAR_THE_END, 0, false);
	struct race race[2] = {
		{ .ring = r, .slot = 0, .spread = 200 },
		{ .ring = r, .slot = 3, .spread = 90 },
	};
	struct bus_pair at = { NEAR_THE_END, 0 };
	pthread_t thread[2];

	(void)state;
	check_true(bus_ring_enter(r, &r->shm_line[0], at.pos));
	for (unsigned i = 0; i < 2; i++)
		check(pthread_create(&thread[i], NULL, race_send, &race[i]), ==,
		      0);
	while (at.off < 2 * RACE_FRAMES) {
		if (take(r, &at))
			pass(r, 0, at);
		else
			sched_yield();
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	check(bus_ring_end(r).off, ==, 2 * RACE_FRAMES);
	test_ring_free(r);
}

static void *race_enter(void *arg)
{
	struct race *race = arg;
	struct bus_ring *r = race->ring;
	struct bus_consumer_line *line = &r->shm_line[1];
	uint64_t entered = 0;

	while (!bus_load_acquire(&race->stop)) {
		struct bus_pair at = bus_ring_beginning(r);

		if (!bus_ring_enter(r, line, at.pos))
			continue;
		/* [C] from here on it is ours, as long as we like */
		for (unsigned i = 0; i < 20; i++)
			check(bus_diff(bus_load(&r->shm_control->free.pos),
				       at.pos),
			      <=, 0);
		if (++entered % 64 == 0)
			while (at.pos != bus_ring_end(r).pos && take(r, &at))
				pass(r, 1, at);
		bus_store_release(&line->pos, UINT64_C(0));
	}
	check(entered, >, 10);
	return NULL;
}

static void whoever_came_in_is_not_overwritten(void **state)
{
	struct bus_ring *r = test_ring_new(64, 0, false);
	struct race race = { .ring = r, .spread = 1 };
	pthread_t thread;

	(void)state;
	check(pthread_create(&thread, NULL, race_enter, &race), ==, 0);
	race_send(&race);
	bus_store_release(&race.stop, UINT64_C(1));
	pthread_join(thread, NULL);
	test_ring_free(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_what_was_sent),
		cmocka_unit_test(frames_wrap_at_every_residue),
		cmocka_unit_test(a_blocking_reader_holds_room),
		cmocka_unit_test(an_unresolved_frame_holds_room),
		cmocka_unit_test(a_pin_above_the_tail_holds_nothing),
		cmocka_unit_test(a_closed_ring_gives_no_room),
		cmocka_unit_test(reclaim_frees_what_is_needed_and_a_quarter),
		cmocka_unit_test(without_marks_reclaim_still_finds_room),
		cmocka_unit_test(nobody_enters_below_closing),
		cmocka_unit_test(a_frame_of_an_earlier_lap_does_not_pass),
		cmocka_unit_test(a_lapped_reader_is_told),
		cmocka_unit_test(a_length_that_cannot_be_is_refused),
		cmocka_unit_test(the_end_is_found_behind_the_last_frame),
		cmocka_unit_test(a_new_owner_begins_at_the_pair),
		cmocka_unit_test(a_last_that_cannot_be_ends_the_search),
		cmocka_unit_test(seek_finds_every_offset),
		cmocka_unit_test(seek_goes_to_the_end_and_no_further),
		cmocka_unit_test(two_producers_and_a_reader_agree),
		cmocka_unit_test(whoever_came_in_is_not_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

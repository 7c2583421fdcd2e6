/* SPDX-License-Identifier: MIT */
/*
 * attach.c - how long it takes until a handle can send or read.
 *
 * What is timed is bus_producer_open() or bus_consumer_open() alone, on a bus
 * that is open: the question to busd and its answer, and mapping the ring.
 *
 *   ...-first  by a fresh process, forked for this one sample, that has never
 *              mapped anything of the topic; against one mmap of as many bytes
 *              by an equally fresh process (floor_mmap.c)
 *   ...-again  by a process that has another handle on the same topic open
 *
 * A takes the samples. B sleeps meanwhile: busd needs a core to answer on, and
 * would wait for B's time slice to end.
 */
#include "attach.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TOPIC "attach"

int bench_attach_prepare(struct bench_part *part)
{
	return bench_share(part, sizeof(struct attach_page));
}

int bench_attach_connect(struct bench_part *part, struct attach *ret)
{
	*ret = (struct attach){ 0 };
	return bench_connect(part, &ret->bus);
}

int bench_attach_open(struct bench_part *part, struct attach *attach)
{
	return part->params.producers ? bench_producer(part, attach->bus, TOPIC,
						       &attach->producer) :
					bench_consumer(part, attach->bus, TOPIC,
						       &attach->consumer);
}

void bench_attach_close(struct attach *attach)
{
	attach->producer = bus_producer_close(attach->producer);
	attach->consumer = bus_consumer_close(attach->consumer);
}

static int create(void *arg)
{
	struct bench_part *part = arg;
	struct attach attach;
	int r = bench_attach_connect(part, &attach);

	if (!r)
		r = bench_create(part, attach.bus, TOPIC, "drop");
	bus_close(attach.bus);
	return r;
}

int bench_attach_create(struct bench_part *part)
{
	return bench_in_child(create, part);
}

static void sleep_until(uint32_t *shm_word, uint32_t value)
{
	uint32_t seen;

	while ((seen = bench_load(shm_word)) != value)
		syscall(SYS_futex, shm_word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

int bench_attach_slice(struct bench_part *part, enum bench_side side,
		       uint64_t ops, int (*sample)(struct bench_part *part))
{
	struct attach_page *page = part->shared;
	struct attach *attach = part->state;

	if (side == BENCH_B) {
		sleep_until(&page->finished, ++attach->slices);
		return 0;
	}
	for (uint64_t i = 0; i < ops; i++) {
		int r = sample(part);

		if (r < 0)
			return r;
		bench_watch_add(&part->watch, page->ticks);
	}
	bench_store(&page->finished, page->finished + 1);
	syscall(SYS_futex, &page->finished, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return 0;
}

/* ---- First --------------------------------------------------------------- */

static int first_open(struct bench_part *part, enum bench_side side)
{
	if (!bench_state(part, sizeof(struct attach)))
		return BUS_ENOMEM;
	return side == BENCH_A ? bench_attach_create(part) : 0;
}

static int open_and_close(struct bench_part *part, struct attach *attach)
{
	struct attach_page *page = part->shared;
	uint64_t began = bench_ticks();
	int r = bench_attach_open(part, attach);

	page->ticks = bench_ticks() - began;
	bench_attach_close(attach);
	return r;
}

static int first_in_child(void *arg)
{
	struct bench_part *part = arg;
	struct attach attach;
	int r = bench_attach_connect(part, &attach);

	if (!r)
		r = open_and_close(part, &attach);
	bus_close(attach.bus);
	return r;
}

static int first_sample(struct bench_part *part)
{
	return bench_in_child(first_in_child, part);
}

static int first_slice(struct bench_part *part, enum bench_side side,
		       uint64_t ops)
{
	return bench_attach_slice(part, side, ops, first_sample);
}

/* ---- Again --------------------------------------------------------------- */

static int again_open(struct bench_part *part, enum bench_side side)
{
	struct attach *attach = bench_state(part, sizeof(*attach));
	int r;

	if (!attach)
		return BUS_ENOMEM;
	if (side == BENCH_B)
		return 0;
	r = bench_attach_create(part);
	if (!r)
		r = bench_attach_connect(part, attach);
	return r ? r : bench_attach_open(part, attach);
}

static int again_sample(struct bench_part *part)
{
	struct attach *attach = part->state;
	struct attach again = { .bus = attach->bus };

	return open_and_close(part, &again);
}

static int again_slice(struct bench_part *part, enum bench_side side,
		       uint64_t ops)
{
	return bench_attach_slice(part, side, ops, again_sample);
}

static void again_close(struct bench_part *part, enum bench_side side)
{
	struct attach *attach = part->state;

	(void)side;
	bench_attach_close(attach);
	bus_close(attach->bus);
}

/* ---- The table ------------------------------------------------------------ */

#define FIRST(which)                                                           \
	static const struct bench_subject which##_first = {                    \
		.name = #which "-first",                                       \
		.prepare = bench_attach_prepare,                               \
		.open = first_open,                                            \
		.slice = first_slice,                                          \
	}
#define AGAIN(which)                                                           \
	static const struct bench_subject which##_again = {                    \
		.name = #which "-again",                                       \
		.prepare = bench_attach_prepare,                               \
		.open = again_open,                                            \
		.slice = again_slice,                                          \
		.close = again_close,                                          \
	}

FIRST(producer);
FIRST(consumer);
AGAIN(producer);
AGAIN(consumer);

#define ROW(what, against, n, m, goal)                                         \
	{                                                                      \
		.subject = &(what), .floor = (against), .target = (goal),      \
		.params = { .batch = 1,                                        \
			    .producers = (n),                                  \
			    .consumers = (m),                                  \
			    .ring_bytes = BENCH_RING_BYTES,                    \
			    .storage = "memory",                               \
			    .path = "many",                                    \
			    .wait = "spin" },                                  \
	}

static const struct bench_row rows[] = {
	ROW(producer_first, &bench_floor_mmap, 1, 0, 1.2),
	ROW(consumer_first, &bench_floor_mmap, 0, 1, 1.2),
	ROW(producer_again, NULL, 1, 0, 200e3),
	ROW(consumer_again, NULL, 0, 1, 200e3),
};

const struct bench bench_attach = {
	.name = "attach",
	.what = "opening a producer or consumer, by a fresh process and again",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.metric = BENCH_TIME,
	.chunk = 1,
	.guess = 3e6,
	.idles = true,
};

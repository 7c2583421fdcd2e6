/* SPDX-License-Identifier: MIT */
/*
 * floor_line.c - fresh-line: a ping-pong over fresh 64-byte lines.
 *
 * Two rings as large as a topic's, one for each direction. A side writes one
 * word into the next line of its ring, and the other spins on that line: what
 * any log in shared memory pays at least, whatever it carries. Over one and
 * the same line it takes longer: that must be taken back from the other first.
 *
 * How the other side spins decides a third of it. Loads as fast as they go
 * pile up on the line that is being fetched, and are thrown away when it
 * comes: 125 ns there and back, 590 far. With an lfence between them 104, with
 * one pause 85 and 430, with two 141. Prefetching the next line for writing,
 * or storing the whole line at once, gains nothing.
 */
#include "bench.h"

struct line {
	_Alignas(BENCH_LINE) uint64_t word;
};

struct rings {
	struct line *out, *in;
	uint64_t mask;
	uint64_t next; /* number of the next trip, from 1 */
};

static int line_prepare(struct bench_part *part)
{
	return bench_share(part, 2 * part->params.ring_bytes);
}

static int line_open(struct bench_part *part, enum bench_side side)
{
	struct rings *rings = bench_state(part, sizeof(*rings));
	uint64_t lines = part->params.ring_bytes / sizeof(struct line);
	struct line *first = part->shared;

	if (!rings)
		return BUS_ENOMEM;
	rings->out = side == BENCH_A ? first : first + lines;
	rings->in = side == BENCH_A ? first + lines : first;
	rings->mask = lines - 1;
	rings->next = 1;
	return 0;
}

static inline void line_put(struct rings *rings, uint64_t trip)
{
	bench_store(&rings->out[trip & rings->mask].word, trip);
}

static inline void line_take(struct rings *rings, uint64_t trip)
{
	while (bench_load(&rings->in[trip & rings->mask].word) != trip)
		bench_pause();
}

static int line_slice(struct bench_part *part, enum bench_side side,
		      uint64_t ops)
{
	struct rings *rings = part->state;
	uint64_t trip = rings->next;
	uint64_t end = trip + ops;

	rings->next = end;
	if (side == BENCH_B) {
		for (; trip < end; trip++) {
			line_take(rings, trip);
			line_put(rings, trip);
		}
		return 0;
	}
	while (trip < end) {
		for (unsigned i = 0; i < part->chunk; i++, trip++) {
			line_put(rings, trip);
			line_take(rings, trip);
		}
		bench_lap(&part->watch);
	}
	return 0;
}

const struct bench_subject bench_floor_line = {
	.name = "fresh-line",
	.prepare = line_prepare,
	.open = line_open,
	.slice = line_slice,
};

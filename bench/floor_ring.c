/* SPDX-License-Identifier: MIT */
/*
 * floor_ring.c - bare-ring: one producer, one consumer, and nothing else.
 *
 * The fastest plain ring we know to write, of as many bytes as the topic's.
 * The word that says "full" stands in the slot itself, in the line that the
 * consumer needs anyway, and bears the number of the record, so that it never
 * has to be cleared; the producer knows from a cached copy of the consumer's
 * count that there is room, and the consumer publishes that count a few times
 * a lap. Two shared indices instead, each cached by the other side, were slower
 * in every placement, by 10 to 80 %.
 *
 * Nothing is checked, nobody can attach, die or be late. The payload is
 * written in full, its first word is the record's number, and the consumer
 * adds those up, as it does when it reads a topic.
 */
#include <string.h>

#include "bench.h"

struct ring {
	uint8_t *slots;
	uint64_t *shm_read; /* records that the consumer is through with */
	uint64_t n_slots;
	uint64_t next; /* number of the next record, from 0 */
	uint64_t read; /* producer: what it last saw of *shm_read */
	uint64_t index; /* of slot `next` */
	uint8_t value[BENCH_BYTES_MAX];
};

/* A slot is the record and a 32-byte header, as a frame is, in whole lines. */
static uint64_t slot_size(const struct bench_part *part)
{
	return (part->params.bytes + 32 + BENCH_LINE - 1) / BENCH_LINE *
	       BENCH_LINE;
}

static int ring_prepare(struct bench_part *part)
{
	return bench_share(part, part->params.ring_bytes + 2 * BENCH_LINE);
}

static int ring_open(struct bench_part *part, enum bench_side side)
{
	struct ring *ring = bench_state(part, sizeof(*ring));

	(void)side;
	if (!ring)
		return BUS_ENOMEM;
	ring->slots = part->shared;
	ring->shm_read =
		(uint64_t *)(void *)(ring->slots + part->params.ring_bytes);
	ring->n_slots = part->params.ring_bytes / slot_size(part);
	return 0;
}

static inline uint64_t *slot_at(const struct ring *ring, uint64_t size)
{
	return (uint64_t *)(void *)(ring->slots + ring->index * size);
}

static inline void step(struct ring *ring)
{
	ring->next++;
	if (++ring->index == ring->n_slots)
		ring->index = 0;
}

/* Inlined with constants, so that the copy is a few moves. */
static inline __attribute__((always_inline)) void
produce(struct ring *ring, uint64_t ops, uint64_t size, uint64_t bytes)
{
	for (uint64_t i = 0; i < ops; i++) {
		uint64_t *slot = slot_at(ring, size);

		while (ring->next - ring->read >= ring->n_slots) {
			ring->read = bench_load(ring->shm_read);
			bench_pause();
		}
		memcpy(ring->value, &ring->next, sizeof(ring->next));
		memcpy(slot + 4, ring->value, bytes);
		bench_store(slot, ring->next + 1);
		step(ring);
	}
}

static inline __attribute__((always_inline)) uint64_t
consume(struct ring *ring, uint64_t ops, uint64_t size)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < ops; i++) {
		uint64_t *slot = slot_at(ring, size);

		while (bench_load(slot) != ring->next + 1)
			for (int j = 0; j < BENCH_PAUSES; j++)
				bench_pause();
		sum += slot[4];
		step(ring);
		if (ring->next % 4096 == 0)
			bench_store(ring->shm_read, ring->next);
	}
	return sum;
}

static void produce_slice(struct ring *ring, uint64_t ops, uint64_t size,
			  uint32_t bytes)
{
	if (bytes == 32)
		produce(ring, ops, 64, 32);
	else if (bytes == 256)
		produce(ring, ops, 320, 256);
	else
		produce(ring, ops, size, bytes);
}

static int ring_slice(struct bench_part *part, enum bench_side side,
		      uint64_t ops)
{
	struct ring *ring = part->state;
	uint64_t size = slot_size(part), first = ring->next, sum = 0;

	if (side == BENCH_B) {
		produce_slice(ring, ops, size, part->params.bytes);
		return 0;
	}
	for (uint64_t i = 0; i < ops; i += part->chunk) {
		sum += size == 64  ? consume(ring, part->chunk, 64) :
		       size == 320 ? consume(ring, part->chunk, 320) :
				     consume(ring, part->chunk, size);
		bench_lap(&part->watch);
	}
	if (sum != ops * first + ops * (ops - 1) / 2)
		return bench_fail(BUS_ECORRUPT, "bare-ring: wrong sum");
	return 0;
}

const struct bench_subject bench_floor_ring = {
	.name = "bare-ring",
	.prepare = ring_prepare,
	.open = ring_open,
	.slice = ring_slice,
};

/* SPDX-License-Identifier: MIT */
/*
 * ring.h - a mapped ring and the rules for it: frames, room, entry, the end.
 *
 * Nothing here allocates, maps, talks to busd or sleeps. The design and the
 * table of who may be doing what at the same time are in ring.c.
 */
#ifndef BUS_RING_H
#define BUS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomic.h"
#include "layout.h"

/*
 * A ring as this process has it mapped. The numbers are copies, checked when
 * it was mapped; what is behind shm_ pointers others may change at any time.
 */
struct bus_ring {
	uint8_t *shm_data;	/* ring_bytes, then the mirror */
	uint64_t size;
	uint64_t mask;
	uint64_t frame_max;
	uint64_t salt;
	bool one;		/* producers=one */
	struct bus_ring_control *shm_control;
	struct bus_slot *shm_slot;		/* [BUS_SLOTS] */
	struct bus_stats *shm_slot_stats;	/* [BUS_SLOTS] */
	const struct bus_ring_head *shm_head;
	struct bus_bells *shm_bells;
	struct bus_consumer_line *shm_line;	/* [BUS_SLOTS] */
	struct bus_stats *shm_line_stats;	/* [BUS_SLOTS] */
	const struct bus_partition_page *shm_partition;
};

/* frames */

static inline uint64_t bus_frame_size(uint64_t length)
{
	return (length + BUS_FRAME_ALIGN - 1) & ~(BUS_FRAME_ALIGN - 1);
}

static inline struct bus_frame *bus_ring_frame(const struct bus_ring *ring,
					       uint64_t pos)
{
	return (struct bus_frame *)(ring->shm_data + (pos & ring->mask));
}

/* The stamp of a position, where it stands in word 0. */
static inline uint64_t bus_stamp(uint64_t salt, uint64_t pos)
{
	return (pos / BUS_FRAME_ALIGN ^ salt) << 24;
}

static inline uint64_t bus_ring_stamp(const struct bus_ring *ring, uint64_t pos)
{
	return bus_stamp(ring->salt, pos);
}

static inline uint64_t bus_ring_word0(const struct bus_ring *ring, uint64_t pos,
				      uint64_t length, unsigned state)
{
	return bus_ring_stamp(ring, pos) | length << 2 | state;
}

static inline bool bus_ring_stamped(const struct bus_ring *ring, uint64_t pos,
				    uint64_t word0)
{
	return (word0 ^ bus_ring_stamp(ring, pos)) < UINT64_C(1) << 24;
}

static inline uint64_t bus_word0_length(uint64_t word0)
{
	return word0 >> 2 & BUS_FRAME_LENGTH_MAX;
}

static inline unsigned bus_word0_state(uint64_t word0)
{
	return word0 & 3;
}

static inline uint64_t bus_word1(uint64_t off, unsigned count)
{
	return off << 12 | count;
}

static inline uint64_t bus_word1_off(uint64_t word1)
{
	return word1 >> 12;
}

static inline unsigned bus_word1_count(uint64_t word1)
{
	return word1 & 4095;
}

/* A length that a frame of this ring can have; checked before it is used. */
static inline bool bus_ring_length_ok(const struct bus_ring *ring,
				      uint64_t length)
{
	return length >= sizeof(struct bus_frame) && length <= ring->frame_max;
}

/* a - b of two positions or offsets that are free-running */
static inline int64_t bus_diff(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b);
}

/* tail */

static inline uint64_t bus_tail_pos(struct bus_pair tail)
{
	return tail.pos & ~BUS_TAIL_FLAGS;
}

/* What a slot wants: its claim's bytes and records in one word. */
static inline uint64_t bus_want(uint64_t size, unsigned count)
{
	return size << 12 | count;
}

/* queries; each may be old by the time it returns, none is ever torn */

/*
 * Whether the frame at @pos is committed or aborted (or was, laps ago). May
 * be called for any position below the tail.
 */
bool bus_ring_resolved(const struct bus_ring *ring, uint64_t pos);

/*
 * Read the frame header at a boundary.
 * @next: gets the position and offset behind the frame.
 * Return: its word 0; 0 if it is not resolved, is gone, or cannot be right.
 */
uint64_t bus_ring_header(const struct bus_ring *ring, uint64_t pos,
			 struct bus_pair *next);

/*
 * The end: where the next record will be. With producers=many what is claimed;
 * with producers=one what is published.
 */
struct bus_pair bus_ring_end(const struct bus_ring *ring);

/* The earliest that a reader may begin with. */
static inline struct bus_pair bus_ring_beginning(const struct bus_ring *ring)
{
	return bus_pair_load(&ring->shm_control->closing);
}

/*
 * The frame that holds offset @off, or where it will be.
 * Return: 0; -ERANGE if it is below the beginning or above the end; -EAGAIN if
 *   the search was lapped or met a frame that is not resolved yet.
 */
int bus_ring_seek(const struct bus_ring *ring, uint64_t off,
		  struct bus_pair *ret);

/* room */

/*
 * Free what nobody needs, as far as a claim up to @upto asks for, and a
 * quarter of the ring more. Anyone who may produce may call it; with
 * producers=one only the owner, who gives its own @end.
 * @end: with producers=one: the owner's position and offset; else NULL.
 * Return: the position up to which there is room now.
 */
uint64_t bus_ring_reclaim(const struct bus_ring *ring, uint64_t upto,
			  const struct bus_pair *end);

/* Store the mark of a claim [pos, next) if it crossed a sixteenth's border. */
void bus_ring_mark(const struct bus_ring *ring, uint64_t pos,
		   struct bus_pair next);

/*
 * Come in at @pos as a reader that holds room back: announces it in @line,
 * and checks that no reclaim has promised to free it.
 * Return: true: from here on nothing at or behind @pos is freed; false: the
 *   line is withdrawn, choose a later position; the caller rings `room`.
 */
bool bus_ring_enter(const struct bus_ring *ring,
		    struct bus_consumer_line *shm_line, uint64_t pos);

#endif

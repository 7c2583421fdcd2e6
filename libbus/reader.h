/* SPDX-License-Identifier: MIT */
/*
 * reader.h - what a consumer consists of.
 *
 *	consumer.c	reading and waiting
 *	subscribe.c	opening, seeking, growing, closing
 *	notify.c	a descriptor for epoll
 */
#ifndef BUS_READER_H
#define BUS_READER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <bus/bus.h>

#include "attach.h"
#include "ring.h"
#include "wait.h"

/* What calls that look for something return besides errors. */
enum { BUS_NOTHING = 0, BUS_FOUND = 1 };

/* One partition. */
struct bus_reader {
	/* what every read needs, copied out of the mapping */
	const uint8_t *shm_data;
	uint64_t mask;
	uint64_t salt;
	uint64_t frame_max;
	uint32_t partition;
	const struct bus_ring_control *shm_control;
	const struct bus_ring_head *shm_head;
	struct bus_bells *shm_bells;
	struct bus_consumer_line *shm_line;
	/* the cursor */
	struct bus_pair at;	/* the frame that is read, or comes next */
	struct bus_pair next;	/* behind it, if it is known */
	uint64_t off;		/* of the record that is read next */
	uint64_t left;		/* records of the frame that are not read */
	const uint8_t *cursor, *end;
	int64_t timestamp;	/* words 2 and 3 of the frame */
	uint64_t word3;
	unsigned state;
	uint64_t block;		/* 0, or BUS_CONSUMER_BLOCK */
	uint64_t passed;	/* what the line says */
	uint64_t records, bytes;
	struct bus_attachment place;
	bool fresh;		/* just attached: `place` is the oldest ring */
};

struct bus_notify;

struct bus_consumer {
	struct bus_reader **readers;
	uint32_t n_readers;
	uint32_t turn;		/* where the next round begins */
	unsigned generation;
	enum bus_wait wait;
	int64_t sleep_bound;	/* ns; sleeps are never longer */
	struct bus_notify *notify; /* NULL: nobody asked for a descriptor */
	bool has_lost;
	struct bus_lost lost;
	bool all;		/* also partitions that are added later */
	enum bus_slow slow;
	struct bus *bus;
	char topic[BUS_NAME_MAX + 1];
};

/* cursor */

/* Tell what was passed, and the offset for whoever looks. */
static inline void bus_reader_pass(struct bus_reader *r)
{
	if (r->passed == r->at.pos)
		return;
	r->passed = r->at.pos;
	bus_store(&r->shm_line->off, r->at.off);
	bus_store(&r->shm_line->records, r->records);
	bus_store(&r->shm_line->bytes, r->bytes);
	/* [pass:A] pairs [pass:B]: all reads of the frames come before */
	bus_store_release(&r->shm_line->pos, r->at.pos | r->block);
	if (r->block && bus_bell_armed(&r->shm_bells->room))
		bus_bell_ring(&r->shm_bells->room);
}

static inline void bus_reader_stand(struct bus_reader *r, struct bus_pair at)
{
	r->at = at;
	r->next = at;
	r->left = 0;
}

/* Stand in another ring, whose reference is taken over. */
static inline void bus_reader_move(struct bus_reader *r,
				   const struct bus_attachment *to)
{
	const struct bus_ring *ring = &to->map->ring;

	if (r->place.map)
		bus_map_put(r->place.map);
	r->place = *to;
	r->fresh = false;
	r->shm_data = ring->shm_data;
	r->mask = ring->mask;
	r->salt = ring->salt;
	r->frame_max = ring->frame_max;
	r->partition = to->map->partition;
	r->shm_control = ring->shm_control;
	r->shm_head = ring->shm_head;
	r->shm_bells = ring->shm_bells;
	r->shm_line = &ring->shm_line[to->slot];
}

/* consumer.c */

/* Step over records until offset @off comes next; fewer if they are gone. */
void bus_reader_skip(struct bus_consumer *c, struct bus_reader *r,
		     uint64_t off);

/* Whether a record, a lap or a roll is there to be seen. Any thread. */
bool bus_reader_ready(const struct bus_reader *r);

struct bus_reader *bus_reader_of(const struct bus_consumer *c,
				 uint32_t partition);

/* subscribe.c */

/*
 * Attach to partitions that were added since.
 * Return: BUS_NOTHING, BUS_FOUND, or an error.
 */
int bus_consumer_grow(struct bus_consumer *c);

/* notify.c */

/* The consumer found nothing: unready the descriptor, and watch again. */
void bus_notify_rearm(struct bus_consumer *c);

/* Ends the thread. Takes NULL, returns NULL. */
struct bus_notify *bus_notify_free(struct bus_notify *n, bool forked);

#endif

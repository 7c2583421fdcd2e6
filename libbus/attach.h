/* SPDX-License-Identifier: MIT */
/* attach.h - getting a place in a partition from busd, and giving it back. */
#ifndef BUS_ATTACH_H
#define BUS_ATTACH_H

#include <stdint.h>

#include "conn.h"
#include "map.h"

/* A slot of a ring, or a consumer line; a monitor has neither. */
struct bus_attachment {
	struct bus_map *map;	/* a reference */
	enum bus_role role;
	uint32_t slot;
	uint32_t epoch;		/* of the slot's owner */
	uint32_t producer_id;
};

/*
 * Attach to a partition: a producer to its newest ring, a consumer to the
 * oldest, a monitor to the newest.
 * Return: 0; BUS_ENOENT, BUS_ERANGE, BUS_EBUSY, BUS_EUSERS, BUS_ENOMEM,
 *   BUS_EMFILE, BUS_EFORKED and what bus_conn_call() and bus_map_get() return.
 * Context: a producer's or consumer's thread; blocks.
 */
int bus_attach(struct bus *bus, const char *topic, uint32_t partition,
	       enum bus_role role, struct bus_attachment *ret);

/* In place of a ring_seq: the oldest ring there is. */
#define BUS_SEQ_BEFORE_ALL UINT64_MAX

/*
 * The ring behind @ring_seq. A producer gets a new slot there and keeps the
 * old one until it detaches; a consumer keeps its line.
 * Return: as bus_attach(); BUS_EAGAIN if there is none yet, BUS_EGONE if the
 *   topic was deleted.
 */
int bus_attach_next(struct bus *bus, const struct bus_attachment *now,
		    uint64_t ring_seq, struct bus_attachment *ret);

/*
 * Give slot or line back and drop the mapping. After a fork it only forgets.
 * Takes one that is all zero.
 */
void bus_detach(struct bus *bus, struct bus_attachment *attachment);

/*
 * Sleep on `room` until the ring's head says something else: @closed: until
 * it is closed and complete. Return: 0; BUS_ETIMEDOUT at @until, BUS_EINTR.
 */
int bus_wait_complete(const struct bus_map *map, int64_t until);

#endif

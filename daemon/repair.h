/* SPDX-License-Identifier: MIT */
/* repair.h - whose is an unresolved frame, and what becomes of it. */
#ifndef BUSD_REPAIR_H
#define BUSD_REPAIR_H

#include "partition.h"

/*
 * What follows the unresolved frame at @pos, by the pins that name it.
 * @live: take claims of the living for as good as those of the dead (roll).
 * @ret:  position and offset behind the frame; word 1 and length of it.
 * Return: 0; -EAGAIN if a live producer may own it; -ENOENT if no pin that
 *   can be right names it; -EALREADY if it is resolved.
 */
struct busd_claim {
	uint64_t length;
	uint64_t off;
	unsigned count;
	struct bus_pair next;
};
int busd_repair_find(const struct busd_ring *r, uint64_t pos, bool live,
		     struct busd_claim *ret);

/*
 * The first boundary behind @pos that shows, for a frame that no pin names.
 * Scans headers up to @end.
 */
struct bus_pair busd_repair_scan(const struct busd_ring *r, uint64_t pos,
				 struct bus_pair end);

/*
 * Resolve what a slot that was given back left behind; idempotent.
 * Return: 1 if a frame was aborted; 0 if nothing was to be done: in both cases
 *   the pin is OFFLINE. -EAGAIN: a live producer must move first. -ENOENT: the
 *   frame is nobody's, only a roll helps.
 */
int busd_repair_slot(const struct busd_ring *r, uint32_t slot);

#endif

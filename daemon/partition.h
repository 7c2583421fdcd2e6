/* SPDX-License-Identifier: MIT */
/* partition.h - a partition and its rings, as busd has them mapped. */
#ifndef BUSD_PARTITION_H
#define BUSD_PARTITION_H

#include <stdbool.h>

#include "hold.h"
#include "rcu.h"
#include "ring.h"
#include "setting.h"

struct busd_worker;

#define BUSD_RINGS_MAX 9 /* the newest, and eight that are still read */

struct busd_ring {
	struct busd_held held; /* head and ring file */
	struct rcu_head rcu;
	struct bus_ring view; /* without a mirror: busd reads headers */
	struct bus_ring_head *shm_head;
};

struct busd_partition {
	struct busd_held held; /* part file */
	uint32_t index;
	uint64_t topic_id;
	const char *topic; /* its name */
	struct bus_topic_page *shm_topic;
	struct bus_partition_page *shm_page; /* in the topic file */
	struct bus_bells *shm_bells;
	unsigned n_rings;
	struct busd_ring *ring[BUSD_RINGS_MAX]; /* by ring_seq */
	int64_t stuck_since; /* a dead one waits for a live one; 0: none */
};

/* life */

/* What a partition of these settings allocates. */
uint64_t busd_partition_bytes(const struct busd_settings *s);

/*
 * Create a partition with its first ring, or build one from what is held.
 * @shm_topic: the mapped topic file.
 * Return: 0 or -errno.
 */
int busd_partition_new(struct busd_worker *w, struct bus_topic_page *shm_topic,
		       uint32_t index, const struct busd_settings *s,
		       struct busd_partition **ret);
int busd_partition_restore(struct bus_topic_page *shm_topic, uint32_t index,
			   struct busd_held *held, struct busd_partition **ret);

/* Tell the keeper to let go of it and its rings. Takes NULL. */
void busd_partition_drop(struct busd_worker *w, struct busd_partition *p);

/* Unmap and close. No reader may be left. Takes NULL. */
void busd_partition_free(struct busd_partition *p);

/* rings */

/* Create the ring behind the newest; @open: it is the first one. */
int busd_ring_new(struct busd_worker *w, struct busd_partition *p,
		  const struct busd_settings *s, bool open);
int busd_ring_restore(struct busd_partition *p, struct busd_held *held);

/* Let a ring go: by index in p->ring. */
void busd_ring_drop(struct busd_worker *w, struct busd_partition *p,
		    unsigned index);

static inline struct busd_ring *
busd_partition_newest(const struct busd_partition *p)
{
	return p->ring[p->n_rings - 1];
}

/* The slots that were ever given out: what a scan must look at. */
uint32_t busd_ring_slots(const struct busd_ring *r);
uint32_t busd_partition_lines(const struct busd_partition *p);

/* Let rings go that nobody stands in and whose records are no longer due. */
void busd_partition_collect(struct busd_worker *w, struct busd_partition *p);

void busd_partition_bells(const struct busd_partition *p);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * map.h - the rings that this process has mapped, each once.
 *
 * Handles of all threads share the mappings. A handle holds a reference on the
 * one it stands in; the last one that leaves takes it out of the table, and
 * it is unmapped after a grace period.
 */
#ifndef BUS_MAP_H
#define BUS_MAP_H

#include <stdint.h>

#include "rcu.h"
#include "ring.h"

/* What a mapping lets its holder write; each includes those before it. */
enum bus_rights {
	BUS_RIGHTS_LOOK,	/* nothing: monitors */
	BUS_RIGHTS_READ,	/* the part file: consumers */
	BUS_RIGHTS_WRITE,	/* the ring as well: producers */
};

struct bus_map {
	struct bus_ring ring;
	uint64_t ring_id;
	uint64_t topic_id;
	uint64_t ring_seq;
	uint32_t partition;
	enum bus_rights rights;
	uint32_t refs;			/* atomic; 0: being retired */
	unsigned generation;		/* of the process that mapped it */
	const struct bus_topic_page *shm_topic;
	/* what was mapped, for munmap */
	size_t ring_span;
	struct cds_lfht_node node;	/* in the table of rings */
	struct rcu_head rcu;
};

/*
 * Map what busd handed out, or find it mapped already.
 * @fds:    topic, part, head, ring (wire.h); closed in any case.
 * @rights: what the descriptors allow. A mapping with more will do as well.
 * @ret:    a reference; give it back with bus_map_put().
 * Return: 0; BUS_EPROTO (not sealed, or what the head says cannot be),
 *   BUS_EVERSION, BUS_ENOMEM, BUS_ENOSYS.
 * Context: any thread, not within an RCU read-side critical section.
 */
int bus_map_get(const int fds[4], enum bus_rights rights, struct bus_map **ret);

/* One more reference on a mapping that the caller has one on. */
struct bus_map *bus_map_ref(struct bus_map *map);

/* Give a reference back. Takes NULL, returns NULL. Context: any thread. */
struct bus_map *bus_map_put(struct bus_map *map);

/* How many rings are mapped: for tests. */
unsigned bus_map_count(void);

#endif

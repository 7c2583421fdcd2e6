/* SPDX-License-Identifier: MIT */
/* topic.h - the registry of topics, and what can be done to them. */
#ifndef BUSD_TOPIC_H
#define BUSD_TOPIC_H

#include <bus/bus.h>

#include "layout.h"
#include "partition.h"
#include "worker.h"

struct busd_topic {
	struct busd_held held; /* topic file; key: its id */
	struct cds_list_head link; /* in w->topics */
	struct cds_lfht_node by_name, by_id;
	struct rcu_head rcu;
	struct bus_topic_page *shm_page;
	uint32_t n_partitions;
	struct busd_partition *partition[BUS_PARTITIONS_MAX];
};

/* registry */

int busd_topics_init(struct busd_worker *w);
struct busd_topic *busd_topic_find(struct busd_worker *w, const char *name);
struct busd_topic *busd_topic_find_id(struct busd_worker *w, uint64_t id);

bool busd_topic_name_ok(const char *name);

/* Build all topics from what is held. */
void busd_topics_restore(struct busd_worker *w);

/* Close all rings for good: the instance ends. */
void busd_topics_end(struct busd_worker *w);

/* Bytes of memory that all files take. */
uint64_t busd_topics_memory(struct busd_worker *w);

/* one topic; 0 or -errno */

int busd_topic_new(struct busd_worker *w, const char *name, uint32_t n,
		   const struct busd_settings *s);

/* Add partitions up to @n, for which nothing is known yet outside of busd. */
int busd_topic_grow(struct busd_worker *w, struct busd_topic *t, uint32_t n,
		    const struct busd_settings *s);

/* Show the partitions that there are. */
void busd_topic_publish(struct busd_topic *t);

/* Close its rings for good. */
void busd_topic_end(struct busd_topic *t);

/* Take it out of the registry and free it. */
void busd_topic_retire(struct busd_worker *w, struct busd_topic *t);

#endif

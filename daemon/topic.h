/* SPDX-License-Identifier: MIT */
/* topic.h - the registry of topics, and what can be done to them. */
#ifndef BUSD_TOPIC_H
#define BUSD_TOPIC_H

#include "layout.h"
#include "partition.h"
#include "server.h"
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

/* Find, or say in the answer why not. Return: 0, BUS_ENOENT, BUS_ENAME. */
int busd_topic_get(struct busd_worker *w, const struct bus_msg *ask,
		   struct busd_answer *answer, struct busd_topic **ret);

/* Build all topics from what is held. */
void busd_topics_restore(struct busd_worker *w);

/* Close all rings for good: the instance ends. */
void busd_topics_end(struct busd_worker *w);

/* Bytes of memory that all files take. */
uint64_t busd_topics_memory(struct busd_worker *w);

/* requests; each fills the answer and returns its status */

int busd_topic_create(struct busd_worker *w, struct busd_client *c,
		      struct bus_msg *ask, struct busd_answer *answer);
int busd_topic_alter(struct busd_worker *w, struct busd_client *c,
		     struct bus_msg *ask, struct busd_answer *answer);
int busd_topic_delete(struct busd_worker *w, struct busd_client *c,
		      struct bus_msg *ask, struct busd_answer *answer);
int busd_topic_next(struct busd_worker *w, struct busd_client *c,
		    struct bus_msg *ask, struct busd_answer *answer);
int busd_topic_describe(struct busd_worker *w, struct busd_client *c,
			struct bus_msg *ask, struct busd_answer *answer);

#endif

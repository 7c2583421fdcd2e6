/* SPDX-License-Identifier: MIT */
/*
 * topic.c - the registry of topics, and what can be done to them.
 *
 * Topics are found by name and by id in two lock-free tables. Today only the
 * worker's one thread changes or reads them; what is taken out is freed by
 * call_rcu all the same, so that readers in other threads need nothing more
 * than the read lock.
 *
 * The order in which the keeper hears of things makes each change all or
 * nothing for a new worker:
 *
 *	create	partitions and rings first, the topic last. Those without a
 *		topic are dropped.
 *	alter	new partitions first, then `partitions` in the topic file. Those
 *		above it are dropped. For a roll see roll.c: a ring behind one
 *		that is not closed is dropped.
 *	delete	rings are closed with `gone` first, then the topic is dropped. A
 *		topic with such a ring is deleted to the end.
 *
 * A request that is sent again after that finds what it wanted done, or does
 * it: create with equal settings and alter to what is there are no errors, and
 * a deletion is noted with the client before it begins.
 *
 * The topic file has room for as many partitions as a topic can have, and is
 * allocated as far as there are any.
 */
#include "topic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "file.h"
#include "log.h"
#include "release.h"
#include "roll.h"

#define BUCKETS 4096
#define FILE_BYTES BUS_TOPIC_FILE_BYTES(BUS_PARTITIONS_MAX)

/* ---- Registry --------------------------------------------------------- */

static unsigned long hash_name(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return (unsigned long)(h ^ h >> 32);
}

static int match_name(struct cds_lfht_node *node, const void *name)
{
	struct busd_topic *t =
		caa_container_of(node, struct busd_topic, by_name);

	bus_rcu_match();
	return !strcmp(t->shm_page->name, name);
}

static int match_id(struct cds_lfht_node *node, const void *id)
{
	struct busd_topic *t = caa_container_of(node, struct busd_topic, by_id);

	bus_rcu_match();
	return t->held.msg.key == *(const uint64_t *)id;
}

int busd_topics_init(struct busd_worker *w)
{
	CDS_INIT_LIST_HEAD(&w->topics);
	w->by_name = bus_lfht_new(BUCKETS);
	w->by_id = bus_lfht_new(BUCKETS);
	return w->by_name && w->by_id ? 0 : -ENOMEM;
}

struct busd_topic *busd_topic_find(struct busd_worker *w, const char *name)
{
	struct cds_lfht_node *node;

	/* Only this thread removes topics, so that it may go on with one. */
	bus_rcu_read_lock();
	node = bus_lfht_find(w->by_name, hash_name(name), match_name, name);
	bus_rcu_read_unlock();
	return node ? caa_container_of(node, struct busd_topic, by_name) : NULL;
}

struct busd_topic *busd_topic_find_id(struct busd_worker *w, uint64_t id)
{
	struct cds_lfht_node *node;

	bus_rcu_read_lock();
	node = bus_lfht_find(w->by_id, (unsigned long)id, match_id, &id);
	bus_rcu_read_unlock();
	return node ? caa_container_of(node, struct busd_topic, by_id) : NULL;
}

static void insert(struct busd_worker *w, struct busd_topic *t)
{
	const char *name = t->shm_page->name;

	bus_rcu_read_lock();
	bus_lfht_add_unique(w->by_name, hash_name(name), match_name, name,
			    &t->by_name);
	bus_lfht_add_unique(w->by_id, (unsigned long)t->held.msg.key, match_id,
			    &t->held.msg.key, &t->by_id);
	bus_rcu_read_unlock();
	cds_list_add_tail(&t->link, &w->topics);
	w->n_topics++;
}

static void topic_free(struct busd_topic *t)
{
	for (uint32_t i = 0; i < t->n_partitions; i++)
		busd_partition_free(t->partition[i]);
	if (t->shm_page)
		munmap(t->shm_page, FILE_BYTES);
	busd_held_close(&t->held);
	free(t);
}

static void topic_free_rcu(struct rcu_head *head)
{
	bus_rcu_callback();
	topic_free(caa_container_of(head, struct busd_topic, rcu));
}

static void drop(struct busd_worker *w, struct busd_topic *t)
{
	busd_worker_drop(w, &t->held);
	for (uint32_t i = 0; i < t->n_partitions; i++)
		busd_partition_drop(w, t->partition[i]);
}

void busd_topic_retire(struct busd_worker *w, struct busd_topic *t)
{
	bus_rcu_read_lock();
	bus_lfht_del(w->by_name, &t->by_name);
	bus_lfht_del(w->by_id, &t->by_id);
	bus_rcu_read_unlock();
	cds_list_del(&t->link);
	w->n_topics--;
	drop(w, t);
	bus_rcu_call(&t->rcu, topic_free_rcu);
}

/* ---- Names ------------------------------------------------------------ */

bool busd_topic_name_ok(const char *name)
{
	static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strspn(name, legal);

	return n && n <= BUS_NAME_MAX && !name[n] && name[0] != '.';
}

/* ---- Making ----------------------------------------------------------- */

int busd_topic_grow(struct busd_worker *w, struct busd_topic *t, uint32_t n,
		    const struct busd_settings *s)
{
	uint64_t from = BUS_TOPIC_FILE_BYTES(t->n_partitions);
	uint32_t had = t->n_partitions;
	int e = 0;

	if (n > had)
		e = busd_file_allocate(t->held.fd[0], from,
				       BUS_TOPIC_FILE_BYTES(n) - from);
	while (!e && t->n_partitions < n) {
		e = busd_partition_new(w, t->shm_page, t->n_partitions, s,
				       &t->partition[t->n_partitions]);
		if (!e)
			t->n_partitions++;
	}
	while (e < 0 && t->n_partitions > had) {
		struct busd_partition *p = t->partition[--t->n_partitions];

		busd_partition_drop(w, p);
		busd_partition_free(p);
	}
	return e;
}

static int make_page(struct busd_topic *t, const char *name,
		     const struct busd_settings *s)
{
	struct bus_topic_page *page;
	char file[200];
	int e;

	snprintf(file, sizeof(file), "bus:%s", name);
	t->held.fd[0] = busd_file_new(file, FILE_BYTES);
	if (t->held.fd[0] < 0)
		return t->held.fd[0];
	e = busd_file_allocate(t->held.fd[0], 0, BUS_PAGE);
	if (!e)
		e = busd_file_map(t->held.fd[0], FILE_BYTES, &t->shm_page);
	if (e < 0)
		return e;
	page = t->shm_page;
	page->magic = BUS_MAGIC_TOPIC;
	page->signature = bus_layout_signature();
	page->topic_id = t->held.msg.key;
	strcpy(page->name, name);
	busd_settings_store(s, page);
	page->version = BUS_LAYOUT_VERSION;
	return 0;
}

void busd_topic_publish(struct busd_topic *t)
{
	/* [parts:A] pairs [parts:B]: they are ready to be attached to */
	bus_store_release(&t->shm_page->partitions, t->n_partitions);
}

int busd_topic_new(struct busd_worker *w, const char *name, uint32_t n,
		   const struct busd_settings *s)
{
	struct busd_topic *t = calloc(1, sizeof(*t));
	int e;

	if (!t)
		return -ENOMEM;
	busd_held_init(&t->held, BUSD_TOPIC, busd_random());
	e = make_page(t, name, s);
	if (!e)
		e = busd_topic_grow(w, t, n, s);
	if (!e) {
		busd_topic_publish(t);
		e = busd_worker_hold(w, &t->held, 1);
	}
	if (e < 0) {
		drop(w, t);
		topic_free(t);
		return e;
	}
	insert(w, t);
	return 0;
}

/* ---- Ending ----------------------------------------------------------- */

void busd_topic_end(struct busd_topic *t)
{
	for (uint32_t i = 0; i < t->n_partitions; i++)
		busd_roll_end(t->partition[i]);
}

void busd_topics_end(struct busd_worker *w)
{
	struct busd_topic *t;

	cds_list_for_each_entry(t, &w->topics, link)
		busd_topic_end(t);
}

/* ---- Looking ---------------------------------------------------------- */

uint64_t busd_topics_memory(struct busd_worker *w)
{
	struct busd_topic *t;
	uint64_t n = 0;

	cds_list_for_each_entry(t, &w->topics, link) {
		n += busd_file_allocated(t->held.fd[0]);
		for (uint32_t i = 0; i < t->n_partitions; i++) {
			struct busd_partition *p = t->partition[i];

			n += busd_file_allocated(p->held.fd[0]);
			for (unsigned k = 0; k < p->n_rings; k++)
				n += busd_file_allocated(
					     p->ring[k]->held.fd[0]) +
				     busd_file_allocated(
					     p->ring[k]->held.fd[1]);
		}
	}
	return n;
}

/* ---- A new worker ----------------------------------------------------- */

static int restore_topic(struct busd_worker *w, struct busd_held *held)
{
	struct busd_topic *t = calloc(1, sizeof(*t));
	struct bus_topic_page *page;
	int e = -EPROTO;

	if (!t)
		return -ENOMEM;
	busd_held_move(held, &t->held);
	if (busd_file_size(t->held.fd[0]) == FILE_BYTES)
		e = busd_file_map(t->held.fd[0], FILE_BYTES, &t->shm_page);
	page = t->shm_page;
	if (!e && (page->magic != BUS_MAGIC_TOPIC ||
		   page->signature != bus_layout_signature() ||
		   page->topic_id != t->held.msg.key ||
		   !busd_topic_name_ok(page->name) ||
		   page->partitions > BUS_PARTITIONS_MAX))
		e = -EPROTO;
	if (e < 0)
		topic_free(t);
	else
		insert(w, t);
	return e;
}

/* The partition that a holding names, if its topic has it. */
static struct busd_partition **place_of(struct busd_worker *w,
					const struct busd_held *held)
{
	struct busd_topic *t =
		busd_topic_find_id(w, held->msg.info[BUSD_INFO_TOPIC]);
	uint64_t index = held->msg.info[BUSD_INFO_PARTITION];

	if (!t || index >= t->shm_page->partitions)
		return NULL;
	return &t->partition[index];
}

static int restore_partition(struct busd_worker *w, struct busd_held *held)
{
	struct busd_partition **place = place_of(w, held);
	struct busd_topic *t =
		busd_topic_find_id(w, held->msg.info[BUSD_INFO_TOPIC]);

	if (!place || *place)
		return -ENOENT;
	return busd_partition_restore(
		t->shm_page, (uint32_t)held->msg.info[BUSD_INFO_PARTITION],
		held, place);
}

static int restore_ring(struct busd_worker *w, struct busd_held *held)
{
	struct busd_partition **place = place_of(w, held);

	return place && *place ? busd_ring_restore(*place, held) : -ENOENT;
}

/* All holdings of a kind; those that belong to nothing are dropped. */
static void restore_kind(struct busd_worker *w, uint32_t kind,
			 int (*restore)(struct busd_worker *w,
					struct busd_held *held))
{
	struct busd_held *held, *next;

	cds_list_for_each_entry_safe(held, next, &w->held, link) {
		struct busd_hold_msg msg = held->msg;

		if (msg.kind != kind)
			continue;
		if (restore(w, held) < 0) {
			msg.type = BUSD_DROP;
			msg.n_fds = 0;
			busd_hold_send(w->keeper.channel, &msg, NULL);
			busd_held_close(held);
		}
		free(held);
	}
}

static bool tail_closed(const struct busd_ring *r)
{
	return bus_load(&r->view.shm_control->tail.pos) & BUS_TAIL_CLOSED;
}

/* Go on where the worker before stopped. Return: false if it is to go. */
static bool resume_partition(struct busd_worker *w, struct busd_partition *p)
{
	const struct busd_ring *r;

	if (!p->n_rings)
		return false;
	if (p->n_rings > 1) {
		r = p->ring[p->n_rings - 2];
		if (tail_closed(r))
			busd_roll_finish(p);
		else
			busd_ring_drop(w, p, p->n_rings - 1);
	}
	return !tail_closed(busd_partition_newest(p));
}

/* Return: false if the topic cannot stay, or was being deleted. */
static bool resume_topic(struct busd_worker *w, struct busd_topic *t)
{
	bool whole = true;

	t->n_partitions = t->shm_page->partitions;
	for (uint32_t i = 0; i < t->n_partitions; i++)
		if (!t->partition[i])
			return false;
	for (uint32_t i = 0; i < t->n_partitions; i++)
		whole &= resume_partition(w, t->partition[i]);
	return whole;
}

void busd_topics_restore(struct busd_worker *w)
{
	struct busd_topic *t, *next;

	restore_kind(w, BUSD_TOPIC, restore_topic);
	restore_kind(w, BUSD_PART, restore_partition);
	restore_kind(w, BUSD_RING, restore_ring);
	cds_list_for_each_entry_safe(t, next, &w->topics, link) {
		if (resume_topic(w, t)) {
			busd_release_resume(w, t);
			continue;
		}
		busd_warn("topic %s: its deletion is finished",
			  t->shm_page->name);
		for (uint32_t i = 0; i < t->n_partitions; i++)
			if (t->partition[i] && t->partition[i]->n_rings)
				busd_roll_end(t->partition[i]);
		busd_topic_retire(w, t);
	}
}

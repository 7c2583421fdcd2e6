/* SPDX-License-Identifier: MIT */
/*
 * partition.c - a partition and its rings, as busd has them mapped.
 *
 * A partition has one ring that is written and some that are closed, but that
 * somebody may still read. Everything about them stands in their files; what
 * is here are mappings and descriptors, which a new worker makes again.
 *
 * A closed ring goes when no slot of it is owned, no consumer stands in it,
 * and as many bytes as the newest ring holds were published behind it: so a
 * consumer that comes late finds at least as much history as without a roll.
 * That is looked at when somebody comes, goes or follows a roll. Beyond eight
 * of them the oldest goes in any case; who still reads it has its mapping.
 */
#include "partition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "file.h"
#include "log.h"
#include "wait.h"
#include "worker.h"

/* ---- Rings ------------------------------------------------------------ */

static uint64_t page_round(uint64_t bytes)
{
	return (bytes + BUS_PAGE - 1) & ~(uint64_t)(BUS_PAGE - 1);
}

uint64_t busd_partition_bytes(const struct busd_settings *s)
{
	return s->value[BUSD_RING_BYTES] + BUS_RING_STATS +
	       BUS_HEAD_FILE_BYTES + BUS_PART_STATS +
	       sizeof(struct bus_partition_page);
}

static void ring_free(struct busd_ring *r)
{
	if (!r)
		return;
	if (r->shm_head)
		munmap(r->shm_head, BUS_HEAD_FILE_BYTES);
	if (r->view.shm_data)
		munmap(r->view.shm_data, r->view.size + BUS_RING_EXTRA);
	busd_held_close(&r->held);
	free(r);
}

static void ring_free_rcu(struct rcu_head *head)
{
	bus_rcu_callback();
	ring_free(caa_container_of(head, struct busd_ring, rcu));
}

/* The head is written by busd alone, so that this catches accidents. */
static bool head_ok(const struct busd_partition *p,
		    const struct bus_ring_head *h, int ring_fd)
{
	return h->magic == BUS_MAGIC_HEAD && h->version == BUS_LAYOUT_VERSION &&
	       h->signature == bus_layout_signature() &&
	       h->topic_id == p->topic_id && h->partition == p->index &&
	       h->ring_bytes >= BUS_PAGE &&
	       !(h->ring_bytes & (h->ring_bytes - 1)) &&
	       h->frame_max <= h->ring_bytes / 4 &&
	       busd_file_size(ring_fd) == h->ring_bytes + BUS_RING_EXTRA;
}

static int map_ring(struct busd_partition *p, struct busd_ring *r)
{
	const struct bus_ring_head *h = r->shm_head;
	uint8_t *base;
	int e;

	if (!head_ok(p, h, r->held.fd[1]))
		return -EPROTO;
	e = busd_file_map(r->held.fd[1], h->ring_bytes + BUS_RING_EXTRA, &base);
	if (e < 0)
		return e;
	r->view = (struct bus_ring){
		.shm_data = base,
		.size = h->ring_bytes,
		.mask = h->ring_bytes - 1,
		.frame_max = h->frame_max,
		.salt = h->salt,
		.one = h->one,
		.shm_head = h,
		.shm_bells = p->shm_bells,
		.shm_partition = p->shm_page,
	};
	base += h->ring_bytes;
	r->view.shm_control = (void *)base;
	r->view.shm_slot = (void *)(base + BUS_RING_SLOTS);
	r->view.shm_slot_stats = (void *)(base + BUS_RING_STATS);
	base = (uint8_t *)p->shm_bells;
	r->view.shm_line = (void *)(base + BUS_PART_LINES);
	r->view.shm_line_stats = (void *)(base + BUS_PART_STATS);
	return 0;
}

static void fill_head(const struct busd_partition *p,
		      const struct busd_settings *s, uint64_t seq,
		      struct bus_ring_head *h)
{
	h->magic = BUS_MAGIC_HEAD;
	h->partition = p->index;
	h->signature = bus_layout_signature();
	h->topic_id = p->topic_id;
	h->ring_id = busd_random();
	h->ring_seq = seq;
	h->ring_bytes = s->value[BUSD_RING_BYTES];
	h->frame_max = busd_settings_frame_max(s);
	h->mirror_bytes = page_round(h->frame_max);
	h->salt = busd_random() & ((UINT64_C(1) << 40) - 1);
	h->one = s->value[BUSD_PRODUCERS] == BUS_PRODUCERS_ONE;
	/* Written before anybody has the file. */
	h->version = BUS_LAYOUT_VERSION;
}

static int make_files(const struct busd_partition *p,
		      const struct busd_settings *s, struct busd_ring *r)
{
	uint64_t bytes = s->value[BUSD_RING_BYTES];
	char name[200];
	int e;

	snprintf(name, sizeof(name), "bus:%s/%u head", p->topic, p->index);
	r->held.fd[0] = busd_file_new(name, BUS_HEAD_FILE_BYTES);
	snprintf(name, sizeof(name), "bus:%s/%u ring", p->topic, p->index);
	r->held.fd[1] = busd_file_new(name, bytes + BUS_RING_EXTRA);
	for (unsigned i = 0; i < 2; i++)
		if (r->held.fd[i] < 0)
			return r->held.fd[i];
	e = busd_file_allocate(r->held.fd[0], 0, BUS_HEAD_FILE_BYTES);
	if (!e)
		e = busd_file_allocate(r->held.fd[1], 0,
				       bytes + BUS_RING_STATS);
	if (!e)
		e = busd_file_map(r->held.fd[0], BUS_HEAD_FILE_BYTES,
				  &r->shm_head);
	return e;
}

/* Where it begins: at the first position there is, or where the roll says. */
static void begin(struct busd_ring *r, bool open)
{
	struct bus_ring_control *c = r->view.shm_control;
	uint64_t flags = r->view.one ? BUS_TAIL_ONE : 0;
	struct bus_pair first = { BUS_FIRST_POS, 0 };

	if (!open) {
		c->tail.pos = flags | BUS_TAIL_NOT_OPEN;
		return;
	}
	r->shm_head->first_pos = first.pos;
	r->shm_head->first_off = first.off;
	c->closing = first;
	c->free = first;
	first.pos |= flags;
	c->tail = first;
}

static void insert(struct busd_partition *p, struct busd_ring *r)
{
	unsigned i = p->n_rings++;

	for (; i > 0; i--) {
		if (p->ring[i - 1]->shm_head->ring_seq < r->shm_head->ring_seq)
			break;
		p->ring[i] = p->ring[i - 1];
	}
	p->ring[i] = r;
}

int busd_ring_new(struct busd_worker *w, struct busd_partition *p,
		  const struct busd_settings *s, bool open)
{
	struct busd_ring *r = calloc(1, sizeof(*r));
	uint64_t seq = 0;
	int e;

	if (!r)
		return -ENOMEM;
	if (p->n_rings)
		seq = busd_partition_newest(p)->shm_head->ring_seq + 1;
	busd_held_init(&r->held, BUSD_RING, 0);
	e = make_files(p, s, r);
	if (!e) {
		fill_head(p, s, seq, r->shm_head);
		e = map_ring(p, r);
	}
	if (!e) {
		begin(r, open);
		r->held.msg.key = r->shm_head->ring_id;
		r->held.msg.info[BUSD_INFO_TOPIC] = p->topic_id;
		r->held.msg.info[BUSD_INFO_PARTITION] = p->index;
		e = busd_worker_hold(w, &r->held, 2);
	}
	if (e < 0) {
		ring_free(r);
		return e;
	}
	if (p->n_rings == BUSD_RINGS_MAX)
		busd_ring_drop(w, p, 0);
	insert(p, r);
	return 0;
}

int busd_ring_restore(struct busd_partition *p, struct busd_held *held)
{
	struct busd_ring *r;
	int e;

	if (p->n_rings == BUSD_RINGS_MAX)
		return -EUSERS;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	busd_held_move(held, &r->held);
	e = busd_file_size(r->held.fd[0]) == BUS_HEAD_FILE_BYTES ? 0 : -EPROTO;
	if (!e)
		e = busd_file_map(r->held.fd[0], BUS_HEAD_FILE_BYTES,
				  &r->shm_head);
	if (!e)
		e = map_ring(p, r);
	if (e < 0)
		ring_free(r);
	else
		insert(p, r);
	return e;
}

void busd_ring_drop(struct busd_worker *w, struct busd_partition *p,
		    unsigned index)
{
	struct busd_ring *r = p->ring[index];

	p->n_rings--;
	memmove(&p->ring[index], &p->ring[index + 1],
		(p->n_rings - index) * sizeof(p->ring[0]));
	busd_worker_drop(w, &r->held);
	bus_rcu_call(&r->rcu, ring_free_rcu);
}

uint32_t busd_ring_slots(const struct busd_ring *r)
{
	uint32_t n = bus_load(&r->shm_head->slots_used);

	return n < BUS_SLOTS ? n : BUS_SLOTS;
}

/* ---- Partitions ------------------------------------------------------- */

static struct busd_partition *alloc(struct bus_topic_page *shm_topic,
				    uint32_t index)
{
	struct busd_partition *p = calloc(1, sizeof(*p));
	uint8_t *pages = (uint8_t *)shm_topic + BUS_PAGE;

	if (!p)
		return NULL;
	busd_held_init(&p->held, BUSD_PART, busd_random());
	p->index = index;
	p->topic_id = shm_topic->topic_id;
	p->topic = shm_topic->name;
	p->shm_topic = shm_topic;
	p->shm_page = (struct bus_partition_page *)(void *)pages + index;
	return p;
}

void busd_partition_free(struct busd_partition *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->n_rings; i++)
		ring_free(p->ring[i]);
	if (p->shm_bells)
		munmap(p->shm_bells, BUS_PART_FILE_BYTES);
	busd_held_close(&p->held);
	free(p);
}

static int make_part(struct busd_partition *p)
{
	char name[200];
	int e;

	snprintf(name, sizeof(name), "bus:%s/%u part", p->topic, p->index);
	p->held.fd[0] = busd_file_new(name, BUS_PART_FILE_BYTES);
	if (p->held.fd[0] < 0)
		return p->held.fd[0];
	e = busd_file_allocate(p->held.fd[0], 0, BUS_PART_STATS);
	if (!e)
		e = busd_file_map(p->held.fd[0], BUS_PART_FILE_BYTES,
				  &p->shm_bells);
	if (e < 0)
		return e;
	p->shm_bells->magic = BUS_MAGIC_PART;
	p->shm_bells->version = BUS_LAYOUT_VERSION;
	p->shm_bells->partition = p->index;
	p->shm_bells->topic_id = p->topic_id;
	/* no log: neither holds anybody back */
	p->shm_page->written = (struct bus_pair){ UINT64_MAX, UINT64_MAX };
	p->shm_page->durable = p->shm_page->written;
	p->shm_page->reserved = UINT64_MAX;
	return 0;
}

int busd_partition_new(struct busd_worker *w, struct bus_topic_page *shm_topic,
		       uint32_t index, const struct busd_settings *s,
		       struct busd_partition **ret)
{
	struct busd_partition *p = alloc(shm_topic, index);
	int e;

	if (!p)
		return -ENOMEM;
	e = make_part(p);
	if (!e) {
		p->held.msg.info[BUSD_INFO_TOPIC] = p->topic_id;
		p->held.msg.info[BUSD_INFO_PARTITION] = index;
		e = busd_worker_hold(w, &p->held, 1);
	}
	if (!e)
		e = busd_ring_new(w, p, s, true);
	if (e < 0) {
		busd_partition_drop(w, p);
		busd_partition_free(p);
		return e;
	}
	*ret = p;
	return 0;
}

int busd_partition_restore(struct bus_topic_page *shm_topic, uint32_t index,
			   struct busd_held *held, struct busd_partition **ret)
{
	struct busd_partition *p = alloc(shm_topic, index);
	int e = -EPROTO;

	if (!p)
		return -ENOMEM;
	busd_held_move(held, &p->held);
	if (busd_file_size(p->held.fd[0]) == BUS_PART_FILE_BYTES)
		e = busd_file_map(p->held.fd[0], BUS_PART_FILE_BYTES,
				  &p->shm_bells);
	if (e < 0)
		busd_partition_free(p);
	else
		*ret = p;
	return e;
}

void busd_partition_drop(struct busd_worker *w, struct busd_partition *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->n_rings; i++)
		busd_worker_drop(w, &p->ring[i]->held);
	busd_worker_drop(w, &p->held);
}

uint32_t busd_partition_lines(const struct busd_partition *p)
{
	uint32_t n = bus_load(&p->shm_page->consumers_used);

	return n < BUS_SLOTS ? n : BUS_SLOTS;
}

void busd_partition_bells(const struct busd_partition *p)
{
	bus_bell_ring(&p->shm_bells->data);
	bus_bell_ring(&p->shm_bells->room);
}

/* ---- Collecting ------------------------------------------------------- */

static bool slots_owned(const struct busd_ring *r)
{
	for (uint32_t i = 0; i < busd_ring_slots(r); i++)
		if (r->shm_head->slot[i].client)
			return true;
	return false;
}

/* A line without a position belongs to somebody who just came. */
static bool read_below(const struct busd_partition *p, uint64_t end)
{
	const struct bus_consumer_line *line =
		busd_partition_newest(p)->view.shm_line;

	for (uint32_t i = 0; i < busd_partition_lines(p); i++) {
		uint64_t pos = bus_load(&line[i].pos) & ~BUS_CONSUMER_BLOCK;

		if (p->shm_page->consumer[i].client &&
		    (!pos || bus_diff(pos, end) < 0))
			return true;
	}
	return false;
}

void busd_partition_collect(struct busd_worker *w, struct busd_partition *p)
{
	const struct bus_ring *newest = &busd_partition_newest(p)->view;
	uint64_t tail, end;

	while (p->n_rings > 1) {
		end = p->ring[0]->shm_head->end.pos;
		tail = bus_ring_end(newest).pos;
		if (bus_diff(tail, end + newest->size) < 0 ||
		    slots_owned(p->ring[0]) || read_below(p, end))
			return;
		busd_info("%s/%u: ring %llu is let go", p->topic, p->index,
			  (unsigned long long)p->ring[0]->shm_head->ring_seq);
		busd_ring_drop(w, p, 0);
	}
}

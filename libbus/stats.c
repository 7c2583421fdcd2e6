/* SPDX-License-Identifier: MIT */
/*
 * stats.c - reading what producers and consumers count.
 *
 * A monitor maps a partition's pages read-only and looks; nobody notices. The
 * counters of one process are plain stores, so a set of them is not a snapshot:
 * each is right for some moment during the call.
 */
#include "stats.h"

#include <stdlib.h>
#include <string.h>

#include "attach.h"

uint64_t bus_hist_value(unsigned bucket)
{
	if (bucket < BUS_HIST_SUB)
		return bucket;
	return (uint64_t)(BUS_HIST_SUB + bucket % BUS_HIST_SUB)
	       << (bucket / BUS_HIST_SUB - 1);
}

static uint32_t bounded(const uint32_t *shm_n)
{
	/* [slots:B] pairs [slots:A], [lines:B] pairs [lines:A] */
	uint32_t n = bus_load_acquire(shm_n);

	return n < BUS_SLOTS ? n : BUS_SLOTS;
}

static void read_producers(const struct bus_ring *r,
			   struct bus_partition_stat *s)
{
	uint32_t n = bounded(&r->shm_head->slots_used);

	for (uint32_t i = 0; i < n; i++) {
		const struct bus_owner *o = &r->shm_head->slot[i];
		const struct bus_slot *slot = &r->shm_slot[i];
		const struct bus_stats *st = &r->shm_slot_stats[i];

		if (!bus_load(&o->client))
			continue;
		s->producers[s->n_producers++] = (struct bus_producer_stat){
			.slot = i,
			.pid = bus_load(&o->pid),
			.id = bus_load(&o->producer_id),
			.phase = (uint32_t)bus_load(&slot->phase),
			.records = bus_load(&slot->records),
			.bytes = bus_load(&slot->bytes),
			.waits = bus_load(&st->waits),
			.wakes = bus_load(&st->wakes),
		};
	}
}

static void read_consumers(const struct bus_ring *r,
			   struct bus_partition_stat *s)
{
	uint32_t n = bounded(&r->shm_partition->consumers_used);

	for (uint32_t i = 0; i < n; i++) {
		const struct bus_owner *o = &r->shm_partition->consumer[i];
		const struct bus_consumer_line *l = &r->shm_line[i];
		const struct bus_stats *st = &r->shm_line_stats[i];
		struct bus_consumer_stat *c = &s->consumers[s->n_consumers];
		uint64_t off = bus_load(&l->off);

		if (!bus_load(&o->client))
			continue;
		*c = (struct bus_consumer_stat){
			.slot = i,
			.pid = bus_load(&o->pid),
			.phase = (uint32_t)bus_load(&l->phase),
			.block = bus_load(&l->pos) & BUS_CONSUMER_BLOCK,
			.offset = off,
			.lag = off < s->end ? s->end - off : 0,
			.records = bus_load(&l->records),
			.bytes = bus_load(&l->bytes),
			.lost = bus_load(&st->lost),
			.sleeps = bus_load(&st->waits),
		};
		for (unsigned b = 0; b < BUS_HIST_BUCKETS; b++)
			c->latency[b] = bus_load(&st->bucket[b]);
		s->n_consumers++;
	}
}

/* Where the oldest ring of the partition begins. */
static int read_beginning(struct bus *bus, const struct bus_attachment *place,
			  struct bus_pair *ret)
{
	struct bus_attachment oldest;
	int e = bus_attach_next(bus, place, BUS_SEQ_BEFORE_ALL, &oldest);

	if (e < 0)
		return e;
	*ret = bus_ring_beginning(&oldest.map->ring);
	bus_detach(bus, &oldest);
	return 0;
}

int bus_partition_stat(struct bus *bus, const char *topic, uint32_t partition,
		       struct bus_partition_stat *ret)
{
	struct bus_partition_stat s = { 0 };
	struct bus_attachment place;
	struct bus_pair begin, end;
	const struct bus_ring *r;
	int e = bus_attach(bus, topic, partition, BUS_ROLE_MONITOR, &place);

	if (e < 0)
		return e;
	r = &place.map->ring;
	s.producers = calloc(BUS_SLOTS, sizeof(*s.producers));
	s.consumers = calloc(BUS_SLOTS, sizeof(*s.consumers));
	if (!s.producers || !s.consumers)
		e = BUS_ENOMEM;
	else
		e = read_beginning(bus, &place, &begin);
	if (e < 0) {
		bus_partition_stat_free(&s);
		bus_detach(bus, &place);
		return e;
	}
	end = bus_ring_end(r);
	s.beginning = begin.off;
	s.end = end.off;
	s.ring_bytes = r->size;
	s.ring_used = end.pos - bus_ring_beginning(r).pos;
	s.ring = (uint32_t)place.map->ring_seq;
	read_producers(r, &s);
	read_consumers(r, &s);
	bus_detach(bus, &place);
	*ret = s;
	return 0;
}

void bus_partition_stat_free(struct bus_partition_stat *s)
{
	free(s->producers);
	free(s->consumers);
	s->producers = NULL;
	s->consumers = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * subscribe.c - opening, seeking and closing consumers.
 *
 * Seeking. A partition is a chain of rings, nearly always of one; all but the
 * last are closed, with a final end. An offset is in the first ring whose end
 * is above it. A seek takes references of its own while it looks around, and
 * moves the reader only when the place is certain; an offset that is out of
 * range leaves the reader where it was.
 *
 * Between finding a place and standing there, reclaim may free it. A blocking
 * reader comes in by bus_ring_enter(), which tells; another one would notice
 * at its first poll and call it a loss, so both look once more and try again.
 */
#define _GNU_SOURCE
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#define SEEK_NS INT64_C(1000000000) /* the longest that tries go on */

/* ---- Seek ------------------------------------------------------------- */

static bool complete(const struct bus_attachment *a)
{
	/* [complete:B] pairs [complete:A]: its end is final */
	return bus_load_acquire(&a->map->ring.shm_head->complete);
}

static uint64_t end_off(const struct bus_attachment *a)
{
	return bus_load(&a->map->ring.shm_head->end.off);
}

/*
 * The ring that holds offset @off, or will; UINT64_MAX: the newest.
 * @ret: a reference.
 */
static int ring_holding(const struct bus_consumer *c,
			const struct bus_reader *r, uint64_t off,
			struct bus_attachment *ret)
{
	struct bus_attachment a = r->place, next;
	int e = 0;

	if (r->fresh)
		bus_map_ref(a.map);
	else
		e = bus_attach_next(c->bus, &r->place, BUS_SEQ_BEFORE_ALL, &a);
	if (e < 0)
		return e;
	while (complete(&a) && off >= end_off(&a)) {
		e = bus_attach_next(c->bus, &r->place, a.map->ring_seq, &next);
		if (e == BUS_EAGAIN)
			break;
		bus_map_put(a.map);
		if (e < 0)
			return e;
		a = next;
	}
	*ret = a;
	return 0;
}

static int out_of_range(const struct bus_consumer *c, uint32_t partition,
			int64_t off, struct bus_pair first, struct bus_pair end)
{
	bus_detail_set("offset %lld of topic %s, partition %u, which has "
		       "offsets %llu to %llu",
		       (long long)off, c->topic, partition,
		       (unsigned long long)first.off,
		       (unsigned long long)end.off);
	return BUS_ERANGE;
}

/* What @start means now, as an offset. */
static int resolve(const struct bus_consumer *c, uint32_t partition,
		   int64_t start, struct bus_pair first, struct bus_pair end,
		   uint64_t *ret)
{
	uint64_t back = (uint64_t)(BUS_END - start);

	if (start >= 0) {
		if (bus_diff((uint64_t)start, first.off) < 0 ||
		    bus_diff((uint64_t)start, end.off) > 0)
			return out_of_range(c, partition, start, first, end);
		*ret = (uint64_t)start;
	} else {
		*ret = back > end.off - first.off ? first.off : end.off - back;
	}
	return 0;
}

/* Where @start is. @at: its frame; @off: its offset; @ret: its ring. */
static int locate(struct bus_consumer *c, const struct bus_reader *r,
		  int64_t start, struct bus_attachment *ret,
		  struct bus_pair *at, uint64_t *off)
{
	struct bus_pair first, end;
	int e = ring_holding(c, r, 0, ret);

	if (e < 0)
		return e;
	*at = first = bus_ring_beginning(&ret->map->ring);
	*off = first.off;
	if (start == BUS_BEGINNING)
		return 0;
	bus_map_put(ret->map);
	e = ring_holding(c, r, UINT64_MAX, ret);
	if (e < 0)
		return e;
	*at = end = bus_ring_end(&ret->map->ring);
	e = resolve(c, ret->map->partition, start, first, end, off);
	if (!e && *off == end.off)
		return 0;
	if (!e && *off < ret->map->ring.shm_head->first_off) {
		bus_map_put(ret->map);
		e = ring_holding(c, r, *off, ret);
		if (e < 0)
			return e;
	}
	if (!e && bus_ring_seek(&ret->map->ring, *off, at) < 0)
		e = BUS_EAGAIN; /* freed meanwhile, or not yet resolved */
	if (e < 0)
		bus_map_put(ret->map);
	return e;
}

static void ring_room(const struct bus_reader *r)
{
	if (bus_bell_armed(&r->shm_bells->room))
		bus_bell_ring(&r->shm_bells->room);
}

static int try_seek(struct bus_consumer *c, struct bus_reader *r, int64_t start)
{
	struct bus_attachment to;
	struct bus_pair at;
	uint64_t off;
	int e = locate(c, r, start, &to, &at, &off);

	if (e < 0)
		return e;
	bus_reader_move(r, &to);
	bus_reader_stand(r, at);
	r->off = at.off;
	if (r->block && !bus_ring_enter(&to.map->ring, r->shm_line, at.pos)) {
		ring_room(r);
		return BUS_EAGAIN;
	}
	r->passed = 0;
	bus_reader_pass(r);
	if (r->block)
		ring_room(r); /* it stood elsewhere: there may be room now */
	else if (bus_diff(bus_load(&r->shm_control->free.pos), at.pos) > 0)
		return BUS_EAGAIN;
	bus_reader_skip(c, r, off);
	return 0;
}

static int seek(struct bus_consumer *c, struct bus_reader *r, int64_t start)
{
	int64_t until = bus_now() + SEEK_NS;
	int e;

	while ((e = try_seek(c, r, start)) == BUS_EAGAIN && bus_now() < until)
		bus_pause();
	return e == BUS_EAGAIN ? BUS_ETIMEDOUT : e;
}

int bus_consumer_seek(struct bus_consumer *c, uint32_t partition,
		      int64_t offset)
{
	struct bus_reader *r = bus_reader_of(c, partition);

	if (bus_forked(c->generation))
		return BUS_EFORKED;
	return r ? seek(c, r, offset) : BUS_ERANGE;
}

int64_t bus_consumer_lag(const struct bus_consumer *c, uint32_t partition)
{
	const struct bus_reader *r = bus_reader_of(c, partition);
	struct bus_attachment newest;
	struct bus_pair end;
	int e;

	if (bus_forked(c->generation))
		return BUS_EFORKED;
	if (!r)
		return BUS_ERANGE;
	end = bus_ring_end(&r->place.map->ring);
	if (complete(&r->place) && !bus_load(&r->shm_head->gone)) {
		e = ring_holding(c, r, UINT64_MAX, &newest);
		if (e < 0)
			return e;
		end = bus_ring_end(&newest.map->ring);
		bus_map_put(newest.map);
	}
	return bus_diff(end.off, r->off) < 0 ? 0 : bus_diff(end.off, r->off);
}

/* ---- Readers ---------------------------------------------------------- */

static struct bus_reader *reader_free(struct bus_consumer *c,
				      struct bus_reader *r)
{
	if (r)
		bus_detach(c->bus, &r->place);
	free(r);
	return NULL;
}

static bool blocks(const struct bus_consumer *c, const struct bus_reader *r)
{
	const struct bus_topic_page *t = r->place.map->shm_topic;

	return c->slow == BUS_SLOW_BLOCK ||
	       (c->slow == BUS_SLOW_TOPIC &&
		bus_load(&t->slow_consumer) == BUS_SLOW_IS_BLOCK);
}

/* Deleted and created again since the first partition was attached. */
static bool another_topic(const struct bus_consumer *c,
			  const struct bus_attachment *place)
{
	return c->n_readers &&
	       c->readers[0]->place.map->topic_id != place->map->topic_id;
}

static int add_reader(struct bus_consumer *c, uint32_t partition, int64_t start)
{
	struct bus_attachment place;
	struct bus_reader *r;
	int e = bus_attach(c->bus, c->topic, partition, BUS_ROLE_CONSUMER,
			   &place);

	if (e < 0)
		return e;
	r = calloc(1, sizeof(*r));
	e = !r ? BUS_ENOMEM : another_topic(c, &place) ? BUS_EGONE : 0;
	if (e < 0) {
		bus_detach(c->bus, &place);
		free(r);
		return e;
	}
	bus_reader_move(r, &place);
	r->block = blocks(c, r) ? BUS_CONSUMER_BLOCK : 0;
	r->fresh = true; /* until it moves */
	e = seek(c, r, start);
	if (e < 0) {
		reader_free(c, r);
		return e;
	}
	c->readers[c->n_readers++] = r;
	return 0;
}

static const struct bus_topic_page *topic_of(const struct bus_consumer *c)
{
	return c->readers[0]->place.map->shm_topic;
}

int bus_consumer_grow(struct bus_consumer *c)
{
	uint32_t n;

	if (!c->all)
		return BUS_NOTHING;
	/* [parts:B] pairs [parts:A]: they are ready */
	n = bus_load_acquire(&topic_of(c)->partitions);
	if (n <= c->n_readers || n > BUS_PARTITIONS_MAX || c->notify)
		return BUS_NOTHING;
	while (c->n_readers < n) {
		int e = add_reader(c, c->n_readers, BUS_BEGINNING);

		/* what has fewer partitions, or none, is another topic */
		if (e == BUS_ERANGE || e == BUS_ENOENT)
			e = BUS_EGONE;
		if (e < 0)
			return e;
	}
	return BUS_FOUND;
}

/* ---- Handles ---------------------------------------------------------- */

static int add_all(struct bus_consumer *c, int64_t start)
{
	uint32_t n;
	int e = add_reader(c, 0, start);

	if (e < 0)
		return e;
	/* [parts:B] pairs [parts:A]: they are ready */
	n = bus_load_acquire(&topic_of(c)->partitions);
	for (uint32_t i = 1; i < n && i < BUS_PARTITIONS_MAX && !e; i++)
		e = add_reader(c, i, start);
	c->all = true;
	return e;
}

static int add_chosen(struct bus_consumer *c,
		      const struct bus_consumer_options *o)
{
	int e = o->n_partitions && o->n_partitions <= BUS_PARTITIONS_MAX ?
			0 :
			BUS_EINVAL;

	for (size_t i = 0; i < o->n_partitions && !e; i++)
		e = bus_reader_of(c, o->partitions[i]) ?
			    BUS_EINVAL :
			    add_reader(c, o->partitions[i], o->start);
	return e;
}

int bus_consumer_open(struct bus *bus, const char *topic,
		      const struct bus_consumer_options *options,
		      struct bus_consumer **ret)
{
	struct bus_consumer *c;
	int e;

	if (options &&
	    (options->size != sizeof(*options) ||
	     options->wait > BUS_WAIT_SLEEP || options->slow > BUS_SLOW_BLOCK))
		return BUS_EINVAL;
	if (strlen(topic) > BUS_NAME_MAX)
		return BUS_ENAME;
	c = calloc(1, sizeof(*c));
	if (!c)
		return BUS_ENOMEM;
	c->readers = calloc(BUS_PARTITIONS_MAX, sizeof(*c->readers));
	c->bus = bus;
	c->generation = bus->generation;
	strcpy(c->topic, topic);
	if (options) {
		c->wait = options->wait;
		c->slow = options->slow;
	}
	if (!c->readers)
		e = BUS_ENOMEM;
	else if (options && options->partitions)
		e = add_chosen(c, options);
	else
		e = add_all(c, options ? options->start : BUS_END);
	if (e < 0) {
		bus_consumer_close(c);
		return e;
	}
	c->sleep_bound =
		(int64_t)bus_load(&topic_of(c)->stall_fence_ms) * 1000000;
	*ret = c;
	return 0;
}

struct bus_consumer *bus_consumer_close(struct bus_consumer *c)
{
	if (!c)
		return NULL;
	bus_notify_free(c->notify, bus_forked(c->generation));
	for (uint32_t i = 0; i < c->n_readers; i++)
		reader_free(c, c->readers[i]);
	free(c->readers);
	free(c);
	return NULL;
}

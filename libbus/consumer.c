/* SPDX-License-Identifier: MIT */
/*
 * consumer.c - reading.
 *
 * A consumer has a reader for each of its partitions: a line in the part file
 * that says how far it has read, and a cursor (position, offset) that always
 * stands at the boundary of a frame, or inside a frame of several records.
 *
 * Reading at p, expecting offset o:
 *
 *	word 0 (acquire): p's stamp?  no: nothing yet, or lapped	[peek:A]
 *	word 1: offset o?
 *	`closed`?  then nothing counts before `complete`; the verdict decides,
 *		and at p = end the next ring goes on, at the same p and o
 *	ABORTED: step over
 *	(drop) `free` at or below p: what was read is of this lap	[valid:A]
 *
 * A record in place is handed out before it is passed: the line moves on at
 * the beginning of the next call, once for all frames of a call, and always
 * before the reader finds nothing or sleeps [pass:A].
 *
 * A blocking reader holds room back by its line; a producer that waits for it
 * sleeps on `room`, which the reader looks at after it passed. The others hold
 * nothing back: they find `free` above their position, and then say exactly
 * which offsets are gone: [o, offset at `closing`).
 *
 * If a consumer dies, busd clears its line and rings `room`. If it stops while
 * blocking, producers wait for it, as it asked for.
 */
#define _GNU_SOURCE
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#include "copy.h"
#include "record.h"
#include "stats.h"
#include "wait.h"

#define SPIN_NS 20000	  /* BUS_WAIT_ADAPTIVE: before sleeping */
#define CLOCK_EVERY 64	  /* empty polls between two looks at the clock */
#define SAMPLE_MASK 63u	  /* latency: one record in 64, and the first 64 */

/* ---- Laps and rolls --------------------------------------------------- */

static bool lapped(const struct bus_reader *r)
{
	/* [valid:A] pairs [free:A]: reads of the frame come before */
	bus_fence_acquire();
	return bus_diff(bus_load(&r->shm_control->free.pos), r->at.pos) > 0;
}

/* Go on at the earliest there is, and remember what is gone. */
static int lose(struct bus_consumer *c, struct bus_reader *r)
{
	struct bus_pair to = bus_ring_beginning(&r->place.map->ring);
	struct bus_stats *stats =
		&r->place.map->ring.shm_line_stats[r->place.slot];

	if (bus_diff(to.off, r->off) <= 0 || bus_diff(to.pos, r->at.pos) <= 0)
		return BUS_ECORRUPT;
	c->lost.partition = r->partition;
	c->lost.first = (int64_t)r->off;
	c->lost.next = (int64_t)to.off;
	c->has_lost = true;
	bus_count(&stats->lost, to.off - r->off);
	bus_count(&stats->laps, 1);
	bus_reader_stand(r, to);
	r->off = to.off;
	bus_reader_pass(r);
	return BUS_ELAPPED;
}

/* Go on in the ring behind this one; the line stays ours. */
static int next_ring(struct bus_consumer *c, struct bus_reader *r)
{
	struct bus_attachment next;
	int e = bus_attach_next(c->bus, &r->place, r->place.map->ring_seq,
				&next);

	if (e < 0)
		return e;
	bus_reader_move(r, &next);
	return 0;
}

/*
 * The ring is closed. What the verdict lists is stepped over, at the end the
 * next ring goes on. Return: BUS_NOTHING if the frame at r->at may be read,
 * BUS_FOUND if the reader moved, or an error.
 */
static int at_closed(struct bus_consumer *c, struct bus_reader *r)
{
	const struct bus_ring_head *h = r->shm_head;
	uint32_t n;
	int e;

	/* [complete:B] pairs [complete:A]: end and verdict are final */
	if (!bus_load_acquire(&h->complete)) {
		e = bus_wait_complete(r->place.map, bus_now() + 1000000000);
		if (e < 0)
			return e == BUS_ETIMEDOUT ? BUS_EAGAIN : e;
	}
	if (bus_diff(r->at.pos, bus_load(&h->end.pos)) >= 0) {
		if (bus_load(&h->gone))
			return BUS_EGONE;
		e = next_ring(c, r);
		return e < 0 ? e : BUS_FOUND;
	}
	n = bus_load(&h->n_verdict);
	for (uint32_t i = 0; i < n && i < BUS_SLOTS; i++) {
		const struct bus_verdict *v = &h->verdict[i];

		if (bus_load(&v->pos) != r->at.pos)
			continue;
		bus_reader_stand(r,
				 (struct bus_pair){ bus_load(&v->next_pos),
						    bus_load(&v->next_off) });
		r->off = r->at.off;
		return BUS_FOUND;
	}
	return BUS_NOTHING;
}

/* ---- Frames ----------------------------------------------------------- */

/*
 * Look at the frame at r->at and take its header. Return: BUS_FOUND: r->left
 * records are to be read; BUS_NOTHING: no frame here, for whatever reason.
 */
static inline int take_frame(struct bus_reader *r)
{
	const struct bus_frame *f =
		(const struct bus_frame *)(r->shm_data + (r->at.pos & r->mask));
	/* [peek:A] pairs [commit:A]: all of the frame after its word 0 */
	uint64_t w0 = bus_load_acquire(&f->word0);
	uint64_t w1, length = bus_word0_length(w0);

	if ((w0 ^ bus_stamp(r->salt, r->at.pos)) >> 24)
		return BUS_NOTHING;
	w1 = bus_load(&f->word1);
	if (unlikely(bus_word1_off(w1) != r->at.off || length < sizeof(*f) ||
		     length > r->frame_max))
		return BUS_NOTHING;
	r->timestamp = (int64_t)bus_load(&f->word2);
	r->word3 = bus_load(&f->word3);
	r->cursor = (const uint8_t *)f + sizeof(*f);
	r->end = (const uint8_t *)f + length;
	r->left = bus_word1_count(w1);
	r->next.pos = r->at.pos + bus_frame_size(length);
	r->next.off = r->at.off + r->left;
	r->state = bus_word0_state(w0);
	return BUS_FOUND;
}

/*
 * No frame at r->at: because there is none yet, because the ring went over
 * it, or because it is closed. Return: BUS_NOTHING, BUS_FOUND if the reader moved, or
 * an error.
 */
static __attribute__((noinline, cold)) int look_again(struct bus_consumer *c,
						      struct bus_reader *r)
{
	if (bus_load(&r->shm_head->closed)) {
		int e = at_closed(c, r);

		if (e)
			return e;
	}
	if (lapped(r))
		return lose(c, r);
	return BUS_NOTHING;
}

/*
 * Have a frame with records left under the cursor. Return: BUS_FOUND,
 * BUS_NOTHING, or an error; after BUS_ELAPPED and BUS_ECORRUPT the reader
 * stands where it did, until stumble() moves it.
 */
static inline int have_frame(struct bus_consumer *c, struct bus_reader *r)
{
	while (!r->left) {
		if (r->next.pos != r->at.pos)
			r->at = r->next;
		if (!take_frame(r))
			return BUS_NOTHING;
		if (unlikely(bus_load(&r->shm_head->closed))) {
			const struct bus_pair next = r->next;
			uint64_t left = r->left;
			int e;

			/* until the verdict says so it is not taken */
			bus_reader_stand(r, r->at);
			e = at_closed(c, r);
			if (e == BUS_FOUND)
				continue;
			if (e == BUS_EGONE) /* told when all are read */
				return BUS_NOTHING;
			if (e < 0)
				return e;
			r->next = next;
			r->left = left;
		}
		if (unlikely(r->state != BUS_STATE_COMMITTED)) {
			/* its records count for offsets only */
			r->left = 0;
			if (lapped(r))
				return BUS_ELAPPED;
			r->off = r->next.off;
		} else if (unlikely(!r->left)) {
			return BUS_ECORRUPT;
		}
	}
	return BUS_FOUND;
}

/* ---- Records ---------------------------------------------------------- */

static void sample(struct bus_reader *r, int64_t timestamp)
{
	struct bus_stats *s = &r->place.map->ring.shm_line_stats[r->place.slot];

	bus_hist_add(s, bus_realtime() - timestamp);
}

/* Whether what was read of the frame at r->at is of this lap. */
static inline bool intact(const struct bus_reader *r)
{
	return r->block || likely(!lapped(r));
}

/* Fill in a record that is a value and nothing else. */
static inline void fill_plain(struct bus_record *ret, const void *value,
			      uint64_t size, uint64_t off)
{
	ret->value = value;
	ret->value_size = size;
	ret->key = NULL;
	ret->key_size = 0;
	ret->headers = NULL;
	ret->headers_size = 0;
	ret->offset = (int64_t)off;
}

static inline void fill_frame(struct bus_record *ret,
			      const struct bus_reader *r, uint64_t pos,
			      uint64_t word2, uint64_t word3)
{
	ret->timestamp = (int64_t)word2;
	ret->partition = r->partition;
	ret->producer = (uint32_t)(word3 >> 32);
	ret->sequence = (uint32_t)word3 >> 4;
	ret->position = pos;
}

/*
 * Decode the record under the cursor, without passing it. Everything it says
 * was checked against the frame, and for a drop reader the frame was of this
 * lap while it was looked at.
 */
static inline int decode(const struct bus_reader *r, struct bus_record *ret,
			 const uint8_t **behind)
{
	fill_frame(ret, r, r->at.pos, (uint64_t)r->timestamp, r->word3);
	if (likely(!(r->word3 & BUS_ATTR_RECORDS))) {
		fill_plain(ret, r->cursor, (uint64_t)(r->end - r->cursor),
			   r->off);
		*behind = r->end;
	} else {
		ret->offset = (int64_t)r->off;
		*behind = bus_record_decode(r->cursor, r->end,
					    r->word3 & BUS_ATTR_TIMES, ret);
	}
	if (!intact(r))
		return BUS_ELAPPED;
	return likely(*behind) ? BUS_FOUND : BUS_ECORRUPT;
}

/*
 * Act on an error of have_frame() or decode(), now that the caller is going to
 * hear of it: a lapped reader goes on at the earliest record there is, a
 * record that cannot be right is stepped over with its frame.
 */
static int stumble(struct bus_consumer *c, struct bus_reader *r, int error)
{
	if (error == BUS_ELAPPED)
		return lose(c, r);
	if (error == BUS_ECORRUPT) {
		r->left = 0;
		r->off = r->next.off;
		r->at = r->next;
	}
	return error;
}

/*
 * The common case in one go: a committed frame with one bare value, the reader
 * at its beginning. Whatever is unusual in any way is left, untouched, to
 * have_frame() and decode().
 */
struct bare {
	const struct bus_frame *shm_frame;
	uint64_t size;		/* of the value */
	uint64_t word2, word3;
};

static inline bool peek_bare(const struct bus_reader *r, struct bare *ret)
{
	const uint64_t pos = r->at.pos;
	const uint8_t *shm_f = r->shm_data + (pos & r->mask);
	const struct bus_frame *f = (const struct bus_frame *)shm_f;
	uint64_t w0, length;

	if (r->left || r->next.pos != pos)
		return false;
	/* [peek:A] pairs [commit:A]: all of the frame after its word 0 */
	w0 = bus_load_acquire(&f->word0);
	if ((w0 ^ bus_stamp(r->salt, pos)) >> 24)
		return false;
	length = bus_word0_length(w0);
	ret->word2 = bus_load(&f->word2);
	ret->word3 = bus_load(&f->word3);
	ret->size = length - sizeof(*f);
	ret->shm_frame = f;
	return bus_word0_state(w0) == BUS_STATE_COMMITTED &&
	       bus_load(&f->word1) == bus_word1(r->at.off, 1) &&
	       !(ret->word3 & BUS_ATTR_RECORDS) && length >= sizeof(*f) &&
	       length <= r->frame_max && !bus_load(&r->shm_head->closed);
}

/* The latency of the last of some records that were just counted. */
static inline void sample_some(struct bus_reader *r, uint64_t before,
			       int64_t timestamp)
{
	if (unlikely(timestamp != BUS_NO_TIMESTAMP) &&
	    (before <= SAMPLE_MASK || (before ^ r->records) & ~SAMPLE_MASK))
		sample(r, timestamp);
}

/* Go on behind a frame that is read. Word by word: copied as pairs they would
 * be loaded as vectors right after their halves were stored, and wait. */
static inline void stand_behind(struct bus_reader *r, uint64_t pos,
				uint64_t off)
{
	r->at.pos = pos;
	r->at.off = off;
	r->next.pos = pos;
	r->next.off = off;
	r->off = off;
}

/* Hand out what peek_bare() found, its value at @value, and pass it. */
static inline void give_bare(struct bus_reader *r, const struct bare *b,
			     const void *value, struct bus_record *ret)
{
	uint64_t pos = r->at.pos, off = r->at.off;

	fill_plain(ret, value, b->size, off);
	fill_frame(ret, r, pos, b->word2, b->word3);
	stand_behind(r,
		     pos + bus_frame_size(sizeof(struct bus_frame) + b->size),
		     off + 1);
	r->bytes += b->size;
	r->records++;
	sample_some(r, r->records - 1, (int64_t)b->word2);
}

/*
 * Where the next frame or record is depends on the length of this one, which
 * is on its way from another core: taken at its word, no load could begin
 * before the one before it ended. So guess that it is as long as the last one;
 * the processor goes on speculatively, and several lines travel at once.
 */
static inline uint64_t guess(uint64_t size, uint64_t *last)
{
	uint64_t step = *last;

	__asm__("" : "+r"(step)); /* or the compiler sees that they are equal */
	if (unlikely(size != step))
		*last = step = size;
	return step;
}

/*
 * As many frames with one bare value as there are, up to @max. Whether the ring
 * was closed or the reader lapped is looked at once, behind all of them; if so
 * none was taken. Return: their number.
 */
static inline size_t take_bares(struct bus_reader *r, struct bus_record *ret,
				size_t max)
{
	uint64_t pos = r->at.pos, off = r->at.off, size = 0, bytes = 0;
	uint64_t before = r->records;
	size_t n;

	if (r->left || r->next.pos != pos)
		return 0;
	for (n = 0; n < max; n++) {
		const uint8_t *shm_f = r->shm_data + (pos & r->mask);
		const struct bus_frame *f = (const struct bus_frame *)shm_f;
		/* [peek:A] pairs [commit:A]: all of the frame after word 0 */
		uint64_t w0 = bus_load_acquire(&f->word0);
		uint64_t w3 = bus_load(&f->word3);
		uint64_t length = bus_word0_length(w0);

		if ((w0 ^ bus_stamp(r->salt, pos)) >> 24 ||
		    bus_word0_state(w0) != BUS_STATE_COMMITTED ||
		    bus_load(&f->word1) != bus_word1(off, 1) ||
		    w3 & BUS_ATTR_RECORDS || length < sizeof(*f) ||
		    length > r->frame_max)
			break;
		fill_plain(&ret[n], f + 1, length - sizeof(*f), off);
		fill_frame(&ret[n], r, pos, bus_load(&f->word2), w3);
		bytes += length - sizeof(*f);
		pos += guess(bus_frame_size(length), &size);
		off++;
	}
	if (!n || bus_load(&r->shm_head->closed) || !intact(r))
		return 0;
	stand_behind(r, pos, off);
	r->records += n;
	r->bytes += bytes;
	sample_some(r, before, ret[n - 1].timestamp);
	return n;
}

/*
 * The same for the records under the cursor, within a frame that was taken.
 * Return: how many were plain.
 */
static inline size_t take_plain(struct bus_reader *r, struct bus_record *ret,
				size_t max)
{
	const uint8_t *at = r->cursor;
	uint64_t size = 0, bytes = 0, before = r->records;
	uint64_t left = (uint64_t)(r->end - at);
	size_t n;

	if (max > r->left)
		max = r->left;
	if (!(r->word3 & BUS_ATTR_RECORDS) || r->word3 & BUS_ATTR_TIMES)
		return 0;
	for (n = 0; n < max && left >= 8; n++) {
		/* loaded once: its producer may change it */
		uint64_t word = bus_load((const uint64_t *)(const void *)at);
		uint64_t step = 8 + bus_pad8(word);

		if (word > BUS_RECORD_SIZE_MASK || step > left)
			break;
		fill_plain(&ret[n], at + 8, word, r->off + n);
		fill_frame(&ret[n], r, r->at.pos, (uint64_t)r->timestamp,
			   r->word3);
		bytes += word;
		step = guess(step, &size);
		at += step;
		left -= step;
	}
	if (!n || !intact(r))
		return 0;
	r->cursor = at;
	r->off += n;
	r->left -= n;
	if (!r->left)
		r->at = r->next;
	r->records += n;
	r->bytes += bytes;
	sample_some(r, before, r->timestamp);
	return n;
}

/* Pass a decoded record: the cursor stands behind it. */
static inline void advance(struct bus_reader *r, const struct bus_record *rec,
			   const uint8_t *behind)
{
	r->cursor = behind;
	r->off++;
	/* the whole frame is read: it is passed by the next call */
	if (!--r->left)
		r->at = r->next;
	r->bytes += rec->value_size + rec->key_size;
	r->records++;
	sample_some(r, r->records - 1, rec->timestamp);
}

/*
 * Up to @max records of one partition. Return: their number, or an error if
 * there are none.
 */
static inline int take_records(struct bus_consumer *c, struct bus_reader *r,
			       struct bus_record *ret, size_t max)
{
	const uint8_t *behind = NULL;
	size_t n = take_bares(r, ret, max), some;
	int e;

	while (n < max) {
		e = have_frame(c, r);
		if (e == BUS_FOUND) {
			some = take_plain(r, &ret[n], max - n);
			if (likely(some)) {
				n += some;
				continue;
			}
			e = decode(r, &ret[n], &behind);
		}
		if (e <= 0)
			return n ? (int)n : e;
		advance(r, &ret[n++], behind);
	}
	return (int)n;
}

void bus_reader_skip(struct bus_consumer *c, struct bus_reader *r, uint64_t off)
{
	struct bus_record rec;
	const uint8_t *behind;

	while (bus_diff(r->off, off) < 0) {
		if (have_frame(c, r) != BUS_FOUND ||
		    bus_diff(r->off, off) >= 0 ||
		    decode(r, &rec, &behind) != BUS_FOUND)
			return;
		r->cursor = behind;
		r->off++;
		if (!--r->left)
			r->at = r->next;
	}
}

/* ---- Polling ---------------------------------------------------------- */

/* One round over the partitions, beginning behind the last one that had some */
static inline int poll_once(struct bus_consumer *c, struct bus_record *ret,
			    size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < c->n_readers && n < max; i++) {
		struct bus_reader *r = c->readers[c->turn];
		int e = take_records(c, r, &ret[n], max - n);

		if (e < 0)
			return n ? (int)n : stumble(c, r, e);
		n += (size_t)e;
		if (++c->turn == c->n_readers)
			c->turn = 0;
	}
	return (int)n;
}

static inline void pass_all(struct bus_consumer *c)
{
	for (uint32_t i = 0; i < c->n_readers; i++)
		bus_reader_pass(c->readers[i]);
}

static void phase_all(struct bus_consumer *c, enum bus_phase phase)
{
	for (uint32_t i = 0; i < c->n_readers; i++)
		bus_store(&c->readers[i]->shm_line->phase, (uint64_t)phase);
}

/* Why nothing was found. Return: BUS_NOTHING, BUS_FOUND (poll again), an error. */
static int look_all(struct bus_consumer *c)
{
	for (uint32_t i = 0; i < c->n_readers; i++) {
		int e = look_again(c, c->readers[i]);

		if (e)
			return e;
	}
	return bus_consumer_grow(c); /* more partitions? */
}

/* Whether a reader's next record, a lap or a roll is there to be seen. */
bool bus_reader_ready(const struct bus_reader *r)
{
	const struct bus_frame *f =
		(const struct bus_frame *)(r->shm_data +
					   (r->next.pos & r->mask));
	/* [peek:A] pairs [commit:A] */
	uint64_t w0 = bus_load_acquire(&f->word0);

	return r->left || bus_load(&r->shm_head->closed) ||
	       bus_ring_stamped(&r->place.map->ring, r->next.pos, w0) ||
	       bus_diff(bus_load(&r->shm_control->free.pos), r->next.pos) > 0;
}

static int sleep_all(struct bus_consumer *c, int64_t left)
{
	struct bus_sleep sleeps[BUS_BELLS_MAX];
	int e;

	for (uint32_t i = 0; i < c->n_readers; i++)
		bus_bell_arm(&c->readers[i]->shm_bells->data, &sleeps[i]);
	bus_membarrier();
	for (uint32_t i = 0; i < c->n_readers; i++)
		if (bus_reader_ready(c->readers[i]))
			return 0;
	for (uint32_t i = 0; i < c->n_readers; i++)
		bus_count(&c->readers[i]
				   ->place.map->ring
				   .shm_line_stats[c->readers[i]->place.slot]
				   .waits,
			  1);
	phase_all(c, BUS_PHASE_SLEEP);
	e = bus_bell_sleep(sleeps, c->n_readers,
			   left < c->sleep_bound ? left : c->sleep_bound);
	phase_all(c, BUS_PHASE_POLL);
	return e == -EINTR ? BUS_EINTR : 0;
}

/* How long one call has waited. */
struct patience {
	int64_t timeout;
	int64_t begin, now;
	unsigned empty;		/* polls that found nothing */
};

/*
 * Nothing is there: wait for it, in the way that was chosen.
 * Return: BUS_NOTHING: time is up; BUS_FOUND: look again; or an error.
 */
static __attribute__((noinline)) int wait_more(struct bus_consumer *c,
					       struct patience *w)
{
	int e;

	if (c->notify)
		bus_notify_rearm(c);
	e = look_all(c);
	if (e || !w->timeout)
		return e;
	w->now = bus_now();
	if (!w->begin)
		w->begin = w->now;
	if (w->timeout > 0 && w->now - w->begin >= w->timeout)
		return BUS_NOTHING;
	if (c->wait == BUS_WAIT_SPIN ||
	    (c->wait == BUS_WAIT_ADAPTIVE && w->now - w->begin < SPIN_NS))
		return BUS_FOUND;
	e = sleep_all(c, w->timeout < 0 ? INT64_MAX :
					  w->begin + w->timeout - w->now);
	return e < 0 ? e : BUS_FOUND;
}

/*
 * Spin on the line where the next record of a single partition will be. With
 * BUS_WAIT_SPIN without a pause: a round trip takes less time (bus bench rtt).
 * The others leave the core's other thread some of it.
 */
static inline bool spin(const struct bus_consumer *c, unsigned *empty)
{
	const struct bus_reader *r = c->readers[0];
	const struct bus_frame *f =
		(const struct bus_frame *)(r->shm_data +
					   (r->next.pos & r->mask));
	uint64_t stamp = bus_stamp(r->salt, r->next.pos);

	do {
		if (c->wait != BUS_WAIT_SPIN)
			bus_pause();
		/* looked at once more, with acquire, by peek_bare() */
		if (!((bus_load(&f->word0) ^ stamp) >> 24))
			return true;
	} while (++*empty % CLOCK_EVERY);
	return false;
}

static inline int wait_for_records(struct bus_consumer *c, struct patience *w)
{
	if (w->timeout && c->wait != BUS_WAIT_SLEEP) {
		if (likely(c->n_readers == 1)) {
			if (spin(c, &w->empty))
				return BUS_FOUND;
		} else if (++w->empty % CLOCK_EVERY) {
			bus_pause();
			return BUS_FOUND;
		}
	}
	return wait_more(c, w);
}

static inline int poll_many(struct bus_consumer *c, struct bus_record *ret,
			    size_t max, int64_t timeout)
{
	struct patience w = { .timeout = timeout };
	int n;

	if (unlikely(bus_forked(c->generation)))
		return BUS_EFORKED;
	pass_all(c);
	for (;;) {
		n = poll_once(c, ret, max);
		if (likely(n))
			return n;
		n = wait_for_records(c, &w);
		if (n <= 0)
			return n;
	}
}

int bus_poll(struct bus_consumer *c, struct bus_record *ret, int64_t timeout)
{
	return poll_many(c, ret, 1, timeout);
}

int bus_poll_many(struct bus_consumer *c, struct bus_record *ret, size_t max,
		  int64_t timeout)
{
	if (unlikely(!max || max > INT32_MAX))
		return BUS_EINVAL;
	return poll_many(c, ret, max, timeout);
}

/* ---- Copying ---------------------------------------------------------- */

/* Copy the parts of @rec into @buffer and let it point there. */
static int copy_record(struct bus_record *rec, uint8_t *to, size_t size)
{
	size_t key = bus_pad8(rec->key_size);
	size_t headers = bus_pad8(rec->headers_size);

	/* a bare value need not be rounded up */
	if (key + headers +
		    (rec->key || rec->headers_size ? bus_pad8(rec->value_size) :
						     rec->value_size) >
	    size)
		return BUS_EMSGSIZE;
	bus_copy(to, rec->key, rec->key_size);
	rec->key = rec->key ? to : NULL;
	to += key;
	bus_copy(to, rec->headers, rec->headers_size);
	rec->headers = to;
	to += headers;
	bus_copy(to, rec->value, rec->value_size);
	rec->value = rec->value ? to : NULL;
	return 0;
}

static __attribute__((noinline)) int copy_any(struct bus_consumer *c,
					      struct bus_reader *r,
					      struct bus_record *ret,
					      void *buffer, size_t size)
{
	const uint8_t *behind = NULL;
	int e = have_frame(c, r);

	if (e == BUS_FOUND)
		e = decode(r, ret, &behind);
	if (e <= 0)
		return e < 0 ? stumble(c, r, e) : e;
	e = copy_record(ret, buffer, size);
	if (unlikely(!intact(r)))
		return stumble(c, r, BUS_ELAPPED);
	if (e < 0)
		return e;
	advance(r, ret, behind);
	return 1;
}

static inline int copy_from(struct bus_consumer *c, struct bus_reader *r,
			    struct bus_record *ret, void *buffer, size_t size)
{
	struct bare b;

	if (likely(peek_bare(r, &b) && b.size <= size)) {
		bus_copy(buffer, b.shm_frame + 1, b.size);
		if (likely(intact(r))) {
			give_bare(r, &b, buffer, ret);
			return 1;
		}
	}
	return copy_any(c, r, ret, buffer, size);
}

int bus_poll_copy(struct bus_consumer *c, struct bus_record *ret, void *buffer,
		  size_t size, int64_t timeout)
{
	struct patience w = { .timeout = timeout };
	int n;

	if (unlikely(bus_forked(c->generation)))
		return BUS_EFORKED;
	pass_all(c);
	for (;;) {
		for (uint32_t i = 0; i < c->n_readers; i++) {
			struct bus_reader *r = c->readers[c->turn];

			n = copy_from(c, r, ret, buffer, size);
			if (n < 0)
				return n;
			/* also after a record: or one partition that is
			 * never empty would keep the others waiting */
			if (++c->turn == c->n_readers)
				c->turn = 0;
			if (n)
				return n;
		}
		n = wait_for_records(c, &w);
		if (n <= 0)
			return n;
	}
}

/* ---- Questions -------------------------------------------------------- */

struct bus_reader *bus_reader_of(const struct bus_consumer *c,
				 uint32_t partition)
{
	for (uint32_t i = 0; i < c->n_readers; i++)
		if (c->readers[i]->partition == partition)
			return c->readers[i];
	return NULL;
}

int bus_record_valid(const struct bus_consumer *c, const struct bus_record *rec)
{
	const struct bus_reader *r = bus_reader_of(c, rec->partition);

	if (!r)
		return 0;
	/* [valid:A] pairs [free:A] */
	bus_fence_acquire();
	return bus_diff(bus_load(&r->shm_control->free.pos), rec->position) <=
	       0;
}

int bus_consumer_lost(const struct bus_consumer *c, struct bus_lost *ret)
{
	if (!c->has_lost)
		return BUS_EINVAL;
	*ret = c->lost;
	return 0;
}

int64_t bus_consumer_position(const struct bus_consumer *c, uint32_t partition)
{
	const struct bus_reader *r = bus_reader_of(c, partition);

	return r ? (int64_t)r->off : BUS_ERANGE;
}

uint32_t bus_consumer_partitions(const struct bus_consumer *c)
{
	return c->n_readers;
}

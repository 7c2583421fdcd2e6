/* SPDX-License-Identifier: MIT */
/*
 * producer.c - publishing.
 *
 * A producer has a lane for each partition that it sent to: a slot in the
 * partition's present ring, and copies of what a send needs. A send is
 *
 *	claim	where, and under which offset
 *	fill	payload and words 1 to 3
 *	commit	word 0, then see whether the ring was closed meanwhile, then
 *		the bells
 *
 * producers=many. Others claim too, so the claim is a 16-byte compare-and-swap
 * on the tail. Whoever repairs after our death must know what was ours: the
 * slot names position, size and offset *before* the claim can take effect.
 *
 *	want = size, count, offset;  pin = P CLAIMING		[pin:A]
 *	tail (P, O) -> (P + size, O + count)			[tail:A]
 *	pin = P HOLDING
 *	fill; word 0						[commit:A]
 *	closed?							[closed:B]
 *	pin = OFFLINE						[pin:A]
 *
 * producers=one. Nobody else claims: position and offset are private, and
 * until word 0 is stored the frame does not exist. Dying leaves nothing.
 *
 * If the owner dies or stops here:
 *	before the claim	nothing was claimed; a pin above the tail counts
 *				for nothing
 *	before word 0		busd marks the frame ABORTED (dead), or closes
 *				the ring and lists it in the verdict (stopped)
 *	before the pin is taken	the frame is resolved, so the pin counts for
 *	 back			nothing
 *	before the bells	busd rings both for every dead client; sleeps
 *				are bounded besides
 *
 * A closed ring. `closed` is looked at after word 0 with a compiler barrier
 * between, and busd calls membarrier between setting it and reading all
 * headers: either we see it, or busd sees our frame. Seeing it we wait for the
 * verdict. A frame that the verdict lists was never published: its payload
 * does not depend on where it lies, so it is copied into the next ring and
 * published there, and the caller notices nothing.
 *
 * All of this is lock-free as long as there is room: some producer's claim
 * succeeds. Waiting for room is bounded by the caller's time-out.
 */
#define _GNU_SOURCE
#include <bus/bus.h>

#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "copy.h"
#include "record.h"
#include "stats.h"
#include "wait.h"

#define STICKY_BYTES 16384	/* keyless records stay on a partition for */
#define SPIN_NS 20000		/* for room, before sleeping */
#define PREFETCH_BYTES 512	/* of a frame, at most */

/* One frame on its way. */
struct claim {
	struct bus_pair at;
	struct bus_frame *shm_frame; /* there */
	uint64_t length;	/* with the header */
	uint64_t size;		/* length, rounded up */
	uint64_t timestamp;
	uint32_t attrs;
	uint32_t count;
	uint64_t bytes;		/* for the statistics */
};

struct lane {
	/* what every send needs, copied out of the mapping */
	uint8_t *shm_data;
	uint64_t mask;
	uint64_t salt;
	uint64_t border;	/* bits of a position that name its sixteenth */
	uint64_t frame_max;
	uint64_t room;		/* there is room up to here */
	struct bus_pair at;	/* producers=one: our end */
	struct bus_slot *shm_slot;
	struct bus_ring_control *shm_control;
	const struct bus_ring_head *shm_head;
	struct bus_bells *shm_bells;
	uint64_t id;		/* producer id where word 3 has it */
	uint64_t sequence;
	bool one;
	/* the rest */
	bool unknown;		/* `open` was committed, the verdict is out */
	struct claim open;	/* reserved or unknown */
	struct bus_attachment place;
};

struct bus_producer {
	struct lane *sticky;	/* where keyless records go now */
	uint64_t sticky_left;	/* bytes, before the next partition's turn */
	unsigned generation;
	uint32_t partitions;
	struct lane *reserved;	/* has an open reservation */
	struct lane *lanes[BUS_PARTITIONS_MAX]; /* NULL: nothing sent there */
	uint32_t sticky_partition;
	int64_t timeout;
	struct bus *bus;
	char topic[BUS_NAME_MAX + 1];
};

/* ---- Lanes ------------------------------------------------------------ */

static void lane_start(struct lane *l)
{
	const struct bus_ring *ring = &l->place.map->ring;

	l->shm_data = ring->shm_data;
	l->mask = ring->mask;
	l->salt = ring->salt;
	l->border = ~(ring->size / BUS_MARKS - 1);
	l->frame_max = ring->frame_max;
	l->shm_slot = &ring->shm_slot[l->place.slot];
	l->shm_control = ring->shm_control;
	l->shm_head = ring->shm_head;
	l->shm_bells = ring->shm_bells;
	l->id = (uint64_t)l->place.producer_id << 32;
	l->one = ring->one;
	l->room = bus_load(&ring->shm_control->free.pos) + ring->size;
	if (l->one) {
		l->at = bus_pair_load(&ring->shm_control->tail);
		l->at.pos = bus_tail_pos(l->at);
	}
}

static int lane_open(struct bus_producer *p, uint32_t partition,
		     struct lane **ret)
{
	struct lane *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return BUS_ENOMEM;
	r = bus_attach(p->bus, p->topic, partition, BUS_ROLE_PRODUCER,
		       &l->place);
	if (!r && p->lanes[0] &&
	    p->lanes[0]->place.map->topic_id != l->place.map->topic_id) {
		/* deleted and created again since we came */
		bus_detach(p->bus, &l->place);
		r = BUS_EGONE;
	}
	if (r < 0) {
		free(l);
		return r;
	}
	lane_start(l);
	p->lanes[partition] = l;
	*ret = l;
	return 0;
}

static int lane_of(struct bus_producer *p, uint32_t partition,
		   struct lane **ret)
{
	if (likely(p->lanes[partition])) {
		*ret = p->lanes[partition];
		return 0;
	}
	return lane_open(p, partition, ret);
}

static int64_t deadline(const struct bus_producer *p, const struct lane *l)
{
	uint64_t ms;

	if (p->timeout >= 0)
		return bus_now() + p->timeout;
	if (p->timeout == BUS_FOREVER)
		return INT64_MAX;
	ms = bus_load(&l->place.map->shm_topic->max_block_ms);
	return bus_now() + (int64_t)ms * 1000000;
}

/*
 * Go on in the ring behind this one, which is closed. @old gets the place in
 * this one, to be detached when nothing in it is needed any more.
 */
static int follow(struct bus_producer *p, struct lane *l, int64_t until,
		  struct bus_attachment *old)
{
	struct bus_attachment next;
	int r;

	/* The next ring exists before this one closes, but the roll may still
	 * be on its way. */
	r = bus_wait_complete(l->place.map, until);
	if (r < 0)
		return r;
	r = bus_attach_next(p->bus, &l->place, l->place.map->ring_seq, &next);
	if (r < 0)
		return r;
	*old = l->place;
	l->place = next;
	lane_start(l);
	return 0;
}

static int follow_and_leave(struct bus_producer *p, struct lane *l,
			    int64_t until)
{
	struct bus_attachment old;
	int r = follow(p, l, until, &old);

	if (!r)
		bus_detach(p->bus, &old);
	return r;
}

/* ---- Room ------------------------------------------------------------- */

static bool closed(const struct lane *l)
{
	if (l->one)
		return bus_load(&l->shm_head->closed);
	return bus_load(&l->shm_control->tail.pos) & BUS_TAIL_CLOSED;
}

/* Whether @size more bytes fit now, behind whatever the tail is now. */
static bool look_for_room(struct lane *l, uint64_t size)
{
	struct bus_pair at = l->one ? l->at :
				      bus_pair_load(&l->shm_control->tail);
	uint64_t upto = bus_tail_pos(at) + size;

	if (at.pos & BUS_TAIL_NOT_OPEN)
		return false; /* busd is about to open it, and rings `room` */
	if (bus_diff(upto, l->room) > 0)
		l->room = bus_ring_reclaim(&l->place.map->ring, upto,
					   l->one ? &l->at : NULL);
	return bus_diff(upto, l->room) <= 0;
}

static int sleep_for_room(struct lane *l, uint64_t size, int64_t left)
{
	const struct bus_topic_page *topic = l->place.map->shm_topic;
	int64_t bound = (int64_t)bus_load(&topic->stall_fence_ms) * 1000000;
	struct bus_sleep sleep;
	int r;

	bus_store(&l->shm_slot->phase, (uint64_t)BUS_PHASE_ROOM);
	bus_bell_arm(&l->shm_bells->room, &sleep);
	bus_membarrier();
	if (closed(l) || look_for_room(l, size))
		return 0;
	r = bus_bell_sleep(&sleep, 1, left < bound ? left : bound);
	return r == -EINTR ? BUS_EINTR : 0;
}

static int wait_for_room(struct bus_producer *p, struct lane *l, uint64_t size)
{
	struct bus_stats *stats =
		&l->place.map->ring.shm_slot_stats[l->place.slot];
	int64_t begin = bus_now(), now = begin, until = deadline(p, l);
	int r = 0;

	if (p->timeout == BUS_NO_WAIT)
		return BUS_EAGAIN;
	bus_count(&stats->waits, 1);
	while (!r && !closed(l) && !look_for_room(l, size)) {
		now = bus_now();
		if (now >= until)
			r = BUS_ETIMEDOUT;
		else if (now - begin < SPIN_NS)
			bus_pause();
		else
			r = sleep_for_room(l, size, until - now);
	}
	bus_hist_add(stats, bus_now() - begin);
	return r;
}

/* ---- Claim ------------------------------------------------------------ */

/* Ask for the first lines of a frame of @size bytes, to write them. */
static inline void prefetch(const uint8_t *frame, uint64_t size)
{
	bus_prefetch_write(frame);
	if (likely(size <= BUS_LINE))
		return;
	if (size > PREFETCH_BYTES)
		size = PREFETCH_BYTES;
	for (uint64_t i = BUS_LINE; i < size; i += BUS_LINE)
		bus_prefetch_write(frame + i);
}

static inline uint8_t *payload_of(const struct claim *c)
{
	return (uint8_t *)(c->shm_frame + 1);
}

static inline void resolve(const struct lane *l, const struct claim *c,
			   unsigned state)
{
	struct bus_frame *f = c->shm_frame;
	uint64_t stamp = bus_stamp(l->salt, c->at.pos);

	bus_store(&f->word1, bus_word1(c->at.off, c->count));
	/* [commit:A] pairs [peek:A]: all of the frame before its word 0 */
	bus_store_release(&f->word0, stamp | c->length << 2 | state);
}

static void abort_claim(struct lane *l, const struct claim *c)
{
	resolve(l, c, BUS_STATE_ABORTED);
	bus_barrier();
	/* [pin:A] pairs [pin:B]: resolved before the pin is gone */
	bus_store_release(&l->shm_slot->pin, BUS_PIN_OFFLINE);
	if (bus_bell_armed(&l->shm_bells->data))
		bus_bell_ring(&l->shm_bells->data);
}

/*
 * The pin of our own slot is set though no call is under way: a signal handler
 * jumped out of one. HOLDING: the frame is ours. CLAIMING: whether it is ours
 * only busd can tell, as it does for the dead: take another slot.
 */
static int clear_wreck(struct bus_producer *p, struct lane *l)
{
	uint64_t pin = bus_load(&l->shm_slot->pin);
	uint64_t want = bus_load(&l->shm_slot->want_size);
	uint64_t pos = pin & ~BUS_PIN_FLAGS;
	struct bus_attachment next;
	int r;

	if (pin & BUS_PIN_HOLDING) {
		struct claim c = {
			.at = { pos, bus_load(&l->shm_slot->want_off) },
			.shm_frame = bus_ring_frame(&l->place.map->ring, pos),
			.length = want >> 12,
			.count = want & 4095,
		};

		if (!bus_ring_resolved(&l->place.map->ring, pos))
			abort_claim(l, &c);
		/* [pin:A] pairs [pin:B] */
		bus_store_release(&l->shm_slot->pin, BUS_PIN_OFFLINE);
		return 0;
	}
	r = bus_attach(p->bus, p->topic, l->place.map->partition,
		       BUS_ROLE_PRODUCER, &next);
	if (r < 0)
		return r;
	bus_detach(p->bus, &l->place);
	l->place = next;
	lane_start(l);
	return 0;
}

/* The verdict on a frame of a closed ring that was committed: did it count? */
static bool listed(const struct lane *l, const struct claim *c)
{
	const struct bus_ring_head *h = l->shm_head;
	uint32_t n = bus_load(&h->n_verdict);

	if (l->one)
		return bus_diff(c->at.pos, bus_load(&h->end.pos)) >= 0;
	for (uint32_t i = 0; i < n && i < BUS_SLOTS; i++)
		if (bus_load(&h->verdict[i].pos) == c->at.pos)
			return true;
	return false;
}

/* A send whose verdict was not to be had in time: it is now, or never. */
static int settle_unknown(struct bus_producer *p, struct lane *l)
{
	int r = bus_wait_complete(l->place.map, deadline(p, l));

	if (r < 0)
		return r == BUS_ETIMEDOUT ? BUS_EINDEFINITE : r;
	l->unknown = false;
	/* [pin:A] pairs [pin:B] */
	bus_store_release(&l->shm_slot->pin, BUS_PIN_OFFLINE);
	return 0;
}

static int too_large(const struct bus_producer *p, const struct lane *l,
		     uint64_t length)
{
	bus_detail_set("%llu bytes with header, key and headers; topic %s has "
		       "max.message.bytes=%llu",
		       (unsigned long long)length, p->topic,
		       (unsigned long long)bus_load(
			       &l->place.map->shm_topic->max_message_bytes));
	return BUS_EMSGSIZE;
}

/* Whatever keeps a claim from the straight path; then it is tried again. */
static __attribute__((noinline, cold)) int
claim_slow(struct bus_producer *p, struct lane *l, const struct claim *c)
{
	if (l->unknown)
		return settle_unknown(p, l);
	if (c->size > l->frame_max)
		return too_large(p, l, c->length);
	if (bus_load(&l->shm_slot->pin) != BUS_PIN_OFFLINE)
		return clear_wreck(p, l);
	if (closed(l))
		return follow_and_leave(p, l, deadline(p, l));
	if (look_for_room(l, c->size))
		return 0;
	return wait_for_room(p, l, c->size);
}

/* Where the claim lies. A reader polls that line, so having it written takes
 * the longest of all: ask for it before anything else. */
static inline void find_frame(const struct lane *l, struct claim *c,
			      uint64_t pos)
{
	uint8_t *shm_frame = l->shm_data + (pos & l->mask);

	prefetch(shm_frame, c->size);
	c->shm_frame = (struct bus_frame *)shm_frame;
}

static inline __attribute__((always_inline)) bool
claim_one(const struct lane *l, struct claim *c)
{
	find_frame(l, c, l->at.pos);
	c->at = l->at;
	return likely(bus_diff(l->at.pos + c->size, l->room) <= 0);
}

static inline __attribute__((always_inline)) bool claim_many(struct lane *l,
							     struct claim *c)
{
	struct bus_slot *s = l->shm_slot;
	struct bus_pair tail, next;

	if (unlikely(bus_load(&s->pin) != BUS_PIN_OFFLINE))
		return false;
	for (;;) {
		tail = bus_pair_load(&l->shm_control->tail);
		find_frame(l, c, bus_tail_pos(tail));
		next.pos = tail.pos + c->size;
		next.off = tail.off + c->count;
		if (unlikely(tail.pos & BUS_TAIL_FLAGS ||
			     bus_diff(next.pos, l->room) > 0))
			return false;
		bus_store(&s->want_size, bus_want(c->length, c->count));
		bus_store(&s->want_off, tail.off);
		/* [pin:A] pairs [pin:B]: want before the pin */
		bus_store_release(&s->pin, tail.pos | BUS_PIN_CLAIMING);
		/* [tail:A] pairs [pin:B]: the pin before the claim */
		if (likely(bus_pair_cas(&l->shm_control->tail, tail, next)))
			break;
		/* [pin:A] pairs [pin:B] */
		bus_store_release(&s->pin, BUS_PIN_OFFLINE);
	}
	/* [pin:A] pairs [pin:B] */
	bus_store_release(&s->pin, tail.pos | BUS_PIN_HOLDING);
	if (unlikely((tail.pos ^ next.pos) & l->border))
		bus_ring_mark(&l->place.map->ring, tail.pos, next);
	c->at = tail;
	return true;
}

/*
 * Find the frame of @c, whose length and count are set. Inlined with all that
 * it leads to on the straight path, so that the claim stays in registers; the
 * other paths work on a copy, for the same reason.
 * Return: 0, and c->at is ours; or why not.
 */
static inline __attribute__((always_inline)) int
claim(struct bus_producer *p, struct lane *l, struct claim *c)
{
	c->size = bus_frame_size(c->length);
	bus_store(&l->shm_slot->phase, (uint64_t)BUS_PHASE_SEND);
	while (unlikely(c->size > l->frame_max) ||
	       !(l->one ? claim_one(l, c) : claim_many(l, c))) {
		struct claim copy = *c;
		int r = claim_slow(p, l, &copy);

		if (r < 0) {
			bus_store(&l->shm_slot->phase,
				  (uint64_t)BUS_PHASE_IDLE);
			return r;
		}
	}
	return 0;
}

/* ---- Commit ----------------------------------------------------------- */

static __attribute__((noinline)) void ring_armed(const struct lane *l)
{
	struct bus_bells *b = l->shm_bells;
	unsigned n = 0;

	if (bus_bell_armed(&b->data))
		n += (unsigned)bus_bell_ring(&b->data);
	if (bus_bell_armed(&b->room))
		n += (unsigned)bus_bell_ring(&b->room);
	bus_count(&l->place.map->ring.shm_slot_stats[l->place.slot].wakes, n);
}

static inline void ring_bells(const struct lane *l)
{
	const struct bus_bells *b = l->shm_bells;

	bus_barrier();
	if (unlikely((bus_load(&b->data) | bus_load(&b->room)) &
		     BUS_BELL_ARMED))
		ring_armed(l);
}

/* The frame counts: let go of it, count it, wake who sleeps. */
static inline __attribute__((always_inline)) int64_t
finish(struct lane *l, const struct claim *c)
{
	struct bus_slot *s = l->shm_slot;

	if (l->one) {
		struct bus_pair next = { c->at.pos + c->size,
					 c->at.off + c->count };

		/* [last:A] pairs [last:B]: its frame is there */
		bus_store_release(&s->last, c->at.pos);
		if (unlikely((c->at.pos ^ next.pos) & l->border))
			bus_ring_mark(&l->place.map->ring, c->at.pos, next);
		l->at = next;
	} else {
		/* [pin:A] pairs [pin:B]: resolved before the pin is gone */
		bus_store_release(&s->pin, BUS_PIN_OFFLINE);
	}
	bus_count(&s->records, c->count);
	bus_count(&s->bytes, c->bytes);
	ring_bells(l);
	bus_store(&s->phase, (uint64_t)BUS_PHASE_IDLE);
	return (int64_t)c->at.off;
}

static inline void fill_header(struct lane *l, const struct claim *c)
{
	struct bus_frame *f = c->shm_frame;
	uint64_t sequence = l->sequence++ << 4 & UINT32_MAX;

	bus_store(&f->word2, c->timestamp);
	bus_store(&f->word3, l->id | sequence | c->attrs);
}

static int64_t commit(struct bus_producer *p, struct lane *l, struct claim *c);

/*
 * The ring was closed around our commit: the verdict tells whether the frame
 * counts. If not, its payload goes into the next ring.
 */
static __attribute__((noinline, cold)) int64_t
commit_closed(struct bus_producer *p, struct lane *l, struct claim *c)
{
	const uint8_t *payload = payload_of(c);
	int64_t until = deadline(p, l), ret;
	struct bus_attachment old;
	int r = bus_wait_complete(l->place.map, until);

	if (r < 0) {
		l->unknown = true;
		l->room = c->at.pos; /* so that the next claim looks */
		return BUS_EINDEFINITE;
	}
	if (!listed(l, c))
		return finish(l, c);
	/* [pin:A] pairs [pin:B]: the verdict has resolved it */
	bus_store_release(&l->shm_slot->pin, BUS_PIN_OFFLINE);
	r = follow(p, l, until, &old);
	if (r < 0)
		return r == BUS_EGONE ? BUS_EGONE : BUS_EFENCED;
	ret = claim(p, l, c);
	if (!ret) {
		bus_copy(payload_of(c), payload,
			 c->length - sizeof(struct bus_frame));
		fill_header(l, c);
		ret = commit(p, l, c);
	}
	bus_detach(p->bus, &old);
	return ret;
}

static inline __attribute__((always_inline)) int64_t
commit_fast(struct bus_producer *p, struct lane *l, const struct claim *c)
{
	int64_t ret;

	resolve(l, c, BUS_STATE_COMMITTED);
	bus_barrier();
	/* [closed:B] pairs [closed:A]: busd's membarrier is between them */
	if (unlikely(bus_load(&l->shm_head->closed))) {
		struct claim copy = *c;

		return commit_closed(p, l, &copy);
	}
	ret = finish(l, c);
	/* The next frame is likely to be like this one, and its lines were
	 * read by others a lap ago: take them back while this one is read.
	 * Behind the last one is the mirror. */
	prefetch((const uint8_t *)c->shm_frame + c->size, c->size);
	return ret;
}

static int64_t commit(struct bus_producer *p, struct lane *l, struct claim *c)
{
	return commit_fast(p, l, c);
}

/* ---- Partitions ------------------------------------------------------- */

/* Keyless records: the next partition's turn. One that cannot be had is left
 * out until its turn comes again. */
static void turn_sticky(struct bus_producer *p)
{
	struct lane *l;

	p->sticky_partition = (p->sticky_partition + 1) % p->partitions;
	if (!lane_of(p, p->sticky_partition, &l))
		p->sticky = l;
}

static void look_for_partitions(struct bus_producer *p)
{
	const struct bus_topic_page *t = p->sticky->place.map->shm_topic;
	/* [parts:B] pairs [parts:A]: they are ready */
	uint32_t n = bus_load_acquire(&t->partitions);

	if (n > p->partitions && n <= BUS_PARTITIONS_MAX)
		p->partitions = n;
}

static __attribute__((noinline)) void sticky_spent(struct bus_producer *p)
{
	look_for_partitions(p);
	p->sticky_left = STICKY_BYTES;
	if (p->partitions > 1)
		turn_sticky(p);
}

/* Count @bytes against the sticky partition, after a send that succeeded. */
static inline void spend_sticky(struct bus_producer *p, uint64_t bytes)
{
	if (likely(p->sticky_left > bytes))
		p->sticky_left -= bytes;
	else
		sticky_spent(p);
}

/* The lane that the first of @n messages chooses which has a choice. */
static int choose_lane(struct bus_producer *p, const struct bus_message *m,
		       size_t n, struct lane **ret)
{
	int64_t chosen = BUS_PARTITION_ANY;

	look_for_partitions(p);
	for (size_t i = 0; i < n; i++) {
		int64_t is = m[i].partition;

		if (is == BUS_PARTITION_ANY && m[i].key)
			is = bus_partition_of(m[i].key, m[i].key_size,
					      p->partitions);
		if (is == BUS_PARTITION_ANY)
			continue;
		if (is < 0 || is >= p->partitions) {
			bus_detail_set("partition %lld of topic %s, which has "
				       "%u (0 to %u)",
				       (long long)is, p->topic, p->partitions,
				       p->partitions - 1);
			return BUS_ERANGE;
		}
		if (chosen != BUS_PARTITION_ANY && chosen != is)
			return BUS_EINVAL;
		chosen = is;
	}
	if (chosen != BUS_PARTITION_ANY)
		return lane_of(p, (uint32_t)chosen, ret);
	*ret = p->sticky;
	return 0;
}

static int usable(const struct bus_producer *p)
{
	if (bus_forked(p->generation))
		return BUS_EFORKED;
	return p->reserved ? BUS_EINVAL : 0;
}

/* ---- Sending ---------------------------------------------------------- */

int64_t bus_send(struct bus_producer *p, const void *value, size_t size)
{
	struct lane *l = p->sticky;
	struct claim c = {
		.length = sizeof(struct bus_frame) + size,
		.timestamp = (uint64_t)BUS_NO_TIMESTAMP,
		.count = 1,
		.bytes = size,
	};
	int64_t ret;
	int r;

	if (unlikely(bus_forked(p->generation) || p->reserved || !value ||
		     size > BUS_FRAME_LENGTH_MAX)) {
		struct bus_message m = BUS_MESSAGE;

		m.value = value;
		m.value_size = size;
		return bus_send_message(p, &m, NULL);
	}
	r = claim(p, l, &c);
	if (unlikely(r < 0))
		return r;
	bus_copy(payload_of(&c), value, size);
	fill_header(l, &c);
	ret = commit_fast(p, l, &c);
	spend_sticky(p, size);
	return ret;
}

/*
 * Whether all are plain, with one timestamp and no wish for a partition: the
 * common batch, found out without a branch for each. Then @c is complete.
 */
static inline bool measure_plain(const struct bus_message *m, size_t n,
				 struct claim *c)
{
	uint64_t length = sizeof(struct bus_frame), bytes = 0, odd = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t size = m[i].value_size;

		odd |= (uintptr_t)m[i].key | m[i].n_headers | !m[i].value |
		       (uint64_t)(m[i].timestamp ^ m->timestamp) |
		       (uint32_t)(m[i].partition ^ BUS_PARTITION_ANY) |
		       (size & ~BUS_RECORD_SIZE_MASK);
		length += 8 + bus_pad8(size);
		bytes += size;
	}
	*c = (struct claim){
		.length = length,
		.timestamp = (uint64_t)m->timestamp,
		.attrs = BUS_ATTR_RECORDS,
		.count = (uint32_t)n,
		.bytes = bytes,
	};
	return !odd && length <= BUS_FRAME_LENGTH_MAX;
}

/* Length, attributes and the rest of a claim for @n messages of any kind. */
static int measure(const struct bus_message *m, size_t n, struct claim *c)
{
	uint64_t length = sizeof(struct bus_frame), bytes = 0;
	bool times = false;

	*c = (struct claim){ .count = (uint32_t)n,
			     .timestamp = (uint64_t)m->timestamp };
	if (n == 1 && bus_message_bare(m)) {
		c->length = length + m->value_size;
		c->bytes = m->value_size;
		return m->value_size <= BUS_FRAME_LENGTH_MAX ? 0 : BUS_EMSGSIZE;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t size = bus_record_size(&m[i], false);

		times |= m[i].timestamp != m->timestamp;
		bytes += m[i].value_size + m[i].key_size;
		length += size;
		if (unlikely(!size || length > BUS_FRAME_LENGTH_MAX))
			return BUS_EMSGSIZE;
	}
	c->attrs = BUS_ATTR_RECORDS | (times ? BUS_ATTR_TIMES : 0);
	c->length = length + (times ? 8 * n : 0);
	c->bytes = bytes;
	return 0;
}

static inline void encode_plain(uint8_t *to, const struct bus_message *m,
				size_t n)
{
	for (size_t i = 0; i < n; i++)
		to = bus_record_encode_plain(to, &m[i]);
}

static void encode(uint8_t *to, const struct bus_message *m,
		   const struct claim *c)
{
	bool times = c->attrs & BUS_ATTR_TIMES;

	if (!(c->attrs & BUS_ATTR_RECORDS)) {
		bus_copy(to, m->value, m->value_size);
		return;
	}
	for (size_t i = 0; i < c->count; i++)
		to = bus_record_encode(to, &m[i], times, NULL);
}

int64_t bus_send_batch(struct bus_producer *p, const struct bus_message *m,
		       size_t n, uint32_t *partition)
{
	struct lane *l = p->sticky;
	struct claim c;
	bool plain = false;
	int64_t ret;
	int r = usable(p);

	if (!r && (n < 1 || n > BUS_BATCH_MAX))
		r = BUS_EINVAL;
	if (!r)
		plain = n > 1 && measure_plain(m, n, &c);
	if (!r && !plain)
		r = choose_lane(p, m, n, &l);
	if (!r && !plain)
		r = measure(m, n, &c);
	if (r < 0)
		return r;
	r = claim(p, l, &c);
	if (r < 0)
		return r;
	if (plain)
		encode_plain(payload_of(&c), m, n);
	else
		encode(payload_of(&c), m, &c);
	fill_header(l, &c);
	ret = commit(p, l, &c);
	if (ret >= 0 && partition)
		*partition = l->place.map->partition;
	if (ret >= 0 && l == p->sticky)
		spend_sticky(p, c.bytes);
	return ret;
}

int64_t bus_send_message(struct bus_producer *p, const struct bus_message *m,
			 uint32_t *partition)
{
	return bus_send_batch(p, m, 1, partition);
}

/* ---- In place --------------------------------------------------------- */

int bus_reserve(struct bus_producer *p, const struct bus_message *m, void **ret)
{
	struct claim c;
	struct lane *l;
	int r = usable(p);
	struct bus_message there = *m;

	if (!r && m->value)
		r = BUS_EINVAL;
	there.value = ""; /* it will be: not a null value */
	if (!r)
		r = choose_lane(p, m, 1, &l);
	if (!r)
		r = measure(&there, 1, &c);
	if (!r)
		r = claim(p, l, &c);
	if (r < 0)
		return r;
	if (c.attrs & BUS_ATTR_RECORDS)
		bus_record_encode(payload_of(&c), &there, false, ret);
	else
		*ret = payload_of(&c);
	l->open = c;
	p->reserved = l;
	return 0;
}

static int reserved_lane(struct bus_producer *p, struct lane **ret)
{
	if (bus_forked(p->generation))
		return BUS_EFORKED;
	if (!p->reserved)
		return BUS_EINVAL;
	*ret = p->reserved;
	p->reserved = NULL;
	return 0;
}

int64_t bus_commit(struct bus_producer *p)
{
	struct lane *l;
	int64_t ret;
	int r = reserved_lane(p, &l);

	if (r < 0)
		return r;
	fill_header(l, &l->open);
	ret = commit(p, l, &l->open);
	if (l == p->sticky)
		spend_sticky(p, l->open.bytes);
	return ret;
}

int bus_discard(struct bus_producer *p)
{
	struct lane *l;
	int r = reserved_lane(p, &l);

	if (!r && !l->one)
		abort_claim(l, &l->open);
	return r;
}

/* ---- Handles ---------------------------------------------------------- */

int bus_producer_open(struct bus *bus, const char *topic,
		      const struct bus_producer_options *options,
		      struct bus_producer **ret)
{
	struct bus_producer *p;
	int r;

	if (options && options->size != sizeof(*options))
		return BUS_EINVAL;
	if (strlen(topic) > BUS_NAME_MAX)
		return BUS_ENAME;
	p = calloc(1, sizeof(*p));
	if (!p)
		return BUS_ENOMEM;
	p->bus = bus;
	p->generation = bus->generation;
	p->timeout = options ? options->timeout : BUS_DEFAULT_WAIT;
	p->partitions = 1;
	p->sticky_left = STICKY_BYTES;
	strcpy(p->topic, topic);
	r = lane_of(p, 0, &p->sticky);
	if (r < 0) {
		free(p);
		return r;
	}
	look_for_partitions(p);
	*ret = p;
	return 0;
}

struct bus_producer *bus_producer_close(struct bus_producer *p)
{
	if (!p)
		return NULL;
	if (p->reserved)
		bus_discard(p);
	for (size_t i = 0; i < BUS_PARTITIONS_MAX; i++) {
		if (!p->lanes[i])
			continue;
		bus_detach(p->bus, &p->lanes[i]->place);
		free(p->lanes[i]);
	}
	free(p);
	return NULL;
}

uint32_t bus_producer_partitions(const struct bus_producer *p)
{
	return p->partitions;
}

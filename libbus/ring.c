/* SPDX-License-Identifier: MIT */
/*
 * ring.c - room, boundaries and the end of a ring.
 *
 * A ring is a window onto the end of a log. Three cursors bound it, and each
 * of them only grows:
 *
 *	free  <=  closing  <=  every frame that somebody needs  <=  tail
 *	|         |                                                 |
 *	|         reclaim has promised to free below this           claimed
 *	what is below may be overwritten
 *
 * Lettered guarantees, which the tests cite:
 *
 *  A  A frame is seen whole or not at all. Its word 0 is stored once, last,
 *     with release; a reader at position p takes it only if it bears p's stamp
 *     and word 1 bears the offset that the reader expects there.
 *  B  What another lap left in the ring never passes for a frame: its stamp is
 *     of another position, or, 2^46 bytes later, its offset is another one.
 *     So nothing is ever zeroed.
 *  C  A position between `closing` and the tail that a blocking reader has
 *     announced, or that a pin with an unresolved frame names, is not
 *     overwritten.
 *  D  A reader that does not block finds out afterwards: data loads, acquire
 *     fence, `free` still at or below its position - then what it read was
 *     whole. [valid:*]
 *  E  Any position in tail, closing, free, a pin, a mark or a consumer's line
 *     is the boundary of a frame.
 *
 * Who pairs with whom (each label stands at its access):
 *
 *	commit:A -> peek:A	fields and payload before word 0
 *	pin:A    -> pin:B	want before the pin that names it
 *	tail:A   -> pin:B	the pin is seen by whoever sees the claim
 *	pass:A   -> pass:B	reads of a frame before the position behind it
 *	enter:A  <-> enter:B	announcing a position against promising to free
 *	free:A   -> valid:A	stores into freed room come after `free`
 *
 * Progress: reclaim and entry are lock-free, all queries are bounded.
 *
 * Marks. To free "as much as is needed and a quarter more" one needs the
 * boundary of a frame near that point. Walking the headers costs a cache line
 * per frame, as much as publishing it did. So whoever claims across the border
 * of a sixteenth of the ring stores where the next frame begins. A mark may be
 * missing (its claimer was killed just then) or be of an earlier lap; it is
 * never wrong, because it is replaced as a pair and only by a greater one.
 * With no usable mark, reclaim frees all it may: a matter of how much late
 * readers still find, not of safety.
 *
 * producers=one. There is no claim: `tail` says where the present owner began
 * and bears ONE; only the owner needs room, so only it reclaims.
 */
#include "ring.h"

#include <errno.h>

/*
 * Word 0 first, `free` afterwards: a foreign stamp is either not resolved
 * yet or of a later lap, and in that case `free` has passed the position.
 */
bool bus_ring_resolved(const struct bus_ring *ring, uint64_t pos)
{
	/* [peek:A] pairs [commit:A]: then also what it says is visible */
	uint64_t w0 = bus_load_acquire(&bus_ring_frame(ring, pos)->word0);

	if (bus_ring_stamped(ring, pos, w0) && bus_word0_state(w0))
		return true;
	return bus_diff(bus_load(&ring->shm_control->free.pos), pos) > 0;
}

uint64_t bus_ring_header(const struct bus_ring *ring, uint64_t pos,
			 struct bus_pair *next)
{
	const struct bus_frame *f = bus_ring_frame(ring, pos);
	/* [peek:A] pairs [commit:A]: word 1 after word 0 */
	uint64_t w0 = bus_load_acquire(&f->word0);
	uint64_t w1 = bus_load(&f->word1);
	uint64_t length = bus_word0_length(w0);

	if (!bus_ring_stamped(ring, pos, w0) || !bus_word0_state(w0) ||
	    !bus_ring_length_ok(ring, length))
		return 0;
	/* [valid:A] pairs [free:A]: word 1 is of this lap if room for the next
	 * one was not given yet */
	bus_fence_acquire();
	if (bus_diff(bus_load(&ring->shm_control->free.pos), pos) > 0)
		return 0;
	next->pos = pos + bus_frame_size(length);
	next->off = bus_word1_off(w1) + bus_word1_count(w1);
	return w0;
}

/*
 * With producers=one. What the owner calls `last` is stored behind its word 0,
 * so the end is the frame behind it, or one further if the owner was killed
 * between the two stores. A `last` without a frame was lapped just now: look
 * again; but not for ever, since all up to the end may have been freed, or
 * the owner wrote nonsense there: then `free` is as good as can be had.
 */
#define END_TRIES 100

static struct bus_pair end_of_one(const struct bus_ring *ring)
{
	const struct bus_ring_head *head = ring->shm_head;
	struct bus_pair end, next, free;
	unsigned tries = 0;
	uint64_t owner, last;
	uint32_t slot;
	bool lapped;

	do {
		lapped = false;
		/* [owner:B] pairs [owner:A]: the pair of this owner */
		owner = bus_load_acquire(&head->owner);
		end = bus_pair_load(&ring->shm_control->tail);
		end.pos = bus_tail_pos(end);
		slot = (uint32_t)owner - 1;
		if (slot >= BUS_SLOTS)
			continue;
		/* [last:B] pairs [last:A]: its frame is there */
		last = bus_load_acquire(&ring->shm_slot[slot].last);
		if (last % BUS_FRAME_ALIGN || bus_diff(last, end.pos) < 0)
			continue;
		lapped = !bus_ring_header(ring, last, &next);
		free = bus_pair_load(&ring->shm_control->free);
		if (!lapped)
			end = next;
		else if (bus_diff(free.pos, end.pos) > 0)
			end = free;
	} while ((lapped || owner != bus_load(&head->owner)) &&
		 ++tries < END_TRIES);

	for (unsigned i = 0; i < 2; i++) {
		const struct bus_frame *f = bus_ring_frame(ring, end.pos);

		if (!bus_ring_header(ring, end.pos, &next) ||
		    bus_word1_off(bus_load(&f->word1)) != end.off)
			break;
		end = next;
	}
	return end;
}

struct bus_pair bus_ring_end(const struct bus_ring *ring)
{
	struct bus_pair tail;

	if (ring->one)
		return end_of_one(ring);
	tail = bus_pair_load(&ring->shm_control->tail);
	tail.pos = bus_tail_pos(tail);
	return tail;
}

/* ---- Reclaim ---------------------------------------------------------- */

/* The offset at a boundary that is not above @end. */
static bool offset_at(const struct bus_ring *ring, uint64_t pos,
		      struct bus_pair end, uint64_t *ret)
{
	const struct bus_frame *f = bus_ring_frame(ring, pos);
	struct bus_pair next;
	uint64_t off;

	if (pos == end.pos) {
		*ret = end.off;
		return true;
	}
	off = bus_word1_off(bus_load(&f->word1));
	if (!bus_ring_header(ring, pos, &next))
		return false;
	/* read before the header was found to be of this lap, so is it */
	*ret = off;
	return off == bus_word1_off(bus_load(&f->word1));
}

/* Lower @m to the unresolved frames that pins name. */
static void below_pins(const struct bus_ring *ring, struct bus_pair *m)
{
	/* [slots:B] pairs [slots:A]: no slot in use is above */
	uint32_t n = bus_load_acquire(&ring->shm_head->slots_used);

	if (n > BUS_SLOTS)
		n = BUS_SLOTS;
	for (uint32_t i = 0; i < n; i++) {
		const struct bus_slot *s = &ring->shm_slot[i];
		/* [pin:B] pairs [pin:A] [tail:A]: want of this pin; and whoever
		 * claimed below the tail that was read has its pin here */
		uint64_t pin = bus_load_acquire(&s->pin);
		uint64_t pos = pin & ~BUS_PIN_FLAGS;

		while (pin != BUS_PIN_OFFLINE && bus_diff(pos, m->pos) < 0 &&
		       !bus_ring_resolved(ring, pos)) {
			struct bus_pair p = { pos, bus_load(&s->want_off) };

			/* [pin:B] pairs [pin:A]: still the same claim? */
			pin = bus_load_acquire(&s->pin);
			if ((pin & ~BUS_PIN_FLAGS) == pos) {
				*m = p;
				break;
			}
			pos = pin & ~BUS_PIN_FLAGS;
		}
	}
}

/*
 * Lower @m to the readers that hold room back. Return: false if one stands
 * where no offset is to be had: then nothing can be freed this time.
 */
static bool below_readers(const struct bus_ring *ring, struct bus_pair end,
			  struct bus_pair *m)
{
	/* [lines:B] pairs [lines:A]: no line in use is above */
	uint32_t n = bus_load_acquire(&ring->shm_partition->consumers_used);

	if (n > BUS_SLOTS)
		n = BUS_SLOTS;
	for (uint32_t i = 0; i < n; i++) {
		/* [pass:B] pairs [pass:A]: it has read all that is below */
		uint64_t pos = bus_load_acquire(&ring->shm_line[i].pos);

		if (!(pos & BUS_CONSUMER_BLOCK))
			continue;
		pos &= ~BUS_CONSUMER_BLOCK;
		if (bus_diff(pos, m->pos) >= 0)
			continue;
		m->pos = pos;
		if (bus_diff(pos, bus_load(&ring->shm_control->free.pos)) <= 0)
			return false; /* also one in an earlier ring */
		if (!offset_at(ring, pos, end, &m->off))
			return false;
	}
	return true;
}

/*
 * Not all of [free, m), but what is needed and a quarter of the ring more, so
 * that readers which come late or lag find the rest.
 */
static struct bus_pair no_more_than_needed(const struct bus_ring *ring,
					   struct bus_pair m, uint64_t need)
{
	uint64_t most = need + ring->size / 4;
	struct bus_pair below = { 0, 0 }, above = m;

	if (bus_diff(m.pos, most) <= 0)
		return m;
	for (unsigned i = 0; i < BUS_MARKS; i++) {
		struct bus_pair k = bus_pair_load(&ring->shm_control->mark[i]);

		if (!k.pos || bus_diff(k.pos, need) < 0 ||
		    bus_diff(k.pos, m.pos) > 0)
			continue;
		if (bus_diff(k.pos, most) > 0) {
			if (bus_diff(k.pos, above.pos) < 0)
				above = k;
		} else if (!below.pos || bus_diff(k.pos, below.pos) > 0) {
			below = k;
		}
	}
	return below.pos ? below : above;
}

uint64_t bus_ring_reclaim(const struct bus_ring *ring, uint64_t upto,
			  const struct bus_pair *end)
{
	struct bus_ring_control *c = ring->shm_control;
	uint64_t free = bus_load(&c->free.pos);
	uint64_t need = upto - ring->size;
	struct bus_pair tail, m;

	if (bus_diff(free, need) >= 0)
		return free + ring->size;
	if (end) {
		m = *end;
		tail = *end;
	} else {
		tail = bus_pair_load(&c->tail);
		if (tail.pos & BUS_TAIL_FLAGS)
			return free + ring->size;
		m = tail;
		below_pins(ring, &m);
	}
	if (!below_readers(ring, tail, &m) || bus_diff(m.pos, free) <= 0)
		return free + ring->size;

	m = no_more_than_needed(ring, m, need);
	bus_pair_max(&c->closing, m);
	/* [enter:B] pairs [enter:A]: either the reader that comes in sees this
	 * promise, or the look below sees the reader */
	bus_fence_full();
	if (!below_readers(ring, tail, &m) || bus_diff(m.pos, free) <= 0)
		return free + ring->size;
	/* [free:A] pairs [valid:A]: what we store into the room comes after */
	bus_pair_max(&c->free, m);
	return bus_load(&c->free.pos) + ring->size;
}

void bus_ring_mark(const struct bus_ring *ring, uint64_t pos,
		   struct bus_pair next)
{
	uint64_t step = ring->size / BUS_MARKS;

	if ((pos & ~(step - 1)) == (next.pos & ~(step - 1)))
		return;
	bus_pair_max(&ring->shm_control->mark[next.pos / step % BUS_MARKS],
		     next);
}

bool bus_ring_enter(const struct bus_ring *ring,
		    struct bus_consumer_line *shm_line, uint64_t pos)
{
	bus_store(&shm_line->pos, pos | BUS_CONSUMER_BLOCK);
	/* [enter:A] pairs [enter:B] */
	bus_fence_full();
	if (bus_diff(bus_load(&ring->shm_control->closing.pos), pos) <= 0)
		return true;
	/* [pass:A] pairs [pass:B]: nothing was read here */
	bus_store_release(&shm_line->pos, UINT64_C(0));
	return false;
}

/* ---- Seek ------------------------------------------------------------- */

int bus_ring_seek(const struct bus_ring *ring, uint64_t off,
		  struct bus_pair *ret)
{
	struct bus_pair at = bus_ring_beginning(ring);
	struct bus_pair end = bus_ring_end(ring);

	if (bus_diff(off, at.off) < 0 || bus_diff(off, end.off) > 0)
		return -ERANGE;
	if (off == end.off) {
		*ret = end;
		return 0;
	}
	for (unsigned i = 0; i < BUS_MARKS; i++) {
		struct bus_pair k = bus_pair_load(&ring->shm_control->mark[i]);

		if (k.pos && bus_diff(k.pos, at.pos) > 0 &&
		    bus_diff(k.pos, end.pos) <= 0 && bus_diff(k.off, off) <= 0)
			at = k;
	}
	while (bus_diff(at.pos, end.pos) < 0) {
		struct bus_pair next;

		if (!bus_ring_header(ring, at.pos, &next))
			return -EAGAIN;
		if (bus_diff(next.off, off) > 0) {
			*ret = at;
			return 0;
		}
		at = next;
	}
	*ret = end;
	return 0;
}

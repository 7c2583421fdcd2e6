/* SPDX-License-Identifier: MIT */
/*
 * repair.c - whose is an unresolved frame, and what becomes of it.
 *
 * A producer that dies between its claim and its commit leaves a frame that
 * everybody else waits for. Its pin says which one: the pin is stored before
 * the claim can take effect and taken back after the commit. So at most one
 * frame per slot is in question, and the rules are:
 *
 *  1  A pin at or above the tail was never claimed: the tail was read after
 *     the death was proven, and the dead claim no more.
 *  2  A frame that is resolved needs nothing. That is looked at last, after
 *     the pins: an owner resolves its frame before it takes its pin back, so
 *     whoever no longer sees the pin sees the frame.
 *  3  Who is HOLDING the frame owns it, dead or alive.
 *  4  Nobody HOLDING, but a live producer CLAIMING it: it may have won without
 *     having said so yet. Its next store tells: wait.
 *  5  Else one of the dead that are CLAIMING it has won. With several, it is
 *     the one whose end was a boundary: the tail, another claim, a header, each
 *     with the right offset. Of several such ends it is the smallest; a larger
 *     one belongs to a later frame.
 *
 * Dead means: marked as given back in the owner table (attach.c), which only
 * busd writes. The repair stores word 1, then word 0 with ABORTED, then takes
 * the pin back. Killed between any two of these, the next worker does it again
 * with the same outcome.
 *
 * Everything read here was written by processes that may have gone wild. It is
 * loaded once, checked against the ring's limits and the tail, and at worst
 * leads to a frame that only a roll gets rid of; loops are bounded by the
 * number of slots or the size of the ring.
 */
#include "repair.h"

#include <errno.h>

/* What a slot says of itself, read so that pin and want belong together. */
struct pin {
	uint64_t pos;
	unsigned state; /* BUS_PIN_CLAIMING, BUS_PIN_HOLDING; 0 */
	struct busd_claim claim;
};

static void read_pin(const struct bus_ring *ring, uint32_t slot,
		     struct pin *ret)
{
	const struct bus_slot *s = &ring->shm_slot[slot];
	uint64_t pin, want;

	/* A live producer changes them faster than we read them: after some
	 * tries take what is there, it is checked in any case. */
	for (unsigned i = 0; i < 100; i++) {
		/* [pin:B] pairs [pin:A] [tail:A]: want of this pin, and the pin
		 * of every claim below a tail that was read before */
		pin = bus_load_acquire(&s->pin);
		want = bus_load(&s->want_size);
		ret->claim.off = bus_load(&s->want_off);
		bus_fence_acquire(); /* [pin:B] pairs [pin:A] [tail:A] */
		if (bus_load(&s->pin) == pin)
			break;
	}
	ret->pos = pin & ~BUS_PIN_FLAGS;
	ret->state = pin & BUS_PIN_FLAGS;
	ret->claim.length = want >> 12;
	ret->claim.count = want & 4095;
	ret->claim.next.pos = ret->pos + bus_frame_size(ret->claim.length);
	ret->claim.next.off = ret->claim.off + ret->claim.count;
}

static bool claim_ok(const struct bus_ring *ring, const struct pin *p,
		     struct bus_pair tail)
{
	const struct busd_claim *c = &p->claim;

	return bus_ring_length_ok(ring, c->length) &&
	       bus_diff(c->next.pos, tail.pos) <= 0 &&
	       bus_diff(c->next.off, tail.off) <= 0 &&
	       c->off <= BUS_OFFSET_MAX && c->next.off <= BUS_OFFSET_MAX;
}

static struct bus_pair read_tail(const struct bus_ring *ring)
{
	struct bus_pair tail = bus_pair_load(&ring->shm_control->tail);

	tail.pos = bus_tail_pos(tail);
	return tail;
}

/* ---- Boundaries ------------------------------------------------------- */

/* The header at @pos, if it bears offset @off. */
static bool header_at(const struct bus_ring *ring, uint64_t pos, uint64_t off)
{
	struct bus_pair next;

	return bus_ring_header(ring, pos, &next) &&
	       bus_word1_off(bus_load(&bus_ring_frame(ring, pos)->word1)) ==
		       off;
}

static bool is_boundary(const struct busd_ring *r, struct bus_pair at,
			struct bus_pair tail)
{
	struct pin p;

	if (at.pos == tail.pos)
		return at.off == tail.off;
	for (uint32_t i = 0; i < busd_ring_slots(r); i++) {
		read_pin(&r->view, i, &p);
		if (p.state && p.pos == at.pos && p.claim.off == at.off)
			return true;
	}
	return header_at(&r->view, at.pos, at.off);
}

struct bus_pair busd_repair_scan(const struct busd_ring *r, uint64_t pos,
				 struct bus_pair end)
{
	struct bus_pair at = end, next;
	struct pin p;

	for (uint32_t i = 0; i < busd_ring_slots(r); i++) {
		read_pin(&r->view, i, &p);
		if (p.state && bus_diff(p.pos, pos) > 0 &&
		    bus_diff(p.pos, at.pos) < 0)
			at = (struct bus_pair){ p.pos, p.claim.off };
	}
	for (pos += BUS_FRAME_ALIGN; bus_diff(pos, at.pos) < 0;
	     pos += BUS_FRAME_ALIGN) {
		const struct bus_frame *f = bus_ring_frame(&r->view, pos);
		uint64_t off = bus_word1_off(bus_load(&f->word1));

		if (bus_ring_header(&r->view, pos, &next))
			return (struct bus_pair){ pos, off };
	}
	return at;
}

/* ---- Whose ------------------------------------------------------------ */

int busd_repair_find(const struct busd_ring *r, uint64_t pos, bool live,
		     struct busd_claim *ret)
{
	struct busd_claim claim[BUS_SLOTS], *best = NULL;
	struct bus_pair tail = read_tail(&r->view);
	bool holding = false, wait = false;
	unsigned n = 0;
	struct pin p;

	for (uint32_t i = 0; i < busd_ring_slots(r) && !holding; i++) {
		read_pin(&r->view, i, &p);
		if (!p.state || p.pos != pos || !claim_ok(&r->view, &p, tail))
			continue;
		holding = p.state == BUS_PIN_HOLDING;
		if (holding)
			n = 0;
		else if (!live && !r->shm_head->slot[i].given)
			wait = true;
		claim[n++] = p.claim;
	}
	if (bus_ring_resolved(&r->view, pos))
		return -EALREADY;
	if (wait && !holding)
		return -EAGAIN;
	for (unsigned i = 0; i < n; i++)
		if (n == 1 || (is_boundary(r, claim[i].next, tail) &&
			       (!best || bus_diff(best->next.pos,
						  claim[i].next.pos) > 0)))
			best = &claim[i];
	if (!best)
		return -ENOENT;
	*ret = *best;
	return 0;
}

/* ---- One slot --------------------------------------------------------- */

static void abort_frame(const struct bus_ring *ring, uint64_t pos,
			const struct busd_claim *c)
{
	struct bus_frame *f = bus_ring_frame(ring, pos);

	bus_store(&f->word1, bus_word1(c->off, c->count));
	/* [commit:A] pairs [peek:A]: word 1 before word 0 */
	bus_store_release(&f->word0, bus_ring_word0(ring, pos, c->length,
						    BUS_STATE_ABORTED));
}

/* Whether a slot other than @slot HOLDS the frame: then it is not @slot's. */
static bool held_by_other(const struct busd_ring *r, uint32_t slot,
			  uint64_t pos)
{
	struct pin p;

	for (uint32_t i = 0; i < busd_ring_slots(r); i++) {
		if (i == slot)
			continue;
		read_pin(&r->view, i, &p);
		if (p.state == BUS_PIN_HOLDING && p.pos == pos)
			return true;
	}
	return false;
}

int busd_repair_slot(const struct busd_ring *r, uint32_t slot)
{
	const struct bus_ring *ring = &r->view;
	struct bus_pair tail = read_tail(ring);
	struct busd_claim claim;
	struct pin p;
	int e = -EALREADY;

	read_pin(ring, slot, &p);
	if (p.state == BUS_PIN_OFFLINE)
		return 0;
	/* A closed ring has its verdict: nobody reads this header any more. */
	if (!bus_load(&r->shm_head->complete) &&
	    bus_diff(p.pos, tail.pos) < 0 &&
	    (p.state == BUS_PIN_HOLDING || !held_by_other(r, slot, p.pos)))
		e = busd_repair_find(r, p.pos, false, &claim);
	if (e == 0)
		abort_frame(ring, p.pos, &claim);
	else if (e != -EALREADY)
		return e;
	/* [pin:A] pairs [pin:B]: resolved before the pin is gone */
	bus_store_release(&ring->shm_slot[slot].pin, BUS_PIN_OFFLINE);
	return e == 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * roll.c - closing a ring for good, and going on in another one.
 *
 * Rings are not resized, nor shared with a producer that is stuck: a new one
 * takes over. The steps, each of which a new worker may find done or not:
 *
 *  1  The next ring exists, NOT OPEN; the keeper has confirmed it.
 *  2  CLOSED in the tail: nothing more is claimed here. With producers=many
 *     that fixes the end. From here there is no way back.
 *  3  A short grace for sends under way.
 *  4  closed = 1; membarrier. A producer looks at `closed` after it stored its
 *     word 0: either it sees it and obeys the verdict, or its frame is seen by
 *     what follows.
 *  5  The verdict: every frame that a pin names and that is not resolved was
 *     never published, whatever its header says one day. Every unresolved frame
 *     below the end has a pin (ring.c), so the pins are all there is to read.
 *     With producers=one there are no claims: the end is where the published
 *     frames end, and what its owner stores behind that does not count.
 *  6  The next ring opens at the end; complete = 1; both bells.
 *
 * Only busd opens the next ring, and nobody is given it before, so it needs no
 * care for racing openers. A topic that is deleted, or an instance that ends,
 * goes the same way without grace or a next ring, and with `gone`.
 */
#include "roll.h"

#include <errno.h>
#include <time.h>

#include "log.h"
#include "repair.h"
#include "wait.h"

#define GRACE_MS 50
#define MS INT64_C(1000000)

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

/* ---- Sends under way -------------------------------------------------- */

/* A pin whose frame is claimed and not resolved; 0 if there is none. */
static uint64_t unresolved(const struct busd_ring *r, uint32_t slot)
{
	struct bus_pair tail = bus_pair_load(&r->view.shm_control->tail);
	/* [pin:B] pairs [pin:A] [tail:A]: the pin of every claim below tail */
	uint64_t pin = bus_load_acquire(&r->view.shm_slot[slot].pin);
	uint64_t pos = pin & ~BUS_PIN_FLAGS;

	if (pin == BUS_PIN_OFFLINE || bus_diff(pos, bus_tail_pos(tail)) >= 0 ||
	    bus_ring_resolved(&r->view, pos))
		return 0;
	return pin;
}

/* Wait until none of the frames that are claimed now is open. */
static int wait_for_sends(const struct busd_ring *r)
{
	int64_t until = bus_now() + GRACE_MS * MS;

	for (uint32_t i = 0; i < busd_ring_slots(r); i++) {
		uint64_t pin = unresolved(r, i);

		while (pin && unresolved(r, i) == pin) {
			if (bus_now() > until)
				return -EBUSY;
			nap();
		}
	}
	return 0;
}

int busd_roll_check(const struct busd_partition *p)
{
	return wait_for_sends(busd_partition_newest(p));
}

/* ---- Closing ---------------------------------------------------------- */

static void close_tail(const struct busd_ring *r)
{
	struct bus_pair *shm_tail = &r->view.shm_control->tail;
	struct bus_pair old, new;

	do {
		old = bus_pair_load(shm_tail);
		new = old;
		new.pos |= BUS_TAIL_CLOSED;
		if (old.pos & BUS_TAIL_CLOSED)
			return;
		/* [tail:A] pairs [pin:B]: the pin of all claims before it */
	} while (!bus_pair_cas(shm_tail, old, new));
}

static bool in_verdict(const struct bus_ring_head *h, uint32_t n, uint64_t pos)
{
	for (uint32_t i = 0; i < n; i++)
		if (h->verdict[i].pos == pos)
			return true;
	return false;
}

/* List the frames that do not count. Return: how many. */
static uint32_t judge(const struct busd_ring *r, struct bus_pair end)
{
	struct bus_ring_head *h = r->shm_head;
	struct busd_claim claim;
	uint32_t n = 0;

	for (uint32_t i = 0; i < busd_ring_slots(r); i++) {
		uint64_t pos = unresolved(r, i) & ~BUS_PIN_FLAGS;
		int e;

		if (!pos || in_verdict(h, n, pos))
			continue;
		e = busd_repair_find(r, pos, true, &claim);
		if (e == -EALREADY)
			continue;
		if (e < 0)
			claim.next = busd_repair_scan(r, pos, end);
		h->verdict[n++] = (struct bus_verdict){
			.pos = pos,
			.next_pos = claim.next.pos,
			.next_off = claim.next.off,
		};
	}
	return n;
}

static void open_next(const struct busd_ring *next, struct bus_pair end)
{
	struct bus_ring_control *c = next->view.shm_control;

	next->shm_head->first_pos = end.pos;
	next->shm_head->first_off = end.off;
	c->closing = end;
	c->free = end;
	c->tail.off = end.off;
	c->tail.pos = end.pos | (next->view.one ? BUS_TAIL_ONE : 0);
}

static void close_ring(struct busd_partition *p, const struct busd_ring *r,
		       const struct busd_ring *next)
{
	struct bus_ring_head *h = r->shm_head;
	struct bus_pair end;

	if (bus_load(&h->complete))
		return;
	close_tail(r);
	if (next)
		wait_for_sends(r);
	/* [closed:A] pairs [closed:B]: with the barrier between it and the
	 * reading of pins and headers */
	bus_store_release(&h->closed, 1u);
	bus_membarrier();
	end = bus_ring_end(&r->view);
	bus_store(&h->n_verdict, judge(r, end));
	bus_store(&h->end.off, end.off);
	bus_store(&h->end.pos, end.pos);
	if (next)
		open_next(next, end);
	else
		bus_store(&h->gone, 1u);
	/* [complete:A] pairs [complete:B]: end, verdict, gone are final */
	bus_store_release(&h->complete, 1u);
	busd_partition_bells(p);
	if (h->n_verdict)
		busd_warn("%s/%u: %u frames that were not finished were left "
			  "behind by a roll",
			  p->topic, p->index, h->n_verdict);
}

void busd_roll_finish(struct busd_partition *p)
{
	close_ring(p, p->ring[p->n_rings - 2], busd_partition_newest(p));
}

int busd_roll(struct busd_worker *w, struct busd_partition *p,
	      const struct busd_settings *s)
{
	int e = busd_ring_new(w, p, s, false);

	if (e < 0)
		return e;
	busd_roll_finish(p);
	p->stuck_since = 0;
	return 0;
}

void busd_roll_end(struct busd_partition *p)
{
	close_ring(p, busd_partition_newest(p), NULL);
}

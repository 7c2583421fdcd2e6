/* SPDX-License-Identifier: MIT */
/*
 * release.c - slots and consumer lines that come back.
 *
 * `given` = 1 in a slot's owner entry says that nobody will use the slot any
 * more; then its frame is repaired (repair.c), then client = 0. What says so:
 *
 *	DETACH		the owner itself
 *	pidfd		the process is dead
 *	a hang-up of	no proof of death: it may have been handed on, or closed
 *	the socket	by somebody else's closefrom(). But if the kernel marked
 *			the slot's robust mutex, its thread is dead or has gone
 *			through exec; and if the mutex is not locked and the pin
 *			is OFFLINE, the thread has let go. All else waits for the
 *			pidfd: two owners of one pin would spoil the ring.
 *
 * A consumer line is no claim to anything. It is taken back with the socket;
 * a process that reads on without one no longer holds room back.
 */
#include "release.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>

#include "log.h"
#include "repair.h"
#include "roll.h"
#include "wait.h"

/* ---- One slot, one line ----------------------------------------------- */

void busd_release_line(const struct busd_partition *p, uint32_t i)
{
	struct bus_owner *o = &p->shm_page->consumer[i];

	/* [pass:A] pairs [pass:B]: it no longer holds room back */
	bus_store_release(&p->ring[0]->view.shm_line[i].pos, UINT64_C(0));
	bus_store(&p->ring[0]->view.shm_line[i].phase, UINT64_C(0));
	bus_store(&o->client, UINT64_C(0));
}

/* Return: 1 if it is free now; else why not, as busd_repair_slot(). */
static int free_slot(struct busd_worker *w, const struct busd_partition *p,
		     const struct busd_ring *r, uint32_t i)
{
	struct bus_owner *o = &r->shm_head->slot[i];
	int e = busd_repair_slot(r, i);

	if (e < 0)
		return e;
	if (e) {
		busd_info("%s/%u: an unfinished frame of pid %u was aborted",
			  p->topic, p->index, o->pid);
		busd_worker_repaired(w, 1);
	}
	bus_store(&r->view.shm_slot[i].phase, UINT64_C(0));
	bus_store(&o->client, UINT64_C(0));
	return 1;
}

/* Free what was given back. Return: false if something has to wait. */
static bool free_given(struct busd_worker *w, struct busd_partition *p)
{
	bool done = true, nobodys = false;

	for (unsigned k = 0; k < p->n_rings; k++) {
		struct busd_ring *r = p->ring[k];

		for (uint32_t i = 0; i < busd_ring_slots(r); i++) {
			struct bus_owner *o = &r->shm_head->slot[i];
			int e;

			if (!o->client || !o->given)
				continue;
			e = free_slot(w, p, r, i);
			done &= e > 0;
			nobodys |= e == -ENOENT;
		}
	}
	if (nobodys)
		p->stuck_since = 1; /* waiting will not help: roll at once */
	return done;
}

/* Roll away from a frame that cannot be repaired, or not in time. */
static void leave_behind(struct busd_worker *w, struct busd_partition *p)
{
	struct busd_settings s;
	int64_t fence;
	int e;

	busd_settings_load(&s, p->shm_topic);
	fence = (int64_t)s.value[BUSD_STALL_FENCE_MS] * 1000000;
	if (!p->stuck_since)
		p->stuck_since = bus_now();
	if (bus_now() - p->stuck_since < fence)
		return;
	busd_warn("%s/%u: a frame cannot be repaired, the ring is rolled",
		  p->topic, p->index);
	e = busd_roll(w, p, &s);
	if (e < 0) {
		busd_error("%s/%u: no next ring: %s", p->topic, p->index,
			   strerror(-e));
		p->stuck_since = bus_now(); /* once more, after a while */
	}
}

void busd_release_given(struct busd_worker *w, struct busd_partition *p)
{
	if (free_given(w, p)) {
		p->stuck_since = 0;
	} else {
		leave_behind(w, p);
		w->retry |= !free_given(w, p);
	}
	busd_partition_collect(w, p);
	/* Last, and for every one that goes: it may have died between its
	 * commit and its bell, or have held room back. */
	busd_partition_bells(p);
}

/* ---- Clients ---------------------------------------------------------- */

/* What a hang-up alone proves: see the top. */
static bool let_go(const struct bus_slot *shm_slot)
{
	uint32_t word =
		bus_load((const uint32_t *)(const void *)shm_slot->mutex);

	if (word & FUTEX_OWNER_DIED)
		return true;
	return !word && bus_load(&shm_slot->pin) == BUS_PIN_OFFLINE;
}

/* Return: whether the client had anything here; *rest: whether it still has. */
static bool release_partition(struct busd_partition *p, uint64_t client,
			      bool dead, bool *rest)
{
	bool any = false;

	for (unsigned k = 0; k < p->n_rings; k++) {
		struct busd_ring *r = p->ring[k];

		for (uint32_t i = 0; i < busd_ring_slots(r); i++) {
			struct bus_owner *o = &r->shm_head->slot[i];

			if (o->client != client)
				continue;
			if (dead || let_go(&r->view.shm_slot[i]))
				bus_store(&o->given, 1u);
			any |= o->given;
			*rest |= !o->given;
		}
	}
	for (uint32_t i = 0; i < busd_partition_lines(p); i++) {
		if (p->shm_page->consumer[i].client != client)
			continue;
		busd_release_line(p, i);
		any = true;
	}
	return any;
}

bool busd_release_client(struct busd_worker *w, uint64_t client, bool dead)
{
	struct busd_topic *t;
	bool rest = false;

	cds_list_for_each_entry(t, &w->topics, link)
		for (uint32_t i = 0; i < t->n_partitions; i++)
			if (release_partition(t->partition[i], client, dead,
					      &rest))
				busd_release_given(w, t->partition[i]);
	return rest;
}

/* ---- Again ------------------------------------------------------------ */

static bool any_given(const struct busd_partition *p)
{
	for (unsigned k = 0; k < p->n_rings; k++)
		for (uint32_t i = 0; i < busd_ring_slots(p->ring[k]); i++)
			if (p->ring[k]->shm_head->slot[i].client &&
			    p->ring[k]->shm_head->slot[i].given)
				return true;
	return false;
}

void busd_release_retry(struct busd_worker *w)
{
	struct busd_topic *t;

	w->retry = false;
	cds_list_for_each_entry(t, &w->topics, link)
		for (uint32_t i = 0; i < t->n_partitions; i++)
			if (any_given(t->partition[i]))
				busd_release_given(w, t->partition[i]);
}

void busd_release_resume(struct busd_worker *w, struct busd_topic *t)
{
	for (uint32_t i = 0; i < t->n_partitions; i++) {
		struct busd_partition *p = t->partition[i];

		for (unsigned k = 0; k < p->n_rings; k++) {
			const struct bus_ring_head *h = p->ring[k]->shm_head;

			for (unsigned j = 0; j < BUS_SLOTS; j++)
				if (h->slot[j].producer_id >=
				    w->next_producer_id)
					w->next_producer_id =
						h->slot[j].producer_id + 1;
			w->retry |= any_given(p);
		}
		/* The one before may have died on the way to the bells. */
		busd_partition_bells(p);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * attach.c - who owns which slot and which consumer line.
 *
 * The owner tables are in files that only busd writes, and they are all there
 * is: a new worker reads them and knows as much as the one before. An entry
 * bears the client and the request that it was given for, so that a request
 * that is sent again gets the same slot.
 *
 * Giving a slot out, in this order, so that being killed anywhere does no harm:
 *
 *	with producers=one: where the owner before ended	[owner:A]
 *	allocate its page, zero the slot		nobody's yet
 *	owner: epoch, id, pid, request; then client	it is owned
 *	slots_used					[slots:A]
 *	with producers=one: the name of the owner	[owner:A]
 *
 * What comes after "it is owned" is done again for a request sent again.
 *
 * How they come back is in release.c.
 */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "admin.h"
#include "file.h"
#include "release.h"

/* ---- Giving ----------------------------------------------------------- */

/* The entry that is the client's for this request, or a free one. */
static int find_entry(struct bus_owner *table, const struct busd_client *c,
		      const struct bus_msg *ask, bool *again)
{
	int free = BUS_EUSERS;

	*again = false;
	for (int i = 0; i < BUS_SLOTS; i++) {
		if (table[i].client == c->held.msg.key &&
		    table[i].request == ask->request && !table[i].given) {
			*again = true;
			return i;
		}
		if (!table[i].client && free < 0)
			free = i;
	}
	return free;
}

/* Never the same again, never 0. */
static uint32_t next_epoch(const struct bus_owner *o)
{
	return o->epoch + 1 ? o->epoch + 1 : 1;
}

static void own(struct bus_owner *o, const struct busd_client *c,
		const struct bus_msg *ask, uint32_t producer_id)
{
	bus_store(&o->epoch, next_epoch(o));
	bus_store(&o->producer_id, producer_id);
	bus_store(&o->pid, c->pid);
	bus_store(&o->given, 0u);
	bus_store(&o->request, (uint64_t)ask->request);
	/* Last: an entry with a client is whole. */
	bus_barrier();
	bus_store(&o->client, c->held.msg.key);
}

static void raise_slots(struct bus_ring_head *h, int slot)
{
	if (bus_load(&h->slots_used) <= (uint32_t)slot)
		/* [slots:A] pairs [slots:B]: the slot is zeroed before */
		bus_store_release(&h->slots_used, (uint32_t)slot + 1);
}

static void raise_lines(struct bus_partition_page *page, int line)
{
	if (bus_load(&page->consumers_used) <= (uint32_t)line)
		/* [lines:A] pairs [lines:B]: the line is zeroed before */
		bus_store_release(&page->consumers_used, (uint32_t)line + 1);
}

static void zero_slot(const struct busd_ring *r, int slot, uint32_t epoch)
{
	struct bus_slot *s = &r->view.shm_slot[slot];

	bus_store(&s->pin, BUS_PIN_OFFLINE);
	bus_store(&s->last, UINT64_C(0));
	bus_store(&s->phase, UINT64_C(0));
	bus_store(&s->records, UINT64_C(0));
	bus_store(&s->bytes, UINT64_C(0));
	memset(s->mutex, 0, sizeof(s->mutex));
	bus_store(&s->tid, 0u);
	bus_store(&s->epoch, epoch);
	memset(&r->view.shm_slot_stats[slot], 0, sizeof(struct bus_stats));
}

/* The rings in which producers=one has a live owner other than @except. */
static const struct bus_owner *other_owner(const struct busd_partition *p,
					   const struct bus_owner *except)
{
	for (unsigned k = 0; k < p->n_rings; k++) {
		const struct bus_ring_head *h = p->ring[k]->shm_head;

		for (uint32_t i = 0; h->one && i < busd_ring_slots(p->ring[k]);
		     i++)
			if (h->slot[i].client && &h->slot[i] != except)
				return &h->slot[i];
	}
	return NULL;
}

/*
 * With producers=one: begin where the one before ended. Its frames are found
 * by its slot, so that this comes before the slot is zeroed or another owner
 * is named.
 */
static void fix_end(const struct busd_ring *r)
{
	struct bus_pair *shm_tail = &r->view.shm_control->tail;
	struct bus_pair old, end = bus_ring_end(&r->view);

	end.pos |= BUS_TAIL_ONE;
	do {
		old = bus_pair_load(shm_tail);
		/* [owner:A] pairs [owner:B] */
	} while (!bus_pair_cas(shm_tail, old, end));
}

static void name_owner(const struct busd_ring *r, int slot)
{
	struct bus_ring_head *h = r->shm_head;

	/* [owner:A] pairs [owner:B]: the pair where it begins before its name */
	bus_store_release(&h->owner, (uint64_t)h->slot[slot].epoch << 32 |
					     ((uint32_t)slot + 1));
}

static int give_slot(struct busd_worker *w, struct busd_client *c,
		     const struct bus_msg *ask, const struct busd_ring *r)
{
	struct bus_ring_head *h = r->shm_head;
	bool again;
	int e, slot = find_entry(h->slot, c, ask, &again);

	if (slot < 0)
		return slot;
	if (!again) {
		e = busd_file_allocate(r->held.fd[1],
				       r->view.size + BUS_RING_STATS +
					       (uint64_t)slot * BUS_PAGE,
				       BUS_PAGE);
		if (e < 0)
			return e;
		if (h->one)
			fix_end(r);
		zero_slot(r, slot, next_epoch(&h->slot[slot]));
		own(&h->slot[slot], c, ask, w->next_producer_id++);
	}
	raise_slots(h, slot);
	if (h->one)
		name_owner(r, slot);
	return slot;
}

static int give_line(struct busd_client *c, const struct bus_msg *ask,
		     const struct busd_partition *p)
{
	const struct bus_ring *ring = &p->ring[0]->view;
	bool again;
	int e, line = find_entry(p->shm_page->consumer, c, ask, &again);

	if (line < 0)
		return line;
	if (!again) {
		e = busd_file_allocate(
			p->held.fd[0],
			BUS_PART_STATS + (uint64_t)line * BUS_PAGE, BUS_PAGE);
		if (e < 0)
			return e;
		memset(&ring->shm_line[line], 0, sizeof(ring->shm_line[0]));
		memset(&ring->shm_line_stats[line], 0,
		       sizeof(struct bus_stats));
		own(&p->shm_page->consumer[line], c, ask, 0);
	}
	raise_lines(p->shm_page, line);
	return line;
}

/* ---- Answers ---------------------------------------------------------- */

static int add_fd(struct busd_answer *answer, int fd, bool writable)
{
	int r = busd_file_reopen(fd, writable ? O_RDWR : O_RDONLY);

	if (r < 0)
		return r;
	answer->fd[answer->n_fds++] = r;
	return 0;
}

static int add_files(struct busd_answer *answer, const struct busd_topic *t,
		     const struct busd_partition *p, const struct busd_ring *r,
		     enum bus_role role)
{
	int e = add_fd(answer, t->held.fd[0], false);

	if (!e)
		e = add_fd(answer, p->held.fd[0], role != BUS_ROLE_MONITOR);
	if (!e)
		e = add_fd(answer, r->held.fd[0], false);
	if (!e)
		e = add_fd(answer, r->held.fd[1], role == BUS_ROLE_PRODUCER);
	return e;
}

static int say_busy(const struct busd_partition *p,
		    const struct bus_owner *owner, struct busd_answer *answer)
{
	busd_answer_text(answer,
			 "%s/%u has one producer, held by pid %u: it must "
			 "detach first, or the topic be created with "
			 "producers=many",
			 p->topic, p->index, owner->pid);
	return BUS_EBUSY;
}

static int say_why(int e, const struct busd_partition *p, enum bus_role role,
		   struct busd_answer *answer)
{
	if (e == BUS_EUSERS)
		busd_answer_text(answer, "%s/%u has %u %s attached already",
				 p->topic, p->index, BUS_SLOTS,
				 role == BUS_ROLE_PRODUCER ? "producers" :
							     "consumers");
	else if (e == -ENFILE || e == -EMFILE)
		busd_answer_text(answer, "busd has no descriptors left");
	else
		busd_answer_text(answer, "busd: %s", strerror(-e));
	return e == -ENFILE ? BUS_EMFILE : e;
}

/* Give what the role needs in this ring, and answer with it. */
static int give(struct busd_worker *w, struct busd_client *c,
		const struct bus_msg *ask, struct busd_topic *t,
		struct busd_partition *p, const struct busd_ring *r,
		struct busd_answer *answer)
{
	enum bus_role role = (enum bus_role)ask->arg[0];
	const struct bus_owner *owner = NULL;
	int slot = 0;
	int e;

	if (role == BUS_ROLE_PRODUCER) {
		slot = give_slot(w, c, ask, r);
		owner = r->shm_head->slot;
	} else if (role == BUS_ROLE_CONSUMER) {
		slot = give_line(c, ask, p);
		owner = p->shm_page->consumer;
	}
	if (slot < 0)
		return say_why(slot, p, role, answer);
	e = add_files(answer, t, p, r, role);
	if (e < 0)
		return say_why(e, p, role, answer);
	answer->msg.arg[0] = (uint64_t)slot;
	answer->msg.arg[1] = owner ? owner[slot].epoch : 0;
	answer->msg.arg[2] = owner ? owner[slot].producer_id : 0;
	return 0;
}

/* ---- Requests --------------------------------------------------------- */

static int check_role(const struct bus_msg *ask, struct busd_answer *answer)
{
	if (ask->arg[0] < BUS_ROLES)
		return 0;
	busd_answer_text(answer, "no such role");
	return BUS_EINVAL;
}

int busd_attach(struct busd_worker *w, struct busd_client *c,
		struct bus_msg *ask, struct busd_answer *answer)
{
	const struct bus_owner *other;
	const struct busd_ring *r;
	struct busd_partition *p;
	struct busd_topic *t;
	bool again;
	int e = check_role(ask, answer);

	if (!e)
		e = busd_admin_get(w, ask, answer, &t);
	if (e < 0)
		return e;
	if (ask->partition >= t->n_partitions) {
		busd_answer_text(answer, "topic %s has partitions 0 to %u",
				 ask->topic, t->n_partitions - 1);
		return BUS_ERANGE;
	}
	p = t->partition[ask->partition];
	busd_partition_collect(w, p);
	/* A consumer may want the beginning; the way on it finds by itself. */
	r = ask->arg[0] == BUS_ROLE_CONSUMER ? p->ring[0] :
					       busd_partition_newest(p);
	if (ask->arg[0] == BUS_ROLE_PRODUCER && r->shm_head->one) {
		other = other_owner(p, NULL);
		find_entry(r->shm_head->slot, c, ask, &again);
		if (other && !again)
			return say_busy(p, other, answer);
	}
	return give(w, c, ask, t, p, r, answer);
}

/* The place that a request names by topic id; NULL: it is gone. */
static struct busd_partition *named_partition(struct busd_worker *w,
					      const struct bus_msg *ask,
					      struct busd_topic **topic)
{
	struct busd_topic *t = busd_topic_find_id(w, ask->arg[3]);

	if (!t || ask->partition >= t->n_partitions)
		return NULL;
	*topic = t;
	return t->partition[ask->partition];
}

static struct busd_ring *named_ring(const struct busd_partition *p,
				    uint64_t ring_seq)
{
	for (unsigned i = 0; i < p->n_rings; i++)
		if (p->ring[i]->shm_head->ring_seq == ring_seq)
			return p->ring[i];
	return NULL;
}

/* The entry that a request names, if it is this client's. */
static struct bus_owner *named_owner(const struct busd_partition *p,
				     const struct busd_client *c,
				     const struct bus_msg *ask)
{
	struct busd_ring *r = named_ring(p, ask->arg[4]);
	struct bus_owner *o = NULL;

	if (ask->arg[1] >= BUS_SLOTS)
		return NULL;
	if (ask->arg[0] == BUS_ROLE_CONSUMER)
		o = &p->shm_page->consumer[ask->arg[1]];
	else if (ask->arg[0] == BUS_ROLE_PRODUCER && r)
		o = &r->shm_head->slot[ask->arg[1]];
	return o && o->client == c->held.msg.key && o->epoch == ask->arg[2] ?
		       o :
		       NULL;
}

int busd_next_ring(struct busd_worker *w, struct busd_client *c,
		   struct bus_msg *ask, struct busd_answer *answer)
{
	const struct bus_owner *other, *old;
	struct busd_ring *r = NULL;
	struct busd_partition *p;
	struct busd_topic *t;
	bool again;
	int e = check_role(ask, answer);

	if (e < 0)
		return e;
	p = named_partition(w, ask, &t);
	if (!p) {
		busd_answer_text(answer, "the topic was deleted");
		return BUS_EGONE;
	}
	for (unsigned i = p->n_rings; i-- > 0;) {
		/* by difference: all ones is before the first */
		if (bus_diff(p->ring[i]->shm_head->ring_seq, ask->arg[4]) <= 0)
			break;
		r = p->ring[i];
		/* A producer has nothing to do in those between. */
		if (ask->arg[0] == BUS_ROLE_PRODUCER)
			break;
	}
	if (!r) {
		busd_answer_text(answer, "ring %llu of %s/%u is not closed",
				 (unsigned long long)ask->arg[4], p->topic,
				 p->index);
		return BUS_EAGAIN;
	}
	old = named_owner(p, c, ask);
	if (ask->arg[0] != BUS_ROLE_PRODUCER) {
		/* It keeps its line. */
		e = add_files(answer, t, p, r, (enum bus_role)ask->arg[0]);
		answer->msg.arg[0] = ask->arg[1];
		answer->msg.arg[1] = ask->arg[2];
		busd_partition_collect(w, p);
		return e < 0 ? say_why(e, p, BUS_ROLE_CONSUMER, answer) : 0;
	}
	if (r->shm_head->one) {
		other = other_owner(p, old);
		find_entry(r->shm_head->slot, c, ask, &again);
		if (other && !again)
			return say_busy(p, other, answer);
	}
	return give(w, c, ask, t, p, r, answer);
}

int busd_detach(struct busd_worker *w, struct busd_client *c,
		struct bus_msg *ask, struct busd_answer *answer)
{
	struct busd_topic *t;
	struct busd_partition *p = named_partition(w, ask, &t);
	struct bus_owner *o = p ? named_owner(p, c, ask) : NULL;

	(void)answer;
	if (!o)
		return 0; /* it is back already */
	if (ask->arg[0] == BUS_ROLE_CONSUMER)
		busd_release_line(p, (uint32_t)ask->arg[1]);
	else
		bus_store(&o->given, 1u);
	busd_release_given(w, p);
	return 0;
}

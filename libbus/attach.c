/* SPDX-License-Identifier: MIT */
/*
 * attach.c - slots and lines.
 *
 * A producer's slot carries a robust mutex that its thread locks here and
 * never touches again: if the thread dies, however, the kernel marks the
 * mutex's futex word (FUTEX_OWNER_DIED), and that is a proof of death that
 * busd can read without trusting anybody (robust_futex_ABI in the kernel's
 * documentation). An unmarked mutex proves nothing.
 */
#define _GNU_SOURCE
#include "attach.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "wait.h"

static_assert(sizeof(pthread_mutex_t) <= sizeof(((struct bus_slot *)0)->mutex),
	      "the mutex has its place in the layout");

static pthread_mutex_t *slot_mutex(const struct bus_attachment *a)
{
	return (pthread_mutex_t *)(void *)a->map->ring.shm_slot[a->slot].mutex;
}

static int lock_slot(const struct bus_attachment *a)
{
	pthread_mutexattr_t attr;
	int r;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	r = pthread_mutex_init(slot_mutex(a), &attr);
	pthread_mutexattr_destroy(&attr);
	if (!r)
		r = pthread_mutex_lock(slot_mutex(a));
	bus_store(&a->map->ring.shm_slot[a->slot].tid, (uint32_t)gettid());
	return -r;
}

static enum bus_rights rights_of(enum bus_role role)
{
	return role == BUS_ROLE_PRODUCER ? BUS_RIGHTS_WRITE :
	       role == BUS_ROLE_CONSUMER ? BUS_RIGHTS_READ :
					   BUS_RIGHTS_LOOK;
}

/* ATTACH or NEXT_RING, and what its answer leads to. */
static int ask(struct bus *bus, struct bus_msg *msg, enum bus_role role,
	       struct bus_attachment *ret)
{
	struct bus_attachment a = { .role = role };
	int fds[BUS_WIRE_FDS];
	int r;

	if (bus_forked(bus->generation))
		return BUS_EFORKED;
	r = bus_conn_call(bus->conn, msg, fds);
	if (r < 0)
		return r;
	a.slot = (uint32_t)msg->arg[0];
	a.epoch = (uint32_t)msg->arg[1];
	a.producer_id = (uint32_t)msg->arg[2];
	r = a.slot < BUS_SLOTS ? 0 : BUS_EPROTO;
	if (!r)
		r = bus_map_get(fds, rights_of(role), &a.map);
	if (!r && role == BUS_ROLE_PRODUCER) {
		r = lock_slot(&a);
		if (r < 0)
			bus_detach(bus, &a);
	}
	if (!r)
		*ret = a;
	return r;
}

int bus_attach(struct bus *bus, const char *topic, uint32_t partition,
	       enum bus_role role, struct bus_attachment *ret)
{
	struct bus_msg msg;

	if (strlen(topic) > BUS_NAME_MAX)
		return BUS_ENAME;
	bus_msg_init(&msg, BUS_MSG_ATTACH, topic);
	msg.partition = partition;
	msg.arg[0] = role;
	return ask(bus, &msg, role, ret);
}

static void name_place(struct bus_msg *msg, const struct bus_attachment *a)
{
	msg->partition = a->map->partition;
	msg->arg[0] = a->role;
	msg->arg[1] = a->slot;
	msg->arg[2] = a->epoch;
	msg->arg[3] = a->map->topic_id;
	msg->arg[4] = a->map->ring_seq;
}

int bus_attach_next(struct bus *bus, const struct bus_attachment *now,
		    uint64_t ring_seq, struct bus_attachment *ret)
{
	struct bus_msg msg;

	bus_msg_init(&msg, BUS_MSG_NEXT_RING, NULL);
	name_place(&msg, now);
	msg.arg[4] = ring_seq;
	return ask(bus, &msg, now->role, ret);
}

void bus_detach(struct bus *bus, struct bus_attachment *a)
{
	struct bus_msg msg;

	if (a->map && !bus_forked(bus->generation)) {
		if (a->role == BUS_ROLE_PRODUCER)
			pthread_mutex_unlock(slot_mutex(a));
		if (a->role != BUS_ROLE_MONITOR) {
			bus_msg_init(&msg, BUS_MSG_DETACH, NULL);
			name_place(&msg, a);
			bus_conn_call(bus->conn, &msg, NULL);
		}
		bus_map_put(a->map);
	}
	a->map = NULL;
}

int bus_wait_complete(const struct bus_map *map, int64_t until)
{
	const struct bus_ring_head *head = map->ring.shm_head;
	uint64_t bound = bus_load(&map->shm_topic->stall_fence_ms) * 1000000;
	struct bus_sleep sleep;

	/* [complete:B] pairs [complete:A]: end and verdict are final */
	while (!bus_load_acquire(&head->complete)) {
		int64_t left = until - bus_now();
		int r;

		if (left <= 0)
			return BUS_ETIMEDOUT;
		bus_bell_arm(&map->ring.shm_bells->room, &sleep);
		bus_membarrier();
		/* [complete:B] pairs [complete:A] */
		if (bus_load_acquire(&head->complete))
			return 0;
		r = bus_bell_sleep(&sleep, 1,
				   left < (int64_t)bound ? left :
							   (int64_t)bound);
		if (r == -EINTR)
			return BUS_EINTR;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * notify.c - a descriptor for poll(2) and epoll(7).
 *
 * Publishers know nothing of descriptors: a futex word cannot be polled, and
 * an eventfd per consumer would cost each publisher a system call. So the
 * consumer that wants one pays for it: a thread of its own sleeps on the bells
 * and writes an eventfd.
 *
 * The consumer, having found nothing, makes the eventfd unreadable and leaves
 * a list of the places where it stands. The thread takes the list, with
 * references of its own on the rings, so that it never looks at the consumer's
 * readers, which move on meanwhile; sleeps until something is at one of the
 * places; writes the eventfd; and waits for the next list. It may write once
 * too often, when the consumer was there first; it never writes too little,
 * because a new list wakes it through a bell of its own.
 */
#define _GNU_SOURCE
#include "reader.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WATCH_MAX (BUS_BELLS_MAX - 1) /* and the thread's own bell */

/* A place where a reader stands. */
struct watch {
	struct bus_map *map;	/* a reference */
	uint64_t pos;
};

struct list {
	struct watch watch[WATCH_MAX];
	uint32_t n;
};

struct bus_notify {
	int fd;
	pthread_t thread;
	uint32_t bell;		/* the consumer rings it: new list, or stop */
	pthread_mutex_t lock;	/* of what follows */
	uint32_t lists;		/* how many there were */
	bool stop;
	struct list list;
};

static void list_clear(struct list *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		bus_map_put(l->watch[i].map);
	l->n = 0;
}

/* ---- The thread ------------------------------------------------------- */

/* Take the list if there is one since @seen. Return: false: stop. */
static bool take_list(struct bus_notify *n, struct list *l, uint32_t *seen)
{
	bool go_on;

	pthread_mutex_lock(&n->lock);
	if (*seen != n->lists) {
		*seen = n->lists;
		list_clear(l);
		*l = n->list;
		for (uint32_t i = 0; i < l->n; i++)
			bus_map_ref(l->watch[i].map);
	}
	go_on = !n->stop;
	pthread_mutex_unlock(&n->lock);
	return go_on;
}

static bool something_at(const struct watch *w)
{
	const struct bus_ring *r = &w->map->ring;

	return bus_ring_resolved(r, w->pos) || bus_load(&r->shm_head->closed);
}

static bool something(const struct list *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (something_at(&l->watch[i]))
			return true;
	return false;
}

/* A round: sleep on all bells unless there is something already. */
static void watch_once(struct bus_notify *n, struct list *l, uint32_t *seen)
{
	struct bus_sleep sleeps[BUS_BELLS_MAX];
	uint64_t one = 1;

	bus_bell_arm(&n->bell, &sleeps[0]);
	for (uint32_t i = 0; i < l->n; i++)
		bus_bell_arm(&l->watch[i].map->ring.shm_bells->data,
			     &sleeps[i + 1]);
	bus_membarrier();
	if (!take_list(n, l, seen))
		return;
	if (something(l)) {
		if (write(n->fd, &one, sizeof(one)) == sizeof(one))
			list_clear(l);
		return;
	}
	bus_bell_sleep(sleeps, l->n + 1, l->n ? INT64_C(1000000000) : -1);
}

static void *watch(void *arg)
{
	struct bus_notify *n = arg;
	struct list l = { .n = 0 };
	uint32_t seen = 0;

	while (take_list(n, &l, &seen))
		watch_once(n, &l, &seen);
	list_clear(&l);
	return NULL;
}

/* ---- The consumer's side ---------------------------------------------- */

/* Whether the thread has these places already. */
static bool same_places(const struct bus_notify *n,
			const struct bus_consumer *c)
{
	if (n->list.n != c->n_readers)
		return false;
	for (uint32_t i = 0; i < c->n_readers; i++)
		if (n->list.watch[i].pos != c->readers[i]->next.pos ||
		    n->list.watch[i].map != c->readers[i]->place.map)
			return false;
	return true;
}

void bus_notify_rearm(struct bus_consumer *c)
{
	struct bus_notify *n = c->notify;
	uint64_t count;

	if (read(n->fd, &count, sizeof(count)) < 0 && same_places(n, c))
		return;
	pthread_mutex_lock(&n->lock);
	list_clear(&n->list);
	for (uint32_t i = 0; i < c->n_readers; i++)
		n->list.watch[i] = (struct watch){
			bus_map_ref(c->readers[i]->place.map),
			c->readers[i]->next.pos,
		};
	n->list.n = c->n_readers;
	n->lists++;
	pthread_mutex_unlock(&n->lock);
	bus_bell_ring(&n->bell);
}

/* With all signals blocked: they are the application's. */
static int start(struct bus_notify *n)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&n->thread, NULL, watch, n);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int bus_consumer_fd(struct bus_consumer *c)
{
	struct bus_notify *n;
	int r;

	if (bus_forked(c->generation))
		return BUS_EFORKED;
	if (c->notify)
		return c->notify->fd;
	if (c->n_readers > WATCH_MAX)
		return BUS_ERANGE;
	n = calloc(1, sizeof(*n));
	if (!n)
		return BUS_ENOMEM;
	pthread_mutex_init(&n->lock, NULL);
	n->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = n->fd < 0 ? -errno : start(n);
	if (r < 0) {
		if (n->fd >= 0)
			close(n->fd);
		free(n);
		return r == -EAGAIN ? BUS_ENOMEM : r;
	}
	c->notify = n;
	bus_notify_rearm(c);
	return n->fd;
}

struct bus_notify *bus_notify_free(struct bus_notify *n, bool forked)
{
	if (!n)
		return NULL;
	if (!forked) {
		pthread_mutex_lock(&n->lock);
		n->stop = true;
		pthread_mutex_unlock(&n->lock);
		bus_bell_ring(&n->bell);
		pthread_join(n->thread, NULL);
		list_clear(&n->list);
	}
	close(n->fd);
	pthread_mutex_destroy(&n->lock);
	free(n);
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * rcu.h - userspace RCU inside one process, in the words this project needs.
 *
 * The flavour is urcu-bp, because a library cannot ask its users' threads to
 * register. Nothing here works across processes: what other processes read is
 * protected by positions (see ring.h).
 *
 * Debian's liburcu is not built with ThreadSanitizer, which therefore does not
 * see what it orders. The annotations tell it: what a writer did before add
 * or replace happens before a lookup that finds it; what readers did inside
 * their critical sections happens before the callback that frees.
 */
#ifndef BUS_RCU_H
#define BUS_RCU_H

#include <signal.h>

#include <urcu/urcu-bp.h>
#include <urcu/rculfhash.h>

#include "atomic.h"

/* Stand for the grace period, and for what is added to any table. */
extern char bus_rcu_period;
extern char bus_rcu_added;

static inline void bus_rcu_read_lock(void)
{
	urcu_bp_read_lock();
}

static inline void bus_rcu_read_unlock(void)
{
	bus_tsan_release(&bus_rcu_period);
	urcu_bp_read_unlock();
}

/* First thing in a callback of bus_rcu_call(). */
static inline void bus_rcu_callback(void)
{
	bus_tsan_acquire(&bus_rcu_period);
}

/* First thing in a match function of a table. */
static inline void bus_rcu_match(void)
{
	bus_tsan_acquire(&bus_rcu_added);
}

/*
 * Run @func after a grace period, in a thread of liburcu. That thread is
 * started by the first call, with all signals blocked: they are the
 * application's.
 */
static inline void bus_rcu_call(struct rcu_head *head,
				void (*func)(struct rcu_head *))
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	bus_tsan_release(&bus_rcu_period);
	urcu_bp_call_rcu(head, func);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* A table of a fixed number of buckets (a power of two): resizing would need
 * a thread of its own in every process. */
static inline struct cds_lfht *bus_lfht_new(unsigned long buckets)
{
	return cds_lfht_new_flavor(buckets, buckets, buckets, 0,
				   &urcu_bp_flavor, NULL);
}

/* With the read lock held. NULL if it is not there. */
static inline struct cds_lfht_node *bus_lfht_find(struct cds_lfht *ht,
						  unsigned long hash,
						  cds_lfht_match_fct match,
						  const void *key)
{
	struct cds_lfht_iter iter;

	cds_lfht_lookup(ht, hash, match, key, &iter);
	bus_rcu_match();
	return cds_lfht_iter_get_node(&iter);
}

/* With the read lock held. Return: @node, or the one that was there. */
static inline struct cds_lfht_node *
bus_lfht_add_unique(struct cds_lfht *ht, unsigned long hash,
		    cds_lfht_match_fct match, const void *key,
		    struct cds_lfht_node *node)
{
	bus_tsan_release(&bus_rcu_added);
	return cds_lfht_add_unique(ht, hash, match, key, node);
}

/* With the read lock held. Return: 0, or -ENOENT if somebody else did. */
static inline int bus_lfht_del(struct cds_lfht *ht, struct cds_lfht_node *node)
{
	return cds_lfht_del(ht, node);
}

/* With the read lock held: every node, as @iter goes on. */
static inline struct cds_lfht_node *bus_lfht_first(struct cds_lfht *ht,
						   struct cds_lfht_iter *iter)
{
	cds_lfht_first(ht, iter);
	bus_rcu_match();
	return cds_lfht_iter_get_node(iter);
}

static inline struct cds_lfht_node *bus_lfht_next(struct cds_lfht *ht,
						  struct cds_lfht_iter *iter)
{
	cds_lfht_next(ht, iter);
	bus_rcu_match();
	return cds_lfht_iter_get_node(iter);
}

#endif

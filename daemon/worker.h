/* SPDX-License-Identifier: MIT */
/* worker.h - the process that does the work: its loop and its state. */
#ifndef BUSD_WORKER_H
#define BUSD_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "hold.h"
#include "rcu.h"

struct busd_worker;

/* Something in the epoll set; embedded in what it belongs to. */
struct busd_source {
	void (*ready)(struct busd_worker *w, struct busd_source *source,
		      uint32_t events);
};

struct busd_worker {
	const struct busd_options *options;
	int epoll;
	int signal_fd;
	int spare_fd; /* to be closed when accept has no number */
	bool stop;
	struct busd_peer keeper;
	struct busd_source channel, keeper_death, signals, listener;

	struct cds_list_head held; /* all holdings, in the order they came */
	struct busd_held instance; /* listening socket, lock */

	struct cds_list_head topics;
	struct cds_lfht *by_name, *by_id;
	unsigned n_topics;
	uint32_t next_producer_id;
	bool retry; /* a repair waits for a live producer */

	struct cds_list_head clients; /* that said hello */
	struct cds_list_head silent; /* that did not, the oldest first */
	unsigned n_clients, n_silent;
};

/* Run until the instance ends. Return: the exit status. */
int busd_worker_run(const struct busd_options *options);

/* Watch a descriptor. 0 or -errno. */
int busd_worker_watch(struct busd_worker *w, int fd,
		      struct busd_source *source);

/*
 * Have the keeper hold something, or what became of it; returns when it does.
 * Return: 0, -EMFILE, -ENOMEM.
 */
int busd_worker_hold(struct busd_worker *w, struct busd_held *held,
		     unsigned n_fds);
void busd_worker_drop(struct busd_worker *w, struct busd_held *held);

/* Count frames that were aborted. */
void busd_worker_repaired(struct busd_worker *w, unsigned n);

#endif

/* SPDX-License-Identifier: MIT */
/* server.h - the control socket: connections, requests, answers. */
#ifndef BUSD_SERVER_H
#define BUSD_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <bus/bus.h>

#include "hold.h"
#include "wire.h"
#include "worker.h"

struct busd_client {
	struct busd_held held; /* socket, pidfd; key: its number */
	struct cds_list_head link; /* in w->clients or w->silent */
	struct busd_source socket, process;
	int64_t deadline; /* to say hello */
	uint32_t pid, uid;
	uint32_t last; /* request that this worker answered last */
	bool greeted;
	bool hung_up; /* but not known to be dead */
};

struct busd_answer {
	struct bus_msg msg;
	int fd[BUS_WIRE_FDS];
	unsigned n_fds;
};

__attribute__((format(printf, 2, 3))) void
busd_answer_text(struct busd_answer *a, const char *format, ...);

/* Begin to listen. 0 or -errno. */
int busd_server_start(struct busd_worker *w);

/* A client of the worker before; takes over what @held has. 0 or -errno. */
int busd_server_restore(struct busd_worker *w, struct busd_held *held);

/* Cut those that have not said hello in time. Return: ns until the next is
 * due, -1 if there is none. */
int64_t busd_server_tick(struct busd_worker *w);

#endif

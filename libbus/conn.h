/* SPDX-License-Identifier: MIT */
/* conn.h - the control connection of a process to busd. */
#ifndef BUS_CONN_H
#define BUS_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <bus/bus.h>

#include "wire.h"

struct bus_conn;

struct bus {
	struct bus_conn *conn;
	unsigned generation;	/* bus_fork_generation when it was opened */
	char dir[108];
};

/* One more in each forked child: handles of its parent do not match it. */
extern unsigned bus_fork_generation;

static inline bool bus_forked(unsigned generation)
{
	return generation != bus_fork_generation;
}

/* connection */

/* Connect to @dir and say hello. Errors as bus_open(). */
int bus_conn_open(const char *dir, int64_t timeout, struct bus_conn **ret);
struct bus_conn *bus_conn_close(struct bus_conn *conn);

/* requests */

/*
 * Send @msg (type, topic, partition, args and text are the caller's) and put
 * the answer in its place.
 * @fds: NULL, or gets BUS_WIRE_FDS descriptors that the caller owns.
 * Return: the answer's status, with its text as bus_detail(); BUS_ECONNRESET,
 *   BUS_ETIMEDOUT, BUS_EMFILE, BUS_EPROTO.
 * Context: any thread; requests of several threads go one after the other.
 */
int bus_conn_call(struct bus_conn *conn, struct bus_msg *msg, int *fds);

/* A request to fill in: all zero but for its type and topic. */
void bus_msg_init(struct bus_msg *msg, enum bus_msg_type type,
		  const char *topic);

/* details */

/* Set what bus_detail() returns to this thread. */
__attribute__((format(printf, 1, 2))) void bus_detail_set(const char *format,
							  ...);

#endif

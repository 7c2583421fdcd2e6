/* SPDX-License-Identifier: MIT */
/*
 * wire.h - what libbus and busd say to each other on the control socket.
 *
 * DIR/busd.sock is a SOCK_SEQPACKET socket: a message is a packet, whole or
 * not there. The client asks, busd answers each request once, in order. A
 * message is the fixed part below and then text_size bytes of text; anything
 * else (another size, an unknown type or flag, a descriptor) ends the
 * connection. Integers are little-endian.
 *
 * After a restart of the worker, which inherits the sockets, each client gets
 * one BUS_MSG_RESET: a request whose answer is outstanding is to be sent once
 * more, with the same number, and changes nothing that it changed before.
 */
#ifndef BUS_WIRE_H
#define BUS_WIRE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_WIRE_MAGIC UINT32_C(0x31737562) /* "bus1" */
#define BUS_WIRE_VERSION 1
#define BUS_WIRE_TEXT_MAX 3072
#define BUS_WIRE_FDS 4
#define BUS_WIRE_NAME 136 /* 128 characters, NUL, padding */

#define BUS_SOCKET_NAME "busd.sock"
#define BUS_LOCK_NAME "busd.lock"
#define BUS_LOG_NAME "busd.log"

enum bus_msg_type {
	BUS_MSG_RESET = 0,	/* busd -> client, unasked */
	/*
	 * arg0: BUS_LAYOUT signature. First request of a connection; version
	 * or signature that differ: status BUS_EVERSION.
	 */
	BUS_MSG_HELLO = 1,
	/* answer: args as BUS_STATUS_*, text: version */
	BUS_MSG_STATUS = 2,
	/* topic, partition = number of partitions, text: "name=value\n"... */
	BUS_MSG_CREATE = 3,
	/* the same; partition 0: leave the number */
	BUS_MSG_ALTER = 4,
	BUS_MSG_DELETE = 5,
	/* topic: name after which to go on ("": from the first)
	 * answer: topic: the next name ("" after the last) */
	BUS_MSG_NEXT_TOPIC = 6,
	/* answer: partition = number of partitions, arg0 = topic id,
	 * text: "name=value origin\n"... */
	BUS_MSG_DESCRIBE = 7,
	/*
	 * topic, partition, arg0 = enum bus_role. The role's slot is the
	 * client's until DETACH or until its death is proven.
	 * answer: descriptors topic, part, head, ring;
	 *         arg0 = slot, arg1 = epoch, arg2 = producer id
	 */
	BUS_MSG_ATTACH = 8,
	/*
	 * arg0 = role, arg1 = slot, arg2 = epoch, arg3 = topic id,
	 * arg4 = ring_seq (of a producer's ring), partition.
	 * Give the slot back. No error if it is back already.
	 */
	BUS_MSG_DETACH = 9,
	/*
	 * The ring behind ring_seq. arg0 = role, arg1 = old slot, arg2 = old
	 * epoch, arg3 = topic id, arg4 = ring_seq, partition. A producer gets a
	 * slot in the new ring and keeps the old one until DETACH; a consumer
	 * keeps its line.
	 * answer: as ATTACH; BUS_EAGAIN if the ring is not closed,
	 *         BUS_EGONE if the topic was deleted
	 */
	BUS_MSG_NEXT_RING = 10,
	BUS_MSG_TYPES
};

enum bus_role {
	BUS_ROLE_MONITOR = 0,	/* no slot, everything read-only */
	BUS_ROLE_PRODUCER = 1,
	BUS_ROLE_CONSUMER = 2,
	BUS_ROLES
};

/* Descriptors in the answer to ATTACH and NEXT_RING, in this order. */
enum { BUS_FD_TOPIC, BUS_FD_PART, BUS_FD_HEAD, BUS_FD_RING };

/* Args of the answer to STATUS. */
enum {
	BUS_STATUS_WORKER_PID,
	BUS_STATUS_KEEPER_PID,
	BUS_STATUS_TOPICS,
	BUS_STATUS_CLIENTS,
	BUS_STATUS_RESTARTS,
	BUS_STATUS_REPAIRS,
	BUS_STATUS_MEMORY,
	BUS_STATUS_STARTED,
	BUS_STATUS_ARGS
};

struct bus_msg {
	uint32_t magic;
	uint16_t version;
	uint16_t type;		/* of the request, also in its answer */
	uint32_t request;	/* the client's number of it, from 1 */
	int32_t status;		/* answer: 0 or an error; request: 0 */
	uint32_t flags;		/* none yet: 0 */
	uint32_t partition;
	uint32_t text_size;	/* bytes that follow; a NUL is not sent */
	uint32_t reserved;	/* 0 */
	uint64_t arg[BUS_STATUS_ARGS];
	char topic[BUS_WIRE_NAME]; /* NUL-terminated */
	char text[BUS_WIRE_TEXT_MAX];
};
static_assert(offsetof(struct bus_msg, arg) == 32, "wire");
static_assert(offsetof(struct bus_msg, topic) == 96, "wire");
static_assert(offsetof(struct bus_msg, text) == 232, "wire");

/* In an answer with status != 0, text says more about it (bus_detail). */

#define BUS_MSG_FIXED offsetof(struct bus_msg, text)

#endif

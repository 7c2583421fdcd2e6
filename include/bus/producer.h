/* SPDX-License-Identifier: MIT */
/*
 * producer.h - publishing records.
 *
 * A producer attaches to a topic's partitions as it first sends to each. A
 * steady send makes no system call, takes no lock, allocates nothing.
 */
#ifndef BUS_PRODUCER_H
#define BUS_PRODUCER_H

#include <bus/bus.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define BUS_BATCH_MAX 4095	/* records in one batch */
#define BUS_HEADERS_MAX 65535	/* bytes of one record's encoded headers */

struct bus_producer;

/* A header of a record. The name is not NUL-terminated in a record read. */
struct bus_header {
	const char *name;
	size_t name_size;	/* up to 65535 */
	const void *value;	/* NULL: a null value */
	size_t value_size;
};

/* A record to send. Start from BUS_MESSAGE, then set what it has. */
struct bus_message {
	const void *value;	/* NULL with size 0: a null value (tombstone) */
	size_t value_size;
	const void *key;	/* NULL: no key. An empty key is a key. */
	size_t key_size;
	const struct bus_header *headers;
	size_t n_headers;
	int64_t timestamp;	/* ns since the epoch; BUS_NO_TIMESTAMP: none */
	int32_t partition;	/* BUS_PARTITION_ANY: by key or sticky */
};

#ifdef __cplusplus
#define BUS_MESSAGE (bus_message{ nullptr, 0, nullptr, 0, nullptr, 0, -1, -1 })
#else
#define BUS_MESSAGE                                                            \
	((struct bus_message){ .timestamp = BUS_NO_TIMESTAMP,                  \
			       .partition = BUS_PARTITION_ANY })
#endif

struct bus_producer_options {
	size_t size;		/* sizeof(struct bus_producer_options) */
	int64_t timeout;	/* of a send without room: BUS_NO_WAIT,
				 * BUS_FOREVER, ns, or BUS_DEFAULT_WAIT */
};

/*
 * Open a producer. Attaches to partition 0 at once, so that a refusal comes
 * here; to the others at their first record.
 * @bus:     must outlive the producer.
 * @options: NULL for the defaults (time-out: the topic's max.block.ms).
 * Return: 0; BUS_ENOENT, BUS_ENAME, BUS_EBUSY (producers=one and one is
 *   attached; bus_detail() names it), BUS_EUSERS, BUS_EMFILE, BUS_ENOMEM,
 *   BUS_EINVAL, BUS_EFORKED and what the connection returns.
 * Context: the thread that will send. Blocks.
 */
int bus_producer_open(struct bus *bus, const char *topic,
		      const struct bus_producer_options *options,
		      struct bus_producer **ret);

/*
 * Detach and free. A reservation that is open is discarded. Takes NULL,
 * returns NULL.
 * Context: the thread that opened it.
 */
struct bus_producer *bus_producer_close(struct bus_producer *producer);

/* How many partitions the topic had when this producer last looked. */
uint32_t bus_producer_partitions(const struct bus_producer *producer);

/*
 * Publish a value without key, headers and timestamp. Keyless records stay on
 * one partition for 16 KiB, then go to another.
 * Return: the record's offset; BUS_EAGAIN (no room, BUS_NO_WAIT),
 *   BUS_ETIMEDOUT (no room in time), BUS_EMSGSIZE, BUS_EFENCED,
 *   BUS_EINDEFINITE, BUS_EGONE, BUS_EINTR, BUS_EFORKED, BUS_EINVAL (a
 *   reservation is open), and bus_producer_open()'s on a partition's first.
 * Order: a consumer that reads the record sees everything that happened
 *   before this call (release; pairs with bus_poll's acquire).
 * Context: the producer's thread; lock-free while there is room; not in a
 *   signal handler.
 */
int64_t bus_send(struct bus_producer *producer, const void *value,
		 size_t value_size);

/*
 * Publish a record with all that it may bear.
 * @message:   copied before the call returns.
 * @partition: NULL, or gets the partition it went to.
 * Return, order, context: as bus_send(); BUS_ERANGE: no such partition.
 */
int64_t bus_send_message(struct bus_producer *producer,
			 const struct bus_message *message,
			 uint32_t *partition);

/*
 * Publish records that become visible together, with consecutive offsets, in
 * one partition: the one of the first record that names one or has a key,
 * else the sticky one. Records for different partitions are BUS_EINVAL.
 * @n: 1 to BUS_BATCH_MAX.
 * Return: the first record's offset, else as bus_send(); BUS_EMSGSIZE if they
 *   are larger than max.message.bytes together.
 */
int64_t bus_send_batch(struct bus_producer *producer,
		       const struct bus_message *messages, size_t n,
		       uint32_t *partition);

/*
 * Room for one record in the ring, to be filled in place.
 * @message: as for bus_send_message(), but only value_size counts of the
 *           value; value must not be set.
 * @ret:     where to write value_size bytes; valid until commit or discard.
 * Return: 0, else as bus_send_message(). Nothing else may be sent on this
 *   handle before bus_commit() or bus_discard().
 */
int bus_reserve(struct bus_producer *producer,
		const struct bus_message *message, void **ret);

/*
 * Publish what was reserved.
 * Return: its offset; BUS_EINVAL if nothing is reserved; BUS_EFENCED,
 *   BUS_EINDEFINITE. Order: as bus_send().
 */
int64_t bus_commit(struct bus_producer *producer);

/* Give back what was reserved. Return: 0; BUS_EINVAL if nothing is. */
int bus_discard(struct bus_producer *producer);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * consumer.h - reading records.
 *
 * A consumer reads some or all partitions of one topic, each from an offset
 * that it chooses, and nobody waits for it unless it asks (slow.consumer).
 */
#ifndef BUS_CONSUMER_H
#define BUS_CONSUMER_H

#include <bus/bus.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct bus_consumer;
struct bus_header;

/* Where to start; other offsets are themselves. */
#define BUS_BEGINNING INT64_C(-1)	/* the earliest record there is */
#define BUS_END INT64_C(-2)		/* the next record to come */
#define BUS_LAST(n) (INT64_C(-2) - (n))	/* the last n records; n >= 0 */

enum bus_wait {
	BUS_WAIT_ADAPTIVE = 0,	/* spin some 20 us, then sleep */
	BUS_WAIT_SPIN = 1,	/* never sleep: fastest, takes a core */
	BUS_WAIT_SLEEP = 2,	/* sleep at once */
};

enum bus_slow {
	BUS_SLOW_TOPIC = 0,	/* as the topic says */
	BUS_SLOW_DROP = 1,	/* told exactly which offsets it lost */
	BUS_SLOW_BLOCK = 2,	/* producers wait for it */
};

struct bus_consumer_options {
	size_t size;		/* sizeof(struct bus_consumer_options) */
	int64_t start;		/* BUS_BEGINNING, BUS_END, BUS_LAST(n), or an
				 * offset. Without options: BUS_END */
	const uint32_t *partitions; /* NULL: all. Copied. */
	size_t n_partitions;
	enum bus_wait wait;
	enum bus_slow slow;
};

/* A record that was read. Pointers lead into the ring (bus_poll) or into the
 * caller's buffer (bus_poll_copy); the caller owns neither. */
struct bus_record {
	const void *value;	/* NULL: a null value */
	size_t value_size;
	const void *key;	/* NULL: no key */
	size_t key_size;
	const void *headers;	/* encoded: bus_record_header() */
	size_t headers_size;
	int64_t offset;
	int64_t timestamp;	/* BUS_NO_TIMESTAMP: none */
	uint32_t partition;
	uint32_t producer;	/* producer id */
	uint32_t sequence;	/* of its frame, by producer; wraps at 2^28 */
	uint32_t reserved;
	uint64_t position;	/* of its frame; for bus_record_valid() */
};

/* Offsets that were lost: [first, next). */
struct bus_lost {
	uint32_t partition;
	int64_t first, next;
};

/*
 * Open a consumer.
 * @bus:     must outlive the consumer.
 * @options: NULL: all partitions, from the end, adaptive, as the topic says.
 * Return: 0; BUS_ENOENT, BUS_ENAME, BUS_ERANGE (no such partition, or the
 *   start is below the earliest record or above the end; bus_detail() tells
 *   what there is), BUS_EUSERS, BUS_EMFILE, BUS_ENOMEM, BUS_EINVAL,
 *   BUS_EFORKED and what the connection returns.
 * Context: the thread that will read. Blocks.
 */
int bus_consumer_open(struct bus *bus, const char *topic,
		      const struct bus_consumer_options *options,
		      struct bus_consumer **ret);

/* Detach and free. Takes NULL, returns NULL. */
struct bus_consumer *bus_consumer_close(struct bus_consumer *consumer);

/* How many partitions this consumer reads. */
uint32_t bus_consumer_partitions(const struct bus_consumer *consumer);

/*
 * Read the next record in place, without copying it.
 * @ret:     valid until the next call on this consumer. A drop consumer must
 *           ask bus_record_valid() after it used what the pointers lead to.
 * @timeout: ns, BUS_NO_WAIT or BUS_FOREVER.
 * Return: 1; 0 if none came in time; BUS_ELAPPED (bus_consumer_lost() tells
 *   what; the next call goes on behind it), BUS_EGONE (deleted, and all read),
 *   BUS_EINTR, BUS_ECORRUPT, BUS_EFORKED, and when the ring was replaced what
 *   asking busd for the next one may return (BUS_EAGAIN if it takes over a
 *   second: call again).
 * Order: acquire; pairs with the release in bus_send().
 * Context: the consumer's thread; wait-free when a record is there.
 */
int bus_poll(struct bus_consumer *consumer, struct bus_record *ret,
	     int64_t timeout);

/*
 * Read up to @max records in place. Return: their number (0: none in time),
 * else as bus_poll(). They may be of several partitions.
 */
int bus_poll_many(struct bus_consumer *consumer, struct bus_record *ret,
		  size_t max, int64_t timeout);

/*
 * Read the next record into a buffer: what it returns is whole, whatever
 * producers do meanwhile. @ret's pointers lead into @buffer.
 * Return: as bus_poll(); BUS_EMSGSIZE if @size does not hold key, headers and
 *   value, each rounded up to 8 bytes: the record is not passed, ret->*_size
 *   are set, call again.
 */
int bus_poll_copy(struct bus_consumer *consumer, struct bus_record *ret,
		  void *buffer, size_t size, int64_t timeout);

/*
 * Whether a record in place was intact until now: 1, or 0 if a producer may
 * have gone over it. Always 1 with slow.consumer=block.
 * Order: acquire fence: reads of the record before the call stay before it.
 */
int bus_record_valid(const struct bus_consumer *consumer,
		     const struct bus_record *record);

/*
 * A record's header by number, in the order they were given.
 * Return: 1; 0 after the last one; BUS_ECORRUPT.
 * Context: any thread, as long as the record is valid.
 */
int bus_record_header(const struct bus_record *record, size_t i,
		      struct bus_header *ret);

/*
 * What the last BUS_ELAPPED was about.
 * Return: 0; BUS_EINVAL if nothing was lost yet.
 */
int bus_consumer_lost(const struct bus_consumer *consumer,
		      struct bus_lost *ret);

/*
 * The offset of the next record of a partition, or BUS_ERANGE if this
 * consumer does not read it.
 */
int64_t bus_consumer_position(const struct bus_consumer *consumer,
			      uint32_t partition);

/* How many records of a partition are published and not yet read. */
int64_t bus_consumer_lag(const struct bus_consumer *consumer,
			 uint32_t partition);

/*
 * Go on from another offset. BUS_BEGINNING, BUS_END, BUS_LAST(n) or an offset.
 * Return: 0; BUS_ERANGE (bus_detail() tells what there is).
 */
int bus_consumer_seek(struct bus_consumer *consumer, uint32_t partition,
		      int64_t offset);

/*
 * A descriptor for poll(2) or epoll: readable when records may be there. Read
 * with bus_poll(..., BUS_NO_WAIT) until it returns 0, which also makes the
 * descriptor unreadable again. Starts a thread, which sleeps on the bell.
 * Return: the descriptor, which the consumer owns; BUS_EMFILE, BUS_ENOMEM.
 */
int bus_consumer_fd(struct bus_consumer *consumer);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif

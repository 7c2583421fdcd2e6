/* SPDX-License-Identifier: MIT */
/*
 * bus.h - the message bus: connection and topics. Includes all the rest.
 *
 *	bus_open -> bus_producer_open -> bus_send            (producer.h)
 *	         -> bus_consumer_open -> bus_poll            (consumer.h)
 *
 * Sizes are in bytes. Times are in nanoseconds, points in time since the
 * epoch (CLOCK_REALTIME). Offsets are dense per partition: 0, 1, 2, ...
 * Every call returns 0 or a count, or a negative error from errors.h; an
 * output parameter is left alone when the call fails. libbus writes no log,
 * never exits, and leaves errno to itself.
 *
 * One handle, one thread: a producer or consumer belongs to the thread that
 * opened it. A struct bus may be shared by threads. Any number of handles per
 * process. After fork() the child gets BUS_EFORKED from every handle of its
 * parent, and may open its own.
 */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include <stddef.h>
#include <stdint.h>

#include <bus/errors.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define BUS_VERSION "0.1.0"

#define BUS_NAME_MAX 128	/* bytes of a topic name, without the NUL */
#define BUS_PARTITIONS_MAX 128	/* partitions of one topic */
#define BUS_PRODUCERS_MAX 128	/* attached to one partition at a time */
#define BUS_CONSUMERS_MAX 128	/* attached to one partition at a time */
#define BUS_TEXT_MAX 3072	/* longest answer in text, with its NUL */

#define BUS_NO_TIMESTAMP INT64_C(-1)	/* as in Kafka: none given */
#define BUS_PARTITION_ANY INT32_C(-1)	/* by key, or sticky without one */

#define BUS_FOREVER INT64_C(-1)	/* time-out: none */
#define BUS_NO_WAIT INT64_C(0)	/* time-out: do not wait */
#define BUS_DEFAULT_WAIT INT64_C(-2) /* time-out: max.block.ms of the topic */

struct bus;

/* Options of bus_open(); all zero means the defaults. */
struct bus_options {
	size_t size;	/* sizeof(struct bus_options): which version this is */
	const char *dir; /* the instance; NULL: BUS_DIR, $XDG_RUNTIME_DIR/bus,
			  * /run/bus, the first that has one */
	int64_t timeout; /* of each request to busd; 0: five seconds */
};

/* Connection */

/*
 * Connect to the busd of a directory.
 * @options: NULL for the defaults. Not kept.
 * @ret:     the connection; the caller closes it.
 * Return: 0; BUS_ENODIR, BUS_ECONNREFUSED, BUS_EACCES, BUS_EVERSION,
 *   BUS_ENAMETOOLONG, BUS_EMFILE, BUS_ENOMEM, BUS_ETIMEDOUT, BUS_EINVAL.
 * Context: any thread; blocks until busd answers; not in a signal handler.
 */
int bus_open(const struct bus_options *options, struct bus **ret);

/*
 * Close a connection. Producers and consumers opened from it must be closed
 * before. Takes NULL, returns NULL.
 * Context: the process that opened it; in a forked child it frees memory only.
 */
struct bus *bus_close(struct bus *bus);

/*
 * More about the last error of this thread in a call that asked busd, naming
 * the topic, the setting, the value: a sentence without a final full stop, or
 * "" if there is nothing to add to bus_strerror(). Valid until this thread's
 * next call.
 */
const char *bus_detail(void);

/* The directory this connection found. Valid as long as the connection. */
const char *bus_dir(const struct bus *bus);

/*
 * Where an instance would be looked for, in the order of struct bus_options.
 * @dir:  what the user gave, or NULL.
 * @path: gets the directory, @size bytes at most with the NUL.
 * Return: 0, or BUS_ENODIR if nothing names a directory that has an instance
 *   (@path then holds the one where bus up would start one), or
 *   BUS_ENAMETOOLONG.
 */
int bus_find_dir(const char *dir, char *path, size_t size);

struct bus_status {
	uint32_t worker_pid;	/* of busd's worker */
	uint32_t keeper_pid;	/* of its keeper */
	uint32_t n_topics;
	uint32_t n_clients;	/* connections that said hello, this one too */
	uint32_t n_restarts;	/* of the worker since the instance came up */
	uint32_t reserved;
	uint64_t n_repairs;	/* frames of dead producers that were aborted */
	uint64_t memory;	/* bytes in shared memory */
	int64_t started;	/* when the instance came up */
	char version[32];
};

/*
 * What busd says of itself.
 * Return: 0; BUS_ECONNRESET, BUS_ETIMEDOUT, BUS_EFORKED.
 * Context: any thread, blocks.
 */
int bus_status(struct bus *bus, struct bus_status *ret);

/* Topics */

/*
 * Create a topic. All memory is allocated here or the call fails.
 * @name:       A-Z a-z 0-9 . _ -, not beginning with a dot.
 * @partitions: 0 for the default of one.
 * @settings:   NULL, or strings "name=value" ending with NULL:
 *   ring.bytes (power of two, 4096 .. 1G; K, M, G allowed), max.message.bytes,
 *   producers (many|one), slow.consumer (drop|block), max.block.ms,
 *   stall.fence.ms, storage (memory), message.timestamp.type (CreateTime).
 * Return: 0, also when it is there with just these settings; BUS_EEXIST,
 *   BUS_ENAME, BUS_ESETTING, BUS_ERANGE, BUS_ENOMEM, BUS_EMFILE, and what the
 *   connection returns (BUS_ECONNRESET, BUS_ETIMEDOUT, BUS_EFORKED).
 * Context: any thread, blocks.
 */
int bus_topic_create(struct bus *bus, const char *name, uint32_t partitions,
		     const char *const *settings);

/*
 * Change settings, or add partitions (@partitions above what there is; 0
 * leaves them). ring.bytes, max.message.bytes and producers roll each
 * partition to a new ring: those who are attached follow by themselves, what
 * the old ring held stays readable until every consumer has passed it.
 * Return: as bus_topic_create(); BUS_ENOENT; BUS_EBUSY if a producer is stuck
 *   in a send (stopped, or not repaired yet): nothing was changed.
 */
int bus_topic_alter(struct bus *bus, const char *name, uint32_t partitions,
		    const char *const *settings);

/*
 * Delete a topic. Whoever is attached gets BUS_EGONE.
 * Return: 0; BUS_ENOENT and what the connection returns.
 */
int bus_topic_delete(struct bus *bus, const char *name);

/*
 * Walk the topics in the order of their names.
 * @after: NULL or "" for the first, else the name returned before.
 * @name:  gets the next name.
 * Return: 1, or 0 after the last one, or what the connection returns.
 */
int bus_topic_next(struct bus *bus, const char *after,
		   char name[BUS_NAME_MAX + 1]);

struct bus_topic_info {
	char name[BUS_NAME_MAX + 1];
	uint32_t partitions;
	uint64_t id;		/* random, never the same again */
	/* lines "name=value default" or "name=value set" */
	char settings[BUS_TEXT_MAX];
};

/*
 * A topic's settings.
 * Return: 0; BUS_ENOENT and what the connection returns.
 */
int bus_topic_describe(struct bus *bus, const char *name,
		       struct bus_topic_info *ret);

/* Statistics, read from shared memory: nobody is disturbed */

#define BUS_HIST_SUB 8		/* linear steps in each power of two */
#define BUS_HIST_BUCKETS (38 * BUS_HIST_SUB) /* up to 2^40 ns, 18 minutes */

/*
 * The smallest value of a bucket of a histogram, in nanoseconds. Values from
 * there up to the next bucket's are counted in it: at most 12.5 % off.
 */
uint64_t bus_hist_value(unsigned bucket);

/* What a thread is doing now. */
enum bus_phase {
	BUS_PHASE_IDLE = 0,	/* outside of libbus */
	BUS_PHASE_SEND = 1,
	BUS_PHASE_ROOM = 2,	/* waits for room */
	BUS_PHASE_POLL = 3,
	BUS_PHASE_SLEEP = 4,	/* asleep on the bell */
};

struct bus_producer_stat {
	uint32_t slot, pid;
	uint32_t id;		/* producer id, as in its records */
	uint32_t phase;		/* enum bus_phase */
	uint64_t records, bytes; /* sent since it attached to this ring */
	uint64_t waits;		/* sends that had to wait for room */
	uint64_t wakes;		/* system calls made to wake sleepers */
};

struct bus_consumer_stat {
	uint32_t slot, pid;
	uint32_t phase;		/* enum bus_phase */
	uint32_t block;		/* 1 if it holds room back */
	uint64_t offset;	/* of the record it reads next */
	uint64_t lag;		/* records behind the end */
	uint64_t records, bytes; /* read */
	uint64_t lost;		/* records that the ring went over */
	uint64_t sleeps;
	/* time from a record's timestamp until it was read, one record in 64
	 * of those that bear one, and of the first 64 all */
	uint64_t latency[BUS_HIST_BUCKETS];
};

struct bus_partition_stat {
	uint64_t beginning;	/* earliest offset that can be read */
	uint64_t end;		/* offset of the next record */
	uint64_t ring_bytes, ring_used;
	uint32_t ring;		/* how many rings came before this one */
	uint32_t n_producers, n_consumers, reserved;
	struct bus_producer_stat *producers; /* caller frees: see below */
	struct bus_consumer_stat *consumers;
};

/*
 * Read a partition's counters. Free what it allocates with
 * bus_partition_stat_free().
 * Return: 0; BUS_ENOENT, BUS_ERANGE (no such partition), BUS_ENOMEM and what
 *   the connection returns.
 * Context: any thread; maps the partition's pages anew, so some 100 us.
 */
int bus_partition_stat(struct bus *bus, const char *topic, uint32_t partition,
		       struct bus_partition_stat *ret);
void bus_partition_stat_free(struct bus_partition_stat *stat);

/* Keys */

/*
 * Kafka's default partitioner: murmur2 of the key, without its sign, modulo
 * the partitions.
 * Context: any thread, pure.
 */
uint32_t bus_partition_of(const void *key, size_t key_size,
			  uint32_t partitions);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#include <bus/consumer.h>
#include <bus/producer.h>

#endif

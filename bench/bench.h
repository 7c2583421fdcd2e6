/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what a benchmark is, and what it is given.
 *
 * A bench is a table of rows. A row names two subjects, the one of interest
 * and the floor it is held against; the driver runs slices of both in turn
 * inside one pair of pinned, spinning processes (driver.c).
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <bus/bus.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "clock.h"

#define BENCH_LINE 64
#define BENCH_RING_BYTES (UINT64_C(16) << 20) /* the default of ring.bytes */
#define BENCH_BYTES_MAX 4096
#define BENCH_BATCH_MAX 64
#define BENCH_TEXT 256
#define BENCH_SETTLE_NS 50000

/*
 * How a consumer in a floor waits between two looks at an empty ring when only
 * throughput counts: some 100 ns, as libbus does. A longer pause lets more
 * records gather and is faster still, at the price of latency, for both.
 */
#define BENCH_PAUSES 4

/* Memory that two processes share: ordered accesses, and the spin between. */
#define bench_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define bench_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

static inline void bench_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Parameters */

/* What is measured; goes into the JSON as it is. */
struct bench_params {
	uint32_t bytes;		/* of a value; 0: no records are sent */
	uint32_t batch;		/* records in a frame */
	uint32_t producers;	/* attached to each topic */
	uint32_t consumers;
	uint64_t ring_bytes;
	const char *storage;
	const char *path;	/* one | many: the topic's `producers` */
	uint64_t rate;		/* 0: closed loop */
	const char *wait;	/* of the consumers */
};

enum bench_metric {
	BENCH_TIME,		/* mean and percentiles of ns, lower is better */
	BENCH_RATE,		/* records per second, higher is better */
};

/* Subjects */

/* The two processes. A leads: it starts each slice and holds the clock. */
enum bench_side { BENCH_A, BENCH_B };

/* What a subject is given, one for each of a row's two. */
struct bench_part {
	const struct bench_subject *subject;
	struct bench_params params;
	const char *dir;	/* of the instance */
	pid_t owner;		/* of this run, for names of topics */
	unsigned number;	/* 0: the floor, 1: the subject of interest */
	unsigned chunk;		/* records between two laps in this slice */
	void *shared;		/* made by prepare(), mapped by both sides */
	size_t shared_size;
	void *state;		/* of this side, made by open() */
	struct bench_watch watch; /* side A's */
};

/*
 * One way to move records. Every function but slice may be NULL, and those
 * with a result return 0, or a negative error after bench_fail().
 */
struct bench_subject {
	const char *name;
	uint32_t batch;		/* instead of the row's, unless 0 */
	/* before the pair is forked: what both must map */
	int (*prepare)(struct bench_part *part);
	/* in each process, first in A, then in B */
	int (*open)(struct bench_part *part, enum bench_side side);
	/* @ops records or round trips, a multiple of part->chunk. Side A
	 * calls bench_lap() after each chunk. Both sides at the same time. */
	int (*slice)(struct bench_part *part, enum bench_side side,
		     uint64_t ops);
	void (*close)(struct bench_part *part, enum bench_side side);
};

/* Benches */

struct bench_row {
	const struct bench_subject *subject;
	const struct bench_subject *floor; /* NULL: there is none */
	struct bench_params params;
	double target;		/* of the ratio, or of ns; 0: none */
};

struct bench {
	const char *name;
	const char *what;	/* one line for people */
	const struct bench_row *rows;
	size_t n_rows;
	enum bench_metric metric;
	unsigned chunk;		/* records between two laps, 1: each is timed */
	double guess;		/* ns per record, to size the first slices */
	/* It lets cores go idle, and each idle moves a virtual core: then a
	 * slice is neither near nor far, but still counts in `all`. */
	bool idles;
};

/* Subjects that are in several benches: records there and back, a stream. */
extern const struct bench_subject bench_echo, bench_stream, bench_single;

extern const struct bench bench_rtt, bench_throughput, bench_wake, bench_attach;

/* Floors */

extern const struct bench_subject bench_floor_line, bench_floor_ring,
	bench_floor_futex, bench_floor_mmap;

/* Help for subjects */

/* Give the other side time to fall asleep; begins the next lap. */
static inline void bench_settle(struct bench_part *part)
{
	uint64_t until = bench_ns() + BENCH_SETTLE_NS;

	while (bench_ns() < until)
		;
	part->watch.last = bench_ticks();
}

/*
 * Say why this process cannot go on; the parent shows it. @error is libbus's,
 * is added in words unless it is -ECANCELED, and returned. The other takes
 * errno, of a system call, and returns its negative.
 */
int bench_fail(int error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int bench_fail_errno(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* A side's state, zeroed, into part->state; the driver frees it. NULL after
 * bench_fail() if there is no memory. */
void *bench_state(struct bench_part *part, size_t size);

/* Zeroed, populated memory that survives fork, in huge pages if it may be. */
int bench_share(struct bench_part *part, size_t size);

/* Run a function in a child of its own and pass its result up. */
int bench_in_child(int (*function)(void *), void *arg);

/* The name of one of a part's topics. */
void bench_topic(const struct bench_part *part, const char *suffix,
		 char name[BUS_NAME_MAX + 1]);

/*
 * Connect, create a topic, attach to one as the part's parameters say. These
 * return 0, or a negative error after bench_fail().
 */
int bench_connect(const struct bench_part *part, struct bus **ret);
int bench_create(const struct bench_part *part, struct bus *bus,
		 const char *suffix, const char *slow);
int bench_producer(const struct bench_part *part, struct bus *bus,
		   const char *suffix, struct bus_producer **ret);
int bench_consumer(const struct bench_part *part, struct bus *bus,
		   const char *suffix, struct bus_consumer **ret);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * layout.h - every byte that is mapped by more than one process.
 *
 * Four kinds of memfd, all of mode 0600, sealed against shrinking, growing and
 * further seals, allocated before they are handed out:
 *
 *   file       one per     written by            producers get  consumers get
 *   ---------  ----------  --------------------  -------------  -------------
 *   topic      topic       busd                  read-only      read-only
 *   part       partition   consumers; all: bells read-write     read-write
 *   head       ring        busd                  read-only      read-only
 *   ring       ring        producers, busd       read-write     read-only
 *
 * Whoever only has a read-only descriptor cannot open it again for writing
 * unless it has busd's uid: the uid is the boundary of trust.
 *
 *   topic file                            part file
 *   0      struct bus_topic_page          0      struct bus_bells
 *   4096   partition 0:                   4096   consumer lines, 128 x 64
 *            struct bus_partition_page    12288  struct bus_stats per
 *            + 4096 owners of the                 consumer, 128 x 4096
 *              consumer lines, 128 x 32
 *   12288  partition 1: ...
 *
 *   head file                             ring file (N = ring_bytes)
 *   0      struct bus_ring_head           0      frames, N
 *   4096   verdict, 128 x 32              N      struct bus_ring_control
 *   8192   owners of the slots, 128 x 32  N+4096 producer slots, 128 x 128
 *                                         N+20480 struct bus_stats per
 *                                                producer, 128 x 4096
 *
 * The ring's frames are mapped twice in a row: behind the last byte the first
 * mirror_bytes show again, so that no frame ever wraps in virtual memory. The
 * stats pages are allocated as the slots are given out, the rest at once.
 *
 * All integers are little-endian. A position is free-running and counts bytes;
 * it begins at 64, goes on across rings, and is compared only by difference.
 * Position 0 says "none". Word 0 of what a peer writes is loaded once into a
 * local, checked, and only the local is used.
 */
#ifndef BUS_LAYOUT_H
#define BUS_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "atomic.h"

#define BUS_LINE 64
#define BUS_PAGE 4096
#define BUS_SLOTS 128		/* producers per ring, consumers per partition */
#define BUS_MARKS 16		/* marks per ring */
#define BUS_FIRST_POS 64	/* position of the first frame ever */

#define BUS_LAYOUT_VERSION 1
#define BUS_MAGIC_TOPIC UINT64_C(0x0000006f74737562) /* "busto" */
#define BUS_MAGIC_PART UINT64_C(0x0000006170737562)  /* "buspa" */
#define BUS_MAGIC_HEAD UINT64_C(0x0000006568737562)  /* "bushe" */

/* ---- Frames ----------------------------------------------------------- */

/*
 * A frame lies at a position that is a multiple of 64:
 *
 *   0        8        16       24       32
 *   +--------+--------+--------+--------+---------------- - -
 *   | word 0 | word 1 | word 2 | word 3 | value, or records
 *   +--------+--------+--------+--------+---------------- - -
 *
 *   word 0  63..24 stamp: position / 64, xor the ring's salt
 *           23..2  length in bytes, this header included
 *           1..0   state: 1 COMMITTED, 2 ABORTED
 *   word 1  63..12 offset of the first record    11..0 number of records
 *   word 2  timestamp, ns since the epoch; -1: none
 *   word 3  63..32 producer id  31..4 sequence of the frame  3..0 attributes
 *
 * Word 0 is written once, last, by one plain store: until then the frame does
 * not exist. A stamp comes back after 2^46 bytes (two hours at 10 GB/s); then
 * the offset in word 1, which no reader takes unless it is the one expected,
 * tells the laps apart: 52 bits last 14 years at 10 million records/s. 2^32
 * producer ids last 136 years at one attach per second; sequences wrap and are
 * compared by difference.
 */
struct bus_frame {
	uint64_t word0; /* producer or busd, once [commit:A]; all read */
	uint64_t word1; /* producer or busd, before word 0; all read */
	uint64_t word2; /* producer, before word 0; all read */
	uint64_t word3; /* producer, before word 0; all read */
};
static_assert(sizeof(struct bus_frame) == 32, "frame header");

#define BUS_FRAME_ALIGN UINT64_C(64)
#define BUS_FRAME_LENGTH_MAX ((UINT64_C(1) << 22) - 1)
#define BUS_STATE_COMMITTED 1u
#define BUS_STATE_ABORTED 2u
#define BUS_OFFSET_MAX ((UINT64_C(1) << 52) - 1)

#define BUS_ATTR_RECORDS 1u	/* encoded records follow, not one bare value */
#define BUS_ATTR_TIMES 2u	/* each record bears its own timestamp */

/*
 * An encoded record, at a multiple of 8 bytes from the frame's beginning:
 *
 *   8 bytes   63 null value  62 has key  61..44 -  43..22 key size
 *             21..0 value size
 *   8 bytes   timestamp, only with BUS_ATTR_TIMES
 *   8 bytes   size of the headers, only if bit 61 (has headers) is set
 *   key, headers, value: each padded to 8 bytes
 *
 * A header is: 2 bytes size of the name, 4 bytes size of the value (all ones:
 * null), name, value; not padded.
 */
#define BUS_RECORD_NULL (UINT64_C(1) << 63)
#define BUS_RECORD_KEY (UINT64_C(1) << 62)
#define BUS_RECORD_HEADERS (UINT64_C(1) << 61)
#define BUS_RECORD_SIZE_BITS 22
#define BUS_RECORD_SIZE_MASK ((UINT64_C(1) << BUS_RECORD_SIZE_BITS) - 1)

/* ---- Ring file: written by producers and busd ------------------------- */

#define BUS_TAIL_CLOSED UINT64_C(1)	/* no more claims: take the next ring */
#define BUS_TAIL_NOT_OPEN UINT64_C(2)	/* the ring before is not closed yet */
#define BUS_TAIL_ONE UINT64_C(4)		/* producers=one: nobody claims here */
#define BUS_TAIL_FLAGS UINT64_C(63)

struct bus_ring_control {
	/* 0: what is claimed, as a pair; flags in the low bits of pos. With
	 * ONE: where the present owner began. Producers, busd: CAS. */
	struct bus_pair tail;
	uint8_t pad0[112];
	/* 128: reclaim has promised to free below this. Producers: CAS. */
	struct bus_pair closing;
	/* 144: what is below may be overwritten. Producers: CAS. */
	struct bus_pair free;
	uint8_t pad1[96];
	/* 256: mark i holds the first frame that begins in a sixteenth of the
	 * ring, stored by whoever claimed across its border: so that reclaim
	 * and seek find frame borders without walking. A hint that may be old
	 * or missing, never wrong. Producers: CAS. */
	struct bus_pair mark[BUS_MARKS];
	uint8_t pad2[BUS_PAGE - 512];
};
static_assert(offsetof(struct bus_ring_control, closing) == 128, "layout");
static_assert(offsetof(struct bus_ring_control, free) == 144, "layout");
static_assert(offsetof(struct bus_ring_control, mark) == 256, "layout");
static_assert(sizeof(struct bus_ring_control) == BUS_PAGE, "layout");

/* pin: what its producer has under way; a position and one of these. */
#define BUS_PIN_OFFLINE UINT64_C(0)
#define BUS_PIN_CLAIMING UINT64_C(1)	/* may own the frame at this position */
#define BUS_PIN_HOLDING UINT64_C(2)	/* owns it */
#define BUS_PIN_FLAGS UINT64_C(63)

struct bus_slot {
	/* 0: written by its producer at each send, read by reclaim */
	uint64_t pin;
	uint64_t want_size;	/* bytes 63..12, records 11..0 of the claim */
	uint64_t want_off;	/* offset of the claim */
	uint64_t last;		/* with ONE: position of the last frame */
	uint64_t phase;		/* enum bus_phase */
	uint64_t records;	/* sent, for statistics */
	uint64_t bytes;		/* values and keys sent */
	uint64_t pad0;
	/* 64: written at attach only */
	uint64_t mutex[6];	/* robust pthread mutex of the handle's thread,
				 * 40 bytes on x86-64, 48 on arm64; busd looks at
				 * its futex word, no more */
	uint32_t epoch;		/* of the slot's owner; busd */
	uint32_t tid;		/* its thread, in its pid namespace */
	uint64_t pad1;
};
static_assert(offsetof(struct bus_slot, mutex) == 64, "layout");
static_assert(sizeof(struct bus_slot) == 2 * BUS_LINE, "layout");

/* Counters and a histogram of one producer (time spent waiting for room) or
 * consumer (time from timestamp to reading). Its owner writes, all read. */
#define BUS_STATS_BUCKETS 304
struct bus_stats {
	uint64_t waits;		/* sends that waited; times it slept */
	uint64_t wakes;		/* futex wakes made */
	uint64_t lost;		/* consumer: records lost to laps */
	uint64_t laps;		/* consumer: times it was lapped */
	uint64_t pad0[4];
	uint64_t bucket[BUS_STATS_BUCKETS];
	uint8_t pad1[BUS_PAGE - 64 - 8 * BUS_STATS_BUCKETS];
};
static_assert(sizeof(struct bus_stats) == BUS_PAGE, "layout");

/* ---- Part file: written by consumers, the bells by all ---------------- */

#define BUS_BELL_ARMED 1u	/* somebody sleeps; the rest is a counter */

struct bus_bells {
	uint64_t magic;		/* busd, before the file is handed out */
	uint32_t version;
	uint32_t partition;
	uint64_t topic_id;
	uint8_t pad0[40];
	/* 64: futex words; all write */
	uint32_t data;		/* consumers sleep here */
	uint32_t room;		/* producers sleep here */
	uint8_t pad1[BUS_PAGE - 72];
};
static_assert(offsetof(struct bus_bells, data) == 64, "layout");
static_assert(sizeof(struct bus_bells) == BUS_PAGE, "layout");

#define BUS_CONSUMER_BLOCK UINT64_C(1)	/* in pos: reclaim stops here */

struct bus_consumer_line {
	uint64_t pos;		/* passed up to here; 0: none. Its consumer */
	uint64_t off;		/* offset of the record read next */
	uint64_t phase;		/* enum bus_phase */
	uint64_t records;
	uint64_t bytes;
	uint64_t pad0[3];
};
static_assert(sizeof(struct bus_consumer_line) == BUS_LINE, "layout");

/* ---- Topic file: written by busd -------------------------------------- */

#define BUS_PRODUCERS_MANY 0u
#define BUS_PRODUCERS_ONE 1u
#define BUS_SLOW_IS_DROP 1u
#define BUS_SLOW_IS_BLOCK 2u

struct bus_topic_page {
	uint64_t magic;
	uint32_t version;
	uint32_t partitions;	/* grows; busd [parts:A] pairs [parts:B] */
	uint64_t signature;	/* bus_layout_signature() */
	uint64_t topic_id;	/* random */
	char name[136];		/* NUL-terminated */
	/* 168: settings that may change while the topic is in use */
	uint64_t max_message_bytes;
	uint64_t ring_bytes;
	uint64_t max_block_ms;
	uint64_t stall_fence_ms;
	uint32_t slow_consumer;
	uint32_t producers;
	uint64_t settings_set;	/* bit per setting that somebody chose */
	uint8_t pad0[BUS_PAGE - 216];
};
static_assert(sizeof(struct bus_topic_page) == BUS_PAGE, "layout");

/* Who owns a slot or a consumer line. */
struct bus_owner {
	uint64_t client;	/* busd's number of the connection; 0: free */
	uint64_t request;	/* the request that it was given for */
	uint32_t epoch;		/* new for each owner */
	uint32_t producer_id;	/* producers only */
	uint32_t pid;		/* as busd sees it */
	uint32_t given;		/* 1: given back or its owner is dead; free as
				 * soon as its frame is resolved */
};
static_assert(sizeof(struct bus_owner) == 32, "layout");

struct bus_partition_page {
	/* 0: for topics with a log; UINT64_MAX without one */
	struct bus_pair written;
	struct bus_pair durable;
	uint64_t reserved;
	uint32_t consumers_used; /* lines at or above were never given out */
	uint32_t pad0;
	uint8_t pad1[BUS_PAGE - 48];
	/* 4096 */
	struct bus_owner consumer[BUS_SLOTS];
};
static_assert(offsetof(struct bus_partition_page, consumer) == BUS_PAGE,
	      "layout");
static_assert(sizeof(struct bus_partition_page) == 2 * BUS_PAGE, "layout");

/* ---- Head file: written by busd --------------------------------------- */

/* One frame that the roll gave up: not at pos, go on at next. */
struct bus_verdict {
	uint64_t pos;
	uint64_t next_pos;
	uint64_t next_off;
	uint64_t pad0;
};

struct bus_ring_head {
	/* 0: constant once handed out */
	uint64_t magic;
	uint32_t version;
	uint32_t partition;
	uint64_t signature;
	uint64_t topic_id;
	uint64_t ring_id;	/* random; one mapping per process and id */
	uint64_t ring_seq;	/* rings of this partition before this one */
	uint64_t ring_bytes;	/* power of two */
	uint64_t mirror_bytes;	/* multiple of the page */
	/* 64 */
	uint64_t frame_max;	/* longest frame, <= ring_bytes / 4 */
	uint64_t salt;		/* 40 random bits for the stamps */
	uint64_t first_pos;	/* of the ring */
	uint64_t first_off;
	uint32_t one;		/* 1: producers=one */
	uint32_t has_log;	/* 0 in this version */
	uint8_t pad0[24];
	/* 128: changes when somebody attaches */
	uint64_t owner;		/* with ONE: epoch 63..32, slot + 1; 0: none */
	uint32_t slots_used;	/* slots at or above were never given out */
	uint32_t pad1;
	uint8_t pad2[112];
	/* 256: the roll; changes once */
	uint32_t closed;	/* 1: take nothing more before `complete` */
	uint32_t complete;	/* 1: end and the verdict are final */
	uint32_t n_verdict;
	uint32_t gone;		/* 1: the topic was deleted, nothing follows */
	struct bus_pair end;	/* where the next ring begins */
	uint8_t pad3[BUS_PAGE - 288];
	/* 4096 */
	struct bus_verdict verdict[BUS_SLOTS];
	/* 8192 */
	struct bus_owner slot[BUS_SLOTS];
};
static_assert(offsetof(struct bus_ring_head, owner) == 128, "layout");
static_assert(offsetof(struct bus_ring_head, closed) == 256, "layout");
static_assert(offsetof(struct bus_ring_head, verdict) == BUS_PAGE, "layout");
static_assert(offsetof(struct bus_ring_head, slot) == 2 * BUS_PAGE, "layout");
static_assert(sizeof(struct bus_ring_head) == 3 * BUS_PAGE, "layout");

/* ---- Where things are in the files ------------------------------------ */

#define BUS_TOPIC_FILE_BYTES(partitions)                                       \
	(BUS_PAGE + (uint64_t)(partitions) * sizeof(struct bus_partition_page))
#define BUS_PART_LINES BUS_PAGE
#define BUS_PART_STATS                                                         \
	(BUS_PART_LINES + BUS_SLOTS * sizeof(struct bus_consumer_line))
#define BUS_PART_FILE_BYTES                                                    \
	(BUS_PART_STATS + BUS_SLOTS * sizeof(struct bus_stats))
#define BUS_HEAD_FILE_BYTES sizeof(struct bus_ring_head)
/* In the ring file, from ring_bytes on: */
#define BUS_RING_SLOTS sizeof(struct bus_ring_control)
#define BUS_RING_STATS (BUS_RING_SLOTS + BUS_SLOTS * sizeof(struct bus_slot))
#define BUS_RING_EXTRA (BUS_RING_STATS + BUS_SLOTS * sizeof(struct bus_stats))

/*
 * Sizes folded into one number: two builds that disagree about the layout
 * refuse each other even if somebody forgot to raise the version.
 */
static inline uint64_t bus_layout_signature(void)
{
	const uint64_t parts[] = {
		BUS_LAYOUT_VERSION,
		sizeof(struct bus_frame),
		sizeof(struct bus_ring_control),
		sizeof(struct bus_slot),
		sizeof(struct bus_stats),
		sizeof(struct bus_bells),
		sizeof(struct bus_consumer_line),
		sizeof(struct bus_topic_page),
		sizeof(struct bus_partition_page),
		sizeof(struct bus_ring_head),
		offsetof(struct bus_ring_control, mark),
		offsetof(struct bus_slot, mutex),
		offsetof(struct bus_ring_head, closed),
		BUS_SLOTS,
	};
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		h = (h ^ parts[i]) * UINT64_C(0x100000001b3);
	return h;
}

#endif

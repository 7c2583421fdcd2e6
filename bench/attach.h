/* SPDX-License-Identifier: MIT */
/* attach.h - what the attach bench and its floor have in common. */
#ifndef BENCH_ATTACH_H
#define BENCH_ATTACH_H

#include "bench.h"

/* One client of the topic; the state of a part on either side. */
struct attach {
	struct bus *bus;
	struct bus_producer *producer;
	struct bus_consumer *consumer;
	uint32_t slices; /* side B: how many it has seen */
	int fd;		 /* the floor's memory, and how much of it */
	size_t size;
};

/* What children tell side A, and A tells B: part->shared. */
struct attach_page {
	uint64_t ticks;	   /* that it took */
	uint64_t mapped;   /* bytes of shared memory that are in place */
	uint32_t finished; /* slices; B sleeps on it */
};

int bench_attach_prepare(struct bench_part *part);

/* Create the topic, in a child, so that the caller maps and starts nothing. */
int bench_attach_create(struct bench_part *part);

/* Connect, then open a producer or a consumer as the parameters say. */
int bench_attach_connect(struct bench_part *part, struct attach *ret);
int bench_attach_open(struct bench_part *part, struct attach *attach);
void bench_attach_close(struct attach *attach);

/* @sample once per operation; what it leaves in the page's ticks is a lap. */
int bench_attach_slice(struct bench_part *part, enum bench_side side,
		       uint64_t ops, int (*sample)(struct bench_part *part));

#endif

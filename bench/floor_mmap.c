/* SPDX-License-Identifier: MIT */
/*
 * floor_mmap.c - mmap: one mapping, populated, as large as what a client maps.
 *
 * How much that is, is found out by attaching once: the bytes of memfds that
 * are in place afterwards, a page that shows twice counting twice. The floor's
 * own memfd is allocated before, as a topic's are; a fresh process maps it
 * with MAP_POPULATE, for a producer writable, for a consumer read-only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach.h"

/* Sum of "Rss" over the mappings of memfds, in bytes. */
static uint64_t memfds_in_place(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool counts = false;
	uint64_t kib, sum = 0;
	char line[512];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Rss: %lu kB", &kib) == 1)
			sum += counts ? kib * 1024 : 0;
		else if (strchr("0123456789abcdef", line[0]))
			counts = strstr(line, "/memfd:");
	}
	fclose(f);
	return sum;
}

static int measure(void *arg)
{
	struct bench_part *part = arg;
	struct attach_page *page = part->shared;
	struct attach attach;
	int r = bench_attach_connect(part, &attach);

	if (!r)
		r = bench_attach_open(part, &attach);
	if (!r)
		page->mapped = memfds_in_place();
	if (!r && !page->mapped)
		r = bench_fail(BUS_ENOENT, "/proc/self/smaps shows no memfd");
	bench_attach_close(&attach);
	bus_close(attach.bus);
	return r;
}

static int allocate(struct attach *attach, size_t size)
{
	attach->fd = memfd_create("bench-floor", MFD_CLOEXEC);
	attach->size = size;
	if (attach->fd < 0)
		return bench_fail_errno("memfd");

	int error = posix_fallocate(attach->fd, 0, (off_t)size);

	if (!error)
		return 0;
	errno = error; /* it returns what the others leave there */
	return bench_fail_errno("%zu bytes of memfd", size);
}

static int mmap_open(struct bench_part *part, enum bench_side side)
{
	struct attach *attach = bench_state(part, sizeof(*attach));
	struct attach_page *page = part->shared;
	int r;

	if (!attach)
		return BUS_ENOMEM;
	if (side == BENCH_B)
		return 0;
	r = bench_attach_create(part);
	if (!r)
		r = bench_in_child(measure, part);
	return r ? r : allocate(attach, page->mapped);
}

static int map_in_child(void *arg)
{
	struct bench_part *part = arg;
	struct attach *attach = part->state;
	struct attach_page *page = part->shared;
	int rights = part->params.producers ? PROT_READ | PROT_WRITE :
					      PROT_READ;
	uint64_t began = bench_ticks();
	void *p = mmap(NULL, attach->size, rights, MAP_SHARED | MAP_POPULATE,
		       attach->fd, 0);

	page->ticks = bench_ticks() - began;
	return p == MAP_FAILED ? bench_fail_errno("mmap") : 0;
}

static int map_sample(struct bench_part *part)
{
	return bench_in_child(map_in_child, part);
}

static int mmap_slice(struct bench_part *part, enum bench_side side,
		      uint64_t ops)
{
	return bench_attach_slice(part, side, ops, map_sample);
}

const struct bench_subject bench_floor_mmap = {
	.name = "mmap",
	.prepare = bench_attach_prepare,
	.open = mmap_open,
	.slice = mmap_slice,
};

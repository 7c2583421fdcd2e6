/* SPDX-License-Identifier: MIT */
/*
 * util_ring.c - a ring in this process: as busd makes one, but that it is
 * nobody else's, and begins where the test says.
 */
#define _GNU_SOURCE
#include "util_ring.h"

#include <sys/mman.h>

#include "util.h"

struct pages {
	struct bus_ring_control control;
	struct bus_slot slot[BUS_SLOTS];
	struct bus_consumer_line line[BUS_SLOTS];
	struct bus_bells bells;
	struct bus_ring_head head;
	struct bus_partition_page partition;
};

/* The frames, twice in a row. */
static uint8_t *map_frames(void)
{
	int fd = memfd_create("test-ring", MFD_CLOEXEC);
	uint8_t *data = mmap(NULL, 2 * RING_SIZE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check_true(data != MAP_FAILED);
	check(ftruncate(fd, (off_t)RING_SIZE), ==, 0);
	for (unsigned i = 0; i < 2; i++)
		check_true(mmap(data + i * RING_SIZE, RING_SIZE,
				PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				fd, 0) != MAP_FAILED);
	close(fd);
	return data;
}

static void begin(struct pages *p, uint64_t pos, uint64_t off, bool one)
{
	p->control.free = (struct bus_pair){ pos, off };
	p->control.closing = p->control.free;
	p->control.tail = p->control.free;
	for (unsigned i = 0; i < BUS_MARKS; i++)
		p->control.mark[i] = p->control.free;
	p->head.slots_used = RING_SLOTS;
	p->partition.consumers_used = RING_SLOTS;
	if (!one)
		return;
	p->control.tail.pos |= BUS_TAIL_ONE;
	p->head.one = 1;
	p->head.owner = UINT64_C(7) << 32 | 1;
	/* busd writes 0, which is below all that is sent before 2^63 */
	p->slot[0].last = pos - BUS_FRAME_ALIGN;
}

struct bus_ring *test_ring_new(uint64_t pos, uint64_t off, bool one)
{
	struct bus_ring *r = calloc(1, sizeof(*r));
	struct pages *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check_true(r && p != MAP_FAILED);
	begin(p, pos, off, one);
	*r = (struct bus_ring){
		.shm_data = map_frames(),
		.size = RING_SIZE,
		.mask = RING_SIZE - 1,
		.frame_max = RING_FRAME_MAX,
		.salt = UINT64_C(0x9c0ffee123),
		.one = one,
		.shm_control = &p->control,
		.shm_slot = p->slot,
		.shm_head = &p->head,
		.shm_bells = &p->bells,
		.shm_line = p->line,
		.shm_partition = &p->partition,
	};
	return r;
}

void test_ring_free(struct bus_ring *ring)
{
	munmap(ring->shm_data, 2 * RING_SIZE);
	munmap(ring->shm_control, sizeof(struct pages));
	free(ring);
}

struct bus_ring_head *test_ring_head(const struct bus_ring *ring)
{
	return (struct bus_ring_head *)(uintptr_t)ring->shm_head;
}

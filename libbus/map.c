/* SPDX-License-Identifier: MIT */
/*
 * map.c - mapping rings, sharing the mappings, and letting them go.
 *
 * Motivation. Mapping 16 MiB populated takes over a millisecond (bus bench
 * attach) and 17 MiB of address space; ten handles on one partition need it
 * once. A handle must find a ring by its id while other threads attach, follow
 * a roll or close, without a lock that one of them could hold while it is
 * preempted.
 *
 * So the rings are in a lock-free hash table (cds_lfht) read under RCU. A
 * reader that finds an entry takes a reference unless the count is zero: then
 * the entry is on its way out and the reader maps the ring itself. Who drops
 * the last reference takes the entry out of the table; call_rcu unmaps it when
 * no reader can still be looking at its count.
 *
 *	lookup:  read lock; find; refs 0 -> miss, else refs + 1; unlock
 *	last put: refs 1 -> 0; read lock; del; unlock; call_rcu(unmap)
 *
 * Pairs: put:A -> put:B (everything a handle did in the mapping comes before
 * the unmapping); the rest is RCU's (rcu.h).
 *
 * The frames are mapped twice in a row, so that none wraps:
 *
 *	reserved address space:  [ frames | mirror_bytes | control, slots, ... ]
 *	file offset:               0        0              ring_bytes
 *
 * fork: the mappings are MADV_DONTFORK. In the child the table is forgotten
 * (its entries point at nothing), and every handle fails by its generation.
 */
#define _GNU_SOURCE
#include "map.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conn.h"
#include "wait.h"

#define TABLE_BUCKETS 64

char bus_rcu_period;
char bus_rcu_added;
unsigned bus_fork_generation;

static struct cds_lfht *table;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int barrier_error;

/* ---- Process-wide state ----------------------------------------------- */

static void before_fork(void)
{
	urcu_bp_call_rcu_before_fork();
	urcu_bp_before_fork();
}

static void after_fork_parent(void)
{
	urcu_bp_after_fork_parent();
	urcu_bp_call_rcu_after_fork_parent();
}

static void after_fork_child(void)
{
	/* first: the thread that is started here may run retire() at once */
	bus_fork_generation++;
	urcu_bp_after_fork_child();
	urcu_bp_call_rcu_after_fork_child();
	table = bus_lfht_new(TABLE_BUCKETS);
	barrier_error = bus_membarrier_register();
}

static void init(void)
{
	barrier_error = bus_membarrier_register();
	table = bus_lfht_new(TABLE_BUCKETS);
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static int ready(void)
{
	pthread_once(&once, init);
	if (!table)
		return BUS_ENOMEM;
	return barrier_error;
}

/* ---- One mapping ------------------------------------------------------ */

static int check_file(int fd, uint64_t bytes)
{
	const int want = F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* Unsealed, somebody could truncate it: SIGBUS for all others. */
	if (seals < 0 || (seals & want) != want)
		return BUS_EPROTO;
	if (fstat(fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size >= bytes ? 0 : BUS_EPROTO;
}

static int map_fixed(void *at, size_t bytes, bool writable, int fd,
		     uint64_t offset)
{
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);
	int flags = MAP_SHARED | MAP_POPULATE | (at ? MAP_FIXED : 0);

	return mmap(at, bytes, prot, flags, fd, (off_t)offset) == MAP_FAILED ?
		       -errno :
		       0;
}

static int map_pages(size_t bytes, int fd, uint64_t offset, bool writable,
		     void **ret)
{
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);
	void *p = mmap(NULL, bytes, prot, MAP_SHARED, fd, (off_t)offset);

	if (p == MAP_FAILED)
		return -errno;
	madvise(p, bytes, MADV_DONTFORK);
	madvise(p, bytes, MADV_DONTDUMP);
	*ret = p;
	return 0;
}

/* What the head says is busd's word; an older or broken busd is caught here. */
static int check_head(const struct bus_ring_head *h)
{
	if (h->magic != BUS_MAGIC_HEAD)
		return BUS_EPROTO;
	if (h->version != BUS_LAYOUT_VERSION ||
	    h->signature != bus_layout_signature())
		return BUS_EVERSION;
	if (h->ring_bytes < BUS_PAGE || h->ring_bytes > UINT64_C(1) << 30 ||
	    h->ring_bytes & (h->ring_bytes - 1) || h->mirror_bytes % BUS_PAGE ||
	    h->mirror_bytes > h->ring_bytes || h->frame_max > h->mirror_bytes ||
	    h->frame_max > h->ring_bytes / 4 ||
	    h->frame_max > BUS_FRAME_LENGTH_MAX ||
	    h->partition >= BUS_PARTITIONS_MAX)
		return BUS_EPROTO;
	return 0;
}

static int map_ring(struct bus_map *m, int fd)
{
	const struct bus_ring_head *h = m->ring.shm_head;
	uint64_t size = h->ring_bytes, mirror = h->mirror_bytes;
	bool writable = m->rights >= BUS_RIGHTS_WRITE;
	uint8_t *base;
	int r = check_file(fd, size + BUS_RING_EXTRA);

	if (r < 0)
		return r;
	m->ring_span = size + mirror + BUS_RING_EXTRA;
	base = mmap(NULL, m->ring_span, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	m->ring.shm_data = base;
	r = map_fixed(base, size, writable, fd, 0);
	if (!r)
		r = map_fixed(base + size, mirror, writable, fd, 0);
	if (!r)
		r = map_fixed(base + size + mirror, BUS_RING_STATS, writable,
			      fd, size);
	/* stats pages exist for slots that were given out: not populated */
	if (!r && mmap(base + size + mirror + BUS_RING_STATS,
		       BUS_RING_EXTRA - BUS_RING_STATS,
		       PROT_READ | (writable ? PROT_WRITE : 0),
		       MAP_SHARED | MAP_FIXED, fd,
		       (off_t)(size + BUS_RING_STATS)) == MAP_FAILED)
		r = -errno;
	if (r < 0)
		return r;
	madvise(base, m->ring_span, MADV_DONTFORK);
	madvise(base, m->ring_span, MADV_DONTDUMP);
	madvise(base, size, MADV_HUGEPAGE);
	base += size + mirror;
	m->ring.shm_control = (void *)base;
	m->ring.shm_slot = (void *)(base + BUS_RING_SLOTS);
	m->ring.shm_slot_stats = (void *)(base + BUS_RING_STATS);
	return 0;
}

static int map_part(struct bus_map *m, int topic_fd, int part_fd)
{
	const size_t stride = sizeof(struct bus_partition_page);
	void *topic, *pages, *part;
	int r = check_file(topic_fd, BUS_TOPIC_FILE_BYTES(m->partition + 1));

	if (!r)
		r = check_file(part_fd, BUS_PART_FILE_BYTES);
	if (!r)
		r = map_pages(BUS_PAGE, topic_fd, 0, false, &topic);
	if (r < 0)
		return r;
	m->shm_topic = topic;
	r = map_pages(stride, topic_fd, BUS_PAGE + m->partition * stride, false,
		      &pages);
	if (r < 0)
		return r;
	m->ring.shm_partition = pages;
	r = map_pages(BUS_PART_FILE_BYTES, part_fd, 0,
		      m->rights >= BUS_RIGHTS_READ, &part);
	if (r < 0)
		return r;
	m->ring.shm_bells = part;
	m->ring.shm_line = (void *)((uint8_t *)part + BUS_PART_LINES);
	m->ring.shm_line_stats = (void *)((uint8_t *)part + BUS_PART_STATS);
	return 0;
}

/* Takes half-built ones. */
static void unmap(struct bus_map *m)
{
	struct bus_ring *r = &m->ring;

	if (r->shm_data)
		munmap(r->shm_data, m->ring_span);
	if (r->shm_bells)
		munmap(r->shm_bells, BUS_PART_FILE_BYTES);
	if (r->shm_partition)
		munmap((void *)r->shm_partition, sizeof(*r->shm_partition));
	if (m->shm_topic)
		munmap((void *)m->shm_topic, BUS_PAGE);
	if (r->shm_head)
		munmap((void *)r->shm_head, BUS_HEAD_FILE_BYTES);
	free(m);
}

/* The head first: it says which ring this is. */
static int map_head(const int fds[4], enum bus_rights rights,
		    struct bus_map **ret)
{
	struct bus_map *m = calloc(1, sizeof(*m));
	const struct bus_ring_head *h;
	void *head;
	int r;

	if (!m)
		return BUS_ENOMEM;
	r = check_file(fds[BUS_FD_HEAD], BUS_HEAD_FILE_BYTES);
	if (!r)
		r = map_pages(BUS_HEAD_FILE_BYTES, fds[BUS_FD_HEAD], 0, false,
			      &head);
	if (r < 0) {
		unmap(m);
		return r;
	}
	m->ring.shm_head = h = head;
	r = check_head(h);
	if (r < 0) {
		unmap(m);
		return r;
	}
	m->refs = 1;
	m->generation = bus_fork_generation;
	m->rights = rights;
	m->ring_id = h->ring_id;
	m->ring_seq = h->ring_seq;
	m->topic_id = h->topic_id;
	m->partition = h->partition;
	m->ring.size = h->ring_bytes;
	m->ring.mask = h->ring_bytes - 1;
	m->ring.frame_max = h->frame_max;
	m->ring.salt = h->salt;
	m->ring.one = h->one;
	*ret = m;
	return 0;
}

/* ---- The table -------------------------------------------------------- */

static int match(struct cds_lfht_node *node, const void *key)
{
	const struct bus_map *m = caa_container_of(node, struct bus_map, node);
	const struct bus_map *k = key;

	bus_rcu_match();
	return m->ring_id == k->ring_id && m->rights == k->rights;
}

static bool take_ref(struct bus_map *m)
{
	uint32_t refs = bus_load(&m->refs);

	/* [put:B] pairs [put:A] */
	while (refs && !bus_cas(&m->refs, refs, refs + 1))
		refs = bus_load(&m->refs);
	return refs;
}

static struct bus_map *find(const struct bus_map *key)
{
	struct cds_lfht_node *node;
	struct bus_map *m = NULL;

	bus_rcu_read_lock();
	node = bus_lfht_find(table, key->ring_id, match, key);
	if (node)
		m = caa_container_of(node, struct bus_map, node);
	if (m && !take_ref(m))
		m = NULL;
	bus_rcu_read_unlock();
	return m;
}

/* A consumer may as well read through a producer's mapping. */
static struct bus_map *find_any(const struct bus_map *want)
{
	struct bus_map key = *want, *m = NULL;

	key.rights = BUS_RIGHTS_WRITE;
	while (!(m = find(&key)) && key.rights > want->rights)
		key.rights--;
	return m;
}

static void retire(struct rcu_head *head)
{
	struct bus_map *m = caa_container_of(head, struct bus_map, rcu);

	bus_rcu_callback();
	/* What a parent had retired when it forked is not mapped here, and
	 * something of ours may be in its place. */
	if (bus_forked(m->generation))
		free(m);
	else
		unmap(m);
}

/* Two threads may map one ring at once: the second one's is thrown away. */
static struct bus_map *publish(struct bus_map *m)
{
	struct cds_lfht_node *node;
	struct bus_map *there;

	do {
		bus_rcu_read_lock();
		node = bus_lfht_add_unique(table, m->ring_id, match, m,
					   &m->node);
		there = caa_container_of(node, struct bus_map, node);
		if (there != m && !take_ref(there))
			node = NULL; /* on its way out: once more */
		bus_rcu_read_unlock();
	} while (!node);
	if (there != m)
		unmap(m);
	return there;
}

int bus_map_get(const int fds[4], enum bus_rights rights, struct bus_map **ret)
{
	struct bus_map *m = NULL, *there = NULL;
	int r = ready();

	if (!r)
		r = map_head(fds, rights, &m);
	if (!r)
		there = find_any(m);
	if (!r && !there) {
		r = map_part(m, fds[BUS_FD_TOPIC], fds[BUS_FD_PART]);
		if (!r)
			r = map_ring(m, fds[BUS_FD_RING]);
		if (!r) {
			there = publish(m);
			m = NULL;
		}
	}
	if (m)
		unmap(m);
	for (int i = 0; i < BUS_WIRE_FDS; i++)
		close(fds[i]);
	if (!r)
		*ret = there;
	return r;
}

struct bus_map *bus_map_ref(struct bus_map *m)
{
	/* [put:B] pairs [put:A] */
	bus_fetch_add(&m->refs, 1);
	return m;
}

struct bus_map *bus_map_put(struct bus_map *m)
{
	if (!m)
		return NULL;
	/* [put:A] pairs [put:B]: all that was done in it comes before */
	if (bus_fetch_add(&m->refs, UINT32_MAX) == 1) {
		bus_rcu_read_lock();
		bus_lfht_del(table, &m->node);
		bus_rcu_read_unlock();
		bus_rcu_call(&m->rcu, retire);
	}
	return NULL;
}

unsigned bus_map_count(void)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	unsigned n = 0;

	if (ready() < 0)
		return 0;
	bus_rcu_read_lock();
	for (node = bus_lfht_first(table, &iter); node;
	     node = bus_lfht_next(table, &iter))
		n++;
	bus_rcu_read_unlock();
	return n;
}

/* SPDX-License-Identifier: MIT */
/*
 * file.c - memory files.
 *
 * Everything that is shared lives in a memfd: it has no name that others could
 * squat on, is gone with its last holder, and can be sealed. With SHRINK and
 * GROW sealed and all that is touched allocated before, no holder can make
 * another one's access a SIGBUS. What a client gets is opened anew through
 * /proc/self/fd, so that its descriptor has only the rights it needs.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

int busd_file_new(const char *name, uint64_t bytes)
{
	busd_auto_close int fd =
		memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	return busd_take(&fd);
}

int busd_file_allocate(int fd, uint64_t from, uint64_t bytes)
{
	if (fallocate(fd, 0, (off_t)from, (off_t)bytes) < 0)
		return errno == ENOSPC ? -ENOMEM : -errno;
	return 0;
}

int busd_file_map(int fd, uint64_t bytes, void *ret)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*(void **)ret = p;
	return 0;
}

int busd_file_reopen(int fd, int flags)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, flags | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

uint64_t busd_file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

uint64_t busd_file_allocated(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

uint64_t busd_memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	unsigned long long kib;
	uint64_t r = UINT64_MAX;

	if (!f)
		return r;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
			r = kib * 1024;
			break;
		}
	}
	fclose(f);
	return r;
}

uint64_t busd_random(void)
{
	uint64_t r = 0;

	/* Never short nor interrupted for 8 bytes once the pool is ready. */
	while (!r)
		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			r = 0;
	return r;
}

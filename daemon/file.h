/* SPDX-License-Identifier: MIT */
/* file.h - sealed memory files, and descriptors in general. */
#ifndef BUSD_FILE_H
#define BUSD_FILE_H

#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

static inline void busd_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define busd_auto_close __attribute__((cleanup(busd_closep)))

/* A descriptor changes hands: the old holder forgets it. */
static inline int busd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* memory files */

/*
 * Create a file of @bytes, mode 0600, sealed against shrinking, growing and
 * further seals. Nothing in it is allocated yet.
 * Return: the descriptor or -errno.
 */
int busd_file_new(const char *name, uint64_t bytes);

/* Allocate a part of it, so that touching it never fails. 0 or -errno. */
int busd_file_allocate(int fd, uint64_t from, uint64_t bytes);

/* Map all of it for reading and writing. 0 or -errno. */
int busd_file_map(int fd, uint64_t bytes, void *ret);

/*
 * Open a file anew: what is handed out has its own rights (O_RDONLY, O_RDWR).
 * Return: the descriptor or -errno.
 */
int busd_file_reopen(int fd, int flags);

uint64_t busd_file_size(int fd); /* 0 if it cannot be told */
uint64_t busd_file_allocated(int fd); /* bytes of memory that it takes */

/* memory */

uint64_t busd_memory_available(void); /* bytes; UINT64_MAX if not known */
uint64_t busd_random(void); /* never 0 */

#endif

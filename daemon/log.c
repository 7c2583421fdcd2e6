/* SPDX-License-Identifier: MIT */
/*
 * log.c - lines "time level process text", each one write().
 *
 * Keeper and worker append to the same file, which O_APPEND keeps whole. A log
 * that cannot be written (disk full, pipe closed) is no reason to stop.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PEER_LINES_PER_SECOND 10

static int log_fd = STDERR_FILENO;

int busd_log_open(const char *path)
{
	if (!path)
		return 0;
	log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (log_fd >= 0)
		return 0;
	log_fd = STDERR_FILENO;
	return -errno;
}

static void write_line(const char *level, const char *format, va_list args)
{
	char line[1024];
	size_t n, size = sizeof(line) - 1; /* keeps room for the newline */
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, size - n, ".%03ldZ %s busd[%d] ",
			      now.tv_nsec / 1000000, level, (int)getpid());
	vsnprintf(line + n, size - n, format, args);
	n = strlen(line);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	line[n++] = '\n';
	if (write(log_fd, line, n) < 0)
		return;
}

void busd_log(const char *level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(level, format, args);
	va_end(args);
}

void busd_log_peer(const char *format, ...)
{
	static time_t second;
	static unsigned lines;
	struct timespec now;
	va_list args;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != second) {
		if (lines > PEER_LINES_PER_SECOND)
			busd_warn("%u more lines about clients not written",
				  lines - PEER_LINES_PER_SECOND);
		second = now.tv_sec;
		lines = 0;
	}
	if (++lines > PEER_LINES_PER_SECOND)
		return;
	va_start(args, format);
	write_line("warn", format, args);
	va_end(args);
}

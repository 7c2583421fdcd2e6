/* SPDX-License-Identifier: MIT */
/* log.h - one line per event that an operator cares for. */
#ifndef BUSD_LOG_H
#define BUSD_LOG_H

/* Append to a file, or write to stderr if @path is NULL. Return: 0, -errno. */
int busd_log_open(const char *path);

__attribute__((format(printf, 2, 3))) void busd_log(const char *level,
						    const char *format, ...);

#define busd_info(...) busd_log("info", __VA_ARGS__)
#define busd_warn(...) busd_log("warn", __VA_ARGS__)
#define busd_error(...) busd_log("error", __VA_ARGS__)

/*
 * For what a client can cause as often as it likes: some lines a second are
 * written, the others are counted.
 */
__attribute__((format(printf, 1, 2))) void busd_log_peer(const char *format,
							 ...);

#endif
